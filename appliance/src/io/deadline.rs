//! Deadlines of connections without a timer per operation.
//!
//! Every socket has one [`Watch`], and while it is split one for each half. Setting its deadline is a store; a lazy wheel looks at a watch when the slot comes
//! round in which it was put and moves it on when the deadline has moved. A watch is in the wheel about once a second
//! at most, however many requests its connection serves. Resolution is [`TICK`], deadlines are never early.

#![expect(clippy::disallowed_types, reason = "this is the core's clock")]

use std::cell::{Cell, RefCell};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use monoio::io::{CancelHandle, Canceller};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::signal::Signal;
use crate::limits::CLIENT_LOOK;
use crate::sys::fd::WeakFd;

/// Resolution of deadlines.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// Slots of the wheel: a horizon of 25.6 s; later deadlines are looked at again there.
const SLOTS: u64 = 512;
/// No deadline.
const NEVER: u64 = u64::MAX;

/// What happens when a deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnExpiry {
    /// The socket is shut down (the signal raised): pending operations end, the connection is of no further use.
    Shutdown,
    /// The pending read is cancelled and gives its buffer back; the connection lives on.
    CancelRead,
    /// If the peer has left, the other socket is shut down; else it is looked at again. An answer that comes by then
    /// costs a store, and one that does not a system call now and then: nothing is submitted.
    LookAtPeer,
}

/// What a deadline ends.
enum Ends {
    Socket(Rc<WeakFd>),
    Signal(Rc<Signal>),
}

/// The deadline of one socket, or of what has a signal in its place.
pub(crate) struct Watch {
    timers: Rc<Timers>,
    ends: Ends,
    due: Cell<u64>,
    /// The tick in whose slot this watch is; other entries of it in the wheel are void.
    scheduled: Cell<u64>,
    on_expiry: Cell<OnExpiry>,
    expired: Cell<bool>,
    aborted: Cell<bool>,
    canceller: RefCell<Option<Canceller>>,
    /// What works for this socket's peer.
    works_for_peer: RefCell<Option<Rc<Self>>>,
}

impl Watch {
    pub(super) fn new(timers: &Rc<Timers>, fd: Rc<WeakFd>) -> Rc<Self> {
        Self::of(timers, Ends::Socket(fd))
    }

    /// Another deadline of the same socket (or signal).
    pub(super) fn beside(&self) -> Rc<Self> {
        let ends = match &self.ends {
            Ends::Socket(fd) => Ends::Socket(Rc::clone(fd)),
            Ends::Signal(signal) => Ends::Signal(Rc::clone(signal)),
        };
        Self::of(&self.timers, ends)
    }

    pub(super) fn of_signal(timers: &Rc<Timers>, signal: Rc<Signal>) -> Rc<Self> {
        Self::of(timers, Ends::Signal(signal))
    }

    fn of(timers: &Rc<Timers>, ends: Ends) -> Rc<Self> {
        Rc::new(Self {
            timers: Rc::clone(timers),
            ends,
            due: Cell::new(NEVER),
            scheduled: Cell::new(NEVER),
            on_expiry: Cell::new(OnExpiry::Shutdown),
            expired: Cell::new(false),
            aborted: Cell::new(false),
            canceller: RefCell::new(None),
            works_for_peer: RefCell::new(None),
        })
    }

    /// From now on the socket is shut down when `after` has passed.
    pub(super) fn shutdown_after(self: &Rc<Self>, after: Duration) {
        self.arm(after, OnExpiry::Shutdown);
    }

    /// From now on a read made with [`Watch::cancel_handle`] is cancelled when `after` has passed.
    pub(super) fn cancel_read_after(self: &Rc<Self>, after: Duration) {
        self.arm(after, OnExpiry::CancelRead);
    }

    /// The deadline is `after` from now; what happens then stays as it was.
    pub(super) fn move_to(self: &Rc<Self>, after: Duration) {
        self.arm(after, self.on_expiry.get());
    }

    /// Whether there is a deadline.
    pub(super) fn is_armed(&self) -> bool {
        self.due.get() != NEVER
    }

    /// From now on the peer is looked at, and when it has left, `other` is shut down.
    pub(super) fn look_at_peer_for(self: &Rc<Self>, other: Rc<Self>) {
        *self.works_for_peer.borrow_mut() = Some(other);
        self.arm(CLIENT_LOOK, OnExpiry::LookAtPeer);
    }

    /// Whether the peer has left, of which the other one was told; looking ends.
    pub(super) fn take_left(&self) -> bool {
        self.due.set(NEVER);
        let left = self.works_for_peer.take().is_none();
        self.expired.set(false);
        left
    }

    /// No deadline from now on.
    pub(super) fn clear(&self) {
        self.expired.set(false);
        self.due.set(NEVER);
    }

    /// Shuts the socket down now.
    pub(super) fn abort(&self) {
        self.due.set(NEVER);
        self.aborted.set(true);
        self.shutdown();
    }

    /// Whether it was aborted, for what can go on after that: a signal.
    pub(super) fn aborted(&self) -> &Cell<bool> {
        &self.aborted
    }

    /// Whether a deadline passed since the last call.
    pub(super) fn take_expired(&self) -> bool {
        self.expired.replace(false)
    }

    /// The handle for a read that may be cancelled.
    pub(super) fn cancel_handle(&self) -> CancelHandle {
        self.canceller.borrow_mut().get_or_insert_default().handle()
    }

    /// Lets go of what cancels reads, for one who will not read for long: it is a fifth of what an idle connection holds.
    pub(super) fn forget_cancelled_reads(&self) {
        *self.canceller.borrow_mut() = None;
    }

    fn arm(self: &Rc<Self>, after: Duration, on_expiry: OnExpiry) {
        let due = self.timers.tick_after(after);
        self.expired.set(false);
        self.on_expiry.set(on_expiry);
        self.due.set(due);
        if due < self.scheduled.get() {
            self.timers.schedule(self, due);
        }
    }

    fn fire(self: &Rc<Self>) {
        if self.on_expiry.get() == OnExpiry::LookAtPeer {
            return self.look_at_peer();
        }
        self.expired.set(true);
        self.due.set(NEVER);
        match self.on_expiry.get() {
            OnExpiry::LookAtPeer => {}
            OnExpiry::Shutdown => self.shutdown(),
            OnExpiry::CancelRead => {
                let canceller = self.canceller.borrow_mut().take();
                *self.canceller.borrow_mut() = canceller.map(Canceller::cancel);
            }
        }
    }

    fn look_at_peer(self: &Rc<Self>) {
        let Ends::Socket(fd) = &self.ends else { return };
        if fd.with(has_left) == Some(false) {
            return self.arm(CLIENT_LOOK, OnExpiry::LookAtPeer);
        }
        self.due.set(NEVER);
        if let Some(other) = self.works_for_peer.take() {
            other.abort();
        }
    }

    fn shutdown(&self) {
        match &self.ends {
            // An error means that the peer is gone already, which ends pending operations as well.
            Ends::Socket(fd) => drop(fd.with(|fd| rustix::net::shutdown(fd, rustix::net::Shutdown::Both))),
            Ends::Signal(signal) => signal.raise(),
        }
    }
}

/// Whether the peer has closed or reset its connection, be there something left to read or not. As for nginx, a client
/// that ends its own side does not wait for an answer.
fn has_left(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// The wheel of one core.
pub(crate) struct Timers {
    slots: RefCell<Vec<Vec<Rc<Watch>>>>,
    now: Cell<u64>,
    /// Open sockets of the core, which are all made with its timers.
    sockets: Rc<Cell<u64>>,
}

impl Timers {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            slots: RefCell::new((0..SLOTS).map(|_| Vec::new()).collect()),
            now: Cell::new(0),
            sockets: Rc::default(),
        })
    }

    /// Drives the wheel; to be spawned once per core.
    pub(crate) async fn run(self: Rc<Self>) {
        let start = std::time::Instant::now();
        loop {
            monoio::time::sleep(TICK).await;
            self.advance((start.elapsed().as_millis() / TICK.as_millis()) as u64);
        }
    }

    /// Open sockets of this core.
    pub(crate) fn sockets(&self) -> u64 {
        self.sockets.get()
    }

    /// Where a socket counts itself.
    pub(super) fn counted(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.sockets)
    }

    /// Milliseconds since the start, in steps of [`TICK`]: a clock that costs nothing to read.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now.get() * TICK.as_millis() as u64
    }

    /// The first tick that is not before `after` from now; one more than the division says, as part of the current
    /// tick has passed.
    fn tick_after(&self, after: Duration) -> u64 {
        // In 64 bits: a division of the 128 of `as_millis` is a call, four of them for a request.
        let after_ms = after.as_secs().saturating_mul(1000).saturating_add(u64::from(after.subsec_millis()));
        let ticks = after_ms.div_ceil(const { TICK.as_millis() as u64 }).min(u64::from(u32::MAX));
        self.now.get() + ticks + 1
    }

    fn schedule(&self, watch: &Rc<Watch>, tick: u64) {
        let tick = tick.clamp(self.now.get() + 1, self.now.get() + SLOTS - 1);
        watch.scheduled.set(tick);
        self.slots.borrow_mut()[(tick % SLOTS) as usize].push(Rc::clone(watch));
    }

    pub(super) fn advance(&self, to: u64) {
        while self.now.get() < to {
            let now = self.now.get() + 1;
            self.now.set(now);
            let due = std::mem::take(&mut self.slots.borrow_mut()[(now % SLOTS) as usize]);
            for watch in due {
                self.visit(&watch, now);
            }
        }
    }

    fn visit(&self, watch: &Rc<Watch>, now: u64) {
        if watch.scheduled.get() != now {
            return;
        }
        watch.scheduled.set(NEVER);
        match watch.due.get() {
            NEVER => {}
            due if due <= now => watch.fire(),
            due => self.schedule(watch, due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(timers: &Rc<Timers>) -> Rc<Watch> {
        Watch::new(timers, Rc::new(WeakFd::gone()))
    }

    #[test]
    fn a_deadline_fires_once_and_never_early() {
        let timers = Timers::new();
        let w = watch(&timers);
        w.shutdown_after(Duration::from_secs(1));
        timers.advance(20);
        assert!(!w.take_expired(), "not before the second is over");
        timers.advance(21);
        assert!(w.take_expired());
        timers.advance(2000);
        assert!(!w.take_expired());
    }

    #[test]
    fn a_deadline_that_moves_on_keeps_one_entry() {
        let timers = Timers::new();
        let w = watch(&timers);
        for tick in 1..=1000 {
            w.shutdown_after(Duration::from_secs(1));
            timers.advance(tick);
            assert!(!w.take_expired());
            assert_eq!(timers.slots.borrow().iter().map(Vec::len).sum::<usize>(), 1);
        }
        timers.advance(1022);
        assert!(w.take_expired());
    }

    #[test]
    fn an_earlier_deadline_overtakes_a_later_one() {
        let timers = Timers::new();
        let w = watch(&timers);
        w.shutdown_after(Duration::from_secs(3600));
        w.cancel_read_after(Duration::from_secs(1));
        timers.advance(21);
        assert!(w.take_expired());
    }

    #[test]
    fn deadlines_beyond_the_horizon_are_kept() {
        let timers = Timers::new();
        let w = watch(&timers);
        w.shutdown_after(Duration::from_secs(75));
        timers.advance(1500);
        assert!(!w.take_expired());
        timers.advance(1501);
        assert!(w.take_expired());
    }

    #[test]
    fn the_deadlines_of_two_halves_do_not_touch_each_other() {
        let timers = Timers::new();
        let receiving = watch(&timers);
        let sending = receiving.beside();
        receiving.cancel_read_after(Duration::from_secs(1));
        sending.shutdown_after(Duration::from_secs(60));
        sending.clear();
        timers.advance(21);
        assert!(receiving.take_expired() && !sending.take_expired());
    }

    #[test]
    fn a_cleared_deadline_does_not_fire() {
        let timers = Timers::new();
        let w = watch(&timers);
        w.shutdown_after(Duration::from_secs(1));
        w.clear();
        timers.advance(100);
        assert!(!w.take_expired());
    }
}
