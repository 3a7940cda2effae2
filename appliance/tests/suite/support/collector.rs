//! A collector of traces: OTLP over gRPC, served by h2, or over HTTP. Messages are taken apart by the numbers that the
//! published definitions give their fields, not by the product's own types.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::TcpStream;

use super::eventually;
use super::origin::{Next, Origin};
use super::process::own_address;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes everything.
    Takes,
    /// Says that it is unavailable so many times, then takes everything.
    BusyAtFirst(usize),
    /// Refuses so many spans of each message.
    RefusesOf(u8),
    /// Never answers.
    Silent,
}

/// A span as it was received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    /// Empty for none.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) nanoseconds: u64,
    /// `STATUS_CODE_ERROR` is 2.
    pub(crate) status: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Of its resource.
    pub(crate) resource: BTreeMap<String, String>,
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Shared {
    spans: Mutex<Vec<Span>>,
    /// Path and content type of each message.
    calls: Mutex<Vec<(String, String)>>,
}

/// A listening collector.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _origin: Option<Origin>,
}

impl Collector {
    /// Over gRPC.
    pub(crate) fn grpc(manner: Manner) -> Self {
        let listener = TcpListener::bind((own_address(), 0)).expect("listen");
        listener.set_nonblocking(true).expect("a socket for tokio");
        let address = listener.local_addr().expect("own address");
        let shared = Arc::<Shared>::default();
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&served), manner));
                }
            });
        });
        Self { address, shared, _origin: None }
    }

    /// Over HTTP/1.1.
    pub(crate) fn http() -> Self {
        let shared = Arc::<Shared>::default();
        let served = Arc::clone(&shared);
        let origin = Origin::with(move |request, peer| {
            peer.read_body(request)?;
            let kind = request.header("content-type").unwrap_or_default().to_owned();
            served.called(&request.target, &kind);
            served.take(&request.body);
            peer.answer(200, &[("Content-Type", "application/x-protobuf")], b"")?;
            Ok(Next::Keep)
        });
        Self { address: origin.address, shared, _origin: Some(origin) }
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        self.shared.spans.lock().expect("nobody panics while it holds this")
    }

    /// Path and content type of each message so far.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        self.shared.calls.lock().expect("nobody panics while it holds this").clone()
    }

    /// The span of a request, once it has come.
    pub(crate) fn span(&self, target: &str) -> Span {
        let find = || self.spans().iter().find(|span| span.attribute("http.target") == target).cloned();
        eventually(&format!("a span of {target}"), || find().is_some());
        find().expect("it was there")
    }
}

impl Shared {
    fn called(&self, path: &str, kind: &str) -> usize {
        let mut calls = self.calls.lock().expect("nobody panics while it holds this");
        calls.push((path.to_owned(), kind.to_owned()));
        calls.len()
    }

    fn take(&self, message: &[u8]) {
        self.spans.lock().expect("nobody panics while it holds this").extend(spans_of(message));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, manner: Manner) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, Arc::clone(&shared), manner));
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<bytes::Bytes>,
    shared: Arc<Shared>,
    manner: Manner,
) {
    let (head, mut body) = request.into_parts();
    let kind = head.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let number = shared.called(head.uri.path(), kind);
    let mut bytes = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _gone = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let reply: &[u8] = match manner {
        Manner::Silent => return std::future::pending().await,
        Manner::BusyAtFirst(times) if number <= times => {
            response.headers_mut().insert("grpc-status", HeaderValue::from_static("14"));
            let _gone = respond.send_response(response, true);
            return;
        }
        // partial_success { rejected_spans: … }
        Manner::RefusesOf(number) => &[0, 0, 0, 0, 4, 0x0a, 2, 8, number],
        Manner::Takes | Manner::BusyAtFirst(_) => &[0; 5],
    };
    let length = u32::from_be_bytes(bytes[1..5].try_into().expect("four bytes"));
    assert_eq!((bytes[0], length as usize), (0, bytes.len() - 5), "one message, not compressed");
    shared.take(&bytes[5..]);
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let _gone = stream.send_data(bytes::Bytes::copy_from_slice(reply), false);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let _gone = stream.send_trailers(trailers);
}

/// A field of a protobuf message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn number(&self) -> u64 {
        if let Self::Number(number) = self { *number } else { panic!("bytes where a number is due") }
    }

    fn bytes(&self) -> &'a [u8] {
        if let Self::Bytes(bytes) = self { bytes } else { panic!("a number where bytes are due") }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("UTF-8")
    }

    fn hex(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The fields of a message with their numbers.
fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut rest)),
            1 => Field::Number(u64::from_le_bytes(cut(&mut rest, 8).try_into().expect("eight bytes"))),
            2 => {
                let length = usize::try_from(varint(&mut rest)).expect("a length");
                Field::Bytes(cut(&mut rest, length))
            }
            5 => Field::Number(u32::from_le_bytes(cut(&mut rest, 4).try_into().expect("four bytes")).into()),
            other => panic!("no wire type: {other}"),
        };
        fields.push((tag >> 3, field));
    }
    fields
}

fn varint(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = cut(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

fn cut<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, behind) = rest.split_at(length);
    *rest = behind;
    first
}

/// The messages in the fields of this number.
fn within(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter(move |(found, _)| *found == number).map(|(_, field)| field.bytes())
}

/// `KeyValue { key = 1, value = 2 { string_value = 1 | int_value = 3 } }`
fn attributes<'a>(pairs: impl Iterator<Item = &'a [u8]>) -> BTreeMap<String, String> {
    let value = |message: &[u8]| match &fields(message)[..] {
        [(1, text)] => text.text(),
        [(3, number)] => number.number().to_string(),
        _ => panic!("another value than text and numbers"),
    };
    let pair = |message| match &fields(message)[..] {
        [(1, key), (2, found)] => (key.text(), value(found.bytes())),
        _ => panic!("no pair"),
    };
    pairs.map(pair).collect()
}

/// `ExportTraceServiceRequest { resource_spans = 1 { resource = 1 { attributes = 1 }, scope_spans = 2 { spans = 2 } } }`
fn spans_of(message: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in within(message, 1) {
        let resource = within(resource_spans, 1).flat_map(|resource| within(resource, 1).collect::<Vec<_>>());
        let resource = attributes(resource);
        for scope_spans in within(resource_spans, 2) {
            spans.extend(within(scope_spans, 2).map(|span| Span { resource: resource.clone(), ..span_of(span) }));
        }
    }
    spans
}

fn span_of(message: &[u8]) -> Span {
    let mut span = Span { attributes: attributes(within(message, 9)), ..Span::default() };
    let (mut begun, mut ended) = (0, 0);
    for (number, field) in fields(message) {
        match number {
            1 => span.trace_id = field.hex(),
            2 => span.span_id = field.hex(),
            3 => span.state = field.text(),
            4 => span.parent = field.hex(),
            5 => span.name = field.text(),
            6 => span.kind = field.number(),
            7 => begun = field.number(),
            8 => ended = field.number(),
            9 => {}
            15 => {
                span.status = fields(field.bytes()).iter().find(|(n, _)| *n == 3).map_or(0, |(_, code)| code.number())
            }
            16 => assert_eq!(field.number() & 1, 1, "only sampled ones are exported"),
            other => panic!("no field of a span that is sent: {other}"),
        }
    }
    span.nanoseconds = ended.checked_sub(begun).expect("it ends after it began");
    span
}
