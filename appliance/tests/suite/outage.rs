//! Endpoints that die, hang or come and go: what clients see of it, and how soon it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Connection;
use crate::support::origin::{BlackHole, Next, Origin};
use crate::support::process::on_each_driver;
use crate::support::web::{manifest, serving};
use crate::support::{PATIENCE, within};

/// Answers until it is told to be dead; then it ends every connection without a word.
struct Mortal {
    origin: Origin,
    dead: Arc<AtomicBool>,
}

impl Mortal {
    fn new() -> Self {
        let (origin, dead) = Origin::mortal();
        Self { origin, dead }
    }

    fn set_dead(&self, dead: bool) {
        self.dead.store(dead, Ordering::SeqCst);
    }
}

#[test]
fn half_of_the_endpoints_die_under_load_and_at_most_what_was_in_flight_fails() {
    on_each_driver(|driver| {
        let mortals: Vec<_> = (0..10).map(|_| Mortal::new()).collect();
        let addresses: Vec<_> = mortals.iter().map(|mortal| mortal.origin.address).collect();
        let ringress = serving(driver, 1, &addresses, &[]);
        let (failed, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut client = Connection::plain(ringress.http).expect("connect");
                    for _ in 0..200 {
                        let answer = client.get("a.test", "/").expect("an answer");
                        served.fetch_add(1, Ordering::SeqCst);
                        failed.fetch_add(usize::from(answer.status != 200), Ordering::SeqCst);
                    }
                });
            }
            assert!(within(PATIENCE, || served.load(Ordering::SeqCst) > 200));
            mortals[..5].iter().for_each(|mortal| mortal.set_dead(true));
        });
        let failed = failed.load(Ordering::SeqCst);
        assert!(failed <= 4, "{failed} of {} failed", served.load(Ordering::SeqCst));
        let ejections = ringress.metric("ringress_endpoint_ejections_total");
        assert!(ejections >= 5.0, "{ejections} ejections");
        let before: usize = mortals[..5].iter().map(|mortal| mortal.origin.received().len()).sum();
        (0..50).for_each(|_| assert_eq!(ringress.get("a.test", "/").status, 200));
        let after: usize = mortals[..5].iter().map(|mortal| mortal.origin.received().len()).sum();
        assert!(after - before <= 5, "the dead are left alone: {} requests", after - before);
    });
}

#[test]
fn black_holes_cost_a_few_slow_requests_and_then_none() {
    on_each_driver(|driver| {
        let good = [Origin::named("good"), Origin::named("good")];
        let holes = [BlackHole::new(), BlackHole::new()];
        let addresses = [good[0].address, holes[0].address, good[1].address, holes[1].address];
        let ringress = serving(driver, 1, &addresses, &[("max-fails", "1"), ("fail-timeout", "60")]);
        let mut slow = 0;
        for _ in 0..40 {
            let started = Instant::now();
            assert_eq!(ringress.get("a.test", "/").text(), "good");
            slow += usize::from(started.elapsed() > Duration::from_millis(800));
        }
        assert!(slow <= 2, "{slow} slow requests");
        assert!(ringress.metric("ringress_endpoint_ejections_total") >= 1.0);
    });
}

#[test]
fn an_endpoint_that_comes_back_is_used_again() {
    on_each_driver(|driver| {
        let (good, mortal) = (Origin::named("good"), Mortal::new());
        let addresses = [good.address, mortal.origin.address];
        let ringress = serving(driver, 1, &addresses, &[("max-fails", "2"), ("fail-timeout", "1")]);
        mortal.set_dead(true);
        (0..20).for_each(|_| assert_eq!(ringress.get("a.test", "/").text(), "good"));
        assert!(mortal.origin.received().len() <= 4, "{} requests to the dead one", mortal.origin.received().len());
        mortal.set_dead(false);
        let is_back = || ringress.get("a.test", "/").text() == "alive";
        assert!(within(PATIENCE, is_back), "not used again");
        let share = (0..20).filter(|_| ringress.get("a.test", "/").text() == "alive").count();
        assert!((8..=12).contains(&share), "{share} of 20");
    });
}

#[test]
fn an_endpoint_that_fails_now_and_then_costs_no_request_and_is_not_passed_over() {
    on_each_driver(|driver| {
        let turn = AtomicUsize::new(0);
        let flapping = Origin::with(move |request, peer| {
            peer.read_body(request)?;
            if turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                return Ok(Next::Close);
            }
            peer.answer(200, &[("Connection", "close")], b"flapping")?;
            Ok(Next::Close)
        });
        let good = Origin::named("good");
        let ringress = serving(driver, 1, &[flapping.address, good.address], &[]);
        (0..60).for_each(|_| assert_eq!(ringress.get("a.test", "/").status, 200));
        assert!(ringress.metric("ringress_endpoint_ejections_total") < 1.0);
    });
}

#[test]
fn an_outage_is_not_amplified_by_further_attempts() {
    on_each_driver(|driver| {
        let dead: Vec<_> = (0..3).map(|_| Mortal::new()).collect();
        dead.iter().for_each(|mortal| mortal.set_dead(true));
        let addresses: Vec<_> = dead.iter().map(|mortal| mortal.origin.address).collect();
        let ringress = serving(driver, 1, &addresses, &[("retry-budget", "10")]);
        let started = Instant::now();
        let mut client = Connection::plain(ringress.http).expect("connect");
        for _ in 0..300 {
            assert_eq!(client.get("a.test", "/").expect("an answer").status, 502);
        }
        let attempts: usize = dead.iter().map(|mortal| mortal.origin.received().len()).sum();
        // The requests, their ten percent, the reserve and what came back to it.
        let allowed = 300 + 30 + 10 + 10 * (started.elapsed().as_secs() as usize + 1);
        assert!((330..=allowed).contains(&attempts), "{attempts} attempts, {allowed} allowed");
        assert!(ringress.metric("ringress_retries_unpaid_total") > 0.0);
    });
}

#[test]
fn an_endpoint_that_is_passed_over_is_named_with_its_service_and_let_go_when_that_is_asked_for() {
    on_each_driver(|driver| {
        let (good, mortal) = (Origin::named("good"), Mortal::new());
        let addresses = [good.address, mortal.origin.address];
        let ringress = serving(driver, 1, &addresses, &[("max-fails", "2"), ("fail-timeout", "600")]);
        mortal.set_dead(true);
        (0..10).for_each(|_| assert_eq!(ringress.get("a.test", "/").text(), "good"));
        ringress.wait_logged("endpoint is passed over");
        let log = ringress.log();
        let line = log.lines().find(|line| line.contains("endpoint is passed over")).expect("it was logged");
        assert!(line.contains("default-web-80") && line.contains(&mortal.origin.address.to_string()), "{line}");
        let ejected = || ringress.api("/api/clusters")["clusters"][0]["ejected"].clone();
        assert!(within(PATIENCE, || ejected() == json!([mortal.origin.address.to_string()])), "{}", ejected());
        mortal.set_dead(false);
        (0..10).for_each(|_| assert_eq!(ringress.get("a.test", "/").text(), "good"));
        ringress.apply("all.json", manifest(&addresses, &[("max-fails", "0"), ("fail-timeout", "600")]));
        let share = (0..10).filter(|_| ringress.get("a.test", "/").text() == "alive").count();
        assert_eq!(share, 5);
        assert!(within(PATIENCE, || ejected() == json!([])), "{}", ejected());
    });
}
