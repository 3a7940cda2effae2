//! A body that leaves as HTTP/1.1 bytes, on its way into an HTTP/2 stream: framing undone, flow control kept.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::body::decode_chunks;
use super::super::chunked::ChunkDecoder;
use super::super::trailer;
use super::stalls::Stalls;
use super::unsent::{Piece, Unsent};
use crate::limits::H2_UNASKED_BYTES;

/// How the body comes.
pub(super) enum OutFraming {
    /// So many bytes are left.
    Length(u64),
    Chunked(ChunkDecoder),
    /// A tunnel: whatever comes, until the sender ends it.
    Raw,
}

/// The sending side of one stream, behind its head.
pub(super) struct Outflow {
    stream: SendStream<Piece>,
    framing: OutFraming,
    /// Taken and not yet sent.
    piece: Bytes,
    /// Nothing comes behind `piece`.
    last: bool,
    /// Bytes that were let through.
    passed: u64,
    ended: bool,
    /// Where the peer is a client: what h2 keeps of the stream.
    unsent: Option<Rc<Unsent>>,
    /// It waits for that to leave.
    held: bool,
}

impl Outflow {
    pub(super) fn new(stream: SendStream<Piece>, framing: OutFraming) -> Self {
        Self { stream, framing, piece: Bytes::new(), last: false, passed: 0, ended: false, unsent: None, held: false }
    }

    /// To a client: what it leaves counts among what its core's clients leave.
    pub(super) fn counted(mut self, stalls: &Rc<Stalls>) -> Self {
        self.unsent = Some(Unsent::new(stalls));
        self
    }

    /// Takes a piece; [`Outflow::poll_drained`] is awaited before the next one.
    ///
    /// # Errors
    /// When the framing is broken or bytes come behind the end.
    pub(super) fn take(&mut self, input: &[u8]) -> io::Result<()> {
        debug_assert!(self.piece.is_empty(), "the piece before is sent");
        let surplus = match &mut self.framing {
            OutFraming::Length(left) if (input.len() as u64) > *left => true,
            OutFraming::Length(left) => {
                *left -= input.len() as u64;
                self.last = *left == 0;
                self.piece = Bytes::copy_from_slice(input);
                false
            }
            OutFraming::Chunked(decoder) => {
                let mut data = Vec::with_capacity(input.len());
                let (used, complete) = decode_chunks(decoder, input, &mut data)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                self.last = complete;
                self.piece = data.into();
                used < input.len()
            }
            OutFraming::Raw => {
                self.piece = Bytes::copy_from_slice(input);
                false
            }
        };
        if surplus { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    /// As [`Outflow::take`], without a copy where the bytes pass as they are.
    pub(super) fn take_copied(&mut self, input: Bytes) -> io::Result<()> {
        match &mut self.framing {
            OutFraming::Length(left) if input.len() as u64 <= *left => {
                *left -= input.len() as u64;
                self.last = *left == 0;
                self.piece = input;
                Ok(())
            }
            OutFraming::Length(_) | OutFraming::Chunked(_) | OutFraming::Raw => self.take(&input),
        }
    }

    /// No more comes: the end of a tunnel.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        self.stream.send_data(Piece::empty(), true).map_err(super::io_error)
    }

    /// Waits until the peer's windows have taken the piece, and its connection where many are left.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.piece.is_empty() {
            // Here too: a client may grant a byte at a time.
            ready!(self.poll_borne(cx));
            self.stream.reserve_capacity(self.piece.len());
            if self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(super::io_error(error))),
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
            }
            let fits = self.stream.capacity().min(self.piece.len());
            let piece = Piece::new(self.piece.split_to(fits), self.unsent.as_ref());
            let ends = self.last && self.piece.is_empty() && self.trailers().is_empty();
            self.passed += fits as u64;
            self.stream.send_data(piece, ends).map_err(super::io_error)?;
            self.ended = ends;
        }
        if self.last && !self.ended {
            self.ended = true;
            let trailers = trailer_map(self.trailers());
            let sent = if trailers.is_empty() {
                self.stream.send_data(Piece::empty(), true)
            } else {
                self.stream.send_trailers(trailers)
            };
            sent.map_err(super::io_error)?;
        }
        self.poll_borne(cx).map(Ok)
    }

    /// Waits until h2 has little of it.
    fn poll_borne(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let borne = self.unsent.as_ref().map_or(Poll::Ready(()), |unsent| unsent.poll_borne(cx));
        self.held = borne.is_pending();
        borne
    }

    /// Bytes taken and not sent, and whether the client takes what is sent: it may also have granted a byte, or read none.
    pub(super) fn waiting(&self) -> (usize, bool) {
        let unsent = self.unsent.as_ref().map_or(0, |unsent| unsent.bytes());
        (self.piece.len() + unsent, self.passed - unsent as u64 > H2_UNASKED_BYTES)
    }

    /// Whether it waits for h2 to let go of what it has, not for the peer to grant more.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Breaks the stream off.
    pub(super) fn reset(&mut self, reason: h2::Reason) {
        if !self.ended || self.held {
            (self.ended, self.held) = (true, false);
            self.stream.send_reset(reason);
        }
    }

    /// Whether the peer broke the stream off.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended { Poll::Pending } else { self.stream.poll_reset(cx).map(drop) }
    }

    fn trailers(&self) -> &[u8] {
        match &self.framing {
            OutFraming::Chunked(decoder) => decoder.trailers(),
            OutFraming::Length(_) | OutFraming::Raw => &[],
        }
    }
}

/// The fields of a trailer section that pass; what is no field in HTTP/2 is left out.
fn trailer_map(section: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in trailer::passing(section) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}
