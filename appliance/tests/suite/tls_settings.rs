//! What the ConfigMap says of TLS: names without a host, the life of sessions, the size of records.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::CipherSuite;
use rustls::version::{TLS12, TLS13};

use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

fn in_front_of(driver: Driver, origin: &Origin, keys: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.extend([
        Certificate::for_names(&["a.test"]).secret("cert"),
        ingress("a").tls("a.test", "cert").prefix("a.test", "/", "origin").build(),
        ingress("wild").prefix("*.w.test", "/", "origin").build(),
        ingress("rest").default_backend("origin").build(),
    ]);
    let builder = Ringress::on(driver).workers(1).flag("--configmap=default/options");
    builder.manifest("all.json", file(objects)).manifest("options.json", file([options(keys)])).start()
}

#[test]
fn names_that_no_host_has_get_no_handshake_where_that_is_wanted() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[("ssl-reject-handshake", "true")]);
        let handshake = |name| Connection::tls(ringress.https, name);
        for name in ["a.test", "A.test", "x.w.test"] {
            let answer = handshake(Some(name)).and_then(|mut connection| connection.get(name, "/"));
            assert_eq!(answer.expect("an answer").text(), "origin", "{name}");
        }
        for name in [Some("b.test"), Some("w.test"), Some("x.y.w.test"), None] {
            let error = handshake(name).err().unwrap_or_else(|| panic!("{name:?}: a handshake"));
            assert!(error.to_string().contains("alert"), "{name:?}: {error}");
        }
        ringress.apply("options.json", file([options(&[("ssl-reject-handshake", "perhaps")])]));
        assert!(handshake(Some("b.test")).is_ok(), "a bad value is the default");
        assert!(ringress.status()["rejected"].to_string().contains("ssl-reject-handshake"));
    });
}

#[test]
fn a_host_with_keys_of_two_kinds_presents_what_the_client_takes() {
    const OF_RSA: CipherSuite = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    const OF_ECDSA: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let rsa = Certificate::rsa_for_names(&["a.test", "b.test"]);
        let [ecdsa, spare] = [["a.test", "b.test"], ["a.test", "c.test"]].map(|names| Certificate::for_names(&names));
        let mut objects = service("origin", &[origin.address]);
        let both = ingress("a").tls("a.test", "rsa").tls("a.test", "ecdsa").tls("a.test", "spare");
        objects.extend([
            rsa.secret("rsa"),
            ecdsa.secret("ecdsa"),
            spare.secret("spare"),
            both.prefix("a.test", "/", "origin").prefix("b.test", "/", "origin").build(),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let presented = |name, config| {
            let mut connection = Connection::tls_by(ringress.https, Some(name), config).expect("a handshake");
            assert_eq!(connection.get(name, "/").expect("an answer").text(), "origin");
            connection.peer_certificate()
        };
        // One host is listed by the entries, the other one is only covered by the certificates.
        for name in ["a.test", "b.test"] {
            assert!(presented(name, client::tls_config_of_suite(OF_RSA)) == rsa.der, "{name}");
            assert!(presented(name, client::tls_config_of_suite(OF_ECDSA)) == ecdsa.der, "{name}");
            assert!(presented(name, client::tls_config_that_resumes(rustls::ALL_VERSIONS)) == ecdsa.der, "{name}");
        }
        let findings = ringress.status()["rejected"].to_string();
        assert!(findings.contains("Secret default/spare is not presented"), "{findings}");
    });
}

#[test]
fn a_session_is_resumed_for_its_time() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[("ssl-session-timeout", "1s")]);
        for version in [&TLS12, &TLS13] {
            let config = client::tls_config_that_resumes(&[version]);
            let resumed = || {
                let mut connection =
                    Connection::tls_by(ringress.https, Some("a.test"), config.clone()).expect("a handshake");
                connection.get("a.test", "/").expect("an answer");
                connection.is_resumed()
            };
            assert!(!resumed());
            // The time passes between two connections and nowhere else.
            std::thread::sleep(Duration::from_millis(2100));
            assert!(!resumed(), "{version:?}");
        }
        ringress.apply("options.json", file([options(&[("ssl-session-timeout", "soon")])]));
        assert!(ringress.status()["rejected"].to_string().contains("ssl-session-timeout"));
    });
}

/// Passes connections on to `to`; keeps what comes back.
fn recorder(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("own address");
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let keeping = Arc::clone(&heard);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(to).expect("connect");
            let (mut up, mut down) = (client.try_clone().expect("a half"), client);
            let (mut to_server, mut from_server) = (server.try_clone().expect("a half"), server);
            std::thread::spawn(move || {
                let _ended = std::io::copy(&mut up, &mut to_server);
                let _gone = to_server.shutdown(Shutdown::Write);
            });
            let keeping = Arc::clone(&keeping);
            std::thread::spawn(move || {
                let mut buffer = [0; 16 << 10];
                while let Ok(count @ 1..) = from_server.read(&mut buffer) {
                    keeping.lock().expect("no panic").extend_from_slice(&buffer[..count]);
                    if down.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, heard)
}

/// The lengths of the records with application data.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.extend((*kind == 23).then_some(length));
        bytes = &rest[length..];
    }
    lengths
}

#[test]
fn records_are_as_small_as_the_operator_wants_them() {
    /// What encryption adds to the content of a record, at most.
    const ADDED: usize = 32;
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| peer.answer(200, &[], &[b'x'; 100_000]).map(|()| Next::Keep));
        for (size, most) in [("1k", 1 << 10), ("4k", 4 << 10), ("16k", 16 << 10), ("100", 16 << 10)] {
            let ringress = in_front_of(driver, &origin, &[("ssl-buffer-size", size)]);
            let (address, heard) = recorder(ringress.https);
            let mut connection = Connection::tls(address, Some("a.test")).expect("a handshake");
            assert_eq!(connection.get("a.test", "/").expect("an answer").body.len(), 100_000);
            let lengths = records(&heard.lock().expect("no panic"));
            let longest = lengths.iter().max().expect("records");
            assert!((most / 2..=most + ADDED).contains(longest), "{size}: {longest}");
            assert_eq!(ringress.status()["rejected"].to_string().contains("ssl-buffer-size"), size == "100");
        }
    });
}

#[test]
fn a_host_offers_the_suites_that_its_first_ingress_names() {
    const AES128: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    const AES256: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    const CHACHA: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let wanting = |name: &str, path: &str, host: &str, said: &[(&str, &str)]| {
            let with = ingress(name).tls(host, "cert").prefix(host, path, "origin");
            said.iter().fold(with, |ingress, (name, value)| ingress.annotation(name, value)).build()
        };
        let mut objects = service("origin", &[origin.address]);
        let (ciphers, prefer) = ("ssl-ciphers", "ssl-prefer-server-ciphers");
        let both = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:AES128-SHA";
        objects.extend([
            Certificate::for_names(&["*.test"]).secret("cert"),
            wanting("first", "/", "first.test", &[(ciphers, both)]),
            // Of the same age: the name decides which is older.
            wanting("second", "/x", "first.test", &[(ciphers, "ECDHE-ECDSA-AES256-GCM-SHA384"), (prefer, "false")]),
            wanting("ours", "/", "ours.test", &[(ciphers, both), (prefer, "true")]),
            wanting("theirs", "/", "theirs.test", &[(ciphers, both), (prefer, "false")]),
            wanting("plain", "/", "plain.test", &[]),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let negotiated = |name: &str, offered: &[CipherSuite]| {
            let config = client::tls_config_of_suites(offered);
            let mut connection = Connection::tls_by(ringress.https, Some(name), config).ok()?;
            let answer = connection.get(name, "/").ok()?;
            assert_eq!(answer.text(), "origin");
            Some(connection.negotiated().0)
        };
        let said = |suite: CipherSuite| Some(suite.as_str().expect("a name").to_owned());
        let client = [AES256, AES128, CHACHA];
        assert_eq!(negotiated("plain.test", &client), said(AES256));
        assert_eq!(negotiated("ours.test", &client), said(CHACHA));
        assert_eq!(negotiated("theirs.test", &client), said(AES128));
        assert_eq!(negotiated("first.test", &client), said(AES128), "the suites of one, the order of the other");
        for name in ["first.test", "ours.test", "theirs.test"] {
            assert_eq!(negotiated(name, &[AES256]), None, "{name}");
        }
        let current = Connection::tls(ringress.https, Some("ours.test")).expect("a handshake").negotiated().0;
        assert!(current.starts_with("TLS13_"), "TLS 1.3 is no affair of the list: {current}");
        assert!(ringress.status()["rejected"].to_string().contains("AES128-SHA cannot be offered"));
        let refused = wanting("bad", "/", "bad.test", &[(ciphers, "HIGH; more")]);
        ringress.write("bad.json", file([refused]));
        eventually("the list that is none is told", || {
            ringress.status()["rejected"].to_string().contains("nginx.ingress.kubernetes.io/ssl-ciphers")
        });
        assert_eq!(negotiated("plain.test", &client), said(AES256));
    });
}
