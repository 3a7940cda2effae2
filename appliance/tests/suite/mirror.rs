//! Copies of requests: they arrive as they should, and nobody waits for them.

use std::time::Duration;

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin, refusing_address};
use crate::support::process::{Driver, Ringress, on_each_driver};

fn mirroring(driver: Driver, origin: &Origin, annotations: &[(&str, &str)]) -> Ringress {
    let web = annotations.iter().fold(ingress("web"), |web, (name, value)| web.annotation(name, value));
    let mut all = service("one", &[origin.address]);
    // The annotations of a mirror are of high risk, as in ingress-nginx.
    all.extend([web.prefix("a.test", "/", "one").build(), options(&[("annotations-risk-level", "High")])]);
    Ringress::on(driver).workers(1).manifest("all.json", file(all)).flag("--configmap=default/options").start()
}

fn counted(ringress: &Ringress, name: &str) -> u64 {
    ringress.metric(name) as u64
}

#[test]
fn each_request_is_copied_whole_and_the_answer_to_the_copy_is_nobodys() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let copies = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(500, &[("X-Copy", "1")], &[b'x'; 100_000])?;
            Ok(Next::Close)
        });
        let target = format!("http://{}/copy$request_uri", copies.address);
        let ringress = mirroring(driver, &origin, &[("mirror-target", &target)]);
        let mut connection = Connection::plain(ringress.http).expect("connect");
        let fields =
            [("X-Request-ID", "mine"), ("X-Forwarded-For", "6.6.6.6"), ("Connection", "x-hop"), ("X-Hop", "1")];
        let answer = connection.request("POST", "a.test", "/x%20y?q=1", &fields, b"the body").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str(), answer.header("x-copy")), (200, "one", None));
        eventually("the copy arrives", || copies.received().first().is_some_and(|copy| copy.body == b"the body"));
        let copy = copies.received()[0].clone();
        assert_eq!((copy.method.as_str(), copy.target.as_str()), ("POST", "/copy/x%20y?q=1"));
        assert_eq!(copy.header("host"), Some(copies.address.ip().to_string().as_str()));
        assert_eq!((copy.header("x-request-id"), copy.header("connection")), (Some("mine"), Some("close")));
        assert_eq!(copy.header("x-hop"), None);
        assert_ne!(copy.header("x-forwarded-for"), Some("6.6.6.6"));
        assert_eq!(counted(&ringress, "ringress_mirrored_total"), 1);
        // What is refused before an upstream is asked is not copied either.
        assert_eq!(ringress.get("missing.test", "/").status, 404);
        assert_eq!(copies.received().len(), 1);
    });
}

#[test]
fn a_copy_can_have_another_host_and_no_body() {
    on_each_driver(|driver| {
        let (origin, copies) = (Origin::named("one"), Origin::named("copy"));
        let target = format!("http://{}/", copies.address);
        let annotations =
            [("mirror-target", target.as_str()), ("mirror-host", "shadow-$host"), ("mirror-request-body", "off")];
        let ringress = mirroring(driver, &origin, &annotations);
        let mut connection = Connection::plain(ringress.http).expect("connect");
        connection.request("POST", "a.test", "/", &[], b"the body").expect("an answer");
        eventually("the copy arrives", || copies.received().len() == 1);
        let copy = copies.received()[0].clone();
        assert_eq!((copy.header("host"), copy.header("content-length")), (Some("shadow-a.test"), None));
    });
}

#[test]
fn the_client_does_not_wait_for_a_copy_and_copies_beyond_the_bound_are_dropped() {
    on_each_driver(|driver| {
        const REQUESTS: u64 = 300;
        let origin = Origin::named("one");
        let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        // Answers nothing until the test is over.
        let copies = Origin::with(move |_, _| {
            let _over = held.lock().map(|held| held.recv());
            Ok(Next::Close)
        });
        let target = format!("http://{}/", copies.address);
        let ringress = mirroring(driver, &origin, &[("mirror-target", &target)]);
        let mut connection = Connection::plain(ringress.http).expect("connect");
        for _ in 0..REQUESTS {
            assert_eq!(connection.get("a.test", "/").expect("an answer").text(), "one");
        }
        let dropped = || counted(&ringress, "ringress_mirrors_dropped_total");
        eventually("copies are dropped", || dropped() > 0);
        assert_eq!(counted(&ringress, "ringress_mirrored_total") + dropped(), REQUESTS);
        drop(hold);
    });
}

#[test]
fn a_service_for_copies_that_is_away_harms_nobody() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let target = format!("http://{}/", refusing_address());
        let mut ringress = mirroring(driver, &origin, &[("mirror-target", &target)]);
        for _ in 0..3 {
            assert_eq!(ringress.get("a.test", "/").text(), "one");
        }
        eventually("failures are counted", || counted(&ringress, "ringress_mirrors_failed_total") == 3);
        ringress.assert_alive();
    });
}

#[test]
fn a_body_that_is_too_large_to_keep_is_passed_on_and_not_copied() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(200, &[], request.body.len().to_string().as_bytes())?;
            Ok(Next::Keep)
        });
        let copies = Origin::named("copy");
        let target = format!("http://{}/", copies.address);
        let ringress = mirroring(driver, &origin, &[("mirror-target", &target), ("proxy-body-size", "0")]);
        let mut connection = Connection::plain(ringress.http).expect("connect");
        connection.socket().set_write_timeout(Some(Duration::from_secs(30))).expect("set a time limit");
        let answer = connection.request("POST", "a.test", "/", &[], &vec![b'x'; 3 << 20]).expect("an answer");
        assert_eq!(answer.text(), (3 << 20).to_string());
        assert_eq!(counted(&ringress, "ringress_mirrors_dropped_total"), 1);
        assert_eq!(copies.received().len(), 0);
    });
}
