//! The self-signed certificate shown for hosts without one, with the names that ingress-nginx gives it.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use ringress_config::snapshot::Certificate;

use crate::SyncError;

const COMMON_NAME: &str = "Kubernetes Ingress Controller Fake Certificate";
const ORGANIZATION: &str = "Acme Co";
const SUBJECT_ALT_NAME: &str = "ingress.local";
const VALIDITY_DAYS: i64 = 365;

/// Makes the certificate, once per process.
pub(crate) fn make() -> Result<Arc<Certificate>, SyncError> {
    let (chain, key) = make_pem().map_err(|cause| SyncError::DefaultCertificate(cause.to_string()))?;
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes(), None)
        .map_err(|cause| SyncError::DefaultCertificate(cause.to_string()))?;
    Ok(Arc::new(certificate))
}

fn make_pem() -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(vec![SUBJECT_ALT_NAME.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + std::time::Duration::from_secs(VALIDITY_DAYS as u64 * 24 * 3600)).into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
