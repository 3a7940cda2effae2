//! OCSP (RFC 6960) as bytes: what is asked about a certificate, and what an answer is worth. No socket, no clock.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{AnyRef, Null, ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::Certificate;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse, OcspResponseStatus, Request,
    SingleResponse, TbsRequest, Version,
};

/// `id-ad-ocsp`: where a certificate names its responder.
const AT_RESPONDER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
/// `id-pkix-ocsp-basic`: the one form of answers.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// `id-sha1`, which every responder knows certificates by; nothing is protected by it.
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
/// `id-kp-OCSPSigning`, encoded: what an issuer marks its delegates with.
const OCSP_SIGNING: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 9];
/// Seconds that the clock of a responder may be ahead (OpenSSL's and nginx' word).
const AHEAD_MAX: u64 = 300;
/// Seconds for which an answer without an end is good: as long as ingress-nginx keeps one.
const ENDLESS: u64 = 3 * 24 * 3600;
/// Certificates of delegates that are looked at in one answer.
const DELEGATES_MAX: usize = 4;

/// What is asked about one certificate.
pub(super) struct Question {
    /// The responder that the certificate names.
    pub(super) url: String,
    /// The request.
    pub(super) request: Vec<u8>,
    id: CertId,
    issuer: CertificateDer<'static>,
}

/// Why nothing can be asked about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unaskable {
    /// It cannot be read by the stricter parser.
    #[error("the certificate or its issuer cannot be read")]
    Unreadable,
    /// It has no http responder.
    #[error("the certificate names no http responder")]
    NoResponder,
    /// `tls.crt` has the leaf only.
    #[error("tls.crt does not hold the certificate of the issuer")]
    NoIssuer,
}

/// What a trusted answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not revoked, as far as this time (seconds since 1970).
    Good {
        /// Its end.
        until: u64,
    },
    /// Revoked.
    Revoked,
    /// The responder does not know the certificate.
    Unknown,
}

/// Why an answer is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No answer by its form.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The responder gave none.
    #[error("the responder says {0:?}")]
    Status(OcspResponseStatus),
    /// Signed by somebody else, or by nobody.
    #[error("neither the issuer nor a delegate of it signed the answer")]
    Signature,
    /// Not about the certificate.
    #[error("the answer is about another certificate")]
    OtherCertificate,
    /// Before its time, or after.
    #[error("the answer is out of date")]
    OutOfDate,
}

impl From<der::Error> for Refusal {
    fn from(error: der::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Question {
    /// About the first certificate of a chain, whose issuer has to be in it.
    pub(super) fn about(chain: &[CertificateDer<'static>]) -> Result<Self, Unaskable> {
        let (leaf, rest) = chain.split_first().ok_or(Unaskable::Unreadable)?;
        let leaf = Certificate::from_der(leaf).map_err(|_| Unaskable::Unreadable)?;
        let url = responder(&leaf).ok_or(Unaskable::NoResponder)?;
        let issuer_of = |der: &&CertificateDer<'_>| {
            let issuer = Certificate::from_der(der).ok();
            issuer.filter(|issuer| issuer.tbs_certificate.subject == leaf.tbs_certificate.issuer)
        };
        let found = rest.iter().find_map(|der| Some((der, issuer_of(&der)?)));
        let (der, issuer) = found.ok_or(Unaskable::NoIssuer)?;
        let id = identity(&leaf, &issuer).map_err(|_| Unaskable::Unreadable)?;
        let asked = Request { req_cert: id.clone(), single_request_extensions: None };
        let tbs_request = TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: vec![asked],
            // Without a nonce: responders may answer from what they signed before, as nginx has it.
            request_extensions: None,
        };
        let request = OcspRequest { tbs_request, optional_signature: None };
        let request = request.to_der().map_err(|_| Unaskable::Unreadable)?;
        Ok(Self { url, request, id, issuer: der.clone() })
    }

    /// What an answer says, if it can be trusted.
    pub(super) fn judge(&self, answer: &[u8], now: UnixTime) -> Result<Verdict, Refusal> {
        let response = OcspResponse::from_der(answer)?;
        if response.response_status != OcspResponseStatus::Successful {
            return Err(Refusal::Status(response.response_status));
        }
        let bytes = response.response_bytes.filter(|bytes| bytes.response_type == BASIC);
        let bytes = bytes.ok_or_else(|| Refusal::Unreadable("it is no basic response".into()))?;
        let basic = BasicOcspResponse::from_der(bytes.response.as_bytes())?;
        self.check_signature(&basic, signed_part(bytes.response.as_bytes())?, now)?;
        let about: Vec<&SingleResponse> =
            basic.tbs_response_data.responses.iter().filter(|single| self.is_about(&single.cert_id)).collect();
        if about.is_empty() {
            return Err(Refusal::OtherCertificate);
        }
        // The worst counts, should there be several.
        let said = about.iter().map(|single| said(single, now.as_secs())).collect::<Result<Vec<_>, _>>()?;
        let bad = said.iter().find(|verdict| !matches!(verdict, Verdict::Good { .. }));
        Ok(*bad.unwrap_or(&said[0]))
    }

    fn is_about(&self, other: &CertId) -> bool {
        let own = &self.id;
        // Parameters of the hash are written as NULL by some and left out by others.
        own.hash_algorithm.oid == other.hash_algorithm.oid
            && own.issuer_name_hash == other.issuer_name_hash
            && own.issuer_key_hash == other.issuer_key_hash
            && own.serial_number == other.serial_number
    }

    fn check_signature(&self, basic: &BasicOcspResponse, signed: &[u8], now: UnixTime) -> Result<(), Refusal> {
        let signature = basic.signature.as_bytes().ok_or(Refusal::Signature)?;
        let algorithm = basic.signature_algorithm.to_der()?;
        let algorithm = AnyRef::from_der(&algorithm)?;
        let known = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let signed_by = |signer: &EndEntityCert<'_>| {
            let mut fitting = known.iter().filter(|known| *known.signature_alg_id() == *algorithm.value());
            fitting.any(|known| signer.verify_signature(*known, signed, signature).is_ok())
        };
        if EndEntityCert::try_from(&self.issuer).is_ok_and(|issuer| signed_by(&issuer)) {
            return Ok(());
        }
        let anchors = [webpki::anchor_from_trusted_cert(&self.issuer).map_err(|_| Refusal::Signature)?];
        for delegate in basic.certs.iter().flatten().take(DELEGATES_MAX) {
            let der = CertificateDer::from(delegate.to_der()?);
            let Ok(delegate) = EndEntityCert::try_from(&der) else { continue };
            let usage = KeyUsage::required(OCSP_SIGNING);
            let appointed = delegate.verify_for_usage(known, &anchors, &[], now, usage, None, None).is_ok();
            if appointed && signed_by(&delegate) {
                return Ok(());
            }
        }
        Err(Refusal::Signature)
    }
}

/// The first http responder; https would need a certificate that is checked in turn.
fn responder(certificate: &Certificate) -> Option<String> {
    let (_, access) = certificate.tbs_certificate.get::<AuthorityInfoAccessSyntax>().ok()??;
    access.0.into_iter().filter(|access| access.access_method == AT_RESPONDER).find_map(|access| {
        let GeneralName::UniformResourceIdentifier(url) = access.access_location else { return None };
        let scheme = url.as_str().split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")).then(|| url.as_str().to_owned())
    })
}

fn identity(leaf: &Certificate, issuer: &Certificate) -> der::Result<CertId> {
    let issuer = &issuer.tbs_certificate;
    let hash = |bytes: &[u8]| OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    Ok(CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(Null.into()) },
        issuer_name_hash: hash(&issuer.subject.to_der()?)?,
        issuer_key_hash: hash(issuer.subject_public_key_info.subject_public_key.raw_bytes())?,
        serial_number: leaf.tbs_certificate.serial_number.clone(),
    })
}

/// The first part of the answer as it came: what the signature is over, whether or not it would be written again so.
fn signed_part(basic: &[u8]) -> der::Result<&[u8]> {
    let content = AnyRef::from_der(basic)?;
    SliceReader::new(content.value())?.tlv_bytes()
}

fn said(single: &SingleResponse, now: u64) -> Result<Verdict, Refusal> {
    let seconds = |time: &OcspGeneralizedTime| time.0.to_unix_duration().as_secs();
    let since = seconds(&single.this_update);
    let until = single.next_update.as_ref().map_or(since.saturating_add(ENDLESS), seconds);
    if since > now + AHEAD_MAX || until <= now {
        return Err(Refusal::OutOfDate);
    }
    Ok(match single.cert_status {
        CertStatus::Good(_) => Verdict::Good { until },
        CertStatus::Revoked(_) => Verdict::Revoked,
        CertStatus::Unknown(_) => Verdict::Unknown,
    })
}

#[cfg(test)]
mod tests;
