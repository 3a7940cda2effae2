//! Limits of a Service: what is beyond is refused at once, and what is within is not touched.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::{self, Connection, Response};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{BlackHole, Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

fn serving(driver: Driver, workers: usize, endpoints: &[SocketAddr], own: &[(&str, &str)]) -> Ringress {
    let mut objects = service("web", endpoints);
    let mut rule = ingress("a").annotation("proxy-connect-timeout", "1").prefix("a.test", "/", "web").build();
    for (name, value) in own {
        rule["metadata"]["annotations"][format!("ringress.io/{name}")] = json!(value);
    }
    objects.push(rule);
    Ringress::on(driver).workers(workers).manifest("all.json", file(objects)).start()
}

fn metric(ringress: &Ringress, name: &str) -> f64 {
    let text = client::once(ringress.health, "GET", "localhost", "/metrics").text();
    let values = text.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Answers each request once it is told to.
fn held() -> (Origin, SyncSender<()>) {
    let (go_on, wait): (_, Receiver<()>) = sync_channel(0);
    let wait = Arc::new(Mutex::new(wait));
    let origin = Origin::with(move |request, peer| {
        peer.read_body(request)?;
        wait.lock().expect("no panic").recv().map_err(std::io::Error::other)?;
        peer.answer(200, &[], b"held")?;
        Ok(Next::Keep)
    });
    (origin, go_on)
}

fn get(http: SocketAddr) -> Response {
    let mut client = Connection::plain(http).expect("connect");
    client.get("a.test", "/").expect("an answer")
}

#[test]
fn requests_beyond_the_limit_are_refused_at_once_and_those_within_are_served() {
    on_each_driver(|driver| {
        for (name, overflow) in [
            ("max-requests", "ringress_overflow_requests_total"),
            ("max-connections", "ringress_overflow_connections_total"),
        ] {
            let (origin, go_on) = held();
            let ringress = serving(driver, 1, &[origin.address], &[(name, "2")]);
            std::thread::scope(|scope| {
                let within: Vec<_> = (0..2).map(|_| scope.spawn(|| get(ringress.http).status)).collect();
                eventually("both are there", || origin.received().len() == 2);
                let began = Instant::now();
                assert_eq!(get(ringress.http).status, 503, "{name}");
                assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
                (0..2).for_each(|_| go_on.send(()).expect("a request that waits"));
                for request in within {
                    assert_eq!(request.join().expect("a client"), 200, "{name}");
                }
            });
            assert_eq!((origin.received().len(), metric(&ringress, overflow)), (2, 1.0), "{name}");
            std::thread::scope(|scope| {
                let after = scope.spawn(|| get(ringress.http).status);
                go_on.send(()).expect("a request that waits");
                assert_eq!(after.join().expect("a client"), 200, "{name}: there is room again");
            });
        }
    });
}

#[test]
fn a_kept_connection_makes_room_for_one_to_another_endpoint() {
    on_each_driver(|driver| {
        let origins = [Origin::named("one"), Origin::named("two")];
        let addresses = origins.each_ref().map(|origin| origin.address);
        let ringress = serving(driver, 1, &addresses, &[("max-connections", "1")]);
        let names: Vec<_> = (0..10).map(|_| get(ringress.http).text()).collect();
        assert!(names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()), "{names:?}");
        assert_eq!(metric(&ringress, "ringress_overflow_connections_total"), 0.0);
    });
}

#[test]
fn requests_that_wait_for_a_connection_are_bounded() {
    on_each_driver(|driver| {
        let hole = BlackHole::new();
        let ringress = serving(driver, 1, &[hole.address], &[("max-pending-requests", "1"), ("retry-budget", "0")]);
        let statuses = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| get(ringress.http).status)).collect();
            let mut statuses: Vec<_> = asked.into_iter().map(|client| client.join().expect("a client")).collect();
            statuses.sort_unstable();
            statuses
        });
        assert_eq!(statuses, [503, 503, 503, 504]);
        assert_eq!(metric(&ringress, "ringress_overflow_pending_total"), 3.0);
    });
}
