//! Health, metrics and the API, on the addresses that the contract gives them.

use std::process::Command;

use serde_json::json;

use crate::support::certificates::Certificate;
use crate::support::client;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, binary, on_each_driver};
use crate::support::{eventually, within};

fn site(origin: &Origin) -> Vec<serde_json::Value> {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    objects
}

#[test]
fn the_health_port_serves_health_readiness_and_metrics_only() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).manifest("all.json", file(site(&origin))).start();
        let status = |address, path| client::once(address, "GET", "localhost", path).status;
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(status(ringress.health, path), 200, "{path} on the health port");
            assert_eq!(status(ringress.admin, path), 200, "{path} on the admin address");
        }
        for path in ["/", "/api/status", "/api/routes"] {
            assert_eq!(status(ringress.health, path), 404, "{path} on the health port");
        }
    });
}

#[test]
fn top_and_the_dashboard_show_what_an_ingress_served() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).manifest("all.json", file(site(&origin))).start();
        let page = client::once(ringress.admin, "GET", "localhost", "/");
        assert!(page.status == 200 && page.text().contains("<title>ringress</title>"), "{page:?}");
        let traffic = || {
            let answer = client::once(ringress.admin, "GET", "localhost", "/api/traffic");
            serde_json::from_str::<serde_json::Value>(&answer.text()).expect("JSON")
        };
        for _ in 0..3 {
            assert_eq!(client::once(ringress.http, "GET", "a.test", "/").status, 200);
        }
        assert_eq!(client::once(ringress.http, "GET", "other.test", "/").status, 404);
        eventually("the Ingress' requests are counted", || traffic()["rows"][0]["requests"] == 3);
        let row = &traffic()["rows"][0];
        assert_eq!((&row["host"], &row["ingress"], &row["server_errors"]), (&json!("a.test"), &json!("a"), &json!(0)));
        let admin = format!("--admin={}", ringress.admin);
        let top = Command::new(binary()).args(["top", "--once", "--interval=100ms", &admin]).output().expect("it runs");
        let text = String::from_utf8_lossy(&top.stdout).into_owned();
        assert!(top.status.success(), "{top:?}");
        assert!(text.contains(": ready, generation ") && text.contains("default/a"), "{text}");
        let nobody = Command::new(binary()).args(["top", "--once", "--admin=unix:/nobody"]).output().expect("it runs");
        assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    });
}

#[test]
fn the_status_says_what_is_served_and_by_whom() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).workers(2).manifest("all.json", file(site(&origin))).start();
        let status = ringress.status();
        assert_eq!(status["version"], json!(env!("CARGO_PKG_VERSION")));
        assert_eq!(status["workers"], json!(2));
        assert_eq!(status["ready"], json!(true));
        assert_eq!(status["source_reachable"], json!(true));
        assert_eq!(status["rejected"], json!([]), "{status}");
        assert_eq!(status["objects"]["Ingress"], json!(1), "{status}");
        let source = status["source"].as_str().expect("a source");
        assert!(source.contains(ringress.manifests().to_str().expect("UTF-8")), "{source}");
        let adopted = status["adopted"].as_array().expect("a list");
        assert_eq!(adopted.len(), 2);
        let before = status["generation"].as_u64().expect("a number");
        ringress.apply("b.json", file([ingress("b").prefix("b.test", "/", "origin").build()]));
        let status = ringress.status();
        let after = status["generation"].as_u64().expect("a number");
        assert!(after > before, "{before} then {after}");
        assert!(status["adopted"].as_array().is_some_and(|all| all.iter().all(|one| *one == after)), "{status}");
    });
}

#[test]
fn routes_clusters_and_certificates_are_listed_without_keys() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let certificate = Certificate::for_names(&["a.test"]);
        let mut objects = service("origin", &[origin.address]);
        objects.push(certificate.secret("cert"));
        objects.push(ingress("a").tls("a.test", "cert").prefix("a.test", "/x", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        for (path, words) in [
            ("/api/routes", vec!["a.test".to_owned(), "/x".to_owned(), "default/a".to_owned()]),
            ("/api/clusters", vec!["origin".to_owned(), origin.address.to_string()]),
            ("/api/certificates", vec!["a.test".to_owned()]),
        ] {
            let text = ringress.api(path).to_string();
            for word in words {
                assert!(text.contains(&word), "{word} in {path}: {text}");
            }
            let secret_line = certificate.key_pem.lines().nth(1).expect("a key");
            assert!(!text.contains("PRIVATE") && !text.contains(secret_line), "{path}: {text}");
        }
        assert!(!ringress.log().contains("PRIVATE"));
    });
}

#[test]
fn requests_are_counted_under_the_names_of_ingress_nginx() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).manifest("all.json", file(site(&origin))).start();
        for _ in 0..7 {
            assert_eq!(ringress.get("a.test", "/some/path").status, 200);
        }
        assert_eq!(ringress.get("unknown.test", "/").status, 404);
        let counted = || {
            let metrics = client::once(ringress.health, "GET", "localhost", "/metrics").text();
            let mut lines = metrics.lines().filter(|line| line.starts_with("nginx_ingress_controller_requests{"));
            let line = lines.next().unwrap_or_default().to_owned();
            assert!(!metrics.contains("/some/path"), "no raw path in a label");
            line
        };
        eventually("7 requests are counted", || counted().ends_with(" 7"));
        let line = counted();
        for label in ["status=\"200\"", "method=\"GET\"", "path=\"/\"", "namespace=\"default\"", "ingress=\"a\""] {
            assert!(line.contains(label), "{label} in {line}");
        }
    });
}

#[test]
fn a_sync_returns_when_the_change_is_served() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).workers(2).manifest("all.json", file(site(&origin))).start();
        for turn in 0..20 {
            let host = format!("h{turn}.test");
            ringress.apply("changing.json", file([ingress("changing").prefix(&host, "/", "origin").build()]));
            // At once, on new connections that either worker may take.
            for _ in 0..4 {
                assert_eq!(ringress.get(&host, "/").status, 200, "change {turn}");
            }
            if turn > 0 {
                assert_eq!(ringress.get(&format!("h{}.test", turn - 1), "/").status, 404, "change {turn}");
            }
        }
    });
}

#[test]
fn an_instance_whose_folder_is_missing_says_so() {
    on_each_driver(|driver| {
        let instance = Ringress::on(driver).flag("--source=dir:/nonexistent/ringress-test").launch();
        // Given twice, the later flag wins; whether it ends or waits for the folder, it names it and is not ready.
        assert!(within(crate::support::PATIENCE, || instance.log().contains("/nonexistent/ringress-test")));
        let ready = client::try_once(instance.health, "GET", "localhost", "/readyz").is_ok_and(|r| r.status == 200);
        assert!(!ready);
    });
}
