//! Probes, scrapes and the webhook are answered however many connections of others lie there.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ringress_sync::testkit::fixtures;

use crate::cluster::{review, with_webhook};
use crate::support::client::{self, connect};
use crate::support::origin::Origin;
use crate::support::process::{HeldPort, Ringress, on_each_driver, own_address};
use crate::support::web::cluster;

/// More than the places of a listener and its queue in the kernel, also without those that are no TLS.
const CROWD: usize = 500;

/// One asks so often while the crowd comes.
const PROBE_EVERY: usize = 25;

/// A kubelet waits for so long.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Idle connections, half of them within their first head; `ask` is answered in time throughout.
fn with_a_crowd(address: SocketAddr, ask: impl Fn() -> Result<(), String>) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut stream = connect(address).expect("the port takes connections");
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: lo").expect("half a head");
        }
        crowd.push(stream);
        if number % PROBE_EVERY == 0 || number + 1 == CROWD {
            let began = Instant::now();
            let outcome = ask();
            let took = began.elapsed();
            assert_eq!(outcome, Ok(()), "after {number} connections");
            assert!(took < PROBE_TIMEOUT, "{took:?} after {number} connections");
        }
    }
    crowd
}

fn asked(address: SocketAddr, path: &str) -> Result<(), String> {
    match client::try_once(address, "GET", "localhost", path) {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{path}: {other:?}")),
    }
}

#[test]
fn a_crowd_of_idle_connections_keeps_no_probe_and_no_scrape_waiting() {
    on_each_driver(|driver| {
        let ringress = Ringress::on(driver).start();
        let paths = ["/healthz", "/readyz", "/metrics"];
        let health = with_a_crowd(ringress.health, || paths.iter().try_for_each(|path| asked(ringress.health, path)));
        let admin = with_a_crowd(ringress.admin, || asked(ringress.admin, "/api/status"));
        let metrics = ringress.metrics();
        for listener in ["health", "admin"] {
            let row = format!("ringress_admin_connections_reclaimed_total{{listener=\"{listener}\"}} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&row)).expect("the row");
            let closed: usize = value.parse().expect("a number");
            assert!((CROWD - 64..2 * CROWD).contains(&closed), "{listener}: {closed}");
        }
        drop((health, admin));
    });
}

#[test]
fn a_crowd_of_idle_connections_keeps_no_question_to_the_webhook_waiting() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("origin"), tempfile::tempdir().expect("a folder"));
        let (server, port) = (cluster(&origin), HeldPort::of(own_address()));
        let ringress = with_webhook(driver, &server, &folder, port.address);
        let good = fixtures::ingress("default", "new", "new.test");
        let crowd = with_a_crowd(port.address, || review(port.address, &good, true));
        assert!(ringress.metric("ringress_admin_connections_reclaimed_total") > 0.0);
        drop(crowd);
    });
}
