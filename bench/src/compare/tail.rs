//! Latency at a fixed rate, the same for all proxies: a share of what nginx can do. An open loop, as only that shows how
//! long requests wait that a busy proxy keeps from being sent. Beside the proxies, the same load goes to the origin itself,
//! and the CPUs are watched for what the machine takes: what those two show is a part of every proxy's tail.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::{Field, Options};
use crate::document;
use crate::error::{Context, Error};
use crate::load::{self, Summary};
use crate::peer::{HOST, Kind, Setup};
use crate::report::{Spread, table};
use crate::scenario::SMALL;
use crate::stalls::{self, Stalls};
use crate::{usage, wrk};

/// Rounds by which nginx' peak is found.
const PEAK_ROUNDS: usize = 3;
/// Seconds before the requests that count, for connections and pools.
const WARMUP_SECONDS: f64 = 0.5;
/// When the CPU of load and origin is busier than this, it is the load that waits.
const LOAD_BUSY_MAX: f64 = 0.95;

/// The row of the load that goes to the origin itself.
const NO_PROXY: &str = "no proxy";
/// How long each CPU is watched after a round.
const WATCH: Duration = Duration::from_millis(500);

/// One proxy at one rate in one round.
#[derive(Debug, Serialize)]
struct Sample {
    percent: u32,
    peer: &'static str,
    round: usize,
    cpu_us_per_request: f64,
    /// Share of the load's CPU that was not idle, 0 to 1.
    load_busy: f64,
    load: Summary,
}

/// One proxy at one rate in all rounds.
#[derive(Debug, Serialize)]
struct TailSummary {
    percent: u32,
    peer: &'static str,
    p50_us: Spread,
    p99_us: Spread,
    p999_us: Spread,
    /// p99.9 of the baseline's in the same round.
    p999_ratio: Option<Spread>,
    cpu_us_per_request: Spread,
    failures: u64,
    /// The load's CPU was too busy in so many rounds.
    overloaded: usize,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let mut field = Field::start(options, Setup::default())?;
    let peak = peak(options, &mut field)?;
    println!("{}' peak: {peak:.0} requests/s", options.baseline().name());
    let mut samples = Vec::new();
    let mut watched = [options.proxy_cpu, options.load_cpu].map(|cpu| (cpu, Stalls::default()));
    for &percent in &options.tail {
        let rate = peak * f64::from(percent) / 100.0;
        for round in 0..options.rounds() {
            field.in_turn(round, |peer| {
                let work = Work { name: peer.kind.name(), target: peer.http, pids: &peer.pids };
                samples.push(sample(options, percent, rate, round, work)?);
                peer.check_alive()
            })?;
            let origin = Work { name: NO_PROXY, target: field.origin, pids: &[] };
            samples.push(sample(options, percent, rate, round, origin)?);
            for (cpu, stalls) in &mut watched {
                *stalls = stalls.and(Stalls::watch(*cpu, WATCH)?);
            }
        }
    }
    let summaries = summaries(options, &samples);
    let machine = stalls::show(&watched);
    println!("{}{machine}", table(&rows(&summaries)));
    if let Some(path) = &options.json {
        let text = serde_json::json!({ "peak": peak, "samples": samples, "stalls": watched, "summaries": summaries })
            .to_string();
        std::fs::write(path, text).context(|| path.display().to_string())?;
    }
    if let Some(page) = &options.document {
        document::replace(page, "tail", &section(options, peak, &summaries, &machine))?;
    }
    check(options, &summaries)
}

/// What the baseline does when its CPU is always busy. By its CPU time, not by the rate that was reached: the load may
/// have been what was slow.
fn peak(options: &Options, field: &mut Field) -> Result<f64, Error> {
    let baseline = options.baseline();
    let peer = field.peers.iter_mut().find(|peer| peer.kind == baseline);
    let peer = peer.ok_or_else(|| Error::program("--tail", "nothing to measure"))?;
    let rates = (0..PEAK_ROUNDS).map(|_| {
        let before = usage::cpu_microseconds(&peer.pids)?;
        let seen = wrk::measure(&load(peer.http, None, options.seconds))?;
        let spent = usage::cpu_microseconds(&peer.pids)? - before;
        Ok(seen.requests as f64 * 1e6 / spent.max(1) as f64)
    });
    let rates: Vec<f64> = rates.collect::<Result<_, Error>>()?;
    Spread::of(rates).map(|rates| rates.median).ok_or_else(|| Error::program("--tail", "no peak"))
}

fn load(target: SocketAddr, rate: Option<f64>, seconds: f64) -> load::Options {
    load::Options {
        target,
        host: HOST.to_owned(),
        path: SMALL.path(),
        connections: SMALL.connections,
        seconds,
        warmup: WARMUP_SECONDS,
        rate,
        tls: false,
        new_connections: false,
        websocket: false,
        timeout: 10.0,
        cpu: None,
        json: false,
    }
}

/// Who is asked, and the processes whose CPU time is counted.
struct Work<'a> {
    name: &'static str,
    target: SocketAddr,
    pids: &'a [u32],
}

fn sample(options: &Options, percent: u32, rate: f64, round: usize, work: Work<'_>) -> Result<Sample, Error> {
    let seconds = (options.tail_requests as f64 / rate).max(1.0);
    let cpu = options.load_cpu;
    let (before, busy) = (usage::cpu_microseconds(work.pids)?, usage::cpu_time(cpu)?);
    let load = load::measure(&load(work.target, Some(rate), seconds))?;
    let spent = usage::cpu_microseconds(work.pids)? - before;
    let load_busy = usage::cpu_time(cpu)?.busy_since(busy);
    let cpu_us_per_request = spent as f64 / (load.requests.max(1) as f64 * (1.0 + WARMUP_SECONDS / seconds));
    Ok(Sample { percent, peer: work.name, round, cpu_us_per_request, load_busy, load })
}

fn summaries(options: &Options, samples: &[Sample]) -> Vec<TailSummary> {
    let baseline = options.baseline().name();
    let mut summaries = Vec::new();
    for &percent in &options.tail {
        for name in Kind::ALL.map(Kind::name).into_iter().chain([NO_PROXY]) {
            summaries.extend(summary(percent, name, baseline, samples));
        }
    }
    summaries
}

fn summary(percent: u32, peer: &'static str, baseline: &str, samples: &[Sample]) -> Option<TailSummary> {
    let of = |peer| samples.iter().filter(move |sample| sample.percent == percent && sample.peer == peer);
    let spread = |figure: fn(&Sample) -> f64| Spread::of(of(peer).map(figure));
    let p999 = |sample: &Sample| sample.load.latency_p999_us as f64;
    let ratios = of(peer).filter_map(|own| {
        let measure = samples
            .iter()
            .find(|sample| (sample.percent, sample.peer, sample.round) == (percent, baseline, own.round))?;
        Some(p999(own) / p999(measure).max(1.0))
    });
    Some(TailSummary {
        percent,
        peer,
        p50_us: spread(|sample| sample.load.latency_p50_us as f64)?,
        p99_us: spread(|sample| sample.load.latency_p99_us as f64)?,
        p999_us: spread(p999)?,
        p999_ratio: Spread::of(ratios),
        cpu_us_per_request: spread(|sample| sample.cpu_us_per_request)?,
        failures: of(peer).map(|sample| sample.load.failures()).sum(),
        overloaded: of(peer).filter(|sample| sample.load_busy > LOAD_BUSY_MAX).count(),
    })
}

fn rows(summaries: &[TailSummary]) -> Vec<Vec<String>> {
    let titles = [
        "of the peak",
        "proxy",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "p99.9 ratio",
        "CPU us/request",
        "failed",
        "load busy",
    ];
    let rows = summaries.iter().map(|summary| {
        vec![
            format!("{} %", summary.percent),
            summary.peer.to_owned(),
            summary.p50_us.show(0),
            summary.p99_us.show(0),
            summary.p999_us.show(0),
            summary.p999_ratio.map_or_else(String::new, |ratio| ratio.show(2)),
            match summary.peer {
                NO_PROXY => String::new(),
                _ => summary.cpu_us_per_request.show(1),
            },
            summary.failures.to_string(),
            summary.overloaded.to_string(),
        ]
    });
    std::iter::once(titles.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn section(options: &Options, peak: f64, summaries: &[TailSummary], machine: &str) -> String {
    let run = options.head();
    let mut text = format!(
        "{}. The peak is that of {}: {peak:.0} requests/s with its CPU always busy. {} rounds of at least {} requests on {} \
         connections; median, in brackets minimum and maximum; the ratio is to {} in the same round. \"load busy\" counts \
         the rounds in which the CPU of load and origin was more than {:.0} % busy: what waits there is the load. \"{NO_PROXY}\" is the \
         same load on the origin itself. {machine}\n\n",
        run.conditions(),
        run.baseline,
        run.rounds,
        options.tail_requests,
        SMALL.connections,
        run.baseline,
        LOAD_BUSY_MAX * 100.0,
    );
    for (index, row) in rows(summaries).iter().enumerate() {
        writeln!(text, "| {} |", row.join(" | ")).expect("writing to a String");
        if index == 0 {
            writeln!(text, "|{}", "---|".repeat(row.len())).expect("writing to a String");
        }
    }
    text
}

fn check(options: &Options, summaries: &[TailSummary]) -> Result<(), Error> {
    let Some(bound) = options.tail_ratio_max else { return Ok(()) };
    for summary in summaries.iter().filter(|summary| summary.peer == Kind::Ringress.name()) {
        let ratio = summary.p999_ratio.filter(|_| options.baseline() == Kind::Nginx);
        let ratio = ratio.ok_or_else(|| Error::Bound("nothing to compare: nginx is missing".into()))?;
        if ratio.median > bound || summary.failures > 0 {
            return Err(Error::Bound(format!(
                "{} % of the peak: p99.9 is {} of nginx', bound {bound}; {} requests failed",
                summary.percent,
                ratio.show(2),
                summary.failures
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_compared_inside_each_round_and_an_overloaded_load_is_counted() {
        let sample = |peer, round, p999, load_busy| Sample {
            percent: 80,
            peer,
            round,
            cpu_us_per_request: 20.0,
            load_busy,
            load: Summary { latency_p999_us: p999, ..Summary::default() },
        };
        let samples = [
            sample("ringress", 0, 800, 0.5),
            sample("nginx", 0, 1000, 0.5),
            sample("ringress", 1, 3000, 0.99),
            sample("nginx", 1, 6000, 0.5),
        ];
        let own = summary(80, "ringress", "nginx", &samples).expect("it was measured");
        let ratio = own.p999_ratio.expect("both are there");
        assert!((ratio.min - 0.5).abs() < 1e-9 && (ratio.max - 0.8).abs() < 1e-9, "{ratio:?}");
        assert_eq!(own.overloaded, 1);
        assert!(summary(50, "ringress", "nginx", &samples).is_none());
    }
}
