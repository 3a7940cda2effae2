//! Group auth-external: another service decides (reference 3.13). The ConfigMap's `global-auth-*` say the same for
//! every Ingress that does not say otherwise.

use std::time::Duration;

use super::read::is_basic;
use super::{Annotations, headers};
use crate::settings::Globals;
use crate::snapshot::{Access, AuthCache, ExternalAuth, Signin, Template};
use crate::value::{self, Expected, Source};

/// How long answers are kept where nothing else is said.
const CACHED: Duration = Duration::from_secs(300);

/// Names of the options: the annotations' own, and those of the ConfigMap.
struct Names {
    url: &'static str,
    method: &'static str,
    signin: &'static str,
    parameter: &'static str,
    response_fields: &'static str,
    request_redirect: &'static str,
    always_set_cookie: &'static str,
    cache_key: &'static str,
    cache_duration: &'static str,
}

const OWN: Names = Names {
    url: "auth-url",
    method: "auth-method",
    signin: "auth-signin",
    parameter: "auth-signin-redirect-param",
    response_fields: "auth-response-headers",
    request_redirect: "auth-request-redirect",
    always_set_cookie: "auth-always-set-cookie",
    cache_key: "auth-cache-key",
    cache_duration: "auth-cache-duration",
};

const GLOBAL: Names = Names {
    url: "global-auth-url",
    method: "global-auth-method",
    signin: "global-auth-signin",
    parameter: "global-auth-signin-redirect-param",
    response_fields: "global-auth-response-headers",
    request_redirect: "global-auth-request-redirect",
    always_set_cookie: "global-auth-always-set-cookie",
    cache_key: "global-auth-cache-key",
    cache_duration: "global-auth-cache-duration",
};

/// `place` goes before a page to sign in at that is a path.
pub(super) fn read(annotations: &mut Annotations<'_>, globals: &Globals, place: Option<&str>, access: &mut Access) {
    let is_of_url = |byte| is_basic(byte) || b",?&=$".contains(&byte);
    annotations.is_legal(OWN.url, is_of_url, "a URL of letters, digits, variables and - . _ ~ : / , ? & =");
    let wants_global = annotations.get("enable-global-auth", value::bool).unwrap_or(true);
    access.external = match annotations.text(OWN.url) {
        Some(_) => read_named(annotations, &OWN),
        None => globals.external_auth.clone().filter(|_| wants_global),
    };
    let Some(external) = &mut access.external else { return };
    if let (Some(signin), Some(place)) = (&mut external.signin, place.and_then(|place| Template::parse(place).ok()))
        && signin.url.is_path()
    {
        signin.url = place.join(&signin.url);
    }
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
    let request_redirect = guarded(source, names.request_redirect, redirect_value);
    let always_set_cookie = guarded(source, names.always_set_cookie, value::bool).unwrap_or(false);
    let parameter = source.get(names.parameter, parameter).unwrap_or_else(|| "rd".into());
    let durations = guarded(source, names.cache_duration, durations);
    let durations = durations.unwrap_or_else(|| [200, 202, 401].map(|status| (status, CACHED)).into());
    let cache = source.get(names.cache_key, value::template).map(|key| AuthCache { key, durations });
    let signin = source.get(names.signin, url_with_scheme).map(|url| Signin { url, parameter });
    Some(ExternalAuth {
        url: url?,
        method,
        signin,
        response_fields: response_fields.unwrap_or_default(),
        request_redirect,
        always_set_cookie,
        request_fields: Box::default(),
        cache,
    })
}

/// A value without which the check would be another one: if it cannot be read, everything is refused.
fn guarded<T>(source: &mut impl Source, name: &str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<T> {
    let text = source.text(name)?.to_owned();
    parse(&text).map_err(|expected| source.deny(name, value::is_not(&text, expected))).ok()
}

pub(super) fn url(text: &str) -> Result<Template, Expected> {
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

/// What the service is told to send the client back to: a URL or a part of one.
fn redirect_value(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "a URL or path, with variables of the supported list";
    let clean = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\<>^`|;".contains(&b));
    if clean { Template::parse(text).map_err(|_| EXPECTED) } else { Err(EXPECTED) }
}

/// The name of a query parameter, which is written as it is.
fn parameter(text: &str) -> Result<Box<str>, Expected> {
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
    if clean { Ok(text.into()) } else { Err("a name of letters, digits and - _ . ~") }
}

/// Groups between commas, each of statuses and how long answers with them are kept: `200 202 10m, 401 5m`. As in nginx a
/// time alone is for 200, and `any` for every status; only those that let pass or refuse are ever kept.
fn durations(text: &str) -> Result<Box<[(u16, Duration)]>, Expected> {
    const EXPECTED: Expected = "a list of statuses and times, such as 200 202 10m, 401 5m";
    let mut all = Vec::new();
    for group in value::list(text) {
        let words: Vec<_> = group.split_ascii_whitespace().collect();
        let (time, statuses) = words.split_last().ok_or(EXPECTED)?;
        let time = value::time(time).map_err(|_| EXPECTED)?;
        match statuses {
            [] => all.push((200, time)),
            ["any"] => all.extend((200..300).chain([401, 403]).map(|status| (status, time))),
            statuses => {
                for status in statuses {
                    let status = status.parse().ok().filter(|status| (100..600).contains(status)).ok_or(EXPECTED)?;
                    all.push((status, time));
                }
            }
        }
    }
    if all.is_empty() { Err(EXPECTED) } else { Ok(all.into()) }
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
        read(&mut annotations, globals, Some("$scheme://$host"), &mut access);
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
            ("auth-request-redirect", "no url"),
            ("auth-proxy-set-headers", "missing"),
        ] {
            let pairs = if name == "auth-url" { vec![(name, value)] } else { vec![URL, (name, value)] };
            assert_eq!(external(&pairs, &Globals::default()).1, Some(503), "{name}: {value}");
        }
    }

    #[test]
    fn annotation_auth_url_with_what_no_url_may_hold_keeps_the_ingress_out() {
        let outcome = |value: &str, validates| {
            let (ingress, object) = (annotated(&[("auth-url", value)]), reference());
            let annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            let mut annotations = annotations.validating(validates);
            read(&mut annotations, &Globals::default(), None, &mut Access::default());
            annotations.outcome()
        };
        for odd in "\"'{}`\\<>;#%+@|^!*()[]\u{e9}".chars() {
            let url = format!("http://a.test/{odd}");
            assert!(outcome(&url, true).refused, "{url}");
            assert!(!outcome(&url, false).refused, "{url}");
        }
        assert!(!outcome("https://a-1.test:8443/x_y/~z,?a=$arg_b&c=d", true).refused);
    }

    #[test]
    fn annotation_auth_cache_key_keeps_answers_for_the_durations() {
        let cache = |pairs: &[(&str, &str)]| {
            let (found, deny) = external(&[&[URL], pairs].concat(), &Globals::default());
            (found.and_then(|auth| auth.cache).map(|cache| cache.durations.to_vec()), deny)
        };
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let key = ("auth-cache-key", "$remote_user$http_authorization");
        assert_eq!(cache(&[key]).0.unwrap(), [(200, minutes(5)), (202, minutes(5)), (401, minutes(5))]);
        assert_eq!(
            cache(&[key, ("auth-cache-duration", "200 10m, 401 1m")]).0.unwrap(),
            [(200, minutes(10)), (401, minutes(1))]
        );
        assert_eq!(cache(&[key, ("auth-cache-duration", "any 1m")]).0.unwrap().len(), 102);
        assert_eq!(cache(&[("auth-cache-duration", "200 10m")]), (None, None));
        assert_eq!(cache(&[("auth-cache-key", "$nothing")]), (None, None));
        for bad in ["200 x", "20 5m", "200 any 5m", ","] {
            assert_eq!(cache(&[key, ("auth-cache-duration", bad)]).1, Some(503), "{bad}");
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
