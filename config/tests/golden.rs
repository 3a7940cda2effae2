//! Golden cases: `golden/<case>/input.yaml` compiles to exactly `snapshot.txt` and `diagnostics.txt`.
//!
//! `RINGRESS_UPDATE=1 cargo test -p ringress-config --test golden` writes them anew; read the difference then.

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
use ringress_config::options::Options;

#[test]
fn every_case_compiles_to_what_is_written() {
    let cases = written::cases("golden");
    assert!(cases.len() >= 10, "the cases are gone");
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let (input, text) = written::input(case);
    let content = manifest::parse("input.yaml", text.as_bytes());
    let mut findings = content.findings;
    let mut compiler = manifests::compiler(options(&input), &manifests::issue(&["ingress.local"]));
    content.objects.into_iter().for_each(|object| compiler.upsert(object));
    let compiled = compiler.compile();
    findings.extend(compiled.findings.iter().cloned());
    let diagnostics: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    written::compare(&case.join("snapshot.txt"), &print::snapshot(&compiled.snapshot))?;
    written::compare(&case.join("diagnostics.txt"), &diagnostics)
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

#[test]
fn the_webhook_warns_of_all_that_is_found() {
    let remarks = written::cases("golden").into_iter().map(|case| {
        let (input, text) = written::input(&case);
        let objects = manifest::parse("input.yaml", text.as_bytes()).objects;
        let mut compiler = manifests::compiler(options(&input), &manifests::issue(&["ingress.local"]));
        objects.iter().for_each(|object| compiler.upsert(object.clone()));
        asked::every_ingress(&mut compiler, &objects).unwrap_or_else(|why| panic!("{}: {why}", case.display()))
    });
    let remarks: usize = remarks.sum();
    assert!(remarks >= 50, "{remarks}");
}
