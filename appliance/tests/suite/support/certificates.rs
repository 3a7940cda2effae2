//! Certificates made for one test.

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

/// A self-signed certificate and its key.
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

impl Certificate {
    pub(crate) fn for_names(names: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = CertificateParams::new(names).expect("valid names").self_signed(&key).expect("a certificate");
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// The Secret that holds it.
    pub(crate) fn secret(&self, name: &str) -> Value {
        secret(name, &self.pem, &self.key_pem)
    }
}

/// A TLS Secret of any content.
pub(crate) fn secret(name: &str, certificate: &str, key: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    })
}
