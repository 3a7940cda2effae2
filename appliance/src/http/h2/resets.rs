//! Streams that their client takes back soon after it began them, for which upstreams were asked for nothing
//! (CVE-2023-44487). Who takes back now and then, or late, because a deadline is over, is not touched.

use std::cell::Cell;

use super::meter::Crowd;

/// A stream that is taken back later than this after its beginning was meant.
const SOON_MS: u64 = 1000;
/// Streams of a connection before its share of those taken back is looked at. Envoy begins at 500.
pub(super) const STREAMS_MIN: u32 = 200;
/// The same where all connections of the core together take back more than it should bear.
const CROWDED_STREAMS_MIN: u32 = 10;

/// Those of one connection.
#[derive(Debug, Default)]
pub(super) struct Resets {
    streams: Cell<u32>,
    soon: Cell<u32>,
}

impl Resets {
    /// A stream begins.
    pub(super) fn begin(&self) {
        self.streams.set(self.streams.get().saturating_add(1));
    }

    /// One that began at `since_ms` was taken back; whether the connection is no better than a flood: half of its streams
    /// end so.
    pub(super) fn take_back(&self, crowd: &Crowd, since_ms: u64, now_ms: u64) -> bool {
        if now_ms.saturating_sub(since_ms) >= SOON_MS {
            return false;
        }
        self.soon.set(self.soon.get().saturating_add(1));
        let least = if crowd.bears_reset(now_ms) { STREAMS_MIN } else { CROWDED_STREAMS_MIN };
        self.streams.get() >= least && self.soon.get() >= self.streams.get() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_takes_back_half_of_its_streams_at_once_is_a_flood() {
        let (crowd, resets) = (Crowd::default(), Resets::default());
        let flood = (0..).position(|_| {
            resets.begin();
            resets.begin();
            resets.take_back(&crowd, 0, 10)
        });
        assert_eq!(flood, Some(STREAMS_MIN as usize / 2 - 1));
    }

    #[test]
    fn fewer_and_later_ones_are_not() {
        let (crowd, resets) = (Crowd::default(), Resets::default());
        for n in 0..10_000 {
            resets.begin();
            assert!(!resets.take_back(&crowd, n, n + SOON_MS), "late");
        }
        let resets = Resets::default();
        for n in 0..10_000 {
            (0..3).for_each(|_| resets.begin());
            assert!(!resets.take_back(&crowd, n, n), "one in three");
        }
    }

    #[test]
    fn a_crowd_is_noticed_earlier() {
        let crowd = Crowd::default();
        let many: Vec<Resets> = (0..1000).map(|_| Resets::default()).collect();
        let mut rounds = 0;
        let mut ended = 0;
        while ended < many.len() {
            ended = many
                .iter()
                .filter(|one| {
                    one.begin();
                    one.take_back(&crowd, 0, 0)
                })
                .count();
            rounds += 1;
        }
        assert_eq!(rounds, CROWDED_STREAMS_MIN);
    }
}
