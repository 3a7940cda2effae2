//! Changes while clients are being served: no request fails, no connection is closed unannounced.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::certificates::Certificate;
use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::tunnel;

const CHANGES: usize = 40;

/// What a client thread saw until it was stopped.
struct Seen {
    requests: usize,
    failures: Vec<String>,
}

/// A client that goes on asking until `stop`, on one connection while it lasts.
fn client(http: SocketAddr, https: SocketAddr, tls: bool, stop: Arc<AtomicBool>) -> JoinHandle<Seen> {
    std::thread::spawn(move || {
        let mut seen = Seen { requests: 0, failures: Vec::new() };
        let open = || if tls { Connection::tls(https, Some("a.test")) } else { Connection::plain(http) };
        let mut connection = None;
        while !stop.load(Ordering::SeqCst) {
            let outcome = match connection.take().map_or_else(open, Ok) {
                Ok(mut open) => open.get("a.test", "/").map(|answer| (open, answer)),
                Err(error) => Err(error),
            };
            seen.requests += 1;
            match outcome {
                Ok((open, answer)) => {
                    if answer.status != 200 {
                        seen.failures.push(format!("request {}: {}", seen.requests, answer.status));
                    }
                    connection = (!answer.closes()).then_some(open);
                }
                Err(error) => seen.failures.push(format!("request {}: {error}", seen.requests)),
            }
        }
        seen
    })
}

#[test]
fn a_storm_of_changes_fails_no_request_and_cuts_no_connection() {
    on_each_driver(|driver| {
        let origins = [Origin::named("first"), Origin::named("second"), Origin::named("third")];
        let sockets = tunnel::echo();
        let site = |turn: usize| {
            // The pair of endpoints moves round: one stays, one is replaced.
            let endpoints = [origins[turn % 3].address, origins[(turn + 1) % 3].address];
            let mut objects = service("origin", &endpoints);
            objects.extend(service("sockets", &[sockets.address]));
            let a = ingress("a").without_redirect().annotation("proxy-read-timeout", &(30 + turn).to_string());
            objects.push(
                a.tls("a.test", "cert").prefix("a.test", "/", "origin").prefix("a.test", "/ws", "sockets").build(),
            );
            objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
            if turn.is_multiple_of(2) {
                objects.push(ingress("b").prefix("b.test", "/", "origin").build());
            }
            file(objects)
        };
        let ringress = Ringress::on(driver).workers(2).manifest("site.json", site(0)).start();
        let mut tunnel = tunnel::open(ringress.http);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> =
            [false, false, true].map(|tls| client(ringress.http, ringress.https, tls, Arc::clone(&stop))).into();
        for turn in 1..=CHANGES {
            ringress.apply("site.json", site(turn));
            tunnel::round_trip(&mut tunnel, b"still here").expect("the tunnel lives");
        }
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            let seen = client.join().expect("a client");
            assert!(seen.requests > CHANGES, "{} requests are no load", seen.requests);
            assert!(seen.failures.is_empty(), "of {}: {:?}", seen.requests, seen.failures);
        }
        for origin in &origins {
            assert!(!origin.received().is_empty(), "every endpoint had its turn");
        }
    });
}
