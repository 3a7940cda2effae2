//! Measures a proxy from outside: load, origin, side-by-side comparison, idle memory, many Ingresses.
//!
//! Stands alone: it knows ringress only as a program with flags, as it knows nginx and HAProxy. Its own HTTP/1.1 is
//! monoio-http, which is safe here and only here: both ends of every connection are ours.
#![forbid(unsafe_code)]

mod cluster;
mod compare;
mod document;
mod error;
mod h2load;
mod idle;
mod load;
mod origin;
mod peer;
mod probe;
mod report;
mod runtime;
mod scale;
mod scenario;
mod stalls;
mod usage;
mod wrk;

use std::process::ExitCode;

use clap::Parser;

/// Load generator, origin server and comparison for HTTP proxies.
#[derive(Parser)]
#[command(name = "ringress-bench", version)]
enum Command {
    /// An HTTP/1.1 origin: answers every request with a fixed number of bytes, or /bytes/N with N.
    Origin(origin::Options),
    /// Puts load on an address and reports rate, latency, errors and closed connections.
    Load(load::Options),
    /// ringress, nginx and HAProxy side by side on one CPU: CPU per request, rate, latency.
    Compare(compare::Options),
    /// Memory of one idle keep-alive connection, by the growth of the process at many of them.
    Idle(idle::Options),
    /// A folder of many Ingresses: time to ready, time from a change to the first answer.
    Scale(scale::Options),
    /// A fake API server of many objects: start, propagation, idling, rolling updates, a storm of endpoint changes.
    Cluster(Box<cluster::Options>),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Origin(options) => origin::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Scale(options) => scale::run(&options),
        Command::Cluster(options) => cluster::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringress-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
