//! What h2 was given to send and has not handed to the connection.
//!
//! A client may grant wide windows and read nothing: h2 then keeps what it was given, up to its send buffer for each
//! stream, and does so for answers that are complete as well. So every piece counts until h2 lets go of it, and once a
//! core has much of that, an exchange lasts until its own pieces have left. A stream never has more than a few there:
//! each takes a place of 300 bytes in a table of its connection, which does not shrink again.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

use super::stalls::Stalls;

/// Pieces of one stream that h2 may keep: one is sent while the next one is read.
const PIECES_MAX: usize = 2;

/// Of one stream to a client.
pub(super) struct Unsent {
    bytes: Cell<usize>,
    pieces: Cell<usize>,
    stalls: Rc<Stalls>,
    waiting: Cell<Option<Waker>>,
}

/// A piece of a body on its way through h2.
pub(crate) struct Piece {
    left: Bytes,
    /// Where it counts, and with how many bytes.
    counted: Option<(Rc<Unsent>, usize)>,
}

impl Unsent {
    pub(super) fn new(stalls: &Rc<Stalls>) -> Rc<Self> {
        let (bytes, pieces) = Default::default();
        Rc::new(Self { bytes, pieces, stalls: Rc::clone(stalls), waiting: Cell::default() })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Ready when the stream may go on: all has left, or little is there and the core bears it.
    pub(super) fn poll_borne(&self, cx: &mut Context<'_>) -> Poll<()> {
        let few = self.pieces.get() < PIECES_MAX;
        if self.pieces.get() == 0 || few && !self.stalls.keeps_much() {
            return Poll::Ready(());
        }
        self.waiting.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn leave(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() - bytes);
        self.pieces.set(self.pieces.get() - 1);
        self.stalls.left(bytes);
        // With each piece, as who takes anything is newer than who takes nothing.
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

impl Piece {
    pub(super) fn new(bytes: Bytes, unsent: Option<&Rc<Unsent>>) -> Self {
        let count = |unsent: &Rc<Unsent>| {
            unsent.bytes.set(unsent.bytes.get() + bytes.len());
            unsent.pieces.set(unsent.pieces.get() + 1);
            unsent.stalls.keep(bytes.len());
            (Rc::clone(unsent), bytes.len())
        };
        let counted = unsent.filter(|_| !bytes.is_empty()).map(count);
        Self { left: bytes, counted }
    }

    /// Nothing, to end a stream with.
    pub(super) fn empty() -> Self {
        Self { left: Bytes::new(), counted: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.left.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.left.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.left.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some((unsent, bytes)) = self.counted.take() {
            unsent.leave(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::H2_UNSENT_BYTES_FREE;

    fn piece(bytes: usize, unsent: &Rc<Unsent>) -> Piece {
        Piece::new(vec![0; bytes].into(), Some(unsent))
    }

    #[test]
    fn who_has_given_all_waits_only_where_the_core_keeps_much() {
        let stalls = Rc::<Stalls>::default();
        let (one, other) = (Unsent::new(&stalls), Unsent::new(&stalls));
        let mut cx = Context::from_waker(Waker::noop());
        let small = piece(1, &one);
        assert!(one.poll_borne(&mut cx).is_ready());
        let much = piece(H2_UNSENT_BYTES_FREE, &other);
        assert!(one.poll_borne(&mut cx).is_pending());
        assert_eq!((one.bytes(), other.bytes()), (1, H2_UNSENT_BYTES_FREE));
        drop(small);
        assert!(one.poll_borne(&mut cx).is_ready(), "its own has left");
        assert!(other.poll_borne(&mut cx).is_ready(), "it is not much any more");
        drop(much);
        assert!(!stalls.keeps_much());
        assert_eq!((one.bytes(), other.bytes()), (0, 0));
    }

    #[test]
    fn a_stream_has_few_pieces_there() {
        let stalls = Rc::<Stalls>::default();
        let unsent = Unsent::new(&stalls);
        let mut cx = Context::from_waker(Waker::noop());
        let mut pieces: Vec<_> = (1..PIECES_MAX).map(|_| piece(1, &unsent)).collect();
        assert!(unsent.poll_borne(&mut cx).is_ready());
        pieces.push(piece(1, &unsent));
        assert!(unsent.poll_borne(&mut cx).is_pending());
        pieces.pop();
        assert!(unsent.poll_borne(&mut cx).is_ready());
    }

    #[test]
    fn a_piece_counts_whole_until_it_is_let_go() {
        let stalls = Rc::<Stalls>::default();
        let unsent = Unsent::new(&stalls);
        let mut sent = piece(10, &unsent);
        sent.advance(9);
        assert_eq!((sent.remaining(), unsent.bytes()), (1, 10));
        drop(sent);
        assert_eq!(unsent.bytes(), 0);
    }
}
