//! More clients than there is room for: nothing ends, nothing spins, the operator is always answered, and it passes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::client::{self, Connection};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Builder, Driver, Ringress, on_each_driver};
use crate::support::{PATIENCE, eventually, within};

const DESCRIPTORS: usize = 200;
/// Requests at a time, more than the upstream connections that are kept.
const BURST: usize = 6;
/// More than there are descriptors.
const CLIENTS: usize = 400;

fn in_front_of(driver: Driver, origin: &Origin) -> Builder {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    Ringress::on(driver).manifest("all.json", file(objects))
}

/// CPU time used so far.
fn cpu(ringress: &Ringress) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", ringress.pid())).expect("its /proc entry");
    let (_, rest) = stat.rsplit_once(')').expect("fields behind the name");
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

#[test]
fn a_crowd_of_slow_clients_leaves_descriptors_for_the_operator_and_passes() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let few = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"");
        let mut ringress = in_front_of(driver, &origin).through(&["sh", "-c", &few]).start();
        let begun = |_| {
            let mut socket = TcpStream::connect(ringress.http).expect("the system's queue takes it");
            // A head that never ends; one that was refused may be closed already.
            let _refused = socket.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nX: ");
            socket
        };
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(begun).collect();
        eventually("some are refused", || ringress.metric("ringress_refused_total") > 0.0);
        let (before, window) = (cpu(&ringress), Duration::from_millis(500));
        within(window, || false);
        let used = cpu(&ringress) - before;
        assert!(used < window / 2, "it does not spin: {used:?} in {window:?}");
        for path in ["/healthz", "/readyz"] {
            assert_eq!(client::once(ringress.health, "GET", "localhost", path).status, 200, "{path}");
        }
        let refused = clients.iter_mut().find_map(|socket| {
            socket.set_nonblocking(true).expect("set up");
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).ok().map(|()| answer)
        });
        assert_eq!(refused.as_ref().map(<[u8; 12]>::as_slice), Some(b"HTTP/1.1 503".as_slice()));
        drop(clients);
        eventually("it serves again", || {
            client::try_once(ringress.http, "GET", "a.test", "/").is_ok_and(|answer| answer.status == 200)
        });
        ringress.assert_alive();
    });
}

#[test]
fn at_the_ceiling_the_longest_idle_gives_way_and_busy_ones_do_not() {
    on_each_driver(|driver| {
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let origin = Origin::with(move |request, peer| {
            if request.target == "/slow" {
                let _never_sent = wait.lock().expect("one at a time").recv_timeout(PATIENCE);
            }
            peer.answer(200, &[], b"ok").map(|()| Next::Keep)
        });
        let ringress = in_front_of(driver, &origin)
            .workers(1)
            .flag("--configmap=default/options")
            .manifest("options.json", file([options(&[("max-worker-connections", "3")])]))
            .start();
        let connect = || Connection::plain(ringress.http).expect("connect");
        let mut idle = [connect(), connect(), connect()];
        for connection in &mut idle {
            assert_eq!(connection.get("a.test", "/").expect("an answer").status, 200);
        }
        eventually("all are parked", || ringress.metric("ringress_connections_idle") == 3.0);
        let mut fourth = connect();
        assert_eq!(fourth.get("a.test", "/").expect("room was made").status, 200);
        assert_eq!(ringress.metric("ringress_connections_reclaimed_total"), 1.0);
        drop((idle, fourth));
        eventually("all are gone", || ringress.metric("ringress_connections") == 0.0);
        let mut busy = [connect(), connect(), connect()];
        for connection in &mut busy {
            connection.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        }
        eventually("all are open", || ringress.metric("ringress_connections") == 3.0);
        assert_eq!(connect().head().expect("an answer").0, 503);
        drop(go_on);
        for connection in &mut busy {
            assert_eq!(connection.response(false).expect("an answer").status, 200, "what runs is not touched");
        }
    });
}

#[test]
fn a_burst_comes_back_to_its_upstream_connections_and_leaves_no_more_than_the_bound() {
    on_each_driver(|driver| {
        let together = std::sync::Barrier::new(BURST);
        let origin = Origin::with(move |_, peer| {
            together.wait();
            peer.answer(200, &[], b"ok").map(|()| Next::Keep)
        });
        let ringress = in_front_of(driver, &origin)
            .workers(1)
            .flag("--configmap=default/options")
            .manifest("options.json", file([options(&[("upstream-keepalive-connections", "2")])]))
            .start();
        let burst = || {
            let address = ringress.http;
            let ask = move || assert_eq!(client::once(address, "GET", "a.test", "/").status, 200);
            std::thread::scope(|scope| (0..BURST).for_each(|_| drop(scope.spawn(ask))));
        };
        // A sweep may come between two bursts, but not between all of them.
        eventually("a burst opens nothing", || {
            let before = origin.connections();
            burst();
            origin.connections() == before
        });
        eventually("the bound holds", || ringress.metric("ringress_upstream_idle") == 2.0);
    });
}
