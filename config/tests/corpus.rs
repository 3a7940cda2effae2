//! Manifests as users have them, in the manner of well-known charts: `corpus/<case>/input.yaml` compiles to exactly
//! `snapshot.txt`, and the migration report says exactly `report.txt`.
//!
//! `RINGRESS_UPDATE=1 cargo test -p ringress-config --test corpus` writes them anew; read the difference then.

#[path = "support/asked.rs"]
mod asked;
#[path = "support/manifests.rs"]
mod manifests;
#[path = "support/print.rs"]
mod print;
#[path = "support/written.rs"]
mod written;

use std::path::Path;

use ringress_config::manifest;

#[test]
fn every_manifest_compiles_and_is_reported_as_written() {
    let cases = written::cases("corpus");
    assert!(cases.len() >= 30, "the corpus is gone");
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let (_, text) = written::input(case);
    let content = manifest::parse("input.yaml", text.as_bytes());
    let mut compiler = manifests::compiler(manifests::folder(), &manifests::issue(&["ingress.local"]));
    content.objects.into_iter().for_each(|object| compiler.upsert(object));
    let snapshot = compiler.compile().snapshot;
    let migration = compiler.migration();
    let mut report = String::new();
    migration.ingresses.iter().for_each(|ingress| report.push_str(&format!("Ingress {ingress}")));
    migration.config_map.iter().for_each(|config_map| report.push_str(&format!("ConfigMap {config_map}")));
    let others = content.findings.iter().chain(&migration.others);
    others.for_each(|finding| report.push_str(&format!("{finding}\n")));
    written::compare(&case.join("snapshot.txt"), &print::snapshot(&snapshot))?;
    written::compare(&case.join("report.txt"), &report)
}

#[test]
fn the_webhook_warns_of_all_that_is_found() {
    let remarks = written::cases("corpus").into_iter().map(|case| {
        let (_, text) = written::input(&case);
        let objects = manifest::parse("input.yaml", text.as_bytes()).objects;
        let mut compiler = manifests::compiler(manifests::folder(), &manifests::issue(&["ingress.local"]));
        objects.iter().for_each(|object| compiler.upsert(object.clone()));
        asked::every_ingress(&mut compiler, &objects).unwrap_or_else(|why| panic!("{}: {why}", case.display()))
    });
    let remarks: usize = remarks.sum();
    assert!(remarks >= 15, "{remarks}");
}
