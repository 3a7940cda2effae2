//! Chunked bodies: a decoder that hands out spans of data without copying, and the pieces to write them.

use std::ops::Range;

use thiserror::Error;

/// Why a chunked body is refused. What was relayed so far stays unfinished and both connections end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ChunkError {
    /// The size is no hex number that fits, or has blanks or a sign.
    #[error("invalid chunk size")]
    Size,
    /// The extension is malformed or too long.
    #[error("invalid chunk extension")]
    Extension,
    /// CRLF is missing where it must be.
    #[error("a line of the chunked body does not end with CRLF")]
    LineEnd,
    /// The trailer section is malformed or too large.
    #[error("invalid trailer section")]
    Trailer,
}

/// What one call found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are done with, data included.
    pub consumed: usize,
    /// Data, a range of the input; may be empty.
    pub data: Range<usize>,
    /// The body is complete; `consumed` bytes were its last.
    pub complete: bool,
}

/// Streaming decoder, resumable at every byte. Extensions are checked and ignored; trailers are checked and dropped.
#[derive(Clone, Debug, Default)]
pub struct ChunkDecoder {}

impl ChunkDecoder {
    /// Reads up to the end of the next run of data, of the body or of the input. Call again with the input behind
    /// `consumed` until it consumes nothing more.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, ChunkError> {
        let _ = input;
        Err(ChunkError::Size)
    }
}

/// Appends the size line of a chunk of `len` bytes (not zero). Behind the data goes [`CHUNK_END`].
pub fn write_chunk_header(out: &mut Vec<u8>, len: usize) {
    let _ = (out, len);
}

/// Behind the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk and the empty trailer section: the body is complete.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
