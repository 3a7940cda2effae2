//! Each half of a stream has a time of its own: who stalls is told so, and nobody else's traffic hides it.

use std::io;
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::frames::{DATA, Frames, frame, headers, pseudo};
use crate::support::manifests::{Ingress, file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::tunnel::{self, UPGRADE};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n";

fn in_front_of(driver: Driver, origin: &Origin, ingress: Ingress, keys: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress.prefix("a.test", "/", "origin").build());
    objects.push(options(keys));
    let builder = Ringress::on(driver).workers(1).flag("--configmap=default/options");
    builder.manifest("all.json", file(objects)).start()
}

fn streamed() -> Ingress {
    ingress("a").annotation("proxy-request-buffering", "off")
}

/// Says `first` and takes the body; tells the test whether it came whole.
fn taking(first: &'static [u8]) -> (Origin, std::sync::mpsc::Receiver<bool>) {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = Origin::with(move |request, peer| {
        peer.send(first)?;
        let whole = peer.read_body(request).is_ok();
        tell.lock().expect("no panic").send(whole).map_err(io::Error::other)?;
        Ok(Next::Close)
    });
    (origin, told)
}

#[test]
fn a_streamed_body_that_stops_coming_is_answered_with_408() {
    on_each_driver(|driver| {
        let (origin, told) = taking(b"");
        let ringress = in_front_of(driver, &origin, streamed(), &[("client-body-timeout", "1")]);
        let plain = Connection::plain(ringress.http).expect("connect");
        let secure = Connection::tls(ringress.https, Some("a.test")).expect("a handshake");
        for mut client in [plain, secure] {
            client.send(format!("{HEAD}abc").as_bytes()).expect("send");
            let answer = client.response(false).expect("an answer");
            assert_eq!((answer.status, answer.closes()), (408, true));
            assert!(!told.recv().expect("the origin was asked"), "the origin must not take the body for whole");
        }
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, 0, &pseudo("POST", "/"))).expect("send");
        frames.send(&frame(DATA, 0, 1, b"abc")).expect("send");
        assert_eq!(frames.answer(1).status, 408);
        assert!(!told.recv().expect("the origin was asked"), "the origin must not take the body for whole");
    });
}

#[test]
fn an_interim_response_does_not_end_the_wait_for_the_body() {
    on_each_driver(|driver| {
        let (origin, told) = taking(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        let ringress = in_front_of(driver, &origin, streamed(), &[("client-body-timeout", "2")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(format!("{HEAD}abc").as_bytes()).expect("send");
        assert_eq!(client.head().expect("a hint").0, 103);
        assert_eq!(client.response(false).expect("an answer").status, 408);
        assert!(!told.recv().expect("the origin was asked"));
    });
}

#[test]
fn the_time_to_answer_begins_when_a_streamed_body_is_up() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            // Says nothing for as long as it is listened to.
            peer.receive(&mut [0])?;
            Ok(Next::Close)
        });
        let ringress = in_front_of(driver, &origin, streamed().annotation("proxy-read-timeout", "1"), &[]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let began = Instant::now();
        client.send(HEAD.as_bytes()).expect("send");
        // The body takes longer than the answer may.
        for byte in b"0123456789" {
            std::thread::sleep(Duration::from_millis(150));
            client.send(&[*byte]).expect("send");
        }
        assert_eq!(client.response(false).expect("an answer").status, 504);
        // Without the half second that clocks of ticks may differ: had it begun before the body, the answer were here by 1.5 s.
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    });
}

#[test]
fn a_tunnel_is_idle_only_when_both_sides_are() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.send(&tunnel::accepted(request))?;
            // Listens and says nothing until it is told to.
            let mut byte = [0];
            while peer.receive(&mut byte)? > 0 && byte != *b"!" {}
            peer.send(b"?")?;
            while peer.receive(&mut byte)? > 0 {}
            Ok(Next::Close)
        });
        let idle = ingress("a").annotation("proxy-read-timeout", "2");
        let ringress = in_front_of(driver, &origin, idle, &[]);
        let plain = Connection::plain(ringress.http).expect("connect");
        let secure = Connection::tls(ringress.https, Some("a.test")).expect("a handshake");
        for mut client in [plain, secure] {
            client.send(UPGRADE.as_bytes()).expect("send");
            assert_eq!(client.head().expect("an answer").0, 101);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(4) {
                client.send(b".").expect("the tunnel takes what one side says");
                std::thread::sleep(Duration::from_millis(100));
            }
            client.send(b"!").expect("send");
            let mut answer = [0];
            client.read_exact(&mut answer).expect("twice the idle time of one side later");
            assert_eq!(&answer, b"?");
            assert!(client.is_closed(), "both sides are silent");
        }
    });
}
