//! Group cors (reference 3.16).

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::{Cors, OriginPattern, Origins};
use crate::value::{self, Expected, Source as _};

const METHODS: &str = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
const HEADERS: &str = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,\
                       Authorization";
/// Twenty days.
const MAX_AGE: i32 = 1_728_000;

pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<Arc<Cors>> {
    annotations.get("enable-cors", value::bool).filter(|on| *on)?;
    Some(Arc::new(Cors {
        origins: read_origins(annotations),
        methods: annotations.get("cors-allow-methods", words).unwrap_or_else(|| METHODS.into()),
        headers: annotations.get("cors-allow-headers", words).unwrap_or_else(|| HEADERS.into()),
        credentials: annotations.get("cors-allow-credentials", value::bool).unwrap_or(true),
        expose: annotations.get("cors-expose-headers", words).unwrap_or_default(),
        max_age: annotations.get("cors-max-age", seconds).unwrap_or(MAX_AGE),
    }))
}

/// Go's `Atoi`; below 0 browsers keep nothing.
fn seconds(text: &str) -> Result<i32, Expected> {
    text.parse().map_err(|_| "a number of seconds, without unit")
}

/// A list whose value is sent as it is written.
fn words(text: &str) -> Result<Box<str>, Expected> {
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_, *".contains(&b));
    if clean { Ok(text.into()) } else { Err("a list of names") }
}

/// What of a list is no origin is left out: one slip must not let everybody in.
fn read_origins(annotations: &mut Annotations<'_>) -> Origins {
    const NAME: &str = "cors-allow-origin";
    let Some((origins, left_out)) = annotations.get(NAME, origins) else { return Origins::Any };
    for text in left_out {
        annotations.warn(NAME, format!("`{text}` is no origin, such as https://*.example.com:8443; it is left out"));
    }
    origins
}

/// The origins of a list, and its parts that are none.
fn origins(text: &str) -> Result<(Origins, Vec<Box<str>>), Expected> {
    const EXPECTED: Expected = "a list of origins, such as https://example.com, https://*.example.com:8443 or *";
    let parts: Vec<_> = value::list(text).collect();
    if parts.contains(&"*") {
        return Ok((Origins::Any, Vec::new()));
    }
    let (mut list, mut left_out) = (Vec::new(), Vec::<Box<str>>::new());
    for part in parts {
        match origin(part) {
            Some(origin) => list.push(origin),
            None => left_out.push(part.into()),
        }
    }
    // As with ingress-nginx: what its validation refuses leaves the default, and other slips leave nobody.
    let is_refused = list.is_empty() && !left_out.iter().all(|part| resembles_origin(part));
    if is_refused { Err(EXPECTED) } else { Ok((Origins::List(list.into()), left_out)) }
}

/// Whether it has the letters of an origin, though perhaps no scheme.
fn resembles_origin(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, authority)| authority);
    let authority = authority.strip_prefix("*.").unwrap_or(authority);
    authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b))
}

fn origin(text: &str) -> Option<OriginPattern> {
    if text == "null" {
        return Some(OriginPattern::Exact(text.into()));
    }
    let (scheme, authority) = text.split_once("://")?;
    let name = authority.strip_prefix("*.").unwrap_or(authority);
    let host = name.split_once(':').map_or(name, |(host, _)| host);
    let port = name.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok());
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !(is_scheme && is_host && port) {
        return None;
    }
    Some(match authority.strip_prefix('*') {
        Some(after) => OriginPattern::OneLabel { before: format!("{scheme}://").into(), after: after.into() },
        None => OriginPattern::Exact(text.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn cors(pairs: &[(&str, &str)]) -> (Option<Arc<Cors>>, usize) {
        let mut all = vec![("enable-cors", "true")];
        all.extend(pairs);
        let (ingress, object) = (annotated(&all), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let cors = read(&mut annotations);
        (cors, annotations.into_findings().len())
    }

    #[test]
    fn annotation_cors_defaults() {
        let cors = cors(&[]).0.unwrap();
        assert_eq!((&cors.origins, cors.credentials, cors.max_age), (&Origins::Any, true, 1_728_000));
        assert_eq!((&*cors.methods, &*cors.expose), (METHODS, ""));
        assert!(cors.headers.starts_with("DNT,") && cors.headers.ends_with("Range,Authorization"));
    }

    #[test]
    fn annotation_cors_allow_origin_is_a_list() {
        let cors = cors(&[("cors-allow-origin", "https://one.test, https://*.two.test:8443")]).0.unwrap();
        let one = OriginPattern::Exact("https://one.test".into());
        let two = OriginPattern::OneLabel { before: "https://".into(), after: ".two.test:8443".into() };
        assert_eq!(cors.origins, Origins::List([one, two].into()));
    }

    #[test]
    fn annotation_cors_allow_origin_keeps_the_origins_beside_a_slip() {
        let (cors, findings) = cors(&[("cors-allow-origin", "*.two.test, https://one.test")]);
        let one = OriginPattern::Exact("https://one.test".into());
        assert_eq!((&cors.unwrap().origins, findings), (&Origins::List([one].into()), 1));
    }

    #[test]
    fn annotation_cors_allow_origin_of_slips_alone_allows_nobody() {
        for (slips, number) in [("one.test", 1), ("*.one.test, foo.test:80", 2)] {
            let (cors, findings) = cors(&[("cors-allow-origin", slips)]);
            assert_eq!((&cors.unwrap().origins, findings), (&Origins::List(Box::default()), number), "{slips}");
        }
    }

    #[test]
    fn annotation_cors_bad_values_leave_the_default_with_a_warning() {
        for (name, value) in [
            ("cors-allow-origin", "https://*"),
            ("cors-allow-methods", "GET; PUT"),
            ("cors-max-age", "1h"),
            ("cors-allow-credentials", "yes"),
        ] {
            let default = cors(&[]).0;
            assert_eq!(cors(&[(name, value)]), (default, 1), "{name}: {value}");
        }
    }
}
