//! `ringress top`: the dashboard's figures in a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use crate::admin::client;
use crate::cli::Top;
use crate::metrics::{Traffic, TrafficRow};

/// Rows of Ingresses on the screen.
const ROWS: usize = 20;

/// To the upper left corner, and nothing below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum TopError {
    /// The instance gave none.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// The instance's answer is not one of this version.
    #[error("the instance's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    /// Nowhere to write, or no runtime.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

/// What is shown of `/api/status`.
#[derive(Deserialize)]
struct Status {
    version: String,
    driver: String,
    source: String,
    ready: bool,
    draining: bool,
    generation: u64,
    adopted: Vec<u64>,
    rejected: Vec<serde_json::Value>,
}

/// Runs the command until it is interrupted, or shows one view.
pub fn run(top: &Top) -> ExitCode {
    match show(top) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough.
        Err(TopError::System(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ringress: {error}");
            ExitCode::from(2)
        }
    }
}

fn show(top: &Top) -> Result<(), TopError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut before = runtime.block_on(fetch::<Traffic>(top, "/api/traffic"))?;
    let mut out = std::io::stdout();
    let clear = if out.is_terminal() && !top.once { CLEAR } else { "" };
    loop {
        runtime.block_on(async { tokio::time::sleep(top.interval).await });
        let now = runtime.block_on(fetch::<Traffic>(top, "/api/traffic"))?;
        let status = runtime.block_on(fetch::<Status>(top, "/api/status"))?;
        out.write_all(format!("{clear}{}", view(&status, &before, &now, top.interval)).as_bytes())?;
        out.flush()?;
        if top.once {
            return Ok(());
        }
        before = now;
    }
}

async fn fetch<T: for<'a> Deserialize<'a>>(top: &Top, path: &str) -> Result<T, TopError> {
    Ok(serde_json::from_slice(&client::get(&top.admin, path).await?)?)
}

/// One screen. Figures are of the time between the two views; the quantiles of the first lines are of the last minute.
fn view(status: &Status, before: &Traffic, now: &Traffic, interval: Duration) -> String {
    let Status { version, driver, source, generation, .. } = status;
    let state = match (status.draining, status.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "NOT READY",
    };
    let behind = status.adopted.iter().filter(|adopted| *adopted != generation).count();
    let rate = |now: u64, before: u64| per_second(now.saturating_sub(before), interval);
    let total = |traffic: &Traffic| traffic.workers.iter().map(|worker| worker.requests).sum::<u64>();
    let connections: u64 = now.workers.iter().map(|worker| worker.connections).sum();
    let quantiles: Vec<String> =
        now.quantiles.iter().map(|(quantile, value)| format!("p{} {}", quantile * 100.0, time(Some(*value)))).collect();
    let mut text = format!(
        "ringress {version}, {driver}, {source}: {state}, generation {generation}{}, {} findings\n\
         {} requests/s, {connections} connections; last minute: {}\n",
        if behind > 0 { format!(" ({behind} workers behind)") } else { String::new() },
        status.rejected.len(),
        rate(total(now), total(before)),
        if quantiles.is_empty() { "no requests".to_owned() } else { quantiles.join(", ") },
    );
    for (number, worker) in now.workers.iter().enumerate() {
        let old = before.workers.get(number).map_or(0, |old| old.requests);
        let requests = rate(worker.requests, old);
        text += &format!("worker {number}: {requests} requests/s, {} connections\n", worker.connections);
    }
    text += &format!(
        "\n{:<32} {:<32} {:>10} {:>7} {:>7} {:>9} {:>9}\n",
        "HOST", "INGRESS", "REQUESTS/S", "4XX", "5XX", "P50", "P99"
    );
    let mut rows: Vec<TrafficRow> = now.rows.iter().map(|row| row.since(before)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.requests));
    for row in rows.iter().take(ROWS) {
        text += &line(row, &now.bounds, interval);
    }
    let more = rows.len().saturating_sub(ROWS) + now.rows_left_off;
    if more > 0 {
        text += &format!("and {more} more\n");
    }
    text
}

fn line(row: &TrafficRow, bounds: &[f64], interval: Duration) -> String {
    let host = if row.host.is_empty() { "(all others)" } else { &row.host };
    let ingress = format!("{}/{}", row.namespace, row.ingress);
    let quantile = |of: f64| format!("<={}", time(row.quantile(of, bounds)));
    format!(
        "{:<32} {:<32} {:>10} {:>7} {:>7} {:>9} {:>9}\n",
        cut(host),
        cut(&ingress),
        per_second(row.requests, interval),
        per_second(row.client_errors, interval),
        per_second(row.server_errors, interval),
        quantile(0.5),
        quantile(0.99),
    )
}

/// The column's width of a name, its end left off.
fn cut(name: &str) -> String {
    if name.chars().count() <= 32 { name.to_owned() } else { name.chars().take(31).chain(['…']).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, interval: Duration) -> String {
    let rate = count as f64 / interval.as_secs_f64();
    if rate == 0.0 || rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds.is_infinite() => "more".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.1}ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.2}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(requests: u64, fast: u64) -> Traffic {
        serde_json::from_value(serde_json::json!({
            "workers": [{"requests": requests, "bytes_received": 0, "bytes_sent": 0, "connections": 3, "connections_idle": 1}],
            "quantiles": [[0.5, 0.0012]],
            "bounds": [0.005, 0.1],
            "rows": [{"namespace": "shop", "ingress": "web", "host": "a.test", "requests": requests, "client_errors": 0,
                "server_errors": 4, "durations": [fast, requests - fast, 0]}],
            "rows_left_off": 7
        }))
        .unwrap()
    }

    #[test]
    fn a_view_shows_what_happened_since_the_one_before() {
        let status = Status {
            version: "1".into(),
            driver: "epoll".into(),
            source: "kube".into(),
            ready: true,
            draining: false,
            generation: 9,
            adopted: vec![9, 8],
            rejected: vec![],
        };
        let text = view(&status, &traffic(100, 90), &traffic(300, 190), Duration::from_secs(2));
        assert!(
            text.contains("ready, generation 9 (1 workers behind), 0 findings\n100 requests/s, 3 connections"),
            "{text}"
        );
        assert!(text.contains("p50 1.2ms"), "{text}");
        let row = text.lines().find(|line| line.starts_with("a.test")).unwrap();
        let columns: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(columns, ["a.test", "shop/web", "100", "0", "0", "<=5.0ms", "<=100.0ms"]);
        assert!(text.ends_with("and 7 more\n"), "{text}");
    }
}
