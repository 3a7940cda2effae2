//! Clients that leave while their upstream is silent: it is told, so that it does not work for nobody.

use std::net::Shutdown;
use std::sync::mpsc;

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::{PATIENCE, eventually};

/// Tells when its connection ends: sends `first`, then nothing.
fn silent(first: &'static [u8]) -> (Origin, mpsc::Receiver<()>) {
    let (ended, told) = mpsc::channel();
    let origin = Origin::with(move |request, peer| {
        if request.target == "/fast" {
            return peer.answer(200, &[], b"fast").map(|()| Next::Keep);
        }
        peer.send(first)?;
        let _end = peer.receive(&mut [0; 1]);
        let _nobody_asks = ended.send(());
        Ok(Next::Close)
    });
    (origin, told)
}

fn in_front_of(driver: Driver, origin: &Origin) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    Ringress::on(driver).manifest("all.json", file(objects)).start()
}

#[test]
fn the_request_of_a_client_that_left_is_cancelled_and_counted_as_499() {
    on_each_driver(|driver| {
        let (origin, told) = silent(b"");
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        assert_eq!(client.get("a.test", "/fast").expect("an answer").status, 200);
        client.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        eventually("it reaches the origin", || origin.received().len() == 2);
        drop(client);
        told.recv_timeout(PATIENCE).expect("the upstream is told");
        eventually("it is counted", || {
            let metrics = ringress.metrics();
            metrics.contains("status=\"499\"")
        });
    });
}

#[test]
fn a_client_that_leaves_a_silent_response_ends_it() {
    on_each_driver(|driver| {
        let (origin, told) = silent(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: begun\n\n");
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(client.head().expect("a head").0, 200);
        client.socket().shutdown(Shutdown::Both).expect("leave");
        told.recv_timeout(PATIENCE).expect("the upstream is told");
    });
}
