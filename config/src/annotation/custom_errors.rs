//! Group custom errors: whose answers are replaced by those of an error backend (reference 3.6).

use std::sync::Arc;

use super::Annotations;
use crate::intent::ErrorIntent;
use crate::model::{ObjectKey, Transport};
use crate::snapshot::{ClusterKey, PortKey};
use crate::value::{self, Expected, Source};

const STATUSES: &str = "custom-http-errors";

/// The defaults that the ConfigMap sets.
pub(super) fn read_global(source: &mut impl Source, errors: &mut ErrorIntent) {
    let status = |text: &str| status(text, 300).ok_or("a status from 300 to 599");
    if let Some(statuses) = source.parts(STATUSES, status) {
        errors.statuses = in_order(statuses.into());
    }
    read_own_only(source, errors);
}

fn read_own_only(source: &mut impl Source, errors: &mut ErrorIntent) {
    if let Some(own_only) = source.get("disable-proxy-intercept-errors", value::bool) {
        errors.own_only = own_only;
    }
}

fn status(text: &str, least: u16) -> Option<u16> {
    text.parse().ok().filter(|status| (least..600).contains(status))
}

fn in_order(mut statuses: Vec<u16>) -> Box<[u16]> {
    statuses.sort_unstable();
    statuses.dedup();
    statuses.into()
}

/// The list of an Ingress replaces that of the ConfigMap, and one slip refuses all of it.
pub(super) fn read(annotations: &mut Annotations<'_>, errors: &mut ErrorIntent) {
    const BACKEND: &str = "default-backend";
    let statuses = |text: &str| {
        let all: Option<_> = value::list(text).map(|text| status(text, 400)).collect();
        all.map(in_order).ok_or("a list of statuses from 400 to 599")
    };
    if let Some(statuses) = annotations.get(STATUSES, statuses) {
        errors.statuses = statuses;
    }
    read_own_only(annotations, errors);
    let Some(name) = annotations.get(BACKEND, service_name) else { return };
    let service = ObjectKey { namespace: Arc::clone(&annotations.key().namespace), name };
    let key = ClusterKey { service, port: PortKey::First, transport: Transport::Tcp };
    errors.backend = Some((annotations.field_of(BACKEND), key));
}

fn service_name(text: &str) -> Result<Arc<str>, Expected> {
    let fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits && text.len() <= 63 {
        Ok(text.into())
    } else {
        Err("the name of a Service in the namespace of the Ingress")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn read_from(pairs: &[(&str, &str)]) -> (ErrorIntent, bool, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut errors = ErrorIntent { statuses: [502].into(), ..ErrorIntent::default() };
        read(&mut annotations, &mut errors);
        (errors, annotations.outcome().refused, annotations.into_findings().len())
    }

    #[test]
    fn annotation_custom_http_errors_replaces_the_list_of_the_config_map() {
        assert_eq!(*read_from(&[]).0.statuses, [502]);
        assert_eq!(*read_from(&[("custom-http-errors", "503, 404,404")]).0.statuses, [404, 503]);
        for bad in ["399", "600", "4xx", "404;503"] {
            assert!(read_from(&[("custom-http-errors", bad)]).1, "{bad}");
        }
    }

    #[test]
    fn annotation_default_backend_is_a_service_beside_the_ingress() {
        let (errors, ..) = read_from(&[("default-backend", "errors"), ("disable-proxy-intercept-errors", "true")]);
        let (field, key) = errors.backend.unwrap();
        assert_eq!((key.service, key.port), (ObjectKey::new("default", "errors"), PortKey::First));
        assert!(field.ends_with("/default-backend") && errors.own_only);
        assert!(read_from(&[("default-backend", "other/errors")]).1);
    }
}
