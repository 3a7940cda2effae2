//! `--watch-namespace-selector`: what the labels of Namespaces say is what is served, also after a change.

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use serde_json::json;

use crate::support::eventually;
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

#[test]
fn only_selected_namespaces_are_served_as_their_labels_are_now() {
    on_each_driver(|driver| {
        let (origin, server) = (Origin::named("origin"), ApiServer::start());
        server.put(fixtures::ingress_class());
        let label = |namespace: &str, team: &str| {
            server.put(json!({"kind": "Namespace", "metadata": {"name": namespace, "labels": {"team": team}}}));
        };
        for (namespace, host) in [("one", "a.test"), ("two", "b.test")] {
            server.put(fixtures::service(namespace, "web"));
            let address = origin.address.ip().to_string();
            server.put(fixtures::endpoint_slice(namespace, "web", "web-1", &[&address], origin.address.port()));
            server.put(fixtures::ingress(namespace, "i", host));
            label(namespace, if namespace == "one" { "edge" } else { "none" });
        }
        let ringress = Ringress::on(driver).workers(1).kube(&server.url());
        let ringress = ringress.flag("--watch-namespace-selector=team in (edge),!private").start();
        let statuses = || ["a.test", "b.test"].map(|host| ringress.get(host, "/").status);
        assert_eq!(statuses(), [200, 404]);
        label("two", "edge");
        eventually("the second one is served", || statuses() == [200, 200]);
        label("one", "none");
        eventually("the first one is not any more", || statuses() == [404, 200]);
    });
}
