//! `proxy-buffering: "on"`: a response is read ahead of a client that is slow to take it, up to `proxy-buffers-number`
//! times `proxy-buffer-size`, so that its upstream is done with it.

use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::support::client::Connection;
use crate::support::frames::{
    DATA, END_STREAM, Frames, HEADERS, RST_STREAM, Seen, get, headers, pseudo, reset, settings, window_update,
};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::{PATIENCE, eventually, within};

const INITIAL_WINDOW: u16 = 4;
/// Far more than four buffers of 4 KiB and what is on its way beside them, and within 256 of them.
const BODY_BYTES: usize = 512 << 10;
const ON: (&str, &str) = ("proxy-buffering", "on");
const MANY: (&str, &str) = ("proxy-buffers-number", "256");

fn body() -> Vec<u8> {
    (0..BODY_BYTES).map(|at| (at / 7 % 251) as u8).collect()
}

/// Answers by target with the same body, framed this way or that, or with nothing.
fn origin() -> Origin {
    Origin::with(|request, peer| {
        peer.read_body(request)?;
        match request.target.as_str() {
            "/none" => peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")?,
            "/said" => peer.answer(200, &[("X-Accel-Buffering", "No")], &body())?,
            "/cut" => {
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY_BYTES + 1).as_bytes())?;
                peer.send(&body())?;
                return Ok(Next::Close);
            }
            "/end" => {
                peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                peer.send(&body())?;
                return Ok(Next::Close);
            }
            "/chunked" => {
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n")?;
                for piece in body().chunks(5000) {
                    peer.send(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    peer.send(piece)?;
                    peer.send(b"\r\n")?;
                }
                peer.send(b"0\r\nX-End: yes\r\n\r\n")?;
            }
            _ => peer.answer(200, &[("Content-Type", "text/plain")], &body())?,
        }
        Ok(Next::Keep)
    })
}

/// With annotations and with keys of the ConfigMap.
fn in_front_of(driver: Driver, origin: &Origin, annotations: &[(&str, &str)], keys: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    let with =
        |ingress, (name, value): &(&str, &str)| crate::support::manifests::Ingress::annotation(ingress, name, value);
    objects.push(annotations.iter().fold(ingress("a"), with).prefix("a.test", "/", "origin").build());
    objects.push(options(keys));
    let builder = Ringress::on(driver).workers(1).flag("--configmap=default/options");
    builder.manifest("all.json", file(objects)).start()
}

/// A client that grants nothing, and has asked for this.
fn closed_window(ringress: &Ringress, path: &'static str) -> Frames {
    let mut frames = Frames::with(ringress.https, &[(INITIAL_WINDOW, 0)]).expect("an HTTP/2 connection");
    frames.send(&headers(1, END_STREAM, &pseudo("GET", path))).expect("send");
    frames.wait(|frame| frame.kind == HEADERS && frame.stream == 1).expect("the head");
    frames
}

/// Opens the windows; the body of stream 1, whole.
fn take_all(frames: &mut Frames) -> Vec<u8> {
    frames.send(&window_update(0, 8 << 20)).expect("send");
    frames.send(&settings(&[(INITIAL_WINDOW, 4 << 20)])).expect("send");
    let mut body = Vec::new();
    loop {
        let frame = frames.wait(|frame| frame.stream == 1).expect("a frame");
        assert_ne!(frame.kind, RST_STREAM, "after {} bytes", body.len());
        body.extend_from_slice(if frame.kind == DATA { &frame.payload } else { &[] });
        if frame.has(END_STREAM) {
            return body;
        }
    }
}

fn is_let_go(ringress: &Ringress) -> bool {
    ringress.metric("ringress_upstream_idle") == 1.0
}

/// Whether the next request is served on the upstream connection of the one whose client takes nothing.
fn is_reused(frames: &mut Frames, origin: &Origin) -> bool {
    let before = origin.connections();
    frames.send(&headers(3, END_STREAM, &pseudo("GET", "/none"))).expect("send");
    let answer = frames.wait(|frame| frame.kind == HEADERS && frame.stream == 3).expect("an answer");
    assert!(answer.has(END_STREAM));
    origin.connections() == before
}

#[test]
fn an_upstream_is_let_go_when_its_answer_fits_the_buffers() {
    on_each_driver(|driver| {
        let origin = origin();
        for (annotations, keys) in [(&[ON, MANY][..], &[][..]), (&[], &[ON, MANY]), (&[MANY], &[ON])] {
            let ringress = in_front_of(driver, &origin, annotations, keys);
            for path in ["/", "/chunked"] {
                let mut frames = closed_window(&ringress, path);
                eventually("the upstream is done with it", || is_let_go(&ringress));
                assert!(is_reused(&mut frames, &origin), "{path}");
                assert!(take_all(&mut frames) == body(), "{path}: the body is another");
            }
        }
    });
}

#[test]
fn an_upstream_is_held_back_by_what_does_not_fit_or_may_not_be_held() {
    on_each_driver(|driver| {
        let origin = origin();
        let few = ("proxy-buffers-number", "4");
        let off = ("proxy-buffering", "off");
        for (annotations, path) in [(&[ON, few][..], "/"), (&[ON], "/"), (&[off, MANY], "/"), (&[ON, MANY], "/said")] {
            let ringress = in_front_of(driver, &origin, annotations, &[]);
            let mut frames = closed_window(&ringress, path);
            assert!(!is_reused(&mut frames, &origin), "{annotations:?} {path}");
            assert!(take_all(&mut frames) == body(), "{annotations:?} {path}: the body is another");
        }
    });
}

#[test]
fn clients_of_http_1_get_what_was_held_as_it_came() {
    on_each_driver(|driver| {
        let origin = origin();
        let ringress = in_front_of(driver, &origin, &[ON, MANY, ("proxy-request-buffering", "off")], &[]);
        for target in ["/", "/chunked", "/end"] {
            let plain = Connection::plain(ringress.http).expect("connect");
            let secure = Connection::tls(ringress.https, Some("a.test")).expect("a handshake");
            for mut client in [plain, secure] {
                let (before, again) = (origin.connections(), "GET /none HTTP/1.1\r\nHost: a.test\r\n\r\n");
                client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n{again}").as_bytes()).expect("send");
                if target != "/end" {
                    eventually("the upstream is done with it", || is_let_go(&ringress));
                }
                let answer = client.response(false).expect("an answer");
                assert!(answer.body == body(), "{target}: {} bytes", answer.body.len());
                assert_eq!(client.response(true).expect("the next answer").status, 204);
                assert!(target == "/end" || origin.connections() <= before + 1, "{target}");
                // The body of the request is streamed: its head is at the origin before it.
                let asked = || origin.received().len();
                let before = asked();
                client
                    .send(format!("POST {target} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\n").as_bytes())
                    .expect("send");
                eventually("its head is there", || asked() == before + 1);
                client.send(b"body").expect("send");
                assert!(client.response(false).expect("an answer").body == body(), "POST {target}");
            }
        }
    });
}

#[test]
fn what_was_held_of_a_cut_answer_comes_before_the_cut() {
    on_each_driver(|driver| {
        let origin = origin();
        let ringress = in_front_of(driver, &origin, &[ON, MANY], &[]);
        let mut frames = closed_window(&ringress, "/cut");
        frames.send(&window_update(0, 8 << 20)).expect("send");
        frames.send(&settings(&[(INITIAL_WINDOW, 4 << 20)])).expect("send");
        let mut taken = Vec::new();
        let end = loop {
            let frame = frames.wait(|frame| frame.stream == 1).expect("a frame");
            if frame.kind != DATA {
                break frame;
            }
            assert!(!frame.has(END_STREAM), "it is not whole");
            taken.extend_from_slice(&frame.payload);
        };
        // A reset overtakes what is still on its way to the client.
        assert!(end.kind == RST_STREAM && body().starts_with(&taken), "{end:?} after {} bytes", taken.len());
        assert!(taken.len() > BODY_BYTES / 2, "{} bytes", taken.len());
        let mut client = Connection::plain(ringress.http).expect("connect");
        assert!(client.get("a.test", "/cut").is_err(), "it looks whole");
    });
}

#[test]
fn compressed_and_paced_answers_are_read_ahead_too() {
    on_each_driver(|driver| {
        let origin = origin();
        let annotations = [ON, MANY, ("limit-rate", "64")];
        let ringress = in_front_of(driver, &origin, &annotations, &[("use-gzip", "true")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").expect("send");
        assert_eq!(client.head().expect("a head").0, 200);
        eventually("the upstream is done with it", || is_let_go(&ringress));
        // Eight seconds are to come: it is not taken to its end.
        drop(client);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let zipped = "GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n";
        client.send(zipped.as_bytes()).expect("send");
        let answer = client.response(false).expect("an answer");
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert!(!answer.body.is_empty() && answer.body.len() < BODY_BYTES / 2, "{} bytes", answer.body.len());
    });
}

/// Sends `first`, then nothing; tells when its connection ends.
fn silent() -> (Origin, mpsc::Receiver<()>) {
    let (ended, told) = mpsc::channel();
    let origin = Origin::with(move |_, peer| {
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
        peer.send(&[b'x'; 100_000])?;
        let _end = peer.receive(&mut [0; 1]);
        let _nobody_asks = ended.send(());
        Ok(Next::Close)
    });
    (origin, told)
}

#[test]
fn an_upstream_is_told_when_a_client_leaves_what_is_held_for_it() {
    on_each_driver(|driver| {
        let (origin, told) = silent();
        let ringress = in_front_of(driver, &origin, &[ON, MANY], &[]);
        // One that took all there was, one that took nothing and takes back its stream, one that is gone.
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(client.head().expect("a head").0, 200);
        client.read_exact(&mut [0; 100_000]).expect("what has come");
        client.socket().shutdown(Shutdown::Both).expect("leave");
        told.recv_timeout(PATIENCE).expect("the upstream is told");
        let mut frames = closed_window(&ringress, "/");
        frames.send(&reset(1, 8)).expect("send");
        told.recv_timeout(PATIENCE).expect("the upstream is told");
        drop(closed_window(&ringress, "/"));
        told.recv_timeout(PATIENCE).expect("the upstream is told");
        // What was held is counted no more, and the next one is served.
        let mut frames = Frames::open(ringress.https);
        frames.send(&get(1)).expect("send");
        frames.wait(|frame| frame.kind == DATA && frame.stream == 1).expect("what has come");
    });
}

#[test]
fn an_upstream_that_falls_silent_is_given_up_after_its_time() {
    on_each_driver(|driver| {
        let (origin, told) = silent();
        let ringress = in_front_of(driver, &origin, &[ON, MANY, ("proxy-read-timeout", "1")], &[]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&get(1)).expect("send");
        assert!(matches!(frames.outcome(1), Seen::Reset(_)));
        told.recv_timeout(PATIENCE).expect("the upstream is told");
    });
}

/// Waits until `counter` stands still for a while.
fn stalled(counter: &AtomicU64) {
    let mut last = counter.load(Ordering::SeqCst);
    eventually("the origins are held back", || {
        let moved = within(Duration::from_millis(500), || counter.load(Ordering::SeqCst) != last);
        last = counter.load(Ordering::SeqCst);
        last > 0 && !moved
    });
}

#[test]
fn what_all_slow_clients_have_held_for_them_is_bounded() {
    const STREAMS: u32 = 100;
    const PIECES: usize = 128;
    /// 24 MiB for what is held, and what a hundred requests, their buffers and the allocator take; all would be 100.
    const GROWTH_BYTES_MAX: u64 = 60 << 20;
    static PIECE: [u8; 8 << 10] = [b'x'; 8 << 10];
    on_each_driver(|driver| {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let origin = Origin::with(move |_, peer| {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECES * PIECE.len()).as_bytes())?;
            for _ in 0..PIECES {
                peer.send(&PIECE)?;
                counter.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Next::Keep)
        });
        let ringress = in_front_of(driver, &origin, &[ON, MANY], &[]);
        let before = ringress.resident_bytes();
        let mut frames = Frames::with(ringress.https, &[(INITIAL_WINDOW, 0)]).expect("an HTTP/2 connection");
        for number in 0..STREAMS {
            frames.send(&get(2 * number + 1)).expect("send");
        }
        stalled(&sent);
        let growth = ringress.resident_bytes().saturating_sub(before);
        assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more while {STREAMS} answers are left");
        frames.send(&window_update(0, 1 << 30)).expect("send");
        frames.send(&settings(&[(INITIAL_WINDOW, 4 << 20)])).expect("send");
        let (mut bytes, mut ended) = (0, 0);
        while ended < STREAMS {
            let frame = frames.next().expect("a frame").expect("the connection");
            assert_ne!(frame.kind, RST_STREAM, "{ended} have ended");
            if frame.kind == DATA {
                bytes += frame.payload.len();
                ended += u32::from(frame.has(END_STREAM));
            }
        }
        assert_eq!(bytes, STREAMS as usize * PIECES * PIECE.len());
    });
}
