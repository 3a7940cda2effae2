//! Active health checks: endpoints are asked now and then, whatever becomes of requests (that is `health`).
//!
//! Each cluster is checked by one core for the whole process, the one that its number falls to. If every core asked,
//! an endpoint would get as many checks as there are cores among all replicas, and cores would differ in what they
//! believe. That core asks by the way of requests, with the same dialling, TLS and HTTP/2, which a thread of its own
//! would need once more. What it finds is a word of the snapshot ([`Vital`]) that all cores read by a plain load: no
//! lock and no message, and a line of cache that is written only when an endpoint changes sides. A worker that died
//! begins anew with what was found, as the word outlives it.
//!
//! Endpoints begin as healthy: their readiness probe let them in, and what Envoy does, no request before the first
//! check, would hold up every rollout. The first check decides at once, whatever the threshold: a process that replaces
//! another one must not send requests to all that is known to be dead there. It comes at once where the process begins, and
//! the process is ready when all have come in, or after a while; otherwise within [`FIRST`]. The next one comes at a
//! random time within the interval and each further one a tenth earlier or later, so that neither endpoints nor replicas
//! march in step. A core has [`CHECKS_MAX`] under way
//! at most; of those that are due, the ones that have waited longest come first.

mod grpc;
mod probe;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ringress_config::snapshot::{Cluster, HealthCheck, Vital};

use crate::io;
use crate::limits::CHECKS_MAX;
use crate::worker::Core;
use probe::Fault;

/// Time between looks for what is due.
const TURN: Duration = Duration::from_millis(100);

/// The first check of an endpoint that has come later comes within this time, or the interval where that is less.
const FIRST: Duration = Duration::from_secs(1);

/// The checks of a core.
#[derive(Default)]
pub(crate) struct Checks {
    under_way: Cell<usize>,
    plan: RefCell<Plan>,
}

/// What a core checks in a snapshot.
#[derive(Default)]
struct Plan {
    generation: u64,
    clusters: Vec<Checked>,
}

struct Checked {
    cluster: Arc<Cluster>,
    endpoints: Vec<Rc<Probed>>,
}

/// An endpoint that is checked.
struct Probed {
    address: SocketAddr,
    vital: Arc<Vital>,
    due_ms: Cell<u64>,
    /// Checks in a row that said something else than is believed.
    streak: Cell<u32>,
    /// A check is under way.
    busy: Cell<bool>,
}

/// Counts a check until it is done.
struct UnderWay {
    core: Rc<Core>,
    probed: Rc<Probed>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let under_way = &self.core.checks.under_way;
        under_way.set(under_way.get() - 1);
        self.probed.busy.set(false);
    }
}

/// Checks what falls to this core, until the core drains.
pub(crate) async fn run(core: Rc<Core>) {
    while !core.draining() {
        core.checks.follow(&core);
        core.checks.begin_due(&core);
        io::sleep(TURN).await;
    }
}

impl Checks {
    /// Follows a snapshot, if there is another one.
    fn follow(&self, core: &Core) {
        let (pinned, mut plan) = (core.pin(), self.plan.borrow_mut());
        if plan.generation != pinned.generation {
            let is_mine = |cluster: &Cluster| cluster.identity % u64::from(core.cores.max(1)) == core.index as u64;
            let mine = pinned.clusters.iter().filter(|cluster| cluster.vitals().is_some() && is_mine(cluster));
            plan.follow(pinned.generation, mine, core.timers.now_ms(), &mut core.random.borrow_mut());
        }
    }

    /// Begins the checks that are due, as far as there is room.
    fn begin_due(&self, core: &Rc<Core>) {
        let (plan, now_ms) = (self.plan.borrow(), core.timers.now_ms());
        for (cluster, probed) in plan.due(now_ms).into_iter().take(CHECKS_MAX - self.under_way.get()) {
            let Some(check) = &cluster.balancing.health_check else { continue };
            probed.due_ms.set(now_ms + probed.pause(check.interval, &mut core.random.borrow_mut()));
            probed.busy.set(true);
            self.under_way.set(self.under_way.get() + 1);
            let under_way = UnderWay { core: Rc::clone(core), probed: Rc::clone(probed) };
            io::spawn(check_once(under_way, Arc::clone(cluster), Arc::clone(check)));
        }
    }
}

impl Plan {
    fn follow<'a>(
        &mut self,
        generation: u64,
        clusters: impl Iterator<Item = &'a Arc<Cluster>>,
        now_ms: u64,
        random: &mut fastrand::Rng,
    ) {
        let first = if std::mem::replace(&mut self.generation, generation) == 0 { Duration::ZERO } else { FIRST };
        let before = std::mem::take(&mut self.clusters);
        let mut before: HashMap<u64, Checked> =
            before.into_iter().map(|checked| (checked.cluster.identity, checked)).collect();
        self.clusters = clusters
            .map(|cluster| match before.remove(&cluster.identity) {
                Some(same) if Arc::ptr_eq(&same.cluster, cluster) => same,
                other => Checked::new(cluster, other, first, now_ms, random),
            })
            .collect();
    }

    /// What is to be checked, the longest due first.
    fn due(&self, now_ms: u64) -> Vec<(&Arc<Cluster>, &Rc<Probed>)> {
        let mut due = Vec::new();
        for checked in &self.clusters {
            checked.cluster.vitals().inspect(|vitals| vitals.recount());
            let endpoints = checked.endpoints.iter().filter(|probed| probed.is_due(now_ms));
            due.extend(endpoints.map(|probed| (&checked.cluster, probed)));
        }
        due.sort_by_key(|(_, probed)| probed.due_ms.get());
        due
    }
}

impl Checked {
    /// Newcomers are checked within `first`.
    fn new(
        cluster: &Arc<Cluster>,
        before: Option<Self>,
        first: Duration,
        now_ms: u64,
        random: &mut fastrand::Rng,
    ) -> Self {
        let before = before.into_iter().flat_map(|checked| checked.endpoints);
        let mut before: HashMap<SocketAddr, Rc<Probed>> = before.map(|probed| (probed.address, probed)).collect();
        let interval_ms = cluster.balancing.health_check.as_ref().map_or(0, |check| milliseconds(check.interval));
        let mut probed = |at: usize, address: SocketAddr| {
            let vital = cluster.vitals().map(|vitals| Arc::clone(vitals.endpoint(at))).unwrap_or_default();
            let due_ms = now_ms + random.u64(..=interval_ms.min(milliseconds(first)));
            match before.remove(&address).filter(|known| Arc::ptr_eq(&known.vital, &vital)) {
                Some(known) => {
                    // The interval may be a shorter one now.
                    known.due_ms.set(known.due_ms.get().min(now_ms + interval_ms));
                    known
                }
                None => Rc::new(Probed {
                    address,
                    vital,
                    due_ms: Cell::new(due_ms),
                    streak: Cell::new(0),
                    busy: Cell::new(false),
                }),
            }
        };
        let endpoints = cluster.endpoints.iter().enumerate();
        let endpoints = endpoints.map(|(at, endpoint)| probed(at, endpoint.address)).collect();
        Self { cluster: Arc::clone(cluster), endpoints }
    }
}

impl Probed {
    fn is_due(&self, now_ms: u64) -> bool {
        !self.busy.get() && self.due_ms.get() <= now_ms
    }

    /// From the beginning of a check to that of the next.
    fn pause(&self, interval: Duration, random: &mut fastrand::Rng) -> u64 {
        if self.vital.is_known() { jittered(interval, random) } else { random.u64(..=milliseconds(interval)) }
    }

    /// Takes note of a check. If it makes the endpoint change sides: whether it fails now.
    fn note(&self, passed: bool, check: &HealthCheck) -> Option<bool> {
        if !self.vital.is_known() {
            self.vital.set_failing(!passed);
            return (!passed).then_some(true);
        }
        let was_failing = self.vital.is_failing();
        if passed != was_failing {
            self.streak.set(0);
            return None;
        }
        self.streak.set(self.streak.get() + 1);
        let needed = if was_failing { check.healthy_after } else { check.unhealthy_after };
        if self.streak.get() < needed {
            return None;
        }
        self.streak.set(0);
        self.vital.set_failing(!was_failing);
        Some(!was_failing)
    }
}

async fn check_once(under_way: UnderWay, cluster: Arc<Cluster>, check: Arc<HealthCheck>) {
    let UnderWay { core, probed } = &under_way;
    let protocol = check.protocol.or(cluster.protocol).unwrap_or_default();
    let asked = AssertUnwindSafe(probe::ask(core, &check, protocol, probed.address)).catch_unwind().await;
    let Ok(result) = asked else { return core.metrics.panics.increment() };
    if let Some(Fault::Own) = result.as_ref().err() {
        return;
    }
    if let Some(vitals) = cluster.vitals() {
        vitals.totals().count(result.is_ok());
    }
    let (endpoint, changes) = (probed.address, probed.note(result.is_ok(), &check));
    // Not only at the next turn: the process may be ready by then.
    cluster.vitals().filter(|_| changes.is_some()).inspect(|vitals| vitals.recount());
    match (changes, result) {
        (Some(true), Err(fault)) => {
            tracing::warn!(cluster = &*cluster.name, %endpoint, %fault, "endpoint fails its health check");
        }
        (Some(false), _) => {
            tracing::info!(cluster = &*cluster.name, %endpoint, "endpoint passes its health check again");
        }
        (None, Err(fault)) => {
            tracing::debug!(cluster = &*cluster.name, %endpoint, %fault, "a health check failed");
        }
        (Some(true) | None, Ok(())) => {}
    }
}

/// The interval, give or take a tenth.
fn jittered(interval: Duration, random: &mut fastrand::Rng) -> u64 {
    let interval_ms = milliseconds(interval);
    interval_ms - interval_ms / 10 + random.u64(..=interval_ms / 5)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 8)
}

#[cfg(test)]
mod tests;
