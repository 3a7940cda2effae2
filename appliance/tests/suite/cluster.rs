//! The binary on an API server: replaced under load with its webhook, and after a crash while the server is away.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::load::{Kind, Load};
use crate::support::origin::Origin;
use crate::support::process::{Driver, HeldPort, Ringress, on_each_driver, own_address};
use crate::support::web::cluster;
use crate::support::{PATIENCE, eventually, within};

/// Upgrades in a row under load, and requests of every client between two.
const ROUNDS: usize = 3;
const REQUESTS: usize = 20;

/// Questions to the webhook between two upgrades.
const REVIEWS: usize = 5;

/// An Ingress under review, asked about as an API server asks; what is wrong with the answer, if anything.
pub(crate) fn review(webhook: SocketAddr, object: &Value, expected: bool) -> Result<(), String> {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "dryRun": true, "namespace": "default",
        "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"}, "object": object}});
    let fields = [("Content-Type", "application/json"), ("Connection", "close")];
    let ask = || {
        let mut connection = Connection::tls(webhook, Some("webhook.test"))?;
        connection.request("POST", "webhook.test", "/networking/v1/ingresses", &fields, review.to_string().as_bytes())
    };
    let answer = ask().map_err(|error| format!("not answered: {error}"))?;
    let verdict: Value = serde_json::from_slice(&answer.body).map_err(|error| format!("{error}: {}", answer.text()))?;
    if verdict["response"]["allowed"] == json!(expected) { Ok(()) } else { Err(verdict.to_string()) }
}

/// Asks the webhook until `stop`; an Ingress that is right and one with a snippet in turn.
fn reviews(webhook: SocketAddr, stop: &AtomicBool, count: &AtomicUsize) -> Vec<String> {
    let good = fixtures::ingress("default", "new", "new.test");
    let mut bad = good.clone();
    bad["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
    let mut failures = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let one = |(object, expected)| review(webhook, object, expected).err();
        failures.extend([(&good, true), (&bad, false)].into_iter().filter_map(one));
        count.fetch_add(1, Ordering::SeqCst);
    }
    failures
}

/// An instance with a webhook, whose certificate is in `folder`.
pub(crate) fn with_webhook(
    driver: Driver,
    server: &ApiServer,
    folder: &tempfile::TempDir,
    webhook: SocketAddr,
) -> Ringress {
    let secret = Certificate::for_names(&["webhook.test"]).secret("webhook");
    let file = |name: &str| {
        std::fs::write(folder.path().join(name), secret["stringData"][name].as_str().expect("a text")).expect("a file");
        folder.path().join(name).display().to_string()
    };
    Ringress::on(driver)
        .kube(&server.url())
        .env("POD_NAMESPACE", "default")
        .env("POD_NAME", "p")
        .flag("--publish-status-address=192.0.2.1")
        .flag("--election-ttl=1s")
        .flag("--drain-timeout=60s")
        .flag(format!("--validating-webhook={webhook}"))
        .flag(format!("--validating-webhook-certificate={}", file("tls.crt")))
        .flag(format!("--validating-webhook-key={}", file("tls.key")))
        .start()
}

/// The sockets that listen at an address, by the numbers that the kernel has for them.
fn listening_at(address: SocketAddr) -> Vec<String> {
    let SocketAddr::V4(v4) = address else { panic!("tests are on IPv4") };
    let wanted = format!("{:08X}:{:04X}", v4.ip().to_bits().swap_bytes(), v4.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening = rows.filter(|row| row.get(1) == Some(&&*wanted) && row.get(3) == Some(&"0A"));
    listening.map(|row| row[9].to_owned()).collect()
}

#[test]
fn upgrades_on_an_api_server_lose_no_request_no_review_and_no_change() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("origin"), tempfile::tempdir().expect("a folder"));
        let server = cluster(&origin);
        let port = HeldPort::of(own_address());
        let webhook = port.address;
        let mut ringress = with_webhook(driver, &server, &folder, webhook);
        let socket = listening_at(webhook);
        let load = Load::start(&ringress, &[Kind::KeepAlive, Kind::Fresh, Kind::Tls, Kind::Http2]);
        let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        let failures = std::thread::scope(|scope| {
            let asking = scope.spawn(|| reviews(webhook, &stop, &count));
            for round in 0..ROUNDS {
                load.wait(REQUESTS);
                let host = format!("h{round}.test");
                server.put(fixtures::ingress("default", &format!("h{round}"), &host));
                let asked = count.load(Ordering::SeqCst);
                ringress.upgrade().unwrap_or_else(|why| panic!("round {round}: {why}"));
                eventually("what was written about the time of the upgrade is served", || {
                    client::try_once(ringress.http, "GET", &host, "/").is_ok_and(|answer| answer.status == 200)
                });
                eventually("the webhook answers", || count.load(Ordering::SeqCst) >= asked + REVIEWS);
            }
            stop.store(true, Ordering::SeqCst);
            asking.join().expect("the asker")
        });
        assert_eq!(failures, [""; 0]);
        assert_eq!(listening_at(webhook), socket, "the socket of the webhook goes from process to process");
        load.wait(REQUESTS);
        load.stop();
        let shown = || server.get("Ingress", "default", "h0").expect("it")["status"]["loadBalancer"].clone();
        eventually("the last one leads and writes", || shown()["ingress"][0]["ip"] == "192.0.2.1");
        eventually("the first process ends", || ringress.ended().is_some());
        assert!(!ringress.log().contains("panicked"), "{}", ringress.log());
    });
}

/// As a service manager restarts what ends: the unit waits for 200 ms.
const RESTARTING: &str = r#"
trap 'kill $child; wait $child; exit' TERM
while :; do "$0" "$@" & child=$!; wait $child; sleep 0.2; done"#;

/// The bound that is promised; a build for tests on a busy machine starts more slowly.
fn restart_max() -> Duration {
    if std::env::var_os("RINGRESS_BIN").is_some() { Duration::from_secs(1) } else { PATIENCE }
}

/// The process that the restarting one has started last.
fn child_of(parent: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

#[test]
fn after_a_crash_without_an_api_server_the_last_known_good_is_served_within_a_second() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut server = cluster(&origin);
        let ringress = Ringress::on(driver).kube(&server.url()).through(&["sh", "-c", RESTARTING]).start();
        let answers = |host: &str| client::try_once(ringress.http, "GET", host, "/").map(|answer| answer.status);
        assert_eq!(answers("a.test").ok(), Some(200));
        eventually("the state is saved", || ringress.saved_state().is_some_and(|state| state.contains("a.test")));
        server.down();
        for _ in 0..2 {
            let crashed = child_of(ringress.pid()).expect("a running process");
            kill_process(crashed, Signal::KILL).expect("a crash");
            let began = Instant::now();
            assert!(within(restart_max(), || matches!(answers("a.test"), Ok(200))), "not within {:?}", restart_max());
            println!("served again after {:?}", began.elapsed());
            assert_eq!(answers("other.test").ok(), Some(404), "nothing else is");
            let status = ringress.status();
            assert_eq!((&status["last_known_good"], &status["source_reachable"]), (&json!(true), &json!(false)));
        }
        server.put(fixtures::ingress("default", "b", "b.test"));
        server.up();
        eventually("the server is followed again", || matches!(answers("b.test"), Ok(200)));
        assert_eq!(ringress.status()["last_known_good"], json!(false));
    });
}
