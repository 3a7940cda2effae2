//! What a run of load saw.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::connection::{Answer, Failure};

/// Three digits of precision over 1 µs to 1 min.
const LATENCY_MICROSECONDS_MAX: u64 = 60_000_000;
const LATENCY_DIGITS: u8 = 3;

pub(super) struct Tally {
    latency: Histogram<u64>,
    failed_status: u64,
    failed_connect: u64,
    failed_timeout: u64,
    closed_announced: u64,
    closed_unannounced: u64,
    malformed: u64,
    body_bytes: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            latency: Histogram::new_with_bounds(1, LATENCY_MICROSECONDS_MAX, LATENCY_DIGITS)
                .expect("constant bounds are valid"),
            failed_status: 0,
            failed_connect: 0,
            failed_timeout: 0,
            closed_announced: 0,
            closed_unannounced: 0,
            malformed: 0,
            body_bytes: 0,
        }
    }

    pub(super) fn book(&mut self, latency: Duration, outcome: &Result<Answer, Failure>) {
        match outcome {
            Ok(answer) => {
                let microseconds = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MICROSECONDS_MAX);
                self.latency.saturating_record(microseconds);
                self.body_bytes += answer.body_bytes;
                self.closed_announced += u64::from(answer.closes);
                self.failed_status += u64::from(!answer.success);
            }
            Err(Failure::Connect) => self.failed_connect += 1,
            Err(Failure::Timeout) => self.failed_timeout += 1,
            Err(Failure::Closed) => self.closed_unannounced += 1,
            Err(Failure::Malformed(_)) => self.malformed += 1,
        }
    }

    pub(super) fn summary(&self, elapsed: Duration) -> Summary {
        let quantile = |q| self.latency.value_at_quantile(q);
        Summary {
            requests: self.latency.len(),
            requests_per_second: self.latency.len() as f64 / elapsed.as_secs_f64(),
            latency_p50_us: quantile(0.5),
            latency_p99_us: quantile(0.99),
            latency_p999_us: quantile(0.999),
            latency_max_us: self.latency.max(),
            body_bytes: self.body_bytes,
            failed_status: self.failed_status,
            failed_connect: self.failed_connect,
            failed_timeout: self.failed_timeout,
            malformed: self.malformed,
            closed_announced: self.closed_announced,
            closed_unannounced: self.closed_unannounced,
        }
    }
}

/// The figures of one run; times in microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Answers received, of any status.
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) latency_p50_us: u64,
    pub(crate) latency_p99_us: u64,
    pub(crate) latency_p999_us: u64,
    pub(crate) latency_max_us: u64,
    pub(crate) body_bytes: u64,
    /// Answers whose status is not 2xx or 3xx.
    pub(crate) failed_status: u64,
    pub(crate) failed_connect: u64,
    pub(crate) failed_timeout: u64,
    /// Answers that were no HTTP.
    pub(crate) malformed: u64,
    /// Connections that the peer closed after saying so in an answer.
    pub(crate) closed_announced: u64,
    /// Connections that ended under a request without an answer.
    pub(crate) closed_unannounced: u64,
}

impl Summary {
    /// Requests that did not get a good answer.
    pub(crate) fn failures(&self) -> u64 {
        self.failed_status + self.failed_connect + self.failed_timeout + self.malformed + self.closed_unannounced
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} requests, {:.0}/s, {} body bytes", self.requests, self.requests_per_second, self.body_bytes)?;
        writeln!(
            f,
            "latency: p50 {} us, p99 {} us, p99.9 {} us, max {} us",
            self.latency_p50_us, self.latency_p99_us, self.latency_p999_us, self.latency_max_us
        )?;
        writeln!(
            f,
            "failed: {} (status {}, connect {}, timeout {}, malformed {}, closed {})",
            self.failures(),
            self.failed_status,
            self.failed_connect,
            self.failed_timeout,
            self.malformed,
            self.closed_unannounced
        )?;
        write!(f, "closed connections: {} announced, {} not", self.closed_announced, self.closed_unannounced)
    }
}
