//! Buffers of one core, lent for the time of an operation and kept warm.

use crate::kept::Kept;

/// Room for a request head of ordinary size; larger ones grow.
pub(crate) const HEAD_BYTES: usize = 4 << 10;
/// Room for a body window, and for two whole TLS records.
pub(crate) const BODY_BYTES: usize = 34 << 10;

/// The pool. Single-threaded, shared by `Rc`.
#[derive(Default)]
pub(crate) struct Buffers {
    heads: Kept<Vec<u8>>,
    bodies: Kept<Vec<u8>>,
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

    /// An empty buffer for so many bytes; for more than [`BODY_BYTES`] it has to grow.
    pub(crate) fn fitting(&self, bytes: usize) -> Vec<u8> {
        if bytes <= HEAD_BYTES { self.head() } else { self.body() }
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
    fn grown_buffers_are_freed() {
        let buffers = Buffers::default();
        buffers.put(Vec::with_capacity(1 << 20));
        assert_eq!((buffers.heads.len(), buffers.bodies.len()), (0, 0));
    }
}
