//! What is written down beside an input, and inputs that hold certificates.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::manifests;

/// The folders of cases in a folder beside the tests, by name.
pub(crate) fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Compares with the file; `RINGRESS_UPDATE=1` writes it anew.
pub(crate) fn compare(file: &Path, now: &str) -> Result<(), String> {
    if std::env::var_os("RINGRESS_UPDATE").is_some() {
        fs::write(file, now).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    if written == now { Ok(()) } else { Err(format!("{}:\n{now}\nwanted:\n{written}", file.display())) }
}

/// The input of a case. `CERTIFICATE(a,b)` and `KEY(a,b)` stand for a fresh certificate of these names and its key,
/// indented.
pub(crate) fn input(case: &Path) -> (String, String) {
    let text = fs::read_to_string(case.join("input.yaml")).unwrap();
    let mut made: HashMap<String, (String, String)> = HashMap::new();
    let mut out = String::new();
    for line in text.lines() {
        let Some((head, names)) = line.split_once("CERTIFICATE(").or_else(|| line.split_once("KEY(")) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let names = names.trim_end_matches(')');
        let list: Vec<_> = names.split(',').collect();
        let (certificate, key) = made.entry(names.into()).or_insert_with(|| manifests::issue(&list));
        let pem = if line.contains("KEY(") { key } else { certificate };
        pem.lines().for_each(|text| out.push_str(&format!("{head}{text}\n")));
    }
    (text, out)
}
