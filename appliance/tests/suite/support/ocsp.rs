//! An authority whose certificates name a responder, and the answers of one: those that can be trusted, and others.

use std::time::{Duration, SystemTime};

use der::asn1::{BitString, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SigningKey as _,
};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    AsResponseBytes as _, BasicOcspResponse, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse,
    OcspResponseStatus, ResponderId, ResponseData, RevokedInfo, SingleResponse, Version,
};

/// A certificate with its key, signed by an [`Ocsp`] authority.
pub(crate) struct Issued {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

/// An authority.
pub(crate) struct Ocsp {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
    params: CertificateParams,
}

/// What an answer says, and how it is signed.
pub(crate) struct Answer<'a> {
    pub(crate) status: CertStatus,
    /// Seconds from now.
    pub(crate) since: i64,
    /// Seconds from now.
    pub(crate) until: Option<i64>,
    pub(crate) signer: &'a KeyPair,
    /// The certificate of the signer, DER.
    pub(crate) delegate: Option<&'a [u8]>,
    pub(crate) of_another: bool,
}

impl Ocsp {
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        Self { der: made.der().to_vec(), pem: made.pem(), key, params }
    }

    /// A certificate for a host whose responder is at this URL.
    pub(crate) fn issue(&self, host: &str, responder: &str) -> Issued {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a valid name");
        let access = AuthorityInfoAccessSyntax(vec![AccessDescription {
            access_method: ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1"),
            access_location: GeneralName::UniformResourceIdentifier(Ia5String::new(responder).expect("ASCII")),
        }]);
        let content = access.to_der().expect("an extension");
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
        self.sign(params)
    }

    /// A certificate that may be used for `purpose` only.
    pub(crate) fn appoint(&self, purpose: ExtendedKeyUsagePurpose) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "responder");
        params.extended_key_usages.push(purpose);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).expect("a certificate");
        Issued { der: made.der().to_vec(), pem: made.pem(), key }
    }

    /// An answer as it should be.
    pub(crate) fn good(&self) -> Answer<'_> {
        let status = CertStatus::good();
        Answer { status, since: -60, until: Some(3600), signer: &self.key, delegate: None, of_another: false }
    }
}

impl Answer<'_> {
    /// The answer to a request.
    pub(crate) fn to(&self, request: &[u8]) -> Vec<u8> {
        let request = OcspRequest::from_der(request).expect("a request");
        let mut cert_id = request.tbs_request.request_list[0].req_cert.clone();
        if self.of_another {
            cert_id.serial_number = SerialNumber::new(&[7]).expect("a number");
        }
        let single = SingleResponse {
            cert_id,
            cert_status: self.status,
            this_update: time(self.since),
            next_update: self.until.map(time),
            single_extensions: None,
        };
        let tbs_response_data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(OctetString::new([0; 20]).expect("a hash")),
            produced_at: time(self.since),
            responses: vec![single],
            response_extensions: None,
        };
        let signature = self.signer.sign(&tbs_response_data.to_der().expect("bytes")).expect("a signature");
        let certificate = |der| x509_cert::Certificate::from_der(der).expect("a certificate");
        let basic = BasicOcspResponse {
            tbs_response_data,
            signature_algorithm: AlgorithmIdentifierOwned {
                oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
                parameters: None,
            },
            signature: BitString::from_bytes(&signature).expect("a signature"),
            certs: self.delegate.map(|der| vec![certificate(der)]),
        };
        let response_bytes = Some(basic.to_response_bytes().expect("bytes"));
        let response = OcspResponse { response_status: OcspResponseStatus::Successful, response_bytes };
        response.to_der().expect("bytes")
    }
}

pub(crate) fn revoked() -> CertStatus {
    CertStatus::revoked(RevokedInfo { revocation_time: time(-3600), revocation_reason: None })
}

fn time(seconds_from_now: i64) -> OcspGeneralizedTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
    let seconds = now.checked_add_signed(seconds_from_now).expect("a time");
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds)).expect("a time").into()
}
