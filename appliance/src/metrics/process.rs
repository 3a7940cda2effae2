//! The process as a whole, under the names that ingress-nginx gives the metrics of its nginx.

#![expect(clippy::disallowed_methods, reason = "read on the admin thread")]

use std::sync::Arc;

use super::NGINX_PREFIX;
use super::counters::CoreCounters;
use super::reader::float;
use super::text::{Labels, Page};

/// Writes what `/proc` and the cores' counters say of the process; each has the labels of the controller.
pub(super) fn write(page: &mut Page, cores: &[Arc<CoreCounters>], controller: &Labels<'_>) {
    let sum = |read: fn(&CoreCounters) -> u64| float(cores.iter().map(|core| read(core)).sum());
    let name = |name: &str| format!("{NGINX_PREFIX}nginx_process_{name}");
    let in_state = |(state, number)| (controller.iter().copied().chain([("state", state)]).collect(), number);
    let one = |number: f64| [(controller.clone(), number)];
    let (active, waiting) = (sum(|c| c.connections.get()), sum(|c| c.connections_idle.get()));
    // A head that comes is not told from an answer that goes.
    let states = [("active", active), ("reading", 0.0), ("waiting", waiting), ("writing", (active - waiting).max(0.0))];
    page.gauges(&name("connections"), "Client connections by state", states.map(in_state));
    let accepted = sum(|c| c.accepted.get());
    let totals = [("accepted", accepted), ("handled", accepted)];
    page.counters(&name("connections_total"), "Client connections", totals.map(in_state));
    page.counters(&name("requests_total"), "Client requests", one(sum(|c| c.requests.get())));
    page.gauges(&name("num_procs"), "Processes", one(1.0));
    let Some(usage) = Usage::read() else { return };
    page.counters(&name("cpu_seconds_total"), "CPU time", one(usage.cpu_seconds));
    page.gauges(&name("resident_memory_bytes"), "Resident memory", one(usage.resident_bytes));
    page.gauges(&name("virtual_memory_bytes"), "Virtual memory", one(usage.virtual_bytes));
    if let Some(booted) = booted() {
        let started = booted + usage.started_after_boot;
        page.gauges(&name("oldest_start_time_seconds"), "When the process started, since 1970", one(started));
    }
    if let Some((read, written)) = io_bytes() {
        page.counters(&name("read_bytes_total"), "Bytes read from disks", one(read));
        page.counters(&name("write_bytes_total"), "Bytes written to disks", one(written));
    }
    page.gauge("ringress_open_file_descriptors", "Open file descriptors", usage.descriptors);
    page.gauge("ringress_threads", "Threads", usage.threads);
}

/// What the kernel accounts to this process.
struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
    descriptors: f64,
    /// Seconds.
    started_after_boot: f64,
}

/// What a thread of this process has had of a CPU (proc(5), schedstat).
pub(super) fn cpu_seconds_of_thread(thread: u64) -> Option<f64> {
    let schedstat = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let nanoseconds: f64 = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// When the machine was booted, seconds since 1970.
fn booted() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Bytes that this process had read from and written to disks.
fn io_bytes() -> Option<(f64, f64)> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    let field = |name| io.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok();
    Some((field("read_bytes:")?, field("write_bytes:")?))
}

impl Usage {
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let ticks = rustix::param::clock_ticks_per_second();
        Self::parse(&stat, float(ticks), float(rustix::param::page_size() as u64), float(descriptors as u64))
    }

    /// `/proc/self/stat`: the fields after the program's name, which may itself hold blanks and brackets.
    fn parse(stat: &str, ticks: f64, page_bytes: f64, descriptors: f64) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // Numbers of proc(5), less the two fields before.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_bytes,
            descriptors,
            started_after_boot: field(22)? / ticks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_an_awkward_program_name() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 9 0 100 4096 3 1 1\n";
        let usage = Usage::parse(stat, 100.0, 4096.0, 5.0).unwrap();
        let got = (usage.cpu_seconds, usage.threads, usage.virtual_bytes, usage.resident_bytes);
        assert_eq!(got, (2.0, 9.0, 4096.0, 12288.0));
        assert_eq!(usage.started_after_boot, 1.0);
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let usage = Usage::read().unwrap();
        assert!(usage.resident_bytes > 0.0 && usage.descriptors > 0.0 && usage.threads >= 1.0);
    }
}
