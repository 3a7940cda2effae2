//! Answers of OCSP responders in the handshake: trusted ones only, and no handshake waits for one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use crate::support::certificates::secret;
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::ocsp::{Answer, Issued, Ocsp, revoked};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

/// A responder that does what the path of its URL says.
struct Responder {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Responder {
    fn start(ca: Arc<Ocsp>, other: Arc<Ocsp>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let (address, asked) = (listener.local_addr().expect("an address"), Arc::<AtomicUsize>::default());
        let counting = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counting.fetch_add(1, Ordering::SeqCst);
                let (ca, other) = (Arc::clone(&ca), Arc::clone(&other));
                std::thread::spawn(move || answer(stream, &ca, &other));
            }
        });
        Self { address, asked }
    }
}

/// Answers one request. A peer that went away is no fault of the responder.
fn answer(mut stream: TcpStream, ca: &Ocsp, other: &Ocsp) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    let (head, body) = loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        received.extend_from_slice(&buffer[..count]);
        let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length: usize = length.lines().next().and_then(|text| text.trim().parse().ok()).expect("a length");
        if received.len() >= end + 4 + length {
            break (head, received[end + 4..].to_vec());
        }
    };
    assert!(head.starts_with("post /") && head.contains("content-type: application/ocsp-request"), "{head}");
    let kind = head["post /".len()..].split_whitespace().next().expect("a path").to_owned();
    let said = match &*kind {
        "good" => ca.good().to(&body),
        "revoked" => Answer { status: revoked(), ..ca.good() }.to(&body),
        "expired" => Answer { until: Some(-10), ..ca.good() }.to(&body),
        "forged" => Answer { signer: &other.key, delegate: Some(&other.der), ..ca.good() }.to(&body),
        "another" => Answer { of_another: true, ..ca.good() }.to(&body),
        "junk" => b"junk".to_vec(),
        "large" => vec![0x30; 1 << 20],
        "moved" => {
            let head = "HTTP/1.1 302 Found\r\nlocation: /good\r\ncontent-length: 0\r\n\r\n";
            return stream.write_all(head.as_bytes()).ok();
        }
        "hang" => {
            // Until the other side has had enough.
            let _ended = stream.read(&mut buffer);
            return None;
        }
        other => panic!("{other}"),
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", said.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&said).ok()
}

struct Rig {
    ringress: Ringress,
    responder: Responder,
    _origin: Origin,
}

/// A host `NAME.test` for each kind of answer.
fn rig(driver: Driver, kinds: &[&str], flag: Option<&str>) -> Rig {
    let (ca, other) = (Arc::new(Ocsp::named("ca")), Arc::new(Ocsp::named("other")));
    let (origin, responder) = (Origin::named("origin"), Responder::start(Arc::clone(&ca), Arc::clone(&other)));
    let mut objects = service("origin", &[origin.address]);
    for kind in kinds {
        let host = format!("{kind}.test");
        let Issued { pem, key, .. } = ca.issue(&host, &format!("http://{}/{kind}", responder.address));
        objects.push(secret(kind, &format!("{pem}{}", ca.pem), &key.serialize_pem()));
        objects.push(ingress(kind).tls(&host, kind).prefix(&host, "/", "origin").build());
    }
    let builder = Ringress::on(driver).workers(2).flag("--configmap=default/options");
    let builder = builder.manifest("all.json", file(objects));
    let builder = flag.into_iter().fold(builder, |builder, flag| builder.flag(flag));
    let ringress = builder.manifest("options.json", file([options(&[("enable-ocsp", "true")])])).start();
    Rig { ringress, responder, _origin: origin }
}

impl Rig {
    /// What was stapled in a handshake for a host, which is served in any case.
    fn stapled(&self, host: &str, version: &'static rustls::SupportedProtocolVersion) -> Vec<u8> {
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let config = client::tls_config_that_notes_staples(&[version], Arc::clone(&seen));
        let mut connection = Connection::tls_by(self.ringress.https, Some(host), config).expect("a handshake");
        assert_eq!(connection.get(host, "/").expect("an answer").text(), "origin");
        let seen = seen.lock().expect("no panic");
        seen.clone()
    }

    fn outcomes(&self, outcome: &str) -> u64 {
        let page = self.ringress.metrics();
        let line = format!("ringress_ocsp_questions_total{{outcome=\"{outcome}\"}} ");
        let value = page.lines().find_map(|text| text.strip_prefix(&line));
        value.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no outcome {outcome}:\n{page}"))
    }
}

#[test]
fn a_good_answer_is_sent_along_until_it_is_switched_off() {
    on_each_driver(|driver| {
        let rig = rig(driver, &["good"], Some("--ocsp-allow-local"));
        eventually("the answer is stapled", || !rig.stapled("good.test", &TLS13).is_empty());
        // On both cores, and with both versions.
        for version in [&TLS12, &TLS13].into_iter().cycle().take(8) {
            assert!(!rig.stapled("good.test", version).is_empty());
        }
        assert_eq!((rig.outcomes("good"), rig.responder.asked.load(Ordering::SeqCst)), (1, 1), "it is kept");
        assert!(rig.ringress.metrics().contains("\nringress_ocsp_stapled 1\n"));
        rig.ringress.apply("options.json", file([options(&[("enable-ocsp", "false")])]));
        assert!(rig.stapled("good.test", &TLS13).is_empty());
        eventually("nothing is kept", || rig.ringress.metrics().contains("\nringress_ocsp_stapled 0\n"));
    });
}

#[test]
fn no_answer_that_cannot_be_trusted_is_sent_and_no_handshake_waits() {
    const KINDS: [&str; 9] = ["hang", "good", "revoked", "expired", "forged", "another", "junk", "large", "moved"];
    on_each_driver(|driver| {
        let rig = rig(driver, &KINDS, Some("--ocsp-allow-local"));
        // While the first one hangs.
        let came = || ["good", "revoked", "refused", "failed"].map(|outcome| rig.outcomes(outcome));
        eventually("all others have answered", || came().into_iter().zip([1, 1, 4, 2]).all(|(came, due)| came >= due));
        assert!(!rig.stapled("good.test", &TLS13).is_empty());
        for kind in KINDS.iter().filter(|kind| **kind != "good") {
            for version in [&TLS12, &TLS13] {
                assert!(rig.stapled(&format!("{kind}.test"), version).is_empty(), "{kind}");
            }
        }
        for word in ["the certificate is revoked", "is about another certificate", "answered with status 302"] {
            rig.ringress.wait_logged(word);
        }
    });
}

#[test]
fn a_certificate_without_its_issuer_is_told_once_and_asked_about_when_it_has_it() {
    on_each_driver(|driver| {
        let (rig, ca) = (rig(driver, &["good"], Some("--ocsp-allow-local")), Ocsp::named("bare"));
        eventually("the other is asked about", || rig.outcomes("good") == 1);
        let told = |name: &str| {
            let (log, secret) = (rig.ringress.log(), format!("default/{name}"));
            let is_about = |line: &&str| line.contains("the certificate of the issuer") && line.contains(&secret);
            log.lines().filter(is_about).count()
        };
        let apply = |name: &str, chain: &dyn Fn(&str) -> String| {
            let host = format!("{name}.test");
            let Issued { pem, key, .. } = ca.issue(&host, &format!("http://{}/junk", rig.responder.address));
            let rule = ingress(name).tls(&host, name).prefix(&host, "/", "origin").build();
            let objects = [secret(name, &chain(&pem), &key.serialize_pem()), rule];
            rig.ringress.apply(&format!("{name}.json"), file(objects));
        };
        for name in ["one", "two", "three"] {
            apply(name, &str::to_owned);
            eventually("it is told", || told(name) == 1);
        }
        assert_eq!((told("one"), told("two")), (1, 1));
        apply("one", &|pem| format!("{pem}{}", ca.pem));
        eventually("it is asked about", || rig.outcomes("refused") == 1);
    });
}

#[test]
fn responders_on_this_machine_are_not_asked_unless_allowed() {
    on_each_driver(|driver| {
        let rig = rig(driver, &["good"], None);
        eventually("it is told", || rig.outcomes("failed") == 1);
        assert_eq!(rig.responder.asked.load(Ordering::SeqCst), 0);
        assert!(rig.stapled("good.test", &TLS13).is_empty());
        rig.ringress.wait_logged("--ocsp-allow-local");
    });
}
