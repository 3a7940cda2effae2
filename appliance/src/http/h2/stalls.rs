//! Answers that wait for the windows of their clients, and what they hold in memory.
//!
//! A client that grants no window keeps its answer, and its upstream's connection, for as long as `send_timeout`. One
//! connection has few streams; a crowd of them could hold gigabytes (CVE-2019-9511, -9517). So a core bounds what they
//! hold together: beyond that, those that have moved least lately are ended. A client that takes anything at all is newer
//! with each piece, and is not confused with those that never took a byte.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::io::Aborter;
use crate::limits::{H2_STALLED_BEGUN_BYTES_MAX, H2_STALLED_BYTES_MAX};

/// What a stream holds beside the piece that waits: the buffer with its head, its tasks and its tables.
const STREAM_BYTES: usize = 16 << 10;
/// Streams that wait with large pieces; what comes for others is read in small ones.
const LARGE_MAX: usize = 128;

/// Those of one core.
#[derive(Default)]
pub(crate) struct Stalls {
    /// Nothing shows that the client ever took a byte.
    untouched: Queue,
    /// Something does.
    begun: Queue,
    next: Cell<u64>,
}

/// Oldest first.
#[derive(Default)]
struct Queue {
    waiting: RefCell<BTreeMap<u64, Waiting>>,
    bytes: Cell<usize>,
}

struct Waiting {
    bytes: usize,
    aborter: Aborter,
    shed: Rc<Cell<bool>>,
}

/// Counts a stream in as long as it waits.
pub(super) struct Stall {
    stalls: Rc<Stalls>,
    begun: bool,
    number: u64,
}

impl Stalls {
    /// A stream waits with `piece` bytes. The oldest ones are ended where it is too much; `shed` tells them why.
    pub(super) fn enter(self: &Rc<Self>, begun: bool, piece: usize, aborter: Aborter, shed: &Rc<Cell<bool>>) -> Stall {
        let number = self.next.replace(self.next.get() + 1);
        let waiting = Waiting { bytes: piece + STREAM_BYTES, aborter, shed: Rc::clone(shed) };
        let most = if begun { H2_STALLED_BEGUN_BYTES_MAX } else { H2_STALLED_BYTES_MAX };
        self.queue(begun).enter(number, waiting, most);
        Stall { stalls: Rc::clone(self), begun, number }
    }

    /// Whether so many wait that each should do so with little.
    pub(crate) fn are_many(&self) -> bool {
        self.untouched.waiting.borrow().len() + self.begun.waiting.borrow().len() >= LARGE_MAX
    }

    fn queue(&self, begun: bool) -> &Queue {
        if begun { &self.begun } else { &self.untouched }
    }
}

impl Queue {
    fn enter(&self, number: u64, waiting: Waiting, most: usize) {
        let mut all = self.waiting.borrow_mut();
        self.bytes.set(self.bytes.get() + waiting.bytes);
        all.insert(number, waiting);
        while self.bytes.get() > most
            && let Some((_, oldest)) = all.pop_first()
        {
            self.bytes.set(self.bytes.get() - oldest.bytes);
            oldest.shed.set(true);
            oldest.aborter.abort();
        }
    }

    fn leave(&self, number: u64) {
        // One that was ended is gone already.
        if let Some(gone) = self.waiting.borrow_mut().remove(&number) {
            self.bytes.set(self.bytes.get() - gone.bytes);
        }
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.stalls.queue(self.begun).leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Deadline, Timers};

    const PIECE: usize = 16 << 10;

    #[test]
    fn the_oldest_that_took_nothing_are_ended_and_no_others() {
        let (stalls, timers) = (Rc::<Stalls>::default(), Timers::new());
        let most = H2_STALLED_BYTES_MAX / (PIECE + STREAM_BYTES);
        let enter = |begun| {
            let shed = Rc::<Cell<bool>>::default();
            (stalls.enter(begun, PIECE, Deadline::new(&timers).aborter(), &shed), shed)
        };
        let begun = enter(true);
        let mut waiting: Vec<_> = (0..most).map(|_| enter(false)).collect();
        assert!(waiting.iter().all(|(_, shed)| !shed.get()));
        // One that moves on makes room.
        drop(waiting.remove(1));
        waiting.push(enter(false));
        assert!(waiting.iter().all(|(_, shed)| !shed.get()));
        waiting.push(enter(false));
        waiting.push(enter(false));
        let shed: Vec<usize> = (0..waiting.len()).filter(|n| waiting[*n].1.get()).collect();
        assert_eq!((shed, begun.1.get()), (vec![0, 1], false));
        drop((waiting, begun));
        assert_eq!((stalls.untouched.bytes.get(), stalls.begun.bytes.get()), (0, 0));
    }
}
