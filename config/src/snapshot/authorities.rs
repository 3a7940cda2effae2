//! Certificate authorities of one Secret, and chains judged by them.

use std::fmt;

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use self::bounds::{CHECKS_OF_A_CHAIN, CHECKS_OF_A_SECRET, Checks, MOST_OF_A_NAME, distinct};
use self::certificates::Authority;
use self::fields::sequence;
use self::revocations::Revocations;
use self::sent::Issuer;
use super::distinguished_name;

mod bounds;
mod certificates;
mod fields;
mod plain_list;
mod revocations;
mod sent;
mod signed;

/// Authorities that chains must lead to, with their revocation lists.
pub struct Authorities {
    anchors: Box<[TrustAnchor<'static>]>,
    /// Those that another one of them issued. They are at hand for every chain, and checked as if it had held them.
    between: Box<[CertificateDer<'static>]>,
    /// All of them, as those who issued others.
    issuers: Box<[Issuer]>,
    /// Names of all of them, DER, to be told to clients.
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
    /// No chain could end at any of them.
    #[error("holds no certificate to trust: each is issued by another one of them")]
    NoAnchor,
    /// More certificates of one name than are looked at.
    #[error("holds more than {MOST_OF_A_NAME} different certificates of {0}")]
    TooManyOfAName(String),
    /// More signatures than are checked.
    #[error("takes more than {CHECKS_OF_A_SECRET} checks of signatures to know who issued the certificates")]
    TooManyChecks,
    /// The list of revocations is broken.
    #[error("is no readable list of revocations: {0}")]
    BadRevocations(String),
    /// More lists of one issuer than are looked at.
    #[error("holds more than {MOST_OF_A_NAME} different lists of {0}")]
    TooManyLists(String),
}

impl AuthoritiesError {
    /// Whether the list of revocations is at fault.
    pub fn concerns_revocations(&self) -> bool {
        matches!(self, Self::BadRevocations(_) | Self::TooManyLists(_))
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
        let listed = certificates::read(certificates)?;
        let subjects = listed.iter().map(|one| sequence(&one.anchor.subject)).collect();
        let mut hashed: Vec<u8> = listed.iter().flat_map(|one| one.der.iter().copied()).collect();
        let hash = |der: &[u8]| hashed.extend_from_slice(der);
        let lists = revocations.map(|pem| Revocations::from_pem(pem, &listed, hash)).transpose()?;
        let digest = super::certificate::sha256(&hashed);
        let (issued, trusted): (Vec<_>, Vec<_>) = listed.into_iter().partition(|one| one.is_issued);
        let issuer = |one: &Authority| Issuer { name: (*one.anchor.subject).into(), key: one.key.clone() };
        let issuers = trusted.iter().chain(&issued).map(issuer).collect();
        let anchors = trusted.into_iter().map(|one| one.anchor).collect();
        let between = issued.into_iter().map(|one| one.der).collect();
        Ok(Self { anchors, between, issuers, subjects, revocations: lists.unwrap_or_default(), digest })
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
        let (leaf, sent) = chain.split_first().ok_or(Distrust("no certificate"))?;
        let parsed = EndEntityCert::try_from(leaf).map_err(|error| distrust(&error, leaf))?;
        let sent = sent::genuine(sent, &self.issuers, &Checks::new(CHECKS_OF_A_CHAIN));
        let sent = sent.map_err(|spent| distrust(&spent.into(), leaf))?;
        let at_hand = self.between.iter().chain(&sent).map(|der| CertificateDer::from(&**der));
        let between = distinct(at_hand.collect());
        let checks = Checks::new(CHECKS_OF_A_CHAIN);
        let lists = self.revocations.extended();
        let revocation = self.revocations.options(&lists);
        let fits = |path: &VerifiedPath<'_>| match path.intermediate_certificates().count() <= depth as usize {
            true => self.revocations.check(path, now, &checks),
            false => Err(Error::MaximumPathDepthExceeded),
        };
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let path = parsed.verify_for_usage(algorithms, &self.anchors, &between, now, usage, revocation, Some(&fits));
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
        let (authorities, revocations) = (self.subjects.len(), self.revocations.len());
        f.debug_struct("Authorities").field("number", &authorities).field("revocations", &revocations).finish()
    }
}

fn distrust(error: &Error, leaf: &CertificateDer<'_>) -> Distrust {
    Distrust(match *error {
        Error::CertExpired { .. } => "certificate has expired",
        Error::CertNotValidYet { .. } => "certificate is not yet valid",
        Error::CertRevoked => "certificate revoked",
        Error::UnknownRevocationStatus => "unable to get certificate CRL",
        Error::CrlExpired { .. } => "CRL has expired",
        plain_list::NOT_YET_VALID => "CRL is not yet valid",
        Error::InvalidCrlSignatureForPublicKey => "CRL signature failure",
        Error::IssuerNotCrlSigner => "key usage does not include CRL signing",
        Error::MaximumPathDepthExceeded | Error::PathLenConstraintViolated => "certificate chain too long",
        Error::UnknownIssuer if distinguished_name::is_self_issued(leaf) => "self-signed certificate",
        Error::UnknownIssuer | Error::CaUsedAsEndEntity => "unable to verify the first certificate",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => "unsuitable certificate purpose",
        Error::InvalidSignatureForPublicKey => "certificate signature failure",
        Error::CertNotValidForName(_) => "hostname mismatch",
        _ => "certificate rejected",
    })
}

/// Its SubjectPublicKeyInfo, DER.
fn key_of(anchor: &TrustAnchor<'_>) -> Box<[u8]> {
    webpki::spki_for_anchor(anchor).as_ref().into()
}

/// A name, DER without the outer layer, as text.
fn name_text(name: &[u8]) -> String {
    distinguished_name::of_name(&sequence(name)).unwrap_or_else(|| "an unreadable name".into())
}

#[cfg(test)]
mod tests;
