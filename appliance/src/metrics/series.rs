//! The counters of one route, method, status and canary on one core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ringress_config::snapshot::{ClusterKey, RouteLabels};

use super::RequestMetric;
use super::cell::Counter;
use super::core_metrics::{Method, Outcome};
use super::layout::{HistogramLayout, Layout};

/// Written by its core, read by the admin thread.
pub(super) struct RouteSeries {
    pub(super) labels: Arc<RouteLabels>,
    pub(super) method: Method,
    /// A status, or its first digit when statuses are counted by class.
    pub(super) status: u16,
    /// Boxed, as few requests have one.
    pub(super) canary: Option<Box<ClusterKey>>,
    cells: Box<[Counter]>,
    /// Set by the admin thread once no route has these labels: the core lets go of it then.
    retired: AtomicBool,
}

impl RouteSeries {
    pub(super) fn new(
        layout: &Layout,
        labels: Arc<RouteLabels>,
        (method, status, canary): (Method, u16, Option<&ClusterKey>),
    ) -> Self {
        let cells = (0..layout.cells).map(|_| Counter::default()).collect();
        Self { labels, method, status, canary: canary.cloned().map(Box::new), cells, retired: AtomicBool::new(false) }
    }

    /// Counts one request.
    #[inline]
    pub(super) fn record(&self, layout: &Layout, outcome: &Outcome<'_>) {
        self.cells[0].increment();
        for histogram in &layout.histograms {
            let value = match histogram.metric {
                RequestMetric::RequestDuration => Some(nanoseconds(outcome.duration)),
                RequestMetric::ResponseDuration => outcome.response.map(nanoseconds),
                RequestMetric::ConnectDuration => outcome.connect.map(nanoseconds),
                RequestMetric::HeaderDuration => outcome.header.map(nanoseconds),
                RequestMetric::RequestSize => Some(outcome.bytes_received),
                RequestMetric::ResponseSize | RequestMetric::BytesSent => Some(outcome.bytes_sent),
                RequestMetric::Requests => None,
            };
            if let Some(value) = value {
                self.observe(histogram, value);
            }
        }
    }

    #[inline]
    fn observe(&self, histogram: &HistogramLayout, value: u64) {
        let bounds = &histogram.bounds;
        let bucket = bounds.partition_point(|bound| *bound < value);
        self.cells[histogram.offset + bucket].increment();
        self.cells[histogram.offset + bounds.len() + 1].add(value);
    }

    /// Number of requests.
    pub(super) fn requests(&self) -> u64 {
        self.cells[0].get()
    }

    /// The cells of a histogram: buckets, what is above, sum.
    pub(super) fn histogram(&self, histogram: &HistogramLayout) -> &[Counter] {
        &self.cells[histogram.offset..histogram.offset + histogram.bounds.len() + 2]
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    #[inline]
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }
}

#[inline]
fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
