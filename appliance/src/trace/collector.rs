//! One message to the collector, over gRPC on a connection that is kept, or as a POST on one of its own.

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ringress_config::snapshot::{SpanExport, SpanProtocol};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Bytes of an answer, of which only refusals are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Length and compression flag in front of a gRPC message.
const GRPC_PREFIX_BYTES: usize = 5;
const GRPC_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HTTP_PATH: &str = "/v1/traces";

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// Nobody there.
    #[error("it cannot be reached: {0}")]
    Connect(#[source] std::io::Error),
    /// The exchange broke.
    #[error("it gave no proper answer: {0}")]
    Exchange(Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It has no room or is not ready.
    #[error("it is busy: {0}")]
    Busy(String),
    /// It will never take the message.
    #[error("it refused: {0}")]
    Refused(String),
}

impl ExportError {
    /// Whether the message may be sent again (OTLP, "Failures").
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Exchange(_) | Self::Timeout | Self::Busy(_) => true,
            Self::Refused(_) => false,
        }
    }

    fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Exchange(error.into())
    }
}

/// A connection with the collector, if one is open.
#[derive(Default)]
pub(super) struct Collector {
    session: Option<Session>,
}

/// An HTTP/2 connection.
struct Session {
    host: Box<str>,
    port: u16,
    send: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Collector {
    /// Sends a message and returns the answer's.
    pub(super) async fn send(&mut self, export: &SpanExport, message: Bytes) -> Result<Bytes, ExportError> {
        match export.protocol {
            SpanProtocol::Grpc => self.call(export, message).await,
            SpanProtocol::Http => post(export, message).await,
        }
    }

    async fn call(&mut self, export: &SpanExport, message: Bytes) -> Result<Bytes, ExportError> {
        // One that ended in the meantime says so when it is asked; then another one is opened.
        let kept = self.session.take().filter(|session| session.is_to(export) && !session.driver.is_finished());
        let session = match kept {
            Some(session) => session,
            None => Session::open(export).await?,
        };
        let mut send = session.send.clone().ready().await.map_err(ExportError::broken)?;
        let (response, mut body) = send.send_request(grpc_request(export)?, false).map_err(ExportError::broken)?;
        body.send_data(framed(&message), true).map_err(ExportError::broken)?;
        let (head, mut answer) = response.await.map_err(ExportError::broken)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(of_status(head.status));
        }
        // An answer without messages has its status in the head.
        if let Some(error) = of_grpc(&head.headers) {
            self.session = Some(session);
            return Err(error);
        }
        let mut bytes = BytesMut::new();
        while let Some(data) = answer.data().await {
            let data = data.map_err(ExportError::broken)?;
            // Fails only when the stream is gone, which the next reading tells.
            let _ = answer.flow_control().release_capacity(data.len());
            if bytes.len() + data.len() > ANSWER_BYTES_MAX {
                return Err(ExportError::Exchange("the answer is too long".into()));
            }
            bytes.extend_from_slice(&data);
        }
        let trailers = answer.trailers().await.map_err(ExportError::broken)?;
        self.session = Some(session);
        match trailers.as_ref().and_then(of_grpc) {
            Some(error) => Err(error),
            None if bytes.len() < GRPC_PREFIX_BYTES => Ok(Bytes::new()),
            None => Ok(bytes.freeze().slice(GRPC_PREFIX_BYTES..)),
        }
    }
}

impl Session {
    async fn open(export: &SpanExport) -> Result<Self, ExportError> {
        let stream = connect(export).await?;
        let (send, connection) = h2::client::handshake(stream).await.map_err(ExportError::broken)?;
        // What goes wrong on it is seen by who asks.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { host: export.host.clone(), port: export.port, send, driver })
    }

    fn is_to(&self, export: &SpanExport) -> bool {
        self.host == export.host && self.port == export.port
    }
}

async fn connect(export: &SpanExport) -> Result<TcpStream, ExportError> {
    let stream = TcpStream::connect((&*export.host, export.port)).await.map_err(ExportError::Connect)?;
    stream.set_nodelay(true).map_err(ExportError::Connect)?;
    Ok(stream)
}

/// `host:port`, with brackets around an IPv6 address.
fn authority(export: &SpanExport) -> String {
    let SpanExport { host, port, .. } = export;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn grpc_request(export: &SpanExport) -> Result<Request<()>, ExportError> {
    let request = Request::post(format!("http://{}{GRPC_METHOD}", authority(export)))
        .version(http::Version::HTTP_2)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("user-agent", user_agent());
    request.body(()).map_err(ExportError::broken)
}

/// A message with its prefix: not compressed, and how long it is.
fn framed(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(GRPC_PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(message);
    framed.freeze()
}

fn user_agent() -> &'static str {
    concat!("OTel-OTLP-Exporter-ringress/", env!("CARGO_PKG_VERSION"))
}

async fn post(export: &SpanExport, message: Bytes) -> Result<Bytes, ExportError> {
    let stream = TokioIo::new(connect(export).await?);
    let (mut send, connection) = http1::handshake(stream).await.map_err(ExportError::broken)?;
    // Ends with the exchange; what goes wrong on it is seen there.
    drop(tokio::spawn(connection));
    let request = Request::post(HTTP_PATH)
        .header("host", authority(export))
        .header("content-type", "application/x-protobuf")
        .header("user-agent", user_agent())
        .header("connection", "close")
        .body(Body::from(message));
    let response = send.send_request(request.map_err(ExportError::broken)?).await.map_err(ExportError::broken)?;
    let status = response.status();
    let answer = axum::body::to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await;
    if status.is_success() { answer.map_err(ExportError::broken) } else { Err(of_status(status)) }
}

/// OTLP/HTTP: these statuses are for a while, all others for good. A proxy before a gRPC service answers in the same way.
fn of_status(status: StatusCode) -> ExportError {
    match status.as_u16() {
        429 | 502..=504 => ExportError::Busy(status.to_string()),
        _ => ExportError::Refused(status.to_string()),
    }
}

/// What `grpc-status` says, if it says anything but 0.
fn of_grpc(fields: &HeaderMap) -> Option<ExportError> {
    let text = |name| fields.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status")?;
    let message = format!("grpc-status {code} {}", text("grpc-message").unwrap_or_default());
    match code {
        "0" => None,
        // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
        "1" | "4" | "8" | "10" | "11" | "14" | "15" => Some(ExportError::Busy(message)),
        _ => Some(ExportError::Refused(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_a_while_is_told_from_what_is_for_good() {
        let grpc = |code: &'static str| {
            let mut fields = HeaderMap::new();
            fields.insert("grpc-status", http::HeaderValue::from_static(code));
            of_grpc(&fields).map(|error| error.may_pass())
        };
        assert_eq!(
            (grpc("0"), grpc("14"), grpc("8"), grpc("12"), grpc("16")),
            (None, Some(true), Some(true), Some(false), Some(false))
        );
        assert!(of_grpc(&HeaderMap::new()).is_none());
        let status = |status| of_status(StatusCode::from_u16(status).unwrap()).may_pass();
        assert!(status(503) && status(429) && !status(400) && !status(404));
    }

    #[test]
    fn an_address_of_ipv6_has_brackets_and_a_message_its_length() {
        let mut export = SpanExport {
            host: "::1".into(),
            port: 4317,
            protocol: SpanProtocol::Grpc,
            service: "a".into(),
            queue_max: 1,
            delay: std::time::Duration::ZERO,
            batch_max: 1,
        };
        assert_eq!(authority(&export), "[::1]:4317");
        export.host = "otel.svc".into();
        assert_eq!(authority(&export), "otel.svc:4317");
        assert_eq!(&framed(&Bytes::from_static(b"abc"))[..], b"\0\0\0\0\x03abc");
    }
}
