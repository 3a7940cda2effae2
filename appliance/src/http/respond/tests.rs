use super::*;
use crate::http::head::HeadLimits;
use crate::http::response::Asked;

const DATE: &[u8] = b"Tue, 15 Nov 1994 08:12:31 GMT";

/// The head that the client gets, line by line, and what was said about the connection.
fn responded(text: &str, asked: Asked, change: impl FnOnce(&mut Respond<'_>)) -> (Vec<String>, Written) {
    let buf = text.as_bytes();
    let mut head = ResponseHead::default();
    head.parse(buf, &HeadLimits::default(), asked).unwrap();
    let mut respond = Respond {
        version: Version::Http11,
        keep_alive: true,
        trailers: false,
        date: DATE,
        hsts: None,
        keep_server: false,
        recoded: false,
        changes: [Changes::NONE; 2],
    };
    change(&mut respond);
    let mut out = Vec::new();
    let written = write_response(&mut out, &head, buf, &respond);
    let text = String::from_utf8(out).unwrap();
    let lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_string).collect();
    (lines, written)
}

fn plain(lines: &str, change: impl FnOnce(&mut Respond<'_>)) -> (Vec<String>, Written) {
    responded(&format!("HTTP/1.1 200 OK\r\nDate: now\r\n{lines}\r\n"), Asked::default(), change)
}

#[test]
fn the_head_is_built_from_parts() {
    let text = "HTTP/1.0 200 Fine by me\r\nServer: x\r\nX-Powered-By: y\r\nKeep-Alive: 5\r\nConnection: keep-alive, X-Hop\r\n\
                X-Hop: z\r\nX-Accel-Redirect: /w\r\nTrailer: T\r\nProxy-Authenticate: v\r\nUpgrade: u\r\n\
                content-length: 5\r\n\r\n";
    let (lines, written) = responded(text, Asked::default(), |_| ());
    let date = "Date: Tue, 15 Nov 1994 08:12:31 GMT";
    assert_eq!(lines, ["HTTP/1.1 200 Fine by me", "X-Powered-By: y", date, "Content-Length: 5"]);
    assert_eq!(written, Written { body: ResponseBody::Length(5), keep_alive: true, trailers: false });
}

#[test]
fn a_status_line_without_reason_is_completed() {
    let (lines, _) = responded("HTTP/1.1 204\r\nDate: now\r\n\r\n", Asked::default(), |_| ());
    assert_eq!(lines, ["HTTP/1.1 204 ", "Date: now"]);
}

#[test]
fn framing_follows_the_clients_version() {
    let http10 = |respond: &mut Respond<'_>| respond.version = Version::Http10;
    let chunked = "Transfer-Encoding: chunked\r\n";
    for upstream in [chunked, ""] {
        let (lines, written) = plain(upstream, |_| ());
        assert_eq!(lines, ["HTTP/1.1 200 OK", "Date: now", "Transfer-Encoding: chunked"]);
        assert_eq!(written, Written { body: ResponseBody::Chunked, keep_alive: true, trailers: false });
        let (lines, written) = plain(upstream, http10);
        assert_eq!(lines, ["HTTP/1.1 200 OK", "Date: now", "Connection: close"]);
        assert_eq!(written, Written { body: ResponseBody::UntilClose, keep_alive: false, trailers: false });
    }
    let (lines, written) = plain("Content-Length: 5\r\n", http10);
    assert_eq!(lines, ["HTTP/1.1 200 OK", "Date: now", "Content-Length: 5", "Connection: keep-alive"]);
    assert!(written.keep_alive);
}

#[test]
fn a_connection_that_ends_is_announced() {
    let (lines, written) = plain("Content-Length: 5\r\n", |respond| respond.keep_alive = false);
    assert!(lines.contains(&"Connection: close".to_string()) && !written.keep_alive);
}

#[test]
fn answers_without_body_keep_the_length_of_what_get_would_have_got() {
    let length = "Content-Length: 5".to_string();
    let head = Asked { head: true, upgrade: false };
    for (status, asked, kept) in [(200, head, true), (304, Asked::default(), true), (204, Asked::default(), false)] {
        let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
        let (lines, written) = responded(&text, asked, |_| ());
        assert_eq!((lines.contains(&length), written.body), (kept, ResponseBody::None), "{status}");
    }
}

#[test]
fn a_switch_of_protocols_is_passed_on() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\
                Date: now\r\nContent-Length: 3\r\n\r\n";
    let (lines, _) = responded(text, Asked { head: false, upgrade: true }, |_| ());
    let expected = ["HTTP/1.1 101 Switching Protocols", "Sec-WebSocket-Accept: a", "Date: now", "Connection: upgrade"];
    assert_eq!(lines, [&expected[..], &["Upgrade: websocket"]].concat());
}

#[test]
fn set_added_and_removed_fields() {
    let upstream = "Content-Length: 0\r\nA: 1\r\nB: 2\r\nD: 4\r\nSet-Cookie: c\r\nStrict-Transport-Security: max-age=1\r\nServer: s\r\n";
    let [route, own] = [Box::leak(Box::default()), Box::leak(Box::<Changes<'static>>::default())];
    own.set(b"a", b"3");
    own.remove(b"b");
    route.add(b"Set-Cookie", b"d\r\nX: y");
    route.remove(b"d");
    let (lines, _) = plain(upstream, |respond| {
        respond.changes = [route, own];
        respond.hsts = Some(b"max-age=2");
        respond.keep_server = true;
    });
    let expected = [
        "HTTP/1.1 200 OK",
        "Date: now",
        "Set-Cookie: c",
        "Server: s",
        "Content-Length: 0",
        "Strict-Transport-Security: max-age=2",
        "Set-Cookie: d  X: y",
        "a: 3",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn interim_responses_carry_their_own_fields_only() {
    let text = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    let mut head = ResponseHead::default();
    head.parse(text, &HeadLimits::default(), Asked::default()).unwrap();
    let mut out = Vec::new();
    write_interim(&mut out, &head, text);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
}
