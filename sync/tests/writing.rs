//! The promises about what is written to the API server: by one replica at a time, at once, and nothing without need.

use std::time::{Duration, Instant};

use ringress_config::model::ObjectKey;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::{eventually, within};
use ringress_sync::{PodIdentity, SourceSettings, StatusAddresses, StatusSettings, WriteSettings};
use serde_json::{Value, json};

const TTL: Duration = Duration::from_secs(1);

fn server_with(hosts: &[&str]) -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put_all(hosts.iter().map(|host| ingress("n", host.trim_end_matches(".test"), host)));
    server
}

fn fixed(addresses: &[&str]) -> StatusAddresses {
    StatusAddresses::Fixed(addresses.iter().map(ToString::to_string).collect())
}

fn write_settings(pod: &str, addresses: StatusAddresses) -> WriteSettings {
    WriteSettings {
        pod: Some(PodIdentity { namespace: "ingress".to_owned(), name: pod.to_owned() }),
        lease: "ingress-controller-leader".to_owned(),
        ttl: TTL,
        status: Some(StatusSettings { addresses, interval: Duration::from_secs(60), clear_at_end: true }),
        webhook: None,
        tickets: None,
    }
}

fn replica(server: &ApiServer, write: WriteSettings) -> Rig {
    let mut settings = Rig::server_settings(server);
    if let SourceSettings::Kube(kube) = &mut settings.source {
        kube.write = Some(Box::new(write));
    }
    Rig::start(settings).expect("the settings are right")
}

fn leads(rig: &Rig) -> bool {
    rig.handle.status().leads == Some(true)
}

fn addresses(server: &ApiServer, name: &str) -> String {
    let object = server.get("Ingress", "n", name).expect("it is there");
    let entries = object["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value| entry["ip"].as_str().or(entry["hostname"].as_str()).unwrap_or_default().to_owned();
    entries.iter().map(text).collect::<Vec<_>>().join(",")
}

fn holder(server: &ApiServer) -> String {
    let lease = server.get("Lease", "ingress", "ingress-controller-leader");
    lease.map(|lease| lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// A Pod of the controller on a Node.
fn put_pod(server: &ApiServer, name: &str, node: &str) {
    server.put(json!({"kind": "Pod", "metadata": {"namespace": "ingress", "name": name,
        "labels": {"app": "ringress", "pod-template-hash": name}}, "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}));
}

#[test]
fn every_served_ingress_shows_the_addresses_at_once_and_no_other_does() {
    let server = server_with(&["a.test"]);
    let mut foreign = ingress("n", "foreign", "f.test");
    foreign["spec"]["ingressClassName"] = "other".into();
    server.put(foreign);
    let rig = replica(&server, write_settings("p", fixed(&["1.2.3.4", "lb.test"]))).ready();
    eventually("the status is written", || addresses(&server, "a") == "1.2.3.4,lb.test");
    let created = Instant::now();
    server.put(ingress("n", "b", "b.test"));
    eventually("a new one too", || addresses(&server, "b") == "1.2.3.4,lb.test");
    assert!(created.elapsed() < Duration::from_secs(5), "{:?}", created.elapsed());
    assert_eq!(addresses(&server, "foreign"), "");
    eventually("it is served", || rig.serves("b.test"));
}

#[test]
fn an_ingress_that_moves_to_another_class_loses_our_addresses_and_keeps_those_of_its_owner() {
    let server = server_with(&["a.test", "b.test"]);
    server.put(
        json!({"kind": "IngressClass", "metadata": {"name": "other"}, "spec": {"controller": "example.com/other"}}),
    );
    let rig = replica(&server, write_settings("p", fixed(&["1.2.3.4"]))).ready();
    eventually("all is written", || addresses(&server, "a") == "1.2.3.4" && addresses(&server, "b") == "1.2.3.4");
    let mut moved = server.get("Ingress", "n", "a").unwrap();
    moved["spec"]["ingressClassName"] = "other".into();
    server.put(moved.clone());
    eventually("ours is taken out", || addresses(&server, "a").is_empty());
    moved["status"] = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    server.put(moved);
    server.delete("IngressClass", "", "nginx");
    eventually("nothing is served", || !rig.serves("b.test"));
    let written = server.requests(Verb::Write, "ingresses");
    within(TTL * 10, "time goes on", || server.requests(Verb::Write, "leases") >= 6);
    assert_eq!(server.requests(Verb::Write, "ingresses"), written);
    assert_eq!(addresses(&server, "a"), "1.2.3.4", "its owner may be behind the same address");
    assert_eq!(addresses(&server, "b"), "1.2.3.4", "the class may come back, as when a chart is replaced");
}

#[test]
fn nothing_is_written_when_nothing_changes_but_the_lease() {
    let server = server_with(&["a.test", "b.test"]);
    let _rig = replica(&server, write_settings("p", fixed(&["1.2.3.4"]))).ready();
    eventually("all is written", || addresses(&server, "a") == "1.2.3.4" && addresses(&server, "b") == "1.2.3.4");
    let (before, leases) = (server.requests(Verb::Write, "ingresses"), server.requests(Verb::Write, "leases"));
    assert_eq!(before, 2, "one write each");
    within(TTL * 10, "the lease is renewed", || server.requests(Verb::Write, "leases") >= leases + 4);
    assert_eq!(server.requests(Verb::Write, "ingresses"), before);
    assert_eq!(server.requests(Verb::Write, "events"), 0);
}

#[test]
fn a_second_replica_writes_only_after_the_first_has_gone_and_then_at_once() {
    let server = server_with(&["a.test"]);
    let first = replica(&server, write_settings("one", fixed(&["1.1.1.1"]))).ready();
    eventually("the first leads", || leads(&first) && addresses(&server, "a") == "1.1.1.1");
    let second = replica(&server, write_settings("two", fixed(&["2.2.2.2"]))).ready();
    let renewed = server.requests(Verb::Write, "leases");
    within(TTL * 10, "some terms pass", || {
        assert!(!leads(&second) && addresses(&server, "a") == "1.1.1.1");
        server.requests(Verb::Write, "leases") >= renewed + 8
    });
    drop(first);
    eventually("the second leads", || leads(&second) && holder(&server).starts_with("two_"));
    eventually("and writes", || addresses(&server, "a") == "2.2.2.2");
}

#[test]
fn a_leader_that_cannot_reach_its_lease_stops_before_another_begins() {
    let server = server_with(&["a.test"]);
    let rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    eventually("it leads", || leads(&rig));
    server.fault(Rule::on(Verb::Write, Fault::Status(500)).of("leases"));
    within(TTL * 4, "it no longer leads", || !leads(&rig));
    // Whatever is to be written now is somebody else's.
    let before = server.requests(Verb::Write, "ingresses");
    server.put(ingress("n", "b", "b.test"));
    eventually("traffic goes on", || rig.serves("b.test"));
    assert_eq!((server.requests(Verb::Write, "ingresses"), addresses(&server, "b")), (before, String::new()));
    server.heal();
    eventually("it leads again and makes up for it", || leads(&rig) && addresses(&server, "b") == "1.1.1.1");
}

#[test]
fn a_lease_that_somebody_else_took_is_respected() {
    let server = server_with(&["a.test"]);
    let rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    eventually("it leads", || leads(&rig));
    let mut lease = server.get("Lease", "ingress", "ingress-controller-leader").unwrap();
    lease["spec"] = json!({"holderIdentity": "else", "leaseDurationSeconds": 60, "renewTime": "1999-01-01T00:00:00Z"});
    server.put(lease);
    eventually("it sees that", || !leads(&rig));
    server.put(ingress("n", "b", "b.test"));
    eventually("traffic goes on", || rig.serves("b.test"));
    assert_eq!((holder(&server).as_str(), addresses(&server, "b").as_str()), ("else", ""));
}

#[test]
fn an_outage_holds_up_nothing_and_is_made_up_for() {
    let mut server = server_with(&["a.test"]);
    let rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    eventually("written", || addresses(&server, "a") == "1.1.1.1");
    server.down();
    within(TTL * 4, "it no longer leads", || !leads(&rig));
    assert!(rig.serves("a.test"));
    server.put(ingress("n", "b", "b.test"));
    server.up();
    eventually("it leads again", || leads(&rig) && addresses(&server, "b") == "1.1.1.1");
}

#[test]
fn an_account_that_may_not_write_serves_all_the_same() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::Write, Fault::Status(403)));
    let rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    eventually("it tries", || server.requests(Verb::Write, "leases") >= 2);
    assert!(rig.serves("a.test") && !leads(&rig));
    assert!(server.requests(Verb::Write, "leases") < 20, "and does not press");
}

#[test]
fn the_addresses_follow_the_service() {
    let server = server_with(&["a.test"]);
    let balancer = |ip: &str| {
        json!({"kind": "Service", "metadata": {"namespace": "ingress", "name": "lb"}, "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [{"ip": ip}]}}})
    };
    server.put(balancer("5.5.5.5"));
    let source = StatusAddresses::Service(ObjectKey::new("ingress", "lb"));
    let _rig = replica(&server, write_settings("p", source)).ready();
    eventually("the first address", || addresses(&server, "a") == "5.5.5.5");
    server.put(balancer("6.6.6.6"));
    eventually("the second, long before the interval is over", || addresses(&server, "a") == "6.6.6.6");
    // A Service that is gone says nothing: what is written stays.
    server.delete("Service", "ingress", "lb");
    server.put(ingress("n", "b", "b.test"));
    eventually("what is known is written", || addresses(&server, "b") == "6.6.6.6");
}

#[test]
fn without_flags_the_nodes_of_the_pods_are_shown_and_the_last_one_clears_them() {
    let server = server_with(&["a.test"]);
    for (node, ip) in [("n1", "10.0.0.1"), ("n2", "10.0.0.2")] {
        let addresses = json!([{"type": "InternalIP", "address": ip}]);
        server.put(json!({"kind": "Node", "metadata": {"name": node}, "status": {"addresses": addresses}}));
    }
    put_pod(&server, "one", "n1");
    put_pod(&server, "two", "n2");
    let nodes = StatusAddresses::Nodes { internal: false };
    let one = replica(&server, write_settings("one", nodes.clone())).ready();
    eventually("both nodes", || addresses(&server, "a") == "10.0.0.1,10.0.0.2");
    drop(one);
    assert_eq!(addresses(&server, "a"), "10.0.0.1,10.0.0.2", "the other one is there");
    server.delete("Pod", "ingress", "one");
    let two = replica(&server, write_settings("two", nodes)).ready();
    eventually("its node", || addresses(&server, "a") == "10.0.0.2");
    drop(two);
    assert_eq!(addresses(&server, "a"), "", "nobody is there any more");
    assert_eq!(holder(&server), "");
}

#[test]
fn somebody_who_keeps_changing_a_status_is_given_way() {
    let server = server_with(&["a.test"]);
    let _rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    let mut rounds = 0;
    let fighting = Instant::now();
    while rounds < 3 {
        eventually("it is written", || addresses(&server, "a") == "1.1.1.1");
        let mut object = server.get("Ingress", "n", "a").unwrap();
        object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}});
        server.put(object);
        rounds += 1;
        assert!(fighting.elapsed() < Duration::from_secs(30));
    }
    // Another Ingress is still written, after which nothing more can come for the first.
    server.put(ingress("n", "b", "b.test"));
    eventually("others go on", || addresses(&server, "b") == "1.1.1.1");
    assert_eq!(addresses(&server, "a"), "9.9.9.9");
}

#[test]
fn a_refused_object_has_one_event_whatever_happens() {
    let server = server_with(&["a.test"]);
    let mut bad = ingress("n", "bad", "bad.test");
    bad["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
    server.put(bad);
    let rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    let events = || server.all("events");
    eventually("it is told", || events().len() == 1);
    let event = events().remove(0);
    assert_eq!(event["involvedObject"]["name"], "bad");
    assert_eq!(event["involvedObject"]["uid"], server.get("Ingress", "n", "bad").unwrap()["metadata"]["uid"]);
    assert_eq!(event["reason"], "AnnotationParsingFailed");
    drop(rig);
    let rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    eventually("a successor finds it there", || server.requests(Verb::Write, "events") >= 2);
    server.put(ingress("n", "b", "b.test"));
    eventually("b is served", || rig.serves("b.test"));
    assert_eq!(events().len(), 1);
}

#[test]
fn a_namespace_that_is_being_deleted_keeps_no_event_from_others() {
    let server = server_with(&["a.test"]);
    server.put(json!({"kind": "Namespace",
        "metadata": {"name": "ending", "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    for namespace in ["ending", "n"] {
        let mut bad = ingress(namespace, "bad", &format!("{namespace}.test"));
        bad["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
        server.put(bad);
    }
    let _rig = replica(&server, write_settings("p", fixed(&["1.1.1.1"]))).ready();
    eventually("the other is told", || server.all("events").len() == 1);
    assert_eq!(server.all("events")[0]["metadata"]["namespace"], "n");
    assert_eq!(server.requests(Verb::Write, "events"), 2);
}

#[test]
fn a_process_that_is_replaced_gives_the_lead_back_at_once_and_empties_nothing() {
    let server = server_with(&["a.test"]);
    put_pod(&server, "p", "n1");
    let mut write = write_settings("p", fixed(&["1.1.1.1"]));
    // Long enough that a lead that runs out would be noticed.
    write.ttl = Duration::from_secs(40);
    let old = replica(&server, write.clone()).ready();
    eventually("the status is written", || addresses(&server, "a") == "1.1.1.1");
    let before = holder(&server);
    old.handle.resign();
    eventually("the lead is given back", || holder(&server).is_empty());
    write.ttl = Duration::from_secs(1);
    let new = replica(&server, write);
    eventually("the new one leads", || leads(&new));
    assert!(holder(&server) != before && !leads(&old));
    // It still follows what changes, for the clients that it has, and leaves the rest to the new one.
    server.put(ingress("n", "b", "b.test"));
    eventually("both serve it", || old.serves("b.test") && new.serves("b.test"));
    drop(old);
    eventually("the new one writes", || addresses(&server, "b") == "1.1.1.1");
    assert_eq!(addresses(&server, "a"), "1.1.1.1");
}
