//! Certificate authorities of one Secret, and chains judged by them.

use std::fmt;

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use self::revocations::Revocations;

mod plain_list;
mod revocations;

/// Authorities that chains must lead to, with their revocation lists.
pub struct Authorities {
    anchors: Box<[TrustAnchor<'static>]>,
    /// Names of the authorities, DER, to be told to clients.
    subjects: Box<[Box<[u8]>]>,
    revocations: Revocations,
    digest: [u8; 32],
}

/// Why authorities cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// No certificate is there.
    #[error("holds no PEM certificate")]
    NoCertificate,
    /// A certificate is broken.
    #[error("is no readable certificate: {0}")]
    BadCertificate(String),
    /// The list of revocations is broken.
    #[error("is no readable list of revocations: {0}")]
    BadRevocations(String),
}

impl AuthoritiesError {
    /// Whether the list of revocations is at fault.
    pub fn concerns_revocations(&self) -> bool {
        matches!(self, Self::BadRevocations(_))
    }
}

/// Why a chain is not accepted, in the words of OpenSSL, which upstreams may compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Distrust(pub &'static str);

impl Authorities {
    /// Reads `ca.crt`, and `ca.crl` if there is one.
    ///
    /// # Errors
    /// When anything of either cannot be read: what is left out would be trusted too much or too little.
    pub fn from_pem(certificates: &[u8], revocations: Option<&[u8]>) -> Result<Self, AuthoritiesError> {
        let bad = |error: &dyn fmt::Display| AuthoritiesError::BadCertificate(error.to_string());
        let listed: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(|e| bad(&e))?;
        if listed.is_empty() {
            return Err(AuthoritiesError::NoCertificate);
        }
        let anchor = |der: &CertificateDer<'static>| webpki::anchor_from_trusted_cert(der).map(|a| a.to_owned());
        let anchors: Vec<_> = listed.iter().map(anchor).collect::<Result<_, _>>().map_err(|e| bad(&e))?;
        let subjects = anchors.iter().map(|anchor| sequence(&anchor.subject)).collect();
        let mut hashed: Vec<u8> = listed.iter().flat_map(|der| der.iter().copied()).collect();
        let both: Vec<_> = listed.into_iter().zip(anchors).collect();
        let hash = |der: &[u8]| hashed.extend_from_slice(der);
        let lists = revocations.map(|pem| Revocations::from_pem(pem, &both, hash)).transpose();
        let revocations = lists.map_err(AuthoritiesError::BadRevocations)?.unwrap_or_default();
        let digest = super::certificate::sha256(&hashed);
        let anchors = both.into_iter().map(|(_, anchor)| anchor).collect();
        Ok(Self { anchors, subjects, revocations, digest })
    }

    /// Names of the authorities, DER.
    pub fn subjects(&self) -> &[Box<[u8]>] {
        &self.subjects
    }

    /// SHA-256 of all of it.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Judges a client's chain, leaf first; at most `depth` certificates may stand between leaf and authority.
    ///
    /// # Errors
    /// The reason why it is not accepted.
    pub fn judge_client(&self, chain: &[CertificateDer<'_>], depth: u32, now: UnixTime) -> Result<(), Distrust> {
        self.judge(chain, KeyUsage::client_auth(), depth, now, |_| Ok(()))
    }

    /// Judges the chain of an upstream that must be `name`.
    ///
    /// # Errors
    /// The reason why it is not accepted.
    pub fn judge_server(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        depth: u32,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        self.judge(chain, KeyUsage::server_auth(), depth, now, |leaf| leaf.verify_is_valid_for_subject_name(name))
    }

    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        usage: KeyUsage,
        depth: u32,
        now: UnixTime,
        also: impl Fn(&EndEntityCert<'_>) -> Result<(), Error>,
    ) -> Result<(), Distrust> {
        let (leaf, between) = chain.split_first().ok_or(Distrust("no certificate"))?;
        let parsed = EndEntityCert::try_from(leaf).map_err(|error| distrust(&error, leaf))?;
        let lists = self.revocations.extended();
        let revocation = self.revocations.options(&lists);
        let fits = |path: &VerifiedPath<'_>| match path.intermediate_certificates().count() <= depth as usize {
            true => self.revocations.check(path, now),
            false => Err(Error::MaximumPathDepthExceeded),
        };
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let path = parsed.verify_for_usage(algorithms, &self.anchors, between, now, usage, revocation, Some(&fits));
        path.map_err(|error| distrust(&error, leaf))?;
        also(&parsed).map_err(|error| distrust(&error, leaf))
    }
}

/// Equal when they were read from the same bytes.
impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Authorities {}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authorities, revocations) = (self.anchors.len(), self.revocations.len());
        f.debug_struct("Authorities").field("number", &authorities).field("revocations", &revocations).finish()
    }
}

fn distrust(error: &Error, leaf: &CertificateDer<'_>) -> Distrust {
    Distrust(match error {
        Error::CertExpired { .. } => "certificate has expired",
        Error::CertNotValidYet { .. } => "certificate is not yet valid",
        Error::CertRevoked => "certificate revoked",
        Error::UnknownRevocationStatus => "unable to get certificate CRL",
        Error::CrlExpired { .. } => "CRL has expired",
        Error::InvalidCrlSignatureForPublicKey => "CRL signature failure",
        Error::IssuerNotCrlSigner => "key usage does not include CRL signing",
        Error::MaximumPathDepthExceeded | Error::PathLenConstraintViolated => "certificate chain too long",
        Error::UnknownIssuer if super::distinguished_name::is_self_issued(leaf) => "self-signed certificate",
        Error::UnknownIssuer | Error::CaUsedAsEndEntity => "unable to verify the first certificate",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => "unsuitable certificate purpose",
        Error::InvalidSignatureForPublicKey => "certificate signature failure",
        Error::CertNotValidForName(_) => "hostname mismatch",
        _ => "certificate rejected",
    })
}

/// DER of a SEQUENCE: the engine keeps names without their outer layer and tells them with it.
fn sequence(content: &[u8]) -> Box<[u8]> {
    let mut der = vec![0x30];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=0x7f) => der.push(short),
        _ => {
            let length: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            // Eight bytes of length at most.
            der.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            der.extend(length);
        }
    }
    der.extend_from_slice(content);
    der.into()
}

#[cfg(test)]
mod tests;
