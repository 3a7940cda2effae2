//! The promises toward an API server that behaves, closes, cuts or forgets: nothing is missed, nothing is read twice.

use std::time::{Duration, Instant};

use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{certificate_secret, ingress, ingress_class, ingress_tls, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use serde_json::json;

fn server_with(hosts: &[&str]) -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put_all(hosts.iter().map(|host| ingress("n", host.trim_end_matches(".test"), host)));
    server
}

#[test]
fn what_is_there_at_the_start_is_served_and_then_every_change() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    assert!(rig.serves("a.test"));
    assert!(rig.handle.status().source_reachable);
    assert_eq!(rig.handle.status().objects.get("Ingress"), Some(&1));
    server.put(ingress("n", "b", "b.test"));
    eventually("an added one is served", || rig.serves("b.test"));
    server.put(ingress("n", "a", "a2.test"));
    eventually("a changed one is served", || rig.serves("a2.test") && !rig.serves("a.test"));
    server.delete("Ingress", "n", "b");
    eventually("a removed one is not", || !rig.serves("b.test"));
    assert_eq!(server.requests(Verb::List, "ingresses"), 1, "all of it came over the watch");
}

#[test]
fn a_list_of_several_pages_is_read_completely() {
    let server = server_with(&[]);
    server.put_all((0..1203).map(|number| ingress("n", &format!("i{number}"), &format!("h{number}.test"))));
    let rig = Rig::on_server(&server).ready();
    assert_eq!(rig.handle.status().objects.get("Ingress"), Some(&1203));
    assert_eq!(server.requests(Verb::List, "ingresses"), 3);
    assert_eq!(rig.generation(), 1, "it came as one snapshot");
}

#[test]
fn a_cut_watch_goes_on_from_where_it_was() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    for round in 0..5 {
        server.cut();
        let host = format!("h{round}.test");
        server.put(ingress("n", "a", &host));
        eventually("the change after the cut is served", || rig.serves(&host));
    }
    assert_eq!(server.requests(Verb::List, "ingresses"), 1);
    assert!(server.requests(Verb::Watch, "ingresses") >= 6);
}

#[test]
fn a_watch_goes_on_from_its_last_event_though_all_before_is_forgotten() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    server.put(ingress("n", "a", "a2.test"));
    eventually("a2 is served", || rig.serves("a2.test"));
    server.forget_history();
    server.cut();
    server.put(ingress("n", "a", "a3.test"));
    eventually("a3 is served", || rig.serves("a3.test"));
    assert_eq!(server.requests(Verb::List, "ingresses"), 1);
}

#[test]
fn a_bookmark_saves_a_quiet_watch_from_listing_again() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    eventually("watching", || server.requests(Verb::Watch, "services") == 1);
    // The version rises by what the watch of Services does not see; then only the bookmark's is still good.
    server.put(ingress("n", "a", "a2.test"));
    eventually("a2 is served", || rig.serves("a2.test"));
    server.bookmark();
    eventually("it is sent", || server.bookmarks("services") == 1);
    server.forget_history();
    server.cut();
    eventually("watching again", || server.requests(Verb::Watch, "services") >= 2);
    server.put(service("n", "other"));
    eventually("changes still come", || rig.handle.status().objects.get("Service") == Some(&2));
    assert_eq!(server.requests(Verb::List, "services"), 1);
}

fn a_version_that_is_too_old_leads_to_a_list(as_status: bool) {
    let mut server = server_with(&["a.test", "b.test"]);
    server.set_gone_as_status(as_status);
    let rig = Rig::on_server(&server).ready();
    server.down();
    server.put(ingress("n", "a", "a2.test"));
    server.delete("Ingress", "n", "b");
    server.compact();
    server.up();
    eventually("the changes of the outage are served", || {
        rig.serves("a2.test") && !rig.serves("a.test") && !rig.serves("b.test")
    });
    server.put(ingress("n", "c", "c.test"));
    eventually("and later ones", || rig.serves("c.test"));
    assert!(server.requests(Verb::List, "ingresses") >= 2);
}

#[test]
fn status_410_heals_by_a_list() {
    a_version_that_is_too_old_leads_to_a_list(true);
}

#[test]
fn event_410_heals_by_a_list() {
    a_version_that_is_too_old_leads_to_a_list(false);
}

#[test]
fn a_410_in_a_running_watch_heals_by_a_list() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    eventually("watching", || server.requests(Verb::Watch, "ingresses") == 1);
    server.compact();
    eventually("listed again", || server.requests(Verb::List, "ingresses") >= 2);
    server.put(ingress("n", "b", "b.test"));
    eventually("b is served", || rig.serves("b.test"));
}

#[test]
fn a_server_that_ends_every_watch_at_once_is_not_run_against() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::Watch, Fault::CloseAtOnce));
    let started = Instant::now();
    let rig = Rig::on_server(&server).ready();
    eventually("watched five times", || server.requests(Verb::Watch, "ingresses") >= 5);
    // Four waits of 50, 100, 200 and 400 ms, each at random down to its half.
    assert!(started.elapsed() >= Duration::from_millis(375), "{:?}", started.elapsed());
    server.heal();
    server.put(ingress("n", "b", "b.test"));
    eventually("b is served", || rig.serves("b.test"));
}

#[test]
fn an_object_that_cannot_be_decoded_stops_nothing() {
    let server = server_with(&["a.test"]);
    server.put(json!({"kind": "Ingress", "metadata": {"namespace": "n", "name": "bad"}, "spec": {"rules": 7}}));
    server.put(json!({"kind": "Service", "metadata": {"namespace": "n", "name": "bad", "labels": 7}, "spec": "none"}));
    let rig = Rig::on_server(&server).ready();
    assert!(rig.serves("a.test"));
    assert!(rig.reports("Ingress n/bad"), "{:?}", rig.handle.status().rejected);
    // Over the watch too; what it was before goes on.
    server.put(json!({"kind": "Ingress", "metadata": {"namespace": "n", "name": "a"}, "spec": {"rules": 7}}));
    server.put(ingress("n", "b", "b.test"));
    eventually("b is served", || rig.serves("b.test"));
    assert!(rig.serves("a.test") && rig.reports("Ingress n/a"));
    server.put(ingress("n", "bad", "good.test"));
    eventually("a repaired one is served", || rig.serves("good.test") && !rig.reports("Ingress n/bad"));
}

#[test]
fn sync_waits_for_the_events_received_so_far() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    let before = rig.sync();
    assert_eq!(before, rig.generation());
    server.put(ingress("n", "b", "b.test"));
    eventually("sync answers a newer generation", || rig.sync() > before);
    assert!(rig.serves("b.test"));
}

#[test]
fn a_certificate_in_a_secret_of_another_type_is_read_by_its_name_only_while_it_is_needed() {
    let server = server_with(&[]);
    server.put(certificate_secret("n", "opaque", "Opaque", "o.test"));
    server.put(certificate_secret("n", "stranger", "Opaque", "s.test"));
    server.put(certificate_secret("n", "tls", "kubernetes.io/tls", "t.test"));
    server.put(ingress_tls("n", "o", "o.test", "opaque"));
    server.put(ingress_tls("n", "t", "t.test", "tls"));
    let rig = Rig::on_server(&server).ready();
    assert_eq!(rig.handle.status().objects.get("Secret"), Some(&2), "the stranger is nobody's business");
    assert!(rig.serves("o.test") && rig.serves("t.test"));
    server.put(ingress("n", "o", "o.test"));
    eventually("no longer needed", || rig.handle.status().objects.get("Secret") == Some(&1));
}

#[test]
fn a_config_map_that_an_ingress_or_the_settings_name_is_read_and_followed() {
    let server = server_with(&[]);
    let map = |name: &str, data: serde_json::Value| json!({"kind": "ConfigMap", "metadata": {"namespace": "n", "name": name}, "data": data});
    server.put(map("own", json!({"global-allowed-response-headers": "x-a", "add-headers": "n/added"})));
    server.put(map("added", json!({"x-added": "1"})));
    server.put(map("stranger", json!({})));
    let mut object = ingress("n", "a", "a.test");
    object["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/custom-headers": "n/headers"});
    server.put(object);
    let mut settings = Rig::server_settings(&server);
    settings.options.configmap = Some(ringress_config::model::ObjectKey::new("n", "own"));
    let rig = Rig::start(settings).expect("the settings are right").ready();
    assert_eq!(rig.handle.status().objects.get("ConfigMap"), Some(&2), "the stranger is nobody's business");
    assert!(rig.reports("Ingress n/a"), "its ConfigMap is missing");
    server.put(map("headers", json!({"x-a": "1"})));
    eventually("it is read once it is there", || !rig.reports("Ingress n/a"));
    server.put(ingress("n", "a", "a.test"));
    eventually("no longer needed", || rig.handle.status().objects.get("ConfigMap") == Some(&2));
}
