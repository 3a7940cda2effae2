//! Heads between HTTP/2 and HTTP/1.1.
//!
//! A request of HTTP/2 is written as the text of HTTP/1.1 and then read by the same strict parser as any other: what that
//! grammar cannot say, it does not pass, and nothing can be smuggled by the translation (RFC 9113 10.3).

use std::io;

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{self, HeaderMap};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, request, response};

use super::super::field::{Field, FieldId, FieldSet, write_line};
use super::super::framing::{BodyFraming, CHUNKED_LINE, write_decimal};
use super::super::request::RequestHead;
use super::super::response::ResponseHead;

/// Fields of HTTP/1.1's connections, which are errors in HTTP/2 (RFC 9113 8.2.2).
const CONNECTION_SPECIFIC: FieldSet = FieldSet::of(&[
    FieldId::Connection,
    FieldId::KeepAlive,
    FieldId::ProxyConnection,
    FieldId::TransferEncoding,
    FieldId::Upgrade,
    FieldId::Http2Settings,
]);

/// A request that is no unambiguous request of HTTP/1.1 either; the status says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untranslatable(pub(super) u16);

/// What the translation of a request decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// Its body is chunked in HTTP/1.1.
    pub(super) chunked: bool,
    /// It asks for a tunnel (RFC 8441).
    pub(super) tunnel: bool,
}

/// Appends a client's request. `ends` says that no body follows.
///
/// # Errors
/// 400 when the parts contradict each other; 501 for CONNECT to anything but a WebSocket.
pub(super) fn write_request(
    out: &mut Vec<u8>,
    parts: &request::Parts,
    ends: bool,
    random: &mut fastrand::Rng,
) -> Result<Translated, Untranslatable> {
    let tunnel = is_tunnel(parts)?;
    let method = if tunnel { "GET" } else { parts.method.as_str() };
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(authority(parts)?);
    out.extend_from_slice(b"\r\nTE: trailers\r\n");
    for (name, value) in &parts.headers {
        if name == header::HOST || name == header::TE || name == header::COOKIE {
            continue;
        }
        if CONNECTION_SPECIFIC.has(FieldId::of(name.as_str().as_bytes())) {
            return Err(Untranslatable(400));
        }
        write_line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    write_cookies(out, &parts.headers);
    let chunked = !ends && !tunnel && !parts.headers.contains_key(header::CONTENT_LENGTH);
    if chunked {
        out.extend_from_slice(CHUNKED_LINE);
    }
    if tunnel {
        write_upgrade(out, random);
    }
    out.extend_from_slice(b"\r\n");
    Ok(Translated { chunked, tunnel })
}

fn is_tunnel(parts: &request::Parts) -> Result<bool, Untranslatable> {
    match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => Ok(true),
        Some(_) => Err(Untranslatable(501)),
        None if parts.method == Method::CONNECT => Err(Untranslatable(501)),
        None => Ok(false),
    }
}

/// `:authority`, or Host in its place; when both are there they have to agree (RFC 9113 8.3.1).
fn authority(parts: &request::Parts) -> Result<&[u8], Untranslatable> {
    let mut hosts = parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    match (parts.uri.authority().map(|authority| authority.as_str().as_bytes()), hosts.next(), hosts.next()) {
        (_, _, Some(_)) | (None, None, _) => Err(Untranslatable(400)),
        (Some(authority), Some(host), None) if !authority.eq_ignore_ascii_case(host) => Err(Untranslatable(400)),
        (Some(authority), ..) => Ok(authority),
        (None, Some(host), None) => Ok(host),
    }
}

/// Cookies come in pieces and are one field in HTTP/1.1 (RFC 9113 8.2.3).
fn write_cookies(out: &mut Vec<u8>, headers: &HeaderMap) {
    let mut start: &[u8] = b"Cookie: ";
    for piece in headers.get_all(header::COOKIE) {
        out.extend_from_slice(start);
        out.extend_from_slice(piece.as_bytes());
        start = b"; ";
    }
    if start == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

/// The handshake that an HTTP/1.1 upstream wants; its key proves nothing here, as the client does not see the answer.
fn write_upgrade(out: &mut Vec<u8>, random: &mut fastrand::Rng) {
    use base64::Engine as _;
    let mut key = [0; 16];
    random.fill(&mut key);
    let key = base64::engine::general_purpose::STANDARD.encode(key);
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n");
    write_line(out, b"Sec-WebSocket-Key", key.as_bytes());
}

/// The client's response head, from the text at the start of `text`.
///
/// # Errors
/// When a field cannot be said in HTTP/2.
pub(super) fn response(head: &ResponseHead, text: &[u8], tunnel: bool) -> io::Result<Response<()>> {
    let mut response = Response::new(());
    let switched = tunnel && head.status == 101;
    let status = match head.status {
        101 if tunnel => Ok(StatusCode::OK),
        // To who asked for a tunnel, success says that it is open.
        200..=299 if tunnel => Ok(StatusCode::BAD_GATEWAY),
        status => StatusCode::from_u16(status),
    };
    *response.status_mut() = status.map_err(invalid)?;
    let text = Bytes::copy_from_slice(&text[..head.consumed]);
    copy_fields(response.headers_mut(), head.fields(), &text)?;
    if switched {
        response.headers_mut().remove(header::SEC_WEBSOCKET_ACCEPT);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}

/// The upstream's request, from the text that was parsed into `head`.
///
/// # Errors
/// When a part cannot be said in HTTP/2.
pub(super) fn request(head: &RequestHead, text: &[u8], tls: bool) -> io::Result<Request<()>> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method_bytes(text)).map_err(invalid)?;
    let uri = Uri::builder()
        .scheme(if tls { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(Authority::try_from(head.authority(text)).map_err(invalid)?)
        .path_and_query(head.path_and_query(text));
    *request.uri_mut() = uri.build().map_err(invalid)?;
    let text = Bytes::copy_from_slice(&text[..head.consumed]);
    copy_fields(request.headers_mut(), head.fields(), &text)?;
    request.headers_mut().remove(header::HOST);
    // What gRPC asks of every hop; it says that this proxy takes trailers.
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

/// All fields but those of the connection. The values share one copy of the text.
fn copy_fields(to: &mut HeaderMap, fields: &[Field], text: &Bytes) -> io::Result<()> {
    to.reserve(fields.len());
    for field in fields.iter().filter(|field| !CONNECTION_SPECIFIC.has(field.id)) {
        let name = HeaderName::from_bytes(field.name.of(text)).map_err(invalid)?;
        let value = text.slice(field.value.start as usize..field.value.end as usize);
        to.append(name, HeaderValue::from_maybe_shared(value).map_err(invalid)?);
    }
    Ok(())
}

/// Appends an upstream's response head. `ends` says that no body follows; `asked_head` that none may.
pub(super) fn write_response(out: &mut Vec<u8>, parts: &response::Parts, ends: bool, asked_head: bool) -> bool {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(parts.status.as_u16()));
    out.extend_from_slice(b" \r\n");
    for (name, value) in &parts.headers {
        if !CONNECTION_SPECIFIC.has(FieldId::of(name.as_str().as_bytes())) {
            write_line(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let has_length = parts.headers.contains_key(header::CONTENT_LENGTH);
    let never_has_body = asked_head || matches!(parts.status.as_u16(), 100..=199 | 204 | 304);
    let chunked = !ends && !has_length && !never_has_body;
    if chunked {
        out.extend_from_slice(CHUNKED_LINE);
    } else if ends && !has_length && !never_has_body {
        out.extend_from_slice(b"Content-Length: 0\r\n");
    }
    out.extend_from_slice(b"\r\n");
    chunked
}

/// Whether a request's body is over with its head.
pub(super) fn ends_with_head(framing: BodyFraming) -> bool {
    matches!(framing, BodyFraming::None | BodyFraming::Length(0))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: request::Builder, ends: bool) -> Result<String, Untranslatable> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        write_request(&mut out, &parts, ends, &mut fastrand::Rng::with_seed(1))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_request_is_written_with_its_authority_and_joined_cookies() {
        let request =
            Request::get("https://a.test/x?y").header("cookie", "a=1").header("cookie", "b=2").header("x", "1");
        assert_eq!(
            written(request, true).unwrap(),
            "GET /x?y HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nx: 1\r\nCookie: a=1; b=2\r\n\r\n"
        );
    }

    #[test]
    fn a_body_without_a_length_is_chunked() {
        let text = written(Request::post("https://a.test/"), false).unwrap();
        assert!(text.ends_with("Transfer-Encoding: chunked\r\n\r\n"), "{text}");
        let text = written(Request::post("https://a.test/").header("content-length", "3"), false).unwrap();
        assert!(text.ends_with("content-length: 3\r\n\r\n"), "{text}");
    }

    #[test]
    fn host_and_authority_have_to_agree() {
        let with_host = |host: &str| written(Request::get("https://a.test/").header("host", host), true);
        assert!(with_host("A.test").is_ok());
        assert_eq!(with_host("b.test"), Err(Untranslatable(400)));
        assert_eq!(written(Request::get("/"), true), Err(Untranslatable(400)), "no host at all");
        assert!(written(Request::get("/").header("host", "a.test"), true).is_ok());
        let twice = Request::get("/").header("host", "a.test").header("host", "a.test");
        assert_eq!(written(twice, true), Err(Untranslatable(400)));
    }

    #[test]
    fn fields_of_the_connection_are_refused() {
        for name in ["connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade"] {
            let refused = written(Request::get("https://a.test/").header(name, "x"), true);
            assert_eq!(refused, Err(Untranslatable(400)), "{name}");
        }
    }

    #[test]
    fn connect_is_for_websockets_only() {
        assert_eq!(written(Request::connect("a.test:443"), true), Err(Untranslatable(501)));
        let other = Request::connect("https://a.test/").extension(Protocol::from_static("connect-udp"));
        assert_eq!(written(other, false), Err(Untranslatable(501)));
        let websocket = Request::connect("https://a.test/chat").extension(Protocol::from_static("websocket"));
        let text = written(websocket, false).unwrap();
        assert!(text.starts_with("GET /chat HTTP/1.1\r\n") && text.contains("Upgrade: websocket\r\n"), "{text}");
        assert!(!text.contains("Transfer-Encoding"), "{text}");
    }
}
