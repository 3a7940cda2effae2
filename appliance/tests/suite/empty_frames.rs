//! DATA frames without a byte that are not the last of their streams, as some peers send for each flush of nothing: legal,
//! at whatever number a connection lives to see; in floods, the end of it (RFC 9113 10.5).

use std::thread::sleep;
use std::time::Duration;

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{DATA, END_STREAM, Frames, PADDED, PROTOCOL_ERROR, Seen, frame, get, headers, post};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

const ENHANCE_YOUR_CALM: u32 = 11;
/// The h2 crate bears a hundred in all the life of a connection.
const MANY: usize = 300;
/// More than may come at once.
const FLOOD: usize = 3000;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn empty(stream: u32) -> Vec<u8> {
    frame(DATA, 0, stream, &[])
}

fn in_front_of(driver: Driver, address: std::net::SocketAddr, protocol: &str) -> Ringress {
    let mut objects = service("origin", &[address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").annotation("backend-protocol", protocol).build());
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

/// Empty frames and bytes in turn on all of `streams`, in no hurry, cut where no frame ends; as many bytes on each.
fn flush(peer: &mut Frames, streams: &[u32]) -> std::io::Result<()> {
    for _ in 0..MANY / streams.len() {
        let each = |stream: &u32| [frame(DATA, 0, *stream, b"x"), empty(*stream)].concat();
        let turn: Vec<u8> = streams.iter().flat_map(each).collect();
        let (some, rest) = turn.split_at(turn.len() - 5);
        peer.send(some)?;
        sleep(Duration::from_millis(1));
        peer.send(rest)?;
    }
    let last = |stream: &u32| frame(DATA, END_STREAM, *stream, &[]);
    peer.send(&streams.iter().flat_map(last).collect::<Vec<_>>())
}

#[test]
fn a_client_may_send_them_as_long_as_it_lives() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, origin.address, "HTTP");
        let mut frames = Frames::open(ringress.https);
        for streams in [&[1][..], &[3, 5, 7]] {
            frames.send(&streams.iter().flat_map(|stream| post(*stream)).collect::<Vec<_>>()).expect("send");
            flush(&mut frames, streams).expect("it is not ended");
        }
        let bodies = || origin.received().iter().map(|request| request.body.len()).collect::<Vec<_>>();
        let whole = [MANY, MANY / 3, MANY / 3, MANY / 3];
        eventually("every body has arrived as it was sent", || bodies() == whole);
        assert!(frames.is_alive());
    });
}

#[test]
fn an_upstream_may_send_them_as_long_as_it_lives() {
    on_each_driver(|driver| {
        let origin = FrameOrigin::with(|peer, stream| {
            peer.send(&headers(stream, 0, &[(":status", "200")]))?;
            flush(peer, &[stream])
        });
        let ringress = in_front_of(driver, origin.address, "GRPC");
        for _ in 0..3 {
            let mut client = Connection::plain(ringress.http).expect("connect");
            client.send(GET).expect("send");
            assert_eq!(client.response(false).expect("an answer").body.len(), MANY);
        }
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn a_flood_of_them_ends_a_connection() {
    on_each_driver(|driver| {
        let origin = FrameOrigin::with(|peer, stream| {
            peer.send(&headers(stream, 0, &[(":status", "200")]))?;
            peer.send(&empty(stream).repeat(FLOOD))?;
            peer.send(&frame(DATA, END_STREAM, stream, b"the end"))
        });
        let ringress = in_front_of(driver, origin.address, "GRPC");
        for connections in 1..3 {
            let mut client = Connection::plain(ringress.http).expect("connect");
            client.send(GET).expect("send");
            assert!(client.response(false).is_err(), "the answer ends with the connection");
            assert_eq!(origin.connections(), connections);
        }
        let mut frames = Frames::open(ringress.https);
        frames.send(&post(1)).expect("send");
        let _ended_early = frames.send(&empty(1).repeat(FLOOD));
        assert_eq!(frames.outcome(0), Seen::GoAway(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn where_they_are_an_error_they_stay_one() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, origin.address, "HTTP");
        for (name, bytes) in [
            ("an idle stream", empty(1)),
            ("stream 0", [post(1), empty(0)].concat()),
            ("behind the end", [get(1), empty(1)].concat()),
            ("no room for its padding", [post(1), frame(DATA, PADDED, 1, &[])].concat()),
        ] {
            let mut frames = Frames::open(ringress.https);
            frames.send(&bytes).expect("send");
            let seen = loop {
                // The stream may be answered before the frame behind its end is seen.
                match frames.outcome(0) {
                    Seen::Answer(_) => {}
                    seen => break seen,
                }
            };
            assert_eq!(seen, Seen::GoAway(PROTOCOL_ERROR), "{name}");
        }
    });
}
