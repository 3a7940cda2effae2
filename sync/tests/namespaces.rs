//! The promises of `--watch-namespace-selector`: what the labels of Namespaces say counts at once.

use ringress_config::selector::LabelSelector;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use serde_json::json;

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    for (namespace, host) in [("one", "a.test"), ("two", "b.test"), ("one-and-a-half", "c.test")] {
        server.put(service(namespace, "web"));
        server.put(ingress(namespace, "i", host));
    }
    server
}

fn label(server: &ApiServer, namespace: &str, team: &str) {
    server.put(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"team": team}}}),
    );
}

fn selecting(server: &ApiServer) -> Rig {
    let mut settings = Rig::server_settings(server);
    settings.options.namespace_selector = Some(LabelSelector::parse("team in (a, b)").expect("a selector"));
    Rig::start(settings).expect("the settings are right")
}

#[test]
fn labels_of_namespaces_decide_and_may_change() {
    let server = server();
    label(&server, "one", "a");
    label(&server, "two", "c");
    let rig = selecting(&server).ready();
    let served = || ["a.test", "b.test", "c.test"].map(|host| rig.serves(host));
    assert_eq!(served(), [true, false, false], "a namespace that is not known is not served either");
    label(&server, "two", "b");
    eventually("the second is served", || served() == [true, true, false]);
    label(&server, "one", "c");
    eventually("the first is not any more", || served() == [false, true, false]);
    server.delete("Namespace", "", "two");
    eventually("nothing is", || served() == [false; 3]);
    label(&server, "one-and-a-half", "a");
    eventually("the third is served", || served() == [false, false, true]);
    // What other labels say is no news.
    let generation = rig.generation();
    server.put(json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "one-and-a-half", "labels": {"team": "a", "mood": "good"}}}));
    assert_eq!(rig.sync(), generation);
}

#[test]
fn an_outage_keeps_what_is_selected_and_a_start_without_the_right_serves_nothing() {
    let mut server = server();
    label(&server, "one", "a");
    let rig = selecting(&server).ready();
    server.down();
    eventually("the outage is shown", || !rig.handle.status().source_reachable);
    assert!(rig.serves("a.test"));
    server.up();
    eventually("its end is shown", || rig.handle.status().source_reachable);
    assert!(rig.serves("a.test"));
    drop(rig);
    // To serve all namespaces, or none, would both be wrong: the replica is not ready, and says why.
    server.fault(Rule::always(Fault::Status(403)).of("namespaces"));
    let rig = selecting(&server);
    eventually("it says so", || rig.reports("Namespace *"));
    eventually("it asks again", || server.requests(Verb::List, "namespaces") >= 4);
    assert!(!rig.handle.status().ready && rig.generation() == 0);
    server.heal();
    assert!(rig.ready().serves("a.test"));
}

#[test]
fn without_a_selector_namespaces_are_not_read() {
    let server = server();
    let rig = Rig::on_server(&server).ready();
    assert!(["a.test", "b.test", "c.test"].iter().all(|host| rig.serves(host)));
    assert_eq!(server.requests(Verb::List, "namespaces"), 0);
}
