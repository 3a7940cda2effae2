//! Requests that two parsers could read in two ways, or none could read: refused with the connection closed, and the
//! origin sees nothing of them.

use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::{client, raw};

/// Sent behind each bad request: must never be answered.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// What it is, the bytes, and the statuses that refuse it.
const REFUSED: &[(&str, &str, &[u16])] = &[
    ("no HTTP", "\x01\x02\x03\r\n\r\n", &[400]),
    ("no version", "GET /\r\n\r\n", &[400]),
    ("two blanks", "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400]),
    ("unknown version", "GET / HTTP/3.7\r\nHost: a.test\r\n\r\n", &[400, 505]),
    ("method is no token", "GE(T / HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400]),
    ("CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400, 405, 501]),
    ("no slash", "GET x HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400]),
    ("no Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", &[400]),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", &[400]),
    ("Host with a path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", &[400]),
    ("Host with user", "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n", &[400]),
    ("blank before colon", "GET / HTTP/1.1\r\nHost: a.test\r\nX : 1\r\n\r\n", &[400]),
    ("folded line", "GET / HTTP/1.1\r\nHost: a.test\r\nX: 1\r\n 2\r\n\r\n", &[400]),
    ("line without colon", "GET / HTTP/1.1\r\nHost: a.test\r\nnonsense\r\n\r\n", &[400]),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n", &[400]),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rb\r\n\r\n", &[400]),
    (
        "length and chunked",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
    ),
    ("two lengths", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", &[400]),
    ("length list", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1, 1\r\n\r\na", &[400]),
    ("length with sign", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\na", &[400]),
    ("length too long", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999999999999\r\n\r\n", &[400, 413]),
    ("other coding", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip\r\n\r\n", &[400, 501]),
    (
        "chunked not last",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        &[400, 501],
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400, 501],
    ),
    (
        "chunked obscured",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        &[400, 501],
    ),
    ("chunked in 1.0", "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    (
        "bad chunk size",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        &[400],
    ),
    (
        "no CRLF after a chunk",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
        &[400],
    ),
    ("climbs above the root", "GET /../x HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400]),
    ("encoded NUL", "GET /a%00b HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400]),
    ("dots behind an encoded slash", "GET /a%2f..%2fb HTTP/1.1\r\nHost: a.test\r\n\r\n", &[400]),
];

#[test]
fn malformed_requests_are_refused_closed_and_never_forwarded() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let mut ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let mut wrong = Vec::new();
        for (what, bytes, statuses) in REFUSED {
            let outcome = raw::exchange(ringress.http, format!("{bytes}{SMUGGLED}").as_bytes());
            let answered = outcome.statuses();
            let refused = matches!(answered.as_slice(), [status] if statuses.contains(status));
            if !refused || !outcome.closed {
                wrong.push(format!("{what}: answered {answered:?}, closed: {}", outcome.closed));
            }
        }
        ringress.assert_alive();
        assert_eq!(client::once(ringress.http, "GET", "a.test", "/last").status, 200);
        let forwarded: Vec<String> = origin.received().iter().map(|request| request.target.clone()).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(forwarded, ["/last"], "the origin saw what was refused");
    });
}

#[test]
fn oversized_heads_are_refused_and_ordinary_ones_pass() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let with = |target: &str, header: &str| format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{header}\r\n");
        let long_target = format!("/{}", "x".repeat(100_000));
        let many: String = (0..20_000).map(|number| format!("X-{number}: 1\r\n")).collect();
        for (what, request, expected) in [
            ("4 KiB cookie", with("/", &format!("Cookie: {}\r\n", "c".repeat(4096))), 200),
            ("2 KiB target", with(&format!("/{}", "x".repeat(2048)), ""), 200),
            ("100 kB target", with(&long_target, ""), 414),
            ("100 kB header", with("/", &format!("X: {}\r\n", "h".repeat(100_000))), 431),
            ("20,000 headers", with("/", &many), 431),
        ] {
            let closing = request.replacen("Host:", "Connection: close\r\nHost:", 1);
            let statuses = raw::exchange(ringress.http, closing.as_bytes()).statuses();
            let refused = expected != 200 && matches!(statuses.as_slice(), [400 | 414 | 431]);
            assert!(refused || statuses == [expected], "{what}: {statuses:?}");
        }
    });
}
