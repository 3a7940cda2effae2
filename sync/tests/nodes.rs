//! The promises of node ports and zones on an API server: Nodes are read where they are needed, and only there, and what
//! becomes of them counts at once.

use std::cell::Cell;
use std::time::Duration;

use ringress_config::options::{Topology, UpstreamAddress};
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{endpoint_slice, ingress, ingress_class};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use serde_json::{Value, json};

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("NodePort", "Cluster"));
    server.put(slice(&[("10.0.0.1", "n1"), ("10.0.0.2", "n2")]));
    server.put(ingress("shop", "i", "a.test"));
    server
}

fn service(kind: &str, policy: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"type": kind, "clusterIP": "10.96.0.7", "externalTrafficPolicy": policy,
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080}]}})
}

/// A slice whose endpoints are each on a Node and hinted for a zone of the Node's name.
fn slice(endpoints: &[(&str, &str)]) -> Value {
    let addresses: Vec<&str> = endpoints.iter().map(|(address, _)| *address).collect();
    let mut slice = endpoint_slice("shop", "web", "web-1", &addresses, 8080);
    for (index, (_, node)) in endpoints.iter().enumerate() {
        slice["endpoints"][index]["nodeName"] = json!(node);
        slice["endpoints"][index]["hints"] = json!({"forZones": [{"name": node}]});
    }
    slice
}

fn node(name: &str, address: &str, ready: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": name}},
        "status": {"addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}]}})
}

fn asks(address: Option<&str>) -> Value {
    let mut ingress = ingress("shop", "i", "a.test");
    if let Some(address) = address {
        ingress["metadata"]["annotations"] = json!({"ringress.io/upstream-address": address});
    }
    ingress
}

/// Whether every worker sends requests there.
fn sends_to(rig: &Rig, expected: &[&str]) -> bool {
    rig.all(|snapshot| {
        let cluster = snapshot.clusters.iter().find(|cluster| &*cluster.name == "shop-web-80");
        let endpoints =
            cluster.map(|cluster| cluster.endpoints.iter().map(|e| e.address.to_string()).collect::<Vec<_>>());
        endpoints.is_some_and(|endpoints| endpoints == expected)
    })
}

const PODS: [&str; 2] = ["10.0.0.1:8080", "10.0.0.2:8080"];

fn by_nodes(server: &ApiServer) -> Rig {
    let mut settings = Rig::server_settings(server);
    settings.options.upstream_address = UpstreamAddress::NodePort;
    Rig::start(settings).expect("the settings are right")
}

#[test]
fn nodes_that_come_fail_and_go_are_followed() {
    let server = server();
    server.put(node("n1", "192.0.2.1", "True"));
    server.put(node("n2", "192.0.2.2", "False"));
    let rig = by_nodes(&server).ready();
    assert!(sends_to(&rig, &["192.0.2.1:30080"]), "complete from the start");
    server.put(node("n2", "192.0.2.2", "True"));
    eventually("a Node that gets ready is used", || sends_to(&rig, &["192.0.2.1:30080", "192.0.2.2:30080"]));
    server.put(node("n1", "192.0.2.1", "Unknown"));
    eventually("one that is lost is not", || sends_to(&rig, &["192.0.2.2:30080"]));
    server.put(node("n1", "192.0.2.1", "True"));
    server.delete("Node", "", "n2");
    eventually("nor one that is deleted", || sends_to(&rig, &["192.0.2.1:30080"]));
    server.put(service("ClusterIP", "Cluster"));
    eventually("a Service that loses its port is reported", || sends_to(&rig, &[]) && rig.reports("Ingress shop/i"));
    server.put(service("LoadBalancer", "Cluster"));
    eventually("one that has it again is served", || sends_to(&rig, &["192.0.2.1:30080"]));
    // What a Node says of itself every few seconds is no news.
    let generation = rig.generation();
    let mut beating = node("n1", "192.0.2.1", "True");
    beating["status"]["conditions"][0]["lastHeartbeatTime"] = json!("2026-01-01T00:00:00Z");
    server.put(beating);
    assert_eq!(rig.sync(), generation);
}

#[test]
fn local_traffic_goes_to_nodes_with_an_endpoint() {
    let server = server();
    server.put(service("NodePort", "Local"));
    for (name, address) in [("n1", "192.0.2.1"), ("n2", "192.0.2.2"), ("n3", "192.0.2.3")] {
        server.put(node(name, address, "True"));
    }
    let rig = by_nodes(&server).ready();
    assert!(sends_to(&rig, &["192.0.2.1:30080", "192.0.2.2:30080"]));
    server.put(slice(&[("10.0.0.3", "n3")]));
    eventually("a pod that moves takes its Node along", || sends_to(&rig, &["192.0.2.3:30080"]));
}

#[test]
fn nodes_are_read_only_while_somebody_needs_them() {
    let server = server();
    server.put(node("n1", "192.0.2.1", "True"));
    let rig = Rig::on_server(&server).ready();
    assert!(sends_to(&rig, &PODS));
    assert_eq!(server.requests(Verb::List, "nodes"), 0);
    server.fault(Rule::on(Verb::List, Fault::Slow(Duration::from_millis(200))).of("nodes"));
    server.put(asks(Some("node-port")));
    let nobody = Cell::new(false);
    eventually("the Node is asked", || {
        nobody.set(nobody.get() || sends_to(&rig, &[]));
        sends_to(&rig, &["192.0.2.1:30080"])
    });
    assert!(!nobody.get(), "somebody is asked all the time");
    assert_eq!(server.requests(Verb::List, "nodes"), 1);
    server.put(asks(Some("cluster-ip")));
    eventually("the Service is asked", || sends_to(&rig, &["10.96.0.7:80"]));
    let known = || rig.handle.status().objects.get("Node").copied().unwrap_or_default();
    eventually("the Nodes are forgotten", || known() == 0);
    server.put(asks(None));
    eventually("the pods are asked", || sends_to(&rig, &PODS));
}

#[test]
fn a_right_that_is_missing_is_named_and_harms_nobody_else() {
    let server = server();
    server.put(node("n1", "192.0.2.1", "True"));
    server.put(asks(Some("node-port")));
    let mut other = ingress("shop", "other", "b.test");
    other["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("none");
    server.put(other);
    server.fault(Rule::always(Fault::Status(403)).of("nodes"));
    let rig = Rig::on_server(&server).ready();
    assert!(rig.serves("a.test") && rig.serves("b.test") && sends_to(&rig, &[]));
    assert!(rig.reports("Node *") && rig.reports("Ingress shop/i"));
    server.heal();
    eventually("with the right it is served", || sends_to(&rig, &["192.0.2.1:30080"]));
}

#[test]
fn hints_for_the_zone_of_the_own_node_count_when_asked() {
    let server = server();
    server.put(node("n1", "192.0.2.1", "True"));
    server.put(node("n2", "192.0.2.2", "True"));
    let mut settings = Rig::server_settings(&server);
    settings.options.topology = Some(Topology { zone: None, node: Some("n2".into()) });
    let rig = Rig::start(settings).expect("the settings are right").ready();
    assert!(sends_to(&rig, &["10.0.0.2:8080"]), "known from the start");
    server.put(slice(&[("10.0.0.1", "n1"), ("10.0.0.3", "n3")]));
    eventually("all serve where the zone has none", || sends_to(&rig, &["10.0.0.1:8080", "10.0.0.3:8080"]));
    // The own Node is still known when another watch on it comes and goes.
    server.put(asks(Some("node-port")));
    eventually("all Nodes are asked", || sends_to(&rig, &["192.0.2.1:30080", "192.0.2.2:30080"]));
    server.put(asks(None));
    server.put(slice(&[("10.0.0.1", "n1"), ("10.0.0.2", "n2")]));
    eventually("hints count again", || sends_to(&rig, &["10.0.0.2:8080"]));
}
