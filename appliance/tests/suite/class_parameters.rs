//! `spec.parameters` of an IngressClass: the same request is answered by the settings of the class of its Ingress.

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

fn class(name: &str, parameters: Option<Value>) -> Value {
    let mut class = fixtures::ingress_class();
    class["metadata"]["name"] = json!(name);
    if let Some(parameters) = parameters {
        class["spec"]["parameters"] = parameters;
    }
    class
}

fn settings(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ops", "name": "inside"}, "data": data})
}

#[test]
fn each_class_has_its_settings_and_one_that_lacks_them_is_closed() {
    on_each_driver(|driver| {
        let (origin, server) = (Origin::named("origin"), ApiServer::start());
        let parameters = json!({"kind": "ConfigMap", "scope": "Namespace", "namespace": "ops", "name": "inside"});
        server.put(class("nginx", None));
        server.put(class("inside", Some(parameters)));
        server.put(fixtures::service("shop", "web"));
        let address = origin.address.ip().to_string();
        server.put(fixtures::endpoint_slice("shop", "web", "web-1", &[&address], origin.address.port()));
        for (class, host) in [("nginx", "a.test"), ("inside", "b.test")] {
            let mut ingress = fixtures::ingress("shop", class, host);
            ingress["spec"]["ingressClassName"] = json!(class);
            server.put(ingress);
        }
        server.put(settings(json!({"denylist-source-range": "127.0.0.0/8", "server-tokens": "true"})));
        let ringress = Ringress::on(driver).workers(1).kube(&server.url()).start();
        let statuses = || ["a.test", "b.test"].map(|host| ringress.get(host, "/").status);
        assert_eq!(statuses(), [200, 403], "clients are kept from one class alone");
        let status = ringress.status().to_string();
        assert!(status.contains("data.server-tokens") && status.contains("it is for all of them"), "{status}");
        server.put(settings(json!({})));
        eventually("the class is open", || statuses() == [200, 200]);
        server.delete("ConfigMap", "ops", "inside");
        eventually("without settings it is closed", || statuses() == [200, 503]);
        server.put(class("inside", None));
        eventually("without parameters it is as all", || statuses() == [200, 200]);
    });
}
