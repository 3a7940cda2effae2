//! Buffers of one core, lent for the time of an operation and kept warm.

use std::cell::Cell;

use crate::kept::Kept;
use crate::limits::AWAITED_WITH_ROOM_MAX;

/// Room for a request head of ordinary size; larger ones grow.
pub(crate) const HEAD_BYTES: usize = 4 << 10;
/// Room for a body window, and for two whole TLS records.
pub(crate) const BODY_BYTES: usize = 34 << 10;
/// What the proxy adds to a head that it passes on, mostly.
const ADDED_BYTES: usize = 1 << 10;

/// The pool. Single-threaded, shared by `Rc`.
#[derive(Default)]
pub(crate) struct Buffers {
    heads: Kept<Vec<u8>>,
    bodies: Kept<Vec<u8>>,
    awaited: Cell<usize>,
}

/// Counts a wait for an upstream's connection or answer, or for a request's body: each holds a buffer, or will.
pub(crate) struct Awaiting<'a>(&'a Cell<usize>);

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Buffers {
    /// An empty buffer of [`HEAD_BYTES`].
    pub(crate) fn head(&self) -> Vec<u8> {
        self.heads.take().unwrap_or_else(|| Vec::with_capacity(HEAD_BYTES))
    }

    /// An empty buffer of [`BODY_BYTES`].
    pub(crate) fn body(&self) -> Vec<u8> {
        self.bodies.take().unwrap_or_else(|| Vec::with_capacity(BODY_BYTES))
    }

    /// A wait begins.
    pub(crate) fn awaiting(&self) -> Awaiting<'_> {
        self.awaited.set(self.awaited.get() + 1);
        Awaiting(&self.awaited)
    }

    /// Whether so much is waited for that each does so with a small buffer.
    pub(crate) fn is_crowded(&self) -> bool {
        self.awaited.get() > AWAITED_WITH_ROOM_MAX
    }

    /// An empty buffer for so many bytes; for more than [`BODY_BYTES`] it has to grow.
    pub(crate) fn fitting(&self, bytes: usize) -> Vec<u8> {
        if bytes <= HEAD_BYTES { self.head() } else { self.body() }
    }

    /// The same for a message of so many bytes as it came: thousands may be on their way at a time, and most of them are small.
    pub(crate) fn passing(&self, bytes: usize) -> Vec<u8> {
        self.fitting(bytes + ADDED_BYTES)
    }

    /// Takes a buffer back. Grown ones are freed, so that one large head does not stay.
    pub(crate) fn put(&self, mut buf: Vec<u8>) {
        let kept = match buf.capacity() {
            HEAD_BYTES => &self.heads,
            BODY_BYTES => &self.bodies,
            _ => return,
        };
        buf.clear();
        kept.put(buf);
    }

    /// Frees what a burst has left; to be called every second.
    pub(crate) fn trim(&self) {
        self.heads.trim();
        self.bodies.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again_empty() {
        let buffers = Buffers::default();
        let mut buf = buffers.head();
        buf.extend_from_slice(b"secret");
        let at = buf.as_ptr();
        buffers.put(buf);
        let again = buffers.head();
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn a_crowd_is_told_as_long_as_it_waits() {
        let buffers = Buffers::default();
        let mut waits: Vec<_> = (0..AWAITED_WITH_ROOM_MAX).map(|_| buffers.awaiting()).collect();
        assert!(!buffers.is_crowded());
        waits.push(buffers.awaiting());
        assert!(buffers.is_crowded());
        waits.pop();
        assert!(!buffers.is_crowded());
    }

    #[test]
    fn grown_buffers_are_freed() {
        let buffers = Buffers::default();
        buffers.put(Vec::with_capacity(1 << 20));
        assert_eq!((buffers.heads.len(), buffers.bodies.len()), (0, 0));
    }
}
