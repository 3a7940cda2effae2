//! How many workers, and on which CPUs.

use std::num::NonZeroUsize;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How many workers there are and where each runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The CPU of each worker; `None` leaves the choice to the kernel.
    cpus: Vec<Option<usize>>,
    /// Why, in words, for the log.
    reason: String,
}

/// The CPUs that were asked for cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    /// A CPU outside the process's set.
    #[error("--cpus names CPU {0}, which this process may not use (it may use {1})")]
    NotAllowed(usize, String),
    /// The process's set could not be read.
    #[error("the CPUs of this process cannot be read: {0}")]
    Unknown(#[source] std::io::Error),
}

impl Placement {
    /// Decides: `--cpus` pins to those; without it as many workers as asked for, or as the CPU quota allows, pinned
    /// when each can have a CPU of its own.
    ///
    /// # Errors
    /// When a CPU of `cpus` may not be used.
    pub fn choose(workers: Option<NonZeroUsize>, cpus: &[usize]) -> Result<Self, PlacementError> {
        let allowed = allowed_cpus().map_err(PlacementError::Unknown)?;
        if let Some(cpu) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(PlacementError::NotAllowed(*cpu, format!("{allowed:?}")));
        }
        if !cpus.is_empty() {
            let count = workers.map_or(cpus.len(), NonZeroUsize::get);
            let cpus = (0..count).map(|i| Some(cpus[i % cpus.len()])).collect();
            return Ok(Self { cpus, reason: "--cpus".into() });
        }
        // Knows the affinity mask and the cgroup's quota, rounded up.
        let quota = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = workers.map_or(quota, NonZeroUsize::get);
        Ok(if quota < allowed.len() {
            let reason = format!("a quota of {quota} on {} shared CPUs: not pinned", allowed.len());
            Self { cpus: vec![None; count], reason }
        } else if count > allowed.len() {
            let reason = format!("{count} workers on {} CPUs: not pinned", allowed.len());
            Self { cpus: vec![None; count], reason }
        } else {
            Self { cpus: allowed.into_iter().take(count).map(Some).collect(), reason: "a CPU each: pinned".into() }
        })
    }

    /// Number of workers, at least one.
    pub fn workers(&self) -> usize {
        self.cpus.len()
    }

    /// Why it is so, for the log.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Pins the calling thread to the CPU of a worker.
    pub(super) fn apply(&self, worker: usize) -> std::io::Result<()> {
        let Some(cpu) = self.cpus[worker] else { return Ok(()) };
        let mut set = CpuSet::new();
        set.set(cpu);
        Ok(sched_setaffinity(None, &set)?)
    }
}

fn allowed_cpus() -> std::io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_the_process_may_not_use_is_refused() {
        let error = Placement::choose(None, &[CpuSet::MAX_CPU - 1]).unwrap_err();
        assert!(error.to_string().contains("may not use"), "{error}");
    }

    #[test]
    fn named_cpus_are_shared_out_in_turn() {
        let cpu = allowed_cpus().unwrap()[0];
        let placement = Placement::choose(NonZeroUsize::new(3), &[cpu]).unwrap();
        assert_eq!(placement.cpus, vec![Some(cpu); 3]);
    }

    #[test]
    fn more_workers_than_cpus_are_not_pinned() {
        let placement = Placement::choose(NonZeroUsize::new(1000), &[]).unwrap();
        assert_eq!((placement.workers(), placement.cpus[0]), (1000, None));
    }
}
