//! A compiler for tests, and text to objects.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use ringress_config::compile::Compiler;
use ringress_config::diagnostics::Finding;
use ringress_config::manifest;
use ringress_config::model::Object;
use ringress_config::options::Options;
use ringress_config::snapshot::Certificate;

/// A certificate and its key as PEM.
pub(crate) fn issue(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().expect("keys can be made");
    let certificate = CertificateParams::new(names).and_then(|params| params.self_signed(&key));
    (certificate.expect("these names are valid").pem(), key.serialize_pem())
}

/// The options of a folder source, with `--configmap=ingress-nginx/controller`.
pub(crate) fn folder() -> Options {
    let configmap = ringress_config::model::ObjectKey::new("ingress-nginx", "controller");
    Options { assume_class: true, configmap: Some(configmap), ..Options::default() }
}

/// A compiler with a built-in certificate.
pub(crate) fn compiler(options: Options) -> Compiler {
    let (certificate, key) = issue(&["ingress.local"]);
    let certificate = Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None);
    Compiler::new(options, Arc::new(certificate.expect("just made")))
}

/// The objects and findings of a YAML text.
pub(crate) fn objects(text: &str) -> (Vec<Object>, Vec<Finding>) {
    let content = manifest::parse("input.yaml", text.as_bytes());
    (content.objects, content.findings)
}
