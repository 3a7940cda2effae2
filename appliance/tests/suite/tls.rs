//! Certificates by server name, the redirect to https, rotation without a cut.

use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

#[test]
fn the_server_name_chooses_the_certificate() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (exact, wildcard) = (Certificate::for_names(&["a.test"]), Certificate::for_names(&["*.w.test"]));
        let mut objects = service("origin", &[origin.address]);
        objects.extend([
            exact.secret("exact"),
            wildcard.secret("wildcard"),
            ingress("a").tls("a.test", "exact").prefix("a.test", "/", "origin").build(),
            ingress("w").tls("*.w.test", "wildcard").prefix("*.w.test", "/", "origin").build(),
            ingress("none").prefix("none.test", "/", "origin").build(),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let certificate_for = |name| {
            let mut connection = Connection::tls(ringress.https, name).expect("a handshake");
            let host = name.unwrap_or("none.test");
            assert_eq!(connection.get(host, "/").expect("an answer").text(), "origin");
            connection.peer_certificate()
        };
        assert!(certificate_for(Some("a.test")) == exact.der);
        assert!(certificate_for(Some("A.Test")) == exact.der);
        assert!(certificate_for(Some("x.w.test")) == wildcard.der);
        let default = certificate_for(Some("none.test"));
        assert!(default != exact.der && default != wildcard.der);
        assert!(certificate_for(None) == default, "no server name: the default certificate");
    });
}

#[test]
fn plain_http_is_redirected_where_the_host_has_a_certificate() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.extend([
            Certificate::for_names(&["a.test", "kept.test"]).secret("cert"),
            ingress("a").tls("a.test", "cert").prefix("a.test", "/", "origin").build(),
            ingress("kept").without_redirect().tls("kept.test", "cert").prefix("kept.test", "/", "origin").build(),
            ingress("plain").prefix("plain.test", "/", "origin").build(),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        for (target, location) in [
            ("/", "https://a.test"),
            ("/x", "https://a.test/x"),
            ("/x/?q=1", "https://a.test/x/?q=1"),
            ("/x/", "https://a.test/x"),
        ] {
            let answer = ringress.get("a.test:8080", target);
            assert_eq!((answer.status, answer.header("location")), (308, Some(location)), "{target}");
        }
        assert_eq!(client::get_tls(ringress.https, "a.test", "/x").text(), "origin");
        assert_eq!(ringress.get("kept.test", "/").text(), "origin");
        assert_eq!(ringress.get("plain.test", "/").text(), "origin");
        let received = origin.received();
        let secure = received.iter().find(|request| request.header("host") == Some("a.test")).expect("over TLS");
        assert_eq!(secure.header("x-forwarded-proto"), Some("https"));
        assert_eq!(secure.header("x-forwarded-port"), Some("443"));
    });
}

#[test]
fn a_new_certificate_is_served_without_cutting_old_connections() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (old, new) = (Certificate::for_names(&["a.test"]), Certificate::for_names(&["a.test"]));
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").tls("a.test", "cert").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver)
            .manifest("all.json", file(objects))
            .manifest("secret.json", file([old.secret("cert")]))
            .start();
        let mut open = Connection::tls(ringress.https, Some("a.test")).expect("a handshake");
        assert_eq!(open.get("a.test", "/").expect("an answer").status, 200);
        assert!(open.peer_certificate() == old.der);
        ringress.apply("secret.json", file([new.secret("cert")]));
        let fresh = Connection::tls(ringress.https, Some("a.test")).expect("a handshake");
        assert!(fresh.peer_certificate() == new.der);
        let answer = open.get("a.test", "/").expect("the old connection goes on");
        assert!(answer.status == 200 && !answer.closes());
    });
}

#[test]
fn a_secret_that_arrives_later_replaces_the_default_certificate() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let certificate = Certificate::for_names(&["a.test"]);
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").tls("a.test", "later").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let served = || Connection::tls(ringress.https, Some("a.test")).expect("a handshake").peer_certificate();
        assert!(served() != certificate.der);
        assert_eq!(ringress.get("a.test", "/").status, 308, "the host counts as having TLS");
        // By the watch alone, without a word to the API.
        ringress.write("secret.json", file([certificate.secret("later")]));
        eventually("the secret's certificate is served", || served() == certificate.der);
    });
}

#[test]
fn tls_1_2_clients_are_served() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let mut connection = Connection::tls_1_2(ringress.https, "a.test").expect("a handshake");
        assert_eq!(connection.get("a.test", "/").expect("an answer").text(), "origin");
    });
}

#[test]
fn garbage_on_the_tls_port_harms_nobody() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        let outcome = crate::support::raw::exchange(ringress.https, &[0xff; 600]);
        assert!(outcome.closed);
        assert_eq!(client::get_tls(ringress.https, "a.test", "/").text(), "origin");
    });
}

#[test]
fn plain_http_on_the_tls_port_is_told_so() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        // With a host that has a say in the handshake, which is looked at first then.
        let protected = ingress("b").prefix("b.test", "/", "origin").annotation("auth-tls-secret", "default/missing");
        let with_say = [objects.clone(), vec![protected.build()]].concat();
        for objects in [objects, with_say] {
            let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
            let outcome = crate::support::raw::exchange(ringress.https, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let text = String::from_utf8_lossy(&outcome.bytes).into_owned();
            assert!(outcome.closed && text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text:?}");
            let (_, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())), "{text:?}");
            assert_eq!(client::get_tls(ringress.https, "a.test", "/").text(), "origin");
        }
    });
}

#[test]
fn sessions_are_resumed_on_any_core_unless_switched_off() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let start = |data: &[(&str, &str)]| {
            let objects = objects.iter().cloned().chain([options(data)]);
            let ringress = Ringress::on(driver).workers(2).manifest("all.json", file(objects));
            ringress.flag("--configmap=default/options").start()
        };
        let resumed = |ringress: &Ringress, version| {
            let config = client::tls_config_that_resumes(&[version]);
            let connect = || {
                let mut connection =
                    Connection::tls_by(ringress.https, Some("a.test"), config.clone()).expect("a handshake");
                assert_eq!(connection.get("a.test", "/").expect("an answer").text(), "origin");
                connection.is_resumed()
            };
            assert!(!connect());
            // Enough of them to meet both cores.
            (0..8).filter(|_| connect()).count()
        };
        let ringress = start(&[]);
        assert_eq!(resumed(&ringress, &rustls::version::TLS12), 8);
        assert_eq!(resumed(&ringress, &rustls::version::TLS13), 8);
        let ringress = start(&[("ssl-session-cache", "false")]);
        assert_eq!(resumed(&ringress, &rustls::version::TLS12), 0);
        assert_eq!(resumed(&ringress, &rustls::version::TLS13), 0);
    });
}

#[test]
fn the_key_exchange_is_hybrid_and_suites_are_the_operator_s_choice() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects));
        let ringress = ringress.flag("--configmap=default/options").start();
        let negotiated = || Connection::tls(ringress.https, Some("a.test")).expect("a handshake").negotiated();
        assert_eq!(negotiated().1, "X25519MLKEM768");
        let chosen = [
            ("ssl-protocols", "TLSv1.2"),
            ("ssl-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:AES128-SHA"),
            ("ssl-ecdh-curve", "secp384r1"),
        ];
        ringress.apply("options.json", file([options(&chosen)]));
        let (suite, group) = negotiated();
        assert!(suite.starts_with("TLS_ECDHE_") && suite.ends_with("_WITH_CHACHA20_POLY1305_SHA256"), "{suite}");
        assert_eq!(group, "secp384r1");
    });
}

#[test]
fn strict_transport_is_asked_for_only_where_tls_is_ended() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.extend([
            options(&[("use-proxy-protocol", "true")]),
            ingress("a").path("a.test", "Prefix", "/x", "origin").build(),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(objects));
        let ringress = ringress.flag("--configmap=default/options").start();
        const HSTS: &str = "strict-transport-security";
        let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n";
        let mut ended_before = Connection::plain(ringress.http).expect("a connection");
        ended_before.send(header).expect("a header");
        for (target, status) in [("/x", 200), ("/other", 404)] {
            let answer = ended_before.get("a.test", target).expect("an answer");
            assert_eq!((answer.status, answer.header(HSTS)), (status, None));
        }
        assert_eq!(origin.received()[0].header("x-forwarded-proto"), Some("https"));
        let mut ended_here = Connection::tls_behind(ringress.https, header, "a.test").expect("a handshake");
        assert!(ended_here.get("a.test", "/x").expect("an answer").header(HSTS).is_some());
    });
}
