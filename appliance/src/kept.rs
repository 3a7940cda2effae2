//! Things that are made once and lent again and again on one core.
//!
//! As many are kept as were in use together of late: what lay unused for a whole second is given back, so that a burst
//! is not paid for with the allocator at every request, and not with memory for ever. None stay for good: a few, strewn
//! over what a crowd had, would keep all of that from the system.

use std::cell::{Cell, RefCell};

/// Kept at a time; what comes back beyond that is dropped.
const KEPT_MAX: usize = 1024;

/// The pool. Single-threaded; last in, first out, as what was used last is in the caches.
pub(crate) struct Kept<T> {
    items: RefCell<Vec<T>>,
    /// The fewest that lay here since the last trim: so many nobody has needed.
    fewest: Cell<usize>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { items: RefCell::default(), fewest: Cell::new(0) }
    }
}

impl<T> Kept<T> {
    /// The one that came back last.
    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        let mut items = self.items.borrow_mut();
        let item = items.pop();
        if items.len() < self.fewest.get() {
            self.fewest.set(items.len());
        }
        item
    }

    /// Takes one back.
    #[inline]
    pub(crate) fn put(&self, item: T) {
        let mut items = self.items.borrow_mut();
        if items.len() < KEPT_MAX {
            items.push(item);
        }
    }

    /// Drops what nobody has needed since the last call; to be called every second.
    pub(crate) fn trim(&self) {
        let mut items = self.items.borrow_mut();
        // Those at the bottom were used least lately.
        items.drain(..self.fewest.get());
        if items.capacity() > 4 * items.len() {
            items.shrink_to_fit();
        }
        self.fewest.set(items.len());
    }

    /// How many lie here.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_lent_first_and_no_more_is_kept_than_the_bound() {
        let kept = Kept::default();
        assert_eq!(kept.take(), None);
        (0..KEPT_MAX + 10).for_each(|item| kept.put(item));
        assert_eq!((kept.len(), kept.take()), (KEPT_MAX, Some(KEPT_MAX - 1)));
    }

    #[test]
    fn what_nobody_needed_for_a_second_goes_and_what_is_needed_stays() {
        let kept = Kept::default();
        (0..500).for_each(|item| kept.put(item));
        kept.trim();
        assert_eq!(kept.len(), 500, "they came this second");
        let used: Vec<_> = (0..300).map_while(|_| kept.take()).collect();
        used.into_iter().for_each(|item| kept.put(item));
        kept.trim();
        assert_eq!(kept.len(), 300);
        kept.trim();
        assert_eq!(kept.len(), 0);
    }
}
