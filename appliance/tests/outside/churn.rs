//! Full load while everything changes: the reason for this product to exist. Every 100 ms an Ingress is added, removed
//! or changed, an endpoint replaced, or a certificate rotated; no request may fail and no connection may be closed but
//! those whose end `keep-alive-requests` announced.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::long;
use crate::nginx::Nginx;
use crate::support::certificates::Certificate;
use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::process::{Ringress, on_each_driver};
use crate::support::tunnel;

const CHANGE_INTERVAL: Duration = Duration::from_millis(100);
/// ingress-nginx' default of `keep-alive-requests`.
const KEEP_ALIVE_REQUESTS: u64 = 1000;
const WRK_CONNECTIONS: u32 = 64;
const TLS_CONNECTIONS: u64 = 16;

fn seconds() -> u64 {
    if long() { 60 } else { 10 }
}

/// wrk, plain HTTP, as fast as it can.
fn wrk(http: SocketAddr) -> Child {
    Command::new("wrk")
        .args(["-t1", "--latency", "-H", "Host: a.test", "-c", &WRK_CONNECTIONS.to_string()])
        .args(["-d", &format!("{}s", seconds()), &format!("http://{http}/")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wrk is installed")
}

/// The own generator over TLS: it tells announced closes from others.
fn tls_load(https: SocketAddr) -> Child {
    let bench = std::env::var_os("RINGRESS_BENCH_BIN").expect("RINGRESS_BENCH_BIN names the bench");
    Command::new(bench)
        .args(["load", "--json", "--tls", "--host=a.test", "--warmup=0"])
        .args(["--target", &https.to_string(), "--connections", &TLS_CONNECTIONS.to_string()])
        .args(["--seconds", &seconds().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the bench")
}

/// What the folder holds, and the next change to it.
struct Changes<'a> {
    ringress: &'a Ringress,
    servers: &'a [SocketAddr],
    certificate: Certificate,
    made: usize,
}

impl Changes<'_> {
    fn next(&mut self) {
        let turn = self.made;
        self.made += 1;
        match turn % 5 {
            0 => self.ringress.write("added.json", file([ingress("added").prefix("b.test", "/", "origin").build()])),
            1 => self.ringress.write("site.json", site(turn)),
            2 => self.ringress.write("origin.json", origin(self.servers, turn)),
            3 => self.ringress.remove("added.json"),
            _ => {
                self.certificate = Certificate::for_names(&["a.test"]);
                self.ringress.write("secret.json", file([self.certificate.secret("cert")]));
            }
        }
    }
}

/// The Ingress under load; every turn changes one of its annotations.
fn site(turn: usize) -> String {
    let a = ingress("a").without_redirect().annotation("proxy-read-timeout", &(30 + turn % 60).to_string());
    let a = a.tls("a.test", "cert").prefix("a.test", "/", "origin").prefix("a.test", "/ws", "sockets");
    file([a.build()])
}

/// Two of three servers; every turn another one of them is replaced.
fn origin(servers: &[SocketAddr], turn: usize) -> String {
    let at = |index: usize| servers[index % servers.len()];
    file(service("origin", &[at(turn), at(turn + 1)]))
}

#[test]
fn full_load_sees_nothing_of_constant_change() {
    let nginx = Nginx::start(3);
    let sockets = tunnel::echo();
    on_each_driver(|driver| {
        let certificate = Certificate::for_names(&["a.test"]);
        let mut ringress = Ringress::on(driver)
            .manifest("site.json", site(0))
            .manifest("origin.json", origin(&nginx.servers, 0))
            .manifest("sockets.json", file(service("sockets", &[sockets.address])))
            .manifest("secret.json", file([certificate.secret("cert")]))
            .start();
        let mut tunnel = tunnel::open(ringress.http);
        let (plain, secure) = (wrk(ringress.http), tls_load(ringress.https));
        let mut changes = Changes { ringress: &ringress, servers: &nginx.servers, certificate, made: 0 };
        let end = Instant::now() + Duration::from_secs(seconds());
        while Instant::now() < end {
            changes.next();
            tunnel::round_trip(&mut tunnel, b"still here").expect("the tunnel lives");
            std::thread::sleep(CHANGE_INTERVAL);
        }
        let (made, last) = (changes.made, changes.certificate.der);
        judge_wrk(plain);
        judge_tls(secure);
        tunnel::round_trip(&mut tunnel, b"after all").expect("the tunnel outlived everything");
        ringress.sync();
        let served = Connection::tls(ringress.https, Some("a.test")).expect("a handshake").peer_certificate();
        assert!(served == last, "the last of {made} changes is served");
        ringress.assert_alive();
    });
}

fn judge_wrk(wrk: Child) {
    let output = wrk.wait_with_output().expect("wrk ends");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "wrk: {}", output.status);
    assert!(text.contains("Requests/sec:"), "no report");
    // wrk mentions them only when there are any; it reconnects silently after an announced close.
    assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "requests failed:\n{text}");
}

fn judge_tls(load: Child) {
    let output = load.wait_with_output().expect("the bench ends");
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    println!("TLS load: {figures}");
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("{name} in {figures}"));
    for failure in ["failed_status", "failed_connect", "failed_timeout", "malformed", "closed_unannounced"] {
        assert_eq!(figure(failure), 0, "{failure}: {figures}");
    }
    let (requests, closed) = (figure("requests"), figure("closed_announced"));
    assert!(closed <= requests / KEEP_ALIVE_REQUESTS, "{closed} announced closes in {requests} requests");
}
