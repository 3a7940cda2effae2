//! Requests beside a storm of endpoint changes. The only worker has a CPU of its own; control thread, API server, load
//! and origin share another, so what is measured is whether workers notice, not whether there are CPUs enough. Load and
//! origin come first on theirs: how long they wait for it is not the proxy's.

use std::time::Instant;

use super::phases::{CONTROL, Rig, Split, percent, requests};
use super::propagation::Prober;
use super::{Options, Scale, Storm};
use crate::error::Error;
use crate::load::{self, Summary};
use crate::usage;

const CONNECTIONS: usize = 32;
pub(super) fn measure(options: &Options, scale: Scale) -> Result<Storm, Error> {
    let split = Split { worker: options.worker_cpu, rest: options.load_cpu };
    let mut rig = Rig::start(options, scale, 1, Some(split))?;
    let mut prober = Prober::new(&mut rig.api, rig.http, rig.origin_port)?;
    let seconds = options.storm_seconds as f64;
    let half = seconds / 2.0;
    // Once unmeasured: pools and tables reach their size.
    drive(&rig, options, half.min(5.0))?;
    let memory = rig.resident()?;
    let mut quiet = vec![drive(&rig, options, half)?];

    rig.api.roll(scale.ingresses, options.storm_rate, options.storm_rate * options.storm_seconds)?;
    let (rolled, started) = (rig.api.asked()?.rolled, Instant::now());
    let control = usage::thread_cpu_microseconds(rig.pid(), CONTROL)?;
    let first = drive(&rig, options, half)?;
    let control = percent(usage::thread_cpu_microseconds(rig.pid(), CONTROL)? - control, started);
    let made = (rig.api.asked()?.rolled - rolled) as f64 / started.elapsed().as_secs_f64();
    let mut delays = Vec::new();
    prober.change(&mut rig.api, &mut delays)?;
    let left = (seconds - started.elapsed().as_secs_f64()).max(1.0);
    let second = drive(&rig, options, left)?;
    rig.api.wait_rolled()?;

    quiet.push(drive(&rig, options, half)?);
    let memory_ratio = rig.resident()? as f64 / memory as f64;
    let storm = [first, second];
    let p99 = |runs: &[Summary]| runs.iter().map(|run| run.latency_p99_us as f64).sum::<f64>() / runs.len() as f64;
    let all = || quiet.iter().chain(&storm);
    Ok(Storm {
        scale,
        seconds: options.storm_seconds,
        writes_per_second: made,
        requests_per_second: options.storm_requests,
        quiet_p99_us: p99(&quiet),
        storm_p99_us: p99(&storm),
        requests: all().map(|run| run.requests).sum(),
        failed: all().map(Summary::failures).sum(),
        control_percent: control,
        change_ms: delays.into_iter().fold(0.0, f64::max),
        memory_ratio,
    })
}

fn drive(rig: &Rig, options: &Options, seconds: f64) -> Result<Summary, Error> {
    let load = requests(rig.http, CONNECTIONS, seconds, options.storm_requests);
    std::thread::scope(|scope| {
        let driven = scope.spawn(|| {
            usage::pin(&[options.load_cpu])?;
            usage::favour_this_thread();
            load::measure(&load)
        });
        driven.join().map_err(|_| Error::program("load", "panicked"))?
    })
}
