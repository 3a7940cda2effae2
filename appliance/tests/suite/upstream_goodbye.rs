//! Upstreams of HTTP/2 that end a connection, or take a request back, in the middle of things (RFC 9113 6.8, 8.7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{
    CANCEL, DATA, END_STREAM, Frames, GOAWAY, INTERNAL_ERROR, REFUSED_STREAM, Seen, frame, get, headers, no_content,
    post, pseudo, reset,
};
use crate::support::manifests::{file, ingress, service};
use crate::support::process::{Driver, Ringress, on_each_driver};

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";

/// Says that no stream beyond `last` is, or will be, processed.
fn goodbye(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), 0_u32.to_be_bytes()].concat())
}

fn status_of(ringress: &Ringress, request: &[u8]) -> u16 {
    let mut client = Connection::plain(ringress.http).expect("connect");
    client.send(request).expect("send");
    client.response(false).expect("an answer").status
}

#[test]
fn a_goodbye_with_a_stream_open_sends_what_comes_next_another_way() {
    on_each_driver(|driver| {
        let asked = AtomicUsize::new(0);
        let origin = FrameOrigin::with(move |peer, stream| {
            if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                return peer.send(&no_content(stream));
            }
            // As a gRPC server whose connection is old enough: it goes on with what it has.
            peer.send(&headers(stream, 0, &[(":status", "200")]))?;
            peer.send(&frame(DATA, 0, stream, b"held"))?;
            peer.send(&goodbye(stream))
        });
        let ringress = origin.behind(driver, &[]);
        let mut held = Connection::plain(ringress.http).expect("connect");
        held.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(held.head().expect("an answer").0, 200);
        assert!(held.chunk(&mut Vec::new()).expect("a piece"));
        let began = Instant::now();
        for _ in 0..8 {
            assert_eq!(ringress.get("a.test", "/").status, 204);
            assert_eq!(status_of(&ringress, POST), 204);
        }
        assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for the connection that ends");
        assert_eq!(origin.connections(), 2, "one that ends, and one for all others");
    });
}

#[test]
fn what_was_not_processed_is_sent_again_whatever_it_asks_for() {
    on_each_driver(|driver| {
        for refusal in [|_| goodbye(0), |stream| reset(stream, REFUSED_STREAM)] {
            let asked = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&asked);
            let origin = FrameOrigin::with(move |peer, stream| match counted.fetch_add(1, Ordering::SeqCst) {
                0 => peer.send(&refusal(stream)),
                _ => peer.send(&no_content(stream)),
            });
            let ringress = origin.behind(driver, &[]);
            assert_eq!(status_of(&ringress, POST), 204);
            assert_eq!(origin.connections(), 2);
            assert_eq!(ringress.metric("ringress_retries_total"), 0.0, "the connection was at fault");
            // A call of one message, as gRPC's clients send it.
            asked.store(0, Ordering::SeqCst);
            let mut frames = Frames::open(ringress.https);
            let call = [&pseudo("POST", "/test.Echo/Unary")[..], &[("content-type", "application/grpc")]].concat();
            frames.send(&[headers(1, 0, &call), frame(DATA, END_STREAM, 1, &[0; 10])].concat()).expect("send");
            assert_eq!(frames.answer(1).status, 204);
        }
    });
}

#[test]
fn an_upstream_that_takes_nothing_is_not_asked_for_ever() {
    on_each_driver(|driver| {
        let origin = FrameOrigin::with(|peer, stream| peer.send(&reset(stream, REFUSED_STREAM)));
        let ringress = origin.behind(driver, &[]);
        assert_eq!(status_of(&ringress, POST), 502);
        assert!(origin.connections() <= 4, "{} connections", origin.connections());
        // Any other end may be one of a request that was carried out.
        let cancelled = FrameOrigin::with(|peer, stream| peer.send(&reset(stream, INTERNAL_ERROR)));
        let ringress = cancelled.behind(driver, &[]);
        assert_eq!(status_of(&ringress, POST), 502);
        assert_eq!(cancelled.connections(), 1);
    });
}

#[test]
fn a_client_is_told_why_its_stream_was_broken_off_where_it_cannot_take_that_for_unprocessed() {
    on_each_driver(|driver| {
        for (code, told) in [(CANCEL, CANCEL), (REFUSED_STREAM, INTERNAL_ERROR), (0, INTERNAL_ERROR)] {
            let origin = FrameOrigin::with(move |peer, stream| {
                peer.send(&headers(stream, 0, &[(":status", "200")]))?;
                peer.send(&frame(DATA, 0, stream, b"begun"))?;
                peer.send(&reset(stream, code))
            });
            let ringress = origin.behind(driver, &[]);
            let mut frames = Frames::open(ringress.https);
            frames.send(&get(1)).expect("send");
            assert_eq!(frames.outcome(1), Seen::Reset(told), "{code}");
            // A body that goes up while the answer comes down.
            frames.send(&[post(3), frame(DATA, 0, 3, b"some")].concat()).expect("send");
            assert_eq!(frames.outcome(3), Seen::Reset(told), "{code}");
        }
    });
}

/// A Service of these, each of which one failure would eject, or as many as are allowed.
fn of(driver: Driver, origins: &[&FrameOrigin], max_fails: &str) -> Ringress {
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let rule = ingress("a").annotation("backend-protocol", "GRPC").annotation("ringress.io/max-fails", max_fails);
    let objects = service("origin", &addresses).into_iter().chain([rule.prefix("a.test", "/", "origin").build()]);
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

#[test]
fn an_endpoint_that_takes_nothing_on_fresh_connections_is_passed_over() {
    on_each_driver(|driver| {
        for refusal in [|_| goodbye(0), |stream| reset(stream, REFUSED_STREAM)] {
            let asked = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&asked);
            let refusing = FrameOrigin::with(move |peer, stream| {
                counted.fetch_add(1, Ordering::SeqCst);
                peer.send(&refusal(stream))
            });
            let good = FrameOrigin::with(|peer, stream| peer.send(&no_content(stream)));
            let ringress = of(driver, &[&refusing, &good], "3");
            let mut frames = Frames::open(ringress.https);
            for turn in 0..20 {
                if turn % 4 < 2 {
                    assert_eq!(status_of(&ringress, POST), 204, "{turn}");
                } else {
                    // A body that goes up while its answer comes down.
                    let stream = 2 * turn + 1;
                    frames.send(&post(stream)).expect("send");
                    assert_eq!(frames.answer(stream).status, 204, "{turn}");
                }
            }
            assert_eq!(asked.load(Ordering::SeqCst), 3, "three failures in a row");
            assert_eq!(ringress.metric("ringress_endpoint_ejections_total"), 1.0);
            assert_eq!(ringress.metric("ringress_retries_total"), 0.0, "the first time is for nothing");
        }
    });
}

#[test]
fn a_goodbye_of_a_connection_that_has_answered_blames_nobody() {
    on_each_driver(|driver| {
        // As nginx with keepalive_requests: one request a connection, and the next one is told that it came too late.
        let aged = || {
            FrameOrigin::with(|peer, stream| match stream {
                1 => peer.send(&no_content(stream)),
                _ => peer.send(&goodbye(1)),
            })
        };
        let origins = [aged(), aged()];
        let ringress = of(driver, &origins.each_ref(), "1");
        (0..20).for_each(|turn| assert_eq!(status_of(&ringress, POST), 204, "{turn}"));
        assert_eq!(ringress.metric("ringress_endpoint_ejections_total"), 0.0);
        assert!(origins.iter().all(|origin| origin.connections() > 2), "both serve");
    });
}
