//! The promises of `spec.parameters` of an IngressClass on an API server: its ConfigMap is read by name, followed, and
//! what cannot be read closes the class and no other.

use ringress_config::snapshot::PathMatch;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(class(true));
    server.put(service("shop", "web"));
    server.put(ingress("shop", "outside", "a.test"));
    let mut inside = ingress("shop", "inside", "b.test");
    inside["spec"]["ingressClassName"] = json!("inside");
    server.put(inside);
    server
}

fn class(has_parameters: bool) -> Value {
    let mut class = ingress_class();
    class["metadata"]["name"] = json!("inside");
    if has_parameters {
        class["spec"]["parameters"] =
            json!({"kind": "ConfigMap", "scope": "Namespace", "namespace": "ops", "name": "inside"});
    }
    class
}

fn settings(body_size: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ops", "name": "inside"},
        "data": {"proxy-body-size": body_size}})
}

/// Of both hosts, the limit of bodies, or the status that every request is answered.
fn answers(rig: &Rig, expected: [Result<u64, u16>; 2]) -> bool {
    rig.all(|snapshot| {
        ["a.test", "b.test"].into_iter().zip(expected).all(|(host, expected)| {
            let PathMatch::Route(route) = snapshot.hosts.find(host).find(b"/") else { return false };
            let refused = route.policies.as_ref().and_then(|policies| policies.refuse);
            let limit = route.body.bytes_max.unwrap_or_default();
            refused.map_or(Ok(limit), Err) == expected
        })
    })
}

const MIB: u64 = 1 << 20;

#[test]
fn the_config_map_of_a_class_is_there_from_the_start_and_followed() {
    let server = server();
    server.put(settings("2m"));
    let rig = Rig::on_server(&server).ready();
    assert!(answers(&rig, [Ok(MIB), Ok(2 * MIB)]), "complete from the start");
    server.put(settings("3m"));
    eventually("a change acts", || answers(&rig, [Ok(MIB), Ok(3 * MIB)]));
    server.delete("ConfigMap", "ops", "inside");
    eventually("without it the class is closed", || answers(&rig, [Ok(MIB), Err(503)]));
    assert!(rig.reports("IngressClass inside"));
    server.put(class(false));
    eventually("without parameters it is as all", || answers(&rig, [Ok(MIB), Ok(MIB)]));
    assert!(!rig.reports("IngressClass inside"));
}

#[test]
fn parameters_that_a_class_is_given_are_waited_for() {
    let server = server();
    server.put(class(false));
    server.put(settings("2m"));
    let rig = Rig::on_server(&server).ready();
    assert_eq!(server.requests(Verb::List, "configmaps"), 0, "none is read that nobody names");
    server.fault(Rule::on(Verb::List, Fault::Slow(Duration::from_millis(200))).of("configmaps"));
    server.put(class(true));
    let closed = Cell::new(false);
    eventually("they act", || {
        closed.set(closed.get() || answers(&rig, [Ok(MIB), Err(503)]));
        answers(&rig, [Ok(MIB), Ok(2 * MIB)])
    });
    assert!(!closed.get(), "the class is not closed meanwhile");
}

#[test]
fn a_config_map_that_may_not_be_read_closes_its_class_alone() {
    let server = server();
    server.put(settings("2m"));
    server.fault(Rule::always(Fault::Status(403)).of("configmaps"));
    let rig = Rig::on_server(&server).ready();
    assert!(answers(&rig, [Ok(MIB), Err(503)]));
    assert!(rig.reports("ConfigMap ops/inside") && rig.reports("IngressClass inside"));
    server.heal();
    eventually("with the right it serves", || answers(&rig, [Ok(MIB), Ok(2 * MIB)]));
}
