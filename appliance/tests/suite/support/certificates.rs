//! Certificates made for one test.

use base64::Engine as _;
use der::asn1::{AnyRef, BitString};
use der::{Decode as _, Encode as _, Tag};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SerialNumber, SigningKey as _,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use x509_cert::crl::CertificateList;

/// A certificate and its key, self-signed if nothing else is said.
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    /// The authority between it and the root, where there is one.
    pub(crate) above: Option<Vec<u8>>,
}

impl Certificate {
    /// It and what is above it, as one shows them.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        std::iter::once(&self.der).chain(&self.above).map(|der| CertificateDer::from(der.clone())).collect()
    }

    pub(crate) fn for_names(names: &[&str]) -> Self {
        Self::with_key(names, KeyPair::generate().expect("a key"))
    }

    /// The same with an RSA key.
    pub(crate) fn rsa_for_names(names: &[&str]) -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        Self::with_key(names, key)
    }

    fn with_key(names: &[&str], key: KeyPair) -> Self {
        let certificate = params(names).self_signed(&key).expect("a certificate");
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), key_pem: key.serialize_pem(), above: None }
    }

    /// The Secret that holds it.
    pub(crate) fn secret(&self, name: &str) -> Value {
        secret(name, &self.pem, &self.key_pem)
    }
}

/// An authority that issues certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate, when another authority has issued it.
    issued: Option<Vec<u8>>,
}

impl Authority {
    pub(crate) fn named(name: &str) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, params, key, issued: None }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        let lower = Self::named(name);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = lower.params.signed_by(&lower.key, &issuer).expect("a certificate");
        Self { issued: Some(certificate.der().to_vec()), pem: certificate.pem(), ..lower }
    }

    /// A certificate with this common name, valid for it as a host; its serial number is the name as well.
    pub(crate) fn issue(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(&[name]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(serial(name));
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let (der, above) = (certificate.der().to_vec(), self.issued.clone());
        Certificate { der, pem: certificate.pem(), key_pem: key.serialize_pem(), above }
    }

    /// The Secret with it as `ca.crt`, and a `ca.crl` that revokes what it issued to `name`.
    pub(crate) fn secret_revoking(&self, secret: &str, name: &str) -> Value {
        opaque(secret, &[("ca.crt", &self.pem), ("ca.crl", &self.list(name).pem().expect("PEM"))])
    }

    /// A list of this version that revokes what it issued to `name`, without extensions, PEM.
    pub(crate) fn plain_list(&self, version: u8, name: &str) -> String {
        self.plain_list_signed_by(self, version, name)
    }

    /// The same with the signature of somebody else.
    pub(crate) fn plain_list_signed_by(&self, signer: &Self, version: u8, name: &str) -> String {
        let mut list = CertificateList::from_der(self.list(name).der()).expect("a list");
        list.tbs_cert_list.crl_extensions = None;
        let mut signed = list.tbs_cert_list.to_der().expect("a list");
        if version == 1 {
            // It is the one that says nothing of its version.
            let content = AnyRef::from_der(&signed).expect("a sequence").value();
            signed = sequence(content.strip_prefix(&[2, 1, 1]).expect("version 2"));
        }
        let signature = BitString::from_bytes(&signer.key.sign(&signed).expect("a signature")).expect("bits");
        let algorithm = list.signature_algorithm.to_der().expect("an algorithm");
        let list = sequence(&[signed, algorithm, signature.to_der().expect("bits")].concat());
        let text = base64::engine::general_purpose::STANDARD.encode(list);
        format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
    }

    fn list(&self, name: &str) -> CertificateRevocationList {
        let revoked = RevokedCertParams {
            serial_number: serial(name),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&Issuer::from_params(&self.params, &self.key)).expect("a list")
    }

    /// The Secret with it as `ca.crt`.
    pub(crate) fn secret(&self, name: &str) -> Value {
        opaque(name, &[("ca.crt", &self.pem)])
    }
}

fn sequence(content: &[u8]) -> Vec<u8> {
    AnyRef::new(Tag::Sequence, content).and_then(|all| all.to_der()).expect("a sequence")
}

fn serial(name: &str) -> SerialNumber {
    SerialNumber::from(name.as_bytes().to_vec())
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// A Secret with these values.
pub(crate) fn opaque(name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> =
        data.iter().map(|&(key, value)| (key.to_owned(), json!(value))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": data})
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
