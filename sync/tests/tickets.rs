//! The promises about keys of session tickets: made and rotated by one replica, used by all, and whatever is wrong
//! with their Secret, traffic is served.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_config::model::ObjectKey;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use ringress_sync::{PodIdentity, SourceSettings, WriteSettings};
use serde_json::{Value, json};

const NAME: &str = "ringress-tickets";

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put(ingress("n", "a", "a.test"));
    server
}

fn replica(server: &ApiServer, pod: &str) -> Rig {
    let secret = ObjectKey::new("ingress", NAME);
    let mut settings = Rig::server_settings(server);
    settings.options.ticket_secret = Some(secret.clone());
    if let SourceSettings::Kube(kube) = &mut settings.source {
        kube.write = Some(Box::new(WriteSettings {
            pod: Some(PodIdentity { namespace: "ingress".to_owned(), name: pod.to_owned() }),
            lease: "ingress-controller-leader".to_owned(),
            ttl: Duration::from_secs(12),
            status: None,
            webhook: None,
            tickets: Some(secret),
        }));
    }
    Rig::start(settings).expect("the settings are right").ready()
}

fn put(server: &ApiServer, data: &Value) {
    server.put(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ingress", "name": NAME}, "data": data}));
}

fn stored(server: &ApiServer) -> Vec<String> {
    let secret = server.get("Secret", "ingress", NAME).unwrap_or_default();
    secret["data"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// The times from which on the keys seal that every worker of a replica has, once all have the same.
fn used(rig: &Rig) -> Vec<String> {
    let keys = rig.workers.serving(0).and_then(|snapshot| snapshot.tickets.clone());
    if !rig.all(|snapshot| snapshot.tickets == keys) {
        return Vec::new();
    }
    keys.iter().flat_map(|keys| keys.rotated.iter().map(|key| format!("key-{}", key.from))).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn the_leader_makes_keys_and_every_replica_uses_them() {
    let server = server();
    let replicas = [replica(&server, "p0"), replica(&server, "p1")];
    eventually("there is a key", || stored(&server).len() == 1);
    let first = stored(&server);
    eventually("all use it", || replicas.iter().all(|rig| used(rig) == first));
    let keys = replicas[0].workers.serving(0).unwrap().tickets.clone();
    assert_eq!(replicas[1].workers.serving(0).unwrap().tickets, keys);
    eventually("nothing is missing", || !replicas[0].reports(&format!("Secret ingress/{NAME}")));
    // Who wants to be rid of all of them deletes the Secret.
    let value = |server: &ApiServer| server.get("Secret", "ingress", NAME).unwrap_or_default()["data"].clone();
    let before = value(&server);
    server.delete("Secret", "ingress", NAME);
    eventually("there is another", || stored(&server).len() == 1 && value(&server) != before);
    let written = server.requests(Verb::Write, "secrets");
    eventually("all use the other", || {
        replicas.iter().all(|rig| used(rig) == stored(&server) && rig.workers.serving(0).unwrap().tickets != keys)
    });
    assert_eq!((written, server.requests(Verb::Write, "secrets")), (2, 2), "nothing is written without need");
}

#[test]
fn a_key_that_gets_old_is_followed_by_one_that_does_not_seal_yet() {
    let server = server();
    let start = now() - 6 * 3600;
    let old = format!("key-{start}");
    put(&server, &json!({&old: STANDARD.encode([5; 32])}));
    let replicas = [replica(&server, "p0"), replica(&server, "p1")];
    eventually("there is a second", || stored(&server).len() == 2);
    eventually("all know both", || replicas.iter().all(|rig| used(rig) == stored(&server)));
    let keys = replicas[1].workers.serving(0).unwrap().tickets.clone().unwrap();
    let sealing = |at| keys.iter().nth(keys.sealing(at).unwrap()).unwrap().from;
    assert_eq!(sealing(now()), start);
    let next = sealing(u64::MAX);
    assert!(next > now() + 500, "late replicas have time");
}

#[test]
fn a_secret_of_something_else_is_neither_used_nor_written() {
    let server = server();
    let data = json!({"password": STANDARD.encode("hunter2")});
    put(&server, &data);
    let rig = replica(&server, "p0");
    let object = format!("Secret ingress/{NAME}");
    let is_told = || {
        let status = rig.handle.status();
        let told = status.rejected.iter().filter(|finding| finding.object.to_string() == object);
        let messages: Vec<_> = told.map(|finding| finding.message.to_string()).collect();
        assert!(!messages.concat().contains("hunter2"));
        messages.iter().any(|message| message.contains("left alone"))
    };
    eventually("the leader says so", is_told);
    assert!(rig.serves("a.test") && used(&rig).is_empty());
    assert_eq!(server.requests(Verb::Write, "secrets"), 0);
    assert_eq!(server.get("Secret", "ingress", NAME).unwrap()["data"], data);
}

#[test]
fn without_the_rights_everything_is_served_and_the_status_says_what_is_missing() {
    let server = server();
    server.fault(Rule::on(Verb::Write, Fault::Status(403)).of("secrets"));
    let rig = replica(&server, "p0");
    let told = |word: &str| rig.handle.status().rejected.iter().any(|finding| finding.message.contains(word));
    eventually("the leader says so", || told("cannot be kept in it: status 403"));
    assert!(rig.serves("a.test") && used(&rig).is_empty());
    drop(rig);
    server.heal();
    server.fault(Rule::always(Fault::Status(403)).of("secrets"));
    let rig = replica(&server, "p1");
    assert!(rig.serves("a.test"));
    eventually("it may not be read either", || rig.reports(&format!("Secret ingress/{NAME}")));
}
