//! The upstream's response on its way to the client: head with interim ones, then the body piece by piece.

mod ahead;
mod treated;

use std::time::Duration;

use ringress_config::snapshot::Route;

use crate::error::Failure;
use crate::http::body::decode_chunks;
use crate::http::chunked::{CHUNK_END, ChunkDecoder, LAST_CHUNK, write_chunk_header};
use crate::http::framing::ResponseBody;
use crate::http::head::{HeadLimits, Progress, Version};
use crate::http::respond::{Written, write_interim};
use crate::http::response::{Asked, ResponseHead};
use crate::http::trailer::write_last_chunk;
use crate::limits::{CLIENT_SEND, INTERIM_RESPONSES_MAX};
use crate::stream::{Sink, Source};
use crate::worker::Core;
pub(crate) use ahead::{Ahead, Progress as BodyProgress};
pub(crate) use treated::{Pace, Treatment};

/// Bounds on the heads of a route's responses.
pub(crate) fn limits(route: &Route) -> HeadLimits {
    let bytes = route.body.response_head_bytes_max as usize;
    HeadLimits { line_bytes_max: bytes, head_bytes_max: bytes, fields_max: 512 }
}

/// Reads the final response head (or a 101 that was asked for) into `head`; the bytes it refers to, and those behind
/// it, are in the returned buffer. Interim responses go to the client, if its version knows them.
pub(crate) async fn read_head(
    core: &Core,
    (upstream, timeout): (&mut impl Source, impl Fn() -> Duration),
    client: &mut impl Sink,
    (version, asked, limits): (Version, Asked, HeadLimits),
    head: &mut ResponseHead,
) -> Result<Vec<u8>, Failure> {
    let _awaiting = core.buffers.awaiting();
    let mut buf = core.waiting_buffer();
    let mut interim = 0;
    head.reset();
    loop {
        if !buf.is_empty() {
            match head.parse(&buf, &limits, asked) {
                Err(error) => return Err(Failure::BadResponse(error)),
                Ok(Progress::Complete) if head.is_interim() => {
                    interim += 1;
                    if interim > INTERIM_RESPONSES_MAX {
                        return Err(Failure::InterimFlood);
                    }
                    pass_interim(core, client, version, head, &buf).await?;
                    buf.drain(..head.consumed);
                    continue;
                }
                Ok(Progress::Complete) => return Ok(buf),
                Ok(Progress::Partial) => {}
            }
        }
        if buf.len() == buf.capacity() {
            buf.reserve(buf.capacity());
        }
        let begun = !buf.is_empty();
        let (result, received) = super::recv_for(client, upstream, buf, timeout()).await?;
        buf = received;
        match result {
            // Part of a head is no response: the upstream may be tried again as if it had closed at once.
            Ok(0) => return Err(Failure::NoResponse),
            Err(error) if begun && error.kind() != std::io::ErrorKind::TimedOut => return Err(Failure::NoResponse),
            Err(error) => return Err(Failure::awaiting_response(&error)),
            Ok(_) => {}
        }
    }
}

async fn pass_interim(
    core: &Core,
    client: &mut impl Sink,
    version: Version,
    head: &ResponseHead,
    buf: &[u8],
) -> Result<(), Failure> {
    // `100 Continue` is between this proxy and its neighbours: it was answered when the body was asked for.
    if version == Version::Http10 || head.status == 100 {
        return Ok(());
    }
    let mut out = core.buffers.head();
    write_interim(&mut out, head, buf);
    let (sent, out) = super::send(client, out, CLIENT_SEND).await;
    core.buffers.put(out);
    sent.map_err(|_| Failure::ClientGone)
}

/// How the body of a response arrives.
enum Incoming {
    Length { left: u64 },
    Chunked(ChunkDecoder),
    UntilClose,
}

/// How the body goes on.
#[derive(Clone, Copy)]
struct Outgoing {
    chunked: bool,
    /// With the trailers that came.
    trailers: bool,
}

/// What a piece of a response was.
struct Piece {
    /// It was the last.
    last: bool,
    /// Bytes came behind the end of the response.
    surplus: bool,
}

/// What relaying a body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relayed {
    /// Bytes sent to the client, head included.
    pub(crate) bytes: u64,
    /// Of these, the body with its framing.
    pub(crate) body_bytes: u64,
    /// The upstream's connection is at the border of a message.
    pub(crate) clean: bool,
}

impl Incoming {
    /// The trailer section, once the body is complete.
    fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(decoder) => decoder.trailers(),
            Self::Length { .. } | Self::UntilClose => &[],
        }
    }

    /// Appends the data of `input` to `out`.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Piece, Failure> {
        match self {
            Self::Length { left } => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                out.extend_from_slice(&input[..n]);
                *left -= n as u64;
                Ok(Piece { last: *left == 0, surplus: n < input.len() })
            }
            Self::Chunked(decoder) => {
                let (used, last) = decode_chunks(decoder, input, out).map_err(|_| Failure::ResponseCut(None))?;
                Ok(Piece { last, surplus: last && used < input.len() })
            }
            Self::UntilClose => {
                out.extend_from_slice(input);
                Ok(Piece { last: false, surplus: false })
            }
        }
    }
}

/// Sends the client's head (in `out`) and the body: what `received` has from `rest` on arrived behind the upstream's head.
///
/// # Errors
/// When either side breaks off; the client's connection must be closed then, so that the response looks cut. With
/// [`Failure::BadResponseBody`] nothing was sent: the client can be told.
pub(crate) async fn relay(
    core: &Core,
    (upstream, timeout): (&mut impl Source, Duration),
    client: &mut impl Sink,
    (incoming, outgoing, treatment): (ResponseBody, Written, Option<Box<Treatment>>),
    (received, rest): (Vec<u8>, usize),
    mut out: Vec<u8>,
) -> Result<Relayed, Failure> {
    let first = &received[rest..];
    let mut incoming = match incoming {
        ResponseBody::None => {
            let (bytes, clean) = (out.len() as u64, first.is_empty());
            core.buffers.put(received);
            finish(core, client, out).await?;
            return Ok(Relayed { bytes, body_bytes: 0, clean });
        }
        ResponseBody::Length(left) => Incoming::Length { left },
        ResponseBody::Chunked => Incoming::Chunked(ChunkDecoder::default()),
        ResponseBody::UntilClose => Incoming::UntilClose,
    };
    let outgoing = Outgoing { chunked: outgoing.body == ResponseBody::Chunked, trailers: outgoing.trailers };
    if let Some(treatment) = treatment {
        // Boxed: it is the rarer case, and its state would make every connection's larger.
        let framings = (incoming, outgoing);
        let what = (first, out);
        return Box::pin(treated::relay(core, (upstream, timeout), client, framings, treatment, what)).await;
    }
    let (head_bytes, mut bytes) = (out.len() as u64, 0);
    let mut buf = Vec::new();
    let mut piece = if first.is_empty() && !matches!(incoming, Incoming::Length { left: 0 }) {
        Piece { last: false, surplus: false }
    } else {
        frame(core, &mut incoming, first, outgoing, &mut out).map_err(|_| Failure::BadResponseBody)?
    };
    // A client may leave what it is sent next for long.
    core.buffers.put(received);
    while !piece.last {
        if !out.is_empty() {
            bytes += out.len() as u64;
            core.buffers.put(std::mem::take(&mut buf));
            let (sent, returned) = super::send(client, out, CLIENT_SEND).await;
            out = returned;
            sent.map_err(|_| Failure::ClientGone)?;
            out.clear();
        }
        if buf.capacity() == 0 {
            buf = next_buffer(core);
        }
        buf.clear();
        let (received, returned) = super::recv_for(client, upstream, buf, timeout).await?;
        buf = returned;
        piece = take_in(core, &mut incoming, outgoing, received, (&mut buf, &mut out))?;
    }
    bytes += out.len() as u64;
    core.buffers.put(buf);
    finish(core, client, out).await?;
    Ok(Relayed { bytes, body_bytes: bytes - head_bytes, clean: !piece.surplus })
}

/// Makes of what was just received into `buf` what is to be sent: `out`, which is empty.
fn take_in(
    core: &Core,
    incoming: &mut Incoming,
    outgoing: Outgoing,
    received: std::io::Result<usize>,
    (buf, out): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<Piece, Failure> {
    match received {
        Ok(0) if matches!(incoming, Incoming::UntilClose) => {
            if outgoing.chunked {
                out.extend_from_slice(LAST_CHUNK);
            }
            Ok(Piece { last: true, surplus: true })
        }
        Ok(0) => Err(Failure::ResponseCut(None)),
        Err(error) => Err(Failure::cut_by(&error)),
        // The common case needs no copy: the piece goes out in the buffer that it came in.
        Ok(_) if !outgoing.chunked && fits(incoming, buf) => {
            std::mem::swap(buf, out);
            Ok(Piece { last: matches!(incoming, Incoming::Length { left: 0 }), surplus: false })
        }
        Ok(_) => frame(core, incoming, buf, outgoing, out),
    }
}

/// For a piece of a body: a small one where many clients leave what they are sent, so that each can keep little.
fn next_buffer(core: &Core) -> Vec<u8> {
    if core.stalls.are_many() { core.buffers.head() } else { core.buffers.body() }
}

/// Takes all of `input` as data, if it is nothing else.
fn fits(incoming: &mut Incoming, input: &[u8]) -> bool {
    match incoming {
        Incoming::Length { left } if input.len() as u64 <= *left => {
            *left -= input.len() as u64;
            true
        }
        Incoming::UntilClose => true,
        Incoming::Length { .. } | Incoming::Chunked(_) => false,
    }
}

fn frame(
    core: &Core,
    incoming: &mut Incoming,
    input: &[u8],
    outgoing: Outgoing,
    out: &mut Vec<u8>,
) -> Result<Piece, Failure> {
    if !outgoing.chunked {
        return incoming.take(input, out);
    }
    let mut data = core.buffers.body();
    let piece = incoming.take(input, &mut data)?;
    if !data.is_empty() {
        write_chunk_header(out, data.len());
        out.extend_from_slice(&data);
        out.extend_from_slice(CHUNK_END);
    }
    if piece.last {
        let trailers = if outgoing.trailers { incoming.trailers() } else { &[] };
        write_last_chunk(out, trailers);
    }
    core.buffers.put(data);
    Ok(piece)
}

async fn finish(core: &Core, client: &mut impl Sink, out: Vec<u8>) -> Result<(), Failure> {
    if out.is_empty() {
        core.buffers.put(out);
        return Ok(());
    }
    let (sent, out) = super::send(client, out, CLIENT_SEND).await;
    core.buffers.put(out);
    sent.map_err(|_| Failure::ClientGone)
}
