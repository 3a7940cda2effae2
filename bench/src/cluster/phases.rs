//! One number of objects: start, wait, change, roll, and what stays in memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::api::Api;
use super::propagation::{Delay, Prober};
use super::{Figures, Options, Scale};
use crate::error::Error;
use crate::load::{self, Summary, Target};
use crate::peer::{self, Instance, Process, Settings, Source};
use crate::{probe, usage};

const READY_WAIT: Duration = Duration::from_secs(120);
/// Forty thousand statuses, eight at a time.
const STATUS_WAIT: Duration = Duration::from_secs(180);
/// The API server is busy enough without being asked how busy it is.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(20);
/// What a start leaves to be done, such as the writes of the last known good objects, is over after a time in which the
/// process has needed less than this share of a CPU, in percent…
const CALM_PERCENT: f64 = 2.0;
/// …and is not waited for longer.
const CALM_WAIT: Duration = Duration::from_secs(30);
const CALM_WINDOW: Duration = Duration::from_secs(4);
/// Services that roll at once while changes are measured, and their writes per second.
const ROLLING: (usize, u64) = (20, 100);
const ROLLING_REQUESTS: f64 = 300.0;
/// The control thread, as the system names it.
pub(super) const CONTROL: &str = "ringress-sync";

/// How the workers' names begin.
const WORKER: &str = "worker-";

/// The only worker's CPU, and that of all else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) worker: usize,
    pub(super) rest: usize,
}

/// The parts of a run; ended in this order.
pub(super) struct Rig {
    pub(super) instance: Instance,
    pub(super) api: Api,
    origin: Process,
    pub(super) origin_port: u16,
    pub(super) http: SocketAddr,
    pub(super) ready_ms: f64,
    pub(super) statuses_ms: f64,
}

impl Rig {
    /// Starts all of it and waits until ringress is ready, serves the last Ingress and has written all statuses.
    pub(super) fn start(options: &Options, scale: Scale, workers: usize, split: Option<Split>) -> Result<Self, Error> {
        let rest: Vec<usize> = split.iter().map(|split| split.rest).collect();
        let (origin, origin_port) = peer::start_origin_everywhere(&rest)?;
        let api = Api::start(options, scale, origin_port, &rest)?;
        let http = peer::free_address()?;
        let settings = Settings { workers, cpus: split.iter().map(|split| split.worker).collect(), http, https: None };
        let started = Instant::now();
        let instance = Instance::start(&options.ringress, &Source::Cluster(&api.url()), &settings)?;
        let mut rig = Self { instance, api, origin, origin_port, http, ready_ms: 0.0, statuses_ms: 0.0 };
        if !probe::poll(READY_WAIT, || probe::answers_200(&rig.instance.health, "/readyz")) {
            return Err(rig.failed(format!("not ready in {READY_WAIT:?}")));
        }
        rig.ready_ms = started.elapsed().as_secs_f64() * 1e3;
        // Never ready early: the very next request finds everything.
        let last = Target::plain(http, &format!("h{}.test", scale.ingresses - 1));
        if !probe::answers_200(&last, "/") {
            return Err(rig.failed("ready before the last Ingress was served".to_owned()));
        }
        let mut written = Ok(0);
        let all = scale.ingresses as u64;
        probe::poll(STATUS_WAIT, || {
            std::thread::sleep(ASK_EVERY);
            written = rig.api.asked().map(|asked| asked.writes("ingresses"));
            !matches!(written, Ok(count) if count < all)
        });
        if written? < all {
            return Err(rig.failed(format!("not every Ingress has its address in {STATUS_WAIT:?}")));
        }
        rig.statuses_ms = started.elapsed().as_secs_f64() * 1e3;
        if let Some(split) = split {
            usage::favour(rig.origin.id());
            usage::pin_other_threads(rig.pid(), WORKER, split.rest)?;
        }
        Ok(rig)
    }

    pub(super) fn pid(&self) -> u32 {
        self.instance.process.id()
    }

    pub(super) fn failed(&self, problem: String) -> Error {
        Error::program("ringress", format!("{problem}; its log ends:\n{}", self.instance.process.log()))
    }

    pub(super) fn resident(&self) -> Result<u64, Error> {
        usage::settled_bytes(&[self.pid()])
    }
}

pub(super) fn measure(options: &Options, scale: Scale) -> Result<Figures, Error> {
    let mut rig = Rig::start(options, scale, options.workers, None)?;
    let resident = rig.resident()?;
    let (idle_percent, idle_control_percent) = idle(&mut rig, options.idle_seconds)?;
    let mut prober = Prober::new(&mut rig.api, rig.http, rig.origin_port)?;
    let mut quiet = Vec::new();
    while quiet.len() < options.changes * 2 {
        prober.change(&mut rig.api, &mut quiet)?;
    }
    let mut rolling = Vec::new();
    let (load, rolling_control_percent) = roll(&mut rig, scale, options.rolling_seconds, &mut prober, &mut rolling)?;
    let before = rig.resident()?;
    rig.api.roll(scale.ingresses, options.storm_rate, options.writes)?;
    rig.api.wait_rolled()?;
    let after = rig.resident()?;
    Ok(Figures {
        scale,
        ready_ms: rig.ready_ms,
        statuses_ms: rig.statuses_ms,
        resident_mib: resident as f64 / f64::from(1 << 20),
        idle_percent,
        idle_control_percent,
        quiet: Delay::of(quiet)?,
        rolling: Delay::of(rolling)?,
        rolling_control_percent,
        rolling_requests: load.requests,
        rolling_failed: load.failures(),
        memory_ratio: after as f64 / before as f64,
    })
}

/// Shares of a CPU of the process and of its control thread while nothing changes, in percent. A write to the API
/// server other than of the Lease is an error.
fn idle(rig: &mut Rig, seconds: f64) -> Result<(f64, f64), Error> {
    calm(rig)?;
    let before = rig.api.asked()?.other_writes();
    let started = Instant::now();
    let process = usage::cpu_microseconds(&[rig.pid()])?;
    let control = usage::thread_cpu_microseconds(rig.pid(), CONTROL)?;
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let share = |spent: u64| percent(spent, started);
    let process = share(usage::cpu_microseconds(&[rig.pid()])? - process);
    let control = share(usage::thread_cpu_microseconds(rig.pid(), CONTROL)? - control);
    let written = rig.api.asked()?.other_writes() - before;
    if written > 0 {
        return Err(Error::Bound(format!("{written} writes to the API server while nothing changed")));
    }
    Ok((process, control))
}

/// Waits until the start's work is over.
fn calm(rig: &Rig) -> Result<(), Error> {
    let end = Instant::now() + CALM_WAIT;
    while Instant::now() < end {
        let (started, before) = (Instant::now(), usage::cpu_microseconds(&[rig.pid()])?);
        std::thread::sleep(CALM_WINDOW);
        if percent(usage::cpu_microseconds(&[rig.pid()])? - before, started) < CALM_PERCENT {
            break;
        }
    }
    Ok(())
}

/// Microseconds of CPU time since `started`, in percent of a CPU.
pub(super) fn percent(microseconds: u64, started: Instant) -> f64 {
    microseconds as f64 / started.elapsed().as_secs_f64() / 1e4
}

/// Changes, and requests to one of the Services that roll meanwhile. Returns what the requests saw, and the control
/// thread's share of a CPU.
fn roll(
    rig: &mut Rig,
    scale: Scale,
    seconds: u64,
    prober: &mut Prober,
    delays: &mut Vec<f64>,
) -> Result<(Summary, f64), Error> {
    let (services, rate) = ROLLING;
    rig.api.roll(services.min(scale.ingresses), rate, rate * seconds)?;
    let load = requests(rig.http, 8, seconds as f64, ROLLING_REQUESTS);
    let started = Instant::now();
    let before = usage::thread_cpu_microseconds(rig.pid(), CONTROL)?;
    let load = std::thread::spawn(move || load::measure(&load));
    loop {
        prober.change(&mut rig.api, delays)?;
        if load.is_finished() {
            break;
        }
    }
    let control = percent(usage::thread_cpu_microseconds(rig.pid(), CONTROL)? - before, started);
    rig.api.wait_rolled()?;
    let summary = load.join().map_err(|_| Error::program("load", "panicked"))??;
    Ok((summary, control))
}

/// A load in an open loop on the first Ingress.
pub(super) fn requests(http: SocketAddr, connections: usize, seconds: f64, rate: f64) -> load::Options {
    load::Options {
        target: http,
        host: "h0.test".to_owned(),
        path: "/".to_owned(),
        connections,
        seconds,
        warmup: 0.0,
        rate: Some(rate),
        tls: false,
        new_connections: false,
        websocket: false,
        timeout: 10.0,
        cpu: None,
        json: false,
    }
}
