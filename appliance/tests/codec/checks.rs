//! What must hold for whatever bytes arrive. The fuzz targets and the property tests call the same functions; each panics
//! when a promise is broken.

use ringress::http::chunked::{CHUNK_END, ChunkDecoder, ChunkError, LAST_CHUNK, write_chunk_header};
use ringress::http::edge::{Believed, EdgeFields, Scheme, client_address};
use ringress::http::field::{Changes, FieldId};
use ringress::http::forward::{FieldPolicy, Forward, client_request_id, write_request};
use ringress::http::framing::{BodyFraming, ResponseBody};
use ringress::http::head::{HeadError, HeadLimits, Progress, Version};
use ringress::http::request::RequestHead;
use ringress::http::respond::{Respond, write_response};
use ringress::http::response::{Asked, ResponseHead};
use ringress::http::target::{BadTarget, normalise};
use ringress_config::snapshot::UpstreamHop;

use super::strict::{StrictBody, StrictHead, read_chunked};

const LIMITS: HeadLimits = HeadLimits { line_bytes_max: 512, head_bytes_max: 2048, fields_max: 32 };
const DATE: &[u8] = b"Tue, 15 Nov 1994 08:12:31 GMT";

/// Fields of a client that an upstream must never see, or see only as the proxy writes them.
const NEVER_FROM_CLIENTS: &[&str] = &[
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Expect",
    "Proxy",
    "Proxy-Authorization",
    "HTTP2-Settings",
    "Forwarded",
    "X-Original-URI",
    "ssl-client-verify",
    "ssl-client-cert",
];

/// Any bytes as a request head: the same outcome however they are split, and what is forwarded is one plain request.
pub(crate) fn request_head(data: &[u8]) {
    let mut whole = RequestHead::default();
    let outcome = whole.parse(data, &LIMITS);
    let mut split = RequestHead::default();
    let resumed = in_pieces(data, |piece| split.parse(piece, &LIMITS));
    same_outcome(outcome, resumed);
    if outcome != Ok(Progress::Complete) {
        return;
    }
    assert!(whole.consumed <= LIMITS.head_bytes_max && whole.fields().len() <= LIMITS.fields_max);
    assert_eq!((whole.consumed, whole.framing, whole.keep_alive), (split.consumed, split.framing, split.keep_alive));
    assert_eq!(whole.host(), split.host());
    host_is_plain(whole.host().name());
    for policy in [
        FieldPolicy::default(),
        FieldPolicy { underscores: true, unusual_names: true, ..FieldPolicy::default() },
        FieldPolicy { underscores: true, unusual_names: true, trust_forwarded: true, original_uri: true },
    ] {
        forwarded_request(&whole, data, policy);
    }
    let believed = Believed::read(&whole, data);
    assert!(believed.host.is_none_or(|host| !host.iter().any(|&byte| byte <= b' ' || byte == b',')));
    client_address(whole.find_all(data, FieldId::XForwardedFor), [127, 0, 0, 1].into(), |_| true);
}

/// Gives `parse` ever longer starts of `data` until it says something other than `Partial`.
fn in_pieces<T: PartialEq>(data: &[u8], mut parse: impl FnMut(&[u8]) -> Result<Progress, T>) -> Result<Progress, T> {
    for end in 0..=data.len() {
        let outcome = parse(&data[..end]);
        if outcome != Ok(Progress::Partial) {
            return outcome;
        }
    }
    Ok(Progress::Partial)
}

/// Which error is met first may differ with the pieces, but nothing else.
fn same_outcome(whole: Result<Progress, HeadError>, pieces: Result<Progress, HeadError>) {
    match (whole, pieces) {
        (Err(error), Err(_)) => assert!(error.status() >= 400 && !error.label().is_empty()),
        (whole, pieces) => assert_eq!(whole, pieces),
    }
}

fn host_is_plain(name: &str) {
    assert!(
        !name.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' ' || b"/\\@,?#%".contains(&byte)),
        "{name}"
    );
}

fn changes() -> Changes<'static> {
    let mut changes = Changes::default();
    changes.set(b"X-Set", b"1\r\n2");
    changes.remove(b"X-Removed");
    changes
}

fn forwarded_request(head: &RequestHead, data: &[u8], policy: FieldPolicy) {
    let mut edge = EdgeFields::default();
    edge.render([192, 0, 2, 1].into(), Scheme::Http, 80);
    let host = if head.authority(data).is_empty() { b"10.0.0.1:80" } else { head.authority(data) };
    let changes = changes();
    let forward = Forward {
        host,
        forwarded_host: host,
        target: None,
        request_id: client_request_id(head, data).unwrap_or(b"0123"),
        edge: &edge,
        framing: head.framing,
        policy,
        changes: &changes,
        hop: UpstreamHop::default(),
        trace: None,
        address_field: policy.original_uri.then_some("accept"),
        host_field: policy.original_uri.then_some("x_host"),
    };
    let mut out = Vec::new();
    write_request(&mut out, head, data, &forward);
    let read = StrictHead::read(&out).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&out)));
    assert_eq!(read.length, out.len(), "exactly one head");
    let start = [head.method_bytes(data), b" ", head.path_and_query(data), b" HTTP/1.1"].concat();
    assert_eq!(read.start, start);
    assert_eq!(start.iter().filter(|&&byte| byte == b' ').count(), 2, "{start:?}");
    assert_eq!(read.all("Host"), [host]);
    let expected = match head.framing {
        BodyFraming::None => StrictBody::Undeclared,
        BodyFraming::Length(length) => StrictBody::Length(length),
        BodyFraming::Chunked => StrictBody::Chunked,
    };
    assert_eq!(read.body(), Ok(expected));
    only_own_edge_fields(&read, policy);
    let upgrade: Vec<&[u8]> = head.upgrade(data).into_iter().collect();
    assert_eq!(read.all("Upgrade"), upgrade);
    assert_eq!(read.all("Connection").len(), upgrade.len());
    assert_eq!(read.all("X-Set"), [b"1  2"]);
    assert!(read.all("X-Removed").is_empty());
    // Raw bytes that are no UTF-8 pass in a target as with nginx; httparse takes none.
    if std::str::from_utf8(&read.start).is_ok() {
        second_opinion(&out, &read);
    }
}

fn only_own_edge_fields(read: &StrictHead, policy: FieldPolicy) {
    for name in ["X-Real-IP", "X-Forwarded-For"] {
        assert_eq!(read.all(name), [b"192.0.2.1"]);
    }
    for name in ["X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme"] {
        assert_eq!(read.all(name), [b"http"]);
    }
    assert_eq!(read.all("X-Forwarded-Port"), [b"80"]);
    for name in ["X-Forwarded-Host", "X-Request-ID"] {
        assert_eq!(read.all(name).len(), 1);
    }
    for name in NEVER_FROM_CLIENTS {
        let believed = policy.trust_forwarded && matches!(*name, "Forwarded" | "X-Original-URI");
        assert!(believed || read.all(name).is_empty(), "{name}");
    }
    for name in read.names().keys() {
        let twin: Vec<u8> = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect();
        let has_twin = *name != twin;
        assert!(!has_twin || policy.underscores);
        assert!(!has_twin || !twin.starts_with(b"x-forwarded-") || policy.trust_forwarded, "{name:?}");
        assert!(!has_twin || (twin != b"x-real-ip" && twin != b"content-length" && twin != b"host"), "{name:?}");
    }
}

/// What the strict reader understands, httparse understands too.
fn second_opinion(bytes: &[u8], read: &StrictHead) {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(read.length)));
    let theirs: Vec<_> = request.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    let ours: Vec<_> = read.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    assert_eq!(theirs, ours);
}

/// Any bytes as a response head; the first byte says what was asked.
pub(crate) fn response_head(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let asked = Asked { head: choice & 1 == 1, upgrade: choice & 2 == 2 };
    let mut whole = ResponseHead::default();
    let outcome = whole.parse(data, &LIMITS, asked);
    let mut split = ResponseHead::default();
    let resumed = in_pieces(data, |piece| split.parse(piece, &LIMITS, asked));
    same_outcome(outcome, resumed);
    if outcome != Ok(Progress::Complete) {
        return;
    }
    assert_eq!((whole.consumed, whole.status, whole.body), (split.consumed, split.status, split.body));
    assert!(whole.status != 101 || asked.upgrade);
    for version in [Version::Http11, Version::Http10] {
        written_response(&whole, data, version);
    }
}

fn written_response(head: &ResponseHead, data: &[u8], version: Version) {
    let changes = changes();
    let respond = Respond {
        version,
        keep_alive: true,
        trailers: false,
        date: DATE,
        hsts: Some(b"max-age=1"),
        keep_server: false,
        recoded: false,
        changes: [Changes::NONE, &changes],
    };
    let mut out = Vec::new();
    let written = write_response(&mut out, head, data, &respond);
    let read = StrictHead::read(&out).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&out)));
    assert_eq!(read.length, out.len(), "exactly one head");
    assert!(read.start.starts_with(format!("HTTP/1.1 {:03} ", head.status).as_bytes()), "{:?}", read.start);
    let body = read.body().unwrap();
    match written.body {
        ResponseBody::Length(length) => assert_eq!(body, StrictBody::Length(length)),
        ResponseBody::Chunked => assert_eq!((body, version), (StrictBody::Chunked, Version::Http11)),
        ResponseBody::UntilClose => assert_eq!((body, written.keep_alive), (StrictBody::Undeclared, false)),
        ResponseBody::None => assert_ne!(body, StrictBody::Chunked),
    }
    assert!(read.all("Server").is_empty() && read.all("Keep-Alive").is_empty() && read.all("Trailer").is_empty());
    assert_eq!(read.all("Strict-Transport-Security"), [b"max-age=1"]);
    assert_eq!(read.all("X-Set"), [b"1  2"]);
    assert!(!read.all("Date").is_empty());
    let says_close = read.all("Connection").contains(&b"close".as_slice());
    assert_eq!(says_close, !written.keep_alive && head.status != 101);
}

/// Any bytes as a chunked body: the same outcome however they are split, and what is relayed reads back the same.
pub(crate) fn chunked(data: &[u8]) {
    let whole = decode(data, usize::MAX);
    for piece in [1, 2, 7] {
        let pieces = decode(data, piece);
        match (&whole, &pieces) {
            (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
            (Err(whole), Err(pieces)) => assert_eq!(whole, pieces),
            (whole, pieces) => panic!("{whole:?} {pieces:?}"),
        }
    }
    let Ok((body, taken)) = whole else { return };
    if let Some((expected, length)) = read_chunked(data) {
        let is_small = length < 4096;
        assert!(!is_small || taken != Some(length) || body == expected);
    }
    let mut relayed = Vec::new();
    for piece in body.chunks(5) {
        write_chunk_header(&mut relayed, piece.len());
        relayed.extend_from_slice(piece);
        relayed.extend_from_slice(CHUNK_END);
    }
    relayed.extend_from_slice(LAST_CHUNK);
    assert_eq!(read_chunked(&relayed), Some((body.clone(), relayed.len())));
    assert_eq!(decode(&relayed, 3), Ok((body, Some(relayed.len()))));
}

/// The data, and how many bytes the body took if it is complete.
pub(crate) fn decode(body: &[u8], piece: usize) -> Result<(Vec<u8>, Option<usize>), ChunkError> {
    let mut decoder = ChunkDecoder::default();
    let mut data = Vec::new();
    let mut taken = 0;
    for piece in body.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() && !decoder.is_complete() {
            let step = decoder.decode(rest)?;
            assert!(step.consumed > 0 && step.data.end <= step.consumed && step.consumed <= rest.len());
            data.extend_from_slice(&rest[step.data]);
            taken += step.consumed;
            rest = &rest[step.consumed..];
        }
    }
    Ok((data, decoder.is_complete().then_some(taken)))
}

/// Any bytes as a path: a normal one comes out, the one that a plain reading gives.
pub(crate) fn target(data: &[u8]) {
    let path = [b"/", data].concat();
    let mut scratch = Vec::new();
    match normalise(&path, &mut scratch) {
        Ok(normal) => {
            assert!(normal.starts_with(b"/") && !normal.contains(&0));
            let segments: Vec<&[u8]> = normal[1..].split(|&byte| byte == b'/').collect();
            for (index, segment) in segments.iter().enumerate() {
                assert!(!matches!(*segment, b"." | b".."), "{:?}", String::from_utf8_lossy(&path));
                assert!(!segment.is_empty() || index + 1 == segments.len());
            }
            assert_eq!(Some(normal.to_vec()), as_nginx_reads(&path), "{:?}", String::from_utf8_lossy(&path));
        }
        Err(BadTarget::AmbiguousDotSegment) => {
            assert!(path.iter().any(|byte| b"%\\;".contains(byte)) || path.windows(2).any(|two| two == b"//"));
        }
        Err(_) => assert_eq!(as_nginx_reads(&path), None, "{:?}", String::from_utf8_lossy(&path)),
    }
}

/// Decode all, then walk the segments. `None` where nginx answers 400.
fn as_nginx_reads(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(Some(byte).filter(|&byte| byte != 0)?);
            continue;
        }
        let digits = [*bytes.next()?, *bytes.next()?];
        let text =
            std::str::from_utf8(&digits).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        decoded.push(u8::from_str_radix(text, 16).ok().filter(|&byte| byte != 0)?);
    }
    let mut stack: Vec<&[u8]> = Vec::new();
    let mut ends_open = true;
    for segment in decoded[1..].split(|&byte| byte == b'/') {
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => _ = stack.pop()?,
            other => stack.push(other),
        }
    }
    let mut normal = vec![b'/'];
    normal.extend(stack.join(&b'/'));
    if ends_open && !stack.is_empty() {
        normal.push(b'/');
    }
    Some(normal)
}
