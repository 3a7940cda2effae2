//! Request durations of all cores: quantiles of the last minute, count and sum since the start.

#![expect(clippy::disallowed_types, reason = "the admin thread")]

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The window slides by this; quantiles cover between one and two of it.
const STEP: Duration = Duration::from_secs(30);

/// Longest duration that is told from longer ones: an hour, in microseconds.
const MICROSECONDS_MAX: u64 = 3_600_000_000;

/// An empty histogram of microseconds with two significant digits, about 13 kB.
pub(super) fn durations() -> Histogram<u32> {
    Histogram::new_with_max(MICROSECONDS_MAX, 2).expect("two digits and a maximum above 2 are valid")
}

/// Durations by time.
pub(super) struct DurationWindow {
    current: Histogram<u32>,
    previous: Histogram<u32>,
    started: Instant,
    count: u64,
    sum_seconds: f64,
}

impl DurationWindow {
    pub(super) fn new(now: Instant) -> Self {
        Self { current: durations(), previous: durations(), started: now, count: 0, sum_seconds: 0.0 }
    }

    /// Adds what a core handed over.
    pub(super) fn add(&mut self, now: Instant, durations: &Histogram<u32>) {
        self.slide(now);
        self.count += durations.len();
        #[expect(clippy::cast_precision_loss, reason = "a statistic")]
        let seconds = durations.mean() * durations.len() as f64 / 1e6;
        self.sum_seconds += seconds;
        self.current.add(durations).expect("all histograms have the same bounds");
    }

    fn slide(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.started);
        if elapsed < STEP {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.reset();
        if elapsed >= 2 * STEP {
            self.previous.reset();
        }
        self.started = now;
    }

    /// Durations of the last minute in seconds, by quantile; empty without requests.
    pub(super) fn quantiles(&mut self, now: Instant, quantiles: &[f64]) -> Vec<(f64, f64)> {
        self.slide(now);
        let mut both = self.current.clone();
        both.add(&self.previous).expect("all histograms have the same bounds");
        if both.is_empty() {
            return Vec::new();
        }
        #[expect(clippy::cast_precision_loss, reason = "at most an hour of microseconds")]
        let value = |q: f64| both.value_at_quantile(q) as f64 / 1e6;
        quantiles.iter().map(|q| (*q, value(*q))).collect()
    }

    /// Requests since the start, and the sum of their durations in seconds.
    pub(super) fn total(&self) -> (u64, f64) {
        (self.count, self.sum_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_forget_after_two_steps() {
        let start = Instant::now();
        let mut window = DurationWindow::new(start);
        let mut slow = durations();
        slow.record_n(1_000_000, 100).unwrap();
        window.add(start, &slow);
        let near = |value: f64| (0.99..1.02).contains(&value);
        assert!(near(window.quantiles(start, &[0.5])[0].1));
        assert!(near(window.quantiles(start + STEP, &[0.5])[0].1));
        assert!(window.quantiles(start + 2 * STEP, &[0.5]).is_empty());
        let (count, seconds) = window.total();
        assert_eq!(count, 100);
        assert!((99.0..102.0).contains(&seconds), "{seconds}");
    }
}
