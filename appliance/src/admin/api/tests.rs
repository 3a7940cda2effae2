use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, ObjectKey, ObjectRef};

use super::*;
use crate::admin::testkit::{Fake, worker_adopts};
use crate::admin::{Admin, AdminSettings, Listeners, client};
use crate::cli::AdminAddress;
use crate::handover::Inherited;
use crate::worker::Gate;

/// A running admin thread on free ports.
struct Running {
    fake: Fake,
    health: AdminAddress,
    admin: AdminAddress,
    _admin: Admin,
}

fn start(workers: usize) -> Running {
    start_with(workers, "/alive")
}

fn start_with(workers: usize, health_path: &str) -> Running {
    let fake = Fake::new(workers);
    let loopback = Ipv4Addr::LOCALHOST.into();
    let any = AdminAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let listeners = Listeners::bind(Some((Some(loopback), 0)), &any, &mut Inherited::default()).unwrap();
    let health = AdminAddress::Tcp(listeners.health_address().unwrap());
    let admin = AdminAddress::Tcp(listeners.admin_address().unwrap().parse().unwrap());
    let settings = AdminSettings {
        health_path: health_path.into(),
        health_timeout: Duration::from_secs(10),
        gate: Gate::new(true),
    };
    let running = Admin::start(listeners, settings, fake.sources.clone()).unwrap();
    Running { fake, health, admin, _admin: running }
}

/// Status and body of a GET.
fn fetch(address: &AdminAddress, target: &str) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(client::get(address, target)) {
        Ok(body) => (200, String::from_utf8(body.to_vec()).unwrap()),
        Err(client::ClientError::Status { status, message }) => (status, message),
        Err(error) => panic!("{target}: {error}"),
    }
}

/// Sends bytes and reads until the peer closes.
fn raw(address: &AdminAddress, request: &str) -> String {
    use std::io::{Read as _, Write as _};
    let AdminAddress::Tcp(address) = address else { panic!("a TCP address") };
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_health_listener_answers_its_paths_and_nothing_else() {
    let running = start(1);
    assert_eq!(fetch(&running.health, "/healthz").0, 200);
    assert_eq!(fetch(&running.health, "/alive").0, 200);
    assert_eq!(fetch(&running.health, "/readyz"), (503, "no complete snapshot yet".into()));
    let (status, page) = fetch(&running.health, "/metrics");
    assert!(status == 200 && page.contains("ringress_ready 0") && page.contains("ringress_workers 1"), "{page}");
    for path in ["/", "/api/status", "/api/sync", "/other"] {
        assert_eq!(fetch(&running.health, path).0, 404, "{path}");
    }
}

#[test]
fn a_health_path_that_is_one_of_the_apis_harms_neither() {
    for path in ["/", "/api/status"] {
        let running = start_with(1, path);
        assert_eq!(fetch(&running.health, path), (200, "ok\n".into()));
        assert!(fetch(&running.admin, path).1.contains("ringress") || path != "/");
        assert_eq!(fetch(&running.admin, "/healthz").0, 200);
    }
}

#[test]
fn ready_and_live_are_told_apart() {
    let running = start(1);
    running.fake.control.set(|status| status.generation = 1);
    worker_adopts(&running.fake, 0, 1);
    assert_eq!(fetch(&running.admin, "/readyz"), (200, "ok\n".into()));
    running.fake.sources.phase.begin_drain();
    assert_eq!(fetch(&running.admin, "/readyz"), (503, "draining".into()));
    assert_eq!(fetch(&running.admin, "/healthz").0, 200);
    running.fake.workers.fail("worker 0 cannot be replaced");
    assert_eq!(fetch(&running.admin, "/healthz"), (500, "worker 0 cannot be replaced".into()));
}

#[test]
fn status_has_the_fields_of_the_contract() {
    let running = start(2);
    let object = ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("shop", "web") };
    running.fake.control.set(|status| {
        status.source = "dir:/m".into();
        status.source_reachable = true;
        status.generation = 7;
        status.objects.insert("Ingress", 3);
        status.findings = [Finding::error(&object, "spec.rules[0].host", "is not a name")].into();
        status.last_change = Some(UNIX_EPOCH + Duration::from_secs(1));
        (status.changed, status.changed_more) = (vec!["Ingress default/a".to_owned()], 2);
    });
    worker_adopts(&running.fake, 0, 7);
    let status: Value = serde_json::from_str(&fetch(&running.admin, "/api/status").1).unwrap();
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "driver": "epoll", "workers": 2, "source": "dir:/m",
        "source_reachable": true, "last_known_good": false, "ready": false, "draining": false, "generation": 7,
        "adopted": [7, 0], "connections": [0, 0], "objects": {"Ingress": 3}, "listeners": [], "streams": [], "last_change": "1970-01-01T00:00:01Z",
        "last_change_objects": ["Ingress default/a"], "last_change_more": 2,
        "rejected": [{
            "object": "Ingress shop/web", "field": "spec.rules[0].host", "severity": "error", "message": "is not a name"
        }],
    });
    assert_eq!(status, expected);
}

#[test]
fn sync_is_a_post_without_body_and_answers_the_generation() {
    let running = start(1);
    assert_eq!(fetch(&running.admin, "/api/sync").0, 405);
    let post = "POST /api/sync HTTP/1.1\r\nHost: scripts\r\nConnection: close\r\n\r\n";
    assert!(raw(&running.admin, post).starts_with("HTTP/1.1 503"));
    running.fake.control.set_sync(Ok(12));
    let answer = raw(&running.admin, post);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"generation\":12}"), "{answer}");
}

#[test]
fn web_pages_of_others_are_refused_on_the_admin_listener() {
    let running = start(1);
    let get =
        |host: &str, more: &str| format!("GET /api/status HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
    assert!(raw(&running.admin, &get("evil.example", "")).starts_with("HTTP/1.1 403"));
    assert!(raw(&running.admin, &get("localhost", "Origin: http://evil.example\r\n")).starts_with("HTTP/1.1 403"));
    let answer = raw(&running.admin, &get("localhost", ""));
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.to_lowercase().contains("access-control"), "{answer}");
}

#[test]
fn pages_that_need_a_snapshot_say_so_before_the_first() {
    let running = start(1);
    for path in ["/api/routes", "/api/clusters", "/api/certificates", "/api/explain?url=http://a/"] {
        assert_eq!(fetch(&running.admin, path), (503, "{\"error\":\"no complete snapshot yet\"}".into()), "{path}");
    }
}

#[test]
fn the_dashboard_is_served_with_a_policy_that_lets_nothing_else_run() {
    let running = start(1);
    let answer = raw(&running.admin, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    assert!(policy.starts_with("default-src 'none'; connect-src 'self'; script-src 'sha256-"), "{policy}");
    assert!(page.contains("/api/traffic") && page.ends_with("</html>\n"));
}

#[test]
fn a_head_over_the_limit_is_refused() {
    let running = start(1);
    let request = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    assert!(raw(&running.health, &request).starts_with("HTTP/1.1 431"));
}
