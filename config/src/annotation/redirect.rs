//! Group redirect: to https, elsewhere, to the application's start page, to the other name (reference 3.9).

use super::Annotations;
use crate::intent::RoutePolicy;
use crate::snapshot::{Redirect, Template};
use crate::value::{self, Expected, Source};

pub(super) fn read(source: &mut impl Source, policy: &mut RoutePolicy) {
    let https = &mut policy.https;
    for (name, field) in [
        ("ssl-redirect", &mut https.redirect),
        ("force-ssl-redirect", &mut https.force),
        ("preserve-trailing-slash", &mut https.keep_slash),
        ("use-port-in-redirects", &mut https.with_port),
    ] {
        if let Some(value) = source.get(name, value::bool) {
            *field = value;
        }
    }
    if let Some(relative) = source.get("relative-redirects", value::bool) {
        policy.filters.relative_redirects = relative;
    }
}

/// In front of the path of a redirect that is to be absolute: scheme of the connection and host as nginx has them, which
/// names a port only where `use-port-in-redirects` asks for one; `None` where redirects are relative.
pub(super) fn place(policy: &RoutePolicy) -> Option<&'static str> {
    match (policy.filters.relative_redirects, policy.https.with_port) {
        (true, _) => None,
        (false, true) => Some("$scheme://$http_host"),
        (false, false) => Some("$scheme://$host"),
    }
}

/// `temporal-redirect` hides `permanent-redirect`. `place` goes before a target that is a path.
pub(super) fn read_target(annotations: &mut Annotations<'_>, place: Option<&str>) -> Option<Redirect> {
    let permanent_status = status(annotations, "permanent-redirect-code", 308).unwrap_or(301);
    let temporal_status = status(annotations, "temporal-redirect-code", 307).unwrap_or(302);
    let literal = annotations.validates();
    let target = |text: &str| target(text, place, literal);
    let permanent = annotations.get("permanent-redirect", target);
    if annotations.text("temporal-redirect").is_some() {
        let location = annotations.get("temporal-redirect", target)?;
        if !annotations.text("temporal-redirect").is_some_and(|text| text.starts_with("http")) {
            annotations.warn("temporal-redirect", "is no http(s) URL; there is no redirect".into());
            return None;
        }
        return Some(Redirect { status: temporal_status, location, cut_slash: false });
    }
    Some(Redirect { status: permanent_status, location: permanent?, cut_slash: false })
}

/// A number out of range is reported and counts as absent; what is no number refuses the Ingress.
fn status(annotations: &mut Annotations<'_>, name: &str, max: u32) -> Option<u16> {
    let status = annotations.get(name, value::number_or_none)?;
    if (300..=max).contains(&status) {
        return u16::try_from(status).ok();
    }
    annotations.warn(name, format!("{status} is not within 300 to {max}; the default is used"));
    None
}

/// A URL as it is (`literal`) or with variables, or a path of the host that was asked for, with its place before it.
fn target(text: &str, place: Option<&str>, literal: bool) -> Result<Template, Expected> {
    const EXPECTED: Expected = "a URL or path without $, blanks and quotes";
    let has_bad = |bad: &[u8]| text.bytes().any(|b| !b.is_ascii_graphic() || bad.contains(&b));
    if has_bad(b"\"'\\;<>^`|") || literal && has_bad(b"${}") {
        return Err(EXPECTED);
    }
    match place.filter(|_| text.starts_with('/') && !text.starts_with("//")) {
        Some(place) => Template::parse(&format!("{place}{text}")).map_err(|_| EXPECTED),
        None if literal => Ok(Template::literal(text)),
        None => Template::parse(text).map_err(|_| "a URL or path with variables of the supported list"),
    }
}

pub(super) fn read_app_root(annotations: &mut Annotations<'_>) -> Option<Redirect> {
    let location = annotations.get("app-root", |text| {
        const EXPECTED: Expected = "a path, with variables of the supported list";
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/:$?=&%#+,@!{}".contains(&b));
        if !clean || !text.starts_with('/') {
            return Err(EXPECTED);
        }
        Template::parse(&format!("$scheme://$http_host{text}")).map_err(|_| EXPECTED)
    })?;
    Some(Redirect { status: 302, location, cut_slash: false })
}

pub(super) fn read_from_to_www(annotations: &mut Annotations<'_>) -> bool {
    annotations.get("from-to-www-redirect", value::bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn redirect(pairs: &[(&str, &str)]) -> (Option<(u16, Template)>, bool, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let redirect = read_target(&mut annotations, Some("$scheme://$host")).map(|r| (r.status, r.location));
        (redirect, annotations.outcome().refused, annotations.into_findings().len())
    }

    const PERMANENT: (&str, &str) = ("permanent-redirect", "https://w.test/n");

    #[test]
    fn annotation_permanent_redirect_has_a_code_within_its_range() {
        let to = |status| Some((status, Template::literal("https://w.test/n")));
        assert_eq!(redirect(&[PERMANENT]), (to(301), false, 0));
        assert_eq!(redirect(&[PERMANENT, ("permanent-redirect-code", "308")]), (to(308), false, 0));
        assert_eq!(redirect(&[PERMANENT, ("permanent-redirect-code", "399")]), (to(301), false, 1));
        assert!(redirect(&[PERMANENT, ("permanent-redirect-code", "x")]).1);
    }

    #[test]
    fn annotation_temporal_redirect_hides_the_permanent_one() {
        let temporal = redirect(&[PERMANENT, ("temporal-redirect", "https://t.test")]).0;
        assert_eq!(temporal, Some((302, Template::literal("https://t.test"))));
        assert_eq!(redirect(&[PERMANENT, ("temporal-redirect", "/t")]), (None, false, 1));
    }

    #[test]
    fn annotation_redirect_with_a_variable_refuses_the_ingress() {
        for name in ["permanent-redirect", "temporal-redirect"] {
            let pairs = [(name, "https://w.test$request_uri")];
            assert!(redirect(&pairs).1, "{name}");
            let (ingress, object) = (annotated(&pairs), reference());
            let annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            let found = read_target(&mut annotations.validating(false), None).map(|found| found.location);
            assert_eq!(found, Template::parse("https://w.test$request_uri").ok(), "{name}");
        }
    }

    #[test]
    fn annotation_app_root_is_a_path() {
        let root = |text| {
            let (ingress, object) = (annotated(&[("app-root", text)]), reference());
            read_app_root(&mut Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io"))
        };
        let location = Template::parse("$scheme://$http_host/foo").unwrap();
        assert_eq!(root("/foo"), Some(Redirect { status: 302, location, cut_slash: false }));
        assert_eq!((root("foo"), root("/a b"), root("/$nothing")), (None, None, None));
    }
}
