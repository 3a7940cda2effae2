//! The promise of `--state-dir`: a start while the API server is away serves what was good before.

use std::path::Path;
use std::time::{Duration, Instant};

use ringress_sync::SyncSettings;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{certificate_secret, ingress, ingress_class, ingress_tls, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use serde_json::json;
use tempfile::TempDir;

fn settings(server: &ApiServer, state: &Path) -> SyncSettings {
    SyncSettings { state_dir: Some(state.to_owned()), ..Rig::server_settings(server) }
}

fn start(server: &ApiServer, state: &Path) -> Rig {
    Rig::start(settings(server, state)).expect("the settings are right")
}

/// A server with two Ingresses, and the state that a first run on it has left.
fn server_and_state() -> (ApiServer, TempDir) {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put(ingress("n", "a", "a.test"));
    server.put(certificate_secret("n", "opaque", "Opaque", "t.test"));
    server.put(ingress_tls("n", "t", "t.test", "opaque"));
    let state = TempDir::new().unwrap();
    drop(start(&server, state.path()).ready());
    (server, state)
}

#[test]
fn a_start_without_the_server_serves_the_last_known_good_and_says_so() {
    let (mut server, state) = server_and_state();
    server.down();
    let rig = start(&server, state.path()).ready();
    assert!(rig.serves("a.test") && rig.serves("t.test"));
    assert_eq!(rig.handle.status().objects.get("Secret"), Some(&1));
    let status = rig.handle.status();
    assert!(status.last_known_good && !status.source_reachable);
}

#[test]
fn when_the_server_is_back_only_differences_are_published() {
    let (mut server, state) = server_and_state();
    server.down();
    let rig = start(&server, state.path()).ready();
    let generation = rig.generation();
    server.up();
    eventually("the server is read", || !rig.handle.status().last_known_good);
    assert_eq!(rig.sync(), generation, "nothing differs");
    server.put(ingress("n", "a", "a2.test"));
    eventually("changes are served", || rig.serves("a2.test") && !rig.serves("a.test"));
}

#[test]
fn what_has_gone_meanwhile_goes_when_the_server_is_back() {
    let (mut server, state) = server_and_state();
    server.down();
    server.delete("Ingress", "n", "a");
    server.put(ingress("n", "b", "b.test"));
    server.compact();
    let rig = start(&server, state.path()).ready();
    assert!(rig.serves("a.test") && !rig.serves("b.test"));
    server.up();
    eventually("the difference is served", || rig.serves("b.test") && !rig.serves("a.test"));
}

#[test]
fn nothing_of_a_half_read_server_is_mixed_into_the_last_known_good() {
    let (server, state) = server_and_state();
    server.put(ingress("n", "b", "b.test"));
    server.fault(Rule::on(Verb::List, Fault::Status(500)).of("services"));
    let rig = start(&server, state.path()).ready();
    assert!(rig.handle.status().last_known_good);
    rig.sync();
    assert!(rig.serves("a.test") && !rig.serves("b.test"));
    server.heal();
    eventually("the whole is served", || rig.serves("b.test"));
}

#[test]
fn a_server_that_answers_is_never_answered_from_the_state() {
    let (server, state) = server_and_state();
    server.delete("Ingress", "n", "a");
    let rig = start(&server, state.path()).ready();
    assert!(!rig.serves("a.test") && rig.serves("t.test"));
    assert_eq!(rig.generation(), 1);
    assert!(!rig.handle.status().last_known_good);
}

#[test]
fn the_state_of_another_cluster_is_not_served() {
    let (_server, state) = server_and_state();
    let mut other = ApiServer::start();
    other.put(ingress("n", "c", "c.test"));
    other.down();
    let rig = start(&other, state.path());
    // Longer than a server is waited for.
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(rig.generation(), 0, "nothing is served");
        std::thread::sleep(Duration::from_millis(20));
    }
    other.up();
    assert!(!rig.ready().serves("a.test"));
}

#[test]
fn a_state_folder_that_cannot_be_written_holds_nothing_up() {
    let (server, _state) = server_and_state();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let rig = start(&server, &file.join("state")).ready();
    server.put(ingress("n", "b", "b.test"));
    eventually("b is served", || rig.serves("b.test"));
}

/// An Ingress `a` whose newest version, of another host, is refused.
fn refuse_the_newest(server: &ApiServer) {
    let mut refused = ingress("n", "a", "refused.test");
    refused["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
    server.put(refused);
}

#[test]
fn the_accepted_version_of_a_refused_ingress_serves_on_after_a_restart() {
    let (mut server, state) = server_and_state();
    let rig = start(&server, state.path()).ready();
    refuse_the_newest(&server);
    eventually("it is refused", || rig.reports("Ingress n/a"));
    assert!(rig.serves("a.test"));
    drop(rig);
    let rig = start(&server, state.path()).ready();
    assert!(rig.serves("a.test") && !rig.serves("refused.test") && rig.reports("Ingress n/a"));
    assert_eq!(rig.generation(), 1, "it was never without");
    drop(rig);
    server.down();
    let rig = start(&server, state.path()).ready();
    assert!(rig.serves("a.test") && rig.handle.status().last_known_good, "nor without the server");
}

#[test]
fn an_ingress_made_anew_inherits_nothing_from_the_one_before_it() {
    let (server, state) = server_and_state();
    let rig = start(&server, state.path()).ready();
    refuse_the_newest(&server);
    eventually("it is refused", || rig.reports("Ingress n/a"));
    drop(rig);
    server.delete("Ingress", "n", "a");
    refuse_the_newest(&server);
    let rig = start(&server, state.path()).ready();
    assert!(rig.reports("Ingress n/a") && !rig.serves("a.test") && !rig.serves("refused.test"));
}

#[test]
fn a_usable_version_of_a_secret_that_is_broken_is_presented_after_a_restart() {
    let (mut server, state) = server_and_state();
    let presented = |rig: &Rig| {
        let snapshot = rig.workers.serving(0).expect("it serves");
        let certificate = snapshot.certificates.present(Some("t.test"));
        certificate.secret.as_ref().map(|_| certificate.fingerprint.clone())
    };
    let rig = start(&server, state.path()).ready();
    let before = presented(&rig).expect("the certificate of its Secret");
    let mut broken = certificate_secret("n", "opaque", "Opaque", "t.test");
    broken["data"]["tls.crt"] = json!("cnViYmlzaA==");
    server.put(broken.clone());
    eventually("it is reported", || rig.reports("Secret n/opaque"));
    assert_eq!(presented(&rig), Some(before.clone()));
    drop(rig);
    let rig = start(&server, state.path()).ready();
    assert_eq!(presented(&rig), Some(before.clone()));
    drop(rig);
    server.down();
    let rig = start(&server, state.path()).ready();
    assert_eq!(presented(&rig), Some(before), "nor without the server");
    drop(rig);
    server.up();
    server.delete("Secret", "n", "opaque");
    let rig = start(&server, state.path()).ready();
    assert_eq!(presented(&rig), None, "it is gone");
    server.put(broken);
    eventually("it is reported", || rig.reports("Secret n/opaque"));
    assert_eq!(presented(&rig), None, "one made anew inherits nothing");
}
