//! What leaves a lane: the head in HTTP/1.1, translated, then the body.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::server::SendResponse;

use super::super::chunked::ChunkDecoder;
use super::super::framing::BodyFraming;
use super::super::head::{HeadLimits, Progress};
use super::super::request::{Method, RequestHead};
use super::super::response::Asked;
use super::io_error;
use super::outflow::{OutFraming, Outflow};
use super::response_in::Promise;
use super::stalls::Stalls;
use super::translate::{self, Said, SaidBody};
use super::unsent::Piece;
use crate::limits::RESPONSE_HEAD_BYTES_MAX;

/// The heads are the proxy's own, so these bounds only have to be above all that it accepts.
const LIMITS: HeadLimits = HeadLimits {
    line_bytes_max: 2 * RESPONSE_HEAD_BYTES_MAX,
    head_bytes_max: 4 * RESPONSE_HEAD_BYTES_MAX,
    fields_max: 1024,
};

/// The sending side of a lane.
pub(super) enum Outgoing {
    /// A response to a client.
    Response(ResponseOut),
    /// A request to an upstream.
    Request(RequestOut),
    /// The body behind either.
    Body(Outflow),
    /// All was sent.
    Ended,
}

/// A response whose head was not sent yet.
pub(super) struct ResponseOut {
    pub(super) respond: SendResponse<Piece>,
    /// What the request allows.
    pub(super) asked: Asked,
    /// Where it counts what its client leaves.
    pub(super) stalls: Rc<Stalls>,
}

/// A request whose head was not sent yet.
pub(super) struct RequestOut {
    pub(super) session: h2::client::SendRequest<Piece>,
    pub(super) tls: bool,
    /// Told of the response to come.
    pub(super) promise: Promise,
}

impl Outgoing {
    /// Takes the next bytes of the message. A head comes whole.
    pub(super) fn take(&mut self, input: &[u8]) -> io::Result<()> {
        let (next, used) = match self {
            Self::Response(out) => out.take(input)?,
            Self::Request(out) => out.take(input)?,
            Self::Body(body) => return body.take(input),
            Self::Ended if input.is_empty() => return Ok(()),
            Self::Ended => return Err(io::ErrorKind::InvalidData.into()),
        };
        let Some(next) = next else { return Ok(()) };
        *self = next;
        let rest = &input[used..];
        if rest.is_empty() { Ok(()) } else { self.take(rest) }
    }

    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Body(body) => body.poll_drained(cx),
            Self::Response(_) | Self::Request(_) | Self::Ended => Poll::Ready(Ok(())),
        }
    }

    /// Bytes that wait for the peer's windows, and whether it took some before.
    pub(super) fn waiting(&self) -> Option<(usize, bool)> {
        match self {
            Self::Body(body) => Some(body.waiting()),
            Self::Response(_) | Self::Request(_) | Self::Ended => None,
        }
    }

    /// See [`Outflow::is_held`].
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Body(body) if body.is_held())
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Body(body) => body.finish(),
            Self::Response(_) | Self::Request(_) | Self::Ended => Ok(()),
        }
    }

    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Response(out) => out.respond.poll_reset(cx).map(drop),
            Self::Body(body) => body.poll_reset(cx),
            Self::Request(_) | Self::Ended => Poll::Pending,
        }
    }

    pub(super) fn reset(&mut self, reason: h2::Reason) {
        match self {
            Self::Response(out) => out.respond.send_reset(reason),
            Self::Body(body) => body.reset(reason),
            Self::Request(_) | Self::Ended => {}
        }
    }
}

impl ResponseOut {
    /// Sends the head at the start of `input`, interim ones before it, and may take what is behind it. `None` when only
    /// interim ones were there.
    fn take(&mut self, input: &[u8]) -> io::Result<(Option<Outgoing>, usize)> {
        let mut used = 0;
        while used < input.len() {
            let Said { response, body, length, rest } = translate::response(&input[used..], self.asked)?;
            used += length;
            let framing = match body {
                SaidBody::Interim => {
                    self.respond.send_informational(response).map_err(io_error)?;
                    continue;
                }
                SaidBody::Tunnel => Some(OutFraming::Raw),
                SaidBody::None => None,
                SaidBody::Length(length) => Some(OutFraming::Length(length)),
                SaidBody::Chunked => Some(OutFraming::Chunked(ChunkDecoder::default())),
            };
            let stream = self.respond.send_response(response, framing.is_none()).map_err(io_error)?;
            let Some(framing) = framing else { return Ok((Some(Outgoing::Ended), used)) };
            let mut body = Outflow::new(stream, framing).counted(&self.stalls);
            if let Some(rest) = rest {
                used += rest.len();
                body.take_copied(rest)?;
            }
            return Ok((Some(Outgoing::Body(body)), used));
        }
        Ok((None, used))
    }
}

impl RequestOut {
    fn take(&mut self, input: &[u8]) -> io::Result<(Option<Outgoing>, usize)> {
        let mut head = RequestHead::default();
        expect_whole(head.parse(input, &LIMITS))?;
        let request = translate::request(&head, input, self.tls)?;
        let ends = translate::ends_with_head(head.framing);
        // Who waits for the response is told: it hears of nothing else.
        let (response, stream) =
            self.session.send_request(request, ends).map_err(|error| self.promise.give_up(error))?;
        self.promise.keep(response, head.method == Method::Head);
        let next = match head.framing {
            _ if ends => Outgoing::Ended,
            BodyFraming::Chunked => Outgoing::Body(Outflow::new(stream, OutFraming::Chunked(ChunkDecoder::default()))),
            BodyFraming::Length(length) => Outgoing::Body(Outflow::new(stream, OutFraming::Length(length))),
            BodyFraming::None => Outgoing::Ended,
        };
        Ok((Some(next), head.consumed))
    }
}

fn expect_whole(parsed: Result<Progress, super::super::head::HeadError>) -> io::Result<()> {
    match parsed {
        Ok(Progress::Complete) => Ok(()),
        Ok(Progress::Partial) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
