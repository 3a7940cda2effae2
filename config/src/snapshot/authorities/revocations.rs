//! The lists of revocations of one Secret, and paths judged by them.

use std::cmp::Reverse;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{
    Cert, CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::bounds::{CHECKS_OF_A_SECRET, Checks, Names, distinct};
use super::certificates::Authority;
use super::plain_list::{PlainList, Unusable};
use super::{AuthoritiesError, key_of, name_text};

/// Every certificate of a chain must be covered by one of these, unless there is none at all (nginx' `ssl_crl`).
#[derive(Default)]
pub(super) struct Revocations {
    /// With extensions: the engine judges by the first of an issuer, so the newest are first.
    extended: Box<[CertRevocationList<'static>]>,
    /// Without, which it cannot read: judged by here.
    plain: Box<[PlainList]>,
}

impl Revocations {
    /// Reads `ca.crl`. `authorities` are the certificates of `ca.crt`.
    ///
    /// # Errors
    /// When a list cannot be used, or there are too many of one issuer.
    pub(super) fn from_pem(
        pem: &[u8],
        authorities: &[Authority],
        mut hash: impl FnMut(&[u8]),
    ) -> Result<Self, AuthoritiesError> {
        let bad = |error: &dyn ToString| AuthoritiesError::BadRevocations(error.to_string());
        let listed = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let listed = distinct(listed.map_err(|e| bad(&e))?);
        if listed.is_empty() && !pem.trim_ascii().is_empty() {
            return Err(bad(&"it holds no PEM list"));
        }
        let (mut extended, mut plain) = (Vec::new(), Vec::new());
        let (mut names, checks) = (Names::default(), Checks::new(CHECKS_OF_A_SECRET));
        for der in &listed {
            hash(der);
            let list = List::read(der).map_err(|e| bad(&e))?;
            if !names.admit(list.issuer()) {
                return Err(AuthoritiesError::TooManyLists(name_text(list.issuer())));
            }
            match list {
                List::Extended(list) => extended.push((this_update(der), list)),
                List::Plain(mut list) => {
                    list.find_signers(authorities, &checks).map_err(|e| bad(&e))?;
                    plain.push(list);
                }
            }
        }
        // The engine does not tell which certificates such a list covers, and the others must not pass for good.
        if !plain.is_empty() && extended.iter().any(|(_, list)| list.issuing_distribution_point().is_some()) {
            return Err(bad(&"a list of a part (issuingDistributionPoint) stands beside one without extensions"));
        }
        extended.sort_by_key(|(time, _)| Reverse(*time));
        let extended = extended.into_iter().map(|(_, list)| list).collect();
        Ok(Self { extended, plain: plain.into() })
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

    /// The engine's verdict on a path, completed by the lists that it did not look at.
    pub(super) fn check(&self, path: &VerifiedPath<'_>, now: UnixTime, checks: &Checks) -> Result<(), Error> {
        if self.len() == 0 {
            return Ok(());
        }
        checks.ensure_not_spent()?;
        let mut checked: &Cert<'_> = path.end_entity();
        for issuer in path.intermediate_certificates() {
            self.check_one(checked, &issuer.subject_public_key_info(), Some(&issuer.der()), now, checks)?;
            checked = issuer;
        }
        self.check_one(checked, &key_of(path.anchor()), None, now, checks)
    }

    /// Any list of the issuer may revoke, and one there must be that is signed and in force.
    fn check_one(
        &self,
        checked: &Cert<'_>,
        key: &[u8],
        issuer: Option<&CertificateDer<'_>>,
        now: UnixTime,
        checks: &Checks,
    ) -> Result<(), Error> {
        let mut covered = false;
        // The engine has made sure of the first. Of the others it knows nothing.
        for list in self.extended.iter().filter(|list| list.issuer() == checked.issuer()) {
            if list.find_serial(checked.serial())?.is_some() {
                return Err(Error::CertRevoked);
            }
            covered = true;
        }
        let mut fault = Error::UnknownRevocationStatus;
        for list in self.plain.iter().filter(|list| list.issuer() == checked.issuer()) {
            if list.is_of_a_namesake(key) {
                fault = Error::InvalidCrlSignatureForPublicKey;
                continue;
            }
            match list.judge(checked.serial(), key, issuer, now, checks) {
                Ok(()) => covered = true,
                // Its successor may be there. Nothing else is made good by another list.
                Err(error @ Error::CrlExpired { .. }) => fault = error,
                Err(error) => return Err(error),
            }
        }
        if covered { Ok(()) } else { Err(fault) }
    }
}

/// A list that was read.
enum List {
    Extended(CertRevocationList<'static>),
    Plain(PlainList),
}

impl List {
    fn read(der: &[u8]) -> Result<Self, String> {
        let refused = match OwnedCertRevocationList::from_der(der) {
            Ok(list) => return Ok(Self::Extended(list.into())),
            Err(error) => error,
        };
        match PlainList::from_der(der) {
            Ok(list) => Ok(Self::Plain(list)),
            // It was the engine's to read, and so is the verdict.
            Err(Unusable::Extensions) => Err(refused.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn issuer(&self) -> &[u8] {
        match self {
            Self::Extended(list) => list.issuer(),
            Self::Plain(list) => list.issuer(),
        }
    }
}

/// When a list was made, which the engine does not tell; `None` when it cannot be read.
fn this_update(der: &[u8]) -> Option<i64> {
    CertificateRevocationList::from_der(der).ok().map(|(_, list)| list.last_update().timestamp())
}
