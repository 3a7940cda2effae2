//! Faults of endpoints under load, with their bounds:
//!
//! | fault | requests that may be repeated | bound |
//! |---|---|---|
//! | 10 of 20 endpoints are killed | < 0.1 % fail beyond those in flight on them | none after a second |
//! | half of the endpoints hang | none fails | each endpoint costs `max-fails` waits of a try on each core |
//! | an endpoint comes and goes | none fails | |
//! | an endpoint resets in the middle of a body | the response is seen to be cut | others are not touched |
//!
//! And 64 connections on two workers are served evenly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver};
use crate::support::web::serving;
use crate::support::{PATIENCE, within};

/// Answers until it is killed: then its port refuses, and each connection ends without another word.
struct Killable {
    origin: Option<Origin>,
    dead: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Killable {
    fn new() -> Self {
        let dead = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&dead);
        let origin = Origin::with(move |request, peer| {
            peer.read_body(request)?;
            if flag.load(Ordering::SeqCst) {
                peer.reset()?;
                return Ok(Next::Close);
            }
            peer.answer(200, &[], b"alive")?;
            Ok(Next::Keep)
        });
        Self { address: origin.address, origin: Some(origin), dead }
    }

    fn kill(&mut self) {
        self.dead.store(true, Ordering::SeqCst);
        self.origin = None;
    }
}

/// What clients on kept connections saw until they were stopped: when each failure came, and how many were served.
struct Seen {
    failures: Vec<(Instant, String)>,
    served: usize,
}

/// Runs `clients` that ask all the time, and meanwhile `fault`, which gets the number of requests so far.
fn under_load(ringress: &Ringress, clients: usize, fault: impl FnOnce(&AtomicUsize)) -> Seen {
    let (stop, served, http) = (AtomicBool::new(false), AtomicUsize::new(0), ringress.http);
    let ask = || {
        let mut failures = Vec::new();
        let mut connection = None;
        while !stop.load(Ordering::SeqCst) {
            let asked = connection.take().map_or_else(|| Connection::plain(http), Ok).and_then(|mut client| {
                let answer = client.get("a.test", "/")?;
                let next = (!answer.closes()).then_some(client);
                Ok((answer.status, next))
            });
            match asked {
                Ok((200, next)) => connection = next,
                Ok((status, next)) => {
                    failures.push((Instant::now(), status.to_string()));
                    connection = next;
                }
                Err(error) => failures.push((Instant::now(), error.to_string())),
            }
            served.fetch_add(1, Ordering::SeqCst);
        }
        failures
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
        fault(&served);
        stop.store(true, Ordering::SeqCst);
        let failures = running.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        Seen { failures, served: served.load(Ordering::SeqCst) }
    })
}

fn goes_on(served: &AtomicUsize, requests: usize) {
    let goal = served.load(Ordering::SeqCst) + requests;
    assert!(within(3 * PATIENCE, || served.load(Ordering::SeqCst) >= goal), "the clients hang");
}

#[test]
fn ten_of_twenty_endpoints_are_killed_and_a_thousandth_fails_at_most() {
    const CLIENTS: usize = 8;
    on_each_driver(|driver| {
        let mut endpoints: Vec<_> = (0..20).map(|_| Killable::new()).collect();
        let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address).collect();
        let ringress = serving(driver, 2, &addresses, &[]);
        let mut settled = None;
        let seen = under_load(&ringress, CLIENTS, |served| {
            goes_on(served, 1000);
            endpoints[..10].iter_mut().for_each(Killable::kill);
            let at = Instant::now();
            assert!(within(PATIENCE, || at.elapsed() > Duration::from_secs(1)));
            // A busy machine may not have come to every dead one in that time.
            goes_on(served, 500);
            settled = Some(Instant::now());
            goes_on(served, 1000);
        });
        let Seen { failures, served } = seen;
        let beyond = failures.len().saturating_sub(CLIENTS);
        assert!(beyond * 1000 < served, "{} of {served} failed: {failures:?}", failures.len());
        let late = |at: &Instant| settled.is_some_and(|settled| *at > settled);
        assert!(!failures.iter().any(|(at, _)| late(at)), "{failures:?}");
    });
}

#[test]
fn an_endpoint_that_comes_and_goes_under_load_costs_no_request() {
    on_each_driver(|driver| {
        let flag = Arc::new(AtomicBool::new(false));
        let dead = Arc::clone(&flag);
        let flapping = Origin::with(move |request, peer| {
            peer.read_body(request)?;
            if dead.load(Ordering::SeqCst) {
                peer.reset()?;
                return Ok(Next::Close);
            }
            peer.answer(200, &[], b"flapping")?;
            Ok(Next::Keep)
        });
        let good = [Origin::named("good"), Origin::named("good")];
        let addresses = [good[0].address, flapping.address, good[1].address];
        let ringress = serving(driver, 2, &addresses, &[("max-fails", "3"), ("fail-timeout", "1")]);
        let seen = under_load(&ringress, 4, |served| {
            for turn in 0..10 {
                flag.store(turn % 2 == 0, Ordering::SeqCst);
                goes_on(served, 200);
            }
        });
        assert!(seen.failures.is_empty(), "{:?} of {}", seen.failures, seen.served);
    });
}

#[test]
fn hung_endpoints_cost_a_few_slow_requests_and_then_none() {
    on_each_driver(|driver| {
        let hung = || {
            Origin::with(|_, peer| {
                let _until_the_proxy_gives_up = peer.receive(&mut [0; 16]);
                Ok(Next::Close)
            })
        };
        let (good, hung) = ([Origin::named("good"), Origin::named("good")], [hung(), hung()]);
        let addresses = [good[0].address, hung[0].address, good[1].address, hung[1].address];
        let own = [("per-try-timeout", "1s"), ("max-fails", "2"), ("fail-timeout", "60")];
        let ringress = serving(driver, 2, &addresses, &own);
        for _ in 0..60 {
            let began = Instant::now();
            assert_eq!(ringress.get("a.test", "/").text(), "good");
            let took = began.elapsed();
            assert!(took < PATIENCE, "{took:?}");
        }
        // Two endpoints, two failures each, on each of two workers.
        let asked: usize = hung.iter().map(|origin| origin.received().len()).sum();
        assert!((1..=8).contains(&asked), "{asked} requests reached the hung ones");
    });
}

#[test]
fn a_response_whose_endpoint_resets_is_cut_and_the_next_one_is_whole() {
    on_each_driver(|driver| {
        let heads = ["Content-Length: 100000", "Transfer-Encoding: chunked"];
        let (turn, pieces) = (AtomicUsize::new(0), [b"x".repeat(1000), b"3e8\r\n".to_vec()]);
        let resetting = Origin::with(move |request, peer| {
            if request.target == "/whole" {
                peer.answer(200, &[], b"whole")?;
                return Ok(Next::Keep);
            }
            let kind = turn.fetch_add(1, Ordering::SeqCst) % 2;
            peer.send(format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", heads[kind]).as_bytes())?;
            peer.send(&pieces[kind])?;
            // What was sent is to be on its way before the reset overtakes it.
            let _nothing_comes = peer.is_closed_within(Duration::from_millis(50))?;
            peer.reset()?;
            Ok(Next::Close)
        });
        let ringress = serving(driver, 2, &[resetting.address], &[]);
        for turn in 0..6 {
            let mut client = Connection::plain(ringress.http).expect("connect");
            assert!(client.get("a.test", "/cut").is_err(), "{turn}: taken for a whole response");
            assert_eq!(ringress.get("a.test", "/whole").text(), "whole", "{turn}");
        }
        let text = ringress.metrics();
        let ejected = text.lines().filter(|line| line.starts_with("ringress_endpoint_ejections_total{"));
        assert!(ejected.clone().all(|line| line.ends_with(" 0")), "{:?}", ejected.collect::<Vec<_>>());
    });
}

#[test]
fn sixty_four_kept_connections_are_served_evenly_by_two_workers() {
    on_each_driver(|driver| {
        let origin = Origin::named("web");
        let ringress = serving(driver, 2, &[origin.address], &[]);
        let clients: Vec<_> = (0..64).map(|_| Connection::plain(ringress.http).expect("connect")).collect();
        let mut chunks: Vec<Vec<Connection>> = Vec::new();
        for (at, client) in clients.into_iter().enumerate() {
            if at % 8 == 0 {
                chunks.push(Vec::new());
            }
            chunks.last_mut().expect("a chunk").push(client);
        }
        std::thread::scope(|scope| {
            for mut chunk in chunks {
                scope.spawn(move || {
                    for _ in 0..20 {
                        for client in &mut chunk {
                            assert_eq!(client.get("a.test", "/").expect("an answer").status, 200);
                        }
                    }
                });
            }
        });
        let text = ringress.metrics();
        let of = |worker: usize| -> f64 {
            let name = format!("ringress_requests_total{{worker=\"{worker}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).expect("a number")
        };
        let (one, two) = (of(0), of(1));
        assert!(one + two >= 1280.0, "{one} + {two}");
        assert!(one.max(two) <= 1.2 * one.min(two), "{one} against {two}");
    });
}
