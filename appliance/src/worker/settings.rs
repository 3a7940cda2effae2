//! What the workers need to know at start.

use crate::access_log::Outlet;
use crate::io::Driver;
use crate::metrics::CoreMetricsSource;
use crate::ocsp::Staples;
use crate::trace::SpanOutlets;

use super::{Gate, ListenPlan, Placement};

/// Settings of all workers.
pub struct WorkerSettings {
    /// How many, and where.
    pub placement: Placement,
    /// What they run on.
    pub driver: Driver,
    /// Where they listen.
    pub listen: ListenPlan,
    /// Their counters; made for as many cores as `placement` has.
    pub metrics: CoreMetricsSource,
    /// Where lines of the access log go; `None` is nowhere.
    pub access_log: Option<Outlet>,
    /// Answers of responders, for certificates that have one.
    pub staples: Staples,
    /// Where spans of requests go; made for as many cores as `placement` has.
    pub spans: SpanOutlets,
    /// No client is accepted before it is open.
    pub gate: Gate,
}
