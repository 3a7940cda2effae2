//! How many connections a core takes, so that it never runs out of descriptors and others always have some.
//!
//! The descriptors of the process, less those that it has at its start and a reserve for health, admin and the control
//! thread, are shared evenly. Clients get three quarters of a core's share; the rest is for upstreams. At the ceiling
//! the client that has been idle longest gives way, and only when none is idle is a new one refused.

#![expect(clippy::disallowed_methods, reason = "one look at /proc before the workers start")]

use std::cell::RefCell;
use std::collections::VecDeque;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{RESERVED_DESCRIPTORS, RESERVED_DESCRIPTORS_PER_CORE, SOCKETS_MIN};

/// Sockets that one core may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(u64);

impl Share {
    /// Raises the soft limit of descriptors to the hard one, and divides what there is. To be called once everything
    /// else is open.
    pub(super) fn of_process(cores: usize) -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
            match setrlimit(Resource::Nofile, raised) {
                Ok(()) => limit = raised,
                Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
            }
        }
        // Without /proc the reserve has to do.
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let share = Self::divide(limit.current, open as u64, cores as u64);
        tracing::info!(open_files_max = limit.current, sockets_per_worker = share.0, "descriptors");
        share
    }

    fn divide(limit: Option<u64>, open: u64, cores: u64) -> Self {
        let Some(limit) = limit else { return Self(u64::MAX) };
        let reserved = open + RESERVED_DESCRIPTORS + cores * RESERVED_DESCRIPTORS_PER_CORE;
        Self((limit.saturating_sub(reserved) / cores.max(1)).max(SOCKETS_MIN))
    }

    /// Whether one more client may come to a core that has so many sockets.
    pub(super) fn has_room_for_client(self, sockets: u64) -> bool {
        sockets < self.0 - self.0 / 4
    }

    /// Whether a core that has so many sockets may keep one open that nobody uses.
    pub(crate) fn has_room_for_idle(self, sockets: u64) -> bool {
        self.has_room_for_client(sockets)
    }
}

/// The connections that wait for a request, the longest first. Those that have gone on since are passed over.
#[derive(Default)]
pub(super) struct ParkingOrder(RefCell<VecDeque<u64>>);

impl ParkingOrder {
    /// A connection begins to wait. `parked` says which of all wait now, and `count` how many.
    pub(super) fn add(&self, key: u64, count: u64, parked: impl Fn(u64) -> bool) {
        let mut order = self.0.borrow_mut();
        order.push_back(key);
        // Stale entries never outnumber the others for long.
        if order.len() as u64 > 2 * count + 64 {
            order.retain(|key| parked(*key));
        }
    }

    /// Takes out the one that has waited longest.
    pub(super) fn longest(&self, parked: impl Fn(u64) -> bool) -> Option<u64> {
        let mut order = self.0.borrow_mut();
        while let Some(key) = order.pop_front() {
            if parked(key) {
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_and_some_are_left() {
        let Share(each) = Share::divide(Some(10_000), 100, 4);
        assert!(each > 2000 && each * 4 + 100 + RESERVED_DESCRIPTORS <= 10_000, "{each}");
        assert_eq!(Share::divide(Some(10), 100, 4), Share(SOCKETS_MIN));
        assert!(Share::divide(None, 100, 4).has_room_for_client(1 << 40));
        assert!(Share(100).has_room_for_client(74) && !Share(100).has_room_for_client(75));
    }

    #[test]
    fn the_longest_idle_gives_way_first_and_stale_entries_are_bounded() {
        let order = ParkingOrder::default();
        for key in 0..1000 {
            order.add(key, 2, |key| key >= 998);
        }
        assert!(order.0.borrow().len() <= 70, "{}", order.0.borrow().len());
        assert_eq!(order.longest(|key| key >= 998), Some(998));
        assert_eq!(order.longest(|key| key >= 998), Some(999));
        assert_eq!(order.longest(|key| key >= 998), None);
    }
}
