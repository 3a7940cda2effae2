use rcgen::{
    CrlDistributionPoint, CrlIssuingDistributionPoint, Issuer, KeyUsagePurpose, SerialNumber, SigningKey as _,
};
use rustls_pki_types::pem::PemObject as _;

use super::super::Authorities;
use super::super::fields::{BIT_STRING, UTC_TIME, sequence};
use super::super::tests::{Made, judge, list_of, make, now, params};
use super::*;

/// ecdsa-with-SHA256, which is what keys of `rcgen` sign with.
const ECDSA_SHA256: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_SHA1: &[u8] = &[0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const V2: &[u8] = &[2, 1, 1];

/// A list as it is to be written.
struct Draft<'a> {
    /// Whose name and key it has.
    by: &'a Made,
    key: &'a Made,
    version: &'a [u8],
    /// As it stands within what is signed.
    algorithm: &'a [u8],
    /// As it stands beside the signature.
    outer: &'a [u8],
    /// Its year, and so below.
    this_update: &'a str,
    next_update: Option<&'a str>,
    serials: &'a [&'a [u8]],
    /// After the first serial number and its date.
    entry: &'a [u8],
    /// After all.
    more: &'a [u8],
}

impl<'a> Draft<'a> {
    fn by(by: &'a Made, serials: &'a [&'a [u8]]) -> Self {
        let (version, algorithm, outer) = (&[][..], ECDSA_SHA256, ECDSA_SHA256);
        let (this_update, next_update) = ("25", Some("30"));
        Self { by, key: by, version, algorithm, outer, this_update, next_update, serials, entry: &[], more: &[] }
    }

    fn der(&self) -> Vec<u8> {
        let subject = sequence(&webpki::anchor_from_trusted_cert(&self.by.der).unwrap().subject);
        let mut to_sign = [self.version, self.algorithm, &subject, &time(self.this_update)].concat();
        to_sign.extend(self.next_update.map(time).unwrap_or_default());
        let entry = |(index, serial): (usize, &&[u8])| {
            let extensions = if index == 0 { self.entry } else { &[] };
            sequence(&[&field(INTEGER, serial), &time("25"), extensions].concat()).into_vec()
        };
        if !self.serials.is_empty() {
            let entries: Vec<u8> = self.serials.iter().enumerate().flat_map(entry).collect();
            to_sign.extend(sequence(&entries));
        }
        to_sign.extend_from_slice(self.more);
        let to_sign = sequence(&to_sign);
        let signature = [vec![0], self.key.key.sign(&to_sign).unwrap()].concat();
        sequence(&[&to_sign, self.outer, &field(BIT_STRING, &signature)].concat()).into_vec()
    }

    fn pem(&self) -> String {
        pem(&self.der())
    }
}

fn time(year: &str) -> Vec<u8> {
    field(UTC_TIME, format!("{year}0101000000Z").as_bytes())
}

/// A field of less than 128 bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

fn extension(id: &[u8], critical: bool) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 1, 0xff] } else { &[] };
    sequence(&[&field(OBJECT_IDENTIFIER, id), critical, &field(OCTET_STRING, &[10, 1, 1])].concat()).into_vec()
}

fn pem(der: &[u8]) -> String {
    pem_of("X509 CRL", der)
}

pub(in super::super) fn pem_of(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
}

/// A list with extensions, as the engine reads it, made in 2025.
fn extended(by: &Made, serial: &[u8], part: Option<CrlIssuingDistributionPoint>) -> String {
    list_of(by, serial, part, [2025, 2030])
}

fn with(authorities: &[&Made], lists: &[String]) -> Result<Authorities, String> {
    let certificates: String = authorities.iter().map(|made| made.pem.as_str()).collect();
    Authorities::from_pem(certificates.as_bytes(), Some(lists.concat().as_bytes())).map_err(|error| {
        assert!(error.concerns_revocations());
        error.to_string()
    })
}

#[test]
fn what_openssl_writes_unless_told_otherwise_is_enforced() {
    let text = include_str!("openssl.pem");
    let certificates: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().unwrap();
    let (ca, _) = text.split_once("-----END CERTIFICATE-----").unwrap();
    let ca = format!("{ca}-----END CERTIFICATE-----\n");
    let lists: Vec<&str> = text.split("-----BEGIN X509 CRL-----").skip(1).collect();
    assert_eq!(lists.len(), 2);
    for list in lists {
        let list = format!("-----BEGIN X509 CRL-----{list}");
        let authorities = Authorities::from_pem(ca.as_bytes(), Some(list.as_bytes())).unwrap();
        let judge = |at: usize, now| authorities.judge_client(&certificates[at..=at], 1, now).map_err(|d| d.0);
        assert_eq!((judge(1, now()), judge(2, now())), (Ok(()), Err("certificate revoked")));
        // 2030-01-01, its nextUpdate, and the second before.
        let end = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        assert_eq!(judge(1, end(1_893_455_999)), Ok(()));
        assert_eq!(judge(1, end(1_893_456_000)), Err("CRL has expired"));
    }
}

#[test]
fn every_certificate_of_a_chain_needs_a_list_of_its_issuer() {
    let root = make(params("root", true), None);
    let middle = make(params("middle", true), Some(&root));
    let mut mute = params("mute", true);
    mute.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mute = make(mute, Some(&root));
    let (good, bad) = (make(params("good", false), Some(&middle)), make(params("bad", false), Some(&middle)));
    let silent = make(params("silent", false), Some(&mute));
    let (of_root, none) = (Draft::by(&root, &[b"x"]).pem(), Draft::by(&middle, &[]).pem());
    let of_middle = Draft::by(&middle, &[b"a", b"bad", b"z"]).pem();
    let judged = |lists: &[&String], leaf, above| {
        let lists: Vec<String> = lists.iter().map(|&list| list.clone()).collect();
        judge(&with(&[&root], &lists).unwrap(), &[leaf, above], 1)
    };
    assert_eq!(judged(&[&of_root, &of_middle], &good, &middle), Ok(()));
    assert_eq!(judged(&[&of_middle, &of_root], &bad, &middle), Err("certificate revoked"));
    assert_eq!(judged(&[&of_root, &none], &bad, &middle), Ok(()));
    assert_eq!(judged(&[&of_root], &good, &middle), Err("unable to get certificate CRL"));
    assert_eq!(judged(&[&of_middle], &good, &middle), Err("unable to get certificate CRL"));
    let revokes_middle = Draft::by(&root, &[b"middle"]).pem();
    assert_eq!(judged(&[&revokes_middle, &of_middle], &good, &middle), Err("certificate revoked"));
    // Whoever signs below the authorities is known when a client comes.
    let forged = Draft { key: &root, ..Draft::by(&middle, &[]) }.pem();
    assert_eq!(judged(&[&of_root, &forged], &good, &middle), Err("CRL signature failure"));
    let of_mute = Draft::by(&mute, &[]).pem();
    assert_eq!(judged(&[&of_root, &of_mute], &silent, &mute), Err("key usage does not include CRL signing"));
    let old = Draft { next_update: Some("25"), ..Draft::by(&middle, &[b"good"]) }.pem();
    assert_eq!(judged(&[&of_root, &old], &good, &middle), Err("CRL has expired"));
    assert_eq!(judged(&[&of_root, &old, &of_middle], &good, &middle), Ok(()), "the one in force counts");
}

#[test]
fn lists_of_all_kinds_stand_beside_each_other() {
    let (one, other) = (make(params("one", true), None), make(params("other", true), None));
    let third = make(params("third", true), None);
    let leaf = |name, by| make(params(name, false), Some(by));
    let (good, bad) = (leaf("good", &one), leaf("bad", &one));
    let (well, ill, unlisted) = (leaf("well", &other), leaf("ill", &other), leaf("unlisted", &third));
    for version in [&[][..], V2] {
        let plain = Draft { version, ..Draft::by(&one, &[b"bad"]) }.pem();
        let mut lists = vec![plain, extended(&other, b"ill", None)];
        for _ in 0..2 {
            let authorities = with(&[&one, &other, &third], &lists).unwrap();
            let judged = |leaf| judge(&authorities, &[leaf], 1);
            assert_eq!([judged(&good), judged(&well)], [Ok(()); 2]);
            assert_eq!([judged(&bad), judged(&ill)], [Err("certificate revoked"); 2]);
            assert_eq!(judged(&unlisted), Err("unable to get certificate CRL"));
            lists.reverse();
        }
    }
    // Two of one authority: either revokes.
    let both = [Draft::by(&one, &[b"bad"]).pem(), extended(&one, b"good", None)];
    let authorities = with(&[&one], &both).unwrap();
    assert_eq!([&good, &bad].map(|leaf| judge(&authorities, &[leaf], 1)), [Err("certificate revoked"); 2]);
    // A key of the same name that signed nothing vouches for nothing.
    let namesake = make(params("one", true), None);
    let authorities = with(&[&namesake, &one], &[Draft::by(&one, &[]).pem()]).unwrap();
    assert_eq!(judge(&authorities, &[&good], 1), Ok(()));
    assert_eq!(judge(&authorities, &[&leaf("good", &namesake)], 1), Err("CRL signature failure"));
}

#[test]
fn what_cannot_be_trusted_or_understood_is_refused_with_a_word_on_it() {
    let (root, other) = (make(params("root", true), None), make(params("other", true), None));
    let mut mute = params("mute", true);
    mute.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mute = make(mute, None);
    let refused = |draft: &Draft<'_>, word: &str| {
        let told = with(&[&root, &mute], &[draft.pem()]).expect_err(word);
        assert!(told.contains(word), "{told}");
    };
    let plain = || Draft::by(&root, &[b"bad"]);
    refused(&Draft { key: &other, ..plain() }, "the list of CN=root is not signed by a key of that name in ca.crt");
    refused(&Draft::by(&mute, &[]), "the key usage of CN=mute does not permit to sign lists");
    refused(&Draft { next_update: None, ..plain() }, "no nextUpdate");
    refused(&Draft { version: &[2, 1, 2], ..plain() }, "version");
    refused(&Draft { algorithm: ECDSA_SHA384, ..plain() }, "two different algorithms");
    refused(&Draft { algorithm: ECDSA_SHA1, outer: ECDSA_SHA1, ..plain() }, "SHA-1");
    refused(&Draft { more: &[5, 0], ..plain() }, "no list in DER");
    let entry = |id: &[u8], critical| sequence(&extension(id, critical)).into_vec();
    refused(&Draft { version: V2, entry: &entry(CERTIFICATE_ISSUER, false), ..plain() }, "indirect");
    refused(&Draft { version: V2, entry: &entry(&[0x2a, 3], true), ..plain() }, "critical");
    refused(&Draft { version: V2, entry: &[5, 0], ..plain() }, "no list in DER");
    for entry in [entry(REASON_CODE, true), entry(&[0x2a, 3], false), sequence(&[]).into_vec()] {
        let authorities = with(&[&root], &[Draft { version: V2, entry: &entry, ..plain() }.pem()]).unwrap();
        let bad = make(params("bad", false), Some(&root));
        assert_eq!(judge(&authorities, &[&bad], 1), Err("certificate revoked"));
    }
    // Those with extensions are the engine's to refuse.
    let extended_by = |id: &[u8]| field(EXTENSIONS, &sequence(&extension(id, true)));
    refused(&Draft { version: V2, more: &extended_by(&[0x55, 0x1d, 27]), ..plain() }, "UnsupportedDeltaCrl");
    refused(&Draft { version: V2, more: &extended_by(&[0x2a, 3]), ..plain() }, "UnsupportedCriticalExtension");
    let distribution_point = CrlDistributionPoint { uris: vec!["http://a.test/".into()] };
    let part = extended(&other, b"x", Some(CrlIssuingDistributionPoint { distribution_point, scope: None }));
    assert!(with(&[&root, &other], std::slice::from_ref(&part)).is_ok());
    let told = with(&[&root, &other], &[part, plain().pem()]).expect_err("a list of a part beside it");
    assert!(told.contains("issuingDistributionPoint"), "{told}");
}

#[test]
fn each_list_with_extensions_of_an_issuer_may_revoke() {
    let root = make(params("root", true), None);
    let middle = make(params("middle", true), Some(&root));
    let [good, bad, ill] = ["good", "bad", "ill"].map(|name| make(params(name, false), Some(&root)));
    let far = make(params("far", false), Some(&middle));
    let mut lists = vec![extended(&root, b"bad", None), extended(&root, b"ill", None)];
    for _ in 0..2 {
        let authorities = with(&[&root], &lists).unwrap();
        assert_eq!([&bad, &ill].map(|leaf| judge(&authorities, &[leaf], 1)), [Err("certificate revoked"); 2]);
        assert_eq!(judge(&authorities, &[&good], 1), Ok(()));
        lists.reverse();
    }
    let of_middle = extended(&middle, b"x", None);
    let authorities = with(&[&root], &[lists[0].clone(), extended(&root, b"middle", None), of_middle]).unwrap();
    assert_eq!(judge(&authorities, &[&far, &middle], 1), Err("certificate revoked"));
    // An outdated one in front hides no newer one.
    let old = list_of(&root, b"x", None, [2024, 2025]);
    let authorities = with(&[&root], &[old, lists[0].clone()]).unwrap();
    assert_eq!([&good, &bad].map(|leaf| judge(&authorities, &[leaf], 1)), [Ok(()), Err("certificate revoked")]);
}

#[test]
fn only_an_outdated_list_is_made_good_by_another() {
    let (root, other) = (make(params("root", true), None), make(params("other", true), None));
    let middle = make(params("middle", true), Some(&root));
    let good = make(params("good", false), Some(&middle));
    let (of_root, of_middle) = (Draft::by(&root, &[]).pem(), Draft::by(&middle, &[]).pem());
    let judged = |more: String| {
        let authorities = with(&[&root], &[of_root.clone(), of_middle.clone(), more]).unwrap();
        judge(&authorities, &[&good, &middle], 1)
    };
    let plain = || Draft::by(&middle, &[b"x"]);
    assert_eq!(judged(Draft { next_update: Some("25"), ..plain() }.pem()), Ok(()));
    assert_eq!(judged(Draft { key: &other, ..plain() }.pem()), Err("CRL signature failure"));
    assert_eq!(judged(Draft { this_update: "27", ..plain() }.pem()), Err("CRL is not yet valid"));
    // Two of a name have a list each.
    let (one, namesake) = (make(params("one", true), None), make(params("one", true), None));
    let lists = [Draft::by(&one, &[b"a"]).pem(), Draft::by(&namesake, &[b"b"]).pem()];
    let authorities = with(&[&one, &namesake], &lists).unwrap();
    let judged = |by| ["a", "b"].map(|name| judge(&authorities, &[&make(params(name, false), Some(by))], 1));
    assert_eq!(judged(&one), [Err("certificate revoked"), Ok(())]);
    assert_eq!(judged(&namesake), [Ok(()), Err("certificate revoked")]);
}

#[test]
fn a_list_that_is_not_yet_valid_is_not_in_force() {
    let root = make(params("root", true), None);
    let good = make(params("good", false), Some(&root));
    let early = Draft { this_update: "27", ..Draft::by(&root, &[]) }.pem();
    assert_eq!(judge(&with(&[&root], &[early]).unwrap(), &[&good], 1), Err("CRL is not yet valid"));
}

#[test]
fn what_a_client_sends_costs_only_so_many_signatures() {
    let root = make(params("root", true), None);
    let middle = make(params("middle", true), Some(&root));
    let good = make(params("good", false), Some(&middle));
    // The same authority under other serial numbers, which only its issuer's list tells from each other.
    let copies = ["a", "b", "c", "d"].map(|serial| {
        let mut copy = middle.params.clone();
        copy.serial_number = Some(SerialNumber::from(serial.as_bytes().to_vec()));
        let certificate = copy.signed_by(&middle.key, &Issuer::from_params(&root.params, &root.key)).unwrap();
        certificate.der().clone()
    });
    let serials: Vec<[u8; 1]> = (0..16).map(|number| [number]).collect();
    let mut lists: Vec<String> = serials.iter().map(|serial| Draft::by(&middle, &[serial]).pem()).collect();
    lists.push(Draft::by(&root, &[b"a", b"b", b"c", b"d"]).pem());
    let authorities = with(&[&root], &lists).unwrap();
    let judged = |before: &[&CertificateDer<'static>]| {
        let chain = [&good.der].into_iter().chain(before.iter().copied()).chain([&middle.der]).cloned();
        authorities.judge_client(&chain.collect::<Vec<_>>(), 1, now()).map_err(|distrust| distrust.0)
    };
    let [a, b, c, d] = &copies;
    assert_eq!(judged(&[a, b, c]), Ok(()), "64 of them");
    assert_eq!(judged(&[a, b, c, d]), Err("certificate revoked"), "more");
    assert_eq!(judged(&[a, a, a, a, a, b, a, b]), Ok(()), "equal ones count once");
}

#[test]
fn a_secret_costs_only_so_many_signatures() {
    let root = make(params("root", true), None);
    let list = |serial: usize| Draft::by(&root, &[&serial.to_be_bytes()]).pem();
    let lists: Vec<String> = (0..17).map(list).collect();
    let equal: Vec<String> = std::iter::repeat_n(list(0), 2000).collect();
    let authorities = with(&[&root; 1000], &equal).unwrap();
    assert_eq!((authorities.subjects().len(), authorities.revocations.len()), (1, 1));
    assert!(with(&[&root], &lists[..16]).is_ok());
    let told = "holds more than 16 different lists of CN=root";
    assert_eq!(with(&[&root], &lists), Err(told.to_owned()));
    let mut mixed = lists[..16].to_vec();
    mixed.push(extended(&root, b"x", None));
    assert_eq!(with(&[&root], &mixed), Err(told.to_owned()));
    // 16 authorities of a name, 16 lists by the last of them, and that for five names.
    let (mut authorities, mut lists) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c", "d", "e"] {
        authorities.extend((0..16).map(|_| make(params(name, true), None)));
        let last = authorities.last().unwrap();
        lists.extend((0..16_u8).map(|serial| Draft::by(last, &[&[serial]]).pem()));
    }
    let authorities: Vec<&Made> = authorities.iter().collect();
    assert!(with(&authorities, &lists[..64]).is_ok());
    let told = with(&authorities, &lists).unwrap_err();
    assert!(told.contains("more than 1024 checks of signatures"), "{told}");
}

#[test]
fn a_signer_whose_certificate_cannot_be_read_is_told_as_such() {
    let root = make(params("root", true), None);
    // The engine takes version 1 without a look at its times, and here there are none.
    let anchor = webpki::anchor_from_trusted_cert(&root.der).unwrap();
    let (name, key) = (sequence(&anchor.subject), super::super::key_of(&anchor));
    let content = [&field(INTEGER, &[1]), ECDSA_SHA256, &name, &sequence(&[]), &name, &key].concat();
    let odd = sequence(&[&sequence(&content), ECDSA_SHA256, &field(BIT_STRING, &[0, 1])].concat());
    let odd = Made { pem: pem_of("CERTIFICATE", &odd), ..root };
    let told = with(&[&odd], &[Draft::by(&odd, &[]).pem()]).unwrap_err();
    assert!(told.contains("whether CN=root may sign lists cannot be read"), "{told}");
}

#[test]
fn a_list_with_any_other_byte_lets_nobody_in_who_is_on_it() {
    let root = make(params("root", true), None);
    let (good, bad) = (make(params("good", false), Some(&root)), make(params("bad", false), Some(&root)));
    let der = Draft::by(&root, &[b"bad", b"\0\0zeros"]).der();
    let authorities = with(&[&root], &[pem(&der)]).unwrap();
    let zeros = make(params("zeros", false), Some(&root));
    assert_eq!([&bad, &zeros].map(|leaf| judge(&authorities, &[leaf], 1)), [Err("certificate revoked"); 2]);
    assert_eq!(judge(&authorities, &[&good], 1), Ok(()));
    for at in 0..der.len() {
        assert!(with(&[&root], &[pem(&der[..at])]).is_err(), "{at} bytes of it");
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            // With another name it is a list of somebody else.
            let Ok(authorities) = with(&[&root], &[pem(&changed)]) else { continue };
            for leaf in [&good, &bad] {
                assert_eq!(judge(&authorities, &[leaf], 1), Err("unable to get certificate CRL"), "byte {at}");
            }
        }
    }
}
