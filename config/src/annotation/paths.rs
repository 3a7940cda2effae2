//! The own annotations about single paths: denied ones, and a map of redirects.

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::{DeniedPaths, Redirect, Redirects, Search, Template};
use crate::value::{self, Expected, Source as _};

/// A list that cannot be read denies everything: it controls access.
pub(super) fn read_denied(annotations: &mut Annotations<'_>) -> Option<Arc<DeniedPaths>> {
    annotations.get("ringress.io/deny-paths", denied).map(Arc::new)
}

fn denied(text: &str) -> Result<DeniedPaths, Expected> {
    const EXPECTED: Expected = "lines of a path, or of ~ or ~* and a regular expression without look-around";
    let mut denied = DeniedPaths::default();
    let (mut prefixes, mut patterns) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let pattern =
            line.strip_prefix("~*").map(|text| (text, true)).or(line.strip_prefix('~').map(|text| (text, false)));
        match pattern {
            Some((text, blind)) if !text.trim().is_empty() => {
                patterns.push(Search::new(text.trim(), blind).map(Arc::new).map_err(|_| EXPECTED)?);
            }
            None if line.starts_with('/') => prefixes.push(line.trim_end_matches('/').into()),
            _ => return Err(EXPECTED),
        }
    }
    if prefixes.is_empty() && patterns.is_empty() {
        return Err(EXPECTED);
    }
    (denied.prefixes, denied.patterns) = (prefixes.into(), patterns.into());
    Ok(denied)
}

pub(super) fn read_redirects(annotations: &mut Annotations<'_>) -> Option<Arc<Redirects>> {
    annotations.get("ringress.io/redirects", redirects).map(Arc::new)
}

/// `/path target [status]`, one a line.
fn redirects(text: &str) -> Result<Redirects, Expected> {
    const EXPECTED: Expected = "lines of `/path target [status]`, each path once, the target a URL or path with variables \
                                of the supported list, the status 300 to 308";
    let mut redirects = Redirects::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_ascii_whitespace();
        let (Some(path), Some(target), status, None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err(EXPECTED);
        };
        let status = status.map_or(Some(301), |text| text.parse().ok()).filter(|status| (300..=308).contains(status));
        let location = location(target).ok_or(EXPECTED)?;
        let redirect = Redirect { status: status.ok_or(EXPECTED)?, location, cut_slash: false };
        if !path.starts_with('/') || redirects.by_path.insert(path.as_bytes().into(), redirect).is_some() {
            return Err(EXPECTED);
        }
    }
    Ok(redirects)
}

fn location(text: &str) -> Option<Template> {
    let is_url = ["http://", "https://"].iter().any(|start| text.starts_with(start));
    match text.starts_with('/') && !text.starts_with("//") {
        true => Template::parse(&format!("$pass_access_scheme://$http_host{text}")).ok(),
        false => Template::parse(text).ok().filter(|_| is_url),
    }
}

/// The status that every request is answered with.
pub(super) fn read_status(annotations: &mut Annotations<'_>) -> Option<u16> {
    annotations.get("ringress.io/return-status", |text| {
        let status = value::natural(text).ok().and_then(|status| u16::try_from(status).ok());
        let is_final = |status: &u16| matches!(status, 200..=299 | 400..=599);
        status
            .filter(is_final)
            .ok_or("a status from 200 to 299 or 400 to 599; for redirects there is permanent-redirect")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn with<T>(name: &str, value: &str, read: impl Fn(&mut Annotations<'_>) -> Option<T>) -> (Option<T>, bool, bool) {
        let (ingress, object) = (annotated(&[(name, value)]), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let found = read(&mut annotations);
        (found, annotations.outcome().refused, annotations.outcome().deny.is_some())
    }

    #[test]
    fn annotation_ringress_io_deny_paths_are_whole_segments_or_patterns() {
        let denied = with("ringress.io/deny-paths", "/admin/\n~ /\\.git\n~* \\.BAK$", read_denied).0.unwrap();
        for path in ["/admin", "/admin/x", "/a/.git/config", "/x.bak"] {
            assert!(denied.denies(path.as_bytes()), "{path}");
        }
        for path in ["/", "/administration", "/Admin", "/a/.Git", "/x.bak/y"] {
            assert!(!denied.denies(path.as_bytes()), "{path}");
        }
        let all = with("ringress.io/deny-paths", "/", read_denied).0.unwrap();
        assert!(all.denies(b"/") && all.denies(b"/x"));
    }

    #[test]
    fn annotation_ringress_io_deny_paths_that_cannot_be_read_deny_everything() {
        for value in ["admin", "~", "~ (", "~ (?=x)", "/a\nb"] {
            let (found, refused, denies) = with("ringress.io/deny-paths", value, read_denied);
            assert!(found.is_none() && !refused && denies, "{value}");
        }
    }

    #[test]
    fn annotation_ringress_io_redirects_are_a_map_of_paths() {
        let text = "/old https://n.test/new\n/a/b /c?x=$arg_x 308";
        let found = with("ringress.io/redirects", text, read_redirects).0.unwrap();
        let of = |path: &str| found.by_path.get(path.as_bytes()).map(|redirect| redirect.status);
        assert_eq!((of("/old"), of("/a/b"), of("/a")), (Some(301), Some(308), None));
        for value in ["/a", "a /b", "/a /b 200", "/a /b 301 x", "/a /b\n/a /c", "/a b.test", "/a //b", "/a /$nothing"] {
            assert!(with("ringress.io/redirects", value, read_redirects).1, "{value}");
        }
    }

    #[test]
    fn annotation_ringress_io_return_status_is_no_redirect() {
        for (value, status) in [("503", Some(503)), ("204", Some(204)), ("301", None), ("100", None), ("x", None)] {
            let (found, refused, _) = with("ringress.io/return-status", value, read_status);
            assert_eq!((found, refused), (status, status.is_none()), "{value}");
        }
    }
}
