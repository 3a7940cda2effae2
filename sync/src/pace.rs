//! When the next snapshot is built: at once after quiet, coalesced under load.
//!
//! Pure: time is an argument. After a build that took `t`, the next one starts no sooner than `2 t` later, so that a storm
//! of changes costs the control thread a third of a core, no sooner than [`PAUSE_MIN`], so that workers are not woken for
//! each change of it, and no later than [`PAUSE_MAX`]. A single change after quiet waits for nothing.

use std::time::{Duration, Instant};

/// The shortest time between two builds.
const PAUSE_MIN: Duration = Duration::from_millis(4);

/// The longest that a change waits for company.
const PAUSE_MAX: Duration = Duration::from_millis(25);

/// How many times the duration of a build the thread rests after it.
const REST_FACTOR: u32 = 2;

/// Decides when a build may start.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the first change came in that is not built yet.
    dirty_since: Option<Instant>,
    not_before: Option<Instant>,
}

impl Pace {
    /// A change has come in.
    pub(crate) fn note_change(&mut self, now: Instant) {
        self.dirty_since.get_or_insert(now);
    }

    /// When the next build is due; `None` while nothing has changed.
    pub(crate) fn due(&self) -> Option<Instant> {
        let dirty = self.dirty_since?;
        Some(self.not_before.map_or(dirty, |rested| rested.max(dirty)))
    }

    /// A build has taken in everything so far. Returns when the oldest change in it had come in.
    pub(crate) fn note_build(&mut self, started: Instant, ended: Instant) -> Option<Instant> {
        let pause = (ended.saturating_duration_since(started) * REST_FACTOR).clamp(PAUSE_MIN, PAUSE_MAX);
        self.not_before = Some(ended + pause);
        self.dirty_since.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn one_change_after_quiet_is_built_at_once() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.note_build(start, start + 5 * MS);
        let later = start + 500 * MS;
        pace.note_change(later);
        assert_eq!(pace.due(), Some(later));
    }

    #[test]
    fn changes_while_busy_wait_for_twice_the_cost_of_the_last_build() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.note_build(start, start + 5 * MS);
        pace.note_change(start + 6 * MS);
        pace.note_change(start + 7 * MS);
        assert_eq!(pace.due(), Some(start + 15 * MS));
        assert_eq!(pace.note_build(start + 15 * MS, start + 20 * MS), Some(start + 6 * MS));
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn cheap_builds_do_not_follow_each_other_at_once() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.note_build(start, start + MS / 10);
        pace.note_change(start + MS);
        assert_eq!(pace.due(), Some(start + MS / 10 + PAUSE_MIN));
    }

    #[test]
    fn no_change_waits_longer_than_the_bound_after_an_expensive_build() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let ended = start + Duration::from_secs(3);
        pace.note_build(start, ended);
        pace.note_change(ended);
        assert_eq!(pace.due(), Some(ended + PAUSE_MAX));
    }
}
