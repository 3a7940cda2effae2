//! One check of one endpoint: a question, and whether the answer passes.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringress_config::snapshot::{CheckKind, HealthCheck, Timeouts, UpstreamProtocol};

use super::super::Speech;
use super::super::connection::{dial, open};
use super::grpc;
use crate::error::Failure;
use crate::http::body::decode_chunks;
use crate::http::chunked::ChunkDecoder;
use crate::http::framing::ResponseBody;
use crate::http::head::{HeadLimits, Version};
use crate::http::response::{Asked, ResponseHead};
use crate::limits::{CHECK_ANSWER_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX};
use crate::relay::{self, response};
use crate::stream::{Nobody, Stream};
use crate::worker::Core;

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There was no answer.
    #[error(transparent)]
    Failure(Failure),
    /// This machine lacks descriptors, ports or memory: it says nothing about the endpoint.
    #[error("not asked for want of descriptors, ports or memory")]
    Own,
    #[error("status {0}")]
    Status(u16),
    #[error("gRPC status {0}")]
    Grpc(u32),
    #[error("serving status {0}, not SERVING")]
    NotServing(u64),
    #[error("the answer is none of grpc.health.v1")]
    Malformed,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connect(_) if !failure.blames_endpoint() => Self::Own,
            failure => Self::Failure(failure),
        }
    }
}

/// The time that is left of a check, on the core's clock.
struct Left<'a> {
    core: &'a Core,
    until_ms: u64,
}

impl Left<'_> {
    fn get(&self) -> Duration {
        Duration::from_millis(self.until_ms.saturating_sub(self.core.timers.now_ms()))
    }
}

/// Asks an endpoint that is spoken to by `protocol`. A handshake of TLS may take the time of the check once more.
pub(super) async fn ask(
    core: &Rc<Core>,
    check: &HealthCheck,
    protocol: UpstreamProtocol,
    mut address: SocketAddr,
) -> Result<(), Fault> {
    let timeout_ms = u64::try_from(check.timeout.as_millis()).unwrap_or(u64::MAX >> 8);
    let left = Left { core, until_ms: core.timers.now_ms() + timeout_ms };
    address.set_port(check.port.map_or(address.port(), std::num::NonZeroU16::get));
    let timeouts = Timeouts { connect: check.timeout, ..Timeouts::default() };
    let host = check.host.as_deref().map_or_else(|| address.to_string(), str::to_owned);
    let (protocol, question) = match &check.kind {
        CheckKind::Tcp => {
            let dialled = dial(core, address, &timeouts).await;
            return dialled.map(drop).map_err(|error| Failure::connecting(error).into());
        }
        CheckKind::Http { path, .. } => (protocol, http_question(path, &host)),
        CheckKind::Grpc { service } => (over_http2(protocol), grpc_question(service, &host)),
    };
    let speech = Speech { protocol, tls: check.tls.as_ref().filter(|_| protocol.is_tls()) };
    let mut stream = open(core, address, speech, &timeouts).await.map_err(Failure::connecting)?;
    let (sent, _) = relay::send(&mut stream, question, left.get()).await;
    sent.map_err(|error| Failure::sending(&error))?;
    let mut head = ResponseHead::default();
    let limits = HeadLimits {
        line_bytes_max: RESPONSE_HEAD_BYTES_MAX,
        head_bytes_max: RESPONSE_HEAD_BYTES_MAX,
        fields_max: 512,
    };
    let read = (Version::Http10, Asked::default(), limits);
    let bytes = response::read_head(core, (&mut stream, || left.get()), &mut Nobody, read, &mut head).await?;
    match &check.kind {
        CheckKind::Http { statuses, .. } if statuses.iter().any(|range| range.contains(&head.status)) => Ok(()),
        CheckKind::Grpc { .. } if head.status == 200 => grpc_answer(&mut stream, &head, bytes, &left).await,
        CheckKind::Http { .. } | CheckKind::Grpc { .. } | CheckKind::Tcp => Err(Fault::Status(head.status)),
    }
}

fn http_question(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ringress-health-check\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

fn grpc_question(service: &str, host: &str) -> Vec<u8> {
    let message = grpc::question(service);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ringress-health-check\r\nContent-Type: application/grpc\r\n\
         Content-Length: {}\r\n\r\n",
        grpc::PATH,
        message.len()
    );
    [head.as_bytes(), &message].concat()
}

/// gRPC has no other way.
fn over_http2(protocol: UpstreamProtocol) -> UpstreamProtocol {
    if protocol.is_tls() { UpstreamProtocol::Grpcs } else { UpstreamProtocol::Grpc }
}

async fn grpc_answer(
    stream: &mut Stream,
    head: &ResponseHead,
    mut received: Vec<u8>,
    left: &Left<'_>,
) -> Result<(), Fault> {
    if let Some(status) = grpc::status_of(&received[..head.consumed]).filter(|status| *status != 0) {
        return Err(Fault::Grpc(status));
    }
    received.drain(..head.consumed);
    let mut decoder = ChunkDecoder::default();
    let mut message = Vec::new();
    loop {
        let is_last = match head.body {
            ResponseBody::Chunked => {
                let decoded = decode_chunks(&mut decoder, &received, &mut message);
                decoded.map_err(|_| Failure::ResponseCut(None))?.1
            }
            ResponseBody::Length(bytes) => {
                message.extend_from_slice(&received);
                message.len() as u64 >= bytes
            }
            ResponseBody::None | ResponseBody::UntilClose => return Err(Fault::Malformed),
        };
        if is_last {
            break;
        }
        if message.len() > CHECK_ANSWER_BYTES_MAX {
            return Err(Fault::Malformed);
        }
        received.clear();
        let (result, returned) = relay::recv(stream, received, left.get()).await;
        received = returned;
        if result.map_err(|error| Failure::awaiting_response(&error))? == 0 {
            return Err(Failure::ResponseCut(None).into());
        }
    }
    if let Some(status) = grpc::status_of(decoder.trailers()).filter(|status| *status != 0) {
        return Err(Fault::Grpc(status));
    }
    match grpc::serving_status(&message) {
        Some(grpc::SERVING) => Ok(()),
        Some(status) => Err(Fault::NotServing(status)),
        None => Err(Fault::Malformed),
    }
}
