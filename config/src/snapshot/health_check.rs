//! Active health checks: what the endpoints of a cluster are asked, and what came of it.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{Endpoint, UpstreamProtocol, UpstreamTls};

/// What is asked of each endpoint of a cluster, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub kind: CheckKind,
    /// `Host` (`:authority`) of the question; `None` for the endpoint's address.
    pub host: Option<Box<str>>,
    /// Where it is asked; `None` for the port that serves.
    pub port: Option<NonZeroU16>,
    /// How endpoints are spoken to; `None` for what the port of the Service says.
    pub protocol: Option<UpstreamProtocol>,
    /// What is shown to them and expected of them over TLS.
    pub tls: Option<Arc<UpstreamTls>>,
    /// From the beginning of a check to that of the next.
    pub interval: Duration,
    /// From the beginning of a check to its end.
    pub timeout: Duration,
    /// Checks in a row that must pass until a failing endpoint is used again.
    pub healthy_after: u32,
    /// Checks in a row that must fail until an endpoint is passed over.
    pub unhealthy_after: u32,
}

/// What an endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// GET of this path with query; a status among these passes.
    Http {
        /// Begins with a slash.
        path: Box<str>,
        /// From 100 to 599.
        statuses: Box<[RangeInclusive<u16>]>,
    },
    /// `grpc.health.v1.Health/Check` of this service, empty for the whole server; SERVING passes.
    Grpc {
        /// As the server knows it.
        service: Box<str>,
    },
    /// A connection that is accepted passes.
    Tcp,
}

impl CheckKind {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Grpc { .. } => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

/// What checks found: the one part of a snapshot that changes after it was published. The core that checks writes it,
/// any thread reads it. It is shared with the snapshots before and after, so that nothing is forgotten between them.
#[derive(Clone, Debug)]
pub struct Vitals {
    /// Beside the endpoints of the cluster.
    endpoints: Arc<[Arc<Vital>]>,
    /// Of the cluster.
    totals: Arc<CheckTotals>,
}

/// What checks found out about one endpoint: one of the three below.
#[derive(Debug, Default)]
pub struct Vital(AtomicU8);

/// No check has ended yet. The endpoint is used.
const UNKNOWN: u8 = 0;
const HEALTHY: u8 = 1;
const FAILING: u8 = 2;

/// What checks of one cluster came to.
#[derive(Debug, Default)]
pub struct CheckTotals {
    failing: AtomicU32,
    passed: AtomicU64,
    failed: AtomicU64,
}

/// What was seen of a cluster is no part of what it is.
impl PartialEq for Vitals {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Vitals {}

impl Vitals {
    /// Of these endpoints. Those that were there `before` are as they were found; new ones are healthy until it is
    /// found otherwise, as their readiness probe has let them in.
    pub(super) fn new(endpoints: &[Endpoint], before: Option<(&[Endpoint], &Self)>) -> Self {
        let known = |address: SocketAddr| {
            let (known, vitals) = before?;
            let at = known.binary_search_by_key(&address, |endpoint| endpoint.address).ok()?;
            Some(Arc::clone(&vitals.endpoints[at]))
        };
        Self {
            endpoints: endpoints.iter().map(|endpoint| known(endpoint.address).unwrap_or_default()).collect(),
            totals: before.map(|(_, vitals)| Arc::clone(&vitals.totals)).unwrap_or_default(),
        }
    }

    /// Of the endpoint at an index of the cluster's.
    #[inline]
    pub fn endpoint(&self, at: usize) -> &Arc<Vital> {
        &self.endpoints[at]
    }

    /// Of the cluster.
    #[inline]
    pub fn totals(&self) -> &Arc<CheckTotals> {
        &self.totals
    }

    /// Endpoints of which no check has said anything yet.
    pub fn unknown(&self) -> usize {
        self.endpoints.iter().filter(|vital| !vital.is_known()).count()
    }

    /// Counts the endpoints that fail, now. For the core that checks only.
    pub fn recount(&self) {
        let failing = self.endpoints.iter().filter(|vital| vital.is_failing()).count();
        self.totals.failing.store(u32::try_from(failing).unwrap_or(u32::MAX), Relaxed);
    }
}

impl Vital {
    /// Whether the endpoint is to be passed over.
    #[inline]
    pub fn is_failing(&self) -> bool {
        self.0.load(Relaxed) == FAILING
    }

    /// Whether a check has said anything yet.
    pub fn is_known(&self) -> bool {
        self.0.load(Relaxed) != UNKNOWN
    }

    /// Notes what was found. For the core that checks only.
    pub fn set_failing(&self, failing: bool) {
        self.0.store(if failing { FAILING } else { HEALTHY }, Relaxed);
    }
}

impl CheckTotals {
    /// Whether any endpoint failed when they were counted last.
    #[inline]
    pub fn any_failing(&self) -> bool {
        self.failing.load(Relaxed) > 0
    }

    /// Counts a check. For the core that checks only.
    pub fn count(&self, passed: bool) {
        let counter = if passed { &self.passed } else { &self.failed };
        counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Checks that passed, and that failed.
    pub fn counts(&self) -> (u64, u64) {
        (self.passed.load(Relaxed), self.failed.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(ports: &[u16]) -> Vec<Endpoint> {
        ports.iter().map(|port| Endpoint { address: ([127, 0, 0, 1], *port).into() }).collect()
    }

    #[test]
    fn what_was_found_is_kept_by_address_and_newcomers_are_healthy() {
        let before = endpoints(&[1, 2, 4]);
        let old = Vitals::new(&before, None);
        old.endpoint(1).set_failing(true);
        old.endpoint(2).set_failing(true);
        old.totals().count(false);
        old.recount();
        assert!(old.totals().any_failing());
        assert_eq!(old.unknown(), 1);
        let new = Vitals::new(&endpoints(&[2, 3]), Some((&before, &old)));
        assert!(new.endpoint(0).is_failing() && !new.endpoint(1).is_failing());
        old.endpoint(1).set_failing(false);
        assert!(!new.endpoint(0).is_failing(), "one and the same");
        new.recount();
        assert_eq!((new.totals().any_failing(), new.totals().counts()), (false, (0, 1)));
    }
}
