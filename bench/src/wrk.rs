//! wrk as the load: starting it and reading its report.

use std::process::Command;

use crate::error::{Context, Error};
use crate::load::{Options, Summary};

/// Runs wrk with one thread; figures that it does not print (p99.9) stay zero.
pub(crate) fn measure(options: &Options) -> Result<Summary, Error> {
    let scheme = if options.tls { "https" } else { "http" };
    let output = Command::new("wrk")
        .args(["-t1", "--latency", "-c", &options.connections.to_string()])
        .args(["-d", &format!("{}s", options.seconds.ceil())])
        .args(["-H", &format!("Host: {}", options.host)])
        .arg(format!("{scheme}://{}{}", options.target, options.path))
        .output()
        .context(|| "start wrk".into())?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::program("wrk", String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    parse(&text).ok_or_else(|| Error::program("wrk", format!("no figures in its output:\n{text}")))
}

fn parse(text: &str) -> Option<Summary> {
    let mut summary = Summary::default();
    for line in text.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        match (words.next()?, words.next()) {
            ("50%", Some(time)) => summary.latency_p50_us = microseconds(time)?,
            ("99%", Some(time)) => summary.latency_p99_us = microseconds(time)?,
            ("Latency", Some("Distribution")) => {}
            ("Latency", Some(_average)) => summary.latency_max_us = microseconds(words.nth(1)?)?,
            ("Requests/sec:", Some(rate)) => summary.requests_per_second = rate.parse().ok()?,
            ("Non-2xx", Some(_)) => summary.failed_status = line.rsplit(' ').next()?.parse().ok()?,
            ("Socket", Some("errors:")) => socket_errors(line, &mut summary)?,
            (count, Some("requests")) => summary.requests = count.parse().ok()?,
            _ => {}
        }
    }
    (summary.requests > 0).then_some(summary)
}

/// `Socket errors: connect 1, read 2, write 3, timeout 4`
fn socket_errors(line: &str, summary: &mut Summary) -> Option<()> {
    for part in line.strip_prefix("Socket errors: ")?.split(", ") {
        let (kind, count) = part.split_once(' ')?;
        let count: u64 = count.parse().ok()?;
        match kind {
            "connect" => summary.failed_connect += count,
            "timeout" => summary.failed_timeout += count,
            _ => summary.closed_unannounced += count,
        }
    }
    Some(())
}

fn microseconds(time: &str) -> Option<u64> {
    let unit = time.find(|c: char| c.is_ascii_alphabetic())?;
    let value: f64 = time[..unit].parse().ok()?;
    let factor = match &time[unit..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        _ => return None,
    };
    Some((value * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
Running 2s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.41ms  500.00us   9.03ms   80.00%
    Req/Sec    45.00k     2.00k   48.00k    70.00%
  Latency Distribution
     50%    1.30ms
     75%    1.60ms
     90%    1.90ms
     99%  950.00us
  90100 requests in 2.00s, 20.11MB read
  Socket errors: connect 0, read 3, write 1, timeout 2
  Non-2xx or 3xx responses: 17
Requests/sec:  45000.50
Transfer/sec:     10.05MB
";

    #[test]
    fn a_report_with_errors_is_read_in_full() {
        let summary = parse(REPORT).expect("figures");
        assert_eq!(summary.requests, 90_100);
        assert_eq!((summary.latency_p50_us, summary.latency_p99_us, summary.latency_max_us), (1300, 950, 9030));
        assert_eq!((summary.failed_status, summary.failed_timeout, summary.closed_unannounced), (17, 2, 4));
        assert_eq!(summary.failures(), 23);
    }

    #[test]
    fn no_report_is_no_figures() {
        assert!(parse("unable to connect to 127.0.0.1:1 Connection refused").is_none());
    }
}
