//! h2load as the load of HTTP/2: starting it and reading its report.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::{Context, Error};
use crate::load::{Options, Summary};

/// Requests on one connection: what proxies allow by default before they send a client away, which h2load counts as
/// failures of the requests after it.
const REQUESTS_PER_CONNECTION: usize = 1000;

/// Runs h2load with one thread until the time is over; it prints no percentiles, so those stay zero.
pub(crate) fn measure(options: &Options, streams: usize) -> Result<Summary, Error> {
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let mut total = Summary::default();
    let mut seconds = 0.0;
    while Instant::now() < until {
        let text = run(options, streams)?;
        let (run, took) =
            parse(&text).ok_or_else(|| Error::program("h2load", format!("no figures in its output:\n{text}")))?;
        total.requests += run.requests;
        total.failed_status += run.failed_status;
        total.failed_timeout += run.failed_timeout;
        total.closed_unannounced += run.closed_unannounced;
        seconds += took;
    }
    total.requests_per_second = total.requests as f64 / seconds;
    Ok(total)
}

fn run(options: &Options, streams: usize) -> Result<String, Error> {
    let output = Command::new("h2load")
        .args(["-t1", "-c", &options.connections.to_string(), "-m", &streams.to_string()])
        .args(["-n", &(options.connections * REQUESTS_PER_CONNECTION).to_string()])
        .args(["--connect-to", &options.target.to_string()])
        .arg(format!("https://{}{}", options.host, options.path))
        .output()
        .context(|| "start h2load".into())?;
    if !output.status.success() {
        return Err(Error::program("h2load", String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The figures and the seconds of a run.
fn parse(text: &str) -> Option<(Summary, f64)> {
    let mut summary = Summary::default();
    let mut took = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("finished in ") {
            took = seconds(rest.split(',').next()?);
        } else if let Some(rest) = line.strip_prefix("requests: ") {
            summary.requests = count(rest, "succeeded")?;
            summary.failed_timeout = count(rest, "timeout")?;
            summary.closed_unannounced = count(rest, "errored")?;
        } else if let Some(rest) = line.strip_prefix("status codes: ") {
            summary.failed_status = count(rest, "3xx")? + count(rest, "4xx")? + count(rest, "5xx")?;
        }
    }
    (summary.requests > 0).then_some((summary, took?))
}

/// The number before `word` in `1 total, 2 started`.
fn count(list: &str, word: &str) -> Option<u64> {
    list.split(", ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
}

fn seconds(time: &str) -> Option<f64> {
    let unit = time.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &time[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(time[..unit].parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "finished in 562.10ms, 28465.12 req/s, 5.02MB/s
requests: 16000 total, 16000 started, 16000 done, 15998 succeeded, 2 failed, 1 errored, 1 timeout
status codes: 15998 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 2.82MB (2957008) total";

    #[test]
    fn a_report_is_read_in_full() {
        let (summary, took) = parse(REPORT).expect("a report");
        assert_eq!((summary.requests, summary.closed_unannounced, summary.failed_timeout), (15_998, 1, 1));
        assert!((took - 0.5621).abs() < 1e-9);
    }

    #[test]
    fn no_report_is_no_figures() {
        assert!(parse("unable to connect").is_none());
    }
}
