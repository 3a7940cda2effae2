//! Counters of the worker cores, and their Prometheus text.
//!
//! Each core has its own counters and is their only writer: a relaxed load and a store, no locked instruction and no
//! cache line that two cores write. The admin thread reads them when it is asked. Series of a route are allocated when
//! their first request ends and announced to the admin thread over a bounded channel.
//!
//! A worker holds a [`CoreMetrics`] (made by [`CoreMetricsSource::core`]), calls [`CoreMetrics::record`] once for each
//! request and [`CoreMetrics::tick`] about once a second. The admin thread holds the [`Reader`].

mod cell;
mod core_metrics;
mod counters;
mod ejected;
mod layout;
mod process;
mod reader;
mod series;
mod text;
mod window;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::{Receiver, Sender};

pub use cell::{Counter, Gauge};
pub use core_metrics::{CoreMetrics, Method, Outcome};
pub use counters::{CoreCounters, Refused};
pub use reader::{Reader, Scrape};

pub(crate) use reader::{Traffic, TrafficRow, float};
pub(crate) use text::{Labels, Page};

use layout::Layout;
use series::RouteSeries;

/// Announcements that may wait for the admin thread, per core. More wait in the core until its next tick.
const ANNOUNCEMENTS_MAX: usize = 1024;

/// A histogram by route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestMetric {
    /// Requests by route, method and status.
    Requests,
    /// From the first byte of the request to the last of the response.
    RequestDuration,
    /// From the start of the upstream request to the end of its response.
    ResponseDuration,
    /// Opening the upstream connection.
    ConnectDuration,
    /// From the start of the upstream request to its response head.
    HeaderDuration,
    /// Bytes of the request, head and body.
    RequestSize,
    /// Bytes of the response, head and body.
    ResponseSize,
    /// The same under its old name, with other buckets.
    BytesSent,
}

/// Prefix of the names that are ingress-nginx' own.
const NGINX_PREFIX: &str = "nginx_ingress_controller_";

impl RequestMetric {
    const ALL: [Self; 8] = [
        Self::Requests,
        Self::RequestDuration,
        Self::ResponseDuration,
        Self::ConnectDuration,
        Self::HeaderDuration,
        Self::RequestSize,
        Self::ResponseSize,
        Self::BytesSent,
    ];

    /// Name without prefix, and help text.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Requests => ("requests", "Requests by route, method and status"),
            Self::RequestDuration => ("request_duration_seconds", "First byte of the request to last of the response"),
            Self::ResponseDuration => ("response_duration_seconds", "Start of the upstream request to end of response"),
            Self::ConnectDuration => ("connect_duration_seconds", "Opening the upstream connection"),
            Self::HeaderDuration => ("header_duration_seconds", "Start of the upstream request to its response head"),
            Self::RequestSize => ("request_size", "Bytes of the request, head and body"),
            Self::ResponseSize => ("response_size", "Bytes of the response, head and body"),
            Self::BytesSent => ("bytes_sent", "Bytes of the response, head and body (deprecated, see response_size)"),
        }
    }

    /// The metric of a name, with or without the prefix of ingress-nginx.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix(NGINX_PREFIX).unwrap_or(name);
        Self::ALL.into_iter().find(|metric| metric.words().0 == name)
    }
}

/// A set of request metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestMetrics(u8);

impl RequestMetrics {
    /// Every metric.
    pub fn all() -> Self {
        Self(u8::MAX)
    }

    /// None.
    pub fn none() -> Self {
        Self(0)
    }

    /// Takes one out.
    pub fn remove(&mut self, metric: RequestMetric) {
        self.0 &= !(1 << metric as u8);
    }

    fn contains(self, metric: RequestMetric) -> bool {
        self.0 & (1 << metric as u8) != 0
    }
}

/// What is counted by route, and how it is labelled.
#[derive(Clone, Debug)]
pub struct RequestMetricsSettings {
    /// The metrics to record.
    pub recorded: RequestMetrics,
    /// Put the host label on them.
    pub per_host: bool,
    /// Count requests that no Ingress is for, too.
    pub undefined_hosts: bool,
    /// Label with `2xx` instead of `204`.
    pub status_classes: bool,
    /// Upper bounds of the duration histograms, seconds.
    pub time_buckets: Vec<f64>,
    /// Upper bounds of `request_size` and `response_size`, bytes.
    pub length_buckets: Vec<f64>,
    /// Upper bounds of `bytes_sent`, bytes.
    pub size_buckets: Vec<f64>,
    /// Label `controller_class`.
    pub controller_class: String,
    /// Label `controller_namespace`.
    pub controller_namespace: String,
    /// Label `controller_pod`.
    pub controller_pod: String,
}

impl RequestMetricsSettings {
    /// The labels that ingress-nginx puts on what is about the controller.
    pub(crate) fn controller(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("controller_class", &self.controller_class),
            ("controller_namespace", &self.controller_namespace),
            ("controller_pod", &self.controller_pod),
        ]
    }
}

/// From a core to the admin thread.
enum Announcement {
    /// A series that has just been allocated.
    Series(Arc<RouteSeries>),
    /// Durations of the requests since the last tick, in microseconds.
    Durations(Box<hdrhistogram::Histogram<u32>>),
}

/// Makes the worker side of the metrics; one for the process.
#[derive(Clone)]
pub struct CoreMetricsSource {
    layout: Arc<Layout>,
    counters: Arc<[Arc<CoreCounters>]>,
    announcements: Arc<[Sender<Announcement>]>,
    retirements: Arc<AtomicU64>,
}

impl CoreMetricsSource {
    /// The metrics of one core. Called again for a thread that replaces a dead one, it goes on with the same counters.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn core(&self, index: usize) -> CoreMetrics {
        CoreMetrics::new(
            Arc::clone(&self.layout),
            Arc::clone(&self.counters[index]),
            self.announcements[index].clone(),
            Arc::clone(&self.retirements),
        )
    }

    /// The process-wide counters of one core, to be read by any thread and written by that core only.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn counters(&self, index: usize) -> Arc<CoreCounters> {
        Arc::clone(&self.counters[index])
    }
}

/// Both sides for a number of cores.
pub fn channel(settings: &RequestMetricsSettings, cores: usize) -> (CoreMetricsSource, Reader) {
    let layout = Arc::new(Layout::new(settings));
    let counters: Arc<[Arc<CoreCounters>]> = (0..cores).map(|_| Arc::default()).collect();
    let (senders, receivers): (Vec<_>, Vec<Receiver<Announcement>>) =
        (0..cores).map(|_| crossbeam_channel::bounded(ANNOUNCEMENTS_MAX)).unzip();
    let retirements = Arc::new(AtomicU64::new(0));
    let source = CoreMetricsSource {
        layout: Arc::clone(&layout),
        counters: Arc::clone(&counters),
        announcements: senders.into(),
        retirements: Arc::clone(&retirements),
    };
    (source, Reader::new(settings.clone(), layout, counters, receivers, retirements))
}

#[cfg(test)]
mod tests;
