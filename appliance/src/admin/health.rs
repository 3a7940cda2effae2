//! `/healthz` and `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::sources::Sources;

/// A worker beats about once a second; one that does not for this long is stuck.
const WORKER_STUCK_AFTER: Duration = Duration::from_secs(5);

/// A process that begins waits so long for the first health checks at most, or their own time where that is less.
const FIRST_CHECKS_WAIT: Duration = Duration::from_secs(1);

/// The control thread may compile for seconds without a beat.
const CONTROL_STUCK_AFTER: Duration = Duration::from_secs(30);

impl Sources {
    /// Why the process is not live, one sentence each; none when it is.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.workers.failures();
        for (number, core) in self.metrics.counters().iter().enumerate() {
            let age = core.heartbeat_age();
            // Workers that have ended after a drain do not beat any more.
            if age > WORKER_STUCK_AFTER && !self.phase.is_draining() {
                failures.push(format!("worker {number} has made no progress for {:.1} s", age.as_secs_f64()));
            }
        }
        let age = self.control.heartbeat_age();
        if age > CONTROL_STUCK_AFTER {
            failures.push(format!("the control thread has made no progress for {:.1} s", age.as_secs_f64()));
        }
        failures
    }

    /// Why the process is not ready, `None` when it is.
    pub fn unready(&self) -> Option<String> {
        if self.phase.is_draining() {
            return Some("draining".into());
        }
        if self.control.status().generation == 0 {
            return Some("no complete snapshot yet".into());
        }
        if let Some(behind) = self.metrics.counters().iter().position(|core| core.generation.get() == 0) {
            return Some(format!("worker {behind} serves no snapshot yet"));
        }
        self.unserved().or_else(|| self.unchecked())
    }

    /// Of http and https, what no address is listened on for.
    fn unserved(&self) -> Option<String> {
        let listeners = self.workers.listeners();
        let is_open = |kind| listeners.iter().any(|own| own.kind == kind && own.error.is_none());
        listeners.iter().filter(|listener| !is_open(listener.kind)).find_map(|listener| listener.error.clone())
    }

    /// Whose first health checks are still worth a wait.
    fn unchecked(&self) -> Option<String> {
        if self.phase.checks_are_over() {
            return None;
        }
        let snapshot = self.control.snapshot()?;
        let (mut unknown, mut bound) = (0, Duration::ZERO);
        for cluster in snapshot.clusters.iter() {
            let Some((vitals, check)) = cluster.vitals().zip(cluster.balancing.health_check.as_ref()) else { continue };
            unknown += vitals.unknown();
            bound = bound.max(check.timeout);
        }
        let over = self.phase.wait_for_checks(bound.min(FIRST_CHECKS_WAIT), unknown == 0);
        (!over).then(|| format!("the first health checks of {unknown} endpoints are under way"))
    }
}

pub(super) async fn healthz(State(sources): State<Arc<Sources>>) -> Response {
    match sources.failures() {
        none if none.is_empty() => "ok\n".into_response(),
        failures => (StatusCode::INTERNAL_SERVER_ERROR, failures.join("\n") + "\n").into_response(),
    }
}

pub(super) async fn readyz(State(sources): State<Arc<Sources>>) -> Response {
    match sources.unready() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
    }
}

/// Gives a request up after a while.
pub(super) async fn bounded(timeout: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "gave up after --health-check-timeout\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testkit::{Fake, worker_adopts};

    #[test]
    fn ready_once_every_worker_serves_a_snapshot_and_not_while_draining() {
        let fake = Fake::new(2);
        assert_eq!(fake.sources.unready().unwrap(), "no complete snapshot yet");
        fake.control.set(|status| status.generation = 1);
        worker_adopts(&fake, 0, 1);
        assert_eq!(fake.sources.unready().unwrap(), "worker 1 serves no snapshot yet");
        worker_adopts(&fake, 1, 1);
        assert_eq!(fake.sources.unready(), None);
        fake.sources.phase.begin_drain();
        assert_eq!(fake.sources.unready().unwrap(), "draining");
    }

    #[test]
    fn whoever_is_stuck_is_named() {
        let fake = Fake::new(1);
        assert!(fake.sources.failures().is_empty());
        fake.control.set_heartbeat_age(CONTROL_STUCK_AFTER + Duration::from_secs(1));
        fake.workers.fail("worker 3 cannot be replaced");
        let expected =
            ["worker 3 cannot be replaced", "the control thread has made no progress for 31.0 s"].map(String::from);
        assert_eq!(fake.sources.failures(), expected);
    }
}
