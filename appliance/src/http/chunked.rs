//! Chunked bodies: a decoder that hands out spans of data without copying, and the pieces to write them (RFC 9112 7.1).
//!
//! The decoder looks at one byte at a time between runs of data and keeps all it knows in its state, so a body may arrive
//! split anywhere. Extensions are checked and ignored. Trailers are checked and kept apart: they can neither become fields
//! of the head nor framing of the next hop.

use std::ops::Range;

use thiserror::Error;

use super::field::is_token_character;
use super::scan::is_control;

/// Hex digits of a chunk size, leading zeros included.
const SIZE_DIGITS_MAX: u8 = 16;
/// Bytes of all extensions of a body: many small chunks with long extensions cost a receiver much for little data
/// (CVE-2023-39326).
const EXTENSION_BYTES_MAX: u32 = 16 << 10;
/// Bytes of one extension line.
const EXTENSION_LINE_BYTES_MAX: u32 = 256;
/// Bytes of the trailer section.
const TRAILER_BYTES_MAX: usize = 8 << 10;

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

impl ChunkError {
    /// Stable word for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Size => "chunk_size",
            Self::Extension => "chunk_extension",
            Self::LineEnd => "chunk_line_end",
            Self::Trailer => "chunk_trailer",
        }
    }
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

/// Where the decoder stands: what the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// First digit of a size.
    #[default]
    SizeStart,
    /// Further digit, `;` or CR.
    Size,
    /// In an extension, outside quotes.
    Extension,
    /// In a quoted string of an extension.
    Quoted,
    /// Behind a backslash in a quoted string.
    QuotedPair,
    /// LF of the size line.
    SizeLineFeed,
    /// Data of the chunk.
    Data,
    /// CR behind the data.
    DataCr,
    /// LF behind the data.
    DataLineFeed,
    /// Start of a trailer line, or CR of the final empty one.
    TrailerStart,
    /// In the name of a trailer.
    TrailerName,
    /// In the value of a trailer.
    TrailerValue,
    /// LF of a trailer line.
    TrailerLineFeed,
    /// The last LF.
    FinalLineFeed,
    /// Nothing more belongs to the body.
    Complete,
}

/// Streaming decoder of one body, resumable at every byte.
#[derive(Clone, Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// Data bytes of the current chunk still to come; the size while its digits are read.
    remaining: u64,
    size_digits: u8,
    extension_line_bytes: u32,
    extension_bytes: u32,
    /// The trailer section so far, whole lines but for the last.
    trailers: Vec<u8>,
}

impl ChunkDecoder {
    /// Reads on up to the end of the input, of the body, or to the start of a second run of data. Call again with the input
    /// behind `consumed`; once it is used up, with what arrives next.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, ChunkError> {
        let mut step = Step::default();
        while let Some(&byte) = input.get(step.consumed) {
            match self.state {
                State::Complete => break,
                State::Data if !step.data.is_empty() => break,
                State::Data => {
                    let available = (input.len() - step.consumed) as u64;
                    let taken = self.remaining.min(available);
                    step.data = step.consumed..step.consumed + taken as usize;
                    step.consumed = step.data.end;
                    self.remaining -= taken;
                    if self.remaining == 0 {
                        self.state = State::DataCr;
                    }
                }
                state => {
                    self.state = self.framing_byte(state, byte)?;
                    step.consumed += 1;
                }
            }
        }
        step.complete = self.state == State::Complete;
        Ok(step)
    }

    /// Whether the last byte of the body went by.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The lines of the trailer section, each with its CRLF, once the body is complete; most bodies have none.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    fn framing_byte(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        match state {
            State::SizeStart | State::Size => self.size_byte(state, byte),
            State::Extension | State::Quoted | State::QuotedPair => self.extension_byte(state, byte),
            State::SizeLineFeed => {
                expect_line_feed(byte)?;
                Ok(if self.remaining == 0 { State::TrailerStart } else { State::Data })
            }
            State::DataCr if byte == b'\r' => Ok(State::DataLineFeed),
            State::DataCr => Err(ChunkError::LineEnd),
            State::DataLineFeed => expect_line_feed(byte).map(|()| State::SizeStart),
            State::TrailerStart | State::TrailerName | State::TrailerValue => self.trailer_byte(state, byte),
            State::TrailerLineFeed => {
                expect_line_feed(byte)?;
                self.trailers.extend_from_slice(b"\r\n");
                Ok(State::TrailerStart)
            }
            State::FinalLineFeed => expect_line_feed(byte).map(|()| State::Complete),
            State::Data | State::Complete => Ok(state),
        }
    }

    fn size_byte(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        if state == State::SizeStart {
            self.remaining = 0;
            self.size_digits = 0;
            self.extension_line_bytes = 0;
        }
        if let Some(digit) = (byte as char).to_digit(16) {
            // What a signed 64-bit number holds.
            if self.size_digits == SIZE_DIGITS_MAX || self.remaining > i64::MAX as u64 >> 4 {
                return Err(ChunkError::Size);
            }
            self.size_digits += 1;
            self.remaining = self.remaining << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        match (state, byte) {
            (State::Size, b'\r') => Ok(State::SizeLineFeed),
            (State::Size, b';') => Ok(State::Extension),
            (State::Size, b'\n') => Err(ChunkError::LineEnd),
            _ => Err(ChunkError::Size),
        }
    }

    /// `;name=value` or `;name="value"`: tokens, blanks and closed quotes.
    fn extension_byte(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        self.extension_line_bytes += 1;
        self.extension_bytes += 1;
        if self.extension_line_bytes > EXTENSION_LINE_BYTES_MAX || self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ChunkError::Extension);
        }
        match (state, byte) {
            (State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Extension, b'\n') => Err(ChunkError::LineEnd),
            (State::Extension, b'"') => Ok(State::Quoted),
            (State::Extension, b';' | b'=' | b' ' | b'\t') => Ok(State::Extension),
            (State::Extension, _) if is_token_character(byte) => Ok(State::Extension),
            (State::Quoted, b'"') => Ok(State::Extension),
            (State::Quoted, b'\\') => Ok(State::QuotedPair),
            (State::Quoted | State::QuotedPair, _) if !is_control(byte) => Ok(State::Quoted),
            _ => Err(ChunkError::Extension),
        }
    }

    fn trailer_byte(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        if self.trailers.len() >= TRAILER_BYTES_MAX {
            return Err(ChunkError::Trailer);
        }
        let next = Self::trailer_state(state, byte)?;
        if matches!(next, State::TrailerName | State::TrailerValue) {
            self.trailers.push(byte);
        }
        Ok(next)
    }

    fn trailer_state(state: State, byte: u8) -> Result<State, ChunkError> {
        match (state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::FinalLineFeed),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if is_token_character(byte) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLineFeed),
            (State::TrailerValue, b'\n') | (State::TrailerStart, b'\n') => Err(ChunkError::LineEnd),
            (State::TrailerValue, _) if !is_control(byte) => Ok(State::TrailerValue),
            _ => Err(ChunkError::Trailer),
        }
    }
}

fn expect_line_feed(byte: u8) -> Result<(), ChunkError> {
    if byte == b'\n' { Ok(()) } else { Err(ChunkError::LineEnd) }
}

/// Appends the size line of a chunk of `len` bytes; behind the data goes [`CHUNK_END`]. An empty piece is no chunk (it
/// would end the body): nothing is written then, and the caller writes no `CHUNK_END` either.
pub fn write_chunk_header(out: &mut Vec<u8>, len: usize) {
    if len == 0 {
        return;
    }
    let digits = (len.ilog2() / 4 + 1) as usize;
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[len >> (digit * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Behind the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk and the empty trailer section: the body is complete.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests;
