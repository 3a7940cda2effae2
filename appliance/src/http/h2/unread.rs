//! Bodies of HTTP/2 clients that nobody reads, as their requests wait for something else, and what they hold in memory.
//!
//! What arrives in a stream stays in h2 until it is read, in the pieces that it came in: a byte may keep 64 KiB. The windows
//! bound that for a connection, but not for a crowd of them whose upstreams or authentication are silent. So where many
//! bodies are received at a time, what nobody reads is taken out of h2 into a buffer of its own, and counted for the core.
//! As long as that is too much, no connection with a request that does not read its body is received from: the clients'
//! bytes stay in the kernel, and TCP tells them. Bodies that hold much for long make room for others: they are ended.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::queue::{Queue, Waiting};
use crate::buffers::HEAD_BYTES;
use crate::io::Aborter;
use crate::limits::{H2_BODIES_UNCOUNTED, H2_UNREAD_BYTES_MAX, H2_UNREAD_SECONDS_MAX};

/// Those of one core.
#[derive(Default)]
pub(crate) struct Unread {
    /// Bodies of which something is held, by when it last moved.
    queue: Queue,
    next: Cell<u64>,
    /// Bodies that are received, read or not.
    bodies: Cell<usize>,
    /// What number comes next now and in each of the last seconds, the oldest first.
    seconds: RefCell<VecDeque<u64>>,
    /// Bytes that have just come, for streams that had no turn since.
    arriving: Arriving,
    /// Connections that are not received from.
    paused: RefCell<VecDeque<Rc<Inlet>>>,
}

/// The receiving side of one connection.
pub(super) struct Inlet {
    unread: Rc<Unread>,
    /// Requests of it that do not read their bodies now.
    waiting: Cell<usize>,
    /// Bodies of it of which something is held.
    holding: Cell<usize>,
    /// Whoever would receive.
    paused: RefCell<Option<Waker>>,
}

/// By when they came.
#[derive(Default)]
struct Arriving {
    second: Cell<u64>,
    now: Cell<usize>,
    /// In the second before.
    before: Cell<usize>,
}

/// Counts bytes that come, until those that they are for have had a turn: many connections may receive in one. For two
/// seconds at most, as a client may be slow with the rest of a record.
pub(super) struct Arrival {
    unread: Rc<Unread>,
    second: u64,
    bytes: usize,
}

/// Counts a request as one that does not read its body.
pub(super) struct NotReading(Rc<Inlet>);

/// The body of one request.
pub(super) struct UnreadBody {
    inlet: Rc<Inlet>,
    aborter: Aborter,
    shed: Rc<Cell<bool>>,
    /// While its request does not read it.
    waiting: Option<NotReading>,
    /// Its place in the queue, if it holds something.
    number: Option<u64>,
    bytes: Vec<u8>,
    /// Of these, given out.
    read: usize,
}

impl Unread {
    /// A connection begins.
    pub(super) fn inlet(self: &Rc<Self>) -> Rc<Inlet> {
        Rc::new(Inlet {
            unread: Rc::clone(self),
            waiting: Cell::new(0),
            holding: Cell::new(0),
            paused: RefCell::default(),
        })
    }

    /// Ends bodies that have not moved for long where too much is held, and lets paused connections look again; to be
    /// called every second.
    pub(crate) fn tick(&self) {
        let before = {
            let mut seconds = self.seconds.borrow_mut();
            seconds.push_back(self.next.get());
            (seconds.len() > H2_UNREAD_SECONDS_MAX).then(|| seconds.pop_front()).flatten()
        };
        let is_full = || self.queue.bytes() >= H2_UNREAD_BYTES_MAX;
        while is_full() && before.is_some_and(|before| self.queue.shed_oldest_of(HEAD_BYTES, before)) {}
        self.arriving.tick();
        let paused = std::mem::take(&mut *self.paused.borrow_mut());
        for inlet in paused {
            inlet.resume();
        }
    }

    fn is_full(&self) -> bool {
        self.queue.bytes() + self.arriving.sum() >= H2_UNREAD_BYTES_MAX
    }

    /// Something was let go of: one more connection may go on.
    fn made_room(&self) {
        if self.is_full() {
            return;
        }
        let next = || self.paused.borrow_mut().pop_front();
        // Some go on already, or are gone.
        while let Some(next) = next()
            && !next.resume()
        {}
    }
}

impl Arriving {
    fn sum(&self) -> usize {
        self.now.get() + self.before.get()
    }

    fn tick(&self) {
        self.second.set(self.second.get() + 1);
        self.before.set(self.now.take());
    }
}

impl Inlet {
    /// A body is received on it from now on. `aborter` ends its stream, and `shed` is told why.
    pub(super) fn begin(self: &Rc<Self>, aborter: Aborter, shed: &Rc<Cell<bool>>) -> UnreadBody {
        self.unread.bodies.set(self.unread.bodies.get() + 1);
        UnreadBody {
            inlet: Rc::clone(self),
            aborter,
            shed: Rc::clone(shed),
            waiting: None,
            number: None,
            bytes: Vec::new(),
            read: 0,
        }
    }

    /// Ready when it may be received from.
    pub(super) fn poll_open(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.keeps_nothing() || !self.unread.is_full() {
            return Poll::Ready(());
        }
        // One that was paused before is in the list.
        if self.paused.borrow_mut().replace(cx.waker().clone()).is_none() {
            self.unread.paused.borrow_mut().push_back(Rc::clone(self));
        }
        Poll::Pending
    }

    /// A request with a body has come and does not read it yet.
    pub(super) fn not_reading(self: &Rc<Self>) -> NotReading {
        self.waiting.set(self.waiting.get() + 1);
        NotReading(Rc::clone(self))
    }

    /// Whether so many bodies are received on the core that what nobody reads of them is counted.
    pub(super) fn is_one_of_many(&self) -> bool {
        self.unread.bodies.get() > H2_BODIES_UNCOUNTED
    }

    /// Whether all that comes on it is read at once.
    fn keeps_nothing(&self) -> bool {
        self.waiting.get() == 0 && self.holding.get() == 0
    }

    /// So much comes on it.
    pub(super) fn arrival(&self, bytes: usize) -> Arrival {
        let Arriving { second, now, .. } = &self.unread.arriving;
        now.set(now.get() + bytes);
        Arrival { unread: Rc::clone(&self.unread), second: second.get(), bytes }
    }

    /// Whether it was paused.
    fn resume(&self) -> bool {
        self.paused.take().map(Waker::wake).is_some()
    }

    /// Its connection is gone.
    pub(super) fn end(&self) {
        self.paused.take();
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let Arriving { second, now, before } = &self.unread.arriving;
        match second.get() - self.second {
            0 => now.set(now.get() - self.bytes),
            1 => before.set(before.get() - self.bytes),
            _ => {}
        }
        self.unread.made_room();
    }
}

impl Drop for NotReading {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
        if self.0.keeps_nothing() {
            self.0.resume();
        }
    }
}

impl UnreadBody {
    /// See [`Inlet::is_one_of_many`].
    pub(super) fn is_one_of_many(&self) -> bool {
        self.inlet.is_one_of_many()
    }

    /// Its request waits for something else, or reads it.
    pub(super) fn waits(&mut self, is_waiting: bool) {
        match is_waiting {
            true if self.waiting.is_none() => self.waiting = Some(self.inlet.not_reading()),
            true => {}
            false => self.waiting = None,
        }
    }

    /// Takes a piece that nobody reads now.
    pub(super) fn keep(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.read > self.bytes.len() / 2 {
            self.bytes.drain(..std::mem::take(&mut self.read));
        }
        self.bytes.extend_from_slice(piece);
        match self.number {
            Some(number) => self.inlet.unread.queue.resize(number, self.bytes.capacity()),
            None => self.enter(),
        }
    }

    /// What is to be read.
    pub(super) fn kept(&self) -> &[u8] {
        &self.bytes[self.read..]
    }

    /// So much of it was read. What is left waits as if it had just come.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.read += bytes;
        let is_over = self.read == self.bytes.len();
        if is_over {
            (self.bytes, self.read) = (Vec::new(), 0);
        }
        self.leave();
        if !is_over {
            return self.enter();
        }
        self.let_go();
    }

    /// Nothing of it is held any more.
    fn let_go(&self) {
        if self.inlet.keeps_nothing() {
            self.inlet.resume();
        }
        self.inlet.unread.made_room();
    }

    fn enter(&mut self) {
        let unread = &self.inlet.unread;
        let number = unread.next.replace(unread.next.get() + 1);
        let (aborter, shed) = (self.aborter.clone(), Rc::clone(&self.shed));
        unread.queue.enter(number, Waiting { bytes: self.bytes.capacity(), aborter, shed });
        self.number = Some(number);
        self.inlet.holding.set(self.inlet.holding.get() + 1);
    }

    fn leave(&mut self) {
        if let Some(number) = self.number.take() {
            self.inlet.unread.queue.leave(number);
            self.inlet.holding.set(self.inlet.holding.get() - 1);
        }
    }
}

impl Drop for UnreadBody {
    fn drop(&mut self) {
        self.leave();
        self.let_go();
        self.inlet.unread.bodies.set(self.inlet.unread.bodies.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Deadline, Timers};

    const PIECE: &[u8] = &[b'x'; 16 << 10];
    const MOST: usize = H2_UNREAD_BYTES_MAX / PIECE.len();

    fn begin(inlet: &Rc<Inlet>, timers: &Rc<Timers>) -> UnreadBody {
        let mut body = inlet.begin(Deadline::new(timers).aborter(), &Rc::default());
        body.waits(true);
        body
    }

    fn is_open(inlet: &Rc<Inlet>) -> bool {
        inlet.poll_open(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_connection_with_a_body_that_is_not_read_pauses_while_too_much_is_held() {
        let (unread, timers) = (Rc::<Unread>::default(), Timers::new());
        let (inlet, other) = (unread.inlet(), unread.inlet());
        let mut bodies: Vec<_> = (0..MOST).map(|_| begin(&inlet, &timers)).collect();
        let mut empty = begin(&other, &timers);
        bodies[1..].iter_mut().for_each(|body| body.keep(PIECE));
        assert!(is_open(&inlet) && is_open(&other));
        bodies[0].keep(PIECE);
        assert!(!is_open(&inlet) && !is_open(&other));
        empty.waits(false);
        assert!(is_open(&other), "nothing of it waits");
        empty.waits(true);
        assert!(!is_open(&other));
        bodies[0].waits(false);
        assert!(!is_open(&inlet), "it is read, and something is there to read");
        bodies[0].advance(PIECE.len());
        assert!(is_open(&inlet) && is_open(&other), "there is room again");
        drop((bodies, empty));
        assert_eq!((unread.queue.bytes(), unread.bodies.get(), inlet.waiting.get()), (0, 0, 0));
    }

    #[test]
    fn bodies_that_do_not_move_for_long_are_ended_where_too_much_is_held() {
        let (unread, timers) = (Rc::<Unread>::default(), Timers::new());
        let inlet = unread.inlet();
        let mut bodies: Vec<_> = (0..MOST).map(|_| begin(&inlet, &timers)).collect();
        bodies.iter_mut().for_each(|body| body.keep(PIECE));
        unread.tick();
        // The first one moves meanwhile.
        bodies[0].advance(1);
        (1..H2_UNREAD_SECONDS_MAX).for_each(|_| unread.tick());
        assert!(!bodies.iter().any(|body| body.shed.get()));
        unread.tick();
        let shed: Vec<usize> = (0..MOST).filter(|n| bodies[*n].shed.get()).collect();
        assert_eq!(shed, [1], "one makes room enough");
        assert_eq!(bodies[0].kept().len(), PIECE.len() - 1);
    }

    #[test]
    fn what_was_read_holds_nothing() {
        let (unread, timers) = (Rc::<Unread>::default(), Timers::new());
        let mut body = begin(&unread.inlet(), &timers);
        body.keep(b"some");
        body.keep(b"thing");
        assert_eq!(body.kept(), b"something");
        body.advance(5);
        body.keep(b"s");
        assert_eq!((body.kept(), body.read), (&b"hings"[..], 0), "what was read goes, or a slow reader would keep all");
        body.advance(5);
        assert_eq!((body.kept(), body.bytes.capacity(), unread.queue.bytes()), (&b""[..], 0, 0));
    }

    #[test]
    fn what_comes_on_many_connections_in_one_turn_counts_at_once() {
        let (unread, timers) = (Rc::<Unread>::default(), Timers::new());
        let inlet = unread.inlet();
        let _body = begin(&inlet, &timers);
        let mut arrivals: Vec<_> = (1..MOST).map(|_| inlet.arrival(PIECE.len())).collect();
        assert!(is_open(&inlet));
        arrivals.push(inlet.arrival(PIECE.len()));
        assert!(!is_open(&inlet));
        assert_eq!(unread.paused.borrow().len(), 1);
        arrivals.pop();
        assert!(unread.paused.borrow().is_empty(), "it is told");
        assert!(is_open(&inlet));
        arrivals.push(inlet.arrival(PIECE.len()));
        unread.tick();
        assert!(!is_open(&inlet));
        unread.tick();
        assert!(is_open(&inlet), "a client that is slow holds nobody up for long");
        drop(arrivals);
        assert_eq!(unread.arriving.sum(), 0);
    }

    #[test]
    fn few_bodies_are_not_counted() {
        let (unread, timers) = (Rc::<Unread>::default(), Timers::new());
        let inlet = unread.inlet();
        let bodies: Vec<_> = (0..H2_BODIES_UNCOUNTED).map(|_| begin(&inlet, &timers)).collect();
        assert!(!bodies[0].is_one_of_many());
        let _one_more = begin(&inlet, &timers);
        assert!(bodies[0].is_one_of_many());
    }
}
