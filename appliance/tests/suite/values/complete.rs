//! No option is left out.

use std::collections::HashSet;

use ringress_config::annotation::{self, Priority};
use ringress_config::settings;

use super::{bad_annotations, bad_flags, bad_settings};

/// The flags of `docs/flags.md`, which a test in the crate holds against the tables; those of the logger are left out.
pub(super) fn flags() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/flags.md");
    let end = page.find("## Flags of ingress-nginx' logger").expect("the last heading");
    page[..end].lines().filter_map(|line| line.strip_prefix("| `--")?.split('`').next()).collect()
}

/// What of `wanted` is not in `had`.
fn lacking<'a>(wanted: impl IntoIterator<Item = &'a str>, had: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let had: HashSet<_> = had.into_iter().collect();
    wanted.into_iter().filter(|name| !had.contains(name)).collect()
}

fn is_common(priority: Priority) -> bool {
    matches!(priority, Priority::P0 | Priority::P1)
}

fn annotations() -> impl Iterator<Item = &'static annotation::Row> {
    annotation::rows().iter().filter(|row| is_common(row.priority))
}

fn keys() -> impl Iterator<Item = &'static settings::Row> {
    settings::rows().iter().filter(|row| is_common(row.priority))
}

#[test]
fn every_common_option_has_a_bad_value() {
    let had = bad_annotations::BAD.iter().map(|bad| bad.row);
    assert_eq!(lacking(annotations().map(|row| row.name), had), [""; 0], "annotations");
    let had = bad_settings::BAD.iter().map(|bad| bad.key).chain(bad_settings::ANY_TEXT.iter().map(|(key, _)| *key));
    assert_eq!(lacking(keys().map(|row| row.name), had), [""; 0], "ConfigMap keys");
    let had = bad_flags::BAD.iter().map(|(flag, _)| *flag).chain(bad_flags::ANY_TEXT.iter().map(|(flag, _)| *flag));
    assert_eq!(lacking(flags(), had), [""; 0], "flags");
}
