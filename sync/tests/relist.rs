//! The promises in an outage of the API server: what is served goes on, and afterwards only true differences count.

use std::time::{Duration, Instant};

use ringress_sync::SourceSettings;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{endpoint_slice, ingress, ingress_class, ingress_tls, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::{eventually, within};
use serde_json::json;

fn server_with(hosts: &[&str]) -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put_all(hosts.iter().map(|host| ingress("n", host.trim_end_matches(".test"), host)));
    server
}

#[test]
fn an_outage_changes_nothing_that_is_served_and_is_shown() {
    let mut server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    let generation = rig.generation();
    server.down();
    eventually("the outage is shown", || !rig.handle.status().source_reachable);
    assert!(rig.serves("a.test") && rig.handle.status().ready);
    server.up();
    let back = Instant::now();
    eventually("its end is shown", || rig.handle.status().source_reachable);
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    assert_eq!(rig.sync(), generation, "nothing differs, nothing is published");
}

#[test]
fn after_a_list_only_differences_are_published() {
    let server = server_with(&["a.test", "b.test"]);
    let rig = Rig::on_server(&server).ready();
    let generation = rig.generation();
    server.compact();
    eventually("all is listed again", || {
        ["ingresses", "services", "endpointslices", "secrets"].iter().all(|kind| server.requests(Verb::List, kind) >= 2)
    });
    assert_eq!(rig.sync(), generation);
    server.put(ingress("n", "a", "a2.test"));
    eventually("a true difference is", || rig.serves("a2.test"));
    assert_eq!(rig.generation(), generation + 1);
}

#[test]
fn nothing_is_ready_before_every_needed_kind_is_listed() {
    for kind in ["ingresses", "services", "endpointslices"] {
        let server = server_with(&["a.test"]);
        server.fault(Rule::on(Verb::List, Fault::Status(503)).of(kind));
        let rig = Rig::on_server(&server);
        eventually("it is asked for repeatedly", || server.requests(Verb::List, kind) >= 4);
        assert_eq!(rig.generation(), 0, "without {kind}");
        assert!(!rig.handle.status().ready && !rig.handle.status().source_reachable);
        assert!(rig.workers.current().is_none());
        server.heal();
        let rig = rig.ready();
        assert!(rig.serves("a.test"));
        assert_eq!(rig.generation(), 1);
    }
}

#[test]
fn secrets_are_needed_only_where_one_is_referred_to() {
    let refused = Rule::on(Verb::List, Fault::Status(403)).of("secrets");
    let server = server_with(&["a.test"]);
    server.fault(refused.clone());
    let rig = Rig::on_server(&server).ready();
    assert!(rig.reports("Secret *"), "{:?}", rig.handle.status().rejected);

    let server = server_with(&["a.test"]);
    server.put(ingress_tls("n", "t", "t.test", "t"));
    server.fault(refused);
    let rig = Rig::on_server(&server);
    eventually("it is asked for repeatedly", || server.requests(Verb::List, "secrets") >= 4);
    assert_eq!(rig.generation(), 0);
    server.heal();
    assert!(rig.ready().serves("t.test"));
}

#[test]
fn a_refused_optional_kind_is_reported_and_does_not_hold_up() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::List, Fault::Status(403)).of("ingressclasses"));
    let rig = Rig::on_server(&server).ready();
    let status = rig.handle.status();
    let finding = status.rejected.iter().find(|finding| finding.object.to_string() == "IngressClass *");
    assert!(finding.is_some_and(|finding| finding.message.contains("list")), "{:?}", status.rejected);
    assert!(status.source_reachable);
    server.heal();
    eventually("granted later, it is read", || rig.handle.status().objects.get("IngressClass") == Some(&1));
    assert!(!rig.reports("IngressClass *"));
}

#[test]
fn a_server_that_has_not_read_its_roles_yet_is_not_taken_at_its_word() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::List, Fault::Status(403)).of("ingressclasses"));
    let rig = Rig::on_server(&server);
    eventually("it is told", || rig.reports("IngressClass *"));
    let told = Instant::now();
    while told.elapsed() < Duration::from_millis(800) {
        assert_eq!(rig.generation(), 0, "nothing is served without what may come");
        std::thread::sleep(Duration::from_millis(10));
    }
    server.heal();
    let rig = rig.ready();
    assert!(rig.generation() == 1 && rig.serves("a.test"));
    eventually("nothing is left to tell", || !rig.reports("IngressClass *"));
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for() {
    let mut server = server_with(&["a.test"]);
    server.down();
    let rig = Rig::on_server(&server);
    eventually("the thread lives", || !rig.handle.status().source_reachable);
    assert!(!rig.handle.status().ready);
    server.up();
    assert!(rig.ready().serves("a.test"));
}

#[test]
fn a_server_that_hangs_is_given_up_and_asked_again() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::List, Fault::Hang).of("services"));
    let rig = Rig::on_server(&server);
    eventually("asked once", || server.requests(Verb::List, "services") == 1);
    // The hanging request never gets an answer; only another one can.
    server.heal();
    eventually("asked again", || server.requests(Verb::List, "services") >= 2);
    assert!(rig.ready().serves("a.test"));
}

#[test]
fn a_server_that_is_slower_than_the_first_limit_of_a_list_is_given_more_time() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::List, Fault::Slow(Duration::from_secs(6))).of("services"));
    let rig = Rig::on_server(&server);
    within(Duration::from_secs(30), "listed in the end", || rig.handle.status().ready);
    assert_eq!(server.requests(Verb::List, "services"), 2, "given up once");
    assert!(rig.serves("a.test"));
}

#[test]
fn a_watch_that_hangs_at_its_start_is_given_up_and_asked_again() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::on(Verb::Watch, Fault::Hang).of("ingresses"));
    let rig = Rig::on_server(&server).ready();
    eventually("asked once", || server.requests(Verb::Watch, "ingresses") == 1);
    server.heal();
    server.put(ingress("n", "b", "b.test"));
    eventually("the change comes over another watch", || rig.serves("b.test"));
}

#[test]
fn errors_of_every_sort_are_waited_out() {
    for fault in [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(401),
        Fault::Garbage,
        Fault::Slow(Duration::from_millis(100)),
    ] {
        let server = server_with(&["a.test"]);
        server.fault(Rule::always(fault));
        let rig = Rig::on_server(&server);
        eventually("asked", || server.requests(Verb::List, "ingresses") >= 1);
        server.heal();
        let rig = rig.ready();
        server.put(ingress("n", "b", "b.test"));
        eventually("b is served", || rig.serves("b.test"));
    }
}

#[test]
fn a_failing_server_is_given_time_to_recover() {
    let server = server_with(&["a.test"]);
    server.fault(Rule::always(Fault::Status(500)));
    let started = Instant::now();
    let _rig = Rig::on_server(&server);
    eventually("asked five times", || server.requests(Verb::List, "ingresses") >= 5);
    // Four waits of 50, 100, 200 and 400 ms, each at random down to its half.
    assert!(started.elapsed() >= Duration::from_millis(375), "{:?}", started.elapsed());
}

#[test]
fn one_namespace_can_be_served_with_rights_on_it_alone() {
    let server = server_with(&["a.test"]);
    server.put(ingress("other", "o", "o.test"));
    server.fault(Rule::on(Verb::List, Fault::Status(403)).of("ingressclasses"));
    let mut settings = Rig::server_settings(&server);
    if let SourceSettings::Kube(kube) = &mut settings.source {
        kube.namespace = Some("n".to_owned());
    }
    let rig = Rig::start(settings).expect("the settings are right").ready();
    assert_eq!(rig.handle.status().objects.get("Ingress"), Some(&1));
}

#[test]
fn a_server_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks() {
    let server = server_with(&["a.test"]);
    let rig = Rig::on_server(&server).ready();
    server.fault(Rule::always(Fault::Busy(4)).of("ingresses"));
    server.cut();
    let asked =
        |server: &ApiServer| server.requests(Verb::Watch, "ingresses") + server.requests(Verb::List, "ingresses");
    let before = asked(&server);
    eventually("it is asked", || asked(&server) > before && !rig.handle.status().source_reachable);
    let (first, since) = (asked(&server), Instant::now());
    eventually("it is asked again", || asked(&server) > first);
    assert!(since.elapsed() > Duration::from_millis(1500), "{:?}", since.elapsed());
    assert!(rig.serves("a.test") && rig.handle.status().ready);
    server.heal();
    server.put(ingress("n", "b", "b.test"));
    eventually("it goes on", || rig.serves("b.test") && rig.handle.status().source_reachable);
}

#[test]
fn a_server_that_does_not_know_a_kind_is_served_with_what_it_knows() {
    let server = server_with(&["a.test"]);
    server.put(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"namespace": "n", "name": "web"},
        "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "http", "port": 8080}]}]}));
    server.put(endpoint_slice("n", "web", "web-1", &["10.0.0.2"], 8080));
    for kind in ["endpointslices", "ingressclasses"] {
        server.fault(Rule::always(Fault::Status(404)).of(kind));
    }
    let mut settings = Rig::server_settings(&server);
    settings.options.watch_ingress_without_class = true;
    let mut plain = ingress("n", "plain", "plain.test");
    plain["spec"]["ingressClassName"] = json!(null);
    server.put(plain);
    let rig = Rig::start(settings).expect("the settings are right").ready();
    let endpoints = || {
        let snapshot = rig.workers.serving(0).expect("it serves");
        let clusters = snapshot.clusters.iter().flat_map(|cluster| cluster.endpoints.iter());
        clusters.map(|endpoint| endpoint.address.to_string()).collect::<Vec<_>>()
    };
    assert!(rig.serves("plain.test") && !rig.serves("a.test"));
    assert_eq!(endpoints(), ["10.0.0.1:8080"]);
    eventually("it is said", || rig.reports("EndpointSlice *") && rig.reports("IngressClass *"));
    server.heal();
    eventually("what it knows now counts", || rig.serves("a.test") && endpoints() == ["10.0.0.2:8080"]);
    eventually("it is said no more", || !rig.reports("EndpointSlice *"));
}
