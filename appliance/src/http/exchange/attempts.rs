//! The attempts of one request: what was tried, and whether once more is allowed.

#![expect(
    clippy::disallowed_types,
    reason = "durations for the metrics: the wall between two awaits, which a coarse clock would not show"
)]

use std::time::Instant;

use ringress_config::snapshot::{Cluster, Route};

use crate::access_log::Trail;
use crate::error::Failure;
use crate::http::h2::Served;
use crate::upstream::{Connection, Lease, RetryAccount, Tried};
use crate::worker::Core;

/// Where the attempts of one request stand.
pub(super) struct Attempts {
    pub(super) tried: Tried,
    pub(super) count: u32,
    pub(super) began: Instant,
    /// A pooled connection turned out stale: the next attempt takes a fresh one.
    pub(super) fresh: bool,
    /// For the access log.
    pub(super) trail: Trail,
    /// When the last one began.
    asked: Instant,
    /// What pays for further ones.
    account: Option<RetryAccount>,
    /// Endpoints that there were to choose from.
    endpoints: usize,
}

impl Attempts {
    /// The first one begins now, which is a time that was just read.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tried: Tried::default(),
            count: 0,
            began: now,
            fresh: false,
            trail: Trail::default(),
            asked: now,
            account: None,
            endpoints: 0,
        }
    }

    /// One more, at the endpoint of this lease.
    pub(super) fn begin(&mut self, lease: &Lease, cluster: &Cluster) {
        self.account = Some(lease.account());
        self.endpoints = cluster.endpoints.len();
        self.trail.begin(lease.address());
    }

    /// When the last one began.
    pub(super) fn asked(&self) -> Instant {
        self.asked
    }

    /// Whether to try once more after `failure`.
    pub(super) fn again(&mut self, core: &Core, failure: &Failure, route: &Route, idempotent: bool) -> bool {
        self.count += 1;
        self.trail.fail_by(failure, self.asked.elapsed());
        failure.allows_retry(&route.retry, idempotent) && self.has_room(route) && self.pay(core)
    }

    /// Whether to try once more after a response with this status; if not, it is the one to be relayed.
    pub(super) fn again_after(&mut self, core: &Core, status: u16, route: &Route, idempotent: bool) -> bool {
        let policy = &route.retry;
        if !policy.on_status.has(status) {
            return false;
        }
        self.count += 1;
        let goes_on = (idempotent || policy.non_idempotent) && self.has_room(route) && self.pay(core);
        if goes_on {
            self.trail.fail(status, self.asked.elapsed());
        }
        goes_on
    }

    /// Whether tries and time are left.
    fn has_room(&self, route: &Route) -> bool {
        let policy = &route.retry;
        self.count < policy.tries.of(self.endpoints)
            && (policy.budget.is_zero() || self.began.elapsed() < policy.budget)
    }

    /// Whether the budget of the cluster pays for one more, which begins now.
    fn pay(&mut self, core: &Core) -> bool {
        let is_paid = self.account.as_ref().is_some_and(|account| account.pay(core));
        let counter = if is_paid { &core.metrics.retries } else { &core.metrics.retries_unpaid };
        counter.increment();
        self.asked = Instant::now();
        is_paid
    }

    /// A kept connection ended without an answer: its upstream may have closed it in that moment, or it is dead.
    pub(super) fn stale(&mut self, connection: &Connection) {
        self.fresh = true;
        self.asked = Instant::now();
        self.tried.add(connection.address);
        connection.lease.iter().for_each(Lease::doubt);
    }

    /// A shared connection was ending, and its upstream did nothing with the request: not an attempt, the first time. An
    /// endpoint whose connection ends before it answered anything is not the next one to be asked.
    pub(super) fn moves(&mut self, core: &Core, lease: Option<&Lease>, failure: &Failure) {
        self.fresh = true;
        self.asked = Instant::now();
        if let Some(lease) = lease.filter(|_| !matches!(failure, Failure::Unprocessed(Served::Some))) {
            self.tried.add(lease.address());
            lease.failed(core, failure);
        }
    }

    /// One of two tries failed while the other goes on.
    pub(super) fn gave_way(&mut self, failure: &Failure) {
        self.trail.fail_by(failure, self.asked.elapsed());
    }

    /// An endpoint was connected to and failed.
    pub(super) fn failed(&mut self, core: &Core, connection: &Connection, failure: &Failure, reused: bool) {
        if reused && matches!(failure, Failure::NoResponse) {
            return self.stale(connection);
        }
        self.tried.add(connection.address);
        connection.lease.iter().for_each(|lease| lease.failed(core, failure));
    }
}
