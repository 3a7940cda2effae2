//! A compiler for tests, and text to objects.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use ringress_config::compile::Compiler;
use ringress_config::model::ObjectKey;
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
    let configmap = ObjectKey::new("ingress-nginx", "controller");
    Options { assume_class: true, configmap: Some(configmap), ..Options::default() }
}

/// A compiler with this built-in certificate.
pub(crate) fn compiler(options: Options, (certificate, key): &(String, String)) -> Compiler {
    let certificate = Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None);
    Compiler::new(options, Arc::new(certificate.expect("just made")))
}
