//! `--upstream-address`, `ringress.io/upstream-address` and zones: whom requests reach as Nodes and hints change.

use std::collections::BTreeSet;

use ringress_sync::testkit::api_server::{ApiServer, Verb};
use ringress_sync::testkit::fixtures;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::manifests::{file, ingress};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

/// What stands behind a Service: two Nodes with the same port, its own address, and two pods.
struct Backends {
    nodes: [Origin; 2],
    own: Origin,
    pods: [Origin; 2],
}

impl Backends {
    fn start() -> Self {
        let first = Origin::named("node-1");
        let second = Origin::named_on("node-2", first.address.port());
        let pod = Origin::named("pod-1");
        let other = Origin::named_on("pod-2", pod.address.port());
        Self { nodes: [first, second], own: Origin::named("service"), pods: [pod, other] }
    }

    fn service(&self, kind: &str, policy: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"type": kind, "clusterIP": self.own.address.ip().to_string(), "externalTrafficPolicy": policy,
                "ports": [{"name": "http", "port": self.own.address.port(), "targetPort": 8080,
                    "nodePort": self.nodes[0].address.port()}]}})
    }

    /// A pod on each Node, hinted for the zone of that Node; ready or not.
    fn slice(&self, ready: [bool; 2]) -> Value {
        let addresses = self.pods.each_ref().map(|pod| pod.address.ip().to_string());
        let addresses = addresses.each_ref().map(String::as_str);
        let mut slice = fixtures::endpoint_slice("default", "web", "web-1", &addresses, self.pods[0].address.port());
        for (index, ready) in ready.into_iter().enumerate() {
            let endpoint = &mut slice["endpoints"][index];
            endpoint["nodeName"] = json!(format!("n{index}"));
            endpoint["hints"] = json!({"forZones": [{"name": format!("zone-{index}")}]});
            endpoint["conditions"]["ready"] = json!(ready);
        }
        slice
    }

    fn node(&self, index: usize, ready: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("n{index}"), "labels": {"topology.kubernetes.io/zone": format!("zone-{index}")}},
            "status": {"conditions": [{"type": "Ready", "status": ready}],
                "addresses": [{"type": "InternalIP", "address": self.nodes[index].address.ip().to_string()}]}})
    }

    /// An Ingress that asks for an address, or leaves it to the flag.
    fn ingress(address: Option<&str>) -> Value {
        let mut built = ingress("i").prefix("a.test", "/", "web");
        if let Some(address) = address {
            built = built.annotation("ringress.io/upstream-address", address);
        }
        let mut built = built.build();
        built["metadata"]["namespace"] = json!("default");
        built["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = json!({"name": "http"});
        built
    }

    fn server(&self) -> ApiServer {
        let server = ApiServer::start();
        server.put(fixtures::ingress_class());
        server.put(self.service("NodePort", "Cluster"));
        server.put(self.slice([true; 2]));
        server.put(self.node(0, "True"));
        server.put(self.node(1, "True"));
        server.put(Self::ingress(None));
        server
    }
}

/// Who answers some requests in a row: names, or a status.
fn answering(ringress: &Ringress) -> BTreeSet<String> {
    let answer = || {
        let response = ringress.get("a.test", "/");
        if response.status == 200 { response.text().to_owned() } else { response.status.to_string() }
    };
    (0..6).map(|_| answer()).collect()
}

fn is(answering: &BTreeSet<String>, expected: &[&str]) -> bool {
    answering.iter().map(String::as_str).eq(expected.iter().copied())
}

fn on_server(driver: Driver, server: &ApiServer, flags: &[&str]) -> Ringress {
    let mut builder = Ringress::on(driver).workers(1).kube(&server.url()).env("NODE_NAME", "n1");
    for flag in flags {
        builder = builder.flag(*flag);
    }
    builder.start()
}

#[test]
fn node_ports_follow_nodes_and_services_on_a_cluster() {
    on_each_driver(|driver| {
        let backends = Backends::start();
        let server = backends.server();
        server.put(backends.node(1, "False"));
        let ringress = on_server(driver, &server, &["--upstream-address=node-port"]);
        assert!(is(&answering(&ringress), &["node-1"]));
        server.put(backends.node(1, "True"));
        eventually("a Node that gets ready is asked", || is(&answering(&ringress), &["node-1", "node-2"]));
        server.delete("Node", "", "n0");
        eventually("one that is gone is not", || is(&answering(&ringress), &["node-2"]));
        server.put(backends.node(0, "True"));
        server.put(backends.service("NodePort", "Local"));
        server.put(backends.slice([true, false]));
        eventually("the Node with a ready pod is asked", || is(&answering(&ringress), &["node-1"]));
        server.put(backends.service("ClusterIP", "Cluster"));
        eventually("nobody is", || is(&answering(&ringress), &["503"]));
        let status = ringress.status().to_string();
        assert!(status.contains("Service default/web has no nodePort for its port"), "{status}");
        server.put(Backends::ingress(Some("cluster-ip")));
        eventually("the annotation wins", || is(&answering(&ringress), &["service"]));
    });
}

#[test]
fn an_annotation_asks_for_node_ports_in_a_folder() {
    on_each_driver(|driver| {
        let backends = Backends::start();
        let with = |address: Option<&str>, second: &str| {
            let nodes = [backends.node(0, "True"), backends.node(1, second)];
            let others =
                [backends.service("NodePort", "Cluster"), backends.slice([true; 2]), Backends::ingress(address)];
            file(nodes.into_iter().chain(others))
        };
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", with(None, "True")).start();
        assert!(is(&answering(&ringress), &["pod-1", "pod-2"]));
        ringress.apply("all.json", with(Some("node-port"), "True"));
        assert!(is(&answering(&ringress), &["node-1", "node-2"]));
        ringress.apply("all.json", with(Some("node-port"), "Unknown"));
        assert!(is(&answering(&ringress), &["node-1"]));
        ringress.apply("all.json", with(Some("nodes"), "True"));
        assert!(is(&answering(&ringress), &["pod-1", "pod-2"]), "a value that cannot be read leaves the default");
        let status = ringress.status().to_string();
        assert!(status.contains("`nodes` is not pod, cluster-ip or node-port"), "{status}");
    });
}

#[test]
fn endpoints_of_the_own_zone_are_preferred_when_asked() {
    on_each_driver(|driver| {
        let backends = Backends::start();
        let server = backends.server();
        let ringress = on_server(driver, &server, &[]);
        assert!(is(&answering(&ringress), &["pod-1", "pod-2"]), "hints are not looked at unless asked");
        assert_eq!(server.requests(Verb::List, "nodes"), 0);
        drop(ringress);
        let ringress = on_server(driver, &server, &["--enable-topology-aware-routing"]);
        assert!(is(&answering(&ringress), &["pod-2"]), "the Node of NODE_NAME says the zone");
        server.put(backends.slice([true, false]));
        eventually("all serve where none is ready here", || is(&answering(&ringress), &["pod-1"]));
        drop(ringress);
        server.put(backends.slice([true; 2]));
        let ringress = on_server(driver, &server, &["--enable-topology-aware-routing", "--zone=zone-0"]);
        assert!(is(&answering(&ringress), &["pod-1"]), "a zone that is given wins");
    });
}
