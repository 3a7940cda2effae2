//! Sessions that are being opened: a burst of requests waits for one, in place of opening one for each.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use super::session::With;
use crate::io::Signal;
use crate::limits::{H2_SESSIONS_MAX, H2_STREAMS_PER_SESSION};

/// All of a core.
#[derive(Default)]
pub(super) struct Dials(RefCell<HashMap<With, Vec<Rc<Dial>>>>);

#[derive(Default)]
struct Dial {
    over: Signal,
    waiting: Cell<u32>,
    failed: Cell<Option<io::ErrorKind>>,
}

/// What a request that found no session with room does.
pub(crate) enum Opening<'a> {
    /// It opens one.
    Turn(Turn<'a>),
    /// It waits for another one that does, and looks again.
    Wait(Waiting),
}

/// Opens a session. However that ends, those that wait for it look again.
pub(crate) struct Turn<'a> {
    dials: &'a Dials,
    with: With,
    dial: Rc<Dial>,
}

/// A place in the line for a session.
pub(crate) struct Waiting(Rc<Dial>);

impl Dials {
    /// For a request to an endpoint with which there are so many sessions.
    pub(super) fn join(&self, with: With, sessions: usize) -> Opening<'_> {
        let mut all = self.0.borrow_mut();
        let dials = all.entry(with).or_default();
        let least = dials.iter().min_by_key(|dial| dial.waiting.get());
        // He who opens it has the first stream.
        let has_room = |dial: &&Rc<Dial>| {
            dial.waiting.get() + 1 < H2_STREAMS_PER_SESSION || sessions + dials.len() >= H2_SESSIONS_MAX
        };
        if let Some(dial) = least.filter(has_room) {
            dial.waiting.set(dial.waiting.get() + 1);
            return Opening::Wait(Waiting(Rc::clone(dial)));
        }
        let dial = Rc::<Dial>::default();
        dials.push(Rc::clone(&dial));
        Opening::Turn(Turn { dials: self, with, dial })
    }
}

impl Turn<'_> {
    /// It could not be opened: who waits for it need not try.
    pub(crate) fn fail(self, error: &io::Error) {
        self.dial.failed.set(Some(error.kind()));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut all = self.dials.0.borrow_mut();
        if let Some(dials) = all.get_mut(&self.with) {
            dials.retain(|dial| !Rc::ptr_eq(dial, &self.dial));
            if dials.is_empty() {
                all.remove(&self.with);
            }
        }
        self.dial.over.raise();
    }
}

impl Waiting {
    /// Returns when it is over.
    ///
    /// # Errors
    /// When the session could not be opened.
    pub(crate) async fn over(self) -> io::Result<()> {
        poll_fn(|cx| self.0.over.poll_raised(cx)).await;
        self.0.failed.get().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn with() -> With {
        With { address: ([127, 0, 0, 1], 80).into(), tls: false, policy: None }
    }

    fn turn(dials: &Dials, sessions: usize) -> Turn<'_> {
        match dials.join(with(), sessions) {
            Opening::Turn(turn) => turn,
            Opening::Wait(_) => panic!("it waits"),
        }
    }

    fn waiting(dials: &Dials, sessions: usize) -> Waiting {
        match dials.join(with(), sessions) {
            Opening::Turn(_) => panic!("it opens a session"),
            Opening::Wait(waiting) => waiting,
        }
    }

    #[test]
    fn as_many_wait_for_a_session_as_have_room_on_it() {
        let dials = Dials::default();
        let first = turn(&dials, 0);
        let line: Vec<_> = (1..H2_STREAMS_PER_SESSION).map(|_| waiting(&dials, 0)).collect();
        let second = turn(&dials, 0);
        drop(line);
        drop((first, second));
        assert!(dials.0.borrow().is_empty());
    }

    #[test]
    fn no_more_are_opened_than_there_may_be() {
        let dials = Dials::default();
        let _first = turn(&dials, H2_SESSIONS_MAX - 1);
        let _line: Vec<_> = (0..2 * H2_STREAMS_PER_SESSION).map(|_| waiting(&dials, H2_SESSIONS_MAX - 1)).collect();
    }

    #[test]
    fn who_waits_hears_of_the_end_and_why() {
        let dials = Dials::default();
        let opens = turn(&dials, 0);
        let mut hears = Box::pin(waiting(&dials, 0).over());
        assert!(hears.as_mut().now_or_never().is_none());
        drop(opens);
        assert!(hears.now_or_never().expect("it is over").is_ok());
        let fails = turn(&dials, 0);
        let hears = waiting(&dials, 0).over();
        fails.fail(&io::ErrorKind::ConnectionRefused.into());
        let error = hears.now_or_never().expect("it is over").expect_err("it failed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
