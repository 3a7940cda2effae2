//! Group auth-external: another service decides (reference 3.13). The ConfigMap's `global-auth-*` say the same for
//! every Ingress that does not say otherwise.

use super::{Annotations, headers};
use crate::settings::Globals;
use crate::snapshot::{Access, ExternalAuth, Signin, Template};
use crate::value::{self, Expected, Source};

/// Names of the options: the annotations' own, and those of the ConfigMap.
struct Names {
    url: &'static str,
    method: &'static str,
    signin: &'static str,
    parameter: &'static str,
    response_fields: &'static str,
    request_redirect: &'static str,
    always_set_cookie: &'static str,
}

const OWN: Names = Names {
    url: "auth-url",
    method: "auth-method",
    signin: "auth-signin",
    parameter: "auth-signin-redirect-param",
    response_fields: "auth-response-headers",
    request_redirect: "auth-request-redirect",
    always_set_cookie: "auth-always-set-cookie",
};

const GLOBAL: Names = Names {
    url: "global-auth-url",
    method: "global-auth-method",
    signin: "global-auth-signin",
    parameter: "global-auth-signin-redirect-param",
    response_fields: "global-auth-response-headers",
    request_redirect: "global-auth-request-redirect",
    always_set_cookie: "global-auth-always-set-cookie",
};

pub(super) fn read(annotations: &mut Annotations<'_>, globals: &Globals, access: &mut Access) {
    let wants_global = annotations.get("enable-global-auth", value::bool).unwrap_or(true);
    access.external = match annotations.text(OWN.url) {
        Some(_) => read_named(annotations, &OWN),
        None => globals.external_auth.clone().filter(|_| wants_global),
    };
    let Some(external) = &mut access.external else { return };
    if let Some(config_map) = annotations.config_map("auth-proxy-set-headers") {
        match headers::fields_of(config_map, value::template) {
            Ok(fields) => external.request_fields = fields,
            Err(fault) => annotations.deny("auth-proxy-set-headers", fault),
        }
    }
}

/// What the ConfigMap says.
pub(crate) fn read_global(source: &mut impl Source) -> Option<ExternalAuth> {
    source.text(GLOBAL.url)?;
    read_named(source, &GLOBAL)
}

fn read_named(source: &mut impl Source, names: &Names) -> Option<ExternalAuth> {
    let url = guarded(source, names.url, url);
    let method = guarded(source, names.method, method);
    let response_fields = guarded(source, names.response_fields, value::field_names);
    let request_redirect = guarded(source, names.request_redirect, value::template);
    let always_set_cookie = guarded(source, names.always_set_cookie, value::bool).unwrap_or(false);
    let parameter = source.text(names.parameter).unwrap_or("rd").into();
    let signin = source.get(names.signin, url_with_scheme).map(|url| Signin { url, parameter });
    Some(ExternalAuth {
        url: url?,
        method,
        signin,
        response_fields: response_fields.unwrap_or_default(),
        request_redirect,
        always_set_cookie,
        request_fields: Box::default(),
        cache: None,
    })
}

/// A value without which the check would be another one: if it cannot be read, everything is refused.
fn guarded<T>(source: &mut impl Source, name: &str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<T> {
    let text = source.text(name)?.to_owned();
    parse(&text).map_err(|expected| source.deny(name, value::is_not(&text, expected))).ok()
}

fn url(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "an http or https URL with a host, with variables of the supported list";
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(EXPECTED)?;
    let host = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let clean = text.bytes().all(|b| b.is_ascii_graphic());
    if !clean || host.is_empty() || host.contains("..") || host.contains('@') {
        return Err(EXPECTED);
    }
    Template::parse(text).map_err(|_| EXPECTED)
}

fn url_with_scheme(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "an http or https URL or a path, with variables of the supported list";
    let has_start = ["http://", "https://", "/", "$"].iter().any(|start| text.starts_with(start));
    let clean = text.bytes().all(|b| b.is_ascii_graphic());
    if has_start && clean { Template::parse(text).map_err(|_| EXPECTED) } else { Err(EXPECTED) }
}

fn method(text: &str) -> Result<Box<str>, Expected> {
    const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
    if METHODS.contains(&text) { Ok(text.into()) } else { Err("an HTTP method in capital letters") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn external(pairs: &[(&str, &str)], globals: &Globals) -> (Option<ExternalAuth>, Option<u16>) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut access = Access::default();
        read(&mut annotations, globals, &mut access);
        (access.external, annotations.outcome().deny)
    }

    const URL: (&str, &str) = ("auth-url", "https://auth.test/check?host=$host");

    #[test]
    fn annotation_auth_url_with_all_its_companions() {
        let pairs = [
            URL,
            ("auth-method", "POST"),
            ("auth-signin", "https://auth.test/start"),
            ("auth-signin-redirect-param", "orig"),
            ("auth-response-headers", "X-User, X-Groups"),
            ("auth-always-set-cookie", "true"),
        ];
        let (found, deny) = external(&pairs, &Globals::default());
        let found = found.unwrap();
        assert_eq!((found.method.as_deref(), deny), (Some("POST"), None));
        assert_eq!(found.signin.unwrap().parameter, "orig".into());
        assert_eq!(*found.response_fields, ["X-User".into(), "X-Groups".into()]);
        assert!(found.always_set_cookie);
    }

    #[test]
    fn annotation_auth_values_that_cannot_be_read_never_fail_open() {
        for (name, value) in [
            ("auth-url", "auth.test/check"),
            ("auth-url", "ftp://auth.test"),
            ("auth-url", "http:///check"),
            ("auth-url", "http://a..b/"),
            ("auth-url", "http://a/$request_body"),
            ("auth-method", "get"),
            ("auth-response-headers", "X User"),
            ("auth-always-set-cookie", "yes"),
            ("auth-request-redirect", "$nothing"),
            ("auth-proxy-set-headers", "missing"),
        ] {
            let pairs = if name == "auth-url" { vec![(name, value)] } else { vec![URL, (name, value)] };
            assert_eq!(external(&pairs, &Globals::default()).1, Some(503), "{name}: {value}");
        }
    }

    #[test]
    fn annotation_enable_global_auth_false_and_an_own_url_replace_the_global_one() {
        let auth = external(&[URL], &Globals::default()).0;
        let globals = Globals { external_auth: auth.clone(), ..Globals::default() };
        assert_eq!(external(&[], &globals).0, auth);
        assert_eq!(external(&[("enable-global-auth", "false")], &globals).0, None);
        assert_ne!(external(&[("auth-url", "http://own.test")], &globals).0, auth);
    }
}
