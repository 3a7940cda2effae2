//! Whose handshake is computed next: one at a time, in the order of their coming.
//!
//! A handshake costs a hundred times what a request does. When many clients begin at once, the next computation begins
//! only after the driver was asked what else is ready: established connections keep their latency, and the flood waits
//! in line. What the driver can be asked through is a byte that the core sends itself.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::io::Wake;
use crate::limits::HANDSHAKES_IN_LINE_MAX;

/// The line of one core.
#[derive(Default)]
pub(crate) struct Turns {
    turn: Cell<Turned>,
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    next_id: Cell<u64>,
    /// Calls the next one by way of the driver.
    bell: OnceCell<Wake>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turned {
    /// Nobody's, and nobody waits.
    #[default]
    Free,
    /// Theirs who came when it was free, or nobody's until the bell is heard.
    Taken,
    /// That of one who waited and may not know it yet.
    Called(u64),
}

impl Turns {
    /// Waits for a turn, which lasts until what is returned is dropped.
    pub(super) fn take(&self) -> Wait<'_> {
        Wait { turns: self, id: None }
    }

    /// Whether who comes now has to wait.
    pub(super) fn is_taken(&self) -> bool {
        self.turn.get() != Turned::Free
    }

    /// Whether the line is so long that who comes now is better turned away.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.borrow().len() >= HANDSHAKES_IN_LINE_MAX
    }

    /// From now on the next one is called when `bell` is heard.
    pub(crate) fn ring(&self, bell: Wake) {
        // Only a second one is refused, and a core has one.
        let _ = self.bell.set(bell);
    }

    /// Calls the first of the line.
    pub(crate) fn call_next(&self) {
        let next = self.waiting.borrow_mut().pop_front();
        self.turn.set(next.as_ref().map_or(Turned::Free, |(id, _)| Turned::Called(*id)));
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }

    fn pass_on(&self) {
        match self.bell.get() {
            // Also when nobody waits yet: who comes before the driver was asked has to.
            Some(bell) => {
                self.turn.set(Turned::Taken);
                bell.wake();
            }
            None => self.call_next(),
        }
    }

    fn new_id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }
}

/// A place in the line.
pub(super) struct Wait<'a> {
    turns: &'a Turns,
    id: Option<u64>,
}

/// The turn; its end lets the next one go.
pub(super) struct Turn<'a>(&'a Turns);

impl<'a> Future for Wait<'a> {
    type Output = Turn<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let turns = self.turns;
        match self.id {
            None if !turns.is_taken() => turns.turn.set(Turned::Taken),
            None => {
                let id = turns.new_id();
                self.id = Some(id);
                turns.waiting.borrow_mut().push_back((id, cx.waker().clone()));
                return Poll::Pending;
            }
            Some(id) if turns.turn.get() == Turned::Called(id) => {
                self.id = None;
                turns.turn.set(Turned::Taken);
            }
            // The waker of a task stays the same.
            Some(_) => return Poll::Pending,
        }
        Poll::Ready(Turn(turns))
    }
}

/// Who leaves the line leaves no gap in it.
impl Drop for Wait<'_> {
    fn drop(&mut self) {
        match self.id {
            Some(id) if self.turns.turn.get() == Turned::Called(id) => self.turns.pass_on(),
            Some(id) => self.turns.waiting.borrow_mut().retain(|(other, _)| *other != id),
            None => {}
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    fn poll<'a>(wait: &mut Wait<'a>) -> Option<Turn<'a>> {
        match Pin::new(wait).poll(&mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn turns_are_taken_one_at_a_time_and_in_order() {
        let turns = Turns::default();
        let [mut first, mut second, mut third] = [turns.take(), turns.take(), turns.take()];
        let turn = poll(&mut first).expect("nobody is before it");
        assert!(poll(&mut second).is_none() && poll(&mut third).is_none());
        drop(turn);
        assert!(poll(&mut third).is_none(), "the second was there before it");
        drop(poll(&mut second).expect("its turn"));
        drop(poll(&mut third).expect("its turn"));
        assert!(poll(&mut turns.take()).is_some());
    }

    #[test]
    fn who_leaves_the_line_holds_nobody_up() {
        let turns = Turns::default();
        let mut waits: Vec<_> = (0..4).map(|_| turns.take()).collect();
        let turn = poll(&mut waits[0]).expect("nobody is before it");
        assert!(waits[1..].iter_mut().all(|wait| poll(wait).is_none()));
        drop(waits.remove(1));
        drop(turn);
        // The one whose turn it is now leaves before it knows.
        drop(waits.remove(1));
        assert!(poll(&mut waits[1]).is_some());
    }
}
