//! Group session-affinity: a cookie that holds a client on one endpoint (reference 3.17).

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::Affinity;
use crate::value::{self, Expected, Source as _};

const CANARY: &str = "affinity-canary-behavior";

/// All that need `affinity: cookie`.
const NAMES: [&str; 10] = [
    "affinity-mode",
    "session-cookie-name",
    "session-cookie-path",
    "session-cookie-domain",
    "session-cookie-max-age",
    "session-cookie-expires",
    "session-cookie-samesite",
    "session-cookie-conditional-samesite-none",
    "session-cookie-secure",
    "session-cookie-change-on-failure",
];

/// The cookie that routes issue.
pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<Arc<Affinity>> {
    if annotations.text(CANARY).is_some() {
        annotations.warn(CANARY, "acts on an Ingress with canary: true only".into());
    }
    if annotations.get("affinity", kind).is_none() {
        for name in NAMES.into_iter().filter(|name| annotations.text(name).is_some()).collect::<Vec<_>>() {
            annotations.warn(name, "has no effect without affinity: cookie".into());
        }
        return None;
    }
    let flag = |annotations: &mut Annotations<'_>, name| annotations.get(name, value::bool).unwrap_or(false);
    Some(Arc::new(Affinity {
        cookie: annotations.get("session-cookie-name", cookie_name).unwrap_or_else(|| "INGRESSCOOKIE".into()),
        persistent: annotations.get("affinity-mode", mode).unwrap_or(false),
        path: annotations.get("session-cookie-path", attribute),
        domain: annotations.get("session-cookie-domain", attribute),
        max_age: annotations.get("session-cookie-max-age", seconds),
        expires: annotations.get("session-cookie-expires", seconds),
        same_site: annotations.get("session-cookie-samesite", same_site),
        conditional_same_site_none: flag(annotations, "session-cookie-conditional-samesite-none"),
        secure: flag(annotations, "session-cookie-secure"),
        change_on_failure: flag(annotations, "session-cookie-change-on-failure"),
    }))
}

/// Whether clients stay with a canary that took one of their requests.
pub(super) fn read_canary(annotations: &mut Annotations<'_>) -> bool {
    annotations.get(CANARY, canary).unwrap_or(true)
}

fn kind(text: &str) -> Result<(), Expected> {
    if text == "cookie" { Ok(()) } else { Err("cookie") }
}

/// Whether the mode is `persistent`.
fn mode(text: &str) -> Result<bool, Expected> {
    match text {
        "balanced" => Ok(false),
        "persistent" => Ok(true),
        _ => Err("balanced or persistent"),
    }
}

/// Whether the behaviour is `sticky`.
fn canary(text: &str) -> Result<bool, Expected> {
    match text {
        "sticky" => Ok(true),
        "legacy" => Ok(false),
        _ => Err("sticky or legacy"),
    }
}

fn cookie_name(text: &str) -> Result<Box<str>, Expected> {
    value::field_name(text).map_err(|_| "the name of a cookie")
}

/// Text that ends no attribute of a cookie.
fn attribute(text: &str) -> Result<Box<str>, Expected> {
    let is_safe = text.bytes().all(|byte| byte.is_ascii_graphic() && !b";,".contains(&byte));
    if is_safe { Ok(text.into()) } else { Err("visible text without `;` and `,`") }
}

fn seconds(text: &str) -> Result<i64, Expected> {
    text.parse().map_err(|_| "a number of seconds, without unit")
}

fn same_site(text: &str) -> Result<Box<str>, Expected> {
    let known = ["None", "Lax", "Strict"].iter().any(|known| known.eq_ignore_ascii_case(text));
    if known { Ok(text.into()) } else { Err("None, Lax or Strict") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    const COOKIE: (&str, &str) = ("affinity", "cookie");

    fn affinity(pairs: &[(&str, &str)]) -> (Option<Arc<Affinity>>, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let read = read(&mut annotations);
        (read, annotations.into_findings().len())
    }

    fn default() -> Affinity {
        Affinity {
            cookie: "INGRESSCOOKIE".into(),
            persistent: false,
            path: None,
            domain: None,
            max_age: None,
            expires: None,
            same_site: None,
            conditional_same_site_none: false,
            secure: false,
            change_on_failure: false,
        }
    }

    #[test]
    fn annotation_affinity_is_cookie_or_nothing() {
        assert_eq!(affinity(&[COOKIE]), (Some(Arc::new(default())), 0));
        assert_eq!(affinity(&[("affinity", "ip")]), (None, 1));
        assert_eq!(affinity(&[("session-cookie-name", "A"), ("affinity-mode", "persistent")]), (None, 2));
    }

    #[test]
    fn annotation_session_cookie_attributes_act() {
        let (read, findings) = affinity(&[
            COOKIE,
            ("affinity-mode", "persistent"),
            ("session-cookie-name", "SERVERID"),
            ("session-cookie-path", "/something"),
            ("session-cookie-domain", "a.test"),
            ("session-cookie-max-age", "60"),
            ("session-cookie-expires", "-1"),
            ("session-cookie-samesite", "lax"),
            ("session-cookie-conditional-samesite-none", "true"),
            ("session-cookie-secure", "true"),
            ("session-cookie-change-on-failure", "true"),
        ]);
        let expected = Affinity {
            cookie: "SERVERID".into(),
            persistent: true,
            path: Some("/something".into()),
            domain: Some("a.test".into()),
            max_age: Some(60),
            expires: Some(-1),
            same_site: Some("lax".into()),
            conditional_same_site_none: true,
            secure: true,
            change_on_failure: true,
        };
        assert_eq!((read.as_deref(), findings), (Some(&expected), 0));
    }

    #[test]
    fn annotation_session_cookie_bad_values_leave_the_default_with_a_warning() {
        for (name, value) in [
            ("affinity-mode", "sticky"),
            ("session-cookie-name", "a=b"),
            ("session-cookie-path", "/a; Secure"),
            ("session-cookie-domain", "a.test,b.test"),
            ("session-cookie-max-age", "1h"),
            ("session-cookie-expires", "tomorrow"),
            ("session-cookie-samesite", "Loose"),
            ("session-cookie-conditional-samesite-none", "on"),
            ("session-cookie-secure", "yes"),
            ("session-cookie-change-on-failure", "yes"),
            ("affinity-canary-behavior", "sticky"),
        ] {
            assert_eq!(affinity(&[COOKIE, (name, value)]), (Some(Arc::new(default())), 1), "{name}: {value}");
        }
    }

    #[test]
    fn annotation_affinity_canary_behavior_is_sticky_unless_legacy() {
        for (value, expected) in [("sticky", true), ("legacy", false), ("loose", true)] {
            let (ingress, object) = (annotated(&[(CANARY, value)]), reference());
            let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            assert_eq!(read_canary(&mut annotations), expected, "{value}");
        }
    }
}
