//! Spans as OTLP has them (opentelemetry-proto 1.x, of which these are the parts that are sent), with the attributes that
//! the semantic conventions name, and those that nginx' module gave its spans: dashboards know them.

use std::fmt::Display;

use bytes::Bytes;
use prost::Message as _;
use ringress_config::snapshot::SpanExport;

use super::span::{Span, Word};
use crate::metrics::Method;

#[derive(Clone, PartialEq, prost::Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `SPAN_KIND_SERVER`.
const SERVER: i32 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;
/// The span is part of a sampled trace (bit 0), and it is known whether its parent is of another process (bit 8).
const FLAGS: u32 = 0x101;
/// Its parent is (bit 9).
const FLAG_REMOTE_PARENT: u32 = 0x200;

/// `ExportTraceServiceRequest`s with these spans, and how many each has: as few as there may be, none above `bytes_max` but
/// for one span that is larger by itself, which its bounded words rule out.
pub(super) fn encode(export: &SpanExport, spans: &[Box<Span>], bytes_max: usize) -> Vec<(u64, Bytes)> {
    let (mut encoded, mut left) = (Vec::new(), vec![spans]);
    while let Some(part) = left.pop() {
        let message = encode_all(export, part);
        if message.len() > bytes_max && part.len() > 1 {
            let (first, second) = part.split_at(part.len() / 2);
            left.extend([second, first]);
        } else {
            encoded.push((part.len() as u64, message));
        }
    }
    encoded
}

fn encode_all(export: &SpanExport, spans: &[Box<Span>]) -> Bytes {
    let mut resource = Attributes::default();
    resource.text("service.name", export.service.to_string());
    resource.text("host.name", rustix::system::uname().nodename().to_string_lossy().into_owned());
    let scope = Scope { name: "ringress".into(), version: env!("CARGO_PKG_VERSION").into() };
    let spans = spans.iter().map(|span| message(span)).collect();
    let request = ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource.0 }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
        }],
    };
    request.encode_to_vec().into()
}

/// Of the spans of a request, those that its answer refuses, and why. An answer that cannot be read refuses none.
pub(super) fn refused(answer: &[u8]) -> Option<(u64, String)> {
    let partial = ExportResponse::decode(answer).ok()?.partial_success?;
    let number = u64::try_from(partial.rejected_spans).ok().filter(|number| *number > 0)?;
    Some((number, partial.error_message))
}

fn message(span: &Span) -> SpanMessage {
    let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let name = span.word(Word::Name);
    SpanMessage {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        trace_state: span.word(Word::State),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        name,
        kind: SERVER,
        start_time_unix_nano: nanoseconds(span.begun),
        end_time_unix_nano: nanoseconds(span.begun + span.duration),
        attributes: attributes(span).0,
        status: (span.status >= 500).then_some(Status { code: ERROR }),
        flags: if span.parent.is_some() { FLAGS | FLAG_REMOTE_PARENT } else { FLAGS },
    }
}

/// Attributes under construction.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }) });
    }

    /// A text; none when it is empty.
    fn text(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.add(key, Value::Text(value));
        }
    }

    fn number(&mut self, key: &str, value: impl TryInto<i64>) {
        if let Ok(value) = value.try_into() {
            self.add(key, Value::Number(value));
        }
    }

    fn shown(&mut self, key: &str, value: impl Display) {
        self.text(key, value.to_string());
    }
}

fn attributes(span: &Span) -> Attributes {
    let mut all = Attributes(Vec::with_capacity(32));
    conventions(span, &mut all);
    nginx(span, &mut all);
    let word = |word| span.word(word);
    all.text("ingress.namespace", word(Word::Namespace));
    all.text("ingress.name", word(Word::Ingress));
    let service = word(Word::Service);
    if !service.is_empty() {
        let upstream = format!("{}-{service}-{}", word(Word::Namespace), word(Word::ServicePort));
        all.text("ingress.service_name", service);
        all.text("ingress.upstream", upstream);
    }
    if let Some(address) = span.upstream {
        all.shown("upstream.address", address);
    }
    all
}

/// HTTP server spans of the stable semantic conventions.
fn conventions(span: &Span, all: &mut Attributes) {
    let word = |word| span.word(word);
    let method = word(Word::Method);
    match Method::of(method.as_bytes()) {
        // Names of a client's own making would be without number.
        Method::Other if !method.is_empty() => {
            all.text("http.request.method", "_OTHER");
            all.text("http.request.method_original", method);
        }
        Method::Other => {}
        known => all.text("http.request.method", known.as_str()),
    }
    all.text("url.scheme", scheme(span));
    all.text("url.path", word(Word::Path));
    all.text("url.query", word(Word::Query));
    all.text("http.route", word(Word::Route));
    all.number("http.response.status_code", span.status);
    all.number("http.response.body.size", span.body_bytes_sent);
    if span.status >= 500 {
        all.shown("error.type", span.status);
    }
    all.text("server.address", word(Word::Host));
    all.number("server.port", span.port);
    all.shown("client.address", span.client);
    all.shown("network.peer.address", span.peer.ip().to_canonical());
    all.number("network.peer.port", span.peer.port());
    all.text("network.protocol.name", "http");
    all.text("network.protocol.version", if span.protocol == "HTTP/2.0" { "2" } else { version(span) });
    all.text("user_agent.original", word(Word::UserAgent));
}

/// What nginx' module writes, under its names.
fn nginx(span: &Span, all: &mut Attributes) {
    let word = |word| span.word(word);
    all.text("http.method", word(Word::Method));
    all.text("http.flavor", version(span));
    all.text("http.target", word(Word::Target));
    all.text("http.server_name", word(Word::ServerName));
    all.text("http.host", word(Word::HostField));
    all.text("http.user_agent", word(Word::UserAgent));
    all.text("http.scheme", scheme(span));
    all.number("http.status_code", span.status);
    all.number("net.host.port", span.port);
    all.shown("net.peer.ip", span.client);
    all.number("net.peer.port", span.peer.port());
}

fn scheme(span: &Span) -> &'static str {
    if span.is_https { "https" } else { "http" }
}

fn version(span: &Span) -> &'static str {
    span.protocol.strip_prefix("HTTP/").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringress_config::snapshot::SpanProtocol;

    use super::*;

    #[test]
    fn a_failure_is_an_error_and_what_is_not_known_is_left_out() {
        let message = message(&Span::example());
        assert_eq!((message.status, message.kind, message.flags), (Some(Status { code: 2 }), 2, 0x101));
        assert_eq!(message.end_time_unix_nano - message.start_time_unix_nano, 5_000_000);
        let keys: Vec<_> = message.attributes.iter().map(|pair| pair.key.as_str()).collect();
        assert!(keys.contains(&"error.type") && !keys.contains(&"url.path") && !keys.contains(&"ingress.upstream"));
    }

    #[test]
    fn a_batch_that_is_too_large_for_one_message_goes_in_several_and_in_order() {
        let export = SpanExport {
            host: "collector.test".into(),
            port: 4317,
            protocol: SpanProtocol::Grpc,
            service: "edge".into(),
            queue_max: 100,
            delay: Duration::from_secs(5),
            batch_max: 100,
        };
        let mut spans: Vec<_> = (0..100).map(|_| Box::new(Span::example())).collect();
        (0_u64..).zip(&mut spans).for_each(|(number, span)| span.span_id = number.to_be_bytes());
        let whole = encode(&export, &spans, usize::MAX);
        let [(100, message)] = &whole[..] else { panic!("{whole:?}") };
        let parts = encode(&export, &spans, message.len() / 3);
        assert!(parts.len() > 3 && parts.iter().all(|(_, part)| part.len() <= message.len() / 3));
        assert_eq!(parts.iter().map(|(number, _)| number).sum::<u64>(), 100);
        let sent = parts.iter().flat_map(|(_, part)| {
            let request = ExportRequest::decode(part.clone()).unwrap();
            request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).map(|s| s.span_id)
        });
        assert!(sent.eq((0..100_u64).map(|number| number.to_be_bytes().to_vec())), "none is lost, none twice");
        assert_eq!(encode(&export, &spans[..3], 1).len(), 3, "one span is not cut");
    }

    #[test]
    fn the_spans_that_a_collector_refuses_are_told() {
        assert_eq!((refused(b""), refused(b"\xff\xff")), (None, None));
        // partial_success { rejected_spans: 3, error_message: "no" }
        assert_eq!(refused(b"\x0a\x06\x08\x03\x12\x02no"), Some((3, "no".into())));
        assert_eq!(refused(b"\x0a\x04\x12\x02no"), None, "a warning refuses nothing");
    }
}
