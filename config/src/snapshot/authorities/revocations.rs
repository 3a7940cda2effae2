//! The lists of revocations of one Secret, and paths judged by them.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    Cert, CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};

use super::plain_list::{PlainList, Unusable};

/// Every certificate of a chain must be covered by one of these, unless there is none at all (nginx' `ssl_crl`).
#[derive(Default)]
pub(super) struct Revocations {
    /// With extensions: the engine judges by these.
    extended: Box<[CertRevocationList<'static>]>,
    /// Without, which it cannot read: judged by here.
    plain: Box<[PlainList]>,
}

impl Revocations {
    /// Reads `ca.crl`. `authorities` are the certificates of `ca.crt`, each with what the engine keeps of it.
    ///
    /// # Errors
    /// When a list cannot be used, in words.
    pub(super) fn from_pem(
        pem: &[u8],
        authorities: &[(CertificateDer<'_>, TrustAnchor<'_>)],
        mut hash: impl FnMut(&[u8]),
    ) -> Result<Self, String> {
        let (mut extended, mut plain) = (Vec::new(), Vec::new());
        for der in CertificateRevocationListDer::pem_slice_iter(pem) {
            let der = der.map_err(|error| error.to_string())?;
            hash(&der);
            let refused = match OwnedCertRevocationList::from_der(&der) {
                Ok(list) => {
                    extended.push(CertRevocationList::from(list));
                    continue;
                }
                Err(error) => error,
            };
            let mut list = match PlainList::from_der(&der) {
                Ok(list) => list,
                // It was the engine's to read, and so is the verdict.
                Err(Unusable::Extensions) => return Err(refused.to_string()),
                Err(error) => return Err(error.to_string()),
            };
            let of_its_name = authorities.iter().filter(|(_, anchor)| list.is_by(&anchor.subject));
            let of_its_name: Vec<_> = of_its_name.map(|(der, anchor)| (der, key_of(anchor))).collect();
            list.find_signers(of_its_name.into_iter()).map_err(|error| error.to_string())?;
            plain.push(list);
        }
        if extended.is_empty() && plain.is_empty() && !pem.trim_ascii().is_empty() {
            return Err("it holds no PEM list".into());
        }
        // The engine does not tell which certificates such a list covers, and the others must not pass for good.
        if !plain.is_empty() && extended.iter().any(|list| list.issuing_distribution_point().is_some()) {
            return Err("a list of a part (issuingDistributionPoint) stands beside one without extensions".into());
        }
        Ok(Self { extended: extended.into(), plain: plain.into() })
    }

    pub(super) fn len(&self) -> usize {
        self.extended.len() + self.plain.len()
    }

    /// What the engine judges by, as borrowed by it.
    pub(super) fn extended(&self) -> Vec<&CertRevocationList<'static>> {
        self.extended.iter().collect()
    }

    /// What the engine is told to do with those.
    pub(super) fn options<'a>(&self, extended: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
        // What it finds no list for is for `check` to refuse, where there are lists that it does not know of.
        let unknown = if self.plain.is_empty() { UnknownStatusPolicy::Deny } else { UnknownStatusPolicy::Allow };
        let options = RevocationOptionsBuilder::new(extended).ok()?.with_status_policy(unknown);
        Some(options.with_expiration_policy(ExpirationPolicy::Enforce).build())
    }

    /// The engine's verdict on a path, completed by the lists that it cannot read.
    pub(super) fn check(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), Error> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let mut checked: &Cert<'_> = path.end_entity();
        for issuer in path.intermediate_certificates() {
            self.check_one(checked, &issuer.subject_public_key_info(), Some(&issuer.der()), now)?;
            checked = issuer;
        }
        self.check_one(checked, &key_of(path.anchor()), None, now)
    }

    /// All lists of the issuer that are signed and not outdated count; one of them there must be.
    fn check_one(
        &self,
        checked: &Cert<'_>,
        key: &[u8],
        issuer: Option<&CertificateDer<'_>>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut covered = self.extended.iter().any(|list| list.issuer() == checked.issuer());
        let mut fault = Error::UnknownRevocationStatus;
        for list in self.plain.iter().filter(|list| list.is_by(checked.issuer())) {
            match list.judge(checked.serial(), key, issuer, now) {
                Ok(()) => covered = true,
                Err(Error::CertRevoked) => return Err(Error::CertRevoked),
                Err(error) => fault = error,
            }
        }
        if covered { Ok(()) } else { Err(fault) }
    }
}

/// Its SubjectPublicKeyInfo, DER.
fn key_of(anchor: &TrustAnchor<'_>) -> Box<[u8]> {
    webpki::spki_for_anchor(anchor).as_ref().into()
}
