//! Answers of the proxy to gRPC clients, which read `grpc-status` where others read the status line.

use std::time::Duration;

use super::field::{self, FieldId};
use super::request::RequestHead;
use super::respond::write_date;
use super::synthetic::{Synthetic, reason};

/// Whether a request is one of gRPC (also gRPC-Web, whose clients read the same field of the head).
pub(crate) fn is_grpc(head: &RequestHead, buf: &[u8]) -> bool {
    head.find(buf, FieldId::ContentType).is_some_and(|kind| {
        let kind = kind.get(..16).unwrap_or_default();
        kind.eq_ignore_ascii_case(b"application/grpc")
    })
}

/// What is said when the time of [`timeout`] is over and nothing else was, as a head of HTTP/1.1.
pub(crate) const DEADLINE_EXCEEDED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: 4\r\n\
    grpc-message: the deadline of the call has passed\r\nContent-Length: 0\r\n\r\n";

/// How long the client of a gRPC request waits for all of it (`grpc-timeout`, gRPC over HTTP/2, "Requests": at most eight
/// digits and a unit). None where it says nothing, or nothing of that form.
pub(crate) fn timeout(head: &RequestHead, buf: &[u8]) -> Option<Duration> {
    if !is_grpc(head, buf) {
        return None;
    }
    let (unit, digits) = head.find_named(buf, "grpc-timeout").next()?.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Appends an error as a response that is all trailers: no message, only the outcome.
pub(crate) fn write_error(out: &mut Vec<u8>, answer: &Synthetic<'_>, content_type: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    write_date(out, answer.date);
    let status = status_for(answer.status).to_string();
    let message = format!("{} {}", answer.status, reason(answer.status));
    field::write_new(
        out,
        &[
            (b"Content-Type", content_type),
            (b"grpc-status", status.as_bytes()),
            (b"grpc-message", message.trim_end().as_bytes()),
            (b"Content-Length", b"0"),
        ],
    );
    if !answer.keep_alive {
        field::write_new(out, &[(b"Connection", b"close")]);
    }
    answer.changes.iter().for_each(|changes| out.extend_from_slice(changes.lines()));
    out.extend_from_slice(b"\r\n");
}

/// gRPC's own table of what a status of HTTP means (its document "HTTP to gRPC Status Code Mapping"), with the codes that
/// Envoy uses for a request that is too large or too late.
fn status_for(http: u16) -> u8 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        408 | 504 => 4,
        413 => 8,
        429 | 502 | 503 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Changes;
    use super::super::head::{HeadLimits, Version};
    use super::*;

    #[test]
    fn requests_are_told_by_their_content_type() {
        for (kind, grpc) in
            [("application/grpc", true), ("application/grpc+proto", true), ("application/json", false), ("a", false)]
        {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n\r\n");
            let mut head = RequestHead::default();
            head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
            assert_eq!(is_grpc(&head, text.as_bytes()), grpc, "{kind}");
        }
    }

    #[test]
    fn a_timeout_has_digits_and_a_unit() {
        let seconds = Duration::from_secs;
        for (value, expected) in [
            ("2S", Some(seconds(2))),
            ("500m", Some(Duration::from_millis(500))),
            ("1H", Some(seconds(3600))),
            ("99999999H", Some(seconds(99_999_999 * 3600))),
            ("3M", Some(seconds(180))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("0m", Some(Duration::ZERO)),
            ("100000000m", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("5x", None),
            ("", None),
        ] {
            for (kind, is_read) in [("application/grpc", true), ("text/plain", false)] {
                let text =
                    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\ngrpc-timeout: {value}\r\n\r\n");
                let mut head = RequestHead::default();
                head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
                assert_eq!(timeout(&head, text.as_bytes()), expected.filter(|_| is_read), "{value}");
            }
        }
    }

    #[test]
    fn an_error_is_all_head() {
        let mut out = Vec::new();
        let answer = Synthetic {
            status: 503,
            location: None,
            version: Version::Http11,
            keep_alive: true,
            head: false,
            date: b"Tue, 15 Nov 1994 08:12:31 GMT",
            hsts: None,
            changes: [Changes::NONE; 2],
        };
        write_error(&mut out, &answer, b"application/grpc");
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("Content-Length: 0\r\n\r\n"), "{text}");
        assert!(text.contains("grpc-status: 14\r\ngrpc-message: 503 Service Temporarily Unavailable\r\n"), "{text}");
    }
}
