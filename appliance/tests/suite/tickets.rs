//! TLS sessions across replicas: what one process of the binary began, another resumes.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use serde_json::{Value, json};

use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::web::cluster;

fn replica(driver: Driver, server: &ApiServer, pod: &str) -> Ringress {
    Ringress::on(driver)
        .workers(1)
        .kube(&server.url())
        .env("POD_NAMESPACE", "ingress")
        .env("POD_NAME", pod)
        .flag("--ticket-secret=ingress/tickets")
        .flag("--update-status=false")
        .flag("--election-ttl=1s")
        .start()
}

/// Whether a session that was begun at the first is resumed at the second.
fn is_resumed(first: &Ringress, second: &Ringress, version: &'static rustls::SupportedProtocolVersion) -> bool {
    let config = client::tls_config_that_resumes(&[version]);
    let connect = |to: &Ringress| {
        let mut connection = Connection::tls_by(to.https, Some("a.test"), config.clone()).expect("a handshake");
        assert_eq!(connection.get("a.test", "/").expect("an answer").text(), "origin");
        connection.is_resumed()
    };
    assert!(!connect(first), "the first one has nothing to resume");
    connect(second)
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

fn shared_keys(ringress: &Ringress) -> f64 {
    ringress.metric("ringress_tls_shared_ticket_keys")
}

#[test]
fn replicas_resume_each_other_s_sessions_by_keys_that_the_leader_makes_and_rotates() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let server = cluster(&origin);
        let (one, two) = (replica(driver, &server, "p0"), replica(driver, &server, "p1"));
        let data = || server.get("Secret", "ingress", "tickets").unwrap_or_default()["data"].clone();
        eventually("the leader has made a key, and both use it", || {
            shared_keys(&one) == 1.0 && shared_keys(&two) == 1.0
        });
        for version in VERSIONS {
            assert!(is_resumed(&one, &two, version) && is_resumed(&two, &one, version), "{version:?}");
        }
        // As if the key had been made long ago: a second one comes, and the first goes on sealing for a while.
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - Duration::from_secs(6 * 3600);
        let (name, value) =
            data().as_object().and_then(|data| data.iter().next().map(|(n, v)| (n.clone(), v.clone()))).unwrap();
        let aged = format!("key-{}", started.as_secs());
        let mut secret = server.get("Secret", "ingress", "tickets").unwrap();
        secret["data"] = json!({ &aged: value });
        server.put(secret);
        eventually("the keys are rotated", || shared_keys(&one) == 2.0 && shared_keys(&two) == 2.0);
        assert!(data()[&name].is_null() && !data()[&aged].is_null());
        for version in VERSIONS {
            assert!(is_resumed(&one, &two, version) && is_resumed(&two, &one, version), "{version:?}");
        }
    });
}

#[test]
fn a_secret_that_cannot_be_used_leaves_every_replica_its_own_keys() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let server = cluster(&origin);
        server.put(json!({"kind": "Secret", "metadata": {"namespace": "ingress", "name": "tickets"},
            "data": {"key-1": STANDARD.encode("short"), "password": STANDARD.encode("hunter2")}}));
        let (one, two) = (replica(driver, &server, "p0"), replica(driver, &server, "p1"));
        for version in VERSIONS {
            assert!(is_resumed(&one, &one, version) && !is_resumed(&one, &two, version), "{version:?}");
        }
        let findings = one.status().to_string();
        assert!(findings.contains("holds no key of session tickets"), "{findings}");
        assert!(!(findings + &one.log()).contains("hunter2"));
        drop((one, two));
        // And where the account has no right to Secrets at all.
        server.delete("Secret", "ingress", "tickets");
        server.fault(Rule::always(Fault::Status(403)).of("secrets"));
        let one = replica(driver, &server, "p2");
        assert!(is_resumed(&one, &one, &rustls::version::TLS13));
        eventually("it says so", || {
            one.status().to_string().contains("this account may not list Secret ingress/tickets")
        });
        assert!(server.requests(Verb::Write, "secrets") == 0 && server.get("Secret", "ingress", "tickets").is_none());
    });
}

#[test]
fn a_key_of_the_config_map_is_shared_by_all_who_have_it() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let start = |key: u8| {
            let mut objects: Vec<Value> = service("origin", &[origin.address]);
            objects.push(ingress("a").prefix("a.test", "/", "origin").build());
            objects.push(options(&[("ssl-session-ticket-key", &STANDARD.encode([key; 80]))]));
            let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects));
            ringress.flag("--configmap=default/options").start()
        };
        let (one, two, other) = (start(1), start(1), start(2));
        for version in VERSIONS {
            assert!(is_resumed(&one, &two, version) && !is_resumed(&one, &other, version), "{version:?}");
        }
    });
}
