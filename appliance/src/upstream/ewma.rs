//! How quick an endpoint is: a decaying average, as ingress-nginx' `ewma` keeps it.

use std::cell::Cell;
use std::time::Duration;

/// Time in which the past loses all but a third of its weight.
const DECAY_MS: f64 = 10_000.0;

/// A decaying average of durations.
#[derive(Clone, Debug, Default)]
pub(super) struct Average {
    seconds: Cell<f64>,
    touched_ms: Cell<u64>,
}

impl Average {
    /// An average of these as they are now.
    pub(super) fn of<'a>(all: impl ExactSizeIterator<Item = &'a Self>, now_ms: u64) -> Self {
        let count = all.len().max(1);
        let sum: f64 = all.map(|average| average.get(now_ms)).sum();
        #[expect(clippy::cast_precision_loss, reason = "endpoints are few")]
        let seconds = sum / count as f64;
        Self { seconds: Cell::new(seconds), touched_ms: Cell::new(now_ms) }
    }

    /// The average, sinking while nothing is added: who was slow is asked again some day.
    pub(super) fn get(&self, now_ms: u64) -> f64 {
        self.seconds.get() * self.keeps(now_ms)
    }

    /// Adds a duration.
    #[inline]
    pub(super) fn add(&self, took: Duration, now_ms: u64) {
        let keeps = self.keeps(now_ms);
        // What comes in the same instant must count as well.
        let weight = (1.0 - keeps).max(0.01);
        self.seconds.set(self.seconds.get() * (1.0 - weight) + took.as_secs_f64() * weight);
        self.touched_ms.set(now_ms);
    }

    #[inline]
    fn keeps(&self, now_ms: u64) -> f64 {
        let passed = now_ms.saturating_sub(self.touched_ms.get());
        if passed == 0 {
            // Many come between two steps of the clock.
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a difference of milliseconds")]
        let passed = passed as f64;
        (-passed / DECAY_MS).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_added_and_sinks_with_time() {
        let average = Average::default();
        (0..100).for_each(|turn| average.add(Duration::from_secs(1), turn * 1000));
        let before = average.get(99_000);
        assert!((0.99..=1.0).contains(&before), "{before}");
        let after = average.get(109_000);
        assert!((after / before - (-1.0_f64).exp()).abs() < 1e-9, "{after}");
    }

    #[test]
    fn many_in_one_instant_count() {
        let average = Average::default();
        (0..500).for_each(|_| average.add(Duration::from_secs(1), 0));
        assert!(average.get(0) > 0.9);
    }

    #[test]
    fn a_newcomer_starts_as_the_others_are() {
        let known = [Duration::from_secs(1), Duration::from_secs(3)].map(|took| {
            let average = Average::default();
            (0..1000).for_each(|_| average.add(took, 0));
            average
        });
        assert!((Average::of(known.iter(), 0).get(0) - 2.0).abs() < 0.01);
    }
}
