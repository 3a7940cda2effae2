//! Group headers: fields toward the client and `Host` toward the upstream (reference 3.19).

use super::Annotations;
use crate::model::ConfigMap;
use crate::settings::Globals;
use crate::snapshot::{ConnectionWord, Policies, Template};
use crate::value::{self, Expected, Source as _};

pub(super) fn read(annotations: &mut Annotations<'_>, globals: &Globals, filters: &mut Policies) {
    filters.upstream_host = annotations.get("upstream-vhost", host);
    filters.upstream_hop.connection = annotations.get("connection-proxy-header", connection);
    let Some(config_map) = annotations.config_map("custom-headers") else { return };
    let literal = |text: &str| match text.bytes().any(|b| b.is_ascii_control()) {
        true => Err("visible text"),
        false => Ok(Template::literal(text)),
    };
    let fields = match fields_of(config_map, literal) {
        Ok(fields) => fields,
        Err(fault) => return annotations.deny("custom-headers", fault),
    };
    let allowed = |name: &str| globals.allowed_response_fields.iter().any(|a| a.eq_ignore_ascii_case(name));
    match fields.iter().find(|(name, _)| !allowed(name)) {
        Some((name, _)) => {
            let message = format!("{name} is not listed in the ConfigMap key global-allowed-response-headers");
            annotations.deny("custom-headers", message);
        }
        None => filters.response_fields.set = join(&filters.response_fields.set, fields),
    }
}

/// The fields that a ConfigMap lists, or what is wrong with the first bad one.
pub(super) fn fields_of(
    config_map: &ConfigMap,
    parse: impl Fn(&str) -> Result<Template, Expected>,
) -> Result<Fields, String> {
    each_field_of(config_map, parse).collect()
}

/// Each field that a ConfigMap lists, or what is wrong with it.
pub(crate) fn each_field_of(
    config_map: &ConfigMap,
    parse: impl Fn(&str) -> Result<Template, Expected>,
) -> impl Iterator<Item = Result<(Box<str>, Template), String>> {
    config_map.data.iter().map(move |(name, text)| {
        let of = || format!("of ConfigMap {}", config_map.meta.key);
        let field = value::field_name(name).map_err(|expected| format!("`{name}` {} is not {expected}", of()))?;
        let text = text.trim();
        let text = parse(text).map_err(|expected| format!("{name} {}: {}", of(), value::is_not(text, expected)))?;
        Ok((field, text))
    })
}

/// Names and values of fields.
pub(crate) type Fields = Box<[(Box<str>, Template)]>;

/// The second list after what it does not replace of the first.
pub(super) fn join(first: &Fields, second: Fields) -> Fields {
    let kept = first.iter().filter(|(name, _)| !second.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    let mut all: Vec<_> = kept.cloned().collect();
    all.extend(second);
    all.into()
}

fn connection(text: &str) -> Result<ConnectionWord, Expected> {
    match text {
        "close" => Ok(ConnectionWord::Close),
        "keep-alive" => Ok(ConnectionWord::KeepAlive),
        _ => Err("close or keep-alive"),
    }
}

pub(super) fn host(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "a host, with variables of the supported list";
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:${}[]".contains(&b));
    if clean { Template::parse(text).map_err(|_| EXPECTED) } else { Err(EXPECTED) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::Objects;
    use crate::model::{Age, Meta, ObjectKey, Secret};
    use crate::testing::{annotated, reference};

    struct One(ConfigMap);

    impl Objects for One {
        fn secret(&self, _: &ObjectKey) -> Option<&Secret> {
            None
        }

        fn config_map(&self, key: &ObjectKey) -> Option<&ConfigMap> {
            (*key == self.0.meta.key).then_some(&self.0)
        }
    }

    fn filters(pairs: &[(&str, &str)], data: &[(&str, &str)]) -> (Policies, Option<u16>, bool) {
        let meta = Meta { key: ObjectKey::new("default", "fields"), age: Age::Unknown };
        let data = data.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let objects = One(ConfigMap { meta, data });
        let globals = Globals { allowed_response_fields: ["X-One".into()].into(), ..Globals::default() };
        let (ingress, object) = (annotated(pairs), reference());
        let annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut annotations = annotations.with_objects(&objects, false);
        let mut filters = Policies::default();
        read(&mut annotations, &globals, &mut filters);
        (filters, annotations.outcome().deny, annotations.outcome().refused)
    }

    #[test]
    fn annotation_custom_headers_keep_a_dollar_and_need_leave() {
        let named = [("custom-headers", "default/fields")];
        let (found, deny, _) = filters(&named, &[("x-one", "a $host b")]);
        assert_eq!(*found.response_fields.set, [("x-one".into(), Template::literal("a $host b"))]);
        assert_eq!(deny, None);
        assert_eq!(filters(&named, &[("X-Two", "2")]).1, Some(503));
        assert_eq!(filters(&named, &[("X One", "1")]).1, Some(503));
        assert_eq!(filters(&[("custom-headers", "missing")], &[]).1, Some(503));
    }

    #[test]
    fn annotation_connection_proxy_header_is_one_of_two_words() {
        let word = |text| filters(&[("connection-proxy-header", text)], &[]);
        assert_eq!(word("keep-alive").0.upstream_hop.connection, Some(ConnectionWord::KeepAlive));
        assert!(!word("close").0.upstream_hop.keeps_alive() && word("upgrade").2);
    }

    #[test]
    fn annotation_upstream_vhost_may_hold_variables() {
        let (found, _, refused) = filters(&[("upstream-vhost", "$service_name.up.test")], &[]);
        assert!(found.upstream_host.is_some() && !refused);
        assert!(filters(&[("upstream-vhost", "$nothing")], &[]).2);
        assert!(filters(&[("upstream-vhost", "up test")], &[]).2);
    }
}
