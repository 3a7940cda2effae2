//! HTTP/2 sessions with upstreams, which requests share: what one of them does, or leaves, is not the others' affair.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{
    CANCEL, DATA, END_STREAM, Frames, REFUSED_STREAM, frame, get, headers, no_content, post, pseudo, reset,
};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// The head of an answer whose body follows.
fn begun(stream: u32) -> Vec<u8> {
    headers(stream, 0, &[(":status", "200")])
}

fn asking(ringress: &Ringress) -> Connection {
    let mut client = Connection::plain(ringress.http).expect("connect");
    client.send(GET).expect("send");
    client
}

#[test]
fn thousands_of_small_frames_in_one_burst_are_a_body_as_any_other() {
    on_each_driver(|driver| {
        const PIECES: usize = 4000;
        let crumbs = |stream| {
            let pieces =
                (1..=PIECES).map(|n| frame(DATA, if n == PIECES { END_STREAM } else { 0 }, stream, b"fifteen bytes.."));
            pieces.collect::<Vec<_>>().concat()
        };
        let down = FrameOrigin::with(move |peer, stream| peer.send(&[begun(stream), crumbs(stream)].concat()));
        let ringress = down.behind(driver, &[]);
        let answer = asking(&ringress).response(false).expect("an answer");
        assert_eq!(answer.body.len(), 15 * PIECES);
        // And up, where the same are of a client.
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        let mut frames = Frames::open(ringress.https);
        frames.send(&[post(1), crumbs(1)].concat()).expect("send");
        assert_eq!(frames.answer(1).status, 200);
        assert_eq!(origin.received()[0].body.len(), 15 * PIECES);
        assert!(frames.is_alive());
    });
}

#[test]
fn clients_that_do_not_read_keep_nobody_else_waiting() {
    on_each_driver(|driver| {
        const SLOW: usize = 8;
        let asked = AtomicUsize::new(0);
        let origin = FrameOrigin::with(move |peer, stream| {
            if asked.fetch_add(1, Ordering::SeqCst) >= SLOW {
                return peer.send(&[begun(stream), frame(DATA, END_STREAM, stream, b"quick")].concat());
            }
            // As much as its window takes.
            let pieces = [&frame(DATA, 0, stream, &[7; 16 << 10])[..]; 3].concat();
            peer.send(&[begun(stream), pieces, frame(DATA, 0, stream, &[7; 16_383])].concat())
        });
        let ringress = origin.behind(driver, &[]);
        // Each has a window of its own that it does not open: its answer stays in the proxy.
        let slow: Vec<_> = (0..SLOW)
            .map(|_| {
                let mut frames = Frames::with(ringress.https, &[(4, 0)]).expect("a connection");
                frames.send(&get(1)).expect("send");
                frames
            })
            .collect();
        eventually("the slow ones are answered", || ringress.metric("ringress_upstream_reuses_total") >= 7.0);
        let began = Instant::now();
        assert_eq!(asking(&ringress).response(false).expect("an answer").text(), "quick");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(origin.connections(), 1, "all of them share a session");
        drop(slow);
    });
}

#[test]
fn what_still_comes_for_clients_that_left_harms_nobody() {
    on_each_driver(|driver| {
        const LEAVE: usize = 30;
        let left = Arc::<Mutex<Vec<u32>>>::default();
        let noted = Arc::clone(&left);
        let origin = FrameOrigin::with(move |peer, stream| {
            let mut left = noted.lock().expect("one connection");
            if left.len() < LEAVE {
                left.push(stream);
                return peer.send(&begun(stream));
            }
            // More frames than a connection may have that its peer finds wrong.
            let late = left.iter().flat_map(|old| vec![frame(DATA, 0, *old, b"x"); 60]);
            peer.send(&late.collect::<Vec<_>>().concat())?;
            peer.send(&no_content(stream))
        });
        let ringress = origin.behind(driver, &[]);
        let mut clients: Vec<_> = (0..LEAVE).map(|_| asking(&ringress)).collect();
        clients.iter_mut().for_each(|client| assert_eq!(client.head().expect("a head").0, 200));
        drop(clients);
        let is_gone = || ringress.metric("nginx_ingress_controller_nginx_process_connections") <= 2.0;
        eventually("they have left", is_gone);
        assert_eq!(asking(&ringress).response(false).expect("an answer").status, 204);
        assert_eq!(asking(&ringress).response(false).expect("an answer").status, 204);
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn a_burst_of_requests_opens_no_more_sessions_than_it_needs() {
    on_each_driver(|driver| {
        let origin = FrameOrigin::with(|peer, stream| peer.send(&no_content(stream)));
        let ringress = origin.behind(driver, &[]);
        let mut clients: Vec<_> = (0..250).map(|_| Connection::plain(ringress.http).expect("connect")).collect();
        clients.iter_mut().for_each(|client| client.send(GET).expect("send"));
        for client in &mut clients {
            assert_eq!(client.response(false).expect("an answer").status, 204);
        }
        assert!(origin.connections() <= 3, "{} connections", origin.connections());
    });
}

#[test]
fn a_session_serves_as_many_requests_and_as_long_as_a_connection_may() {
    on_each_driver(|driver| {
        let origin = FrameOrigin::with(|peer, stream| peer.send(&no_content(stream)));
        let ringress = origin.behind(driver, &[("upstream-keepalive-requests", "3")]);
        for _ in 0..12 {
            assert_eq!(asking(&ringress).response(false).expect("an answer").status, 204);
        }
        assert_eq!(origin.connections(), 4);
        let origin = FrameOrigin::with(|peer, stream| peer.send(&no_content(stream)));
        let ringress = origin.behind(driver, &[("upstream-keepalive-time", "1s")]);
        let (began, mut asked) = (Instant::now(), 0);
        while origin.connections() < 2 {
            assert_eq!(asking(&ringress).response(false).expect("an answer").status, 204);
            asked += 1;
            assert!(began.elapsed() < Duration::from_secs(10), "a connection has an age");
        }
        assert!(asked > 2 && began.elapsed() >= Duration::from_secs(1), "{asked} in {:?}", began.elapsed());
    });
}

#[test]
fn a_call_whose_message_comes_later_is_sent_again_when_it_was_refused() {
    on_each_driver(|driver| {
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let origin = FrameOrigin::with(move |peer, stream| match counted.fetch_add(1, Ordering::SeqCst) {
            0 => peer.send(&reset(stream, REFUSED_STREAM)),
            _ => {
                let last = peer.wait(|frame| frame.kind == DATA && frame.has(END_STREAM))?;
                let body = frame(DATA, END_STREAM, stream, &last.payload);
                peer.send(&[begun(stream), body].concat())
            }
        });
        let ringress = origin.behind(driver, &[]);
        let mut frames = Frames::open(ringress.https);
        let call = [&pseudo("POST", "/test.Echo/Unary")[..], &[("content-type", "application/grpc")]].concat();
        frames.send(&headers(1, 0, &call)).expect("send");
        eventually("it is sent again", || asked.load(Ordering::SeqCst) == 2);
        frames.send(&frame(DATA, END_STREAM, 1, b"message")).expect("send");
        assert_eq!(frames.answer(1).text(), "message");
    });
}

#[test]
fn a_client_may_take_back_what_it_asked_for_together() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        let mut frames = Frames::open(ringress.https);
        // As a page that is left while it asks for its pictures.
        let taken_back = (0..90).map(|n| 2 * n + 1).flat_map(|stream| [get(stream), reset(stream, CANCEL)]);
        let mut bytes = taken_back.collect::<Vec<_>>().concat();
        bytes.extend(get(181));
        frames.send(&bytes).expect("send");
        assert_eq!(frames.answer(181).text(), "origin");
        assert!(!frames.said_goodbye());
    });
}
