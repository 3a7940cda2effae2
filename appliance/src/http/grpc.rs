//! Answers of the proxy to gRPC clients, which read `grpc-status` where others read the status line.

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
