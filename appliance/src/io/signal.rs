//! An event of one core that any number of its tasks may wait for, and a deadline for what has no socket.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::deadline::{Timers, Watch};
use super::socket::Aborter;

/// Raised once; then it stays so until it is lowered.
#[derive(Default)]
pub(crate) struct Signal {
    raised: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Raises it and wakes who waits.
    pub(crate) fn raise(&self) {
        self.raised.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Takes it back.
    pub(crate) fn lower(&self) {
        self.raised.set(false);
    }

    /// Whether it is raised; if not, the task is woken when it is.
    pub(crate) fn poll_raised(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.raised.get() {
            return Poll::Ready(());
        }
        self.wait(cx);
        Poll::Pending
    }

    /// The task is woken when it is raised the next time.
    fn wait(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }
}

/// The deadline of a conversation without a socket of its own, kept by the same wheel as those of sockets.
pub(crate) struct Deadline {
    watch: Rc<Watch>,
    signal: Rc<Signal>,
}

impl Deadline {
    /// Without a time at first.
    pub(crate) fn new(timers: &Rc<Timers>) -> Self {
        let signal = Rc::<Signal>::default();
        Self { watch: Watch::of_signal(timers, Rc::clone(&signal)), signal }
    }

    /// It passes when `after` has passed. An abort stays one.
    pub(crate) fn set(&self, after: Duration) {
        if !self.watch.aborted().get() {
            self.signal.lower();
        }
        self.watch.shutdown_after(after);
    }

    /// As if it had neither passed nor been aborted.
    pub(crate) fn reset(&self) {
        self.watch.aborted().set(false);
        self.watch.clear();
        self.signal.lower();
    }

    /// It does not pass any more.
    pub(crate) fn clear(&self) {
        self.watch.clear();
    }

    /// As [`Deadline::poll_passed`], but only for an abort: the time is somebody else's.
    pub(crate) fn poll_aborted(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.watch.aborted().get() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        self.signal.wait(cx);
        Poll::Pending
    }

    /// The error that ends a pending operation: the deadline passed, or the conversation was aborted.
    pub(crate) fn poll_passed(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.signal.poll_raised(cx).map(|()| {
            let kind =
                if self.watch.take_expired() { io::ErrorKind::TimedOut } else { io::ErrorKind::ConnectionAborted };
            kind.into()
        })
    }

    /// What can end the conversation from elsewhere on the core.
    pub(crate) fn aborter(&self) -> Aborter {
        Aborter::of(&self.watch)
    }
}

/// The wheel may hold what is left of it for long, which shall not hold the task that waited as well.
impl Drop for Deadline {
    fn drop(&mut self) {
        self.watch.clear();
        self.signal.waiting.take();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    fn passed(deadline: &Deadline) -> Option<io::ErrorKind> {
        match deadline.poll_passed(&mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(error) => Some(error.kind()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_deadline_that_passed_and_an_abort_are_told_apart() {
        let timers = Timers::new();
        let (late, aborted) = (Deadline::new(&timers), Deadline::new(&timers));
        late.set(Duration::from_secs(1));
        assert_eq!((passed(&late), passed(&aborted)), (None, None));
        timers.advance(21);
        aborted.aborter().abort();
        assert_eq!(passed(&late), Some(io::ErrorKind::TimedOut));
        assert_eq!(passed(&aborted), Some(io::ErrorKind::ConnectionAborted));
        late.set(Duration::from_secs(1));
        aborted.set(Duration::from_secs(1));
        assert_eq!((passed(&late), passed(&aborted)), (None, Some(io::ErrorKind::ConnectionAborted)));
        aborted.reset();
        assert_eq!(passed(&aborted), None);
    }

    #[test]
    fn an_abort_is_seen_beside_a_deadline_that_passed() {
        let timers = Timers::new();
        let late = Deadline::new(&timers);
        let aborted = |deadline: &Deadline| {
            deadline.poll_aborted(&mut Context::from_waker(noop_waker_ref())).map(|error| error.kind())
        };
        late.set(Duration::from_secs(1));
        timers.advance(21);
        assert_eq!(aborted(&late), Poll::Pending, "a deadline that passed is no abort");
        late.aborter().abort();
        assert_eq!(aborted(&late), Poll::Ready(io::ErrorKind::ConnectionAborted));
    }

    #[test]
    fn a_waiting_task_is_kept_once_however_often_it_asks() {
        let signal = Signal::default();
        for _ in 0..100 {
            assert!(signal.poll_raised(&mut Context::from_waker(noop_waker_ref())).is_pending());
        }
        assert_eq!(signal.waiting.borrow().len(), 1);
        signal.raise();
        assert!(signal.poll_raised(&mut Context::from_waker(noop_waker_ref())).is_ready());
    }
}
