//! Which endpoint takes an attempt: the one that a cookie leads to, else the one that the cluster's balancer has.

use std::num::NonZeroU32;

use ringress_config::snapshot::{Balancer, HashBy, Ring};

use super::hint::Hint;
use super::member::WEIGHT;
use super::session::{Issued, Place, Session};
use super::{ClusterState, EndpointState, Tried, round_robin, two_choices};

/// Draws of a new place on the ring until one leads to an endpoint that can be used (as in ingress-nginx).
const DRAWS_MAX: usize = 20;

/// An attempt that looks for an endpoint.
pub(super) struct Attempt<'a> {
    pub(super) hint: &'a Hint<'a>,
    pub(super) tried: &'a Tried,
    pub(super) now_ms: u64,
    pub(super) random: &'a mut fastrand::Rng,
}

/// Who may be chosen.
#[derive(Clone, Copy)]
struct Allowed {
    tried: bool,
    ejected: bool,
    doubted: bool,
    /// By health checks.
    failing: bool,
}

/// Best first. The last one allows all, so that a cluster with endpoints always has one.
const ALLOWED: [Allowed; 6] = [
    Allowed { tried: false, ejected: false, doubted: true, failing: false },
    Allowed { tried: false, ejected: true, doubted: true, failing: false },
    Allowed { tried: true, ejected: false, doubted: true, failing: false },
    Allowed { tried: true, ejected: true, doubted: true, failing: false },
    Allowed { tried: false, ejected: true, doubted: true, failing: true },
    Allowed { tried: true, ejected: true, doubted: true, failing: true },
];

/// What a client's place may be while so few endpoints are left that all are used: a failing one loses no sessions.
const IN_PANIC: Allowed = ALLOWED[4];

/// Before all of these for a request that has failed already: when several endpoints die at once, it does not meet
/// them all.
const AFTER_A_FAILURE: Allowed = Allowed { tried: false, ejected: false, doubted: false, failing: false };

impl Allowed {
    #[inline]
    fn accepts(self, endpoint: &EndpointState, tried: &Tried, now_ms: u64) -> bool {
        let member = &*endpoint.member;
        (self.ejected || member.health.is_available(now_ms))
            && (self.tried || !tried.contains(member.address))
            && (self.doubted || member.health.is_beyond_doubt())
            && (self.failing || !endpoint.is_failing())
    }
}

impl ClusterState {
    /// The endpoint of an attempt; `None` without any.
    pub(super) fn pick(&mut self, attempt: &mut Attempt<'_>) -> Option<&EndpointState> {
        let turn = self.next;
        let at = match attempt.hint.session() {
            Some(session) => self.of_session(session, attempt)?,
            None => self.of_balancer(attempt)?,
        };
        if attempt.tried.count > 0 {
            // A further attempt takes nobody's turn: of two endpoints, the one that fails or is late would have every one.
            self.next = turn;
        }
        Some(&self.endpoints[at])
    }

    /// The endpoint of the client's cookie, or one for a new cookie.
    fn of_session(&mut self, session: &Session<'_>, attempt: &mut Attempt<'_>) -> Option<usize> {
        let cluster = std::sync::Arc::clone(&self.cluster);
        let places = cluster.places();
        let pinned = match session.place {
            Some(Place::Ring(key)) => places.ring.as_ref().and_then(|ring| ring.owner(key, |_| true)),
            Some(Place::Endpoint(key)) => places.sessions.as_ref().and_then(|sessions| sessions.find(key)),
            None => None,
        };
        let panics = self.panics(attempt.now_ms);
        let best = if panics { IN_PANIC } else { ALLOWED[0] };
        let is_usable = |state: &Self, at: usize, attempt: &Attempt<'_>| {
            best.accepts(&state.endpoints[at], attempt.tried, attempt.now_ms)
        };
        // One that fails its checks counts as one that left.
        if let Some(at) = pinned
            && (if session.affinity.change_on_failure {
                is_usable(self, at, attempt)
            } else {
                panics || !self.endpoints[at].is_failing()
            })
        {
            session.issued.set(None);
            return Some(at);
        }
        let ring = places.ring.as_ref().filter(|_| !session.affinity.persistent);
        let drawn = (0..DRAWS_MAX).find_map(|_| {
            let issued = Issued::draw(attempt.random);
            let at = ring?.owner(Ring::hash(issued.text().as_bytes()), |_| true)?;
            is_usable(self, at, attempt).then_some((at, issued))
        });
        let (at, issued) = match drawn {
            Some((at, issued)) => (at, Some(issued)),
            None => {
                // On a ring without any that can be used the client keeps its place.
                let kept = pinned.filter(|_| !session.affinity.persistent);
                let other = kept.or_else(|| self.of_balancer(attempt))?;
                // Nor does it move to one that is no better.
                let stays = !session.affinity.change_on_failure && self.endpoints[other].is_failing();
                let at = pinned.filter(|_| stays).unwrap_or(other);
                let key = places.sessions.as_ref().and_then(|sessions| sessions.key(at));
                let is_named = session.affinity.persistent && pinned != Some(at);
                (at, key.filter(|_| is_named).map(Issued::Endpoint))
            }
        };
        session.issued.set(issued);
        Some(at)
    }

    /// The balancer's choice.
    fn of_balancer(&mut self, attempt: &mut Attempt<'_>) -> Option<usize> {
        let panics = self.panics(attempt.now_ms);
        if !panics
            && attempt.tried.count == 0
            && let Some(at) = self.balance(ALLOWED[0], attempt)
        {
            return Some(at);
        }
        let first = (attempt.tried.count > 0).then_some(AFTER_A_FAILURE);
        let mut allowed = first.into_iter().chain(ALLOWED).filter(|allowed| !panics || allowed.failing);
        allowed.find_map(|allowed| self.balance(allowed, attempt))
    }

    /// Whether so few endpoints are left that all are used. Costs a look at each only while one is ejected or
    /// fails its checks.
    fn panics(&self, now_ms: u64) -> bool {
        let fails = || self.cluster.vitals().is_some_and(|vitals| vitals.totals().any_failing());
        if now_ms >= self.shared.ejected_until_ms.get() && !fails() {
            return false;
        }
        let is_left = |at: &EndpointState| at.member.health.is_available(now_ms) && !at.is_failing();
        let left = self.endpoints.iter().filter(|endpoint| is_left(endpoint)).count();
        left * 100 < self.endpoints.len() * usize::from(self.shared.policy.get().panic_percent)
    }

    #[inline]
    fn balance(&mut self, allowed: Allowed, attempt: &mut Attempt<'_>) -> Option<usize> {
        let Self { endpoints, next, shared, cluster, .. } = self;
        let (count, now_ms, tried) = (endpoints.len(), attempt.now_ms, attempt.tried);
        let member = |at: usize| &*endpoints[at].member;
        let accepts = |at: usize| allowed.accepts(&endpoints[at], tried, now_ms);
        let is_slow = now_ms < shared.slow_until_ms.get();
        let weight = |at: usize| if is_slow { member(at).weight(now_ms) } else { WEIGHT };
        // A request more makes each that waits slower, whatever was seen so far. One that starts slowly is crowded by
        // less, but idle it is as good as others: with a cost above theirs it would never get the first request.
        let crowd = |at: usize| f64::from(member(at).in_flight.get()) * f64::from(WEIGHT) / f64::from(weight(at)) + 1.0;
        let better = |random: &mut fastrand::Rng, cost: &dyn Fn(usize) -> f64| match is_slow {
            true => two_choices::better_by_weight(count, random, accepts, weight, cost),
            false => two_choices::better_of_two(count, random, accepts, cost),
        };
        let random = &mut *attempt.random;
        match &cluster.balancing.balancer {
            Balancer::Hash(by) if attempt.hint.key.is_some() => {
                let key = attempt.hint.key?;
                let places = cluster.places();
                match (by.subset_size, &places.subsets, &places.ring) {
                    (Some(size), Some(sets), _) => in_subset(sets, key, (size.get() as usize, count), random, accepts),
                    (_, _, Some(ring)) => by_load(ring, (key, by.load_percent), endpoints, accepts),
                    (_, _, None) => round_robin::in_turn(next, count, accepts),
                }
            }
            Balancer::RoundRobin | Balancer::Hash(_) if is_slow => {
                let accepted = (0..count).filter(|at| accepts(*at));
                round_robin::smoothly(accepted.map(|at| (at, &member(at).credit, weight(at))))
            }
            Balancer::RoundRobin | Balancer::Hash(_) => round_robin::in_turn(next, count, accepts),
            Balancer::LeastRequest => better(random, &crowd),
            Balancer::Ewma => {
                // A microsecond: those of whom nothing is known differ by what they have in flight.
                better(random, &|at| (member(at).average.get(now_ms) + 1e-6) * crowd(at))
            }
            Balancer::Random => two_choices::one(count, random, accepts, weight),
        }
    }
}

/// The owner of a key; with a bound on loads, the first on the ring that has not more in flight than it allows. The sum
/// is of this core: what others send is spread alike.
fn by_load(
    ring: &Ring,
    (key, percent): (u32, Option<NonZeroU32>),
    endpoints: &[EndpointState],
    accepts: impl Fn(usize) -> bool,
) -> Option<usize> {
    let Some(percent) = percent else { return ring.owner(key, accepts) };
    let in_flight = |at: usize| u64::from(endpoints[at].member.in_flight.get());
    let accepted = (0..endpoints.len()).filter(|at| accepts(*at));
    let (count, sum) = accepted.fold((0, 1), |(count, sum), at| (count + 1, sum + in_flight(at)));
    let most = (sum * u64::from(percent.get())).div_ceil(100 * u64::max(count, 1));
    let roomy = ring.owner(key, |at| accepts(at) && in_flight(at) < most);
    roomy.or_else(|| ring.owner(key, accepts))
}

/// Any of the group that a key leads to. The groups are runs of the endpoints, the last one filled up with the first.
fn in_subset(
    sets: &Ring,
    key: u32,
    (size, count): (usize, usize),
    random: &mut fastrand::Rng,
    accepts: impl Fn(usize) -> bool,
) -> Option<usize> {
    let of = |set: usize| (0..size.min(count)).map(move |offset| (set * size + offset) % count);
    let set = sets.owner(key, |set| of(set).any(&accepts))?;
    two_choices::one(size.min(count), random, |offset| accepts((set * size + offset) % count), |_| 1)
        .map(|offset| (set * size + offset) % count)
}

/// A key exists only for a cluster that is hashed.
pub(crate) fn hash_by(balancer: &Balancer) -> Option<&HashBy> {
    match balancer {
        Balancer::Hash(by) => Some(by),
        Balancer::RoundRobin | Balancer::Ewma | Balancer::LeastRequest | Balancer::Random => None,
    }
}
