//! Group canary, the own annotations: which requests a canary is for.

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::{RequestMatch, Search, ValueMatch};
use crate::value::{self, Expected, Source as _};

pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<Arc<RequestMatch>> {
    let found = RequestMatch {
        methods: annotations.get("ringress.io/match-method", methods).unwrap_or_default(),
        fields: annotations.get("ringress.io/match-header", fields).unwrap_or_default(),
        arguments: annotations.get("ringress.io/match-query", arguments).unwrap_or_default(),
    };
    (found != RequestMatch::default()).then(|| Arc::new(found))
}

fn methods(text: &str) -> Result<Box<[Box<str>]>, Expected> {
    const EXPECTED: Expected = "a list of methods in capital letters, such as GET, POST";
    let is_method = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let method = |name: &str| if is_method(name) { Ok(name.into()) } else { Err(EXPECTED) };
    let methods: Box<[_]> = value::list(text).map(method).collect::<Result<_, _>>()?;
    if methods.is_empty() { Err(EXPECTED) } else { Ok(methods) }
}

type Matches = Box<[(Box<str>, ValueMatch)]>;

fn fields(text: &str) -> Result<Matches, Expected> {
    const EXPECTED: Expected = "lines of `Name`, `Name: value` or `Name: ~pattern`";
    lines(text, ':', |name| value::field_name(name).ok()).ok_or(EXPECTED)
}

fn arguments(text: &str) -> Result<Matches, Expected> {
    const EXPECTED: Expected = "lines of `name`, `name=value` or `name=~pattern`, as they are sent";
    let clean = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"=&?#".contains(&b));
    lines(text, '=', |name| clean(name).then(|| name.into())).ok_or(EXPECTED)
}

/// Names with what their values have to be, one a line; nothing is no condition.
fn lines(text: &str, separator: char, name: impl Fn(&str) -> Option<Box<str>>) -> Option<Matches> {
    let line = |line: &str| {
        let (left, right) = line.split_once(separator).map_or((line, None), |(left, right)| (left, Some(right.trim())));
        let value = match right {
            None => ValueMatch::Any,
            Some(text) => match text.strip_prefix('~') {
                Some(pattern) => ValueMatch::Pattern(Arc::new(Search::new(pattern.trim(), false).ok()?)),
                None => ValueMatch::Exact(text.into()),
            },
        };
        Some((name(left.trim())?, value))
    };
    let lines: Matches =
        text.lines().map(str::trim).filter(|text| !text.is_empty()).map(line).collect::<Option<_>>()?;
    (!lines.is_empty()).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn found(name: &str, value: &str) -> (Option<Arc<RequestMatch>>, bool) {
        let (ingress, object) = (annotated(&[(name, value)]), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        (read(&mut annotations), annotations.outcome().refused)
    }

    #[test]
    fn annotation_ringress_io_match_reads_names_values_and_patterns() {
        let fields = found("ringress.io/match-header", "X-A\nX-B: b c\nX-C: ~^v[12]$").0.unwrap();
        let of = |at: usize, value: &[u8]| fields.fields[at].1.is_met(value);
        assert!(of(0, b"") && of(1, b"b c") && !of(1, b"b") && of(2, b"v2") && !of(2, b"v3"));
        assert_eq!(found("ringress.io/match-query", "a=1\nb").0.unwrap().arguments.len(), 2);
        assert_eq!(found("ringress.io/match-method", "GET, M-SEARCH").0.unwrap().methods.len(), 2);
    }

    #[test]
    fn annotation_ringress_io_match_that_cannot_be_read_refuses_the_ingress() {
        for (name, value) in [
            ("ringress.io/match-header", "a b: c"),
            ("ringress.io/match-header", "X: ~("),
            ("ringress.io/match-query", "=1"),
            ("ringress.io/match-method", "get"),
            ("ringress.io/match-method", ","),
        ] {
            assert_eq!(found(name, value), (None, true), "{name}: {value}");
        }
    }
}
