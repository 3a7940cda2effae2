//! No option is left out.

use std::collections::HashSet;

use ringress_config::annotation::{self, Priority, Support};
use ringress_config::settings;

use super::{bad_annotations, bad_flags, bad_settings, effects, proofs, setting_effects};

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

#[test]
fn every_common_option_has_an_effect_that_is_seen() {
    let acts = |support| !matches!(support, Support::Ignored(_));
    let had = effects::EFFECTS.iter().map(|effect| effect.row).chain(proofs::ANNOTATIONS.iter().map(|(row, _)| *row));
    let wanted = annotations().filter(|row| acts(row.support)).map(|row| row.name);
    assert_eq!(lacking(wanted, had), [""; 0], "annotations");
    let had = setting_effects::EFFECTS.iter().map(|effect| effect.key).chain(proofs::KEYS.iter().map(|(key, _)| *key));
    assert_eq!(lacking(keys().filter(|row| acts(row.support)).map(|row| row.name), had), [""; 0], "ConfigMap keys");
    let page = include_str!("../../../../docs/flags.md");
    let (_, page) = page.split_once("## Flags of ingress-nginx\n").expect("the heading");
    let carried_out = page.lines().filter(|line| line.contains(" | yes | ") || line.contains(" | with a difference: "));
    let carried_out = carried_out.filter_map(|line| line.strip_prefix("| `--")?.split('`').next());
    let wanted = carried_out.filter(|name| !SEEN_IN_UNITS.contains(name));
    assert_eq!(lacking(wanted, proofs::FLAGS.iter().map(|(flag, _)| *flag)), [""; 0], "flags");
}

/// Whose effect a unit shows: nothing that is sent to the health port makes an answer there take long.
const SEEN_IN_UNITS: [&str; 1] = ["health-check-timeout"];

#[test]
fn every_proof_is_a_test_that_names_the_option() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let cases = std::fs::read_to_string(folder.join("conformance.list")).expect("the list of cases");
    for (option, proof) in [proofs::ANNOTATIONS, proofs::KEYS, proofs::FLAGS].concat() {
        let Some((file, test)) = proof.split_once("::") else {
            assert!(cases.lines().any(|line| line == proof), "{option}: there is no case {proof}");
            continue;
        };
        let path = folder.join("suite").join(file).with_extension("rs");
        let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.contains(&format!("\nfn {test}() {{")), "{option}: there is no test {proof}");
        if proofs::FLAGS.contains(&(option, proof)) {
            text.push_str(include_str!("../support/process.rs"));
        }
        // Some files put the prefix of their group before the name.
        let short = option.trim_start_matches("ringress.io/");
        let ending = short.strip_prefix("health-check").filter(|ending| !ending.is_empty()).unwrap_or(short);
        assert!(text.contains(ending), "{option}: {proof} does not name it");
    }
}
