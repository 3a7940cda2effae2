//! What a core keeps for each cluster: its balancer's state, what it has seen of each endpoint, and the idle
//! connections. Nothing of it is shared between cores.

mod budget;
mod checks;
mod choose;
mod circuit;
mod connection;
mod ewma;
mod health;
mod hint;
mod member;
mod round_robin;
mod session;
mod two_choices;

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use ringress_config::snapshot::{Cluster, Clusters, UpstreamSettings, Vital};

use crate::worker::Core;
pub(crate) use checks::{Checks, run as check};
use choose::Attempt;
pub(crate) use choose::hash_by;
pub(crate) use circuit::Opened;
pub(crate) use connection::{Connection, Speech, connect, connect_for, dial};
use ewma::Average;
pub(crate) use hint::Hint;
pub(crate) use member::{Lease, Outrun, RetryAccount};
use member::{Member, Shared};
pub(crate) use session::{Session, is_of};

/// Endpoints of one cluster that one request has failed on; beyond that it starts over.
const TRIED_MAX: usize = 8;

/// Times of the operator's bound on idle connections that may be idle between two sweeps, which are a second apart. What
/// comes back together is mostly wanted again at once: with the bound alone, 512 streams of HTTP/2 at a time opened a
/// connection for every seventh request.
const BURST: usize = 4;

/// Clusters that this core has sent requests to.
#[derive(Default)]
pub(crate) struct Upstreams {
    /// By cluster id.
    clusters: Vec<Option<ClusterState>>,
    /// Idle connections of all clusters.
    idle: usize,
    /// Where the next connection is evicted when there are too many.
    evict_next: usize,
    /// Which core of how many this is.
    seat: (usize, usize),
}

struct ClusterState {
    cluster: Arc<Cluster>,
    /// Beside `cluster.endpoints`.
    endpoints: Vec<EndpointState>,
    /// Whose turn it is.
    next: usize,
    shared: Rc<Shared>,
}

struct EndpointState {
    member: Rc<Member>,
    /// What health checks say, if there are any.
    vital: Option<Arc<Vital>>,
    /// Last in, first out.
    idle: VecDeque<Idle>,
}

struct Idle {
    connection: Box<Connection>,
    since_ms: u64,
}

/// The endpoints that a request has failed on. Nearly always none, so that it holds no room for them.
#[derive(Default)]
pub(crate) struct Tried {
    addresses: Vec<SocketAddr>,
    count: usize,
}

impl Tried {
    /// Notes an endpoint.
    pub(crate) fn add(&mut self, address: SocketAddr) {
        if self.contains(address) {
            return;
        }
        match self.addresses.get_mut(self.count % TRIED_MAX) {
            Some(oldest) => *oldest = address,
            None => self.addresses.push(address),
        }
        self.count += 1;
    }

    fn contains(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// Limits of a pool at one moment.
struct Now<'a> {
    ms: u64,
    settings: &'a UpstreamSettings,
}

impl Now<'_> {
    fn is_fresh(&self, idle: &Idle) -> bool {
        let idle_ms = self.ms.saturating_sub(idle.since_ms);
        let age_ms = self.ms.saturating_sub(idle.connection.created_ms);
        u128::from(idle_ms) < self.settings.idle_timeout.as_millis()
            && u128::from(age_ms) < self.settings.age_max.as_millis()
            && idle.connection.requests < self.settings.requests_max
    }
}

impl Upstreams {
    /// Those of a core, by its number and how many there are.
    pub(crate) fn of_core(index: usize, cores: usize) -> Self {
        Self { seat: (index, cores), ..Self::default() }
    }

    /// The endpoint for an attempt, passing over those tried while others are left. `None` without endpoints.
    ///
    /// A request may still be on an older snapshot: its cluster's present endpoints are chosen from, and when the
    /// cluster is gone, those that it knew, by chance.
    pub(crate) fn choose(
        &mut self,
        core: &Core,
        cluster: &Arc<Cluster>,
        hint: &Hint<'_>,
        tried: &Tried,
    ) -> Option<Lease> {
        let (newest, random, now_ms) = (core.pin(), &mut *core.random.borrow_mut(), core.timers.now_ms());
        let Some(present) = newest.clusters.get(cluster.id).filter(|present| present.identity == cluster.identity)
        else {
            let endpoint = random.choice(&*cluster.endpoints)?;
            return Some(Lease::unknown(endpoint.address, cluster, now_ms));
        };
        let state = self.state(present, now_ms);
        let policy = state.shared.policy.get();
        if tried.count == 0 {
            state.shared.budget.save(policy.retry_percent, now_ms);
        }
        let endpoint = state.pick(&mut Attempt { hint, tried, now_ms, random })?;
        let member = &endpoint.member;
        if !member.health.is_available(now_ms) || endpoint.is_failing() {
            core.metrics.ejected_used.increment();
        }
        member.health.picked(now_ms, &policy);
        Some(Lease::new(Rc::clone(member)))
    }

    /// An idle connection of an endpoint that is still open and silent.
    pub(crate) fn take(
        &mut self,
        core: &Core,
        cluster: &Cluster,
        address: SocketAddr,
        speech: Speech<'_>,
    ) -> Option<Box<Connection>> {
        let pinned = core.pin();
        let state = self.clusters.get_mut(cluster.id.index())?.as_mut()?;
        if state.cluster.identity != cluster.identity {
            return None;
        }
        let idle = &mut state.endpoints.iter_mut().find(|e| e.member.address == address)?.idle;
        let now = Now { ms: core.timers.now_ms(), settings: &pinned.settings.upstream };
        while let Some(at) = idle.iter().rposition(|i| i.connection.suits(speech)) {
            let Some(candidate) = idle.swap_remove_back(at) else { break };
            self.idle -= 1;
            core.metrics.pool_idle.set(self.idle as u64);
            if now.is_fresh(&candidate) && candidate.connection.stream.is_quiet() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, if its endpoint is still one and the limits allow it.
    pub(crate) fn put(&mut self, core: &Core, cluster: &Cluster, mut connection: Box<Connection>) {
        // The request is over.
        connection.lease = None;
        let pinned = core.pin();
        let settings = &pinned.settings.upstream;
        if connection.protocol.is_http2()
            || settings.idle_max == 0
            || connection.requests >= settings.requests_max
            || core.draining()
            || !core.share.has_room_for_idle(core.timers.sockets())
        {
            return;
        }
        if self.idle >= settings.idle_max.saturating_mul(BURST) {
            self.evict();
        }
        let Some(Some(state)) = self.clusters.get_mut(cluster.id.index()) else { return };
        if state.cluster.identity != cluster.identity {
            return;
        }
        let Some(endpoint) = state.endpoints.iter_mut().find(|e| e.member.address == connection.address) else {
            return;
        };
        endpoint.idle.push_back(Idle { connection, since_ms: core.timers.now_ms() });
        self.idle += 1;
        core.metrics.pool_idle.set(self.idle as u64);
    }

    /// Follows a snapshot: endpoints that stay keep their connections, those of removed ones are closed. Requests in
    /// flight on a removed endpoint finish; their connection finds no place to return to.
    pub(crate) fn adopt(&mut self, clusters: &Clusters, now_ms: u64) {
        for slot in &mut self.clusters {
            let Some(state) = slot else { continue };
            match clusters.get(state.cluster.id) {
                Some(cluster) if Arc::ptr_eq(cluster, &state.cluster) => {}
                Some(cluster) if cluster.identity == state.cluster.identity => {
                    state.reconcile(Arc::clone(cluster), start(cluster, self.seat), now_ms);
                }
                _ => *slot = None,
            }
        }
        self.idle = self.count();
    }

    /// Closes what is too much, idled too long or was closed by its upstream.
    pub(crate) fn sweep(&mut self, core: &Core) {
        let pinned = core.pin();
        self.trim(pinned.settings.upstream.idle_max);
        let now = Now { ms: core.timers.now_ms(), settings: &pinned.settings.upstream };
        for endpoint in self.clusters.iter_mut().flatten().flat_map(|c| &mut c.endpoints) {
            endpoint.idle.retain(|idle| now.is_fresh(idle) && idle.connection.stream.is_quiet());
        }
        self.idle = self.count();
        core.metrics.pool_idle.set(self.idle as u64);
        let ejected: Vec<_> = self.ejected().collect();
        core.metrics.endpoints_ejected.set(ejected.len() as u64);
        core.metrics.ejected.tell(ejected);
    }

    /// The endpoints that were ejected and have not been seen well since, by identity of their cluster.
    fn ejected(&self) -> impl Iterator<Item = (u64, SocketAddr)> {
        self.clusters.iter().flatten().flat_map(|state| {
            let ejected = state.endpoints.iter().filter(|endpoint| endpoint.member.health.is_ejected());
            ejected.map(|endpoint| (state.cluster.identity, endpoint.member.address))
        })
    }

    fn count(&self) -> usize {
        self.clusters.iter().flatten().flat_map(|c| &c.endpoints).map(|e| e.idle.len()).sum()
    }

    /// Closes an idle connection of a cluster, whichever endpoint it is to; whether there was one.
    pub(crate) fn close_idle(&mut self, core: &Core, cluster: &Cluster) -> bool {
        let Some(Some(state)) = self.clusters.get_mut(cluster.id.index()) else { return false };
        let mut endpoints = state.endpoints.iter_mut().filter(|_| state.cluster.identity == cluster.identity);
        let Some(endpoint) = endpoints.find(|endpoint| !endpoint.idle.is_empty()) else { return false };
        endpoint.idle.pop_front();
        self.idle -= 1;
        core.metrics.pool_idle.set(self.idle as u64);
        true
    }

    /// Makes room: closes the longest idle connection of the next cluster that has one.
    fn evict(&mut self) {
        let count = self.clusters.len();
        for offset in 0..count {
            let at = (self.evict_next + offset) % count;
            let Some(state) = &mut self.clusters[at] else { continue };
            if let Some(endpoint) = state.endpoints.iter_mut().find(|e| !e.idle.is_empty()) {
                endpoint.idle.pop_front();
                self.idle -= 1;
                self.evict_next = at + 1;
                return;
            }
        }
    }

    /// Closes what is more than `max`: of every endpoint the same part, the longest idle first.
    fn trim(&mut self, max: usize) {
        let all = self.idle;
        if all <= max {
            return;
        }
        let mut kept = parts(max, all);
        for endpoint in self.clusters.iter_mut().flatten().flat_map(|cluster| &mut cluster.endpoints) {
            let kept = kept(endpoint.idle.len());
            endpoint.idle.drain(..endpoint.idle.len() - kept);
            // After a burst its room is given back, too.
            endpoint.idle.shrink_to(2 * kept);
        }
        self.idle = self.count();
    }

    fn state(&mut self, cluster: &Arc<Cluster>, now_ms: u64) -> &mut ClusterState {
        let index = cluster.id.index();
        if self.clusters.len() <= index {
            self.clusters.resize_with(index + 1, || None);
        }
        let slot = &mut self.clusters[index];
        // The cluster is one of the adopted snapshot, so another identity can only be an older one.
        if slot.as_ref().is_none_or(|state| state.cluster.identity != cluster.identity) {
            *slot = Some(ClusterState::new(Arc::clone(cluster), start(cluster, self.seat), now_ms));
        }
        slot.as_mut().expect("it was just filled")
    }
}

/// The endpoint that a core begins with: cores are at equal distances from each other, and each process begins elsewhere,
/// so that a few requests do not all meet the same endpoint.
fn start(cluster: &Cluster, (index, cores): (usize, usize)) -> usize {
    let count = cluster.endpoints.len().max(1);
    let of_process = SeedableRandomState::with_seed(0, SharedSeed::global_random());
    let base = of_process.hash_one(&*cluster.name) as usize % count;
    (base + index * count / cores.max(1)) % count
}

/// How many each of some heaps keeps, asked one after another, where `all` together are to be `max`. What is lost by
/// rounding goes to the next ones: hundreds of endpoints with a connection each would lose every one.
fn parts(max: usize, all: usize) -> impl FnMut(usize) -> usize {
    let (mut seen, mut kept) = (0, 0);
    move |count| {
        seen += count;
        let part = seen * max / all - kept;
        kept += part;
        part
    }
}

impl ClusterState {
    fn new(cluster: Arc<Cluster>, next: usize, now_ms: u64) -> Self {
        let shared = Shared::new(&cluster, now_ms);
        let known = |(at, address)| EndpointState::new(Member::new(address, &shared), vital(&cluster, at));
        let endpoints: Vec<_> = addresses(&cluster).map(known).collect();
        Self { cluster, endpoints, next, shared }
    }

    fn reconcile(&mut self, cluster: Arc<Cluster>, start: usize, now_ms: u64) {
        self.shared.policy.set(cluster.balancing.resilience);
        self.shared.circuit.limits.set(cluster.balancing.limits);
        let mut before = std::mem::take(&mut self.endpoints);
        let average = Average::of(before.iter().map(|endpoint| &endpoint.member.average), now_ms);
        // After a time without any, nobody has to start slowly.
        let is_first = before.is_empty();
        let new = |address| match is_first {
            true => Member::new(address, &self.shared),
            false => Member::joining(address, &self.shared, now_ms, average.clone()),
        };
        // Those that stay; of those that leave nothing is asked any more.
        before.iter().for_each(|known| known.member.health.follow(now_ms, &cluster.balancing.resilience));
        self.endpoints = addresses(&cluster)
            .map(|(at, address)| match before.iter().position(|known| known.member.address == address) {
                Some(known) => EndpointState { vital: vital(&cluster, at), ..before.swap_remove(known) },
                None => EndpointState::new(new(address), vital(&cluster, at)),
            })
            .collect();
        self.next = if is_first { start } else { self.next % self.endpoints.len().max(1) };
        self.cluster = cluster;
    }
}

impl EndpointState {
    fn new(member: Member, vital: Option<Arc<Vital>>) -> Self {
        Self { member: Rc::new(member), vital, idle: VecDeque::new() }
    }

    /// Whether health checks say that it is to be passed over.
    #[inline]
    fn is_failing(&self) -> bool {
        self.vital.as_ref().is_some_and(|vital| vital.is_failing())
    }
}

fn addresses(cluster: &Cluster) -> impl Iterator<Item = (usize, SocketAddr)> {
    cluster.endpoints.iter().map(|endpoint| endpoint.address).enumerate()
}

/// What health checks say about the endpoint at an index.
fn vital(cluster: &Cluster, at: usize) -> Option<Arc<Vital>> {
    cluster.vitals().map(|vitals| Arc::clone(vitals.endpoint(at)))
}

#[cfg(test)]
mod tests;
