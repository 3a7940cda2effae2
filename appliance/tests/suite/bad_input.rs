//! Bad manifests: each is named with object and field, the rest is served, nothing crashes.

use serde_json::{Value, json};

use crate::support::certificates::{Certificate, secret};
use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

/// A good site, which must stay up whatever stands beside it.
fn good(origin: &Origin) -> String {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("good").prefix("good.test", "/", "origin").build());
    file(objects)
}

/// Adds one bad file, and returns the finding that names `object` and `field`.
fn finding(ringress: &Ringress, name: &str, content: impl AsRef<[u8]>, object: &str, field: &str) -> Value {
    ringress.apply(name, content);
    assert_eq!(ringress.get("good.test", "/").text(), "origin", "beside {name}");
    let status = ringress.status();
    let rejected = status["rejected"].as_array().expect("a list");
    let found = rejected.iter().find(|finding| {
        let has = |key: &str, part: &str| finding[key].as_str().is_some_and(|text| text.contains(part));
        has("object", object) && has("field", field)
    });
    let found = found.unwrap_or_else(|| panic!("{name}: nothing names {object:?} {field:?}: {rejected:#?}")).clone();
    ringress.wait_logged(object);
    ringress.remove(name);
    ringress.sync();
    found
}

#[test]
fn every_kind_of_bad_manifest_is_named_and_harms_nobody() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut ringress = Ringress::on(driver).manifest("good.json", good(&origin)).start();
        let bad = |name: &str, content: &str, object: &str, field: &str, severity: &str| {
            let finding = finding(&ringress, name, content, object, field);
            assert_eq!(finding["severity"], json!(severity), "{finding}");
            assert!(finding["message"].as_str().is_some_and(|message| message.len() > 10), "{finding}");
        };
        bad("noyaml.yaml", "a: [b\nc: }", "noyaml.yaml", "", "error");
        bad("nojson.json", "{\"a\": ", "nojson.json", "", "error");
        bad("scalar.yaml", "just some words\n", "scalar.yaml", "", "error");
        bad(
            "kind.yaml",
            "apiVersion: v1\nkind: Deployment\nmetadata: {name: dep}\n",
            "File kind.yaml",
            "kind",
            "warning",
        );
        bad(
            "noname.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {}\n",
            "noname.yaml",
            "metadata.name",
            "error",
        );
        let wrong = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: wrong}\nspec: {rules: 7}\n";
        bad("types.yaml", wrong, "Ingress default/wrong", "spec.rules", "error");
        let huge = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: huge}}\ndata: {{x: {}}}\n",
            "y".repeat(1 << 20)
        );
        bad("huge.yaml", &huge, "huge.yaml", "", "error");
        let deep = format!("a: {}{}\n", "[".repeat(100), "]".repeat(100));
        bad("deep.yaml", &deep, "deep.yaml", "", "error");
        let twice = file([
            ingress("twice").prefix("t1.test", "/", "origin").build(),
            ingress("twice").prefix("t2.test", "/", "origin").build(),
        ]);
        bad("twice.json", &twice, "Ingress default/twice", "", "error");
        let port = file([json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "port"},
            "spec": {"ingressClassName": "nginx", "rules": [{"host": "p.test", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "origin", "port": {"number": 99999}}}},
            ]}}]},
        })]);
        bad("port.json", &port, "Ingress default/port", "port", "error");
        ringress.assert_alive();
        assert_eq!(ringress.status()["rejected"], json!([]), "all gone with their files");
    });
}

#[test]
fn a_broken_or_foreign_certificate_is_named_and_the_default_one_served() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).manifest("good.json", good(&origin)).start();
        let (own, other) = (Certificate::for_names(&["tls.test"]), Certificate::for_names(&["other.test"]));
        let site = || ingress("tls").tls("tls.test", "cert").prefix("tls.test", "/", "origin").build();
        for (what, broken, object, field) in [
            ("no PEM", secret("cert", "nonsense", &own.key_pem), "Secret default/cert", "tls.crt"),
            ("broken key", secret("cert", &own.pem, "nonsense"), "Secret default/cert", "tls.key"),
            ("another's key", secret("cert", &own.pem, &other.key_pem), "Secret default/cert", "tls.key"),
            ("another's name", other.secret("cert"), "Ingress default/tls", "tls"),
        ] {
            println!("{what}");
            ringress.apply("probe.json", file([broken.clone(), site()]));
            let mut connection = Connection::tls(ringress.https, Some("tls.test")).expect("a handshake");
            assert_eq!(connection.get("tls.test", "/").expect("an answer").text(), "origin", "{what}");
            let served = connection.peer_certificate();
            assert!(served != own.der && served != other.der, "{what}: not the default certificate");
            finding(&ringress, "probe.json", file([broken, site()]), object, field);
            let log = ringress.log();
            assert!(!log.contains("PRIVATE KEY"), "no key in the log");
        }
    });
}

#[test]
fn a_file_that_stops_parsing_keeps_its_last_good_objects() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let extra = file([ingress("extra").prefix("extra.test", "/", "origin").build()]);
        let ringress =
            Ringress::on(driver).manifest("good.json", good(&origin)).manifest("extra.yaml", extra.clone()).start();
        ringress.apply("extra.yaml", &extra.as_bytes()[..extra.len() / 2]);
        assert_eq!(ringress.get("extra.test", "/").text(), "origin", "half a file is not a removal");
        let rejected = ringress.status()["rejected"].to_string();
        assert!(rejected.contains("extra.yaml"), "{rejected}");
        ringress.apply("extra.yaml", &extra);
        assert_eq!(ringress.status()["rejected"], json!([]));
        ringress.remove("extra.yaml");
        ringress.sync();
        assert_eq!(ringress.get("extra.test", "/").status, 404);
    });
}
