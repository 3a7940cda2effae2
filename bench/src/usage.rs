//! What a process used, from /proc, and which CPU this one runs on.

use std::fs;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::{Context, Error};

/// Memory is read until it has not shrunk for this long; a proxy may give buffers back only after a while.
const SETTLE_QUIET: Duration = Duration::from_secs(3);
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_INTERVAL: Duration = Duration::from_millis(200);
/// The niceness of what comes first on a CPU that it shares.
const FAVOURED_NICE: i32 = -10;

/// Binds the calling thread, and every process started from it from now on, to these CPUs.
pub(crate) fn pin(cpus: &[usize]) -> Result<(), Error> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    sched_setaffinity(None, &set).map_err(std::io::Error::from).context(|| format!("run on CPUs {cpus:?}"))
}

/// Binds the threads of `pid` whose names do not begin with `except` to one CPU; later ones follow who starts them.
pub(crate) fn pin_other_threads(pid: u32, except: &str, cpu: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(cpu);
    for (thread, name, _) in threads(pid)? {
        if !name.starts_with(except) {
            let thread = rustix::process::Pid::from_raw(thread);
            sched_setaffinity(thread, &set).map_err(std::io::Error::from).context(|| format!("bind {name}"))?;
        }
    }
    Ok(())
}

/// Lets the process's first thread run before others on its CPU. Without the right to it nothing changes.
pub(crate) fn favour(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let _not_allowed = rustix::process::setpriority_process(pid, FAVOURED_NICE);
}

/// The same for the calling thread.
pub(crate) fn favour_this_thread() {
    // On Linux this is of the thread.
    let _not_allowed = rustix::process::nice(FAVOURED_NICE);
}

/// Number, name and `stat` of every thread.
fn threads(pid: u32) -> Result<Vec<(i32, String, String)>, Error> {
    let tasks = format!("/proc/{pid}/task");
    let mut threads = Vec::new();
    for task in fs::read_dir(&tasks).context(|| tasks.clone())? {
        // One that has ended meanwhile has nothing to say.
        let stat = task.context(|| tasks.clone()).map(|task| fs::read_to_string(task.path().join("stat")))?;
        let Ok(stat) = stat else { continue };
        let number = stat.split(' ').next().and_then(|number| number.parse().ok());
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map(|(name, _)| name.to_owned());
        let (number, name) = number.zip(name).ok_or_else(|| Error::program(tasks.clone(), "unexpected content"))?;
        threads.push((number, name, stat));
    }
    Ok(threads)
}

/// Time of a CPU since the machine started, in ticks: all of it, and what was idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime {
    all: u64,
    idle: u64,
}

impl CpuTime {
    /// Share that was not idle since `before`, 0 to 1.
    pub(crate) fn busy_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { 1.0 - self.idle.saturating_sub(before.idle) as f64 / all as f64 }
    }
}

/// How a CPU has spent its time so far.
pub(crate) fn cpu_time(cpu: usize) -> Result<CpuTime, Error> {
    let stat = fs::read_to_string("/proc/stat").context(|| "/proc/stat".into())?;
    parse_cpu_time(&stat, cpu).ok_or_else(|| Error::program("/proc/stat", format!("no CPU {cpu}")))
}

/// `cpu1 user nice system idle iowait …`: idle is the fourth, waiting for a disk the fifth.
fn parse_cpu_time(stat: &str, cpu: usize) -> Option<CpuTime> {
    let name = format!("cpu{cpu}");
    let line = stat.lines().find(|line| line.split(' ').next() == Some(&name))?;
    // What guests used is in user and nice already.
    let times: Vec<u64> = line.split_whitespace().skip(1).take(8).map_while(|time| time.parse().ok()).collect();
    Some(CpuTime { all: times.iter().sum(), idle: times.get(3)? + times.get(4)? })
}

/// User plus system time of all threads of `pids` since they started, in microseconds.
///
/// The kernel scales the two to the exact run time, so the sum is right to one tick (10 ms) in all.
pub(crate) fn cpu_microseconds(pids: &[u32]) -> Result<u64, Error> {
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    let mut ticks = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).context(|| path.clone())?;
        ticks += parse_ticks(&stat).ok_or_else(|| Error::program(path, "unexpected content"))?;
    }
    Ok(ticks * 1_000_000 / ticks_per_second)
}

/// The same for the one thread of `pid` that has this name.
pub(crate) fn thread_cpu_microseconds(pid: u32, name: &str) -> Result<u64, Error> {
    let stat = threads(pid)?.into_iter().find(|thread| thread.1 == name).map(|(_, _, stat)| stat);
    let stat = stat.ok_or_else(|| Error::program(pid.to_string(), format!("no thread is called {name}")))?;
    let ticks = parse_ticks(&stat).ok_or_else(|| Error::program(name, "unexpected content"))?;
    Ok(ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
}

/// utime and stime, fields 14 and 15; counted from behind the name, which may hold blanks.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory of `pids`, in bytes.
pub(crate) fn resident_bytes(pids: &[u32]) -> Result<u64, Error> {
    let mut total = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/statm");
        let statm = fs::read_to_string(&path).context(|| path.clone())?;
        let pages: u64 = statm
            .split_whitespace()
            .nth(1)
            .and_then(|pages| pages.parse().ok())
            .ok_or_else(|| Error::program(path, "unexpected content"))?;
        total += pages * rustix::param::page_size() as u64;
    }
    Ok(total)
}

/// The lowest resident memory, read until it stops falling.
pub(crate) fn settled_bytes(pids: &[u32]) -> Result<u64, Error> {
    let start = Instant::now();
    let mut lowest = resident_bytes(pids)?;
    let mut fell = Instant::now();
    while fell.elapsed() < SETTLE_QUIET && start.elapsed() < SETTLE_LIMIT {
        std::thread::sleep(SETTLE_INTERVAL);
        let now = resident_bytes(pids)?;
        if now < lowest {
            lowest = now;
            fell = Instant::now();
        }
    }
    Ok(lowest)
}

/// The children of a process: the workers of a master.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>, Error> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&path).context(|| path.clone())?;
    Ok(children.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_name_may_hold_blanks_and_brackets() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 50 8 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_ticks(stat), Some(58));
    }

    #[test]
    fn a_cpu_is_busy_for_what_it_is_not_idle() {
        let before = parse_cpu_time("cpu  9 9 9 9 9\ncpu1 10 0 10 80 0 0 0 0 0 0\n", 1).expect("a line");
        let after = parse_cpu_time("cpu1 70 0 20 100 10 0 0 0 60 0\n", 1).expect("a line");
        assert!((after.busy_since(before) - 0.7).abs() < 1e-9, "{after:?}");
        assert!(parse_cpu_time("cpu10 1 1 1 1 1\n", 1).is_none());
    }

    #[test]
    fn an_own_loop_costs_time() {
        let own = [std::process::id()];
        let before = cpu_microseconds(&own).expect("own /proc entry");
        let mut spent = before;
        while spent == before {
            std::hint::black_box((0..100_000u64).sum::<u64>());
            spent = cpu_microseconds(&own).expect("own /proc entry");
        }
        assert!(resident_bytes(&own).expect("own /proc entry") > 0);
    }
}
