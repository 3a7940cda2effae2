//! Streams that hold memory while they wait for somebody, in the order in which they began to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::io::Aborter;

/// Oldest first.
#[derive(Default)]
pub(super) struct Queue {
    waiting: RefCell<BTreeMap<u64, Waiting>>,
    bytes: Cell<usize>,
}

/// One stream.
pub(super) struct Waiting {
    pub(super) bytes: usize,
    pub(super) aborter: Aborter,
    /// Told when it is ended for the room that it takes.
    pub(super) shed: Rc<Cell<bool>>,
}

impl Queue {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// What they hold together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// One more waits, under a number above all others.
    pub(super) fn enter(&self, number: u64, waiting: Waiting) {
        self.bytes.set(self.bytes.get() + waiting.bytes);
        self.waiting.borrow_mut().insert(number, waiting);
    }

    /// One that waits holds so much now. Nothing happens to one that was ended.
    pub(super) fn resize(&self, number: u64, bytes: usize) {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(&number) {
            self.bytes.set(self.bytes.get() - waiting.bytes + bytes);
            waiting.bytes = bytes;
        }
    }

    /// As [`Self::shed_oldest`], of those below a number that hold so many bytes.
    pub(super) fn shed_oldest_of(&self, bytes: usize, below: u64) -> bool {
        let holds = |waiting: &Waiting| waiting.bytes >= bytes;
        let found = self.waiting.borrow().range(..below).find(|(_, waiting)| holds(waiting)).map(|(number, _)| *number);
        found.is_some_and(|number| self.shed(number))
    }

    /// Ends the one that has waited longest. Whether there was one.
    pub(super) fn shed_oldest(&self) -> bool {
        let oldest = self.waiting.borrow().first_key_value().map(|(number, _)| *number);
        oldest.is_some_and(|number| self.shed(number))
    }

    fn shed(&self, number: u64) -> bool {
        let Some(ended) = self.waiting.borrow_mut().remove(&number) else { return false };
        self.bytes.set(self.bytes.get() - ended.bytes);
        ended.shed.set(true);
        ended.aborter.abort();
        true
    }

    /// One waits no longer.
    pub(super) fn leave(&self, number: u64) {
        // One that was ended is gone already.
        if let Some(gone) = self.waiting.borrow_mut().remove(&number) {
            self.bytes.set(self.bytes.get() - gone.bytes);
        }
    }
}
