//! The scan for complete lines.
//!
//! Lines end with CRLF and nothing else, and hold no control character but HTAB. Each byte is looked at once, so a head
//! that arrives byte by byte costs no more than one that arrives whole.
//!
//! The parser is our own: `httparse` takes a bare LF for a line end, cannot be resumed, and takes more instructions for a
//! request of 20 fields than this parser with all its checks (`bench/guards`). It is a peer of the differential tests.

use super::head::{HeadError, HeadLimits, Span};
use super::lanes::{LANES, Lanes, block};

/// Where the scan for lines stands in a head that is not complete yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LineScan {
    /// Start of the line that is not complete.
    line_start: usize,
    /// Bytes that were looked at.
    scanned: usize,
}

impl LineScan {
    /// No byte was seen yet: the next one starts a head.
    #[inline]
    pub(super) fn is_new(&self) -> bool {
        self.scanned == 0
    }

    /// Bytes up to the end of the last complete line.
    #[inline]
    pub(super) fn consumed(&self) -> usize {
        self.line_start
    }

    /// The next complete line without its CRLF. A line longer than allowed is refused with `too_long`.
    #[inline(always)]
    pub(super) fn next_line(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        too_long: HeadError,
    ) -> Result<Option<Span>, HeadError> {
        let mut at = find_control(buf, self.scanned);
        while let Some(b'\t') = buf.get(at) {
            at = find_control(buf, at + 1);
        }
        if let Some([b'\r', b'\n', ..]) = buf.get(at..) {
            let line = self.line_within(at, at + 2, limits, too_long)?;
            self.line_start = at + 2;
            self.scanned = at + 2;
            return Ok(Some(line));
        }
        self.no_line(buf, at, limits, too_long)
    }

    /// The line is not complete, or something stands at `at` that no line may hold.
    #[cold]
    fn no_line(
        &mut self,
        buf: &[u8],
        at: usize,
        limits: &HeadLimits,
        too_long: HeadError,
    ) -> Result<Option<Span>, HeadError> {
        match buf.get(at..) {
            None | Some([] | [b'\r']) => {
                // All but the CR that may be half a line end.
                self.scanned = at.min(buf.len());
                self.line_within(self.scanned, buf.len(), limits, too_long)?;
                Ok(None)
            }
            Some([b'\r' | b'\n', ..]) => Err(HeadError::LineEnd),
            Some(_) => Err(HeadError::ControlCharacter),
        }
    }

    #[inline(always)]
    fn line_within(
        &self,
        line_end: usize,
        head_bytes: usize,
        limits: &HeadLimits,
        too_long: HeadError,
    ) -> Result<Span, HeadError> {
        if line_end - self.line_start > limits.line_bytes_max {
            return Err(too_long);
        }
        // Spans are 32 bits wide.
        if head_bytes > limits.head_bytes_max.min(u32::MAX as usize) {
            return Err(HeadError::HeadTooLarge);
        }
        Ok(Span { start: self.line_start as u32, end: line_end as u32 })
    }
}

/// Index of the first control character (HTAB too) at or behind `from`; the length of `buf` when there is none.
#[inline(always)]
fn find_control(buf: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(bytes) = block(buf, at) {
        if let Some(first) = Lanes::control_characters(bytes).first() {
            return at + first;
        }
        at += LANES;
    }
    // The rest is shorter than a block: take the last whole block, without what was looked at.
    if let Some(bytes) = buf.last_chunk()
        && at < buf.len()
    {
        let seen = at - (buf.len() - LANES);
        return Lanes::control_characters(bytes).behind(seen).first().map_or(buf.len(), |first| at + first);
    }
    let rest = buf.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| byte < 0x20 || byte == 0x7f).unwrap_or(rest.len())
}

/// CTL of RFC 5234 without HTAB.
#[inline]
pub(super) fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// The elements of a list, without the white space around them; also the empty ones (RFC 9110 5.6.1).
#[inline]
pub(super) fn elements(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// Cuts optional white space: SP and HTAB, nothing else (RFC 9110 5.6.3).
#[inline]
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_is_found_at_every_place() {
        for length in 0..40 {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![b'x'; length];
                    bytes[place] = byte;
                    let expected = if byte < 0x20 || byte == 0x7f { place } else { length };
                    assert_eq!(find_control(&bytes, 0), expected, "{byte:#x} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn the_search_starts_where_it_is_told() {
        assert_eq!(find_control(b"a\x00\x00aaaaa", 2), 2);
        assert_eq!(find_control(b"a\x00aaaaaaaaaaaaaaaaaaaa", 2), 22);
        assert_eq!(find_control(b"aaa", 9), 9);
    }
}
