//! What is sent above a certificate, before the engine sees it.
//!
//! The engine tries certificates in every order before it looks at a signature. With a handful of one name and many of
//! others, all made up, that takes it seconds. So only those are left that one of ours issued, or one that is left.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::bounds::{Checks, Spent, distinct};
use super::signed::Signed;

/// Somebody who may have issued certificates.
pub(super) struct Issuer {
    /// DER without the outer layer, as the engine keeps names.
    pub(super) name: Box<[u8]>,
    /// SubjectPublicKeyInfo, DER.
    pub(super) key: Box<[u8]>,
}

/// A certificate whose issuer is not known yet.
struct Sent<'a> {
    der: &'a CertificateDer<'a>,
    parsed: EndEntityCert<'a>,
    signed: Signed,
}

/// Of what was sent, what leads to one of ours by its signatures.
pub(super) fn genuine<'a>(
    sent: &'a [CertificateDer<'a>],
    ours: &[Issuer],
    checks: &Checks,
) -> Result<Vec<CertificateDer<'a>>, Spent> {
    let mut unknown: Vec<_> = distinct(sent.iter().collect()).into_iter().filter_map(Sent::read).collect();
    let mut genuine = Vec::new();
    let mut found = take_issued(&mut unknown, ours, checks, &mut genuine)?;
    while !found.is_empty() {
        found = take_issued(&mut unknown, &found, checks, &mut genuine)?;
    }
    Ok(genuine)
}

/// Takes what these issued, and tells whom that makes known.
fn take_issued<'a>(
    unknown: &mut Vec<Sent<'a>>,
    issuers: &[Issuer],
    checks: &Checks,
    genuine: &mut Vec<CertificateDer<'a>>,
) -> Result<Vec<Issuer>, Spent> {
    let mut found = Vec::new();
    for one in std::mem::take(unknown) {
        if one.is_by_any(issuers, checks)? {
            genuine.push(CertificateDer::from(&**one.der));
            found.push(one.as_issuer());
        } else {
            unknown.push(one);
        }
    }
    Ok(found)
}

impl<'a> Sent<'a> {
    /// What cannot be read helps no chain.
    fn read(der: &'a CertificateDer<'a>) -> Option<Self> {
        let (_, signed) = Signed::from_der(der).ok()?;
        Some(Self { der, parsed: EndEntityCert::try_from(der).ok()?, signed })
    }

    fn is_by_any(&self, issuers: &[Issuer], checks: &Checks) -> Result<bool, Spent> {
        for issuer in issuers.iter().filter(|issuer| *issuer.name == *self.parsed.issuer()) {
            if self.signed.is_by(&issuer.key, checks)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn as_issuer(&self) -> Issuer {
        Issuer { name: self.parsed.subject().into(), key: self.parsed.subject_public_key_info().as_ref().into() }
    }
}
