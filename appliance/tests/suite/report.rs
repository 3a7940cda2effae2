//! `ringress report` as a program: what it reads, what it prints, how it ends.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::process::binary;

fn report(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(binary());
    command.arg("report").args(arguments).current_dir(folder).env_remove("KUBECONFIG");
    command.output().expect("the binary runs")
}

fn ingress(annotation: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    {annotation}\nspec:\n  \
         ingressClassName: nginx\n  rules:\n  - host: a.test\n    http: {{paths: [{{path: /, pathType: Prefix, backend: \
         {{service: {{name: web, port: {{number: 80}}}}}}}}]}}\n"
    )
}

#[test]
fn the_exit_code_says_whether_anything_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (annotation, code, parity) in [
        ("nginx.ingress.kubernetes.io/proxy-body-size: 8m", 0, "same"),
        ("nginx.ingress.kubernetes.io/proxy-request-buffering: 'off'", 0, "differs"),
        ("nginx.ingress.kubernetes.io/server-snippet: 'return 200;'", 1, "refused"),
    ] {
        std::fs::write(folder.path().join("a.yaml"), ingress(annotation)).unwrap();
        let output = report(&[".", "--output=json"], folder.path());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), json["parity"].as_str()), (Some(code), Some(parity)), "{annotation}");
        assert_eq!(json["ingresses"][0]["parity"], parity);
    }
}

#[test]
fn what_cannot_be_read_is_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["no-such-folder"][..], &["--source=kube", "--apiserver-host=not a url"]] {
        let output = report(arguments, folder.path());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.starts_with("ringress: "), "{error}");
    }
}

#[test]
fn the_page_is_one_document() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), ingress("a: '<b>'")).unwrap();
    let output = report(&["a.yaml", "--output", "html", "--enable-metrics=false"], folder.path());
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("default/web") && page.contains("--enable-metrics=false"), "{page}");
}
