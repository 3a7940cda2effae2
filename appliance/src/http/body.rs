//! A request body as it comes from the client: framing undone, limit kept.

use super::chunked::{ChunkDecoder, ChunkError};
use super::framing::BodyFraming;

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is over the limit.
    TooLarge,
    /// Its chunks are malformed.
    Malformed(ChunkError),
}

enum Framing {
    Length { left: u64 },
    Chunked(ChunkDecoder),
}

/// Undoes the framing of one body, piece by piece.
pub(crate) struct BodyDecoder {
    framing: Framing,
    bytes_max: Option<u64>,
    taken: u64,
    complete: bool,
}

impl BodyDecoder {
    /// For a body of this framing, at most `bytes_max` long.
    ///
    /// # Errors
    /// When its declared length is over the limit.
    pub(crate) fn new(framing: BodyFraming, bytes_max: Option<u64>) -> Result<Self, BodyError> {
        let (framing, complete) = match framing {
            BodyFraming::None => (Framing::Length { left: 0 }, true),
            BodyFraming::Length(n) if bytes_max.is_some_and(|max| n > max) => return Err(BodyError::TooLarge),
            BodyFraming::Length(n) => (Framing::Length { left: n }, n == 0),
            BodyFraming::Chunked => (Framing::Chunked(ChunkDecoder::default()), false),
        };
        Ok(Self { framing, bytes_max, taken: 0, complete })
    }

    /// Whether the last byte was taken.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Bytes of the body taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Appends the body bytes at the start of `input` to `out`; returns how much of `input` is done with. What is left
    /// when the body is complete belongs to the next request.
    pub(crate) fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, BodyError> {
        if self.complete {
            return Ok(0);
        }
        let (consumed, complete, before) = (0, false, out.len());
        let (consumed, complete) = match &mut self.framing {
            Framing::Length { left } => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                out.extend_from_slice(&input[..n]);
                *left -= n as u64;
                (consumed + n, complete || *left == 0)
            }
            Framing::Chunked(decoder) => decode_chunks(decoder, input, out).map_err(BodyError::Malformed)?,
        };
        self.complete = complete;
        self.taken += (out.len() - before) as u64;
        if self.bytes_max.is_some_and(|max| self.taken > max) {
            return Err(BodyError::TooLarge);
        }
        Ok(consumed)
    }
}

/// Appends the data of all chunks in `input`; returns what was consumed and whether the body is complete.
pub(crate) fn decode_chunks(
    decoder: &mut ChunkDecoder,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(usize, bool), ChunkError> {
    let mut at = 0;
    loop {
        let step = decoder.decode(&input[at..])?;
        out.extend_from_slice(&input[at..][step.data.clone()]);
        at += step.consumed;
        if step.complete || step.consumed == 0 {
            return Ok((at, step.complete));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_over_the_limit_is_refused_before_a_byte_is_read() {
        assert!(BodyDecoder::new(BodyFraming::Length(11), Some(10)).is_err());
        assert!(BodyDecoder::new(BodyFraming::Length(10), Some(10)).is_ok());
        assert!(BodyDecoder::new(BodyFraming::Length(u64::MAX), None).is_ok());
    }

    #[test]
    fn bytes_behind_the_body_are_left_for_the_next_request() {
        let (mut decoder, mut out) = (BodyDecoder::new(BodyFraming::Length(4), None).unwrap(), Vec::new());
        assert_eq!(decoder.decode(b"ab", &mut out), Ok(2));
        assert!(!decoder.is_complete());
        assert_eq!(decoder.decode(b"cdGET /", &mut out), Ok(2));
        assert!(decoder.is_complete());
        assert_eq!(decoder.decode(b"GET /", &mut out), Ok(0));
        assert_eq!((out.as_slice(), decoder.taken()), (&b"abcd"[..], 4));
    }

    #[test]
    fn chunks_count_against_the_limit_by_their_data() {
        let (mut decoder, mut out) = (BodyDecoder::new(BodyFraming::Chunked, Some(3)).unwrap(), Vec::new());
        assert_eq!(decoder.decode(b"3\r\nabc\r\n", &mut out), Ok(8));
        assert_eq!(decoder.decode(b"1\r\nd\r\n", &mut out), Err(BodyError::TooLarge));
    }
}
