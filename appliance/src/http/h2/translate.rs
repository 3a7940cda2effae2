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
use super::super::response::Asked;

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
    // What follows is no body of a known length, and an upstream would take it for one.
    if tunnel && parts.headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Untranslatable(400));
    }
    // RFC 9113 8.3.1: one valid value. h2 looks at the characters only.
    if parts.uri.scheme().is_some_and(|scheme| scheme.as_str().is_empty()) {
        return Err(Untranslatable(400));
    }
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
        // RFC 8441 5: it has no meaning there, and an upstream that is told two keys answers neither.
        if tunnel && name == header::SEC_WEBSOCKET_KEY {
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

/// The handshake that an HTTP/1.1 upstream wants. The client does not see the answer, so that is proved here
/// ([`super::super::connection::proves_handshake`]).
fn write_upgrade(out: &mut Vec<u8>, random: &mut fastrand::Rng) {
    use base64::Engine as _;
    let mut key = [0; 16];
    random.fill(&mut key);
    let key = base64::engine::general_purpose::STANDARD.encode(key);
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n");
    write_line(out, b"Sec-WebSocket-Key", key.as_bytes());
}

/// A response head as it leaves in HTTP/2.
pub(super) struct Said {
    pub(super) response: Response<()>,
    pub(super) body: SaidBody,
    /// Bytes of its text.
    pub(super) length: usize,
    /// What came behind it, if that was copied along.
    pub(super) rest: Option<Bytes>,
}

/// What a response head says of what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaidBody {
    /// Another head.
    Interim,
    /// Nothing.
    None,
    /// So many bytes.
    Length(u64),
    Chunked,
    /// A tunnel.
    Tunnel,
}

/// The client's response head, from the text of HTTP/1.1 that the exchange has just written. It was put together from
/// what the strict parser let pass, so it is not parsed a second time, only taken apart; what is no field of HTTP/2 is an
/// error all the same.
///
/// # Errors
/// When it cannot be said in HTTP/2.
pub(super) fn response(input: &[u8], asked: Asked) -> io::Result<Said> {
    let text = copied(input)?;
    let status = status_of(&text)?;
    let switched = asked.upgrade && status == 101;
    let mut response = Response::new(());
    let (mut chunked, mut content_length) = (false, None);
    response.headers_mut().reserve(FIELDS_USUAL);
    let mut length = STATUS_LINE_MIN + line_at(&text[STATUS_LINE_MIN..])?.len() + 2;
    loop {
        let line = line_at(&text[length..])?;
        length += line.len() + 2;
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line).ok_or(io::ErrorKind::InvalidData)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let id = FieldId::of(name);
        match id {
            FieldId::TransferEncoding => chunked = true,
            FieldId::ContentLength if switched => continue,
            FieldId::ContentLength if content_length.is_some() => return Err(io::ErrorKind::InvalidData.into()),
            FieldId::ContentLength => content_length = Some(decimal(value)?),
            FieldId::Other if switched && name.eq_ignore_ascii_case(b"sec-websocket-accept") => continue,
            _ => {}
        }
        if !CONNECTION_SPECIFIC.has(id) {
            let value = HeaderValue::from_maybe_shared(text.slice_ref(value)).map_err(invalid)?;
            response.headers_mut().append(header_name(id, name)?, value);
        }
    }
    let code = match status {
        101 if asked.upgrade => StatusCode::OK,
        101 => return Err(io::ErrorKind::InvalidData.into()),
        // To who asked for a tunnel, success says that it is open.
        200..=299 if asked.upgrade => StatusCode::BAD_GATEWAY,
        status => StatusCode::from_u16(status).map_err(invalid)?,
    };
    *response.status_mut() = code;
    let body = match (status, chunked, content_length) {
        (101, ..) => SaidBody::Tunnel,
        (100..=199, ..) => SaidBody::Interim,
        (204 | 304, ..) | (_, false, Some(0)) => SaidBody::None,
        _ if asked.head => SaidBody::None,
        (_, true, None) => SaidBody::Chunked,
        (_, false, Some(length)) => SaidBody::Length(length),
        // Both, or the close of the connection, by which only HTTP/1.0 clients are answered.
        (_, true, Some(_)) | (_, false, None) => return Err(io::ErrorKind::InvalidData.into()),
    };
    let rest = (text.len() == input.len()).then(|| text.slice(length..));
    Ok(Said { response, body, length, rest })
}

/// Fields of most responses; more make the map grow.
const FIELDS_USUAL: usize = 12;

/// `HTTP/1.1 200 ` at least.
const STATUS_LINE_MIN: usize = 13;

/// A head is copied with the body behind it when both are no more than this. The values of a head can stay in the table
/// of its connection, and what they are a part of with them.
const COPIED_WHOLE_MAX: usize = 1024;

/// The head at the start of `input` in one piece, of which its values will be slices.
fn copied(input: &[u8]) -> io::Result<Bytes> {
    if input.len() <= COPIED_WHOLE_MAX {
        return Ok(Bytes::copy_from_slice(input));
    }
    let end = memchr::memmem::find(input, b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    Ok(Bytes::copy_from_slice(&input[..end + 4]))
}

fn status_of(text: &[u8]) -> io::Result<u16> {
    let is_whole = text.len() >= STATUS_LINE_MIN && text.starts_with(b"HTTP/1.1 ");
    let code = if is_whole { &text[9..12] } else { &[] };
    u16::try_from(decimal(code)?).map_err(invalid)
}

/// The line at the start of `text` without its end.
fn line_at(text: &[u8]) -> io::Result<&[u8]> {
    let line = memchr::memchr(b'\n', text).and_then(|end| text[..end].strip_suffix(b"\r"));
    line.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn decimal(digits: &[u8]) -> io::Result<u64> {
    std::str::from_utf8(digits).map_err(invalid)?.parse().map_err(invalid)
}

/// The name of a field. The usual ones are told apart already.
fn header_name(id: FieldId, name: &[u8]) -> io::Result<HeaderName> {
    Ok(match id {
        FieldId::CacheControl => header::CACHE_CONTROL,
        FieldId::ContentEncoding => header::CONTENT_ENCODING,
        FieldId::ContentLength => header::CONTENT_LENGTH,
        FieldId::ContentType => header::CONTENT_TYPE,
        FieldId::Date => header::DATE,
        FieldId::Etag => header::ETAG,
        FieldId::Location => header::LOCATION,
        FieldId::Server => header::SERVER,
        FieldId::SetCookie => header::SET_COOKIE,
        FieldId::StrictTransportSecurity => header::STRICT_TRANSPORT_SECURITY,
        FieldId::Vary => header::VARY,
        _ => HeaderName::from_bytes(name).map_err(invalid)?,
    })
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

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nDate: now\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Own:  x \r\n\
        Connection: close\r\nContent-Length: 3\r\n\r\n";

    fn said(text: &[u8], asked: Asked) -> io::Result<SaidBody> {
        response(text, asked).map(|said| said.body)
    }

    #[test]
    fn a_response_is_taken_apart_with_what_is_behind_it() {
        let said = response(&[HEAD, b"abc"].concat(), Asked::default()).unwrap();
        let fields: Vec<_> =
            said.response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let expected =
            [("date", "now"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-own", "x"), ("content-length", "3")];
        assert_eq!(fields, expected);
        assert_eq!(
            (said.body, said.length, said.rest.as_deref()),
            (SaidBody::Length(3), HEAD.len(), Some(&b"abc"[..]))
        );
        let long = response(&[HEAD, &[b'x'; COPIED_WHOLE_MAX]].concat(), Asked::default()).unwrap();
        assert_eq!((long.length, long.rest), (HEAD.len(), None), "the values do not hold a whole body");
    }

    #[test]
    fn what_is_no_whole_head_is_an_error() {
        for cut in 0..HEAD.len() {
            assert!(response(&HEAD[..cut], Asked::default()).is_err(), "{cut} bytes");
        }
        for bad in [
            "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\r\nA: b\n\r\n",
            "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA\u{e9}: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nDate: now\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            assert!(response(bad.as_bytes(), Asked::default()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_follows_a_response_is_known_from_its_head() {
        let head = |status: &str, fields: &str| format!("HTTP/1.1 {status} \r\n{fields}\r\n").into_bytes();
        let (plain, to_head) = (Asked::default(), Asked { head: true, upgrade: false });
        let chunked = head("200", "Transfer-Encoding: chunked\r\n");
        assert_eq!(said(&chunked, plain).unwrap(), SaidBody::Chunked);
        assert_eq!(said(&chunked, to_head).unwrap(), SaidBody::None);
        assert_eq!(said(&head("200", "Content-Length: 0\r\n"), plain).unwrap(), SaidBody::None);
        assert_eq!(said(&head("200", "Content-Length: 9\r\n"), to_head).unwrap(), SaidBody::None);
        assert_eq!(said(&head("304", "Content-Length: 9\r\n"), plain).unwrap(), SaidBody::None);
        assert_eq!(said(&head("204", ""), plain).unwrap(), SaidBody::None);
        assert_eq!(said(&head("103", "Link: x\r\n"), plain).unwrap(), SaidBody::Interim);
    }

    #[test]
    fn a_tunnel_is_open_when_protocols_were_switched() {
        let tunnel = Asked { head: false, upgrade: true };
        let text =
            b"HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nA: b\r\n\r\n";
        let said = response(text, tunnel).unwrap();
        assert_eq!((said.body, said.response.status()), (SaidBody::Tunnel, StatusCode::OK));
        assert_eq!(said.response.headers().keys().collect::<Vec<_>>(), ["a"]);
        let refused = response(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tunnel).unwrap();
        assert_eq!(refused.response.status(), StatusCode::BAD_GATEWAY);
    }
}
