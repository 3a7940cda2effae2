//! The generated reference pages are up to date.
//!
//! `RINGRESS_UPDATE=1 cargo test -p ringress-config --test reference` writes them anew.

use std::fs;
use std::path::Path;

use ringress_config::reference;

fn check(name: &str, now: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("RINGRESS_UPDATE").is_some() {
        fs::write(&file, now).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == now, "docs/{name} is stale: run this test with RINGRESS_UPDATE=1");
}

#[test]
fn the_page_of_annotations_is_up_to_date() {
    check("annotations.md", &reference::annotations());
}

#[test]
fn the_page_of_config_map_keys_is_up_to_date() {
    check("configmap.md", &reference::config_map());
}
