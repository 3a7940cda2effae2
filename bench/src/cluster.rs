//! ringress on a fake API server with many objects: time to ready, time from a change to its first answer on every
//! core, what it costs to wait, and whether requests notice a storm of changes. Measured by requests and by /proc, not
//! by what the product says of itself.

mod api;
mod page;
mod phases;
mod propagation;
mod storm;

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Context, Error};
use crate::report::table;

use self::propagation::Delay;

/// Endpoints in all, as the goals have them.
const ENDPOINTS_MAX: usize = 100_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The ringress binary.
    #[arg(long, default_value = "target/release/ringress")]
    ringress: PathBuf,
    /// The fake API server (cargo build --release -p ringress-sync --features testkit --bin fake_api_server).
    #[arg(long, default_value = "target/release/fake_api_server")]
    api_server: PathBuf,
    /// Numbers of Ingresses, each number a run of its own.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,40000")]
    sizes: Vec<usize>,
    /// Endpoints of each Service; fewer where that would be more than 100,000 in all.
    #[arg(long, default_value_t = 10)]
    endpoints: usize,
    /// One Ingress of so many has TLS, with a Secret of its own.
    #[arg(long, default_value_t = 10)]
    tls_every: usize,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Changes of each kind to measure while all else is quiet.
    #[arg(long, default_value_t = 100)]
    changes: usize,
    /// Seconds without any change.
    #[arg(long, default_value_t = 20.0)]
    idle_seconds: f64,
    /// Seconds of rolling updates of 20 Services, 100 writes/s, while changes are measured.
    #[arg(long, default_value_t = 20)]
    rolling_seconds: u64,
    /// Writes after which memory must be what it was.
    #[arg(long, default_value_t = 10_000)]
    writes: u64,
    /// Ingresses under the storm; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    storm_ingresses: usize,
    /// Endpoint changes per second.
    #[arg(long, default_value_t = 1000)]
    storm_rate: u64,
    /// Seconds of the storm, and of quiet around it.
    #[arg(long, default_value_t = 60)]
    storm_seconds: u64,
    /// Requests per second meanwhile.
    #[arg(long, default_value_t = 2000.0)]
    storm_requests: f64,
    /// The worker's CPU under the storm.
    #[arg(long, default_value_t = 0)]
    worker_cpu: usize,
    /// The CPU of everything else then.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Fail when ready takes longer than this, in milliseconds.
    #[arg(long)]
    ready_ms_max: Option<f64>,
    /// Fail when the slowest of a hundred changes takes longer than this while all else is quiet, in milliseconds.
    #[arg(long)]
    change_p99_ms_max: Option<f64>,
    /// Fail when more memory is resident, in MiB.
    #[arg(long)]
    resident_mib_max: Option<f64>,
    /// Fail when memory after the writes is more than this share of before.
    #[arg(long)]
    memory_ratio_max: Option<f64>,
    /// Fail when the idle process needs more of a CPU, in percent.
    #[arg(long)]
    idle_percent_max: Option<f64>,
    /// Fail when the p99 under the storm is more than this many times the quiet one.
    #[arg(long)]
    storm_ratio_max: Option<f64>,
    /// Write the figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write table and plot into this page, between its marks.
    #[arg(long)]
    document: Option<PathBuf>,
}

/// How many of which objects.
#[derive(Clone, Copy, Debug, Serialize)]
struct Scale {
    ingresses: usize,
    endpoints_each: usize,
    secrets: usize,
}

impl Scale {
    fn new(options: &Options, ingresses: usize) -> Self {
        Self {
            ingresses,
            endpoints_each: options.endpoints.min(ENDPOINTS_MAX / ingresses.max(1)).max(1),
            secrets: ingresses / options.tls_every.max(1),
        }
    }

    fn endpoints(&self) -> usize {
        self.ingresses * self.endpoints_each
    }
}

/// What one number of objects led to. Shares of a CPU are in percent.
#[derive(Debug, Serialize)]
struct Figures {
    scale: Scale,
    /// From the start of the process until `/readyz` says so, the last Ingress being served then.
    ready_ms: f64,
    /// Until every Ingress has its address in its status.
    statuses_ms: f64,
    resident_mib: f64,
    idle_percent: f64,
    idle_control_percent: f64,
    quiet: Delay,
    rolling: Delay,
    rolling_control_percent: f64,
    /// Requests to a Service that is being rolled, and how many of them failed.
    rolling_requests: u64,
    rolling_failed: u64,
    /// Resident memory after the writes, of before.
    memory_ratio: f64,
}

/// Requests beside a storm of endpoint changes.
#[derive(Debug, Serialize)]
struct Storm {
    scale: Scale,
    seconds: u64,
    /// Writes per second that the server really made.
    writes_per_second: f64,
    requests_per_second: f64,
    quiet_p99_us: f64,
    storm_p99_us: f64,
    requests: u64,
    failed: u64,
    control_percent: f64,
    /// A change made in the middle of it, until it was served.
    change_ms: f64,
    memory_ratio: f64,
}

impl Storm {
    fn ratio(&self) -> f64 {
        self.storm_p99_us / self.quiet_p99_us
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut all = Vec::new();
    for &ingresses in &options.sizes {
        let figures = phases::measure(options, Scale::new(options, ingresses))?;
        println!("{}", table(&page::rows(std::slice::from_ref(&figures))));
        all.push(figures);
    }
    let storm = match options.storm_ingresses {
        0 => None,
        ingresses => Some(storm::measure(options, Scale::new(options, ingresses))?),
    };
    if let Some(storm) = &storm {
        println!("{}", page::sentence(storm));
    }
    if let Some(path) = &options.json {
        let text = serde_json::json!({ "sizes": all, "storm": storm }).to_string();
        std::fs::write(path, text).context(|| path.display().to_string())?;
    }
    if let Some(path) = &options.document {
        page::write(path, &options.ringress, options.workers, &all, storm.as_ref())?;
    }
    all.iter().try_for_each(|figures| check(options, figures))?;
    storm.iter().try_for_each(|storm| check_storm(options, storm))
}

fn check(options: &Options, figures: &Figures) -> Result<(), Error> {
    let at = figures.scale.ingresses;
    if figures.rolling_failed > 0 {
        let Figures { rolling_failed, rolling_requests, .. } = figures;
        return Err(Error::Bound(format!(
            "{at} Ingresses: {rolling_failed} of {rolling_requests} requests failed under rolling updates"
        )));
    }
    let bounds = [
        ("ready after ms", figures.ready_ms, options.ready_ms_max),
        ("p99 of changes in ms", figures.quiet.p99_ms, options.change_p99_ms_max),
        ("MiB resident", figures.resident_mib, options.resident_mib_max),
        ("memory after the writes, of before", figures.memory_ratio, options.memory_ratio_max),
        ("percent of a CPU when idle", figures.idle_percent, options.idle_percent_max),
    ];
    bounds.into_iter().try_for_each(|(what, figure, bound)| within(at, what, figure, bound))
}

fn check_storm(options: &Options, storm: &Storm) -> Result<(), Error> {
    let at = storm.scale.ingresses;
    if storm.failed > 0 {
        return Err(Error::Bound(format!("{at} Ingresses: {} requests failed under the storm", storm.failed)));
    }
    within(at, "p99 under the storm, of the quiet one", storm.ratio(), options.storm_ratio_max)?;
    within(at, "memory after the storm, of before", storm.memory_ratio, options.memory_ratio_max)
}

fn within(ingresses: usize, what: &str, figure: f64, bound: Option<f64>) -> Result<(), Error> {
    match bound {
        Some(bound) if figure > bound => {
            Err(Error::Bound(format!("{ingresses} Ingresses: {what}: {figure:.2}, bound {bound}")))
        }
        _ => Ok(()),
    }
}
