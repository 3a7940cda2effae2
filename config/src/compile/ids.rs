//! Small numbers that are given out, given back and given out again: indexes into arrays of the workers.

use std::collections::BTreeSet;

/// Gives out the smallest free number.
#[derive(Debug, Default)]
pub(super) struct Ids {
    next: u32,
    free: BTreeSet<u32>,
}

impl Ids {
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            let id = self.next;
            self.next = id.checked_add(1).expect("fewer than 2^32 routes and clusters fit into memory");
            id
        })
    }

    pub(super) fn give_back(&mut self, id: u32) {
        let new = self.free.insert(id);
        debug_assert!(new && id < self.next, "{id} was not given out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_small() {
        let mut ids = Ids::default();
        assert_eq!([ids.take(), ids.take(), ids.take()], [0, 1, 2]);
        ids.give_back(1);
        ids.give_back(0);
        assert_eq!([ids.take(), ids.take(), ids.take()], [0, 1, 3]);
    }
}
