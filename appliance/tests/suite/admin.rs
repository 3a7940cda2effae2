//! Health, metrics and the API, on the addresses that the contract gives them.

use std::process::Command;

use serde_json::json;

use crate::support::certificates::Certificate;
use crate::support::client;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, binary, on_each_driver};
use crate::support::{eventually, raw};

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

/// However the name of a stranger gets there.
#[test]
fn web_pages_of_strangers_do_not_reach_the_admin_address() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = Ringress::on(driver).manifest("all.json", file(site(&origin))).start();
        for (target, fields, status) in [
            ("/api/status", "Host: localhost\r\n", 200),
            ("http://localhost/api/status", "Host: localhost\r\n", 200),
            ("/api/status", "Host: evil.test\r\n", 403),
            ("http://evil.test/api/status", "Host: localhost\r\n", 403),
            ("/api/status", "Host: localhost\r\nOrigin: http://evil.test\r\n", 403),
            ("/api/status", "", 400),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
            let outcome = raw::exchange(ringress.admin, request.as_bytes());
            assert_eq!((outcome.statuses(), outcome.closed), (vec![status], true), "{target} {fields}");
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
            let metrics = ringress.metrics();
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

/// Names that dashboards and alerts of ingress-nginx ask for (its collectors), without their prefix, and the labels of each.
const OF_INGRESS_NGINX: &[(&str, &[&str])] = &[
    ("requests", REQUEST),
    ("connect_duration_seconds_count", REQUEST),
    ("header_duration_seconds_count", REQUEST),
    ("response_duration_seconds_count", REQUEST),
    ("request_duration_seconds_count", REQUEST),
    ("request_size_count", REQUEST),
    ("response_size_count", REQUEST),
    ("bytes_sent_count", REQUEST),
    ("success", CONTROLLER),
    ("errors", CONTROLLER),
    ("check_success", CONTROLLER),
    ("check_errors", CONTROLLER),
    ("admission_tested_ingresses", CONTROLLER),
    ("admission_tested_duration", CONTROLLER),
    ("config_hash", CONTROLLER),
    ("config_last_reload_successful", CONTROLLER),
    ("config_last_reload_successful_timestamp_seconds", CONTROLLER),
    ("ssl_expire_time_seconds", &["class", "host", "identifier", "namespace", "secret_name"]),
    (
        "ssl_certificate_info",
        &["class", "host", "identifier", "issuer_common_name", "issuer_organization", "namespace"],
    ),
    ("ssl_certificate_info", &["public_key_algorithm", "secret_name", "serial_number"]),
    ("orphan_ingress", &["controller_class", "controller_namespace", "controller_pod", "ingress", "namespace", "type"]),
    ("build_info", &["build", "controller_class", "controller_namespace", "controller_pod", "release", "repository"]),
    ("nginx_process_connections", PROCESS),
    ("nginx_process_connections_total", PROCESS),
    ("nginx_process_requests_total", CONTROLLER),
    ("nginx_process_num_procs", CONTROLLER),
    ("nginx_process_cpu_seconds_total", CONTROLLER),
    ("nginx_process_resident_memory_bytes", CONTROLLER),
    ("nginx_process_virtual_memory_bytes", CONTROLLER),
    ("nginx_process_read_bytes_total", CONTROLLER),
    ("nginx_process_write_bytes_total", CONTROLLER),
    ("nginx_process_oldest_start_time_seconds", CONTROLLER),
];
const CONTROLLER: &[&str] = &["controller_class", "controller_namespace", "controller_pod"];
const PROCESS: &[&str] = &["controller_class", "controller_namespace", "controller_pod", "state"];
const REQUEST: &[&str] = &[
    "canary",
    "controller_class",
    "controller_namespace",
    "controller_pod",
    "host",
    "ingress",
    "method",
    "namespace",
    "path",
    "service",
    "status",
];

#[test]
fn every_name_of_ingress_nginx_is_there_with_its_labels() {
    on_each_driver(|driver| {
        let [main, new] = ["main", "new"].map(Origin::named);
        let mut objects = service("main", &[main.address]);
        objects.extend(service("new", &[new.address]));
        objects.extend(service("empty", &[]));
        objects.push(ingress("a").prefix("a.test", "/", "main").build());
        let mut canary = ingress("b").prefix("a.test", "/", "new").build();
        canary["metadata"]["annotations"] = json!({
            "nginx.ingress.kubernetes.io/canary": "true",
            "nginx.ingress.kubernetes.io/canary-by-header": "try",
        });
        objects.push(canary);
        objects.push(ingress("lost").prefix("lost.test", "/", "nobody").build());
        objects.push(ingress("idle").prefix("idle.test", "/", "empty").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        assert_eq!(ringress.get("a.test", "/").text(), "main");
        let with = [("try", "always")];
        let mut connection = client::Connection::plain(ringress.http).expect("connect");
        assert_eq!(connection.request("GET", "a.test", "/", &with, b"").expect("an answer").text(), "new");
        let canaried = r#"nginx_ingress_controller_requests{canary="default-new-80""#;
        eventually("both are counted", || {
            let metrics = ringress.metrics();
            metrics.contains(canaried) && metrics.contains(r#"nginx_ingress_controller_requests{canary="","#)
        });
        let metrics = ringress.metrics();
        for (name, labels) in OF_INGRESS_NGINX {
            let start = format!("nginx_ingress_controller_{name}{{");
            let line = metrics.lines().find(|line| line.starts_with(&start));
            let line = line.unwrap_or_else(|| panic!("no {name} in {metrics}"));
            for label in *labels {
                assert!(line.contains(&format!("{label}=\"")), "{label} of {line}");
            }
        }
        for (ingress, kind) in [("lost", "no-service"), ("idle", "no-endpoint")] {
            let own = format!(r#"ingress="{ingress}",namespace="default",type="{kind}"}} 1"#);
            assert!(metrics.contains(&own), "{own} in {metrics}");
        }
        let orphans = metrics.lines().filter(|line| line.starts_with("nginx_ingress_controller_orphan_ingress{"));
        assert_eq!(orphans.count(), 2);
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
                assert_eq!(
                    ringress.status()["last_change_objects"],
                    json!(["Ingress default/changing"]),
                    "and no more"
                );
            }
        }
    });
}

#[test]
fn an_instance_whose_folder_is_missing_says_so() {
    on_each_driver(|driver| {
        let instance = Ringress::on(driver).flag("--source=dir:/nonexistent/ringress-test").launch();
        // Given twice, the later flag wins; whether it ends or waits for the folder, it names it and is not ready.
        instance.wait_logged("/nonexistent/ringress-test");
        let ready = client::try_once(instance.health, "GET", "localhost", "/readyz").is_ok_and(|r| r.status == 200);
        assert!(!ready);
    });
}
