//! TLS toward the pods (`proxy-ssl-*`).

use std::sync::Arc;

use rustls::{CipherSuite, SupportedProtocolVersion};
use rustls_pki_types::ServerName;

use super::{Authorities, Certificate};

/// What is shown to an upstream and expected of it.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Shown when the upstream asks for a certificate.
    pub certificate: Option<Arc<Certificate>>,
    /// Who must have signed the upstream's certificate; `None` takes any.
    pub verify: Option<UpstreamVerify>,
    /// The name that the upstream is asked by (SNI).
    pub server_name: Option<ServerName<'static>>,
    /// Versions that are offered.
    pub versions: TlsVersions,
    /// Suites of TLS 1.2 that are offered; `None` for all.
    pub suites: Option<Box<[CipherSuite]>>,
    /// Equal for what is equal in all of the above, and for nothing else.
    pub identity: [u8; 32],
}

/// What the certificate of an upstream must be.
#[derive(Clone, Debug)]
pub struct UpstreamVerify {
    /// Who must have signed.
    pub authorities: Arc<Authorities>,
    /// Certificates between the upstream's and the authority's, at most.
    pub depth: u32,
    /// The name that it must be valid for.
    pub name: ServerName<'static>,
}

/// Versions of TLS; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

impl TlsVersions {
    /// Both.
    pub const ALL: Self = Self { tls12: true, tls13: true };

    /// As the engine names them.
    pub fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self { tls12: true, tls13: false } => &ONLY_12,
            Self { tls12: false, tls13: true } => &ONLY_13,
            Self { .. } => rustls::ALL_VERSIONS,
        }
    }
}

impl UpstreamTls {
    /// Puts the parts together under their identity.
    pub fn new(
        certificate: Option<Arc<Certificate>>,
        verify: Option<UpstreamVerify>,
        server_name: Option<ServerName<'static>>,
        versions: TlsVersions,
        suites: Option<Box<[CipherSuite]>>,
    ) -> Self {
        let of_verify = verify.as_ref().map(|v| (v.authorities.digest(), v.depth, v.name.to_str()));
        let parts =
            format!("{:?}", (certificate.as_ref().map(|c| &c.fingerprint), of_verify, &server_name, versions, &suites));
        let identity = super::certificate::sha256(parts.as_bytes());
        Self { certificate, verify, server_name, versions, suites, identity }
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for UpstreamTls {}
