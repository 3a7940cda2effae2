//! Sixteen bytes at once: which of them are control characters, which can be in a name.

use wide::u8x16;

/// Bytes of a block.
pub(super) const LANES: usize = 16;

/// The block at `at`, if the buffer reaches that far.
#[inline(always)]
pub(super) fn block(buf: &[u8], at: usize) -> Option<&[u8; LANES]> {
    buf.get(at..)?.first_chunk()
}

/// Some of the bytes of a block, one bit for each, the first byte lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes(u32);

impl Lanes {
    /// The control characters, HTAB among them.
    #[inline(always)]
    pub(super) fn control_characters(block: &[u8; LANES]) -> Self {
        let bytes = u8x16::new(*block);
        Self((at_most(bytes, 0x1f) | bytes.simd_eq(u8x16::splat(0x7f))).to_bitmask())
    }

    /// Letters, digits and `-`.
    #[inline(always)]
    pub(super) fn name_characters(block: &[u8; LANES]) -> Self {
        let bytes = u8x16::new(*block);
        let letter = at_most((bytes | u8x16::splat(0x20)) - u8x16::splat(b'a'), b'z' - b'a');
        let digit = at_most(bytes - u8x16::splat(b'0'), 9);
        let hyphen = bytes.simd_eq(u8x16::splat(b'-'));
        Self((letter | digit | hyphen).to_bitmask())
    }

    /// Index of the first one, if there is any.
    #[inline(always)]
    pub(super) fn first(self) -> Option<usize> {
        (self.0 != 0).then_some(self.0.trailing_zeros() as usize)
    }

    /// Number of bytes before the first that is not one of them.
    #[inline(always)]
    pub(super) fn leading(self) -> usize {
        self.0.trailing_ones() as usize
    }

    /// The same bytes without the first `count`, which is less than `LANES`.
    #[inline(always)]
    pub(super) fn behind(self, count: usize) -> Self {
        Self(self.0 >> count)
    }
}

/// All ones where the byte is at most `most`.
#[inline(always)]
fn at_most(bytes: u8x16, most: u8) -> u8x16 {
    bytes.min(u8x16::splat(most)).simd_eq(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_in_every_lane() {
        for byte in 0..=255_u8 {
            for lane in 0..LANES {
                let mut block = *b"Az-09Az-09Az-09x";
                block[lane] = byte;
                let control = (byte < 0x20 || byte == 0x7f).then_some(lane);
                assert_eq!(Lanes::control_characters(&block).first(), control, "{byte:#x} at {lane}");
                let names = if byte.is_ascii_alphanumeric() || byte == b'-' { LANES } else { lane };
                assert_eq!(Lanes::name_characters(&block).leading(), names, "{byte:#x} at {lane}");
            }
        }
    }

    #[test]
    fn the_rest_of_a_block_is_counted_from_where_it_starts() {
        let block = *b"a\0aaaaaaaaaaaaa\0";
        assert_eq!(Lanes::control_characters(&block).behind(2).first(), Some(13));
        assert_eq!(Lanes::control_characters(&block).behind(15).first(), Some(0));
    }
}
