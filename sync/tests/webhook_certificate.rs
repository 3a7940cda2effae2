//! The promises about a webhook's certificate that nobody hands out: made and renewed by the leader, shown by all,
//! trusted by the API server before it is shown.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_config::model::ObjectKey;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::{Rig, own_address};
use ringress_sync::testkit::workers::eventually;
use ringress_sync::{
    PodIdentity, SourceSettings, WebhookAuthority, WebhookCertificate, WebhookSettings, WebhookSocket, WriteSettings,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

const NAME: &str = "hook.ingress.svc";

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put(ingress("n", "a", "a.test"));
    server.put(configuration());
    server
}

/// As a chart makes it, without an authority.
fn configuration() -> Value {
    let client = json!({"service": {"namespace": "ingress", "name": "hook", "path": "/"}});
    json!({"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "ringress"},
        "webhooks": [{"name": "one", "failurePolicy": "Ignore", "clientConfig": client}]})
}

/// A replica with a webhook, and where that is.
fn replica(server: &ApiServer, pod: &str) -> (Rig, SocketAddr) {
    replica_at(own_address(), WebhookSocket::Own, server, pod)
}

fn replica_at(address: SocketAddr, socket: WebhookSocket, server: &ApiServer, pod: &str) -> (Rig, SocketAddr) {
    let secret = ObjectKey::new("ingress", "hook");
    let mut settings = Rig::server_settings(server);
    settings.webhook =
        Some(WebhookSettings { address, socket, certificate: WebhookCertificate::Secret(secret.clone()) });
    if let SourceSettings::Kube(kube) = &mut settings.source {
        kube.write = Some(Box::new(WriteSettings {
            pod: Some(PodIdentity { namespace: "ingress".to_owned(), name: pod.to_owned() }),
            lease: "ingress-controller-leader".to_owned(),
            ttl: Duration::from_secs(12),
            status: None,
            webhook: Some(WebhookAuthority { secret, configuration: "ringress".to_owned() }),
            tickets: None,
        }));
    }
    (Rig::start(settings).expect("the settings are right").ready(), address)
}

/// What the API server trusts, PEM.
fn bundle(server: &ApiServer) -> Vec<u8> {
    let configuration = server.get("ValidatingWebhookConfiguration", "", "ringress").unwrap();
    assert_eq!(configuration["webhooks"][0]["failurePolicy"], "Ignore", "nothing else is touched");
    STANDARD.decode(configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default()).unwrap()
}

/// Calls as the API server does; the certificate that was shown, if it is trusted.
fn call(server: &ApiServer, address: SocketAddr) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&bundle(server)) {
        roots.add(authority.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(tls, ServerName::try_from(NAME).unwrap()).unwrap(), socket);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: hook\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // The end may come without a TLS farewell.
    let _end = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 405"), "{}", String::from_utf8_lossy(&answer));
    Some(stream.conn.peer_certificates()?[0].to_vec())
}

fn authorities(server: &ApiServer) -> usize {
    CertificateDer::pem_slice_iter(&bundle(server)).count()
}

#[test]
fn every_replica_shows_a_certificate_that_the_api_server_trusts() {
    let server = server();
    let (one, two) = (replica(&server, "p0"), replica(&server, "p1"));
    let both = || Some((call(&server, one.1)?, call(&server, two.1)?));
    eventually("both are trusted", || both().is_some_and(|(one, two)| one == two));
    assert_eq!(authorities(&server), 1);
    let secret = server.get("Secret", "ingress", "hook").unwrap();
    assert_eq!(secret["data"].as_object().unwrap().len(), 3, "the authority's key is nowhere");
    // Who takes the Secret away gets another certificate, and nobody is without one meanwhile.
    let before = call(&server, one.1);
    server.delete("Secret", "ingress", "hook");
    eventually("both show another", || {
        let (one, two) = both().expect("what is shown is trusted throughout");
        one == two && Some(one) != before
    });
    assert_eq!(authorities(&server), 2);
    assert_eq!((one.0.reports("Secret ingress/hook"), server.requests(Verb::Write, "secrets")), (false, 2));
}

#[test]
fn a_configuration_that_is_made_anew_is_filled_within_seconds() {
    let server = server();
    let replica = replica(&server, "p0");
    eventually("it is trusted", || call(&server, replica.1).is_some());
    let before = bundle(&server);
    server.delete("ValidatingWebhookConfiguration", "", "ringress");
    server.put(configuration());
    assert!(bundle(&server).is_empty());
    eventually("it is trusted again", || bundle(&server) == before);
    server.delete("ValidatingWebhookConfiguration", "", "ringress");
    eventually("its absence is told", || replica.0.reports("Secret ingress/hook"));
    server.put(configuration());
    eventually("it is trusted a third time", || bundle(&server) == before);
    assert_eq!(server.requests(Verb::Write, "secrets"), 1, "the certificate is the same");
}

#[test]
fn a_successor_takes_no_call_before_it_has_a_certificate() {
    let (old, new) = (server(), server());
    let (_old, address) = replica(&old, "p0");
    eventually("it is trusted", || call(&old, address).is_some());
    new.fault(Rule::on(Verb::Write, Fault::Status(500)).of("secrets"));
    let (successor, _) = replica_at(address, WebhookSocket::Beside, &new, "p1");
    assert!((0..20).all(|_| call(&old, address).is_some()));
    new.heal();
    eventually("it takes calls, too", || call(&new, address).is_some());
    drop(successor);
}

#[test]
fn a_certificate_that_ends_soon_is_renewed_and_the_old_authority_stays_trusted() {
    let server = server();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = (SystemTime::now() + Duration::from_secs(10 * 24 * 3600)).into();
    let old = params.self_signed(&key).unwrap();
    let value = |text: &str| STANDARD.encode(text);
    server.put(json!({"kind": "Secret", "metadata": {"namespace": "ingress", "name": "hook"},
        "data": {"ca.crt": value(&old.pem()), "tls.crt": value(&old.pem()), "tls.key": value(&key.serialize_pem())}}));
    let (_rig, address) = replica(&server, "p0");
    eventually("both authorities are trusted", || authorities(&server) == 2);
    eventually("the new certificate is shown", || {
        call(&server, address).is_some_and(|shown| shown != old.der().to_vec())
    });
    assert_eq!(authorities(&server), 2);
}

#[test]
fn without_the_rights_or_with_a_secret_of_something_else_everything_is_served() {
    let server = server();
    server.fault(Rule::always(Fault::Status(403)).of("validatingwebhookconfigurations"));
    let (rig, _) = replica(&server, "p0");
    let told = |rig: &Rig, word: &str| rig.handle.status().rejected.iter().any(|f| f.message.contains(word));
    eventually("it says so", || told(&rig, "ValidatingWebhookConfiguration ringress: status 403"));
    assert!(rig.serves("a.test") && server.get("Secret", "ingress", "hook").is_none());
    drop(rig);
    server.heal();
    let data: Value = json!({"password": STANDARD.encode("hunter2")});
    server.put(json!({"kind": "Secret", "metadata": {"namespace": "ingress", "name": "hook"}, "data": data}));
    let (rig, _) = replica(&server, "p1");
    eventually("it is left alone", || told(&rig, "it holds something else"));
    assert!(rig.serves("a.test"));
    assert_eq!(server.get("Secret", "ingress", "hook").unwrap()["data"], data);
    assert_eq!(server.requests(Verb::Write, "secrets"), 0);
}
