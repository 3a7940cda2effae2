//! Random messages, near enough to HTTP that many are valid.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NAMES: &[&str] = &[
    "Host",
    "host",
    "Content-Length",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "TE",
    "Trailer",
    "Expect",
    "Proxy",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Prefix",
    "x_forwarded_for",
    "X_Real_IP",
    "X-Real-IP",
    "X-Request-ID",
    "X-Removed",
    "X-Set",
    "ssl-client-verify",
    "Content_Length",
    "Forwarded",
    "Accept",
    "A",
    "a.b",
    "X-Longer-Than-Sixteen-Bytes",
    "Content-Length ",
    " A",
    "A B",
    "",
    "A\u{e4}",
];

const VALUES: &[&str] = &[
    "",
    "a.test",
    "A.test:8080",
    "0",
    "5",
    "005",
    "+5",
    "5, 5",
    "18446744073709551616",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "chunked, chunked",
    "\u{b}chunked",
    "close",
    "keep-alive",
    "upgrade",
    "keep-alive, Upgrade",
    "x-removed, host, a",
    "websocket",
    "h2c",
    "100-continue",
    "1.2.3.4",
    "1.2.3.4, 5.6.7.8",
    "trailers",
    "a\tb",
    "a\rb",
    "a\nb",
    "a\0b",
    "\u{e4}",
    "[::1]:80",
    "a b",
    "a, b",
];

const TARGETS: &[&str] = &[
    "/",
    "/a/b?c=d",
    "//a/../b",
    "/%2e%2e/a",
    "/a%2F..",
    "/%00",
    "/%0d%0a",
    "*",
    "http://b.test/x",
    "HTTP://b.test",
    "http://u@b/",
    "http://b.test?x",
    "a:80",
    "/a b",
    "/a#b",
    "",
    "/a\tb",
    "/\u{e4}",
    "https://[::1]:8/",
];

/// A field line, now and then with another line end or padding.
fn field_line() -> impl Strategy<Value = String> {
    let separator = select(&[": ", ":", ":  ", ":\t", " : "][..]);
    let separator = prop_oneof![8 => Just(": "), 2 => separator];
    let end = prop_oneof![30 => Just("\r\n"), 1 => Just(" \r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\n ")];
    (select(NAMES), separator, select(VALUES), end)
        .prop_map(|(name, separator, value, end)| format!("{name}{separator}{value}{end}"))
}

/// A request head and some bytes behind it.
pub(crate) fn request() -> impl Strategy<Value = Vec<u8>> {
    let method =
        prop_oneof![8 => Just("GET"), 4 => Just("POST"), 2 => Just("OPTIONS"), 1 => Just("get"), 1 => Just("CONNECT")];
    let target = prop_oneof![4 => Just("/a/b?c"), 4 => select(TARGETS)];
    let version = prop_oneof![10 => Just("HTTP/1.1"), 3 => Just("HTTP/1.0"), 1 => Just("HTTP/2.0"), 1 => Just("")];
    let host = prop_oneof![8 => Just("Host: a.test\r\n"), 1 => Just("")];
    let rest = select(&["", "0123456789", "GET / HTTP/1.1\r\n\r\n"][..]);
    (method, target, version, host, vec(field_line(), 0..6), rest).prop_map(
        |(method, target, version, host, lines, rest)| {
            format!("{method} {target} {version}\r\n{host}{}\r\n{rest}", lines.concat()).into_bytes()
        },
    )
}

/// What was asked, as the check wants it, and a response head.
pub(crate) fn response() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        6 => Just("HTTP/1.1 200 OK"), 2 => Just("HTTP/1.0 200 OK"), 1 => Just("HTTP/1.1 204"), 1 => Just("HTTP/1.1 304 x"),
        1 => Just("HTTP/1.1 101 x"), 1 => Just("HTTP/1.1 100 "), 1 => Just("HTTP/2 200"), 1 => Just("x"),
    ];
    (0..4_u8, start, vec(field_line(), 0..6))
        .prop_map(|(asked, start, lines)| [&[asked], format!("{start}\r\n{}\r\n", lines.concat()).as_bytes()].concat())
}

/// A chunked body, or nearly one.
pub(crate) fn chunked() -> impl Strategy<Value = Vec<u8>> {
    let sound =
        vec(any::<u8>(), 1..20).prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let odd = select(
        &[
            "1;a=b\r\nx\r\n",
            "1;a=\"b;\\\"\"\r\nx\r\n",
            "1;a=\"b\r\nx\r\n",
            "01\r\nx\r\n",
            "1 \r\nx\r\n",
            "+1\r\nx\r\n",
            "1\nx\r\n",
            "1\r\nxy\r\n",
            "ffffffffffffffff\r\n",
            "7fffffffffffffff\r\n",
            "\r\n",
            "1;\r\nx\r\n",
        ][..],
    );
    let piece = prop_oneof![6 => sound, 1 => odd.prop_map(|text| text.as_bytes().to_vec())];
    let end = select(
        &["0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\n", "", "00\r\n\r\nrest", "0\r\n a: b\r\n\r\n", "0;x\r\n\r\n"][..],
    );
    (vec(piece, 0..5), end).prop_map(|(pieces, end)| [pieces.concat(), end.as_bytes().to_vec()].concat())
}

/// A path behind its first slash.
pub(crate) fn path() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(
        &[
            "a", "bc", "/", "//", ".", "..", "...", "%2e", "%2E%2e", "%2F", "%5c", "\\", ";", "%3b", "%00", "%", "%4",
            "%41", "%25", "?",
        ][..],
    );
    vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A ClientHello with these extensions, right in every length, in one record.
pub(crate) fn client_hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let mut listed = Vec::new();
    for (kind, content) in extensions {
        listed.extend(kind.to_be_bytes());
        listed.extend(length(content));
        listed.extend(content);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session, one suite, no compression.
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend(length(&listed));
    body.extend(listed);
    let mut message = vec![1, 0];
    message.extend(length(&body));
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(length(&message));
    record.extend(message);
    record
}
