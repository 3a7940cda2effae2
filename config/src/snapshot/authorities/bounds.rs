//! What reading a Secret and judging a chain may cost. Others write the one and send the other.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// Different certificates of one name in `ca.crt`, and different lists of one name in `ca.crl`, at most.
pub(super) const MOST_OF_A_NAME: usize = 16;
/// Signatures that are checked when `ca.crt` is read, and again when `ca.crl` is.
pub(super) const CHECKS_OF_A_SECRET: u32 = 1024;
/// Signatures that are checked for one chain, of what was sent with it, and of lists over all ways from it to an
/// authority.
pub(super) const CHECKS_OF_A_CHAIN: u32 = 64;

/// Signatures that may still be checked; `None` once there were too few.
pub(super) struct Checks(Cell<Option<u32>>);

/// No signature may be checked any more.
pub(super) struct Spent;

impl Checks {
    pub(super) fn new(number: u32) -> Self {
        Self(Cell::new(Some(number)))
    }

    pub(super) fn spend(&self) -> Result<(), Spent> {
        self.0.set(self.0.get().and_then(|left| left.checked_sub(1)));
        self.ensure_not_spent()
    }

    /// That more was asked for before is known here for good.
    pub(super) fn ensure_not_spent(&self) -> Result<(), Spent> {
        self.0.get().map(drop).ok_or(Spent)
    }
}

/// How many there are of each name.
#[derive(Default)]
pub(super) struct Names(HashMap<Box<[u8]>, usize>);

impl Names {
    /// Counts one more of a name, unless that is more than are looked at.
    pub(super) fn admit(&mut self, name: &[u8]) -> bool {
        let number = self.0.entry(name.into()).or_default();
        *number += 1;
        *number <= MOST_OF_A_NAME
    }
}

/// The first of each that are equal.
pub(super) fn distinct<T: AsRef<[u8]>>(all: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    let first: Vec<bool> = all.iter().map(|one| seen.insert(one.as_ref())).collect();
    all.into_iter().zip(first).filter(|(_, first)| *first).map(|(one, _)| one).collect()
}

impl From<Spent> for webpki::Error {
    fn from(Spent: Spent) -> Self {
        Self::MaximumSignatureChecksExceeded
    }
}
