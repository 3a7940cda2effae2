//! The promises of names that objects on an API server refer to: what one author writes keeps nobody else from being
//! served.

use std::cell::Cell;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_config::snapshot::PathMatch;
use ringress_sync::SyncSettings;
use ringress_sync::testkit::api_server::{ApiServer, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{certificate_secret, ingress, ingress_class, ingress_tls, service};
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

fn password_file(name: &str, user: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"namespace": "shop", "name": name},
        "data": {"auth": STANDARD.encode(format!("{user}:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g="))}})
}

fn guarded(secret: &str, is_refused: bool) -> Value {
    let mut ingress = ingress("shop", "guarded", "guarded.test");
    ingress["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/auth-type": "basic",
        "nginx.ingress.kubernetes.io/auth-secret": secret});
    if is_refused {
        ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/server-snippet"] = json!("return 200;");
    }
    ingress
}

/// The status that every request to a host is answered, if there is one.
fn refuses(rig: &Rig, host: &str) -> bool {
    rig.all(|snapshot| {
        let PathMatch::Route(route) = snapshot.hosts.find(host).find(b"/") else { return false };
        route.policies.as_ref().and_then(|policies| policies.refuse).is_some()
    })
}

fn lets_in(rig: &Rig, host: &str) -> bool {
    rig.serves(host) && !refuses(rig, host)
}

fn secrets(rig: &Rig) -> usize {
    rig.handle.status().objects.get("Secret").copied().unwrap_or_default()
}

#[test]
fn what_the_accepted_version_of_a_refused_ingress_names_is_read_on() {
    let server = server();
    server.put(password_file("old", "a"));
    server.put(guarded("old", false));
    let state = tempfile::TempDir::new().expect("a folder");
    let start = || {
        let settings = SyncSettings { state_dir: Some(state.path().to_owned()), ..Rig::server_settings(&server) };
        Rig::start(settings).expect("the settings are right").ready()
    };
    let rig = start();
    assert!(lets_in(&rig, "guarded.test"));
    server.put(guarded("new", true));
    eventually("the newest is refused", || rig.reports("Ingress shop/guarded"));
    rig.sync();
    rig.sync();
    assert!(lets_in(&rig, "guarded.test"), "{:?}", rig.handle.status().rejected);
    assert_eq!(secrets(&rig), 1);
    server.delete("Secret", "shop", "old");
    eventually("it is followed", || refuses(&rig, "guarded.test"));
    server.put(password_file("old", "b"));
    eventually("it is followed", || lets_in(&rig, "guarded.test"));
    drop(rig);
    let rig = start();
    assert!(rig.generation() == 1 && lets_in(&rig, "guarded.test"), "so it is after a restart");
    server.put(password_file("new", "c"));
    server.put(guarded("new", false));
    eventually("what is accepted serves", || secrets(&rig) == 1 && !rig.reports("Ingress shop/guarded"));
    assert!(lets_in(&rig, "guarded.test"));
    server.delete("Ingress", "shop", "guarded");
    eventually("nothing is left", || secrets(&rig) == 0);
}

#[test]
fn only_secrets_that_somebody_refers_to_are_kept() {
    let server = server();
    for name in ["one", "two", "three"] {
        server.put(certificate_secret("shop", name, "kubernetes.io/tls", &format!("{name}.test")));
    }
    server.put(ingress_tls("shop", "one", "one.test", "one"));
    let rig = Rig::on_server(&server).ready();
    assert_eq!(secrets(&rig), 1);
    server.put(certificate_secret("shop", "two", "kubernetes.io/tls", "two.test"));
    server.put(certificate_secret("shop", "four", "kubernetes.io/tls", "four.test"));
    rig.sync();
    assert_eq!(secrets(&rig), 1, "nor are they when they change");
    server.fault(Rule::on(Verb::List, Fault::Slow(Duration::from_millis(200))).of("secrets"));
    for name in ["two", "four"] {
        server.put(ingress_tls("shop", name, &format!("{name}.test"), name));
    }
    let missed = Cell::new(false);
    eventually("they are served", || {
        missed.set(missed.get() || rig.reports("Ingress shop/two") || rig.reports("Ingress shop/four"));
        rig.serves("two.test") && rig.serves("four.test")
    });
    assert!(!missed.get(), "never without their certificates");
    eventually("they are kept", || secrets(&rig) == 3);
    server.heal();
    eventually("the watch on all of them follows", || {
        server.requests(Verb::Watch, "secrets") >= 1 && rig.sync() > 0 && secrets(&rig) == 3
    });
    server.delete("Secret", "shop", "two");
    eventually("one that is deleted is missed", || rig.reports("Ingress shop/two") && secrets(&rig) == 2);
    server.put(certificate_secret("shop", "two", "kubernetes.io/tls", "two.test"));
    eventually("and found again", || !rig.reports("Ingress shop/two") && secrets(&rig) == 3);
    for name in ["two", "four"] {
        server.delete("Ingress", "shop", name);
    }
    eventually("they are forgotten", || secrets(&rig) == 1);
    server.put(ingress_tls("shop", "two", "two.test", "two"));
    eventually("and read again", || rig.serves("two.test") && secrets(&rig) == 2 && !rig.reports("Ingress shop/two"));
}

#[test]
fn many_that_come_to_be_referred_to_at_once_are_all_read() {
    let server = server();
    let secret = certificate_secret("shop", "s0", "kubernetes.io/tls", "x.test");
    let named = |index: usize| {
        let mut secret = secret.clone();
        secret["metadata"]["name"] = json!(format!("s{index}"));
        secret
    };
    server.put_all((0..300).map(named));
    let rig = Rig::on_server(&server).ready();
    assert_eq!(secrets(&rig), 0);
    let made =
        |index: usize| ingress_tls("shop", &format!("i{index}"), &format!("h{index}.test"), &format!("s{index}"));
    server.put_all((0..300).map(made));
    eventually("all are read", || secrets(&rig) == 300);
    eventually("and published", || rig.serves("h0.test") && rig.serves("h299.test"));
    server.put_all((0..300).map(|index| ingress("shop", &format!("i{index}"), &format!("h{index}.test"))));
    eventually("and forgotten", || secrets(&rig) == 0);
}

#[test]
fn a_secret_that_does_not_come_holds_others_up_for_a_while_only() {
    let server = server();
    server.put(certificate_secret("shop", "one", "kubernetes.io/tls", "one.test"));
    let rig = Rig::on_server(&server).ready();
    server.fault(Rule::on(Verb::List, Fault::Hang).of("secrets"));
    server.put(ingress_tls("shop", "one", "one.test", "one"));
    eventually("it is asked for", || server.requests(Verb::List, "secrets") == 2);
    let started = Instant::now();
    server.put(ingress("shop", "b", "b.test"));
    eventually("another is served", || rig.serves("b.test"));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}
