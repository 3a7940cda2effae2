//! Bodies are passed on as they come, and no faster than the receiving side takes them.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::client::{Connection, connect};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::{eventually, within};

const MEBIBYTE: u64 = 1 << 20;
/// Far more than all socket buffers on the way can hold.
const BODY_BYTES: u64 = 64 * MEBIBYTE;
/// What buffers of the kernel and the product together may hold of a stalled body.
const STALLED_BYTES_MAX: u64 = 32 * MEBIBYTE;
/// What the product itself may hold of it.
const GROWTH_BYTES_MAX: u64 = 8 * MEBIBYTE;
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

fn in_front_of(driver: Driver, origin: &Origin) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    let unlimited = ingress("a").annotation("proxy-body-size", "0").annotation("proxy-request-buffering", "off");
    let unlimited = unlimited.annotation("proxy-buffering", "on");
    objects.push(unlimited.prefix("a.test", "/", "origin").build());
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

/// Waits until `counter` stands still for a while, that is until its writer is blocked; returns where.
fn stalled(counter: &AtomicU64) -> u64 {
    const STILL: Duration = Duration::from_millis(500);
    let mut last = counter.load(Ordering::SeqCst);
    eventually("the sender is held back", || {
        let moved = within(STILL, || counter.load(Ordering::SeqCst) != last);
        last = counter.load(Ordering::SeqCst);
        last > 0 && !moved
    });
    last
}

#[test]
fn the_first_bytes_of_an_answer_do_not_wait_for_the_last() {
    on_each_driver(|driver| {
        let (origin, go_on) = Origin::of_two_events();
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(client.head().expect("a head").0, 200);
        let mut chunk = [0; 10];
        client.read_exact(&mut chunk).expect("the first chunk, while the origin waits");
        assert_eq!(&chunk, b"5\r\nfirst\r\n");
        go_on.send(()).expect("the origin still waits");
        let mut rest = [0; 14];
        client.read_exact(&mut rest).expect("the rest");
        assert_eq!(&rest, b"4\r\nlast\r\n0\r\n\r\n");
    });
}

#[test]
fn a_slow_client_holds_back_the_origin() {
    on_each_driver(|driver| {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let origin = Origin::with(move |_, peer| {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes())?;
            while counter.load(Ordering::SeqCst) < BODY_BYTES {
                peer.send(&PIECE)?;
                counter.fetch_add(PIECE.len() as u64, Ordering::SeqCst);
            }
            Ok(Next::Keep)
        });
        let ringress = in_front_of(driver, &origin);
        let before = ringress.resident_bytes();
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        let at = stalled(&sent);
        assert!(at < STALLED_BYTES_MAX, "the origin could send {at} bytes that nobody reads");
        let growth = ringress.resident_bytes().saturating_sub(before);
        assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more while a client does not read");
        let answer = client.response(false).expect("the whole answer, late");
        assert_eq!(answer.body.len() as u64, BODY_BYTES);
    });
}

#[test]
fn a_slow_origin_holds_back_the_client() {
    on_each_driver(|driver| {
        let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
        let wait = std::sync::Mutex::new(wait);
        let origin = Origin::with(move |request, peer| {
            wait.lock().expect("one request").recv().map_err(io::Error::other)?;
            peer.read_body(request)?;
            peer.answer(200, &[], request.body.len().to_string().as_bytes())?;
            request.body.clear();
            Ok(Next::Keep)
        });
        let ringress = in_front_of(driver, &origin);
        let before = ringress.resident_bytes();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes())
            .expect("send");
        let sending = std::thread::spawn(move || {
            while counter.load(Ordering::SeqCst) < BODY_BYTES {
                client.send(&PIECE).expect("send");
                counter.fetch_add(PIECE.len() as u64, Ordering::SeqCst);
            }
            client.response(false).expect("an answer")
        });
        let at = stalled(&sent);
        assert!(at < STALLED_BYTES_MAX, "the client could send {at} bytes that nobody reads");
        let growth = ringress.resident_bytes().saturating_sub(before);
        assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more while an origin does not read");
        go_on.send(()).expect("the origin still waits");
        assert_eq!(sending.join().expect("the client").text(), BODY_BYTES.to_string());
    });
}

#[test]
fn a_cut_answer_looks_cut_to_the_client() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            match request.target.as_str() {
                "/length" => peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?,
                _ => peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")?,
            }
            Ok(Next::Close)
        });
        let ringress = in_front_of(driver, &origin);
        for target in ["/length", "/chunked"] {
            let mut client = Connection::plain(ringress.http).expect("connect");
            let answer = client.get("a.test", target);
            assert!(answer.is_err(), "{target}: {answer:?}");
        }
    });
}

/// The end of the connection is the end of such a client's body, so it has to be no proper one.
#[test]
fn a_cut_answer_to_an_http_1_0_client_ends_with_a_reset() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            if request.target == "/whole" {
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n")?;
                return Ok(Next::Keep);
            }
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")?;
            Ok(Next::Close)
        });
        let ringress = in_front_of(driver, &origin);
        // Whole and streamed bodies of requests.
        for (target, body) in [("/cut", 0), ("/cut", 4), ("/whole", 0), ("/whole", 4)] {
            let request =
                format!("POST {target} HTTP/1.0\r\nHost: a.test\r\nContent-Length: {body}\r\n\r\n{}", "x".repeat(body));
            let mut client = connect(ringress.http).expect("connect");
            client.write_all(request.as_bytes()).expect("send");
            let mut answer = Vec::new();
            let ended = client.read_to_end(&mut answer);
            let text = String::from_utf8_lossy(&answer);
            if target == "/whole" {
                assert!(ended.is_ok() && text.ends_with("\r\n\r\nhalf"), "{ended:?} {text}");
            } else {
                let kind = ended.err().map(|error| error.kind());
                assert_eq!(kind, Some(io::ErrorKind::ConnectionReset), "{body}: {text}");
            }
        }
    });
}

#[test]
fn a_body_that_stops_coming_is_answered_with_408_and_bytes_are_counted_once() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").annotation("proxy-body-size", "0").prefix("a.test", "/", "origin").build());
        objects.push(options(&[("client-body-timeout", "1")]));
        let ringress = Ringress::on(driver)
            .workers(1)
            .flag("--configmap=default/options")
            .manifest("all.json", file(objects))
            .start();
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc").expect("send");
        assert_eq!(client.head().expect("an answer").0, 408);
        // More than is kept, so that the rest is streamed.
        let body = vec![b'x'; 3 << 20];
        let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(&[head.as_bytes(), &body].concat()).expect("send");
        assert_eq!(client.response(false).expect("an answer").status, 200);
        let metrics = || ringress.metrics();
        let counted = || {
            let text = metrics();
            let line = text.lines().find(|line| line.starts_with("ringress_bytes_received_total{"));
            line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, n)| n.parse().expect("a number"))
        };
        let length = body.len() as f64;
        eventually("the request is counted", || counted() >= length);
        assert!(counted() < length + 4096.0, "{} bytes of {length}", counted());
    });
}
