use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::*;

/// A certificate with what it takes to issue others.
pub(super) struct Made {
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
}

pub(super) fn params(name: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(name.as_bytes().to_vec()));
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    params
}

pub(super) fn make(params: CertificateParams, by: Option<&Made>) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Made { pem: certificate.pem(), der: certificate.der().clone(), params, key }
}

fn read(pem: &str) -> Authorities {
    Authorities::from_pem(pem.as_bytes(), None).unwrap()
}

/// 2026-01-01, within what `rcgen` makes valid by default.
pub(super) fn now() -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_767_225_600))
}

pub(super) fn judge(authorities: &Authorities, chain: &[&Made], depth: u32) -> Result<(), &'static str> {
    let chain: Vec<_> = chain.iter().map(|made| made.der.clone()).collect();
    authorities.judge_client(&chain, depth, now()).map_err(|distrust| distrust.0)
}

#[test]
fn a_chain_leads_to_an_authority_within_its_depth() {
    let root = make(params("root", true), None);
    let (middle, other) = (make(params("middle", true), Some(&root)), make(params("other", true), None));
    let (near, far) = (make(params("near", false), Some(&root)), make(params("far", false), Some(&middle)));
    let authorities = read(&root.pem);
    assert_eq!(judge(&authorities, &[&near], 0), Ok(()));
    assert_eq!(judge(&authorities, &[&far, &middle], 1), Ok(()));
    assert_eq!(judge(&authorities, &[&far, &middle], 0), Err("certificate chain too long"));
    assert_eq!(judge(&authorities, &[&far], 1), Err("unable to verify the first certificate"));
    assert_eq!(judge(&read(&other.pem), &[&near], 1), Err("unable to verify the first certificate"));
    let alone = make(params("alone", false), None);
    assert_eq!(judge(&authorities, &[&alone], 1), Err("self-signed certificate"));
    assert_eq!(judge(&authorities, &[], 1), Err("no certificate"));
    assert_eq!(judge(&read(&(root.pem.clone() + &other.pem)), &[&near], 1), Ok(()));
}

#[test]
fn time_and_purpose_count() {
    let root = make(params("root", true), None);
    let authorities = read(&root.pem);
    let mut old = params("old", false);
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    assert_eq!(judge(&authorities, &[&make(old, Some(&root))], 1), Err("certificate has expired"));
    let mut early = params("early", false);
    (early.not_before, early.not_after) = (date_time_ymd(2050, 1, 1), date_time_ymd(2051, 1, 1));
    assert_eq!(judge(&authorities, &[&make(early, Some(&root))], 1), Err("certificate is not yet valid"));
    let mut server = params("server", false);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = make(server, Some(&root));
    assert_eq!(judge(&authorities, &[&server], 1), Err("unsuitable certificate purpose"));
    let name = ServerName::try_from("server").unwrap();
    assert_eq!(authorities.judge_server(std::slice::from_ref(&server.der), &name, 1, now()), Ok(()));
    let other = ServerName::try_from("other").unwrap();
    let judged = authorities.judge_server(&[server.der], &other, 1, now());
    assert_eq!(judged, Err(Distrust("hostname mismatch")));
}

#[test]
fn the_revoked_are_refused_and_so_is_what_no_list_speaks_of() {
    let root = make(params("root", true), None);
    let (good, bad) = (make(params("good", false), Some(&root)), make(params("bad", false), Some(&root)));
    let list = |next: i32| {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(b"bad".to_vec()),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&Issuer::from_params(&root.params, &root.key)).unwrap().pem().unwrap()
    };
    let with = |list: &str| Authorities::from_pem(root.pem.as_bytes(), Some(list.as_bytes()));
    let authorities = with(&list(2030)).unwrap();
    assert_eq!(judge(&authorities, &[&good], 1), Ok(()));
    assert_eq!(judge(&authorities, &[&bad], 1), Err("certificate revoked"));
    assert_eq!(judge(&with(&list(2025)).unwrap(), &[&good], 1), Err("CRL has expired"));
    let (other, both) = (make(params("other", true), None), list(2030));
    let pem = root.pem.clone() + &other.pem;
    let both = Authorities::from_pem(pem.as_bytes(), Some(both.as_bytes())).unwrap();
    let unlisted = make(params("unlisted", false), Some(&other));
    assert_eq!(judge(&both, &[&unlisted], 1), Err("unable to get certificate CRL"));
    assert!(with("junk").unwrap_err().concerns_revocations());
    assert_ne!(authorities, read(&root.pem));
}

#[test]
fn every_fault_of_the_authorities_is_told() {
    assert_eq!(Authorities::from_pem(b"", None).unwrap_err(), AuthoritiesError::NoCertificate);
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Authorities::from_pem(broken, None), Err(AuthoritiesError::BadCertificate(_))));
    let root = make(params("root", true), None);
    let pem = root.pem.clone() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(Authorities::from_pem(pem.as_bytes(), None).is_err(), "one that is broken spoils all");
}
