//! The side-by-side comparison. Every proxy runs with one worker on the same CPU, origin and load share the other one,
//! and the proxies take turns within each round: a noisy machine then hits all of them, and the ratio inside a round
//! says more than any figure alone.

mod tail;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use crate::document;
use crate::error::{Context, Error};
use crate::load::{self, Summary};
use crate::peer::{self, Ground, HOST, Kind, Peer, Process, Setup};
use crate::report::{Spread, table};
use crate::scenario::{Generator, SCENARIOS, Scenario};
use crate::{h2load, usage, wrk};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The ringress binary.
    #[arg(long, default_value = "target/release/ringress")]
    ringress: PathBuf,
    /// Proxies; one that is not installed is named and left out.
    #[arg(long, value_delimiter = ',', default_value = "ringress,nginx,haproxy,envoy,traefik,caddy,pingora")]
    peers: Vec<Kind>,
    /// Names of the scenarios, all without.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Without it 5, and 7 with --tail.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of load for each proxy in each round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The load of kept connections.
    #[arg(long, value_enum, default_value = "wrk")]
    load: Generator,
    /// The proxies' CPU.
    #[arg(long, default_value_t = 0)]
    proxy_cpu: usize,
    /// The CPU of origin and load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Instead of the scenarios: requests at these percentages of nginx' peak, in an open loop, and their p99.9.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["scenarios", "load"])]
    tail: Vec<u32>,
    /// Requests of each round of --tail, at least.
    #[arg(long, default_value_t = 200_000)]
    tail_requests: u64,
    /// Fail when ringress' p99.9 is more than this share of nginx' in the same round (median) at any percentage.
    #[arg(long)]
    tail_ratio_max: Option<f64>,
    /// Fail when ringress needs more than this share of nginx's CPU per request (median) in any scenario run.
    #[arg(long)]
    cpu_ratio_max: Option<f64>,
    /// Write the figures of every round to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write table and plot into this page, between its marks.
    #[arg(long)]
    document: Option<PathBuf>,
    /// The marks of the page that are meant, and the name of the plot; --tail has its own.
    #[arg(long, default_value = "compare")]
    section: String,
}

impl Options {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.tail.is_empty() { 5 } else { 7 })
    }

    /// The first proxy asked for is the measure where nginx is not.
    fn baseline(&self) -> Kind {
        let asked = self.peers.iter().copied().filter(|kind| kind.installed(&self.ringress));
        asked.clone().find(|&kind| kind == Kind::Nginx).or(asked.into_iter().next()).unwrap_or(Kind::Nginx)
    }

    /// Head of the page's section.
    fn head(&self) -> document::Run<'_> {
        let (here, missing) = self.peers.iter().copied().partition(|kind| kind.installed(&self.ringress));
        document::Run {
            section: &self.section,
            rounds: self.rounds(),
            seconds: self.seconds,
            ringress: &self.ringress,
            here,
            missing,
            baseline: self.baseline().name(),
            cpus: [self.proxy_cpu, self.load_cpu],
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    usage::pin(&[options.load_cpu])?;
    let scenarios = chosen(&options.scenarios)?;
    if !options.tail.is_empty() {
        return tail::run(options);
    }
    let mut samples = Vec::new();
    for group in scenarios.chunk_by(|one, next| one.setup() == next.setup()) {
        let mut field = Field::start(options, group[0].setup())?;
        for &scenario in group {
            for round in 0..options.rounds() {
                field.in_turn(round, |peer| {
                    samples.push(sample(options, scenario, round, peer)?);
                    Ok(())
                })?;
            }
            println!("{}", show(scenario, &samples, options.baseline()));
        }
    }
    let summaries = summaries(&samples, options.baseline());
    if let Some(path) = &options.json {
        let text = serde_json::json!({ "samples": samples, "summaries": summaries }).to_string();
        std::fs::write(path, text).context(|| path.display().to_string())?;
    }
    if let Some(page) = &options.document {
        document::write(page, &options.head(), &summaries)?;
    }
    check(options, &summaries)
}

fn chosen(names: &[String]) -> Result<Vec<Scenario>, Error> {
    if names.is_empty() {
        return Ok(SCENARIOS.to_vec());
    }
    let known = || SCENARIOS.map(|scenario| scenario.name).join(", ");
    names
        .iter()
        .map(|name| {
            let scenario = SCENARIOS.into_iter().find(|scenario| scenario.name == name);
            scenario.ok_or_else(|| Error::program("--scenarios", format!("no {name}; there are {}", known())))
        })
        .collect()
}

/// The running proxies with their origin.
struct Field {
    peers: Vec<Peer>,
    /// What they all have behind them.
    origin: SocketAddr,
    /// Ends after them.
    _origin: Process,
}

impl Field {
    fn start(options: &Options, setup: Setup) -> Result<Self, Error> {
        let (process, origin) = match setup.websocket {
            false => peer::start_origin(options.load_cpu)?,
            true => peer::start_websocket_origin(options.load_cpu)?,
        };
        let cpus = [options.proxy_cpu, options.load_cpu];
        let ground = Ground { setup, ..Ground::new(&options.ringress, origin, cpus) };
        let mut peers = Vec::new();
        for &kind in &options.peers {
            if kind.installed(&options.ringress) {
                peers.push(Peer::start(kind, &ground)?);
            } else {
                println!("{}: not here, left out", kind.name());
            }
        }
        if peers.is_empty() {
            return Err(Error::program("compare", "no proxy is here"));
        }
        Ok(Self { peers, origin, _origin: process })
    }

    /// Each proxy once, another one first in each round.
    fn in_turn(&mut self, round: usize, mut act: impl FnMut(&mut Peer) -> Result<(), Error>) -> Result<(), Error> {
        let count = self.peers.len();
        (0..count).try_for_each(|turn| act(&mut self.peers[(turn + round) % count]))
    }
}

/// One proxy under one load in one round.
#[derive(Debug, Serialize)]
struct Sample {
    scenario: &'static str,
    peer: &'static str,
    round: usize,
    cpu_us_per_request: f64,
    load: Summary,
}

fn sample(options: &Options, scenario: Scenario, round: usize, peer: &mut Peer) -> Result<Sample, Error> {
    let load = load::Options {
        target: if scenario.tls { peer.https } else { peer.http },
        host: HOST.to_owned(),
        path: scenario.path(),
        connections: scenario.connections,
        seconds: options.seconds,
        warmup: 0.0,
        rate: None,
        tls: scenario.tls,
        new_connections: scenario.new_connections,
        websocket: scenario.websocket,
        timeout: 10.0,
        cpu: None,
        json: false,
    };
    let before = usage::cpu_microseconds(&peer.pids)?;
    let summary = match scenario.generator(options.load) {
        Generator::Wrk => wrk::measure(&load)?,
        Generator::Own => load::measure(&load)?,
        Generator::H2load => h2load::measure(&load, scenario.streams)?,
    };
    let spent = usage::cpu_microseconds(&peer.pids)? - before;
    peer.check_alive()?;
    Ok(Sample {
        scenario: scenario.name,
        peer: peer.kind.name(),
        round,
        cpu_us_per_request: spent as f64 / summary.requests.max(1) as f64,
        load: summary,
    })
}

/// One proxy's figures over all rounds of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct PeerSummary {
    pub(crate) scenario: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) cpu_us_per_request: Spread,
    /// Of the baseline (nginx) in the same round.
    pub(crate) cpu_ratio: Option<Spread>,
    pub(crate) requests_per_second: Spread,
    pub(crate) latency_p50_us: Spread,
    pub(crate) latency_p99_us: Spread,
    pub(crate) failures: u64,
}

fn summaries(samples: &[Sample], baseline: Kind) -> Vec<PeerSummary> {
    let mut summaries = Vec::new();
    for scenario in SCENARIOS {
        for kind in Kind::ALL {
            summaries.extend(summary(scenario.name, kind.name(), samples, baseline));
        }
    }
    summaries
}

fn summary(scenario: &'static str, peer: &'static str, samples: &[Sample], baseline: Kind) -> Option<PeerSummary> {
    let of = |peer| samples.iter().filter(move |sample| sample.scenario == scenario && sample.peer == peer);
    let spread = |figure: fn(&Sample) -> f64| Spread::of(of(peer).map(figure));
    let ratios = of(peer).filter_map(|own| {
        let measure = of(baseline.name()).find(|measure| measure.round == own.round)?;
        Some(own.cpu_us_per_request / measure.cpu_us_per_request)
    });
    Some(PeerSummary {
        scenario,
        peer,
        cpu_us_per_request: spread(|sample| sample.cpu_us_per_request)?,
        cpu_ratio: Spread::of(ratios),
        requests_per_second: spread(|sample| sample.load.requests_per_second)?,
        latency_p50_us: spread(|sample| sample.load.latency_p50_us as f64)?,
        latency_p99_us: spread(|sample| sample.load.latency_p99_us as f64)?,
        failures: of(peer).map(|sample| sample.load.failures()).sum(),
    })
}

fn show(scenario: Scenario, samples: &[Sample], baseline: Kind) -> String {
    let of_baseline = format!("/{}", baseline.name());
    let titles = ["", "CPU us/request", &of_baseline, "requests/s", "p50 us", "p99 us", "failed"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for summary in summaries(samples, baseline).iter().filter(|summary| summary.scenario == scenario.name) {
        rows.push(vec![
            summary.peer.to_owned(),
            summary.cpu_us_per_request.show(1),
            summary.cpu_ratio.map_or_else(String::new, |ratio| ratio.show(2)),
            summary.requests_per_second.show(0),
            summary.latency_p50_us.show(0),
            summary.latency_p99_us.show(0),
            summary.failures.to_string(),
        ]);
    }
    let mut text = String::new();
    let rounds = samples.iter().filter(|sample| sample.scenario == scenario.name).map(|sample| sample.round).max();
    writeln!(text, "{} ({} rounds, median [min..max])", scenario.name, rounds.map_or(0, |round| round + 1))
        .expect("writing to a String");
    text.push_str(&table(&rows));
    text
}

fn check(options: &Options, summaries: &[PeerSummary]) -> Result<(), Error> {
    let Some(bound) = options.cpu_ratio_max else { return Ok(()) };
    if options.baseline() != Kind::Nginx {
        return Err(Error::Bound("nothing to compare: nginx is missing".into()));
    }
    let mut compared = false;
    for summary in summaries.iter().filter(|summary| summary.peer == Kind::Ringress.name()) {
        let Some(ratio) = summary.cpu_ratio else { continue };
        compared = true;
        if ratio.median > bound {
            let text = format!("{}: CPU per request is {} of nginx, bound {bound}", summary.scenario, ratio.show(2));
            return Err(Error::Bound(text));
        }
        if summary.failures > 0 {
            return Err(Error::Bound(format!("{}: {} requests failed", summary.scenario, summary.failures)));
        }
    }
    if compared { Ok(()) } else { Err(Error::Bound("nothing to compare: ringress is missing".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_of(peer: &'static str, round: usize, cpu_us_per_request: f64) -> Sample {
        Sample { scenario: SCENARIOS[0].name, peer, round, cpu_us_per_request, load: Summary::default() }
    }

    #[test]
    fn the_ratio_is_taken_inside_each_round() {
        // Round 1 was twice as slow for both: ratios 0.8 and 0.6, whatever the medians say.
        let samples = [
            sample_of("ringress", 0, 8.0),
            sample_of("nginx", 0, 10.0),
            sample_of("ringress", 1, 12.0),
            sample_of("nginx", 1, 20.0),
        ];
        let summaries = summaries(&samples, Kind::Nginx);
        let ratio = summaries[0].cpu_ratio.expect("both are there");
        assert!((ratio.min - 0.6).abs() < 1e-9 && (ratio.max - 0.8).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn a_scenario_that_does_not_exist_is_an_error() {
        let error = chosen(&["keepalive-65".to_owned()]).expect_err("no such scenario");
        assert!(error.to_string().contains("keepalive-64"), "{error}");
    }
}
