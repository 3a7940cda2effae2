//! An endpoint as one core knows it, and the hold that a request has on it.

use std::cell::Cell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringress_config::snapshot::{CircuitLimits, Cluster, Resilience};

use super::budget::Budget;
use super::circuit::{Circuit, Opened, Waiting};
use super::ewma::Average;
use super::health::Health;
use crate::error::Failure;
use crate::worker::Core;

/// Full share of an endpoint; one that starts slowly has less.
pub(super) const WEIGHT: u32 = 10;

/// An endpoint.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    /// Requests that were sent to it and are not over.
    pub(super) in_flight: Cell<u32>,
    /// How long it takes to respond.
    pub(super) average: Average,
    pub(super) health: Health,
    /// Of the smooth round robin.
    pub(super) credit: Cell<i64>,
    /// When it was added; 0 for those that were there from the start.
    joined_ms: u64,
    cluster: Rc<Shared>,
}

/// What the endpoints of a cluster have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// The cluster's.
    name: Arc<str>,
    pub(super) policy: Cell<Resilience>,
    pub(super) budget: Budget,
    pub(super) circuit: Circuit,
    /// After that no endpoint is ejected.
    pub(super) ejected_until_ms: Cell<u64>,
    /// After that no endpoint starts slowly.
    pub(super) slow_until_ms: Cell<u64>,
}

impl Shared {
    pub(super) fn new(cluster: &Cluster, now_ms: u64) -> Rc<Self> {
        Self::of(Arc::clone(&cluster.name), cluster.balancing.resilience, cluster.balancing.limits, now_ms)
    }

    fn of(name: Arc<str>, policy: Resilience, limits: CircuitLimits, now_ms: u64) -> Rc<Self> {
        Rc::new(Self {
            name,
            policy: Cell::new(policy),
            budget: Budget::new(now_ms),
            circuit: Circuit::new(limits),
            ejected_until_ms: Cell::new(0),
            slow_until_ms: Cell::new(0),
        })
    }
}

impl Member {
    /// An endpoint that was there from the start.
    pub(super) fn new(address: SocketAddr, cluster: &Rc<Shared>) -> Self {
        Self {
            address,
            in_flight: Cell::new(0),
            average: Average::default(),
            health: Health::default(),
            credit: Cell::new(0),
            joined_ms: 0,
            cluster: Rc::clone(cluster),
        }
    }

    /// One that was added to others, whose `average` it starts with.
    pub(super) fn joining(address: SocketAddr, cluster: &Rc<Shared>, now_ms: u64, average: Average) -> Self {
        let slow_ms = whole_milliseconds(cluster.policy.get().slow_start);
        if slow_ms > 0 {
            cluster.slow_until_ms.set(now_ms + slow_ms);
        }
        Self { joined_ms: now_ms, average, ..Self::new(address, cluster) }
    }

    /// Its share, of [`WEIGHT`].
    pub(super) fn weight(&self, now_ms: u64) -> u32 {
        let slow_ms = whole_milliseconds(self.cluster.policy.get().slow_start);
        let passed = now_ms.saturating_sub(self.joined_ms);
        if self.joined_ms == 0 || passed >= slow_ms {
            return WEIGHT;
        }
        u32::try_from(passed * u64::from(WEIGHT) / slow_ms).unwrap_or(WEIGHT).max(1)
    }
}

impl Member {
    /// It failed, and may be passed over from now on.
    fn failed(&self, core: &Core, failure: &dyn Display) {
        let now_ms = core.timers.now_ms();
        let cluster = &self.cluster;
        if let Some(until_ms) = self.health.failed(now_ms, &cluster.policy.get()) {
            cluster.ejected_until_ms.set(cluster.ejected_until_ms.get().max(until_ms));
            core.metrics.endpoint_ejections.increment();
            let seconds = until_ms.saturating_sub(now_ms) / 1000;
            tracing::warn!(cluster = &*cluster.name, endpoint = %self.address, %failure, seconds, "endpoint is passed over");
        }
    }
}

fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 8)
}

/// A request's hold on an endpoint: it is in flight there as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease(Rc<Member>);

impl Lease {
    pub(super) fn new(member: Rc<Member>) -> Self {
        member.in_flight.set(member.in_flight.get() + 1);
        let of_cluster = &member.cluster.circuit.in_flight;
        of_cluster.set(of_cluster.get() + 1);
        Self(member)
    }

    /// A hold on an endpoint that the core does not know any more.
    pub(super) fn unknown(address: SocketAddr, cluster: &Cluster, now_ms: u64) -> Self {
        let shared = Shared::of(Arc::clone(&cluster.name), Resilience::default(), CircuitLimits::default(), now_ms);
        Self::new(Rc::new(Member::new(address, &shared)))
    }

    /// The endpoint.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its response began after so long.
    #[inline]
    pub(crate) fn succeeded(&self, core: &Core, took: Duration) {
        self.0.health.succeeded();
        self.0.average.add(took, core.timers.now_ms());
    }

    /// It responded, after a time that says nothing about it.
    pub(crate) fn answered(&self) {
        self.0.health.succeeded();
    }

    /// A kept connection ended without an answer.
    pub(crate) fn doubt(&self) {
        self.0.health.doubt();
    }

    /// The attempt failed, maybe by the endpoint's fault.
    pub(crate) fn failed(&self, core: &Core, failure: &Failure) {
        if !failure.blames_endpoint() {
            return;
        }
        self.0.failed(core, failure);
    }

    /// Whether the request may go on, by the limits of its cluster.
    ///
    /// # Errors
    /// [`Failure::Overloaded`].
    #[inline]
    pub(crate) fn admit(&self, core: &Core) -> Result<(), Failure> {
        self.0.cluster.circuit.admit(core)
    }

    /// The request waits for a connection to be opened: what counts it.
    ///
    /// # Errors
    /// [`Failure::Overloaded`].
    pub(super) fn begin_waiting(&self, core: &Core) -> Result<Waiting, Failure> {
        Waiting::begin(&self.0.cluster, core)
    }

    /// A connection to the endpoint is to be opened: what counts it.
    ///
    /// # Errors
    /// [`Failure::Overloaded`].
    pub(super) fn begin_opening(&self, core: &Core, cluster: &Cluster) -> Result<Opened, Failure> {
        let shared = &self.0.cluster;
        // More than one when the limit was lowered.
        while !shared.circuit.has_room(core) && core.upstreams.borrow_mut().close_idle(core, cluster) {}
        Opened::begin(shared, core)
    }

    /// What can say later that it was too slow, whatever becomes of this.
    pub(crate) fn outrun(&self) -> Outrun {
        Outrun(Rc::clone(&self.0))
    }

    /// What pays for another attempt.
    pub(crate) fn account(&self) -> RetryAccount {
        RetryAccount(Rc::clone(&self.0.cluster))
    }
}

/// An endpoint that another one may outrun.
pub(crate) struct Outrun(Rc<Member>);

impl Outrun {
    /// Another one was quicker than this one, which has not responded for so long: it takes that time at least.
    pub(crate) fn by(&self, core: &Core, waited: Duration) {
        let now_ms = core.timers.now_ms();
        let known = Duration::from_secs_f64(self.0.average.get(now_ms));
        self.0.average.add(waited.max(known), now_ms);
    }

    /// It was asked first and had not answered when the other one had. Once is nothing, but one that hangs is never
    /// seen to fail while others outrun it.
    pub(crate) fn late(&self, core: &Core) {
        if self.0.health.outrun(&self.0.cluster.policy.get()) {
            self.0.failed(core, &"outrun by other endpoints and without an answer");
        }
    }
}

/// The further attempts of a cluster.
#[derive(Debug)]
pub(crate) struct RetryAccount(Rc<Shared>);

impl RetryAccount {
    /// Pays for one, if the cluster can afford it.
    pub(crate) fn pay(&self, core: &Core) -> bool {
        self.0.budget.spend(core.timers.now_ms())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        let of_cluster = &self.0.cluster.circuit.in_flight;
        of_cluster.set(of_cluster.get() - 1);
    }
}
