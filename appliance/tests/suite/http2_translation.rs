//! HTTP/2 clients in front of HTTP/1.1 upstreams: what the one grammar can say and the other cannot goes no further, and
//! everything else arrives as it was meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::eventually;
use crate::support::frames::{
    Answer, CANCEL, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Seen, frame, get, headers, post, pseudo, reset,
};
use crate::support::hpack;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::tunnel::accepted;

fn in_front_of(driver: Driver, origin: &Origin, annotations: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    let built = annotations.iter().fold(ingress("a"), |ingress, (name, value)| ingress.annotation(name, value));
    objects.push(built.prefix("a.test", "/", "origin").build());
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

/// Requests that try to say more than one thing: method, path, authority, a field.
const ODD: [[&[u8]; 5]; 31] = [
    [b"GET", b"/", b"a.test", b"x-test", b"a\r\nx-evil: 1"],
    [b"GET", b"/", b"a.test", b"x-test", b"a\nx-evil: 1"],
    [b"GET", b"/", b"a.test", b"x-test", b"a\rx-evil: 1"],
    [b"GET", b"/", b"a.test", b"x-test", b"a\r\n\r\nGET /evil HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    [b"GET", b"/", b"a.test", b"x-test", b"a\0b"],
    [b"GET", b"/", b"a.test", b"x-test", b"a\x7fb"],
    [b"GET", b"/", b"a.test", b"x-test", b" a "],
    [b"GET", b"/", b"a.test", b"x-test", b"\x80\xff"],
    [b"GET", b"/", b"a.test", b"x-evil: 1\r\nx-test", b"1"],
    [b"GET", b"/", b"a.test", b"x-test\0", b"1"],
    [b"GET", b"/", b"a.test", b"x\x80", b"1"],
    [b"GET", b"/", b"a.test", b"transfer-encoding ", b"chunked"],
    [b"GET", b"/", b"a.test", b"content-length", b"0, 5"],
    [b"GET", b"/ HTTP/1.1\r\nx-evil: 1\r\nx:", b"a.test", b"x-test", b"1"],
    [b"GET", b"/ HTTP/1.1", b"a.test", b"x-test", b"1"],
    [b"GET", b"/a b", b"a.test", b"x-test", b"1"],
    [b"GET", b"/a\tb", b"a.test", b"x-test", b"1"],
    [b"GET", b"/a\0b", b"a.test", b"x-test", b"1"],
    [b"GET", b"/\xc3\xa4", b"a.test", b"x-test", b"1"],
    [b"GET", b"/a#evil", b"a.test", b"x-test", b"1"],
    [b"GET", b"https://b.test/evil", b"a.test", b"x-test", b"1"],
    [b"GET", b"*", b"a.test", b"x-test", b"1"],
    [b"GET /evil HTTP/1.1\r\nx:", b"/", b"a.test", b"x-test", b"1"],
    [b"G T", b"/", b"a.test", b"x-test", b"1"],
    [b"", b"/", b"a.test", b"x-test", b"1"],
    [b"GET", b"/", b"a.test\r\nx-evil: 1", b"x-test", b"1"],
    [b"GET", b"/", b"a.test/evil", b"x-test", b"1"],
    [b"GET", b"/", b"a.test b.test", b"x-test", b"1"],
    [b"GET", b"/", b"a.test,b.test", b"x-test", b"1"],
    [b"GET", b"/", b"a.test", b"host", b"a.test, b.test"],
    [b"GET", b"/", b"a.test", b"host", b"a.test\r\nx-evil: 1"],
];

#[test]
fn nothing_is_smuggled_into_the_request_of_an_upstream() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut ringress = in_front_of(driver, &origin, &[]);
        for [method, path, authority, name, value] in ODD {
            let fields = [
                (&b":method"[..], method),
                (b":scheme", b"https"),
                (b":path", path),
                (b":authority", authority),
                (name, value),
            ];
            let what = format!(
                "{:?}",
                fields.map(|(name, value)| (name.escape_ascii().to_string(), value.escape_ascii().to_string()))
            );
            let before = origin.received().len();
            let mut frames = Frames::open(ringress.https);
            let flags = END_HEADERS | END_STREAM;
            frames.send(&frame(HEADERS, flags, 1, &hpack::encode(fields))).expect("send");
            let seen = frames.outcome(1);
            assert!(!matches!(seen, Seen::Silence), "{what}");
            let received = origin.received()[before..].to_vec();
            let answered = matches!(&seen, Seen::Answer(answer) if answer.status == 200);
            assert_eq!(received.len(), usize::from(answered), "{what}: {seen:?} {received:?}");
            for request in received {
                let is = |name: &str, value: &str| request.header(name) == Some(value);
                assert!(
                    request.method == "GET" && !request.target.contains("evil") && is("host", "a.test"),
                    "{what}: {request:?}"
                );
                let evil = request.headers.iter().any(|(name, _)| {
                    name.contains("evil") || name.starts_with("transfer-encoding") || name == "content-length"
                });
                assert!(!evil, "{what}: {request:?}");
            }
        }
        ringress.assert_alive();
    });
}

#[test]
fn an_ordinary_request_arrives_as_it_was_meant() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[]);
        let mut frames = Frames::open(ringress.https);
        let mut fields = pseudo("POST", "/x/../y?q=%20");
        fields.extend([("cookie", "a=1"), ("x-first", "1"), ("cookie", "b=2"), ("x-list", "1"), ("x-list", "2")]);
        let body = [headers(1, 0, &fields), frame(DATA, 0, 1, b"he"), frame(DATA, END_STREAM, 1, b"llo")].concat();
        frames.send(&body).expect("send");
        assert_eq!(frames.answer(1).text(), "origin");
        let received = origin.received();
        let request = received.first().expect("a request");
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/x/../y?q=%20"));
        assert_eq!(request.body, b"hello");
        let all = |name: &str| -> Vec<_> {
            request.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
        };
        assert_eq!(all("cookie"), ["a=1; b=2"]);
        assert_eq!(all("x-list"), ["1", "2"]);
        assert_eq!(all("host"), ["a.test"]);
        assert_eq!(all("x-forwarded-proto"), ["https"]);
    });
}

#[test]
fn a_head_that_is_too_large_is_431_or_a_reset() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[]);
        let long = "x".repeat(15 << 10);
        let long: Vec<(&str, &str)> = (0..5).map(|_| ("x-long", long.as_str())).collect();
        let many: Vec<(&str, &str)> = (0..3000).map(|_| ("x", "1")).collect();
        for (what, more) in [("long", &long), ("many", &many)] {
            let block = hpack::encode([&pseudo("GET", "/")[..], more].concat());
            let mut pieces = block.chunks(16 << 10).peekable();
            let mut message = frame(HEADERS, END_STREAM, 1, pieces.next().expect("a piece"));
            while let Some(piece) = pieces.next() {
                let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
                message.extend(frame(crate::support::frames::CONTINUATION, last, 1, piece));
            }
            if block.len() <= 16 << 10 {
                message[4] |= END_HEADERS;
            }
            let mut frames = Frames::open(ringress.https);
            let _refused_early = frames.send(&message);
            let seen = frames.outcome(1);
            let refused = match &seen {
                Seen::Answer(answer) => matches!(answer.status, 400 | 431),
                Seen::Reset(_) | Seen::GoAway(_) => true,
                Seen::Closed | Seen::Silence => false,
            };
            assert!(refused, "{what}: {seen:?}");
        }
        assert_eq!(origin.connections(), 0);
    });
}

/// Answers by the target; `/trailers` tells what followed the body of the request.
fn answers() -> Origin {
    Origin::with(|request, peer| {
        match request.target.as_str() {
            "/101" => peer.send(&accepted(request))?,
            "/204" => peer.send(b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n")?,
            "/304" => peer.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")?,
            "/head" => peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")?,
            "/fields" => peer.send(
                b"HTTP/1.1 200 OK\r\nX-Upper: Yes\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                  Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
            )?,
            "/trailing" => peer.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 7\r\n\
                  Transfer-Encoding: chunked\r\nHost: b.test\r\nConnection: close\r\nX-Check: 1\r\n\r\n",
            )?,
            "/cut" => {
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")?;
                return Ok(Next::Close);
            }
            _ => {
                let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
                while !text.ends_with(b"\r\n\r\n") {
                    let count = peer.receive(&mut buffer)?;
                    text.extend_from_slice(&buffer[..count]);
                }
                peer.answer(200, &[], &text)?;
            }
        }
        Ok(Next::Keep)
    })
}

#[test]
fn answers_are_translated_with_their_framing() {
    on_each_driver(|driver| {
        let origin = answers();
        let ringress = in_front_of(driver, &origin, &[]);
        let mut frames = Frames::open(ringress.https);
        let mut ask = |stream, method, path| -> Answer {
            frames.send(&headers(stream, END_STREAM, &pseudo(method, path))).expect("send");
            frames.answer(stream)
        };
        assert_eq!(ask(1, "GET", "/101").status, 502, "an upgrade that nobody asked for");
        let empty = ask(3, "GET", "/204");
        assert_eq!((empty.status, empty.body.len(), empty.header("content-length")), (204, 0, None));
        assert_eq!((ask(5, "GET", "/304").status, ask(7, "GET", "/304").body.len()), (304, 0));
        let head = ask(9, "HEAD", "/head");
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("9"), 0));
        let answer = ask(11, "GET", "/fields");
        assert_eq!((answer.header("x-upper"), answer.text().as_str()), (Some("Yes"), "ok"));
        for name in ["connection", "keep-alive", "x-hop", "transfer-encoding", "X-Upper"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
        let answer = ask(13, "GET", "/trailing");
        assert_eq!(answer.text(), "ok");
        assert_eq!(answer.trailers, [("x-check".to_owned(), "1".to_owned())]);
        frames.send(&headers(15, END_STREAM, &pseudo("GET", "/cut"))).expect("send");
        let cut = frames.outcome(15);
        assert!(matches!(cut, Seen::Reset(_)), "a cut answer looks cut: {cut:?}");
    });
}

#[test]
fn trailers_of_a_request_go_no_further() {
    on_each_driver(|driver| {
        let origin = answers();
        let ringress = in_front_of(driver, &origin, &[("proxy-request-buffering", "off")]);
        let mut frames = Frames::open(ringress.https);
        let trailers = [("content-length", "7"), ("host", "b.test"), ("authorization", "x"), ("x-check", "1")];
        let body = [
            headers(1, 0, &pseudo("POST", "/trailers")),
            frame(DATA, 0, 1, b"hello"),
            headers(1, END_STREAM, &trailers),
        ];
        frames.send(&body.concat()).expect("send");
        let text = frames.answer(1).text();
        assert_eq!(text, "5\r\nhello\r\n0\r\n\r\n", "as with HTTP/1.1 clients, and in nginx");
    });
}

#[test]
fn an_upload_that_is_too_long_is_refused_before_its_end() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[("proxy-body-size", "1k")]);
        let mut frames = Frames::open(ringress.https);
        let mut fields = pseudo("POST", "/");
        fields.push(("content-length", "5000"));
        frames.send(&headers(1, 0, &fields)).expect("send");
        assert_eq!(frames.answer(1).status, 413, "by its length");
        frames.send(&[post(3), frame(DATA, 0, 3, &[0; 3000])].concat()).expect("send");
        assert_eq!(frames.answer(3).status, 413, "by what came");
        let refused = || ringress.metric("ringress_refused_total{reason=\"body_too_large\"}");
        eventually("both are counted", || refused() == 2.0);
        frames.send(&get(5)).expect("send");
        assert_eq!(frames.answer(5).status, 200, "the connection goes on");
    });
}

#[test]
fn a_request_taken_back_closes_the_upstream_connection() {
    on_each_driver(|driver| {
        let closed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closed);
        let origin = Origin::with(move |_, peer| {
            let ended = peer.receive(&mut [0]);
            seen.store(matches!(ended, Ok(0) | Err(_)), Ordering::SeqCst);
            Ok(Next::Close)
        });
        let ringress = in_front_of(driver, &origin, &[]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&get(1)).expect("send");
        eventually("the request arrives", || !origin.received().is_empty());
        assert!(!closed.load(Ordering::SeqCst));
        frames.send(&reset(1, CANCEL)).expect("send");
        eventually("the upstream's connection is closed", || closed.load(Ordering::SeqCst));
        assert!(frames.is_alive());
    });
}
