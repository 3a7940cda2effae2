//! Frames that bring the application nothing, counted as they arrive.
//!
//! The h2 crate bounds what floods of them hold in memory; what they cost the core's other clients in time is bounded
//! here (CVE-2019-9512, -9513, -9515, -9518). Streams need none of this: they are bounded by `keep-alive-requests`.

const FRAME_HEADER_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;
/// Such frames that may come at once: more than any client was seen to send in a burst.
const BURST: u64 = 1000;
/// And in each second after that. gRPC measures its path with a few PINGs for each round trip.
const PER_SECOND: u64 = 200;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;

/// Follows the frames of one connection.
pub(super) struct Meter {
    header: [u8; FRAME_HEADER_BYTES],
    /// Bytes of `header` that are there.
    filled: usize,
    /// Bytes until the next frame begins.
    skip: usize,
    /// Thousandths of frames that may come now.
    credit: u64,
    credited_ms: u64,
}

impl Meter {
    /// For a connection that begins with a client's preface.
    pub(super) fn new(now_ms: u64) -> Self {
        let credit = BURST * 1000;
        Self { header: [0; FRAME_HEADER_BYTES], filled: 0, skip: PREFACE_BYTES, credit, credited_ms: now_ms }
    }

    /// Takes note of received bytes; false when it is too much.
    pub(super) fn take(&mut self, mut bytes: &[u8], now_ms: u64) -> bool {
        let since = now_ms.saturating_sub(self.credited_ms);
        self.credit = (self.credit + since.saturating_mul(PER_SECOND)).min(BURST * 1000);
        self.credited_ms = now_ms;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (FRAME_HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == FRAME_HEADER_BYTES && !self.frame() {
                return false;
            }
        }
        true
    }

    /// A frame begins.
    fn frame(&mut self) -> bool {
        let [high, middle, low, kind, flags, ..] = self.header;
        (self.skip, self.filled) = (u32::from_be_bytes([0, high, middle, low]) as usize, 0);
        let brings_something = match kind {
            DATA => self.skip > 0 || flags & END_STREAM != 0,
            HEADERS | RST_STREAM | WINDOW_UPDATE => true,
            _ => false,
        };
        if brings_something {
            return true;
        }
        let left = self.credit.checked_sub(1000);
        self.credit = left.unwrap_or_default();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let [_, _, high, middle, low] = (payload as u64).to_be_bytes()[3..] else { unreachable!() };
        [&[high, middle, low, kind, flags, 0, 0, 0, 1], &vec![kind; payload][..]].concat()
    }

    fn begun() -> Meter {
        let mut meter = Meter::new(0);
        assert!(meter.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0));
        meter
    }

    #[test]
    fn frames_are_found_however_their_bytes_are_split() {
        let stream = [frame(4, 0, 6), frame(1, 4, 300), frame(0, 0, 0), frame(0, 1, 0), frame(6, 0, 8)].concat();
        for size in 1..stream.len() {
            let mut meter = begun();
            assert!(stream.chunks(size).all(|piece| meter.take(piece, 0)));
            assert_eq!(meter.credit, (BURST - 3) * 1000, "pieces of {size}");
        }
    }

    #[test]
    fn a_burst_passes_and_time_gives_more() {
        let mut meter = begun();
        let ping = frame(6, 0, 8);
        assert!((0..BURST).all(|_| meter.take(&ping, 0)));
        assert!((0..PER_SECOND).all(|_| meter.take(&ping, 1000)));
        assert!(!meter.take(&ping, 1000));
    }

    #[test]
    fn requests_and_their_bodies_are_not_counted() {
        let mut meter = begun();
        for kind in [DATA, HEADERS, RST_STREAM, WINDOW_UPDATE] {
            assert!((0..10 * BURST).all(|_| meter.take(&frame(kind, 0, 4), 0)));
        }
        assert_eq!(meter.credit, BURST * 1000);
    }
}
