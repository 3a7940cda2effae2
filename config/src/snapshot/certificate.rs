//! Server certificates by name.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate};

use super::Sharded;
use crate::model::ObjectKey;

/// A certificate chain with its key, checked to belong together.
pub struct Certificate {
    /// The Secret it came from; `None` for the built-in self-signed one and files.
    pub secret: Option<ObjectKey>,
    /// Chain and key, ready for the TLS engine. Never logged, never serialised.
    pub key: Arc<CertifiedKey>,
    /// Names it is valid for (SAN, else CN), lower case.
    pub names: Box<[Box<str>]>,
    /// End of validity, seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the leaf, lower-case hex.
    pub fingerprint: String,
    /// What else is told of it.
    pub origin: Origin,
}

/// Who issued a certificate, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Common name of the issuer; empty for none.
    pub common_name: Box<str>,
    /// Its organization.
    pub organization: Box<str>,
    /// In decimal.
    pub serial: Box<str>,
}

/// Why a certificate cannot be used. The text never holds any part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The certificate part has no PEM certificate.
    #[error("holds no PEM certificate")]
    NoCertificate,
    /// The certificate part is broken.
    #[error("is no readable certificate: {0}")]
    BadCertificate(String),
    /// The key part has no PEM private key.
    #[error("holds no PEM private key")]
    NoKey,
    /// The key part is broken or of a kind that TLS does not know.
    #[error("is no readable private key")]
    BadKey,
    /// Both are fine but do not belong together.
    #[error("does not belong to the certificate")]
    Mismatch,
}

impl CertificateError {
    /// Whether the key is at fault, not the certificate.
    pub fn concerns_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::BadKey | Self::Mismatch)
    }
}

impl Certificate {
    /// Reads a chain (leaf first, passed on as it is) and its key, and checks that they belong together.
    /// `secret` is where they came from. An expired certificate is accepted: it is served, as ingress-nginx does.
    pub fn from_pem(cert_pem: &[u8], key_pem: &[u8], secret: Option<ObjectKey>) -> Result<Self, CertificateError> {
        let bad = |e: &dyn fmt::Display| CertificateError::BadCertificate(e.to_string());
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(cert_pem).collect::<Result<_, _>>().map_err(|e| bad(&e))?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let facts = Facts::read(leaf).map_err(|e| bad(&e))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| match e {
            rustls_pki_types::pem::Error::NoItemsFound => CertificateError::NoKey,
            _ => CertificateError::BadKey,
        })?;
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| CertificateError::BadKey)?;
        let fingerprint = sha256_hex(leaf);
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
            other => bad(&other),
        })?;
        let Facts { names, not_after, origin } = facts;
        Ok(Self { secret, key: Arc::new(certified), names, not_after, fingerprint, origin })
    }

    /// The kind of its key.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.key.key.algorithm()
    }

    /// Whether it is valid for a host (lower case), which may be a wildcard itself.
    pub fn covers(&self, host: &str) -> bool {
        let covers = |name: &str| match name.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(label, tail)| !label.is_empty() && tail == rest),
            None => name == host,
        };
        self.names.iter().any(|name| covers(name))
    }
}

/// What is read from the leaf.
struct Facts {
    names: Box<[Box<str>]>,
    not_after: i64,
    origin: Origin,
}

impl Facts {
    fn read(leaf: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|e| e.to_string())?;
        let alternative = parsed.subject_alternative_name().ok().flatten();
        let mut names: Vec<Box<str>> = alternative
            .iter()
            .flat_map(|san| &san.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            let common = parsed.subject().iter_common_name().filter_map(|cn| cn.as_str().ok());
            names.extend(common.map(|cn| Box::from(cn.to_ascii_lowercase())));
        }
        let issuer = parsed.issuer();
        let text =
            |part: Option<&AttributeTypeAndValue<'_>>| part.and_then(|p| p.as_str().ok()).unwrap_or_default().into();
        let origin = Origin {
            common_name: text(issuer.iter_common_name().next()),
            organization: text(issuer.iter_organization().next()),
            serial: parsed.tbs_certificate.serial.to_string().into(),
        };
        Ok(Self { names: names.into(), not_after: parsed.validity().not_after.timestamp(), origin })
    }
}

/// The end of a certificate's validity, seconds since 1970; `None` for what is none.
pub fn not_after_of(der: &[u8]) -> Option<i64> {
    X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed.validity().not_after.timestamp())
}

/// SHA-256 by the TLS provider, which has it anyway.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let hash = suite.tls13().map(|s| s.common.hash_provider.hash(bytes));
    let hash = hash.and_then(|hash| hash.as_ref().try_into().ok());
    hash.expect("the suite hashes with SHA-256")
}

fn sha256_hex(bytes: &[u8]) -> String {
    sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names only: a key never reaches a log.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).field("fingerprint", &self.fingerprint).finish()
    }
}

/// What a host with TLS presents.
#[derive(Clone, Debug)]
pub enum ServerCertificate {
    /// Its own certificate.
    Own(Arc<Certificate>),
    /// Two of its own, for keys of two kinds. The one with the cheaper signature is presented to who takes both.
    Both {
        /// With a key for ECDSA or EdDSA, unless both are alike.
        preferred: Arc<Certificate>,
        /// For clients that do not take the other.
        fallback: Arc<Certificate>,
    },
    /// The host has a `tls` entry without a usable certificate: the default one is shown, and the host still counts
    /// as having TLS (redirects).
    Default,
}

impl ServerCertificate {
    /// One, or two with keys of different kinds.
    pub fn own(first: Arc<Certificate>, beside: Option<Arc<Certificate>>) -> Self {
        match beside {
            None => Self::Own(first),
            Some(other) if first.algorithm() == SignatureAlgorithm::RSA => {
                Self::Both { preferred: other, fallback: first }
            }
            Some(other) => Self::Both { preferred: first, fallback: other },
        }
    }
}

/// Equal when it is the same certificate object.
impl PartialEq for ServerCertificate {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own(a), Self::Own(b)) => Arc::ptr_eq(a, b),
            (Self::Both { preferred: a, fallback: b }, Self::Both { preferred: c, fallback: d }) => {
                Arc::ptr_eq(a, c) && Arc::ptr_eq(b, d)
            }
            (Self::Default, Self::Default) => true,
            (Self::Own(_) | Self::Both { .. } | Self::Default, _) => false,
        }
    }
}

/// Server name → certificate, with the default.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Exact names, lower case.
    pub exact: Sharded<Arc<str>, ServerCertificate>,
    /// `*.example.com` under the key `example.com`.
    pub wildcard: Sharded<Arc<str>, ServerCertificate>,
    /// For every other name, and for none.
    pub default: Arc<Certificate>,
}

impl Certificates {
    /// No names yet: everything is presented the default.
    pub fn new(default: Arc<Certificate>) -> Self {
        Self { exact: Sharded::default(), wildcard: Sharded::default(), default }
    }

    /// What a server name (lower case, no final dot) has: the exact name, else one label below a wildcard.
    pub fn find(&self, name: &str) -> Option<&ServerCertificate> {
        let below = || if self.wildcard.is_empty() { None } else { self.wildcard.get(name.split_once('.')?.1) };
        self.exact.get(name).or_else(below)
    }

    /// The certificate to present for a server name, to a client that takes every kind of key.
    pub fn present(&self, name: Option<&str>) -> &Arc<Certificate> {
        self.present_to(name, |_| true)
    }

    /// The certificate to present for a server name to a client that takes certificates of which `suits` is true.
    pub fn present_to(&self, name: Option<&str>, suits: impl Fn(&Certificate) -> bool) -> &Arc<Certificate> {
        match name.and_then(|n| self.find(n)) {
            Some(ServerCertificate::Own(certificate)) => certificate,
            Some(ServerCertificate::Both { preferred, fallback }) => {
                if !suits(preferred) && suits(fallback) {
                    fallback
                } else {
                    preferred
                }
            }
            Some(ServerCertificate::Default) | None => &self.default,
        }
    }

    /// Whether both are the same version: equal without comparing entries.
    pub fn same(&self, other: &Self) -> bool {
        self.exact.same(&other.exact)
            && self.wildcard.same(&other.wildcard)
            && Arc::ptr_eq(&self.default, &other.default)
    }

    /// Whether the host counts as having TLS, which is what decides on https redirects.
    pub fn covers(&self, host: &str) -> bool {
        self.find(host).is_some()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn issue(names: &[&str], common: &str) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn read(cert: &str, key: &str) -> Result<Certificate, CertificateError> {
        Certificate::from_pem(cert.as_bytes(), key.as_bytes(), None)
    }

    #[test]
    fn names_are_the_alternative_ones_else_the_common_name() {
        let (cert, key) = issue(&["A.test", "*.b.test"], "c.test");
        let certificate = read(&cert, &key).unwrap();
        let covered = ["a.test", "x.b.test", "*.b.test", "b.test", "x.y.b.test", "c.test", ".b.test"];
        assert_eq!(covered.map(|h| certificate.covers(h)), [true, true, true, false, false, false, false]);
        assert_eq!(certificate.fingerprint.len(), 64);
        let (cert, key) = issue(&[], "c.test");
        assert!(read(&cert, &key).unwrap().covers("c.test"));
    }

    #[test]
    fn every_fault_has_its_own_name() {
        let (cert, key) = issue(&["a.test"], "a");
        let (_, other) = issue(&["a.test"], "a");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let fault = |c: &str, k: &str| read(c, k).map(|_| ()).unwrap_err();
        assert_eq!(fault("", &key), CertificateError::NoCertificate);
        assert!(matches!(fault(broken, &key), CertificateError::BadCertificate(_)));
        assert_eq!(fault(&cert, ""), CertificateError::NoKey);
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(fault(&cert, broken), CertificateError::BadKey);
        assert_eq!(fault(&cert, &other), CertificateError::Mismatch);
    }

    #[test]
    fn printing_shows_no_key() {
        let (cert, key) = issue(&["a.test"], "a");
        let printed = format!("{:?}", read(&cert, &key).unwrap());
        assert!(printed.starts_with("Certificate { names: [\"a.test\"], fingerprint: "), "{printed}");
    }
}
