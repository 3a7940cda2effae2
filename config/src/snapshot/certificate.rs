//! Server certificates by name.

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

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
    /// The host has a `tls` entry without a usable certificate: the default one is shown, and the host still counts
    /// as having TLS (redirects).
    Default,
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
    /// What a server name (lower case, no final dot) has: the exact name, else one label below a wildcard.
    pub fn find(&self, name: &str) -> Option<&ServerCertificate> {
        self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }

    /// The certificate to present for a server name.
    pub fn present(&self, name: Option<&str>) -> &Arc<Certificate> {
        match name.and_then(|n| self.find(n)) {
            Some(ServerCertificate::Own(certificate)) => certificate,
            Some(ServerCertificate::Default) | None => &self.default,
        }
    }

    /// Whether the host counts as having TLS, which is what decides on https redirects.
    pub fn covers(&self, host: &str) -> bool {
        self.find(host).is_some()
    }
}
