//! The promises of names that objects on an API server refer to: what one author writes keeps nobody else from being
//! served.

use ringress_config::snapshot::PathMatch;
use ringress_sync::testkit::api_server::{ApiServer, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use serde_json::{Value, json};

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("shop", "web"));
    server.put(ingress("shop", "sound", "a.test"));
    server
}

fn annotated(name: &str, annotation: &str, value: &str) -> Value {
    let mut ingress = ingress("shop", name, &format!("{name}.test"));
    ingress["metadata"]["annotations"] = json!({ format!("nginx.ingress.kubernetes.io/{annotation}"): value });
    ingress
}

fn class(has_parameters: bool) -> Value {
    let mut class = ingress_class();
    if has_parameters {
        class["spec"]["parameters"] =
            json!({"kind": "ConfigMap", "scope": "Namespace", "namespace": "ops", "name": "class"});
    }
    class
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ops", "name": name}, "data": data})
}

/// Whether bodies of so many bytes are the limit, and requests are not refused.
fn limits(rig: &Rig, bytes: u64) -> bool {
    rig.all(|snapshot| {
        let PathMatch::Route(route) = snapshot.hosts.find("a.test").find(b"/") else { return false };
        let refused = route.policies.as_ref().and_then(|policies| policies.refuse);
        refused.is_none() && route.body.bytes_max == Some(bytes)
    })
}

#[test]
fn a_name_that_no_object_can_have_holds_nobody_up() {
    let server = server();
    let names = ["a b/c", "../x", "../../x", "a?b/c", "A/b", "shop/", "shop/a,b=c", "%2e%2e/x", "shop/a b"];
    for (index, name) in names.iter().enumerate() {
        server.put(annotated(&format!("secret-{index}"), "auth-tls-secret", name));
        server.put(annotated(&format!("map-{index}"), "custom-headers", name));
    }
    let rig = Rig::on_server(&server).ready();
    assert!(rig.serves("a.test"));
    assert!(rig.handle.status().source_reachable, "the server is not blamed for them");
    assert_eq!(server.requests(Verb::List, "configmaps"), 0, "nothing is asked that cannot be");
}

#[test]
fn the_config_map_of_a_class_is_read_however_many_others_are_named() {
    let server = server();
    for index in 0..220 {
        server.put(annotated(&format!("i{index}"), "custom-headers", &format!("a-{index}")));
    }
    let rig = Rig::on_server(&server).ready();
    eventually("those that are too many are told", || rig.reports("ConfigMap shop/a-99"));
    server.put(config_map("class", &json!({"proxy-body-size": "2m", "add-headers": "ops/added"})));
    server.put(config_map("added", &json!({"X-Added": "1"})));
    server.put(class(true));
    eventually("the class has its settings", || limits(&rig, 2 << 20));
    eventually("and what they name", || !rig.reports("ConfigMap ops/class"));
    assert!(!rig.reports("ConfigMap ops/added"));
}

#[test]
fn what_the_config_map_of_a_class_names_is_read_though_the_map_was_known_before() {
    let server = server();
    server.put(config_map("class", &json!({"proxy-body-size": "2m", "add-headers": "ops/added"})));
    server.put(config_map("added", &json!({"X-Added": "1"})));
    server.put(annotated("other", "custom-headers", "ops/class"));
    let rig = Rig::on_server(&server).ready();
    assert_eq!(server.requests(Verb::List, "configmaps"), 1);
    server.put(class(true));
    eventually("the class has its settings", || limits(&rig, 2 << 20));
    eventually("and what they name", || !rig.reports("ConfigMap ops/class"));
    assert_eq!(server.requests(Verb::List, "configmaps"), 2);
}
