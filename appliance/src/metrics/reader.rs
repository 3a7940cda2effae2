//! The admin thread's side: gathers what the cores announced, and writes it as pages.

#![expect(clippy::disallowed_types, reason = "the admin thread")]

mod traffic;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::Receiver;
use ringress_config::snapshot::{Route, RouteLabels};

use super::core_metrics::Method;
use super::counters::{CoreCounters, Refused};
use super::layout::{HistogramLayout, Layout};
use super::series::RouteSeries;
use super::text::{LabelText, Labels, Page};
use super::window::DurationWindow;
pub(crate) use traffic::{Traffic, TrafficRow};

use super::{Announcement, NGINX_PREFIX, RequestMetric, RequestMetricsSettings, process};

/// Series in one part of a page: bounds what is in memory at once, and how long other work of the thread waits.
const SERIES_PER_PART: usize = 128;

/// Reads the counters of all cores. Only the admin thread uses it, so its lock is never waited for.
pub struct Reader {
    settings: RequestMetricsSettings,
    layout: Arc<Layout>,
    counters: Arc<[Arc<CoreCounters>]>,
    announcements: Vec<Receiver<Announcement>>,
    retirements: Arc<AtomicU64>,
    gathered: Mutex<Gathered>,
}

struct Gathered {
    series: HashMap<SeriesKey, Vec<Arc<RouteSeries>>>,
    durations: DurationWindow,
}

/// Series of different cores with the same key are one series of the page.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SeriesKey {
    labels: Arc<RouteLabels>,
    method: Method,
    status: u16,
    /// As in the access log; empty for none.
    canary: String,
}

type SeriesRow = (SeriesKey, Vec<Arc<RouteSeries>>);

/// A series as it stands on the page.
type PageRow = (LabelText, Vec<Arc<RouteSeries>>);

impl Reader {
    pub(super) fn new(
        settings: RequestMetricsSettings,
        layout: Arc<Layout>,
        counters: Arc<[Arc<CoreCounters>]>,
        announcements: Vec<Receiver<Announcement>>,
        retirements: Arc<AtomicU64>,
    ) -> Self {
        let gathered = Gathered { series: HashMap::new(), durations: DurationWindow::new(Instant::now()) };
        Self { settings, layout, counters, announcements, retirements, gathered: Mutex::new(gathered) }
    }

    /// How series are labelled.
    pub(crate) fn settings(&self) -> &RequestMetricsSettings {
        &self.settings
    }

    /// The process-wide counters by core.
    pub fn counters(&self) -> &[Arc<CoreCounters>] {
        &self.counters
    }

    /// Takes what the cores announced; at least every few seconds, as announcements are bounded.
    pub fn gather(&self) {
        let mut gathered = self.lock();
        let now = Instant::now();
        for announcement in self.announcements.iter().flat_map(Receiver::try_iter) {
            match announcement {
                Announcement::Durations(durations) => gathered.durations.add(now, &durations),
                Announcement::Series(series) => {
                    let key = SeriesKey {
                        labels: self.labels(&series.labels),
                        method: series.method,
                        status: series.status,
                        canary: series.canary.as_ref().map(ToString::to_string).unwrap_or_default(),
                    };
                    gathered.series.entry(key).or_default().push(series);
                }
            }
        }
    }

    /// Forgets the series of routes that are not among these any more, here and (at their next tick) on the cores.
    pub fn retire<'a>(&self, routes: impl Iterator<Item = &'a Arc<Route>>) {
        let live: HashSet<&RouteLabels> = routes.map(|route| &*route.labels).collect();
        let mut gathered = self.lock();
        let mut any = false;
        gathered.series.retain(|_, cores| {
            cores.retain(|series| {
                let keep = live.contains(&*series.labels);
                if !keep {
                    series.retire();
                    any = true;
                }
                keep
            });
            !cores.is_empty()
        });
        if any {
            self.retirements.fetch_add(1, Relaxed);
        }
    }

    /// A page of all metrics of the cores, in parts, after `page` as its first.
    pub fn scrape(self: &Arc<Self>, page: String) -> Scrape {
        self.gather();
        let row = |(key, cores): (&SeriesKey, &Vec<_>)| (self.row_labels(key), cores.clone());
        let rows = self.lock().series.iter().map(row).collect();
        let mut first = Page::default();
        self.write_cores(&mut first);
        self.write_durations(&mut first);
        process::write(&mut first, &self.counters, &self.settings.controller());
        Scrape { reader: Arc::clone(self), rows, first: Some(page + &first.into_text()), metric: 0, row: 0 }
    }

    fn labels(&self, labels: &Arc<RouteLabels>) -> Arc<RouteLabels> {
        if self.settings.per_host {
            return Arc::clone(labels);
        }
        Arc::new(RouteLabels { host: "".into(), ..(**labels).clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_durations(&self, page: &mut Page) {
        let mut gathered = self.lock();
        let quantiles = gathered.durations.quantiles(Instant::now(), &[0.5, 0.9, 0.99, 0.999, 1.0]);
        let (count, sum) = gathered.durations.total();
        let help = "Durations of all requests; quantiles of the last minute";
        page.summary("ringress_request_duration_seconds", help, &quantiles, count, sum);
    }

    fn write_cores(&self, page: &mut Page) {
        let numbers: Vec<String> = (0..self.counters.len()).map(|n| n.to_string()).collect();
        for (name, help, read) in CORE_COUNTERS {
            page.counters(name, help, self.by_core(&numbers, *read));
        }
        for (name, help, read) in CORE_GAUGES {
            page.gauges(name, help, self.by_core(&numbers, *read));
        }
        let busy = numbers.iter().zip(self.counters.iter()).filter_map(|(number, core)| {
            Some((vec![("worker", number.as_str())], process::cpu_seconds_of_thread(core.thread.get())?))
        });
        page.counters("ringress_worker_cpu_seconds_total", "CPU time of the worker's thread", busy);
        let refused = Refused::ALL.into_iter().map(|reason| {
            let total = self.counters.iter().map(|core| core.refused(reason)).sum();
            (vec![("reason", reason.as_str())], float(total))
        });
        page.counters("ringress_refused_total", "Connections and requests turned away, by reason", refused);
    }

    fn by_core<'a>(
        &'a self,
        numbers: &'a [String],
        read: fn(&CoreCounters) -> u64,
    ) -> impl Iterator<Item = (Labels<'a>, f64)> {
        let cores = numbers.iter().zip(self.counters.iter());
        cores.map(move |(number, core)| (vec![("worker", number.as_str())], float(read(core))))
    }

    /// A part of the page: some rows of one request metric.
    fn write_rows(&self, metric: RequestMetric, rows: &[PageRow], range: Range<usize>) -> String {
        let (name, help) = metric.words();
        let name = format!("{NGINX_PREFIX}{name}");
        let (is_first, rows) = (range.start == 0, &rows[range]);
        let histogram = self.layout.histograms.iter().find(|histogram| histogram.metric == metric);
        let lines = histogram.map_or(1, |histogram| histogram.les.len() + 2);
        let mut page = Page::for_lines(lines, rows.iter().map(|(labels, _)| labels));
        if is_first {
            page.begin(&name, help, if histogram.is_some() { "histogram" } else { "counter" });
        }
        for (labels, cores) in rows {
            match histogram {
                Some(histogram) => page.histogram(&name, labels, &histogram.les, merge(histogram, cores)),
                None => page.count([&name, ""], labels, cores.iter().map(|core| core.requests()).sum::<u64>()),
            }
        }
        page.into_text()
    }

    fn row_labels(&self, key: &SeriesKey) -> LabelText {
        let RequestMetricsSettings { controller_class, controller_namespace, controller_pod, per_host, .. } =
            &self.settings;
        let host = [("host", &*key.labels.host)];
        let labels = [
            ("canary", key.canary.as_str()),
            ("controller_class", controller_class),
            ("controller_namespace", controller_namespace),
            ("controller_pod", controller_pod),
        ];
        let status = self.status(key.status);
        let others = [
            ("ingress", &*key.labels.ingress),
            ("method", key.method.as_str()),
            ("namespace", &*key.labels.namespace),
            ("path", &*key.labels.path),
            ("service", &*key.labels.service),
            ("status", status.as_str()),
        ];
        let host: &[_] = if *per_host { &host } else { &[] };
        LabelText::new(&[&labels[..], host, &others].concat())
    }

    fn status(&self, status: u16) -> String {
        if self.settings.status_classes { format!("{status}xx") } else { status.to_string() }
    }
}

/// The parts of a page, made one at a time, so that a large page neither fills the memory nor holds up the thread.
pub struct Scrape {
    reader: Arc<Reader>,
    rows: Vec<PageRow>,
    first: Option<String>,
    /// Index of the request metric being written.
    metric: usize,
    /// First row of the next part.
    row: usize,
}

impl Iterator for Scrape {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while self.metric < RequestMetric::ALL.len() && !self.rows.is_empty() {
            let metric = RequestMetric::ALL[self.metric];
            if !self.reader.settings.recorded.contains(metric) || self.row >= self.rows.len() {
                (self.metric, self.row) = (self.metric + 1, 0);
                continue;
            }
            let range = self.row..self.rows.len().min(self.row + SERIES_PER_PART);
            self.row = range.end;
            return Some(self.reader.write_rows(metric, &self.rows, range));
        }
        None
    }
}

/// What all cores counted: of each bucket, and the sum of what they observed.
fn merge(histogram: &HistogramLayout, cores: &[Arc<RouteSeries>]) -> (impl Iterator<Item = u64>, f64) {
    let size = histogram.bounds.len() + 1;
    let cell = move |at: usize| {
        let of_core = |core: &Arc<RouteSeries>| core.histogram(histogram)[at].get();
        cores.iter().map(of_core).fold(0, u64::wrapping_add)
    };
    ((0..size).map(cell), float(cell(size)) * histogram.unit.scale())
}

type CoreRow = (&'static str, &'static str, fn(&CoreCounters) -> u64);

const CORE_COUNTERS: &[CoreRow] = &[
    ("ringress_connections_accepted_total", "Connections accepted", |c| c.accepted.get()),
    ("ringress_connections_handed_over_total", "Connections given to a less loaded core", |c| c.handed_over.get()),
    ("ringress_requests_total", "Requests whose head was read", |c| c.requests.get()),
    ("ringress_bytes_received_total", "Bytes received from clients", |c| c.bytes_received.get()),
    ("ringress_bytes_sent_total", "Bytes sent to clients", |c| c.bytes_sent.get()),
    ("ringress_panics_total", "Panics caught in the task of a connection", |c| c.panics.get()),
    ("ringress_tls_handshakes_total", "TLS handshakes completed with clients", |c| c.tls_handshakes.get()),
    ("ringress_tls_resumed_total", "TLS handshakes that resumed a session", |c| c.tls_resumed.get()),
    ("ringress_tls_passed_on_total", "TLS connections that were passed on to pods unopened", |c| c.tls_passed_on.get()),
    ("ringress_upstream_connects_total", "Connections opened to upstreams", |c| c.upstream_connects.get()),
    ("ringress_upstream_failures_total", "Upstream connections that failed to open", |c| c.upstream_failures.get()),
    ("ringress_upstream_reuses_total", "Requests on an upstream connection kept open", |c| c.upstream_reuses.get()),
    ("ringress_retries_total", "Further attempts at a request", |c| c.retries.get()),
    ("ringress_tcp_sessions_total", "Connections to TCP services that reached an endpoint", |c| c.tcp_sessions.get()),
    ("ringress_udp_sessions_total", "Sessions with UDP services", |c| c.udp_sessions.get()),
    ("ringress_datagrams_dropped_total", "Datagrams of UDP services lost here", |c| c.datagrams_dropped.get()),
    ("ringress_connections_reclaimed_total", "Idle connections closed to make room", |c| c.reclaimed.get()),
    ("ringress_retries_unpaid_total", "Attempts not made: retry budget spent", |c| c.retries_unpaid.get()),
    ("ringress_overflow_requests_total", "Refused: requests of a Service", |c| c.overflow_requests.get()),
    ("ringress_overflow_pending_total", "Refused: requests waiting to connect", |c| c.overflow_pending.get()),
    ("ringress_overflow_connections_total", "Refused: connections to a Service", |c| c.overflow_connections.get()),
    ("ringress_hedges_total", "Second tries beside a first that was late", |c| c.hedges.get()),
    ("ringress_hedges_won_total", "Second tries that were answered first", |c| c.hedges_won.get()),
    ("ringress_endpoint_ejections_total", "Endpoints passed over after failures", |c| c.endpoint_ejections.get()),
    ("ringress_endpoint_panics_total", "Requests to ejected endpoints, too few being left", |c| c.ejected_used.get()),
    ("ringress_mirrored_total", "Requests of which a copy was sent off", |c| c.mirrored.get()),
    ("ringress_mirrors_dropped_total", "Requests not copied: too many or too large", |c| c.mirrors_dropped.get()),
    ("ringress_mirrors_failed_total", "Copies of requests that failed", |c| c.mirrors_failed.get()),
    ("ringress_auth_cached_total", "Requests decided by a kept answer", |c| c.auth_cached.get()),
    ("ringress_compressed_total", "Responses compressed", |c| c.compressed.get()),
    ("ringress_compression_skipped_total", "Not compressed: memory of encoders spent", |c| c.compression_skipped.get()),
    ("ringress_access_log_dropped_total", "Access log lines dropped", |c| c.access_log_dropped.get()),
    ("ringress_access_log_sampled_out_total", "Access log lines left out by sampling", |c| {
        c.access_log_sampled_out.get()
    }),
    ("ringress_spans_dropped_total", "Spans dropped: too many wait to be exported", |c| c.spans_dropped.get()),
    ("ringress_metrics_dropped_series", "Requests not counted by route: too many series", |c| c.series_dropped.get()),
];

const CORE_GAUGES: &[CoreRow] = &[
    ("ringress_connections", "Open client connections", |c| c.connections.get()),
    ("ringress_connections_idle", "Client connections waiting for a request", |c| c.connections_idle.get()),
    ("ringress_encoder_bytes", "Memory of encoders at work, a second ago at most", |c| c.encoder_bytes.get()),
    ("ringress_udp_sessions", "Open sessions with UDP services", |c| c.udp_open.get()),
    ("ringress_endpoints_ejected", "Endpoints passed over or not seen well since", |c| c.endpoints_ejected.get()),
    ("ringress_upstream_idle", "Idle upstream connections", |c| c.pool_idle.get()),
    ("ringress_adopted_generation", "Generation of the snapshot that a worker serves", |c| c.generation.get()),
];

/// Counters beyond 2^53 lose their last digits, as in every Prometheus client.
#[expect(clippy::cast_precision_loss, reason = "the format has floats only")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
