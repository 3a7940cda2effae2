//! The certificates of `ca.crt`, and which of them chains may end at.

use std::fmt;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::AuthoritiesError;
use super::bounds::{CHECKS_OF_A_SECRET, Checks, Names, Spent, distinct};
use super::fields::{Fields, INTEGER, Malformed, SEQUENCE};
use super::signed::Signed;

/// A certificate of `ca.crt`.
pub(super) struct Authority {
    pub(super) der: CertificateDer<'static>,
    /// What the engine keeps of it.
    pub(super) anchor: TrustAnchor<'static>,
    /// Its SubjectPublicKeyInfo, DER.
    pub(super) key: Box<[u8]>,
    /// Another one of `ca.crt` issued it, so chains go on to that one: it may be revoked, and its time may be over.
    pub(super) is_issued: bool,
    /// Its issuer's name, DER without the outer layer, as the engine keeps names.
    issuer: Box<[u8]>,
    signed: Signed,
}

/// Reads `ca.crt`.
pub(super) fn read(pem: &[u8]) -> Result<Vec<Authority>, AuthoritiesError> {
    let listed: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| bad(&e))?;
    if listed.is_empty() {
        return Err(AuthoritiesError::NoCertificate);
    }
    let mut names = Names::default();
    let mut all = Vec::new();
    for der in distinct(listed) {
        let authority = Authority::read(der)?;
        if !names.admit(&authority.anchor.subject) {
            return Err(AuthoritiesError::TooManyOfAName(super::name_text(&authority.anchor.subject)));
        }
        all.push(authority);
    }
    let checks = Checks::new(CHECKS_OF_A_SECRET);
    let issued = all.iter().map(|one| one.is_issued_by_any(&all, &checks)).collect::<Result<Vec<_>, _>>();
    let issued = issued.map_err(|Spent| AuthoritiesError::TooManyChecks)?;
    if issued.iter().all(|issued| *issued) {
        return Err(AuthoritiesError::NoAnchor);
    }
    all.iter_mut().zip(issued).for_each(|(one, issued)| one.is_issued = issued);
    Ok(all)
}

impl Authority {
    fn read(der: CertificateDer<'static>) -> Result<Self, AuthoritiesError> {
        let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|e| bad(&e))?.to_owned();
        let (content, signed) = Signed::from_der(&der).map_err(|e| bad(&e))?;
        let issuer = issuer(content).map_err(|e| bad(&e))?.into();
        let key = super::key_of(&anchor);
        Ok(Self { anchor, key, is_issued: false, issuer, signed, der })
    }

    fn is_issued_by_any(&self, all: &[Self], checks: &Checks) -> Result<bool, Spent> {
        if *self.issuer == *self.anchor.subject {
            return Ok(false);
        }
        for other in all.iter().filter(|other| *other.anchor.subject == *self.issuer) {
            // Of one whose signature nobody can check the name has to do: to trust it unchecked would be worse.
            if !self.signed.is_supported() || self.signed.is_by(&other.key, checks)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The issuer's name of what is signed of a certificate, without the outer layer.
fn issuer(content: &[u8]) -> Result<&[u8], Malformed> {
    const VERSION: u8 = 0xa0;
    let mut fields = Fields(content);
    if fields.peek() == Some(VERSION) {
        fields.take(VERSION)?;
    }
    fields.take(INTEGER)?;
    fields.take(SEQUENCE)?;
    fields.take(SEQUENCE)
}

fn bad(error: &dyn fmt::Display) -> AuthoritiesError {
    AuthoritiesError::BadCertificate(error.to_string())
}
