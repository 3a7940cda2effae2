//! Group canary: an Ingress that takes a share of another one's requests (reference 3.17).

use std::sync::Arc;

use super::{Annotations, Group, Row, Support, matching};
use crate::intent::CanaryRule;
use crate::snapshot::{CanaryHeader, Search};
use crate::value::{self, Expected, Source as _};

/// All but `canary` itself.
const NAMES: [&str; 10] = [
    "canary-weight",
    "canary-weight-total",
    "canary-by-header",
    "canary-by-header-value",
    "canary-by-header-pattern",
    "canary-by-cookie",
    "ringress.io/canary-order",
    "ringress.io/match-header",
    "ringress.io/match-query",
    "ringress.io/match-method",
];

pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<CanaryRule> {
    if !annotations.get("canary", value::bool).unwrap_or(false) {
        for name in NAMES.into_iter().filter(|name| annotations.text(name).is_some()).collect::<Vec<_>>() {
            annotations.warn(name, "has no effect without canary: true".into());
        }
        return None;
    }
    let total = annotations.get("canary-weight-total", value::number_or_none).unwrap_or(100).max(100);
    let matches = matching::read(annotations);
    let rules = ["canary-by-header", "canary-by-cookie", "canary-weight"];
    // Without a rule of its own it takes every request that it is for.
    let takes_all = matches.is_some() && rules.iter().all(|name| annotations.text(name).is_none());
    let weight = annotations.get("canary-weight", value::number_or_none).unwrap_or(0);
    Some(CanaryRule {
        matches,
        header: header(annotations),
        cookie: annotations.get("canary-by-cookie", cookie),
        weight: if takes_all { total } else { weight },
        total,
        sticky: true,
        order: annotations.get("ringress.io/canary-order", value::natural),
    })
}

/// Names what does not act on a canary Ingress: all but its own rules and how its clusters are asked (`createUpstreams`).
pub(super) fn report_idle(annotations: &mut Annotations<'_>) {
    const OTHERS: [&str; 4] =
        ["affinity-canary-behavior", "service-upstream", "ringress.io/upstream-address", "kubernetes.io/ingress.class"];
    let acts = |row: &Row| matches!(row.group, Group::Canary | Group::LoadBalance) || OTHERS.contains(&row.name);
    for (name, value, row) in annotations.known() {
        let Some(row) = row.filter(|row| !value.is_empty() && row.default != value) else { continue };
        // The others are told by their rows.
        let is_read = matches!(row.support, Support::Honoured | Support::Except(_) | Support::Differs(_));
        if is_read && !acts(row) {
            annotations.note(name, "has no effect on a canary: its requests are treated as its main Ingress says");
        }
    }
}

fn header(annotations: &mut Annotations<'_>) -> Option<(Box<str>, CanaryHeader)> {
    if annotations.text("canary-by-header").is_none() {
        let needing = ["canary-by-header-value", "canary-by-header-pattern"];
        for name in needing.into_iter().filter(|name| annotations.text(name).is_some()).collect::<Vec<_>>() {
            annotations.warn(name, "has no effect without canary-by-header".into());
        }
    }
    let name = annotations.get("canary-by-header", value::field_name)?;
    let rule = match annotations.text("canary-by-header-value") {
        Some(value) => CanaryHeader::Value(value.into()),
        None if annotations.text("canary-by-header-pattern").is_some() => {
            annotations.get("canary-by-header-pattern", pattern).map_or(CanaryHeader::Broken, CanaryHeader::Pattern)
        }
        None => CanaryHeader::Always,
    };
    Some((name, rule))
}

fn pattern(text: &str) -> Result<Arc<Search>, Expected> {
    Search::new(text, false).map(Arc::new).map_err(|_| "a regular expression without look-around and back-references")
}

fn cookie(text: &str) -> Result<Box<str>, Expected> {
    value::field_name(text).map_err(|_| "the name of a cookie")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn rule(pairs: &[(&str, &str)]) -> (Option<CanaryRule>, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let rule = read(&mut annotations);
        (rule, annotations.into_findings().len())
    }

    const CANARY: (&str, &str) = ("canary", "true");

    #[test]
    fn annotation_canary_weight_is_of_at_least_a_hundred() {
        for (weight, total, expected) in
            [("5", "1000", (5, 1000)), ("5", "10", (5, 100)), ("-5", "x", (0, 100)), ("x", "200", (0, 200))]
        {
            let rule = rule(&[CANARY, ("canary-weight", weight), ("canary-weight-total", total)]).0.unwrap();
            assert_eq!((rule.weight, rule.total), expected);
        }
    }

    #[test]
    fn annotation_canary_by_header_value_wins_over_the_pattern() {
        let header = ("canary-by-header", "X-C");
        let (value, pattern) = (("canary-by-header-value", "yes"), ("canary-by-header-pattern", "^y"));
        let found = |pairs: &[(&str, &str)]| rule(pairs).0.unwrap().header.map(|(_, rule)| rule);
        assert_eq!(found(&[CANARY, header]), Some(CanaryHeader::Always));
        assert_eq!(found(&[CANARY, header, value, pattern]), Some(CanaryHeader::Value("yes".into())));
        assert!(matches!(found(&[CANARY, header, pattern]), Some(CanaryHeader::Pattern(_))));
        assert_eq!(found(&[CANARY, value]), None);
        let broken = ("canary-by-header-pattern", "(?=y)");
        assert_eq!(found(&[CANARY, header, broken]), Some(CanaryHeader::Broken));
        assert_eq!(rule(&[CANARY, header, broken]).1, 1);
    }

    #[test]
    fn annotation_ringress_io_match_alone_takes_all_and_beside_a_weight_some() {
        let method = ("ringress.io/match-method", "POST");
        let all = rule(&[CANARY, method]).0.unwrap();
        assert_eq!((all.weight, all.total, all.matches.is_some()), (100, 100, true));
        assert_eq!(rule(&[CANARY, method, ("canary-weight", "7")]).0.unwrap().weight, 7);
        assert_eq!(rule(&[method]), (None, 1));
    }

    #[test]
    fn annotation_ringress_io_canary_order_is_a_number() {
        assert_eq!(rule(&[CANARY, ("ringress.io/canary-order", "2")]).0.unwrap().order, Some(2));
        assert_eq!(rule(&[CANARY, ("ringress.io/canary-order", "first")]).1, 1);
    }

    #[test]
    fn annotation_canary_beside_what_does_not_act_on_one_is_told_of_it() {
        let (ingress, object) = (
            annotated(&[
                CANARY,
                ("canary-weight", "5"),
                ("load-balance", "ewma"),
                ("service-upstream", "true"),
                ("affinity-canary-behavior", "legacy"),
                ("auth-url", "http://a.test/"),
                ("affinity", "cookie"),
                ("ssl-redirect", "true"),
                ("client-body-buffer-size", "8k"),
            ]),
            reference(),
        );
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        report_idle(&mut annotations);
        let findings = annotations.into_findings();
        let fields: Vec<_> = findings.iter().filter_map(|finding| finding.field.rsplit('/').next()).collect();
        assert_eq!(fields, ["affinity", "auth-url"]);
        assert!(findings.iter().all(|finding| finding.severity == crate::diagnostics::Severity::Info));
    }

    #[test]
    fn annotation_canary_rules_without_canary_are_reported() {
        assert_eq!(rule(&[("canary-weight", "50"), ("canary-by-cookie", "c")]), (None, 2));
    }
}
