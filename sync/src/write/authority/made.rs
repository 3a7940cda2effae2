//! Certificates of the webhook: made, and judged. Pure but for the keys, which are drawn at random.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ringress_config::snapshot::{Certificate, not_after_of};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// How long authority and certificate are valid.
const VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);

/// A new one is made when there is no more than this left.
const RENEW: Duration = Duration::from_secs(30 * 24 * 3600);

/// Clocks of API servers may be behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// Authorities before that stay in the bundle.
const BEFORE_MAX: usize = 3;

/// What is made, all as PEM.
pub(super) struct Pair {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Makes an authority and a certificate for these names. The authority's key is not kept.
pub(super) fn make(names: &BTreeSet<String>, now: SystemTime) -> Result<Pair, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, "ringress webhook authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mut leaf = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    leaf.distinguished_name = DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, "ringress webhook");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for params in [&mut authority, &mut leaf] {
        (params.not_before, params.not_after) = ((now - BACKDATED).into(), (now + VALIDITY).into());
    }
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let signed = authority.self_signed(&authority_key)?;
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok(Pair { authority: signed.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Whether a certificate has the names, fits its key, is trusted by something in the bundle that lasts, and lasts.
pub(super) fn is_good(
    certificate: &[u8],
    key: &[u8],
    bundle: &[u8],
    names: &BTreeSet<String>,
    now: SystemTime,
) -> bool {
    let Ok(parsed) = Certificate::from_pem(certificate, key, None) else { return false };
    let limit = seconds(now + RENEW);
    // Addresses are in the certificate, and not in what is read of it here.
    let has = |name: &String| name.parse::<IpAddr>().is_ok() || parsed.names.iter().any(|known| **known == **name);
    let is_trusted = CertificateDer::pem_slice_iter(bundle).flatten().any(|der| not_after_of(&der) > Some(limit));
    parsed.not_after > limit && names.iter().all(has) && is_trusted
}

/// The authorities of a bundle that are still valid, newest first as they are.
pub(super) fn unexpired(bundle: &[u8], now: SystemTime) -> String {
    let text = String::from_utf8_lossy(bundle);
    let blocks = text.split_inclusive("-----END CERTIFICATE-----").filter_map(|block| {
        let block = &block[block.find("-----BEGIN CERTIFICATE-----")?..];
        let der = CertificateDer::from_pem_slice(block.as_bytes()).ok()?;
        (not_after_of(&der)? > seconds(now)).then(|| format!("{block}\n"))
    });
    blocks.take(BEFORE_MAX).collect()
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_good_until_its_end_comes_near_and_for_its_names_only() {
        let (names, now) = (BTreeSet::from(["hook.n.svc".to_owned()]), SystemTime::now());
        let Pair { authority, certificate, key } = make(&names, now).expect("it is made");
        let good = |names: &BTreeSet<String>, bundle: &str, now| {
            is_good(certificate.as_bytes(), key.as_bytes(), bundle.as_bytes(), names, now)
        };
        assert!(good(&names, &authority, now));
        assert!(good(&names, &authority, now + VALIDITY - RENEW - Duration::from_secs(60)));
        assert!(!good(&names, &authority, now + VALIDITY - RENEW));
        assert!(!good(&names, "", now));
        assert!(!good(&BTreeSet::from(["other.n.svc".to_owned()]), &authority, now));
        let other = KeyPair::generate().expect("a key").serialize_pem();
        assert!(!is_good(certificate.as_bytes(), other.as_bytes(), authority.as_bytes(), &names, now));
    }

    #[test]
    fn the_bundle_keeps_what_is_valid_and_not_more_than_so_many() {
        let (names, now) = (BTreeSet::from(["hook.n.svc".to_owned()]), SystemTime::now());
        let made = |at| make(&names, at).expect("it is made").authority;
        let old = made(now - VALIDITY);
        let valid: Vec<String> = (0..5).map(|_| made(now)).collect();
        let kept = unexpired([vec![old], valid.clone()].concat().concat().as_bytes(), now);
        let count = kept.matches("BEGIN").count();
        assert_eq!(
            (count, kept.replace('\r', "").starts_with(valid[0].trim_end().replace('\r', "").as_str())),
            (3, true)
        );
        assert_eq!(unexpired(b"nothing", now), "");
    }
}
