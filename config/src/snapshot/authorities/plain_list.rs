//! Lists of revocations without extensions, which is what openssl writes unless told otherwise.
//!
//! The engine reads none of them. `x509-parser` does, but passes over parts it does not understand, and here a part
//! passed over is a certificate let in. So the few fields are walked by hand, and none may be left.

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::bounds::{CHECKS_OF_A_SECRET, Checks};
use super::certificates::Authority;
use super::fields::{BOOLEAN, Fields, INTEGER, Malformed, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};
use super::name_text;
use super::signed::Signed;

/// The engine, which does not look at thisUpdate, has no error for it. This one it has for lists that it reads only.
pub(super) const NOT_YET_VALID: Error = Error::InvalidCrlNumber;

/// A list that speaks of all that its issuer issued.
pub(super) struct PlainList {
    /// Its issuer's name, DER without the outer layer, as the engine keeps names.
    issuer: Box<[u8]>,
    this_update: UnixTime,
    next_update: UnixTime,
    /// Serial numbers without leading zeros, sorted.
    revoked: Box<[Box<[u8]>]>,
    signed: Signed,
    /// Keys of authorities that are known to have signed it, so that no handshake has to find out.
    signers: Vec<Box<[u8]>>,
}

/// Why a list is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no list in DER, or not a whole one")]
    Malformed(#[from] Malformed),
    #[error("it has extensions")]
    Extensions,
    #[error("its version is neither 1 nor 2")]
    Version,
    #[error("it has no nextUpdate, so nobody could tell when it is outdated")]
    NoNextUpdate,
    #[error("it names two different algorithms for its signature")]
    TwoAlgorithms,
    #[error("an entry is about a certificate of another issuer (an indirect list)")]
    Indirect,
    #[error("an entry has a critical extension that is not known")]
    CriticalExtension,
    #[error("it is signed by an algorithm that is not supported, such as one with SHA-1")]
    Algorithm,
    #[error("the list of {0} is not signed by a key of that name in ca.crt, or by one that is not supported")]
    Signature(String),
    #[error("the key usage of {0} does not permit to sign lists")]
    KeyUsage(String),
    #[error("whether {0} may sign lists cannot be read from its certificate")]
    Certificate(String),
    #[error("it takes more than {CHECKS_OF_A_SECRET} checks of signatures to know who has signed the lists")]
    TooManyChecks,
}

impl PlainList {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, Unusable> {
        let (content, signed) = Signed::from_der(der)?;
        let mut fields = Fields(content);
        if fields.peek() == Some(INTEGER) && fields.take(INTEGER)? != VERSION_2 {
            return Err(Unusable::Version);
        }
        if fields.take(SEQUENCE)? != &*signed.algorithm {
            return Err(Unusable::TwoAlgorithms);
        }
        if !signed.is_supported() {
            return Err(Unusable::Algorithm);
        }
        let issuer = fields.take(SEQUENCE)?;
        let this_update = fields.time()?;
        if !fields.is_time() {
            return Err(Unusable::NoNextUpdate);
        }
        let next_update = fields.time()?;
        let mut entries = Fields(if fields.peek() == Some(SEQUENCE) { fields.take(SEQUENCE)? } else { &[] });
        if fields.peek() == Some(EXTENSIONS) {
            return Err(Unusable::Extensions);
        }
        fields.end()?;
        let mut revoked = Vec::new();
        while entries.peek().is_some() {
            revoked.push(entry(entries.take(SEQUENCE)?)?);
        }
        revoked.sort_unstable();
        let (issuer, revoked) = (issuer.into(), revoked.into());
        Ok(Self { issuer, this_update, next_update, revoked, signed, signers: Vec::new() })
    }

    /// Its issuer's name, DER without the outer layer.
    pub(super) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Finds who of the authorities of its issuer's name has signed it. Where there is none of that name it is of an
    /// authority below, whose certificate comes with a client's.
    pub(super) fn find_signers(&mut self, all: &[Authority], checks: &Checks) -> Result<(), Unusable> {
        let mut fault = None;
        for Authority { der, key, .. } in all.iter().filter(|one| *one.anchor.subject == *self.issuer) {
            // The same key in another certificate says nothing new.
            if self.is_known_to_be_by(key) {
                continue;
            }
            match self.check_signer(der, key, checks) {
                Ok(()) => self.signers.push(key.clone()),
                Err(Error::MaximumSignatureChecksExceeded) => return Err(Unusable::TooManyChecks),
                // That it did sign is the better half of an answer.
                Err(Error::IssuerNotCrlSigner) => fault = Some(Unusable::KeyUsage(name_text(&self.issuer))),
                Err(Error::BadDer) => fault = Some(Unusable::Certificate(name_text(&self.issuer))),
                Err(_) => fault = fault.or_else(|| Some(Unusable::Signature(name_text(&self.issuer)))),
            }
        }
        fault.filter(|_| self.signers.is_empty()).map_or(Ok(()), Err)
    }

    /// Whether it is an authority's of the same name with another key, so that it is not about what this key issued.
    pub(super) fn is_of_a_namesake(&self, key: &[u8]) -> bool {
        !self.signers.is_empty() && !self.is_known_to_be_by(key)
    }

    fn is_known_to_be_by(&self, key: &[u8]) -> bool {
        self.signers.iter().any(|signer| **signer == *key)
    }

    /// Whether the certificate of this serial number may be trusted, as far as this list says. `key` is its issuer's,
    /// whose certificate is there unless it is one of the authorities.
    pub(super) fn judge(
        &self,
        serial: &[u8],
        key: &[u8],
        issuer: Option<&CertificateDer<'_>>,
        now: UnixTime,
        checks: &Checks,
    ) -> Result<(), Error> {
        if !self.is_known_to_be_by(key) {
            self.check_signer(issuer.ok_or(Error::InvalidCrlSignatureForPublicKey)?, key, checks)?;
        }
        if now < self.this_update {
            return Err(NOT_YET_VALID);
        }
        if now >= self.next_update {
            return Err(Error::CrlExpired { time: now, next_update: self.next_update });
        }
        match self.revoked.binary_search_by(|revoked| (**revoked).cmp(trimmed(serial))) {
            Ok(_) => Err(Error::CertRevoked),
            Err(_) => Ok(()),
        }
    }

    fn check_signer(&self, certificate: &CertificateDer<'_>, key: &[u8], checks: &Checks) -> Result<(), Error> {
        if !self.signed.is_by(key, checks)? {
            return Err(Error::InvalidCrlSignatureForPublicKey);
        }
        match may_sign_lists(certificate) {
            Some(true) => Ok(()),
            Some(false) => Err(Error::IssuerNotCrlSigner),
            None => Err(Error::BadDer),
        }
    }
}

/// One that says nothing of its usage may be used for all, as OpenSSL and the engine have it. `None` when it cannot be
/// read.
fn may_sign_lists(certificate: &CertificateDer<'_>) -> Option<bool> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    parsed.key_usage().ok().map(|usage| usage.is_none_or(|usage| usage.value.crl_sign()))
}

/// The serial number of an entry. Why and since when it is revoked makes no difference.
fn entry(content: &[u8]) -> Result<Box<[u8]>, Unusable> {
    let mut fields = Fields(content);
    let serial = trimmed(fields.take(INTEGER)?);
    fields.time()?;
    // Some write an empty one for none.
    let mut extensions = Fields(if fields.peek().is_some() { fields.take(SEQUENCE)? } else { &[] });
    fields.end()?;
    while extensions.peek().is_some() {
        let mut extension = Fields(extensions.take(SEQUENCE)?);
        let id = extension.take(OBJECT_IDENTIFIER)?;
        let critical = extension.peek() == Some(BOOLEAN) && extension.take(BOOLEAN)? != [0];
        extension.take(OCTET_STRING)?;
        extension.end()?;
        match id {
            CERTIFICATE_ISSUER => return Err(Unusable::Indirect),
            REASON_CODE | INVALIDITY_DATE => {}
            _ if critical => return Err(Unusable::CriticalExtension),
            _ => {}
        }
    }
    Ok(serial.into())
}

/// Not all who write numbers leave leading zeros out.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

const EXTENSIONS: u8 = 0xa0;
const VERSION_2: [u8; 1] = [1];
/// 2.5.29.21
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
/// 2.5.29.24
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
/// 2.5.29.29
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];

#[cfg(test)]
pub(super) mod tests;
