//! Upgraded connections: a tunnel of bytes both ways, for as long as both sides want.

use std::net::Shutdown;

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::raw;
use crate::support::tunnel::{ACCEPTED, UPGRADE, echo, open, round_trip};

fn in_front_of(driver: Driver, origin: &Origin) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    Ringress::on(driver).manifest("all.json", file(objects)).start()
}

#[test]
fn a_tunnel_carries_bytes_both_ways() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        let mut client = open(ringress.http);
        let long = vec![7; 1 << 20];
        for message in [b"hello".as_slice(), &[0x81, 0x00, 0xff], &long[..100_000]] {
            round_trip(&mut client, message).expect("an echo");
        }
    });
}

#[test]
fn bytes_sent_with_the_request_reach_the_other_side() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(format!("{UPGRADE}early").as_bytes()).expect("send");
        assert_eq!(client.head().expect("an answer").0, 101);
        let mut echoed = [0; 5];
        client.read_exact(&mut echoed).expect("an echo");
        assert_eq!(&echoed, b"early");
    });
}

#[test]
fn the_end_of_one_side_ends_the_tunnel() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        let mut client = open(ringress.http);
        round_trip(&mut client, b"hello").expect("an echo");
        client.socket().shutdown(Shutdown::Write).expect("end the own side");
        assert!(client.is_closed(), "the origin closed, so the tunnel ends");
    });
}

#[test]
fn a_tunnel_outlives_changes_of_everything_around_it() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        let mut client = open(ringress.http);
        round_trip(&mut client, b"before").expect("an echo");
        ringress.apply("other.json", file([ingress("b").prefix("b.test", "/", "origin").build()]));
        round_trip(&mut client, b"an Ingress added").expect("an echo");
        ringress.apply("all.json", file([ingress("c").prefix("c.test", "/", "gone").build()]));
        round_trip(&mut client, b"its own Ingress and Service removed").expect("an echo");
        assert_eq!(ringress.get("a.test", "/").status, 404);
    });
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    on_each_driver(|driver| {
        let origin = Origin::named("no");
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(UPGRADE.as_bytes()).expect("send");
        assert_eq!(client.response(false).expect("an answer").text(), "no");
    });
}

#[test]
fn a_101_that_nobody_asked_for_is_502() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            let other = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
            peer.send(if request.target == "/ws" { other } else { ACCEPTED }).map(|()| Next::Keep)
        });
        let ringress = in_front_of(driver, &origin);
        assert_eq!(ringress.get("a.test", "/").status, 502);
        // Nor is a protocol other than the one asked for, and what the client says in that one is no request.
        let outcome = raw::exchange(ringress.http, format!("{UPGRADE}{UPGRADE}").as_bytes());
        assert_eq!((outcome.statuses(), outcome.closed), (vec![502], true));
    });
}
