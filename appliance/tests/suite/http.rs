//! HTTP/1.1 as clients and origins see it: kept connections, bodies, forwarded headers.

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::raw;

/// One origin behind `a.test`.
fn in_front_of(driver: Driver, origin: &Origin) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").annotation("proxy-body-size", "8m").prefix("a.test", "/", "origin").build());
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

/// Answers with the body that came.
fn echo() -> Origin {
    Origin::with(|request, peer| {
        peer.read_body(request)?;
        peer.answer(200, &[], &request.body)?;
        Ok(Next::Keep)
    })
}

#[test]
fn both_sides_keep_their_connections() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        for turn in 0..50 {
            let answer = client.get("a.test", "/").unwrap_or_else(|error| panic!("request {turn}: {error}"));
            assert_eq!((answer.status, answer.text().as_str()), (200, "origin"));
            assert!(!answer.closes(), "request {turn}: {answer:?}");
        }
        assert_eq!(origin.connections(), 1, "one client connection on one worker needs one to the origin");
    });
}

#[test]
fn the_last_request_of_a_connection_is_announced() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        objects.push(options(&[("keep-alive-requests", "3")]));
        let ringress =
            Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(objects)).start();
        let mut client = Connection::plain(ringress.http).expect("connect");
        let closes = [(); 3].map(|()| client.get("a.test", "/").expect("an answer").closes());
        assert_eq!(closes, [false, false, true]);
        assert!(client.is_closed());
    });
}

#[test]
fn a_client_that_asks_for_the_end_gets_all_of_its_answer_before_it() {
    const LARGE: usize = 8 << 20;
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| {
            peer.answer(200, &[], &vec![b'x'; LARGE])?;
            Ok(Next::Keep)
        });
        let ringress = in_front_of(driver, &origin);
        // With bytes behind the request, of which the proxy knows or not, closing would reset the connection.
        for behind in ["", "GET /more", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"] {
            let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n{behind}");
            let outcome = raw::exchange(ringress.http, request.as_bytes());
            let body = outcome.bytes.iter().rev().take_while(|&&byte| byte == b'x').count();
            assert_eq!((body, outcome.closed), (LARGE, true), "with {behind:?} behind");
        }
    });
}

#[test]
fn bodies_of_any_framing_arrive_whole() {
    on_each_driver(|driver| {
        let ringress_of = echo();
        let ringress = in_front_of(driver, &ringress_of);
        let long: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        for body in [b"x".as_slice(), &long] {
            let mut client = Connection::plain(ringress.http).expect("connect");
            let answer = client.request("POST", "a.test", "/", &[], body).expect("an answer");
            assert!(answer.body == body, "{} bytes came back of {}", answer.body.len(), body.len());
        }
        let mut client = Connection::plain(ringress.http).expect("connect");
        let chunked = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                        3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n";
        client.send(chunked).expect("send");
        assert_eq!(client.response(false).expect("an answer").text(), "abcdefg");
        assert_eq!(client.get("a.test", "/").expect("the connection goes on").status, 200);
    });
}

#[test]
fn answers_of_any_framing_arrive_whole() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| match request.target.as_str() {
            "/chunked" => {
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")?;
                Ok(Next::Keep)
            }
            "/until-close" => {
                peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")?;
                Ok(Next::Close)
            }
            "/none" => peer.send(b"HTTP/1.1 204 No Content\r\n\r\n").map(|()| Next::Keep),
            "/early" => {
                peer.send(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                )?;
                Ok(Next::Keep)
            }
            _ => peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").map(|()| Next::Keep),
        });
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        assert_eq!(client.get("a.test", "/chunked").expect("an answer").text(), "abcde");
        assert_eq!(client.get("a.test", "/none").expect("an answer").status, 204);
        let head = client.request("HEAD", "a.test", "/head", &[], b"").expect("an answer");
        assert_eq!(head.header("content-length"), Some("5000"));
        assert_eq!(client.get("a.test", "/until-close").expect("an answer").text(), "until the end");
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET /early HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        let mut answer = client.response(false).expect("an answer");
        if answer.status == 103 {
            answer = client.response(false).expect("the final answer");
        }
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    });
}

#[test]
fn the_origin_learns_who_asked_and_how() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let own = client.socket().local_addr().expect("own address").ip().to_string();
        let sent = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Proto", "https"),
            ("X-Real-IP", "203.0.113.9"),
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Proxy", "http://evil.test"),
            ("X-Kept", "yes"),
        ];
        assert_eq!(client.request("GET", "a.test", "/", &sent, b"").expect("an answer").status, 200);
        let received = origin.received();
        let request = received.last().expect("a request");
        let header = |name| request.header(name);
        assert_eq!(header("host"), Some("a.test"));
        assert_eq!(header("x-forwarded-for"), Some(own.as_str()), "the client's word is not trusted");
        assert_eq!(header("x-real-ip"), Some(own.as_str()));
        assert_eq!(header("x-forwarded-proto"), Some("http"));
        assert_eq!(header("x-forwarded-host"), Some("a.test"));
        assert_eq!(header("x-request-id").map(str::len), Some(32));
        assert_eq!(header("x-kept"), Some("yes"));
        assert_eq!((header("x-hop"), header("proxy")), (None, None), "{request:?}");
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            let target = request.target.clone();
            peer.answer(200, &[], target.as_bytes())?;
            Ok(Next::Keep)
        });
        let ringress = in_front_of(driver, &origin);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let requests: String = (0..5).map(|turn| format!("GET /{turn} HTTP/1.1\r\nHost: a.test\r\n\r\n")).collect();
        client.send(requests.as_bytes()).expect("send");
        for turn in 0..5 {
            assert_eq!(client.response(false).expect("an answer").text(), format!("/{turn}"));
        }
    });
}

#[test]
fn an_http_1_0_client_is_answered_and_closed() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin);
        let outcome = raw::exchange(ringress.http, b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
        assert!(outcome.closed);
        let text = String::from_utf8_lossy(&outcome.bytes).into_owned();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("origin"), "{text}");
    });
}

#[test]
fn an_http_1_0_client_that_asks_keeps_its_connection() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        let request = "POST / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n";
        let two = [request, "1", request, "2", "GET /last HTTP/1.0\r\nHost: a.test\r\n\r\n"].concat();
        let outcome = raw::exchange(ringress.http, two.as_bytes());
        let text = String::from_utf8_lossy(&outcome.bytes).to_ascii_lowercase();
        assert!(outcome.closed);
        assert_eq!(text.matches("http/1.1 200").count(), 3, "{text}");
        assert_eq!(text.matches("connection: keep-alive").count(), 2, "{text}");
        assert!(!text.contains("transfer-encoding"), "{text}");
    });
}

#[test]
fn expect_continue_is_answered_before_the_body() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        for expected in ["100-continue", "something, 100-Continue"] {
            let mut client = Connection::plain(ringress.http).expect("connect");
            let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: {expected}\r\n\r\n");
            client.send(head.as_bytes()).expect("send");
            assert_eq!(client.head().expect("an interim answer").0, 100);
            client.send(b"body").expect("send");
            assert_eq!(client.response(false).expect("an answer").text(), "body");
        }
    });
}

#[test]
fn a_body_over_the_limit_is_413() {
    on_each_driver(|driver| {
        let origin = echo();
        let ringress = in_front_of(driver, &origin);
        let announced = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8388609\r\n\r\n";
        let outcome = raw::exchange(ringress.http, announced);
        assert_eq!((outcome.statuses(), outcome.closed), (vec![413], true));
        assert!(origin.received().is_empty(), "the origin must not see it");
    });
}
