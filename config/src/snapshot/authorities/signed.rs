//! Signatures of certificates and of lists.

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::bounds::{Checks, Spent};
use super::fields::{BIT_STRING, Fields, Malformed, SEQUENCE, bits};

/// What a signature is over, whose algorithm is DER without its outer layer.
pub(super) struct Signed {
    data: Box<[u8]>,
    pub(super) algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

impl Signed {
    /// Takes a certificate or a list apart: what is signed, without its outer layer, and how.
    pub(super) fn from_der(der: &[u8]) -> Result<(&[u8], Self), Malformed> {
        let mut all = Fields(der);
        let mut parts = Fields(all.take(SEQUENCE)?);
        all.end()?;
        let (data, content) = parts.next(SEQUENCE)?;
        let algorithm = parts.take(SEQUENCE)?;
        let signature = bits(parts.take(BIT_STRING)?)?;
        parts.end()?;
        Ok((content, Self { data: data.into(), algorithm: algorithm.into(), signature: signature.into() }))
    }

    /// Whether anybody's signature of this algorithm can be checked.
    pub(super) fn is_supported(&self) -> bool {
        supported().iter().any(|known| *known.signature_alg_id() == *self.algorithm)
    }

    /// Whether the owner of this SubjectPublicKeyInfo has signed it. One that is no key has signed nothing.
    pub(super) fn is_by(&self, key: &[u8], checks: &Checks) -> Result<bool, Spent> {
        checks.spend()?;
        let Ok((kind, key)) = parts_of_key(key) else { return Ok(false) };
        let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
            *known.signature_alg_id() == *self.algorithm && *known.public_key_alg_id() == *kind
        };
        let mut fitting = supported().iter().filter(fits);
        Ok(fitting.any(|known| known.verify_signature(key, &self.data, &self.signature).is_ok()))
    }
}

/// What kind of key it is, and the key.
fn parts_of_key(key: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut fields = Fields(Fields(key).take(SEQUENCE)?);
    Ok((fields.take(SEQUENCE)?, bits(fields.take(BIT_STRING)?)?))
}

fn supported() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    aws_lc_rs::default_provider().signature_verification_algorithms.all
}
