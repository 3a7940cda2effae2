//! Answers that the proxy makes itself: errors and redirects, head and small page in one piece, in the manner of nginx
//! but without a word on who wrote them.

use super::field::{self, Changes};
use super::framing::write_length_line;
use super::head::Version;
use super::respond::{HSTS, write_connection, write_date};

/// A self-made answer.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic<'a> {
    /// Its status.
    pub status: u16,
    /// Location, for redirects.
    pub location: Option<&'a [u8]>,
    /// Version of the request (1.1 when it could not be read).
    pub version: Version,
    /// The connection may live on.
    pub keep_alive: bool,
    /// The request was HEAD: no body.
    pub head: bool,
    /// IMF-fixdate of now.
    pub date: &'a [u8],
    /// Strict-Transport-Security.
    pub hsts: Option<&'a [u8]>,
    /// Further fields: what the route says, and what this answer is in need of.
    pub changes: [&'a Changes<'a>; 2],
}

/// Appends the whole answer to `out`; returns the number of body bytes written.
pub fn write_synthetic(out: &mut Vec<u8>, answer: &Synthetic<'_>) -> usize {
    let Synthetic { status, .. } = *answer;
    // Three digits whatever the caller says: the status line stays one.
    let status = if (100..1000).contains(&status) { status } else { 500 };
    let has_page = !matches!(status, 100..=199 | 204 | 304);
    let title = format!("{status} {}", reason(status));
    // Like nginx: a success that is nothing but a status has an empty body.
    let page = if has_page && status >= 300 { page(title.trim_end()) } else { String::new() };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(title.as_bytes());
    out.extend_from_slice(b"\r\n");
    let says = |name: &[u8]| answer.changes.iter().any(|changes| changes.sets(name));
    if !says(b"Date") {
        write_date(out, answer.date);
    }
    if has_page {
        if !says(b"Content-Type") {
            out.extend_from_slice(b"Content-Type: text/html\r\n");
        }
        write_length_line(out, page.len() as u64);
    }
    write_connection(out, answer.version, answer.keep_alive);
    if let Some(location) = answer.location.filter(|_| !says(b"Location")) {
        field::write_new(out, &[(b"Location", location)]);
    }
    if let Some(hsts) = answer.hsts.filter(|_| !says(HSTS)) {
        field::write_new(out, &[(HSTS, hsts)]);
    }
    answer.changes.iter().for_each(|changes| out.extend_from_slice(changes.lines()));
    out.extend_from_slice(b"\r\n");
    if answer.head {
        return 0;
    }
    out.extend_from_slice(page.as_bytes());
    page.len()
}

fn page(title: &str) -> String {
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// Reason phrase of a status; empty for unknown ones.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Synthetic<'static> = Synthetic {
        status: 404,
        location: None,
        version: Version::Http11,
        keep_alive: true,
        head: false,
        date: b"Tue, 15 Nov 1994 08:12:31 GMT",
        hsts: None,
        changes: [Changes::NONE; 2],
    };

    fn written(answer: &Synthetic<'_>) -> String {
        let mut out = Vec::new();
        write_synthetic(&mut out, answer);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_page_says_its_status_and_nothing_of_the_proxy() {
        let text = written(&PLAIN);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 404 Not Found\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: text/html\r\nContent-Length: {}",
                body.len()
            )
        );
        assert!(body.contains("<h1>404 Not Found</h1>"));
        assert!(!text.to_ascii_lowercase().contains("nginx") && !text.contains("Server:"));
    }

    #[test]
    fn head_gets_the_length_but_no_body() {
        let text = written(&Synthetic { head: true, ..PLAIN });
        assert!(text.ends_with("\r\n\r\n") && text.contains("Content-Length: 1"), "{text}");
    }

    #[test]
    fn redirects_carry_a_location_that_cannot_end_its_line() {
        let location = b"https://a.test/x\r\nSet-Cookie: a=b".as_slice();
        let text = written(&Synthetic { status: 308, location: Some(location), ..PLAIN });
        assert!(text.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"));
        assert!(text.contains("Location: https://a.test/x  Set-Cookie: a=b\r\n"));
    }

    #[test]
    fn the_connection_is_named_where_the_version_does_not_say_it() {
        assert!(written(&Synthetic { keep_alive: false, ..PLAIN }).contains("\r\nConnection: close\r\n"));
        assert!(written(&Synthetic { version: Version::Http10, ..PLAIN }).contains("\r\nConnection: keep-alive\r\n"));
    }

    #[test]
    fn answers_without_content_have_no_length() {
        let text = written(&Synthetic { status: 204, ..PLAIN });
        assert!(!text.contains("Content-Length") && text.ends_with("\r\n\r\n"));
    }
}
