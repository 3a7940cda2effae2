//! Client certificates of a host (reference 3.11).

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::authorities::{Authorities, Distrust};
use super::{Search, Template, distinguished_name};

/// What a host does with client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Who is let in.
    pub verify: ClientVerify,
    /// Certificates between the client's and the authority's, at most.
    pub depth: u32,
    /// Who may have signed.
    pub authorities: Arc<Authorities>,
    /// Must be found in the subject's name, else 403.
    pub subject: Option<Arc<Search>>,
    /// The upstream gets the certificate.
    pub pass_certificate: bool,
    /// Where a client without an acceptable certificate is sent instead of 400.
    pub error_page: Option<Template>,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientVerify {
    /// With an accepted certificate only.
    #[default]
    On,
    /// No certificate is asked for; the upstream is told so.
    Off,
    /// With an accepted certificate or none.
    Optional,
    /// Anyone; the upstream gets the verdict.
    OptionalNoCa,
}

/// What a handshake and a chain are judged by. Connections with one context are as good as each other; all others
/// have to be made anew.
pub type AuthContext = [u8; 32];

impl ClientAuth {
    /// The context of connections that are made by it.
    pub fn context(&self) -> AuthContext {
        let mut hashed = self.authorities.digest().to_vec();
        hashed.push(self.verify as u8);
        hashed.extend_from_slice(&self.depth.to_be_bytes());
        super::certificate::sha256(&hashed)
    }

    /// Judges what a client presented, leaf first; nothing is no certificate.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> ClientCertificate {
        let Some(leaf) = chain.first() else { return ClientCertificate::default() };
        let verdict = match self.authorities.judge_client(chain, self.depth, now) {
            Ok(()) => ClientVerdict::Success,
            Err(reason) => ClientVerdict::Failed(reason),
        };
        match distinguished_name::of(leaf) {
            Some((subject, issuer)) => ClientCertificate { verdict, subject, issuer, pem: escaped_pem(leaf) },
            // What cannot be named cannot be accepted, whatever the chain says.
            None => ClientCertificate {
                verdict: ClientVerdict::Failed(Distrust("certificate rejected")),
                ..ClientCertificate::default()
            },
        }
    }
}

/// A client's certificate, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Whether it is accepted.
    pub verdict: ClientVerdict,
    /// Its subject, as RFC 2253 writes it.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// All of it as PEM, percent-encoded.
    pub pem: String,
}

/// Whether a certificate is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientVerdict {
    /// There is none.
    #[default]
    None,
    /// It is.
    Success,
    /// It is not.
    Failed(Distrust),
}

impl ClientVerdict {
    /// As upstreams are told.
    pub fn text(self) -> String {
        match self {
            Self::None => "NONE".into(),
            Self::Success => "SUCCESS".into(),
            Self::Failed(reason) => format!("FAILED:{reason}"),
        }
    }
}

/// nginx' `$ssl_client_escaped_cert`.
fn escaped_pem(certificate: &[u8]) -> String {
    let encoded = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut out = String::with_capacity(pem.len() * 5 / 4);
    for byte in pem.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            // Writing to a String does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
