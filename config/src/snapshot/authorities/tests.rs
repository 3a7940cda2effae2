use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlIssuingDistributionPoint, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
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

/// A list that revokes one, in force until that year.
fn list(by: &Made, serial: &[u8], next: i32) -> String {
    list_of(by, serial, None, [2024, next])
}

/// One of a part perhaps, with the years of its thisUpdate and its nextUpdate.
pub(super) fn list_of(
    by: &Made,
    serial: &[u8],
    part: Option<CrlIssuingDistributionPoint>,
    [this_update, next_update]: [i32; 2],
) -> String {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(serial.to_vec()),
        revocation_time: date_time_ymd(2025, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(this_update, 1, 1),
        next_update: date_time_ymd(next_update, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: part,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&Issuer::from_params(&by.params, &by.key)).unwrap().pem().unwrap()
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
fn what_another_certificate_of_the_authorities_issued_is_no_end_of_a_chain() {
    let root = make(params("root", true), None);
    let (middle, other) = (make(params("middle", true), Some(&root)), make(params("other", true), None));
    let mut old = params("old", true);
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let old = make(old, Some(&root));
    let far = |by: &Made| make(params("far", false), Some(by));
    let all = read(&(middle.pem.clone() + &old.pem + &root.pem));
    // At hand whether the client sends it or not, and it counts.
    for chain in [&[&far(&middle)][..], &[&far(&middle), &middle], &[&far(&middle), &middle, &root]] {
        assert_eq!(judge(&all, chain, 1), Ok(()));
        assert_eq!(judge(&all, chain, 0), Err("certificate chain too long"));
    }
    assert_eq!(judge(&all, &[&make(params("near", false), Some(&root))], 0), Ok(()));
    assert_eq!(judge(&all, &[&far(&old)], 1), Err("certificate has expired"));
    let subjects = |authorities: &Authorities| authorities.subjects().len();
    assert_eq!(subjects(&all), 3, "clients are told of all of them");
    // Whose issuer is not there, be it that only its name is, is where a chain ends.
    let namesake = make(params("root", true), None);
    for more in ["", &other.pem, &namesake.pem] {
        assert_eq!(judge(&read(&(middle.pem.clone() + more)), &[&far(&middle)], 0), Ok(()));
    }
}

#[test]
fn an_authority_whose_signature_nobody_can_check_is_no_end_of_a_chain_beside_its_issuer() {
    const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let root = make(params("root", true), None);
    let middle = make(params("middle", true), Some(&root));
    let far = make(params("far", false), Some(&middle));
    // With SHA-224, which is not supported.
    let mut weak = middle.der.to_vec();
    let found: Vec<_> = (0..weak.len()).filter(|at| weak[*at..].starts_with(ECDSA_SHA256)).collect();
    assert_eq!(found.len(), 2);
    found.into_iter().for_each(|at| weak[at + 7] = 1);
    let weak = plain_list::tests::pem_of("CERTIFICATE", &weak);
    assert_eq!(judge(&read(&weak), &[&far], 1), Ok(()));
    assert_eq!(judge(&read(&(weak + &root.pem)), &[&far], 1), Err("certificate rejected"));
}

#[test]
fn authorities_that_issued_each_other_are_no_end_of_a_chain() {
    let (one, other) = (make(params("one", true), None), make(params("other", true), None));
    let crossed =
        |of: &Made, by: &Made| of.params.signed_by(&of.key, &Issuer::from_params(&by.params, &by.key)).unwrap().pem();
    let both = crossed(&one, &other) + &crossed(&other, &one);
    assert_eq!(Authorities::from_pem(both.as_bytes(), None).unwrap_err(), AuthoritiesError::NoAnchor);
    let leaf = make(params("leaf", false), Some(&one));
    assert_eq!(judge(&read(&(both + &other.pem)), &[&leaf], 1), Ok(()), "by the one that is its own issuer");
}

#[test]
fn a_revoked_authority_among_the_authorities_lets_nobody_in() {
    let root = make(params("root", true), None);
    let middle = make(params("middle", true), Some(&root));
    let far = make(params("far", false), Some(&middle));
    let list = |by: &Made, serial: &[u8]| list(by, serial, 2030);
    let judged = |revoked: &[u8]| {
        let lists = list(&root, revoked) + &list(&middle, b"x");
        let all = Authorities::from_pem((root.pem.clone() + &middle.pem).as_bytes(), Some(lists.as_bytes())).unwrap();
        judge(&all, &[&far], 1)
    };
    assert_eq!((judged(b"x"), judged(b"middle")), (Ok(()), Err("certificate revoked")));
    let of_middle = list(&middle, b"x");
    let all = Authorities::from_pem((root.pem + &middle.pem).as_bytes(), Some(of_middle.as_bytes())).unwrap();
    assert_eq!(judge(&all, &[&far], 1), Err("unable to get certificate CRL"));
}

#[test]
fn there_are_so_many_authorities_of_a_name_and_no_more() {
    let all: String = (0..16).map(|_| make(params("one", true), None).pem).collect();
    assert_eq!(read(&(all.clone() + &all)).subjects().len(), 16);
    let more = all + &make(params("one", true), None).pem;
    let told = Authorities::from_pem(more.as_bytes(), None).unwrap_err();
    assert_eq!(told.to_string(), "holds more than 16 different certificates of CN=one");
    assert!(!told.concerns_revocations());
}

#[test]
fn what_a_client_makes_up_is_not_looked_at() {
    let root = make(params("root", true), None);
    let (middle, low) = (make(params("middle", true), Some(&root)), params("low", true));
    let low = make(low, Some(&middle));
    let authorities = read(&root.pem);
    let evil: Vec<Made> = (0..10).map(|_| make(params("evil", true), None)).collect();
    let judged = |leaf: &Made, more: &[&Made]| {
        let chain: Vec<&Made> = [leaf].into_iter().chain(&evil).chain(more.iter().copied()).collect();
        judge(&authorities, &chain, 2)
    };
    let leaf = |by: &Made| make(params("leaf", false), Some(by));
    // The engine gives up on these after 200,000 tries, and tells otherwise.
    assert_eq!(judged(&leaf(&evil[0]), &[]), Err("unable to verify the first certificate"));
    assert_eq!(judged(&leaf(&low), &[&low, &middle]), Ok(()));
    assert_eq!(judged(&leaf(&low), &[&middle, &low, &root]), Ok(()), "in any order");
    assert_eq!(judged(&leaf(&low), &[&low]), Err("unable to verify the first certificate"));
    assert_eq!(judged(&leaf(&middle), &[&middle; 65]), Ok(()), "equal ones cost one check");
    // Those who claim to be ours cost a check each.
    let namesake = make(params("root", true), None);
    let forged: Vec<Made> = (0..64).map(|_| make(params("forged", true), Some(&namesake))).collect();
    let forged: Vec<&Made> = forged.iter().collect();
    assert_eq!(judged(&leaf(&middle), &[&forged[1..], &[&middle]].concat()), Ok(()));
    assert_eq!(judged(&leaf(&middle), &[&forged[..], &[&middle]].concat()), Err("certificate rejected"));
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
    let list = |next: i32| list(&root, b"bad", next);
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
