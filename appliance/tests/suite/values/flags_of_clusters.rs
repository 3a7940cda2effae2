//! What flags about the API server and the log do, seen from outside.

use std::time::Duration;

use ringress_sync::testkit::api_server::{ApiServer, Authority};
use ringress_sync::testkit::fixtures;
use serde_json::{Value, json};

use crate::support::client;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::{eventually, within};

fn fill(server: &ApiServer) {
    server.put(fixtures::ingress_class());
    server.put(fixtures::service("n", "web"));
    server.put(fixtures::ingress("n", "web", "a.test"));
}

#[test]
fn an_api_server_is_believed_by_the_authority_that_the_flag_names() {
    on_each_driver(|driver| {
        let (own, other) = (Authority::new("own"), Authority::new("other"));
        let server = ApiServer::start_secure(&own);
        fill(&server);
        let folder = tempfile::tempdir().expect("a folder");
        let with = |name: &str, authority: &Authority| {
            let path = folder.path().join(name);
            std::fs::write(&path, authority.pem()).expect("a file");
            let builder = Ringress::on(driver).workers(1).kube(&server.url());
            builder.flag(format!("--certificate-authority={}", path.display()))
        };
        let ringress = with("own", &own).start();
        assert_eq!(ringress.get("a.test", "/").status, 503, "an Ingress of the server, whose Service has no endpoint");
        let strange = with("other", &other).launch();
        strange.wait_logged("UnknownIssuer");
        let ready = client::try_once(strange.health, "GET", "localhost", "/readyz");
        assert!(ready.is_ok_and(|answer| answer.status != 200));
    });
}

#[test]
fn the_addresses_of_nodes_are_looked_at_as_often_as_the_flag_says() {
    on_each_driver(|driver| {
        let server = ApiServer::start();
        fill(&server);
        server.put(
            json!({"kind": "Pod", "metadata": {"namespace": "ingress", "name": "p", "labels": {"app": "ringress"}},
            "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        );
        let node = |address: &str| -> Value {
            json!({"kind": "Node", "metadata": {"name": "n"},
                "status": {"addresses": [{"type": "ExternalIP", "address": address}]}})
        };
        let shows = |address: &str| {
            let object = server.get("Ingress", "n", "web").expect("it is there");
            object["status"]["loadBalancer"]["ingress"][0]["ip"] == address
        };
        server.put(node("192.0.2.3"));
        let builder = Ringress::on(driver).workers(1).kube(&server.url()).env("POD_NAMESPACE", "ingress");
        let _ringress = builder.env("POD_NAME", "p").flag("--status-update-interval=5").start();
        eventually("the address of the Node is shown", || shows("192.0.2.3"));
        server.put(node("192.0.2.4"));
        assert!(within(Duration::from_secs(20), || shows("192.0.2.4")), "a minute without the flag");
    });
}

#[test]
fn the_log_says_more_where_v_is_higher() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(ingress("a").prefix("a.test", "/", "one").build());
        let start = |level: &str| Ringress::on(driver).manifest("all.json", file(all.clone())).flag(level).start();
        const LINE: &str = "request refused";
        let (quiet, told) = (start("--v=2"), start("--v=4"));
        for ringress in [&quiet, &told] {
            assert_eq!(ringress.get("a.test", "/%zz").status, 400);
        }
        told.wait_logged(LINE);
        assert!(!quiet.log().contains(LINE), "{}", quiet.log());
    });
}
