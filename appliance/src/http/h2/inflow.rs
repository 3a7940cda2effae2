//! A body that arrives in an HTTP/2 stream, given out as HTTP/1.1 bytes.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;

use super::super::chunked::{CHUNK_END, write_chunk_header};
use super::super::field::write_line;
use super::unread::{Inlet, UnreadBody};
use crate::buffers::HEAD_BYTES;
use crate::io::Aborter;

/// Room for the size line of a chunk and its end.
const CHUNK_OVERHEAD: usize = 24;

/// The receiving side of one stream.
pub(super) struct Inflow {
    stream: RecvStream,
    chunked: bool,
    /// What was taken out of h2 before it was asked for; older than `piece`.
    unread: Option<UnreadBody>,
    /// Received and not yet given out.
    piece: Bytes,
    /// What h2 has said last, if it was no piece.
    last: Option<Last>,
    ended: bool,
    /// Who reads it waits for what comes next.
    is_read: bool,
}

/// What is behind the pieces of a body.
enum Last {
    /// Its end, with trailers perhaps.
    End,
    Failed(io::Error),
}

impl Inflow {
    /// `chunked` frames the body; else its bytes come as they are.
    pub(super) fn new(stream: RecvStream, chunked: bool) -> Self {
        Self { stream, chunked, unread: None, piece: Bytes::new(), last: None, ended: false, is_read: false }
    }

    /// With a bound on what is not read. Not for a stream without a body.
    pub(super) fn bounded(&mut self, inlet: &Rc<Inlet>, aborter: Aborter, shed: &Rc<Cell<bool>>) {
        if !self.stream.is_end_stream() {
            let mut unread = inlet.begin(aborter, shed);
            unread.waits(true);
            self.unread = Some(unread);
        }
    }

    /// Takes what has come and nobody reads now out of h2, where many do that. To be called whenever the request was polled,
    /// which may have wanted to read.
    pub(super) fn poll_unread(&mut self, cx: &mut Context<'_>) {
        // Who was given something may well wait for another to take it now.
        let is_read = std::mem::take(&mut self.is_read);
        let Some(unread) = &mut self.unread else { return };
        if !is_read && unread.is_one_of_many() {
            unread.keep(&std::mem::take(&mut self.piece));
            while self.last.is_none()
                && let Poll::Ready(next) = self.stream.poll_data(cx)
            {
                match next {
                    Some(Ok(piece)) => unread.keep(&piece),
                    Some(Err(error)) => self.last = Some(Last::Failed(super::io_error(error))),
                    None => self.last = Some(Last::End),
                }
            }
        }
        unread.waits(!is_read && self.last.is_none() && !self.stream.is_end_stream());
    }

    /// Appends what is there to `buf`; `Ok(0)` is the end. The peer may send as much again once it was given out.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        if let Some(unread) = &mut self.unread {
            unread.waits(false);
        }
        let read = self.poll_next(cx, buf);
        self.is_read = read.is_pending();
        let holds_none = self.piece.is_empty() && self.unread.as_ref().is_some_and(|unread| unread.kept().is_empty());
        if holds_none && self.stream.is_end_stream() {
            // Who knows the length of a body does not ask for its end.
            self.unread = None;
        }
        read
    }

    /// As many pieces as are there and have room: small ones come in crowds, and each by itself would be a send.
    fn poll_next(&mut self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let mut given = 0;
        loop {
            match self.poll_one(cx, buf) {
                Poll::Ready(Ok(bytes @ 1..)) => given += bytes,
                Poll::Ready(Err(error)) if given > 0 => {
                    self.last = Some(Last::Failed(error));
                    return Poll::Ready(Ok(given));
                }
                Poll::Pending if given > 0 => return Poll::Ready(Ok(given)),
                other => return other.map_ok(|_| given),
            }
            if self.ended || buf.capacity() - buf.len() <= CHUNK_OVERHEAD {
                return Poll::Ready(Ok(given));
            }
        }
    }

    fn poll_one(&mut self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let before = buf.len();
        let kept = self.unread.as_ref().is_some_and(|unread| !unread.kept().is_empty());
        while !kept && self.piece.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            if ready!(self.poll_piece(cx))? {
                continue;
            }
            let trailers = ready!(self.stream.poll_trailers(cx)).map_err(super::io_error)?;
            (self.ended, self.unread) = (true, None);
            if self.chunked {
                write_end(buf, trailers.as_ref());
            }
            return Poll::Ready(Ok(buf.len() - before));
        }
        let taken = match &mut self.unread {
            Some(unread) if kept => {
                let taken = give_out(unread.kept(), self.chunked, buf);
                unread.advance(taken);
                taken
            }
            _ => {
                let taken = give_out(&self.piece, self.chunked, buf);
                self.piece.advance(taken);
                taken
            }
        };
        self.stream.flow_control().release_capacity(taken).map_err(super::io_error)?;
        Poll::Ready(Ok(buf.len() - before))
    }

    /// Takes the next piece; `false` where none comes any more.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.last.take() {
            None => {}
            Some(Last::Failed(error)) => return Poll::Ready(Err(error)),
            Some(Last::End) => {
                self.last = Some(Last::End);
                return Poll::Ready(Ok(false));
            }
        }
        match ready!(self.stream.poll_data(cx)) {
            Some(piece) => {
                self.piece = piece.map_err(super::io_error)?;
                Poll::Ready(Ok(true))
            }
            None => {
                self.last = Some(Last::End);
                Poll::Ready(Ok(false))
            }
        }
    }
}

/// Appends what has room of `bytes`; how much that was.
fn give_out(bytes: &[u8], chunked: bool, buf: &mut Vec<u8>) -> usize {
    if buf.capacity() - buf.len() <= CHUNK_OVERHEAD {
        buf.reserve(HEAD_BYTES);
    }
    let taken = bytes.len().min(buf.capacity() - buf.len() - CHUNK_OVERHEAD);
    if chunked {
        write_chunk_header(buf, taken);
    }
    buf.extend_from_slice(&bytes[..taken]);
    if chunked {
        buf.extend_from_slice(CHUNK_END);
    }
    taken
}

fn write_end(buf: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    buf.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        write_line(buf, name.as_str().as_bytes(), value.as_bytes());
    }
    buf.extend_from_slice(b"\r\n");
}
