//! Golden cases: `golden/<case>/input.yaml` compiles to exactly `snapshot.txt` and `diagnostics.txt`.
//!
//! `RINGRESS_UPDATE=1 cargo test -p ringress-config --test golden` writes them anew; read the difference then.
//! `CERTIFICATE(a,b)` and `KEY(a,b)` in the input stand for a fresh certificate of these names and its key, indented.

#[path = "support/manifests.rs"]
mod manifests;
#[path = "support/print.rs"]
mod print;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringress_config::manifest;
use ringress_config::options::Options;

#[test]
fn every_case_compiles_to_what_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "the cases are gone");
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let input = fs::read_to_string(case.join("input.yaml")).unwrap();
    let content = manifest::parse("input.yaml", with_certificates(&input).as_bytes());
    let mut findings = content.findings;
    let mut compiler = manifests::compiler(options(&input), &manifests::issue(&["ingress.local"]));
    content.objects.into_iter().for_each(|object| compiler.upsert(object));
    let compiled = compiler.compile();
    findings.extend(compiled.findings.iter().cloned());
    let diagnostics: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    compare(&case.join("snapshot.txt"), &print::snapshot(&compiled.snapshot))?;
    compare(&case.join("diagnostics.txt"), &diagnostics)
}

fn compare(file: &Path, now: &str) -> Result<(), String> {
    if std::env::var_os("RINGRESS_UPDATE").is_some() {
        fs::write(file, now).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    if written == now { Ok(()) } else { Err(format!("{}:\n{now}\nwanted:\n{written}", file.display())) }
}

/// Options are given in comments at the top of the input, such as `# option: watch_ingress_without_class`.
fn options(input: &str) -> Options {
    let mut options = manifests::folder();
    for line in input.lines().map_while(|line| line.strip_prefix('#')) {
        match line.trim().strip_prefix("option: ") {
            Some("watch_ingress_without_class") => options.watch_ingress_without_class = true,
            Some("disable_catch_all") => options.disable_catch_all = true,
            Some("default_backend_service default/fallback") => {
                options.default_backend_service = Some(ringress_config::model::ObjectKey::new("default", "fallback"));
            }
            Some("stream_services") => {
                let key = |name| Some(ringress_config::model::ObjectKey::new("default", name));
                (options.tcp_services, options.udp_services) = (key("tcp"), key("udp"));
                options.reserved_ports = [443].into();
            }
            Some(other) => panic!("unknown option {other}"),
            None => {}
        }
    }
    options
}

fn with_certificates(input: &str) -> String {
    let mut made: HashMap<String, (String, String)> = HashMap::new();
    let mut out = String::new();
    for line in input.lines() {
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
    out
}
