//! The worker's side: one call a request.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::Sender;
use hdrhistogram::Histogram;
use ringress_config::snapshot::{ClusterKey, Route, RouteLabels};

use super::counters::CoreCounters;
use super::layout::Layout;
use super::series::RouteSeries;
use super::{Announcement, window};
use crate::http::request;

/// Series of one core. At about 750 bytes each this bounds them to 37 MB.
const SERIES_MAX: usize = 50_000;

/// Series of one route on one core; they are searched in turn.
const SERIES_PER_ROUTE_MAX: usize = 64;

/// Request methods as labels: a client's own words never become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Connect,
    Trace,
    /// Every other one.
    Other,
}

impl From<request::Method> for Method {
    #[inline]
    fn from(method: request::Method) -> Self {
        match method {
            request::Method::Get => Self::Get,
            request::Method::Head => Self::Head,
            request::Method::Post => Self::Post,
            request::Method::Put => Self::Put,
            request::Method::Patch => Self::Patch,
            request::Method::Delete => Self::Delete,
            request::Method::Options => Self::Options,
            request::Method::Other => Self::Other,
        }
    }
}

impl Method {
    /// The label of a method as it stands in a request.
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Connect => "CONNECT",
            Self::Trace => "TRACE",
            Self::Other => "other",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Its method.
    pub method: Method,
    /// Status sent to the client.
    pub status: u16,
    /// The canary that took it.
    pub canary: Option<&'a ClusterKey>,
    /// First byte of the request to last byte of the response (nginx' `$request_time`).
    pub duration: Duration,
    /// Opening the upstream connection (`$upstream_connect_time`); zero on a reused one, `None` without upstream.
    pub connect: Option<Duration>,
    /// Start of the upstream request to its response head (`$upstream_header_time`).
    pub header: Option<Duration>,
    /// Start of the upstream request to the end of its response (`$upstream_response_time`).
    pub response: Option<Duration>,
    /// Bytes of the request, head and body (`$request_length`).
    pub bytes_received: u64,
    /// Bytes of the response, head and body (`$bytes_sent`).
    pub bytes_sent: u64,
}

/// The metrics of one core; belongs to its thread. Dereferences to the process-wide [`CoreCounters`].
pub struct CoreMetrics {
    counters: Arc<CoreCounters>,
    layout: Arc<Layout>,
    announcements: Sender<Announcement>,
    /// Rises each time that the admin thread retired series.
    retirements: Arc<AtomicU64>,
    state: RefCell<State>,
}

struct State {
    /// By route id.
    routes: Vec<RouteSlot>,
    /// Allocated series.
    series: usize,
    /// Series that could not be announced yet. At most `series`.
    unannounced: VecDeque<Arc<RouteSeries>>,
    /// Durations since the last tick, microseconds.
    durations: Box<Histogram<u32>>,
    /// `retirements` at the last tick.
    retirements_seen: u64,
}

/// The series of one route id. Ids are given to other routes later, hence the labels.
#[derive(Default)]
struct RouteSlot {
    labels: Option<Arc<RouteLabels>>,
    /// Searched in turn: a route has few.
    series: Vec<Arc<RouteSeries>>,
}

impl RouteSlot {
    /// The series of a method, a status and a canary.
    #[inline]
    fn find(&self, (method, status, canary): SeriesKey<'_>) -> Option<&Arc<RouteSeries>> {
        let is_it = |s: &&Arc<RouteSeries>| s.method == method && s.status == status && s.canary.as_deref() == canary;
        self.series.iter().find(is_it)
    }
}

type SeriesKey<'a> = (Method, u16, Option<&'a ClusterKey>);

impl CoreMetrics {
    pub(super) fn new(
        layout: Arc<Layout>,
        counters: Arc<CoreCounters>,
        announcements: Sender<Announcement>,
        retirements: Arc<AtomicU64>,
    ) -> Self {
        let state = State {
            routes: Vec::new(),
            series: 0,
            unannounced: VecDeque::new(),
            durations: Box::new(window::durations()),
            retirements_seen: retirements.load(Relaxed),
        };
        Self { counters, layout, announcements, retirements, state: RefCell::new(state) }
    }

    /// Counts a request that has ended; `route` is `None` when none was found.
    #[inline]
    pub fn record(&self, route: Option<&Route>, outcome: &Outcome<'_>) {
        let state = &mut *self.state.borrow_mut();
        let microseconds = u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX);
        state.durations.saturating_record(microseconds);
        if let Some(route) = route
            && self.layout.enabled
        {
            self.record_route(state, route, outcome);
        }
    }

    #[inline]
    fn record_route(&self, state: &mut State, route: &Route, outcome: &Outcome<'_>) {
        let status = if self.layout.status_classes { outcome.status / 100 } else { outcome.status };
        let key = (outcome.method, status, outcome.canary);
        if let Some(slot) = state.routes.get(route.id.0 as usize)
            && let Some(labels) = &slot.labels
            && Arc::ptr_eq(labels, &route.labels)
            && let Some(series) = slot.find(key)
            && !series.is_retired()
        {
            series.record(&self.layout, outcome);
        } else if let Some(series) = self.allocate(state, route, key) {
            series.record(&self.layout, outcome);
        }
    }

    /// The series of what was not met since the route's last change.
    #[cold]
    fn allocate(&self, state: &mut State, route: &Route, key: SeriesKey<'_>) -> Option<Arc<RouteSeries>> {
        if !self.layout.undefined_hosts && route.labels.ingress.is_empty() && &*route.labels.host == "_" {
            return None;
        }
        let index = route.id.0 as usize;
        if state.routes.len() <= index {
            state.routes.resize_with(index + 1, RouteSlot::default);
        }
        let slot = &mut state.routes[index];
        let before = slot.series.len();
        if slot.labels.as_ref().is_none_or(|labels| **labels != *route.labels) {
            slot.series.clear();
        }
        slot.labels = Some(Arc::clone(&route.labels));
        slot.series.retain(|series| !series.is_retired());
        state.series -= before - slot.series.len();
        if let Some(series) = slot.find(key) {
            return Some(Arc::clone(series));
        }
        if state.series >= SERIES_MAX || slot.series.len() >= SERIES_PER_ROUTE_MAX {
            self.counters.series_dropped.increment();
            return None;
        }
        let series = Arc::new(RouteSeries::new(&self.layout, Arc::clone(&route.labels), key));
        slot.series.push(Arc::clone(&series));
        state.series += 1;
        state.unannounced.push_back(Arc::clone(&series));
        self.announce(state);
        Some(series)
    }

    /// Never waits: what does not fit stays for the next time.
    fn announce(&self, state: &mut State) {
        while let Some(series) = state.unannounced.front() {
            if self.announcements.try_send(Announcement::Series(Arc::clone(series))).is_err() {
                return;
            }
            state.unannounced.pop_front();
        }
    }

    /// Series that the core holds.
    #[cfg(test)]
    pub(super) fn series(&self) -> usize {
        self.state.borrow().series
    }

    /// Hands over what has gathered and lets go of retired series; for the core's timer, about once a second.
    pub fn tick(&self) {
        self.counters.beat();
        let state = &mut *self.state.borrow_mut();
        self.announce(state);
        if !state.durations.is_empty() && !self.announcements.is_full() {
            let durations = std::mem::replace(&mut state.durations, Box::new(window::durations()));
            // Only this core sends on this channel, so it has room.
            drop(self.announcements.try_send(Announcement::Durations(durations)));
        }
        let retirements = self.retirements.load(Relaxed);
        if retirements != state.retirements_seen {
            state.retirements_seen = retirements;
            state.sweep();
        }
    }
}

/// The process-wide counters, so that workers write `metrics.accepted.increment()`.
impl Deref for CoreMetrics {
    type Target = CoreCounters;

    fn deref(&self) -> &CoreCounters {
        &self.counters
    }
}

impl State {
    fn sweep(&mut self) {
        for slot in &mut self.routes {
            let before = slot.series.len();
            slot.series.retain(|series| !series.is_retired());
            self.series -= before - slot.series.len();
            if slot.series.is_empty() {
                *slot = RouteSlot::default();
            }
        }
    }
}
