//! Objects and expressions that strangers write: the fuzzers' seeds with random changes, and random text, on stable.

#[path = "strangers/checks.rs"]
mod checks;

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../appliance/fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the seeds").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("readable")).collect();
    assert!(seeds.len() >= 4, "{target} has seeds");
    seeds
}

#[test]
fn seeds_of_manifests() {
    seeds("manifests").iter().for_each(|seed| checks::manifests(seed));
}

#[test]
fn seeds_of_patterns() {
    for seed in seeds("patterns") {
        checks::patterns(&seed);
        for place in 0..seed.len() {
            let (before, behind) = seed.split_at(place);
            checks::patterns(before);
            checks::patterns(&[before, &behind[1..]].concat());
            for other in b"()[]{}|*+?^$.\\a0-" {
                checks::patterns(&[before, &[*other], &behind[1..]].concat());
            }
        }
    }
}

/// A seed with parts of it replaced by parts of itself, by numbers or by nothing.
fn changed(mut seed: Vec<u8>, changes: &[(u16, u16, u8, String)]) -> Vec<u8> {
    for (from, other, length, text) in changes {
        let from = usize::from(*from) % seed.len().max(1);
        let end = (from + usize::from(*length)).min(seed.len());
        let replaced = match other % 3 {
            0 => text.clone().into_bytes(),
            1 => Vec::new(),
            _ => {
                let at = usize::from(*other) % seed.len().max(1);
                seed[at..(at + usize::from(*length)).min(seed.len())].to_vec()
            }
        };
        seed.splice(from..end, replaced);
    }
    seed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_manifests_are_served_or_told(
        which in any::<prop::sample::Index>(),
        changes in vec((any::<u16>(), any::<u16>(), 0u8..40, "[ -~\n]{0,12}|-?[0-9]{1,20}|null|\\PC{0,4}"), 1..6),
    ) {
        let seeds = seeds("manifests");
        checks::manifests(&changed(seeds[which.index(seeds.len())].clone(), &changes));
    }

    #[test]
    fn any_text_is_refused_or_understood(text in "[a-c/.*+?()\\[\\]{}|^$\\\\0-9:=!<>-]{0,40}|\\PC{0,30}", choice in any::<u8>()) {
        checks::patterns(text.as_bytes());
        checks::manifests(&[&[choice], text.as_bytes()].concat());
    }
}
