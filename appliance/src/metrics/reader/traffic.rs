//! What was served, by host and Ingress: numbers since the start, of which who shows them takes differences.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::{Reader, SeriesRow, merge};
use crate::metrics::RequestMetric;

/// Rows of one view; those with the most requests.
const ROWS_MAX: usize = 100;

/// Quantiles of the last minute.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// One view of the traffic.
#[derive(Debug, Serialize)]
pub(crate) struct Traffic {
    /// By worker.
    workers: Vec<WorkerTraffic>,
    /// `(quantile, seconds)` of all requests of the last minute.
    quantiles: Vec<(f64, f64)>,
    /// Upper bounds of the buckets of `durations`, in seconds; the last bucket has none.
    bounds: Vec<f64>,
    /// Those with the most requests first.
    rows: Vec<Row>,
    /// Rows that are not among them.
    rows_left_off: usize,
}

/// What a worker has done.
#[derive(Debug, Serialize)]
struct WorkerTraffic {
    requests: u64,
    bytes_received: u64,
    bytes_sent: u64,
    connections: u64,
    connections_idle: u64,
}

/// One Ingress on one host.
#[derive(Debug, Default, Serialize)]
struct Row {
    namespace: String,
    ingress: String,
    host: String,
    requests: u64,
    /// Answered with 4xx.
    client_errors: u64,
    /// Answered with 5xx.
    server_errors: u64,
    /// Requests by duration.
    durations: Vec<u64>,
}

impl Reader {
    /// The traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.gather();
        let series: Vec<SeriesRow> =
            self.lock().series.iter().map(|(key, cores)| (key.clone(), cores.clone())).collect();
        let quantiles = self.lock().durations.quantiles(Instant::now(), &QUANTILES);
        let durations = self.layout.histograms.iter().find(|layout| layout.metric == RequestMetric::RequestDuration);
        let mut rows: HashMap<_, Row> = HashMap::new();
        for (key, cores) in &series {
            let labels = &key.labels;
            let row = rows.entry((&labels.namespace, &labels.ingress, &labels.host)).or_default();
            let requests = cores.iter().map(|core| core.requests()).sum::<u64>();
            row.requests += requests;
            // A status, or its first digit.
            match key.status {
                4 | 400..=499 => row.client_errors += requests,
                5 | 500..=599 => row.server_errors += requests,
                _ => {}
            }
            if let Some(layout) = durations {
                let counts = merge(layout, cores).counts;
                row.durations.resize(counts.len(), 0);
                row.durations.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        let rows = rows.into_iter().map(|((namespace, ingress, host), row)| Row {
            namespace: namespace.to_string(),
            ingress: ingress.to_string(),
            host: host.to_string(),
            ..row
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|a, b| {
            let name = |row: &Row| (row.namespace.clone(), row.ingress.clone(), row.host.clone());
            b.requests.cmp(&a.requests).then_with(|| name(a).cmp(&name(b)))
        });
        let rows_left_off = rows.len().saturating_sub(ROWS_MAX);
        rows.truncate(ROWS_MAX);
        let bounds = durations.map(|layout| layout.labels.to_vec()).unwrap_or_default();
        Traffic { workers: self.workers(), quantiles, bounds, rows, rows_left_off }
    }

    fn workers(&self) -> Vec<WorkerTraffic> {
        let of = |core: &Arc<crate::metrics::CoreCounters>| WorkerTraffic {
            requests: core.requests.get(),
            bytes_received: core.bytes_received.get(),
            bytes_sent: core.bytes_sent.get(),
            connections: core.connections.get(),
            connections_idle: core.connections_idle.get(),
        };
        self.counters.iter().map(of).collect()
    }
}
