//! How long to wait before the API server is asked again: 50 ms to 1 s, spread at random so that many appliances do
//! not come back to a server in step.

use std::time::Duration;

/// The first wait.
pub(crate) const FIRST: Duration = Duration::from_millis(50);

/// The longest wait.
pub(crate) const LONGEST: Duration = Duration::from_secs(1);

/// The waits of one watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure. `spread` is a random number from 0 to 1.
    pub(crate) fn next(&mut self, spread: f64) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Half of it for sure, the other half at random.
        full.mul_f64(0.5 + spread.clamp(0.0, 1.0) / 2.0)
    }

    /// Something worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since something worked.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), FIRST);
    }

    #[test]
    fn half_of_a_wait_is_random() {
        assert_eq!(Backoff::default().next(0.0), FIRST / 2);
        assert_eq!(Backoff::default().next(0.5), FIRST.mul_f64(0.75));
    }

    #[test]
    fn a_server_that_is_away_for_days_is_asked_every_second() {
        let mut backoff = Backoff { failures: u32::MAX - 1 };
        assert_eq!(backoff.next(1.0), LONGEST);
        assert_eq!(backoff.next(1.0), LONGEST);
        assert_eq!(backoff.failures(), u32::MAX);
    }
}
