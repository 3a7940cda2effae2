use rcgen::ExtendedKeyUsagePurpose::{OcspSigning, ServerAuth};
use x509_cert::der::Encode as _;

use self::support::{Answer, Ocsp, revoked};
use super::*;

#[path = "../../../tests/suite/support/ocsp.rs"]
#[expect(dead_code, reason = "the suite uses all of it")]
mod support;

const URL: &str = "http://ocsp.test/x";

fn chain(parts: &[&[u8]]) -> Vec<CertificateDer<'static>> {
    parts.iter().map(|der| CertificateDer::from(der.to_vec())).collect()
}

fn question(ca: &Ocsp) -> Question {
    let leaf = ca.issue("a.test", URL);
    Question::about(&chain(&[&leaf.der, &ca.der])).unwrap()
}

#[test]
fn what_is_asked_and_where_is_in_the_chain() {
    let (ca, other) = (Ocsp::named("ca"), Ocsp::named("other"));
    let leaf = ca.issue("a.test", URL);
    let about = |parts: &[&[u8]]| Question::about(&chain(parts)).map(|question| question.url);
    assert_eq!(about(&[&leaf.der, &ca.der]), Ok(URL.to_owned()));
    assert_eq!(about(&[&leaf.der, &other.der, &ca.der]), Ok(URL.to_owned()));
    assert_eq!(about(&[&leaf.der]), Err(Unaskable::NoIssuer));
    assert_eq!(about(&[&leaf.der, &other.der]), Err(Unaskable::NoIssuer));
    assert_eq!(about(&[&ca.der, &ca.der]), Err(Unaskable::NoResponder));
    assert_eq!(about(&[b"junk", &ca.der]), Err(Unaskable::Unreadable));
    let by_https = ca.issue("a.test", "https://ocsp.test/");
    assert_eq!(about(&[&by_https.der, &ca.der]), Err(Unaskable::NoResponder));
}

#[test]
fn only_an_answer_that_can_be_trusted_says_anything() {
    let (ca, other) = (Ocsp::named("ca"), Ocsp::named("other"));
    let question = question(&ca);
    let (delegate, foreign) = (ca.appoint(OcspSigning), other.appoint(OcspSigning));
    let no_delegate = ca.appoint(ServerAuth);
    let now = UnixTime::now();
    let judge = |answer: &Answer<'_>| question.judge(&answer.to(&question.request), now);
    let by = |signer, delegate| Answer { signer, delegate, ..ca.good() };
    let good = |verdict| matches!(verdict, Ok(Verdict::Good { until }) if until.abs_diff(now.as_secs() + 3600) < 60);
    assert!(good(judge(&ca.good())));
    assert!(good(judge(&by(&delegate.key, Some(&delegate.der)))));
    assert_eq!(judge(&by(&other.key, None)), Err(Refusal::Signature));
    assert_eq!(judge(&by(&other.key, Some(&other.der))), Err(Refusal::Signature));
    assert_eq!(judge(&by(&foreign.key, Some(&foreign.der))), Err(Refusal::Signature));
    assert_eq!(judge(&by(&other.key, Some(&delegate.der))), Err(Refusal::Signature));
    assert_eq!(judge(&by(&no_delegate.key, Some(&no_delegate.der))), Err(Refusal::Signature));
    assert_eq!(judge(&Answer { of_another: true, ..ca.good() }), Err(Refusal::OtherCertificate));
    assert_eq!(judge(&Answer { until: Some(-1), ..ca.good() }), Err(Refusal::OutOfDate));
    assert_eq!(judge(&Answer { since: 1000, ..ca.good() }), Err(Refusal::OutOfDate));
    assert_eq!(judge(&Answer { since: -4 * 24 * 3600, until: None, ..ca.good() }), Err(Refusal::OutOfDate));
    assert!(matches!(judge(&Answer { until: None, ..ca.good() }), Ok(Verdict::Good { .. })));
    assert_eq!(judge(&Answer { status: revoked(), ..ca.good() }), Ok(Verdict::Revoked));
    assert_eq!(judge(&Answer { status: CertStatus::unknown(), ..ca.good() }), Ok(Verdict::Unknown));
}

#[test]
fn no_bytes_at_all_are_trusted_or_make_it_fail() {
    let ca = Ocsp::named("ca");
    let question = question(&ca);
    let (now, whole) = (UnixTime::now(), ca.good().to(&question.request));
    for end in 0..whole.len() {
        assert!(question.judge(&whole[..end], now).is_err(), "{end}");
    }
    // The content begins behind the headers; a changed byte breaks the signature, or the form.
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        assert!(question.judge(&changed, now).is_err(), "{at}");
    }
    let later = OcspResponse::try_later().to_der().unwrap();
    assert_eq!(question.judge(&later, now), Err(Refusal::Status(OcspResponseStatus::TryLater)));
}
