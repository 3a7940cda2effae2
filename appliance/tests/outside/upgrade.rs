//! Upgrades under the load of others: wrk in the clear, h2load over HTTP/2, the project's own bench over TLS, and a
//! WebSocket. No request may fail.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::long;
use crate::nginx::Nginx;
use crate::support::certificates::Certificate;
use crate::support::manifests::{file, ingress, service};
use crate::support::process::{Ringress, on_each_driver};
use crate::support::{eventually, tunnel};

const H2_CONNECTIONS: u64 = 8;
/// Between two upgrades, so that clients are back on their new connections.
const PAUSE: Duration = Duration::from_secs(1);

fn rounds() -> u64 {
    if long() { 20 } else { 3 }
}

/// Longer than the upgrades take; wrk is ended by a signal when they are done.
fn seconds() -> u64 {
    5 + rounds() * 3
}

fn start(command: &mut Command) -> Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What it printed, however it ended.
fn report(load: Child) -> String {
    let output = load.wait_with_output().expect("the load ends");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    text
}

/// h2load counts as failed what it had queued and its own library no longer sends after a goodbye: one or two requests of a
/// connection. A connection that is cut would lose all of its streams. That not one is lost is held by the suite, whose
/// client minds the goodbye.
fn judge_h2load(text: &str) {
    let line = text.lines().find(|line| line.starts_with("requests:")).expect("a report");
    let figure = |name: &str| -> u64 {
        let before = line.split(&format!(" {name}")).next().and_then(|rest| rest.rsplit(' ').next());
        before.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{name} in {line}"))
    };
    assert!(figure("succeeded") > 0 && figure("timeout") == 0, "{line}");
    assert!(text.contains(" 0 3xx, 0 4xx, 0 5xx"), "{text}");
    assert!(figure("failed") <= 2 * H2_CONNECTIONS * rounds(), "requests failed:\n{text}");
}

#[test]
fn upgrades_under_the_load_of_others_lose_nothing() {
    let nginx = Nginx::start(2);
    let sockets = tunnel::echo();
    on_each_driver(|driver| {
        let mut objects = service("origin", &nginx.servers);
        objects.extend(service("sockets", &[sockets.address]));
        objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
        let a = ingress("a").without_redirect().tls("a.test", "cert");
        objects.push(a.prefix("a.test", "/", "origin").prefix("a.test", "/ws", "sockets").build());
        let builder = Ringress::on(driver).manifest("all.json", file(objects)).flag("--drain-timeout=120s");
        let ringress = builder.start();
        let time = seconds().to_string();
        let wrk = start(
            Command::new("wrk")
                .args(["-t1", "-c32", "-d", "600s", "-H", "Host: a.test"])
                .arg(format!("http://{}/", ringress.http)),
        );
        let target = format!("--connect-to={}", ringress.https);
        let mut h2load = Command::new("h2load");
        h2load.args(["-t1", "-m8", "-c", &H2_CONNECTIONS.to_string(), "-D", &time, &target, "https://a.test/"]);
        let h2load = start(&mut h2load);
        let bench = std::env::var_os("RINGRESS_BENCH_BIN").expect("RINGRESS_BENCH_BIN names the bench");
        let tls = start(
            Command::new(bench)
                .args(["load", "--json", "--tls", "--host=a.test", "--warmup=0", "--connections=16"])
                .args(["--target", &ringress.https.to_string(), "--seconds", &time]),
        );
        let mut tunnels = Vec::new();
        for round in 0..rounds() {
            std::thread::sleep(PAUSE);
            tunnels.push(tunnel::open(ringress.http));
            ringress.upgrade().unwrap_or_else(|why| panic!("round {round}: {why}"));
            for tunnel in &mut tunnels {
                tunnel::round_trip(tunnel, b"still here").expect("the tunnel lives");
            }
        }
        std::thread::sleep(PAUSE);
        kill_process(Pid::from_child(&wrk), Signal::INT).expect("end wrk");
        let text = report(wrk);
        assert!(text.contains("Requests/sec:"), "no report");
        assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "requests failed:\n{text}");
        judge_h2load(&report(h2load));
        let figures: Value = serde_json::from_str(&report(tls)).expect("JSON");
        for failure in ["failed_status", "failed_connect", "failed_timeout", "malformed", "closed_unannounced"] {
            assert_eq!(figures[failure].as_u64(), Some(0), "{failure}: {figures}");
        }
    });
}

/// The process that `unshare` has started, by its number outside.
fn inner(outer: u32) -> Pid {
    let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).expect("its children");
    let number = children.split_whitespace().next().and_then(|number| number.parse().ok());
    number.and_then(Pid::from_raw).unwrap_or_else(|| panic!("a child of {outer}: {children:?}"))
}

/// A container ends with its first process, so that one must not hand over and go.
#[test]
fn the_first_process_of_a_container_refuses_an_upgrade_and_serves_on() {
    on_each_driver(|driver| {
        let nginx = Nginx::start(1);
        let mut objects = service("origin", &nginx.servers);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver)
            .through(&["unshare", "--pid", "--fork", "--kill-child"])
            .manifest("all.json", file(objects))
            .start();
        let first = inner(ringress.pid());
        let why = ringress.upgrade().expect_err("it is the first process");
        assert!(why.contains("first of its container") && why.contains("replace the container instead"), "{why}");
        kill_process(first, Signal::USR2).expect("a signal");
        eventually("the signal is refused as well", || ringress.metric("ringress_upgrades_failed_total") == 2.0);
        ringress.wait_logged("first of its container");
        assert_eq!(inner(ringress.pid()), first);
        assert_eq!(ringress.get("a.test", "/").status, 200);
        // unshare(1) itself minds no signal but this one's consequence.
        kill_process(first, Signal::KILL).expect("its end");
    });
}
