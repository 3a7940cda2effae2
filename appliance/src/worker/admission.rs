//! How many connections a core takes, so that it never runs out of descriptors and others always have some.
//!
//! The descriptors of the process, less those that it has at its start and a reserve for health, admin and the control
//! thread, are shared evenly. Clients get three quarters of a core's share; the rest is for upstreams. At the ceiling
//! an idle client gives way, and only when none is idle is a new one refused: first those of an address that has many,
//! then the one that has been idle longest.

#![expect(clippy::disallowed_methods, reason = "one look at /proc before the workers start")]

use std::cell::RefCell;
use std::collections::VecDeque;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{
    CROWD_CONNECTIONS_MIN, CROWD_SAMPLES, RESERVED_DESCRIPTORS, RESERVED_DESCRIPTORS_PER_CORE, SOCKETS_MIN,
};

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

/// A connection that waits for a request, and which of its waits it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    pub(super) key: u64,
    pub(super) wait: u64,
}

/// The connections that wait for a request, the longest first. Waits that are over are passed over.
#[derive(Default)]
pub(super) struct ParkingOrder(RefCell<VecDeque<Parked>>);

impl ParkingOrder {
    /// A connection begins to wait. `goes_on` says which of all waits go on, and `count` how many.
    pub(super) fn add(&self, parked: Parked, count: u64, goes_on: impl Fn(Parked) -> bool) {
        let mut order = self.0.borrow_mut();
        order.push_back(parked);
        // Stale entries never outnumber the others for long.
        if order.len() as u64 > 2 * count + 64 {
            order.retain(|parked| goes_on(*parked));
        }
    }

    /// The one that gives way: of a client that has many connections, if there is one, else the one that has waited
    /// longest. `crowd` says how many the client of one has, `None` for waits that are over; `random` is below its argument.
    pub(super) fn next_to_go(
        &self,
        mut random: impl FnMut(usize) -> usize,
        crowd: impl Fn(Parked) -> Option<u32>,
    ) -> Option<u64> {
        let mut order = self.0.borrow_mut();
        let (longest, own) = loop {
            let first = *order.front()?;
            match crowd(first) {
                Some(own) => break (first, own),
                None => drop(order.pop_front()),
            }
        };
        let samples = (0..CROWD_SAMPLES).map(|_| order[random(order.len())]);
        let largest = samples.filter_map(|parked| Some((crowd(parked)?, parked))).max_by_key(|(crowd, _)| *crowd);
        Some(match largest {
            // Its entry stays behind and is stale.
            Some((crowd, parked)) if crowd >= CROWD_CONNECTIONS_MIN && crowd > own => parked.key,
            _ => {
                order.pop_front();
                longest.key
            }
        })
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

    fn first_wait(key: u64) -> Parked {
        Parked { key, wait: key }
    }

    #[test]
    fn the_longest_idle_gives_way_first_and_stale_entries_are_bounded() {
        let order = ParkingOrder::default();
        for key in 0..1000 {
            order.add(first_wait(key), 2, |parked| parked.key >= 998);
        }
        assert!(order.0.borrow().len() <= 70, "{}", order.0.borrow().len());
        let crowd = |parked: Parked| (parked.key >= 998).then_some(1);
        let next = || order.next_to_go(|below| below - 1, crowd);
        assert_eq!([next(), next(), next()], [Some(998), Some(999), None]);
    }

    #[test]
    fn who_waits_anew_waits_since_then() {
        let order = ParkingOrder::default();
        let waits = [Parked { key: 1, wait: 1 }, Parked { key: 2, wait: 2 }, Parked { key: 1, wait: 3 }];
        waits.into_iter().for_each(|parked| order.add(parked, 2, |_| true));
        let crowd = |parked: Parked| (parked.wait > 1).then_some(1);
        assert_eq!(order.next_to_go(|_| 0, crowd), Some(2), "the first wait of 1 is over");
    }

    #[test]
    fn who_has_many_gives_way_before_who_waits_longer() {
        let order = ParkingOrder::default();
        (0..100).for_each(|key| order.add(first_wait(key), 100, |_| true));
        // The last twenty are one client's.
        let many = |most| move |parked: Parked| Some(if parked.key >= 80 { most } else { 6 });
        let mut random = fastrand::Rng::with_seed(1);
        let mut next = |most| order.next_to_go(|below| random.usize(..below), many(most));
        assert!(next(20) >= Some(80));
        assert_eq!(next(CROWD_CONNECTIONS_MIN - 1), Some(0), "as many as a browser has are none too many");
    }
}
