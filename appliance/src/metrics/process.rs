//! The process as a whole, under the names that ingress-nginx gives the metrics of its nginx.

#![expect(clippy::disallowed_methods, reason = "read on the admin thread")]

use std::sync::Arc;

use super::NGINX_PREFIX;
use super::counters::CoreCounters;
use super::reader::float;
use super::text::Page;

/// Writes what `/proc` and the cores' counters say of the process.
pub(super) fn write(page: &mut Page, cores: &[Arc<CoreCounters>]) {
    let sum = |read: fn(&CoreCounters) -> u64| float(cores.iter().map(|core| read(core)).sum());
    let name = |name: &str| format!("{NGINX_PREFIX}nginx_process_{name}");
    let states = [("active", sum(|c| c.connections.get())), ("waiting", sum(|c| c.connections_idle.get()))];
    page.gauges(&name("connections"), "Client connections by state", states.map(|(s, n)| (vec![("state", s)], n)));
    let accepted = sum(|c| c.accepted.get());
    let totals = [("accepted", accepted), ("handled", accepted)];
    page.counters(&name("connections_total"), "Client connections", totals.map(|(s, n)| (vec![("state", s)], n)));
    page.counters(&name("requests_total"), "Client requests", [(vec![], sum(|c| c.requests.get()))]);
    page.gauge(&name("num_procs"), "Processes", 1.0);
    let Some(usage) = Usage::read() else { return };
    page.counters(&name("cpu_seconds_total"), "CPU time", [(vec![], usage.cpu_seconds)]);
    page.gauge(&name("resident_memory_bytes"), "Resident memory", usage.resident_bytes);
    page.gauge(&name("virtual_memory_bytes"), "Virtual memory", usage.virtual_bytes);
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
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let usage = Usage::read().unwrap();
        assert!(usage.resident_bytes > 0.0 && usage.descriptors > 0.0 && usage.threads >= 1.0);
    }
}
