//! Streams that last, and connections that end: tunnels, events, drain, and the bounds of a connection's life.

use std::io;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::eventually;
use crate::support::frames::{
    DATA, END_STREAM, Frames, GOAWAY, HEADERS, Seen, frame, get, headers, pseudo, window_update,
};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::tunnel;

fn in_front_of(driver: Driver, origin: &Origin, keys: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    objects.push(options(keys));
    let builder = Ringress::on(driver).workers(1).flag("--configmap=default/options").flag("--drain-timeout=30s");
    builder.manifest("all.json", file(objects)).start()
}

fn websocket() -> Vec<(&'static str, &'static str)> {
    let mut fields = pseudo("CONNECT", "/ws");
    fields.extend([(":protocol", "websocket"), ("sec-websocket-version", "13"), ("origin", "https://a.test")]);
    // Not asked for in HTTP/2 (RFC 8441 5), and sent by some.
    fields.push(("sec-websocket-key", "theirs"));
    fields
}

/// DATA of a stream until there are `length` bytes.
fn receive(frames: &mut Frames, stream: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let piece = frames.wait(|frame| frame.kind == DATA && frame.stream == stream).expect("DATA");
        let count = u32::try_from(piece.payload.len()).expect("a length");
        assert!(count > 0, "an end after {} bytes", bytes.len());
        bytes.extend(piece.payload);
        frames.send(&[window_update(0, count), window_update(stream, count)].concat()).expect("send");
    }
    bytes
}

#[test]
fn a_websocket_over_http2_reaches_an_http1_upstream() {
    on_each_driver(|driver| {
        let origin = tunnel::echo();
        let ringress = in_front_of(driver, &origin, &[]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, 0, &websocket())).expect("send");
        let head = frames.wait(|frame| frame.kind == HEADERS && frame.stream == 1).expect("a head");
        let fields = head.fields();
        assert!(fields.contains(&(":status".to_owned(), "200".to_owned())) && !head.has(END_STREAM), "{fields:?}");
        for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
            assert!(fields.iter().all(|(known, _)| known != name), "{fields:?}");
        }
        let long = vec![7; 100_000];
        for message in [b"hello".as_slice(), &[0x81, 0x00, 0xff], &long] {
            for piece in message.chunks(16 << 10) {
                frames.send(&frame(DATA, 0, 1, piece)).expect("send");
                assert!(receive(&mut frames, 1, piece.len()) == piece, "an echo");
            }
        }
        // Another stream beside the tunnel.
        frames.send(&get(3)).expect("send");
        assert_eq!(frames.answer(3).text(), "plain");
        frames.send(&frame(DATA, END_STREAM, 1, b"bye")).expect("send");
        assert_eq!(receive(&mut frames, 1, 3), b"bye");
        frames.wait(|frame| frame.stream == 1 && frame.has(END_STREAM)).expect("the origin's end ends the stream");
        let received = origin.received();
        let upgrade = received.first().expect("an upgrade");
        assert_eq!((upgrade.method.as_str(), upgrade.target.as_str()), ("GET", "/ws"));
        let is = |name: &str, value: &str| upgrade.header(name).is_some_and(|known| known.eq_ignore_ascii_case(value));
        assert!(is("connection", "upgrade") && is("upgrade", "websocket") && is("host", "a.test"), "{upgrade:?}");
        let keys: Vec<_> = upgrade.headers.iter().filter(|(name, _)| name == "sec-websocket-key").collect();
        assert!(is("sec-websocket-version", "13") && keys.len() == 1 && keys[0].1 != "theirs", "{upgrade:?}");
        assert!(upgrade.header("transfer-encoding").is_none() && upgrade.header(":protocol").is_none(), "{upgrade:?}");
    });
}

#[test]
fn a_websocket_that_the_upstream_does_not_open_is_no_success() {
    on_each_driver(|driver| {
        // 2xx would tell an HTTP/2 client that the tunnel is open.
        for (status, told) in [(200, 502), (204, 502), (403, 403)] {
            let origin = Origin::with(move |_, peer| {
                peer.answer(status, &[], b"")?;
                Ok(Next::Keep)
            });
            let ringress = in_front_of(driver, &origin, &[]);
            let mut frames = Frames::open(ringress.https);
            frames.send(&headers(1, 0, &websocket())).expect("send");
            let seen = frames.outcome(1);
            assert!(matches!(&seen, Seen::Answer(answer) if answer.status == told), "{status}: {seen:?}");
        }
    });
}

#[test]
fn a_tunnel_that_is_no_websocket_is_refused() {
    on_each_driver(|driver| {
        // The key is the proxy's, and so is the look at what proves that it was read.
        let origin = Origin::with(|_, peer| peer.send(tunnel::ACCEPTED).map(|()| Next::Keep));
        let ringress = in_front_of(driver, &origin, &[]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, 0, &websocket())).expect("send");
        assert_eq!(frames.answer(1).status, 502);
        let with_body = [&websocket()[..], &[("content-length", "5")]].concat();
        frames.send(&headers(3, 0, &with_body)).expect("send");
        assert_eq!(frames.answer(3).status, 400, "what follows is no body");
        assert_eq!(origin.received().len(), 1);
    });
}

/// Sends the start of an answer, and the rest when told to.
fn held() -> (Origin, std::sync::mpsc::SyncSender<()>) {
    let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::with(move |request, peer| {
        if request.target == "/" {
            peer.answer(200, &[], b"fast")?;
            return Ok(Next::Keep);
        }
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        peer.send(b"9\r\ndata: 1\n\n\r\n")?;
        wait.lock().expect("one request").recv().map_err(io::Error::other)?;
        peer.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")?;
        Ok(Next::Keep)
    });
    (origin, go_on)
}

#[test]
fn events_are_passed_on_as_they_come() {
    on_each_driver(|driver| {
        let (origin, go_on) = held();
        let ringress = in_front_of(driver, &origin, &[]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, END_STREAM, &pseudo("GET", "/events"))).expect("send");
        assert_eq!(receive(&mut frames, 1, 9), b"data: 1\n\n");
        frames.send(&get(3)).expect("send");
        assert_eq!(frames.answer(3).text(), "fast", "another stream meanwhile");
        go_on.send(()).expect("the origin waits");
        assert_eq!(receive(&mut frames, 1, 9), b"data: 2\n\n");
    });
}

#[test]
fn a_drain_says_goodbye_and_finishes_running_streams() {
    on_each_driver(|driver| {
        let (origin, go_on) = held();
        let mut ringress = in_front_of(driver, &origin, &[]);
        let mut running = Frames::open(ringress.https);
        let mut idle = Frames::open(ringress.https);
        idle.send(&get(1)).expect("send");
        assert_eq!(idle.answer(1).status, 200);
        running.send(&headers(1, END_STREAM, &pseudo("GET", "/events"))).expect("send");
        assert_eq!(receive(&mut running, 1, 9), b"data: 1\n\n");
        ringress.signal(Signal::TERM);
        for frames in [&mut idle, &mut running] {
            let goodbye = frames.wait(|frame| frame.kind == GOAWAY).expect("a goodbye");
            assert_eq!(goodbye.code(), 0);
        }
        assert!(idle.ends_within(Duration::from_secs(4)), "an idle connection ends at once");
        assert!(ringress.ended().is_none(), "a stream still runs");
        go_on.send(()).expect("the origin waits");
        assert_eq!(running.answer_body(1), b"data: 2\n\n", "to the end of the stream");
        assert!(running.ends_within(Duration::from_secs(4)), "and then the connection");
        eventually("the process ends", || ringress.ended().is_some());
        assert_eq!(ringress.ended().and_then(|status| status.code()), Some(0), "{}", ringress.log());
    });
}

#[test]
fn a_connection_says_goodbye_after_its_last_request() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[("keep-alive-requests", "3")]);
        let mut frames = Frames::open(ringress.https);
        for stream in [1, 3, 5] {
            frames.send(&get(stream)).expect("send");
            assert_eq!(frames.answer(stream).text(), "origin");
        }
        // It may have been read beside the answer.
        assert!(frames.ends_within(Duration::from_secs(4)), "the connection ends");
    });
}

#[test]
fn an_idle_connection_ends() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[("keep-alive", "1")]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&get(1)).expect("send");
        assert_eq!(frames.answer(1).text(), "origin");
        let goodbye = frames.wait(|frame| frame.kind == GOAWAY).expect("a goodbye");
        assert_eq!(goodbye.code(), 0);
        assert!(frames.ends_within(Duration::from_secs(4)), "the connection ends");
        // A client that goes on being silent is not waited for much longer.
        let mut silent = Frames::silent(ringress.https).expect("a handshake");
        silent.send(crate::support::frames::PREFACE).expect("send");
        drop(silent);
    });
}
