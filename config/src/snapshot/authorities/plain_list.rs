//! Lists of revocations without extensions, which is what openssl writes unless told otherwise.
//!
//! The engine reads none of them. `x509-parser` does, but passes over parts it does not understand, and here a part
//! passed over is a certificate let in. So the few fields are walked by hand, and none may be left.

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::Error;
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use crate::snapshot::distinguished_name;

/// A list that speaks of all that its issuer issued.
pub(super) struct PlainList {
    /// Its issuer's name, DER without the outer layer, as the engine keeps names.
    issuer: Box<[u8]>,
    next_update: UnixTime,
    /// Serial numbers without leading zeros, sorted.
    revoked: Box<[Box<[u8]>]>,
    signed: Signed,
    /// Keys of authorities that are known to have signed it, so that no handshake has to find out.
    signers: Vec<Box<[u8]>>,
}

/// What the signature is over, whose algorithm is DER without its outer layer.
struct Signed {
    data: Box<[u8]>,
    algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

/// Why a list is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no list in DER, or not a whole one")]
    Malformed,
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
    #[error("the list of {0} is not signed by the authority of that name")]
    Signature(String),
    #[error("the key usage of {0} does not permit to sign lists")]
    KeyUsage(String),
}

impl PlainList {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, Unusable> {
        let mut all = Fields(der);
        let mut list = Fields(all.take(SEQUENCE)?);
        all.end()?;
        let (data, content) = list.next(SEQUENCE)?;
        let algorithm = list.take(SEQUENCE)?;
        let signature = bits(list.take(BIT_STRING)?)?;
        list.end()?;

        let mut fields = Fields(content);
        if fields.peek() == Some(INTEGER) && fields.take(INTEGER)? != VERSION_2 {
            return Err(Unusable::Version);
        }
        if fields.take(SEQUENCE)? != algorithm {
            return Err(Unusable::TwoAlgorithms);
        }
        if !supported().iter().any(|known| *known.signature_alg_id() == *algorithm) {
            return Err(Unusable::Algorithm);
        }
        let issuer = fields.take(SEQUENCE)?;
        fields.time()?;
        if !matches!(fields.peek(), Some(UTC_TIME | GENERALIZED_TIME)) {
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
        let signed = Signed { data: data.into(), algorithm: algorithm.into(), signature: signature.into() };
        Ok(Self { issuer: issuer.into(), next_update, revoked: revoked.into(), signed, signers: Vec::new() })
    }

    /// Whether it is by an issuer of this name.
    pub(super) fn is_by(&self, issuer: &[u8]) -> bool {
        *self.issuer == *issuer
    }

    /// Finds who of the authorities of its issuer's name has signed it. Where there is none of that name it is of an
    /// authority below, whose certificate comes with a client's.
    pub(super) fn find_signers<'a>(
        &mut self,
        of_its_name: impl Iterator<Item = (&'a CertificateDer<'a>, Box<[u8]>)>,
    ) -> Result<(), Unusable> {
        let mut fault = None;
        for (certificate, key) in of_its_name {
            match self.check_signer(certificate, &key) {
                Ok(()) => self.signers.push(key),
                // That it did sign is the better half of an answer.
                Err(Error::IssuerNotCrlSigner) => fault = Some(Unusable::KeyUsage(self.issuer_text())),
                Err(_) => fault = fault.or_else(|| Some(Unusable::Signature(self.issuer_text()))),
            }
        }
        fault.filter(|_| self.signers.is_empty()).map_or(Ok(()), Err)
    }

    /// Whether the certificate of this serial number may be trusted, as far as this list says. `key` is its issuer's,
    /// whose certificate is there unless it is one of the authorities.
    pub(super) fn judge(
        &self,
        serial: &[u8],
        key: &[u8],
        issuer: Option<&CertificateDer<'_>>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if !self.signers.iter().any(|signer| **signer == *key) {
            self.check_signer(issuer.ok_or(Error::InvalidCrlSignatureForPublicKey)?, key)?;
        }
        if now >= self.next_update {
            return Err(Error::CrlExpired { time: now, next_update: self.next_update });
        }
        match self.revoked.binary_search_by(|revoked| (**revoked).cmp(trimmed(serial))) {
            Ok(_) => Err(Error::CertRevoked),
            Err(_) => Ok(()),
        }
    }

    fn check_signer(&self, certificate: &CertificateDer<'_>, key: &[u8]) -> Result<(), Error> {
        match self.signed.is_by(key) {
            None | Some(false) => Err(Error::InvalidCrlSignatureForPublicKey),
            Some(true) if may_sign_lists(certificate) => Ok(()),
            Some(true) => Err(Error::IssuerNotCrlSigner),
        }
    }

    fn issuer_text(&self) -> String {
        distinguished_name::of_name(&super::sequence(&self.issuer)).unwrap_or_else(|| "an unreadable name".into())
    }
}

impl Signed {
    /// Whether the owner of this SubjectPublicKeyInfo has signed it; `None` when that is no key.
    fn is_by(&self, key: &[u8]) -> Option<bool> {
        let mut key = Fields(Fields(key).take(SEQUENCE).ok()?);
        let (kind, key) = (key.take(SEQUENCE).ok()?, bits(key.take(BIT_STRING).ok()?).ok()?);
        let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
            *known.signature_alg_id() == *self.algorithm && *known.public_key_alg_id() == *kind
        };
        let mut fitting = supported().iter().filter(fits);
        Some(fitting.any(|known| known.verify_signature(key, &self.data, &self.signature).is_ok()))
    }
}

fn supported() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    aws_lc_rs::default_provider().signature_verification_algorithms.all
}

/// One that says nothing of its usage may be used for all, as OpenSSL and the engine have it.
fn may_sign_lists(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    parsed.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.crl_sign()))
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

/// A BIT STRING of whole bytes.
fn bits(content: &[u8]) -> Result<&[u8], Unusable> {
    content.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes).ok_or(Unusable::Malformed)
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXTENSIONS: u8 = 0xa0;
const VERSION_2: [u8; 1] = [1];
/// 2.5.29.21
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
/// 2.5.29.24
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
/// 2.5.29.29
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];

/// What is not read yet of a structure, DER.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// What comes next.
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next field, which must be such a one: all of it, and its content.
    fn next(&mut self, tag: u8) -> Result<(&'a [u8], &'a [u8]), Unusable> {
        if self.peek() != Some(tag) {
            return Err(Unusable::Malformed);
        }
        let (rest, field) = Any::from_der(self.0).map_err(|_| Unusable::Malformed)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Ok((whole, field.data))
    }

    fn take(&mut self, tag: u8) -> Result<&'a [u8], Unusable> {
        self.next(tag).map(|(_, content)| content)
    }

    fn time(&mut self) -> Result<UnixTime, Unusable> {
        let (whole, _) = self.next(self.peek().ok_or(Unusable::Malformed)?)?;
        let (_, time) = ASN1Time::from_der(whole).map_err(|_| Unusable::Malformed)?;
        let seconds = u64::try_from(time.timestamp()).map_err(|_| Unusable::Malformed)?;
        Ok(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }

    fn end(self) -> Result<(), Unusable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unusable::Malformed) }
    }
}

#[cfg(test)]
mod tests;
