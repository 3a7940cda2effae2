//! The end of the process: what runs is finished, what waits is told, and it does not take for ever.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{self, Connection};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::{eventually, within};

/// Answers `/slow` only when told to, everything else at once.
fn held() -> (Origin, std::sync::mpsc::SyncSender<()>) {
    let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::with(move |request, peer| {
        if request.target == "/slow" {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")?;
            wait.lock().expect("one slow request").recv().map_err(io::Error::other)?;
            peer.send(b"ow")?;
        } else {
            peer.answer(200, &[], b"fast")?;
        }
        Ok(Next::Keep)
    });
    (origin, go_on)
}

fn in_front_of(driver: Driver, origin: &Origin, flags: &[&str]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    let builder = Ringress::on(driver).manifest("all.json", file(objects));
    flags.iter().fold(builder, |builder, &flag| builder.flag(flag)).start()
}

#[test]
fn a_drain_finishes_what_runs_and_ends_with_success() {
    on_each_driver(|driver| {
        let (origin, go_on) = held();
        let mut ringress = in_front_of(driver, &origin, &["--drain-timeout=30s"]);
        let mut running = Connection::plain(ringress.http).expect("connect");
        let mut idle = Connection::plain(ringress.http).expect("connect");
        assert_eq!(idle.get("a.test", "/").expect("an answer").status, 200);
        running.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(running.head().expect("a head").0, 200);
        ringress.signal(Signal::TERM);
        eventually("idle connections are closed", || idle.is_closed());
        assert!(ringress.ended().is_none(), "a request still runs");
        go_on.send(()).expect("the origin waits");
        let mut body = [0; 4];
        running.read_exact(&mut body).expect("the whole answer");
        assert_eq!(&body, b"slow");
        eventually("the process ends", || ringress.ended().is_some());
        assert_eq!(ringress.ended().and_then(|status| status.code()), Some(0), "{}", ringress.log());
        assert!(!ringress.log().contains("WARN"), "nothing went wrong:\n{}", ringress.log());
    });
}

#[test]
fn a_draining_instance_is_not_ready_and_takes_no_new_connections() {
    on_each_driver(|driver| {
        let (origin, go_on) = held();
        let ringress = in_front_of(driver, &origin, &["--drain-timeout=30s"]);
        let mut running = Connection::plain(ringress.http).expect("connect");
        running.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(running.head().expect("a head").0, 200);
        ringress.signal(Signal::TERM);
        eventually("/readyz is 503", || {
            client::try_once(ringress.health, "GET", "localhost", "/readyz").is_ok_and(|answer| answer.status == 503)
        });
        eventually("new connections are refused", || Connection::plain(ringress.http).is_err());
        go_on.send(()).expect("the origin waits");
    });
}

#[test]
fn a_drain_is_bounded_and_a_second_signal_ends_it_at_once() {
    on_each_driver(|driver| {
        for (flag, signals) in [("--drain-timeout=1s", 1), ("--drain-timeout=60s", 2)] {
            let (origin, _never) = held();
            let mut ringress = in_front_of(driver, &origin, &[flag]);
            let mut running = Connection::plain(ringress.http).expect("connect");
            running.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
            assert_eq!(running.head().expect("a head").0, 200);
            let started = Instant::now();
            for _ in 0..signals {
                ringress.signal(Signal::TERM);
                // Two signals at the same moment are one.
                within(Duration::from_millis(200), || false);
            }
            eventually("the process ends", || ringress.ended().is_some());
            assert!(started.elapsed() < Duration::from_secs(5), "{flag}: {:?}", started.elapsed());
        }
    });
}
