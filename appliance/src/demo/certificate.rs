//! Self-signed certificates made on the spot.

use rcgen::{CertificateParams, DnType, KeyPair};

/// A certificate and its key.
pub struct SelfSigned {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
}

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub struct SelfSignedError(#[from] rcgen::Error);

/// A certificate for these names, signed by itself.
pub fn self_signed(names: &[&str]) -> Result<SelfSigned, SelfSignedError> {
    let mut parameters = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    parameters.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("ringress"));
    parameters.distinguished_name.push(DnType::OrganizationName, "ringress demo");
    let key = KeyPair::generate()?;
    Ok(SelfSigned { certificate: parameters.self_signed(&key)?.pem(), key: key.serialize_pem() })
}
