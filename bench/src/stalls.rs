//! What the machine takes from a CPU: time that a busy loop does not get while nobody sends requests. Stalls of this kind are
//! in any latency's tail, whoever serves.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Error;
use crate::usage;

/// Between two looks at the clock in a loop; more than this was somebody else's: a tick of the kernel needs less.
const STALL_MIN: Duration = Duration::from_micros(200);

/// What one CPU lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Stalls {
    pub(crate) watched_us: u64,
    pub(crate) lost_us: u64,
    pub(crate) longest_us: u64,
}

impl Stalls {
    /// Keeps `cpu` busy for `time` and looks at the clock.
    pub(crate) fn watch(cpu: usize, time: Duration) -> Result<Self, Error> {
        let watch = move || {
            usage::pin(&[cpu])?;
            let begin = Instant::now();
            // The last look comes after the time, so that no stall is cut off.
            let next = |&last: &Duration| (last < time).then(|| begin.elapsed());
            Ok(Self::between(std::iter::successors(Some(Duration::ZERO), next)))
        };
        std::thread::spawn(watch).join().map_err(|_| Error::program("stalls", "the watch panicked"))?
    }

    fn between(instants: impl Iterator<Item = Duration>) -> Self {
        let (mut lost, mut longest, mut last) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for now in instants {
            let gap = now.saturating_sub(last);
            if gap >= STALL_MIN {
                lost += gap;
                longest = longest.max(gap);
            }
            last = now;
        }
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self { watched_us: microseconds(last), lost_us: microseconds(lost), longest_us: microseconds(longest) }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            watched_us: self.watched_us + other.watched_us,
            lost_us: self.lost_us + other.lost_us,
            longest_us: self.longest_us.max(other.longest_us),
        }
    }
}

/// In one sentence, for a number of CPUs that were watched in turn.
pub(crate) fn show(of_cpus: &[(usize, Stalls)]) -> String {
    let mut text = format!(
        "Between the rounds, while nobody sent requests, a busy loop, in stalls of {} µs or more, lost",
        STALL_MIN.as_micros()
    );
    for (index, (cpu, stalls)) in of_cpus.iter().enumerate() {
        let share = stalls.lost_us as f64 * 100.0 / stalls.watched_us.max(1) as f64;
        let and = if index == 0 { "" } else { " and" };
        write!(text, "{and} {share:.1} % of CPU {cpu} (the longest {:.1} ms)", stalls.longest_us as f64 / 1000.0)
            .expect("writing to a String");
    }
    text + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_gaps_are_stalls() {
        let instants = [1, 2, 502, 503, 1503].map(Duration::from_micros);
        let stalls = Stalls::between(instants.into_iter());
        assert_eq!(stalls, Stalls { watched_us: 1503, lost_us: 1500, longest_us: 1000 });
        assert_eq!(stalls.and(Stalls { watched_us: 1, lost_us: 2, longest_us: 3 }).lost_us, 1502);
        let said = show(&[(0, stalls), (1, Stalls::default())]);
        assert!(
            said.ends_with("lost 99.8 % of CPU 0 (the longest 1.0 ms) and 0.0 % of CPU 1 (the longest 0.0 ms)."),
            "{said}"
        );
    }

    #[test]
    fn a_cpu_is_watched_for_its_time() {
        let time = Duration::from_millis(20);
        let own = rustix::thread::sched_getaffinity(None).expect("own CPUs");
        let cpu = (0..rustix::thread::CpuSet::MAX_CPU).find(|&cpu| own.is_set(cpu)).expect("a CPU");
        let stalls = Stalls::watch(cpu, time).expect("its own CPU");
        assert!(stalls.lost_us <= stalls.watched_us && stalls.watched_us >= 20_000, "{stalls:?}");
    }
}
