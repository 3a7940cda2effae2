//! Answers that wait for the windows of their clients, and what they hold in memory.
//!
//! A client that grants no window keeps its answer, and its upstream's connection, for as long as `send_timeout`. One
//! connection has few streams; a crowd of them could hold gigabytes (CVE-2019-9511, -9517). So a core bounds what they
//! hold together: beyond that, those that have moved least lately are ended. A client that takes anything at all is newer
//! with each piece, and is not confused with those that never took a byte; those that go on taking for seconds are slow,
//! no flood, and have more room. What h2 and the connections keep, as their sockets are full, counts too
//! ([`super::unsent`]): where it is much, no stream and no connection adds to it.

use std::cell::Cell;
use std::rc::Rc;

use super::queue::{Queue, Waiting};
use crate::io::Aborter;
use crate::limits::{
    H2_STALLED_ALL_BYTES_MIN, H2_STALLED_BYTES_MAX, H2_STALLED_BYTES_PER_CONNECTION, H2_STALLED_NEW_BYTES,
    H2_STALLED_STEADY_TIMES, H2_UNSENT_BYTES_FREE,
};

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
    /// They took something seconds after they had first waited.
    steady: Queue,
    next: Cell<u64>,
    /// Bytes of the streams that h2 keeps.
    unsent: Cell<usize>,
    /// Bytes that the connections keep.
    wired: Cell<usize>,
    /// Connections of clients.
    members: Cell<usize>,
}

/// What its client has taken of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// Nothing for certain.
    Nothing,
    /// Some of it.
    Some,
    /// Some of it, and some more seconds after it had first waited.
    Steadily,
}

/// One connection of a client.
pub(super) struct Member {
    stalls: Rc<Stalls>,
    /// Bytes that it keeps itself.
    bytes: usize,
}

/// Counts a stream in as long as it waits.
pub(super) struct Stall {
    stalls: Rc<Stalls>,
    taken: Taken,
    number: u64,
}

impl Stalls {
    /// A stream waits with `piece` bytes. The oldest ones are ended where it is too much; `shed` tells them why.
    pub(super) fn enter(self: &Rc<Self>, taken: Taken, piece: usize, aborter: Aborter, shed: &Rc<Cell<bool>>) -> Stall {
        let number = self.next.replace(self.next.get() + 1);
        let waiting = Waiting { bytes: piece + STREAM_BYTES, aborter, shed: Rc::clone(shed) };
        self.queue(taken).enter(number, waiting);
        self.shed();
        Stall { stalls: Rc::clone(self), taken, number }
    }

    /// Whether so many wait that each should do so with little.
    pub(crate) fn are_many(&self) -> bool {
        let waiting: usize = self.queues().map(Queue::len).iter().sum();
        waiting >= LARGE_MAX || self.keeps_much()
    }

    /// Whether so much is kept that nobody adds to it before what is his has left.
    pub(super) fn keeps_much(&self) -> bool {
        self.unsent.get() + self.wired.get() > H2_UNSENT_BYTES_FREE
    }

    /// h2 was given a piece of so many bytes.
    pub(super) fn keep(&self, bytes: usize) {
        self.unsent.set(self.unsent.get() + bytes);
    }

    /// It let go of one.
    pub(super) fn left(&self, bytes: usize) {
        self.unsent.set(self.unsent.get() - bytes);
    }

    /// A client's connection begins.
    pub(super) fn join(self: &Rc<Self>) -> Member {
        self.members.set(self.members.get() + 1);
        Member { stalls: Rc::clone(self), bytes: 0 }
    }

    /// Ends what is too much, those first that nobody ever took from.
    fn shed(&self) {
        while self.untouched.bytes() > H2_STALLED_BYTES_MAX && self.untouched.shed_oldest() {}
        // Many clients that each are slow are no attack, so each connection brings room for one of its answers.
        let most = H2_STALLED_ALL_BYTES_MIN.max(self.members.get() * H2_STALLED_BYTES_PER_CONNECTION);
        // However much the steady ones hold, the others keep a part: who is new has not had the time to be steady.
        let others = || self.untouched.bytes() + self.begun.bytes();
        let all = || others() + self.steady.bytes() + self.wired.get();
        while all() > most
            && others() > H2_STALLED_NEW_BYTES
            && (self.untouched.shed_oldest() || self.begun.shed_oldest())
        {}
        while all() > most * H2_STALLED_STEADY_TIMES && self.steady.shed_oldest() {}
    }

    fn queues(&self) -> [&Queue; 3] {
        [Taken::Nothing, Taken::Some, Taken::Steadily].map(|taken| self.queue(taken))
    }

    fn queue(&self, taken: Taken) -> &Queue {
        match taken {
            Taken::Nothing => &self.untouched,
            Taken::Some => &self.begun,
            Taken::Steadily => &self.steady,
        }
    }
}

impl Member {
    /// It keeps so many bytes now.
    pub(super) fn keeps(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.stalls.wired.set(self.stalls.wired.get() - before + bytes);
    }

    /// See [`Stalls::keeps_much`].
    pub(super) fn is_one_of_many(&self) -> bool {
        self.stalls.keeps_much()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.keeps(0);
        self.stalls.members.set(self.stalls.members.get() - 1);
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.stalls.queue(self.taken).leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Deadline, Timers};

    const PIECE: usize = 16 << 10;

    fn waiting_with_a_piece(stalls: &Rc<Stalls>, timers: &Rc<Timers>, taken: Taken) -> (Stall, Rc<Cell<bool>>) {
        let shed = Rc::<Cell<bool>>::default();
        (stalls.enter(taken, PIECE, Deadline::new(timers).aborter(), &shed), shed)
    }

    fn is_shed((_, shed): &(Stall, Rc<Cell<bool>>)) -> bool {
        shed.get()
    }

    #[test]
    fn the_oldest_that_took_nothing_are_ended_and_no_others() {
        let (stalls, timers) = (Rc::<Stalls>::default(), Timers::new());
        let most = H2_STALLED_BYTES_MAX / (PIECE + STREAM_BYTES);
        let enter = |taken| waiting_with_a_piece(&stalls, &timers, taken);
        let begun = enter(Taken::Some);
        let mut waiting: Vec<_> = (0..most).map(|_| enter(Taken::Nothing)).collect();
        assert!(!waiting.iter().any(is_shed));
        // One that moves on makes room.
        drop(waiting.remove(1));
        waiting.push(enter(Taken::Nothing));
        assert!(!waiting.iter().any(is_shed));
        waiting.push(enter(Taken::Nothing));
        waiting.push(enter(Taken::Nothing));
        let shed: Vec<usize> = (0..waiting.len()).filter(|n| is_shed(&waiting[*n])).collect();
        assert_eq!((shed, is_shed(&begun)), (vec![0, 1], false));
        drop((waiting, begun));
        assert_eq!((stalls.untouched.bytes(), stalls.begun.bytes()), (0, 0));
    }

    #[test]
    fn all_together_are_bounded_and_those_go_first_that_nobody_took_from() {
        let (stalls, timers) = (Rc::<Stalls>::default(), Timers::new());
        let enter = |taken| waiting_with_a_piece(&stalls, &timers, taken);
        let mut connection = stalls.join();
        let untouched = enter(Taken::Nothing);
        let most = H2_STALLED_ALL_BYTES_MIN / (PIECE + STREAM_BYTES);
        let mut begun: Vec<_> = (1..most).map(|_| enter(Taken::Some)).collect();
        assert!(!is_shed(&untouched));
        begun.push(enter(Taken::Some));
        assert!(is_shed(&untouched) && !begun.iter().any(is_shed));
        begun.push(enter(Taken::Some));
        assert!(is_shed(&begun[0]) && !is_shed(&begun[1]));
        // What connections keep is a part of it.
        connection.keeps(2 * (PIECE + STREAM_BYTES));
        begun.push(enter(Taken::Some));
        assert!(is_shed(&begun[3]) && !is_shed(&begun[4]));
        // And each brings room for an answer.
        connection.keeps(0);
        let many: Vec<_> =
            (0..2 * H2_STALLED_ALL_BYTES_MIN / H2_STALLED_BYTES_PER_CONNECTION).map(|_| stalls.join()).collect();
        begun.extend((0..most / 2).map(|_| enter(Taken::Some)));
        assert!(!begun[4..].iter().any(is_shed));
        drop((begun, many, connection, untouched));
        assert_eq!((stalls.begun.bytes(), stalls.wired.get(), stalls.members.get()), (0, 0, 0));
    }

    #[test]
    fn a_crowd_that_is_slow_but_takes_has_more_room() {
        let (stalls, timers) = (Rc::<Stalls>::default(), Timers::new());
        let enter = |taken| waiting_with_a_piece(&stalls, &timers, taken);
        let most = H2_STALLED_ALL_BYTES_MIN / (PIECE + STREAM_BYTES);
        let mut steady: Vec<_> = (0..most * H2_STALLED_STEADY_TIMES).map(|_| enter(Taken::Steadily)).collect();
        assert!(!steady.iter().any(is_shed));
        steady.push(enter(Taken::Steadily));
        assert!(is_shed(&steady[0]) && !is_shed(&steady[1]));
    }

    #[test]
    fn newcomers_keep_some_room_beside_a_steady_crowd_and_all_stay_within_the_room_of_the_crowd() {
        let (stalls, timers) = (Rc::<Stalls>::default(), Timers::new());
        let enter = |taken| waiting_with_a_piece(&stalls, &timers, taken);
        let most = H2_STALLED_ALL_BYTES_MIN / (PIECE + STREAM_BYTES);
        let steady: Vec<_> = (0..most * H2_STALLED_STEADY_TIMES).map(|_| enter(Taken::Steadily)).collect();
        let mut begun: Vec<_> =
            (0..H2_STALLED_NEW_BYTES / (PIECE + STREAM_BYTES)).map(|_| enter(Taken::Some)).collect();
        assert!(!begun.iter().any(is_shed), "there is room for them");
        let ended = steady.iter().filter(|one| is_shed(one)).count();
        assert_eq!(ended, begun.len(), "the crowd, which holds most, gives way");
        begun.push(enter(Taken::Some));
        assert!(is_shed(&begun[0]) && !is_shed(&begun[1]), "theirs is bounded too");
        let all: usize = stalls.queues().iter().map(|queue| queue.bytes()).sum();
        assert_eq!(all, H2_STALLED_ALL_BYTES_MIN * H2_STALLED_STEADY_TIMES);
    }
}
