//! Responses that are compressed on their way, and those that are not.

use std::io::{self, Read};

use crate::support::client::{Connection, Response};
use crate::support::frames::{Frames, Seen, pseudo};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin, Received};
use crate::support::process::{Driver, Ringress, on_each_driver};

const BOTH: [(&str, &str); 2] = [("use-gzip", "true"), ("enable-brotli", "true")];

/// A page that is larger than what the product handles at a time, and compresses to a part of itself.
fn page() -> Vec<u8> {
    (0..10_000).flat_map(|line: u32| format!("<p>line {line}</p>\n").into_bytes()).collect()
}

/// Answers by the target: a page with an ETag, the same in chunks, or something that is not to be touched.
fn answer(request: &mut Received, peer: &mut crate::support::origin::Peer) -> io::Result<Next> {
    let html = ("Content-Type", "text/html; charset=utf-8");
    let (page, is_head) = (page(), request.method == "HEAD");
    let body: &[u8] = if is_head { b"" } else { &page };
    match request.target.as_str() {
        "/page" => peer.answer(200, &[html, ("ETag", "\"1\""), ("Accept-Ranges", "bytes")], body)?,
        "/weak" => peer.answer(200, &[html, ("ETag", "W/\"1\""), ("Vary", "Origin, Accept-Encoding")], body)?,
        "/chunks" => {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for part in page.chunks(70_000) {
                peer.send(format!("{:x}\r\n", part.len()).as_bytes())?;
                peer.send(part)?;
                peer.send(b"\r\n")?;
            }
            peer.send(b"0\r\n\r\n")?;
        }
        "/close" => {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n")?;
            peer.send(&page)?;
            return Ok(Next::Close);
        }
        "/cut" => {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9999\r\n\r\nonly this")?;
            return Ok(Next::Close);
        }
        "/image" => peer.answer(200, &[("Content-Type", "image/png")], body)?,
        "/coded" => peer.answer(200, &[html, ("Content-Encoding", "zstd")], body)?,
        "/no-transform" => peer.answer(200, &[html, ("Cache-Control", "no-transform")], body)?,
        "/partial" => peer.answer(206, &[html, ("Content-Range", "bytes 0-9/100")], b"0123456789")?,
        "/short" => peer.answer(200, &[html], b"short")?,
        _ => peer.answer(500, &[html], body)?,
    }
    Ok(Next::Keep)
}

fn in_front_of(driver: Driver, origin: &Origin, settings: &[(&str, &str)]) -> Ringress {
    let mut all = service("one", &[origin.address]);
    all.extend([ingress("web").prefix("a.test", "/", "one").build(), options(settings)]);
    Ringress::on(driver).workers(1).manifest("all.json", file(all)).flag("--configmap=default/options").start()
}

fn asked(ringress: &Ringress, method: &str, target: &str, accept: &str) -> Response {
    let mut connection = Connection::plain(ringress.http).expect("connect");
    connection.request(method, "a.test", target, &[("Accept-Encoding", accept)], b"").expect("an answer")
}

fn decoded(answer: &Response) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain),
        Some("zstd") => zstd::Decoder::new(&*answer.body).and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        Some("br") => brotli::Decompressor::new(&*answer.body, 4096).read_to_end(&mut plain),
        _ => return answer.body.clone(),
    }
    .expect("a whole stream");
    plain
}

#[test]
fn pages_are_compressed_in_the_coding_that_the_client_takes() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let ringress = in_front_of(driver, &origin, &BOTH);
        for (accept, coding) in
            [("gzip, br", Some("br")), ("gzip", Some("gzip")), ("br;q=0, gzip", Some("gzip")), ("", None)]
        {
            for target in ["/page", "/chunks", "/close"] {
                let answer = asked(&ringress, "GET", target, accept);
                assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{target} {accept}");
                assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{target} {accept}");
                assert!(decoded(&answer) == page(), "{target} {accept}");
                assert!(coding.is_none() || answer.body.len() < page().len() / 3, "{}", answer.body.len());
            }
        }
        let coded = asked(&ringress, "GET", "/page", "gzip");
        assert_eq!((coded.header("etag"), coded.header("content-length")), (Some("W/\"1\""), None));
        assert_eq!(coded.header("accept-ranges"), None);
        let plain = asked(&ringress, "GET", "/page", "");
        assert_eq!((plain.header("etag"), plain.header("accept-ranges")), (Some("\"1\""), Some("bytes")));
        let weak = asked(&ringress, "GET", "/weak", "gzip");
        assert_eq!((weak.header("etag"), weak.header("vary")), (Some("W/\"1\""), Some("Origin, Accept-Encoding")));
    });
}

#[test]
fn what_the_operator_says_of_the_etag_holds_for_a_coded_answer() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let mut all = service("one", &[origin.address]);
        let (name, path) =
            ("ringress.io/response-headers-", |name| ingress(name).prefix(&format!("{name}.test"), "/", "one"));
        all.push(path("set").annotation(&format!("{name}set"), "ETag: \"mine\"").build());
        all.push(path("gone").annotation(&format!("{name}remove"), "etag").build());
        all.push(options(&BOTH));
        let ringress =
            Ringress::on(driver).workers(1).manifest("all.json", file(all)).flag("--configmap=default/options").start();
        for (host, etag) in [("set.test", vec!["\"mine\""]), ("gone.test", vec![])] {
            let mut client = Connection::plain(ringress.http).expect("connect");
            let gzip = [("Accept-Encoding", "gzip")];
            let answer = client.request("GET", host, "/page", &gzip, b"").expect("an answer");
            assert_eq!(answer.header("content-encoding"), Some("gzip"), "{host}");
            let etags = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("etag"));
            assert_eq!(etags.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), etag, "{host}");
        }
    });
}

#[test]
fn zstd_is_a_coding_of_its_own_that_wins_where_it_is_switched_on() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let ringress =
            in_front_of(driver, &origin, &[&BOTH[..], &[("enable-zstd", "true"), ("zstd-level", "19")]].concat());
        for (accept, coding) in [("gzip, deflate, br, zstd", "zstd"), ("zstd;q=0, br", "br"), ("gzip", "gzip")] {
            for target in ["/page", "/chunks", "/close"] {
                let answer = asked(&ringress, "GET", target, accept);
                assert_eq!(
                    (answer.status, answer.header("content-encoding")),
                    (200, Some(coding)),
                    "{target} {accept}"
                );
                assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{target} {accept}");
                assert!(decoded(&answer) == page(), "{target} {accept}");
                assert!(answer.body.len() < page().len() / 3, "{}", answer.body.len());
            }
        }
        let coding = |settings: &[(&str, &str)], target: &str| {
            let ringress = in_front_of(driver, &origin, settings);
            asked(&ringress, "GET", target, "zstd").header("content-encoding").map(str::to_owned)
        };
        let on = ("enable-zstd", "true");
        assert_eq!(coding(&BOTH, "/page"), None, "nobody asked for it");
        assert_eq!(coding(&[on, ("zstd-types", "image/png")], "/image").as_deref(), Some("zstd"));
        assert_eq!(coding(&[on, ("zstd-min-length", "99999999")], "/page"), None);
        // A level that is none is told, and the default acts.
        let ringress = in_front_of(driver, &origin, &[on, ("zstd-level", "20")]);
        assert_eq!(asked(&ringress, "GET", "/page", "zstd").header("content-encoding"), Some("zstd"));
        assert!(ringress.status()["rejected"].to_string().contains("data.zstd-level"));
    });
}

#[test]
fn what_is_no_page_of_the_listed_kinds_is_not_touched() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let ringress = in_front_of(driver, &origin, &BOTH);
        for target in ["/image", "/coded", "/no-transform", "/partial", "/short", "/error"] {
            let answer = asked(&ringress, "GET", target, "gzip, br");
            let coding = if target == "/coded" { Some("zstd") } else { None };
            assert_eq!((answer.header("content-encoding"), answer.header("vary")), (coding, None), "{target}");
            let length: usize = answer.header("content-length").and_then(|n| n.parse().ok()).expect("a length");
            assert_eq!(length, answer.body.len(), "{target}");
        }
        let head = asked(&ringress, "HEAD", "/page", "gzip");
        assert_eq!(
            (head.header("content-encoding"), head.header("vary"), head.header("etag")),
            (None, None, Some("\"1\""))
        );
    });
}

#[test]
fn the_keys_of_compression_act() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let coding = |settings: &[(&str, &str)], target: &str| {
            let ringress = in_front_of(driver, &origin, settings);
            asked(&ringress, "GET", target, "gzip, br").header("content-encoding").map(str::to_owned)
        };
        assert_eq!(coding(&[], "/page"), None);
        assert_eq!(coding(&BOTH[..1], "/page").as_deref(), Some("gzip"));
        assert_eq!(coding(&[BOTH[0], ("gzip-types", "image/png")], "/image").as_deref(), Some("gzip"));
        assert_eq!(coding(&[BOTH[0], ("gzip-min-length", "3")], "/short").as_deref(), Some("gzip"));
        assert_eq!(coding(&[BOTH[1], ("brotli-min-length", "99999999")], "/page"), None);
        assert_eq!(coding(&[BOTH[1], ("brotli-types", "*"), ("brotli-level", "11")], "/image").as_deref(), Some("br"));
        let ringress = in_front_of(driver, &origin, &[BOTH[0], ("gzip-disable", "^old"), ("gzip-level", "9")]);
        let coding = |agent: &str| {
            let mut connection = Connection::plain(ringress.http).expect("connect");
            let fields = [("Accept-Encoding", "gzip"), ("User-Agent", agent)];
            let answer = connection.request("GET", "a.test", "/page", &fields, b"").expect("an answer");
            answer.header("content-encoding").map(str::to_owned)
        };
        assert_eq!((coding("Old one").as_deref(), coding("new one").as_deref()), (None, Some("gzip")));
    });
}

#[test]
fn an_event_is_not_held_back_by_its_compression() {
    on_each_driver(|driver| {
        let (origin, go_on) = Origin::of_two_events();
        let types = [("gzip-types", "text/event-stream"), ("brotli-types", "text/event-stream")];
        let zstd = [("enable-zstd", "true"), ("zstd-types", "text/event-stream")];
        let ringress = in_front_of(driver, &origin, &[&BOTH[..], &types, &zstd].concat());
        for accept in ["gzip", "br", "zstd"] {
            let mut client = Connection::plain(ringress.http).expect("connect");
            client
                .send(format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: {accept}\r\n\r\n").as_bytes())
                .expect("send");
            let (status, headers) = client.head().expect("a head");
            assert!(status == 200 && headers.iter().any(|(name, value)| name == "content-encoding" && value == accept));
            // Whatever the encoder buffers, the first event can be read while the origin waits.
            let mut answer = Response { status, headers, body: Vec::new() };
            client.chunk(&mut answer.body).expect("a chunk");
            let mut start = [0; 5];
            match accept {
                "gzip" => flate2::read::GzDecoder::new(&*answer.body).read_exact(&mut start),
                "zstd" => zstd::Decoder::new(&*answer.body).and_then(|mut decoder| decoder.read_exact(&mut start)),
                _ => brotli::Decompressor::new(&*answer.body, 1).read_exact(&mut start),
            }
            .expect("the first event");
            assert_eq!(&start, b"first");
            go_on.send(()).expect("the origin waits");
            while client.chunk(&mut answer.body).expect("a chunk") {}
            assert_eq!(decoded(&answer), b"firstlast");
        }
    });
}

#[test]
fn a_response_that_is_cut_looks_cut_when_it_is_compressed() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let ringress = in_front_of(driver, &origin, &BOTH);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let cut = client.request("GET", "a.test", "/cut", &[("Accept-Encoding", "gzip")], b"");
        assert_eq!(cut.expect_err("no end").kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(asked(&ringress, "GET", "/page", "gzip").status, 200);
    });
}

#[test]
fn streams_of_http2_are_compressed_alike() {
    on_each_driver(|driver| {
        let origin = Origin::with(answer);
        let ringress = in_front_of(driver, &origin, &BOTH);
        let mut frames = Frames::open(ringress.https);
        let fields = [pseudo("GET", "/page"), vec![("accept-encoding", "gzip")]].concat();
        let Seen::Answer(seen) = frames.request(1, &fields) else { panic!("no answer") };
        assert_eq!((seen.header("content-encoding"), seen.header("content-length")), (Some("gzip"), None));
        let answer = Response { status: seen.status, headers: seen.headers, body: seen.body };
        assert!(decoded(&answer) == page());
    });
}
