//! The frames of a peer on their way to h2, one after the other, and those of them that h2 does not see.
//!
//! A DATA frame without a byte that is not the last of its stream says nothing: it takes no window, adds nothing to a body
//! and ends none. Some peers send one for each flush of nothing. The h2 crate has one bound of a hundred for them, for all
//! the life of a connection, so they are dropped before it. Only those are of which it would take no other notice: not in
//! the middle of a field block, not padded (padding takes window), and on streams alone that the peer may send DATA on, as
//! far as is seen here. So each that is an error stays one. They come at a rate; what is beyond it is left to h2's bound,
//! which ends the connection (CVE-2019-9518). The meter of a client's connection counts them all the same.

use h2::Reason;

use super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADER_BYTES, HEADERS, PUSH_PROMISE, RST_STREAM,
};
use super::meter::{Credit, Meter};
use crate::limits::{H2_EMPTY_BURST, H2_EMPTY_PER_SECOND, H2_OPEN_REMEMBERED};

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Bytes until the next frame begins.
    skip: usize,
    /// The beginning of a frame of which more must be seen; that of one that is cut off for good is never passed on.
    held: Vec<u8>,
    /// A field block goes on.
    in_block: bool,
    open: Open,
    credit: Credit,
}

impl Sieve {
    /// The frames begin behind so many bytes.
    pub(super) fn behind(preface_bytes: usize, now_ms: u64) -> Self {
        let credit = Credit::new(H2_EMPTY_BURST, H2_EMPTY_PER_SECOND, now_ms);
        Self { skip: preface_bytes, held: Vec::new(), in_block: false, open: Open::default(), credit }
    }

    /// Takes what is not for h2 out of received bytes; `meter` looks at each frame.
    ///
    /// # Errors
    /// When the meter refuses a frame; it and what is behind it are taken out.
    pub(super) fn take(
        &mut self,
        received: &mut Vec<u8>,
        mut meter: Option<&mut Meter>,
        now_ms: u64,
    ) -> Result<(), Reason> {
        if !self.held.is_empty() {
            received.splice(..0, self.held.drain(..));
        }
        self.credit.follow(now_ms);
        if let Some(meter) = &mut meter {
            meter.follow(now_ms);
        }
        // What stays: the bytes before `kept`, and those from `from` on.
        let (mut kept, mut from, mut at) = (0, 0, 0);
        let taken = loop {
            let skipped = self.skip.min(received.len() - at);
            self.skip -= skipped;
            at += skipped;
            let Some(frame) = Frame::read(&received[at..]) else {
                self.held.extend_from_slice(&received[at..]);
                break Ok(());
            };
            if let Some(Err(reason)) = meter.as_deref_mut().map(|meter| meter.frame(&frame)) {
                break Err(reason);
            }
            if self.drops(&frame) {
                kept = move_down(received, from..at, kept);
                from = at + HEADER_BYTES;
            }
            self.skip = HEADER_BYTES + frame.length;
        };
        let end = move_down(received, from..at, kept);
        received.truncate(end);
        taken
    }

    /// Whether h2 is not shown it.
    fn drops(&mut self, frame: &Frame) -> bool {
        if frame.is_nothing() {
            return !self.in_block && self.open.has(frame.stream) && self.credit.spend();
        }
        match frame.kind {
            DATA | HEADERS if frame.has(END_STREAM) => self.open.forget(frame.stream),
            DATA | HEADERS => self.open.hear(frame.stream),
            RST_STREAM => self.open.forget(frame.stream),
            _ => {}
        }
        match frame.kind {
            HEADERS | PUSH_PROMISE => self.in_block = !frame.has(END_HEADERS),
            CONTINUATION => self.in_block &= !frame.has(END_HEADERS),
            _ => {}
        }
        false
    }
}

/// Moves bytes to where they follow those before `kept`; where they end then.
fn move_down(bytes: &mut [u8], what: std::ops::Range<usize>, kept: usize) -> usize {
    let end = kept + what.len();
    if kept < what.start {
        bytes.copy_within(what, kept);
    }
    end
}

/// Streams on which something came and no end: those that were reset from here are among them, as whatever comes on
/// those is ignored. Who was heard last is last; the first one goes where there are too many.
#[derive(Debug, Default)]
struct Open(Vec<u32>);

impl Open {
    fn has(&self, stream: u32) -> bool {
        self.at(stream).is_some()
    }

    fn hear(&mut self, stream: u32) {
        if self.0.last() == Some(&stream) {
            return;
        }
        match self.at(stream) {
            Some(at) => self.0[at..].rotate_left(1),
            None => {
                if self.0.len() >= H2_OPEN_REMEMBERED {
                    self.0.remove(0);
                }
                self.0.push(stream);
            }
        }
    }

    fn forget(&mut self, stream: u32) {
        if let Some(at) = self.at(stream) {
            self.0.remove(at);
        }
    }

    fn at(&self, stream: u32) -> Option<usize> {
        self.0.iter().rposition(|open| *open == stream)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{PADDED, WINDOW_UPDATE};
    use super::*;

    fn on(stream: u32, kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[high, middle, low, kind, flags][..], &stream.to_be_bytes(), payload].concat()
    }

    fn nothing(stream: u32) -> Vec<u8> {
        on(stream, DATA, 0, &[])
    }

    fn head(stream: u32) -> Vec<u8> {
        on(stream, HEADERS, END_HEADERS, b"fields")
    }

    /// What h2 sees of a stream that comes in pieces of so many bytes.
    fn passed(stream: &[u8], size: usize) -> Vec<u8> {
        let mut sieve = Sieve::behind(0, 0);
        let pieces = stream.chunks(size).flat_map(|piece| {
            let mut piece = piece.to_vec();
            sieve.take(&mut piece, None, 0).unwrap();
            piece
        });
        pieces.collect()
    }

    #[test]
    fn frames_that_say_nothing_are_dropped_however_the_bytes_are_split() {
        let (first, last) = (on(1, DATA, 0, b"one"), on(1, DATA, END_STREAM, &[]));
        let grant = on(0, WINDOW_UPDATE, 0, &[0, 0, 1, 0]);
        let reserved = on(1 | 1 << 31, DATA, 0xf6, &[]);
        let stream =
            [head(1), nothing(1), first.clone(), nothing(1), reserved, grant.clone(), nothing(1), last.clone()];
        let seen = [head(1), first, grant, last].concat();
        for size in 1..stream.concat().len() + 1 {
            assert_eq!(passed(&stream.concat(), size), seen, "pieces of {size}");
        }
    }

    #[test]
    fn those_that_say_something_or_are_an_error_stay() {
        for stays in [
            nothing(1),
            [head(3), nothing(1), nothing(0)].concat(),
            [head(1), on(1, DATA, END_STREAM, b"x"), nothing(1)].concat(),
            [on(1, HEADERS, END_HEADERS | END_STREAM, b"fields"), nothing(1)].concat(),
            [head(1), on(1, RST_STREAM, 0, &[0; 4]), nothing(1)].concat(),
            [head(1), on(1, DATA, PADDED, &[])].concat(),
            [head(1), on(1, DATA, PADDED, &[2, 0, 0])].concat(),
            [head(1), on(3, HEADERS, 0, b"fie"), nothing(1), on(3, CONTINUATION, END_HEADERS, b"lds")].concat(),
            [head(1), on(1, PUSH_PROMISE, 0, b"fields"), nothing(1)].concat(),
        ] {
            assert_eq!(passed(&stays, stays.len()), stays);
        }
        let ended = [head(1), on(3, HEADERS, 0, b"fie"), on(3, CONTINUATION, END_HEADERS, b"lds")].concat();
        let more = [&ended[..], &nothing(1), &nothing(3)].concat();
        assert_eq!(passed(&more, more.len()), ended);
    }

    #[test]
    fn those_beyond_the_rate_are_left_to_h2() {
        let mut sieve = Sieve::behind(0, 0);
        let many = nothing(1).repeat(usize::try_from(H2_EMPTY_BURST).unwrap());
        let mut received = [head(1), many.clone()].concat();
        sieve.take(&mut received, None, 0).unwrap();
        assert_eq!(received, head(1));
        let mut received = many;
        sieve.take(&mut received, None, 1000).unwrap();
        assert_eq!(received.len() as u64, 9 * (H2_EMPTY_BURST - H2_EMPTY_PER_SECOND), "a second gave some");
    }

    #[test]
    fn streams_that_are_heard_are_remembered_longest() {
        let mut open = Open::default();
        let most = u32::try_from(H2_OPEN_REMEMBERED).unwrap();
        (0..most).for_each(|stream| open.hear(stream));
        open.hear(0);
        assert!((0..most).all(|stream| open.has(stream)));
        open.hear(most);
        assert!(open.has(0) && !open.has(1) && open.has(2), "the one that was silent for longest is gone");
        open.forget(0);
        assert!(!open.has(0) && open.has(2) && open.has(most));
    }
}
