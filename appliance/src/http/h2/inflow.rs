//! A body that arrives in an HTTP/2 stream, given out as HTTP/1.1 bytes.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;

use super::super::chunked::{CHUNK_END, write_chunk_header};
use super::super::field::write_line;
use crate::buffers::HEAD_BYTES;

/// Room for the size line of a chunk and its end.
const CHUNK_OVERHEAD: usize = 24;

/// The receiving side of one stream.
pub(super) struct Inflow {
    stream: RecvStream,
    chunked: bool,
    /// Received and not yet given out.
    piece: Bytes,
    ended: bool,
}

impl Inflow {
    /// `chunked` frames the body; else its bytes come as they are.
    pub(super) fn new(stream: RecvStream, chunked: bool) -> Self {
        Self { stream, chunked, piece: Bytes::new(), ended: false }
    }

    /// Appends what is there to `buf`; `Ok(0)` is the end. The peer may send as much again once it was given out.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let before = buf.len();
        while self.piece.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.stream.poll_data(cx)) {
                Some(piece) => self.piece = piece.map_err(super::io_error)?,
                None => {
                    let trailers = ready!(self.stream.poll_trailers(cx)).map_err(super::io_error)?;
                    self.ended = true;
                    if self.chunked {
                        write_end(buf, trailers.as_ref());
                    }
                    return Poll::Ready(Ok(buf.len() - before));
                }
            }
        }
        if buf.capacity() - buf.len() <= CHUNK_OVERHEAD {
            buf.reserve(HEAD_BYTES);
        }
        let taken = self.piece.len().min(buf.capacity() - buf.len() - CHUNK_OVERHEAD);
        if self.chunked {
            write_chunk_header(buf, taken);
        }
        buf.extend_from_slice(&self.piece[..taken]);
        if self.chunked {
            buf.extend_from_slice(CHUNK_END);
        }
        self.piece.advance(taken);
        self.stream.flow_control().release_capacity(taken).map_err(super::io_error)?;
        Poll::Ready(Ok(buf.len() - before))
    }
}

fn write_end(buf: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    buf.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        write_line(buf, name.as_str().as_bytes(), value.as_bytes());
    }
    buf.extend_from_slice(b"\r\n");
}
