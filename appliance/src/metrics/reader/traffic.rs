//! What was served, by host and Ingress: numbers since the start, of which who shows them takes differences.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Reader, SeriesRow, merge};
use crate::metrics::RequestMetric;

/// Rows of one view; those with the most requests.
const ROWS_MAX: usize = 100;

/// Quantiles of the last minute.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// One view of the traffic.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Traffic {
    /// By worker.
    pub(crate) workers: Vec<WorkerTraffic>,
    /// `(quantile, seconds)` of all requests of the last minute.
    pub(crate) quantiles: Vec<(f64, f64)>,
    /// Upper bounds of the buckets of `durations`, in seconds; the last bucket has none.
    pub(crate) bounds: Vec<f64>,
    /// Requests of all rows, those that are left off among them.
    #[serde(default)]
    pub(crate) requests: u64,
    /// Of these, answered with 5xx.
    #[serde(default)]
    pub(crate) server_errors: u64,
    /// Those with the most requests first.
    pub(crate) rows: Vec<TrafficRow>,
    /// Rows that are not among them.
    pub(crate) rows_left_off: usize,
}

/// What a worker has done.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct WorkerTraffic {
    pub(crate) requests: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) connections: u64,
    pub(crate) connections_idle: u64,
}

/// One Ingress on one host.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct TrafficRow {
    pub(crate) namespace: String,
    pub(crate) ingress: String,
    pub(crate) host: String,
    pub(crate) requests: u64,
    /// Answered with 4xx.
    pub(crate) client_errors: u64,
    /// Answered with 5xx.
    pub(crate) server_errors: u64,
    /// Requests by duration.
    pub(crate) durations: Vec<u64>,
}

impl TrafficRow {
    /// By which two views know the same row.
    fn name(&self) -> (&str, &str, &str) {
        (&self.namespace, &self.ingress, &self.host)
    }

    /// What came since an earlier view; all of it when the row was not in that.
    pub(crate) fn since(&self, before: &Traffic) -> Self {
        let mut row = self.clone();
        let Some(old) = before.rows.iter().find(|old| old.name() == self.name()) else { return row };
        row.requests = row.requests.saturating_sub(old.requests);
        row.client_errors = row.client_errors.saturating_sub(old.client_errors);
        row.server_errors = row.server_errors.saturating_sub(old.server_errors);
        row.durations.iter_mut().zip(&old.durations).for_each(|(now, old)| *now = now.saturating_sub(*old));
        row
    }

    /// The upper bound of the bucket in which the quantile lies, infinite for the last; `None` without requests.
    pub(crate) fn quantile(&self, quantile: f64, bounds: &[f64]) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let wanted = quantile * self.durations.iter().sum::<u64>() as f64;
        let mut sum = 0;
        for (bucket, count) in self.durations.iter().enumerate() {
            sum += count;
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
            if sum > 0 && sum as f64 >= wanted {
                return Some(bounds.get(bucket).copied().unwrap_or(f64::INFINITY));
            }
        }
        None
    }
}

impl Reader {
    /// The traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.gather();
        let series: Vec<SeriesRow> =
            self.lock().series.iter().map(|(key, cores)| (key.clone(), cores.clone())).collect();
        let quantiles = self.lock().durations.quantiles(Instant::now(), &QUANTILES);
        let durations = self.layout.histograms.iter().find(|layout| layout.metric == RequestMetric::RequestDuration);
        let mut rows: HashMap<_, TrafficRow> = HashMap::new();
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
                let (counts, _) = merge(layout, cores);
                row.durations.resize(layout.bounds.len() + 1, 0);
                row.durations.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        let rows = rows.into_iter().map(|((namespace, ingress, host), row)| TrafficRow {
            namespace: namespace.to_string(),
            ingress: ingress.to_string(),
            host: host.to_string(),
            ..row
        });
        let mut rows: Vec<TrafficRow> = rows.collect();
        rows.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.name().cmp(&b.name())));
        let sum = |of: fn(&TrafficRow) -> u64| rows.iter().map(of).sum();
        let (requests, server_errors) = (sum(|row| row.requests), sum(|row| row.server_errors));
        let rows_left_off = rows.len().saturating_sub(ROWS_MAX);
        rows.truncate(ROWS_MAX);
        let bounds = durations.map(|layout| layout.labels.to_vec()).unwrap_or_default();
        Traffic { workers: self.workers(), quantiles, bounds, requests, server_errors, rows, rows_left_off }
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
