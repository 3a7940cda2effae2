//! When the requests of one connection are due.

use std::time::{Duration, Instant};

/// A source of due times: `now` in a closed loop, fixed slots in an open one.
pub(super) enum Schedule {
    /// The next request is due when the last answer is there.
    Closed,
    /// The next request is due at `next`, however late the last answer was.
    Open {
        /// Due time of the next request.
        next: Instant,
        /// Time between two requests of this connection.
        step: Duration,
    },
}

impl Schedule {
    /// Connection `index` of `connections` takes every `connections`-th slot of the common rate (requests/s).
    pub(super) fn new(start: Instant, rate: Option<f64>, connections: usize, index: usize) -> Self {
        match rate {
            None => Self::Closed,
            Some(rate) => {
                let slot = Duration::from_secs_f64(1.0 / rate);
                Self::Open { next: start + slot.mul_f64(index as f64), step: slot.mul_f64(connections as f64) }
            }
        }
    }

    pub(super) fn next(&mut self) -> Instant {
        match self {
            Self::Closed => Instant::now(),
            Self::Open { next, step } => {
                let due = *next;
                *next += *step;
                due
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_loop_slots_of_all_connections_make_up_the_rate() {
        let start = Instant::now();
        let mut due: Vec<Duration> = (0..4)
            .flat_map(|index| {
                let mut schedule = Schedule::new(start, Some(100.0), 4, index);
                [schedule.next() - start, schedule.next() - start]
            })
            .collect();
        due.sort();
        let expected: Vec<Duration> = (0..8).map(|slot| Duration::from_millis(10 * slot)).collect();
        assert_eq!(due, expected);
    }
}
