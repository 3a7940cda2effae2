//! Clusters: the endpoints behind a service port.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Affinity, HealthCheck, Ring, Sessions, Template, UpstreamProtocol, Vitals};
use crate::model::{ObjectKey, Transport};

/// Index of a cluster in the snapshot it came from. Ids of removed clusters are given to later ones; see
/// [`Cluster::identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub u32);

impl ClusterId {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A service port as a backend names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortKey {
    /// By number.
    Number(u16),
    /// By name.
    Name(Arc<str>),
    /// The first one, whatever its number (default backends).
    First,
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Name(n) => f.write_str(n),
            Self::First => f.write_str("first"),
        }
    }
}

/// Stable name of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// The Service.
    pub service: ObjectKey,
    /// Its port.
    pub port: PortKey,
    /// What the port speaks: a Service may have the same number for both.
    pub transport: Transport,
}

/// `namespace-service-port`, the name that ingress-nginx gives it in logs and metrics; UDP says so.
impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.service.namespace, self.service.name, self.port)?;
        match self.transport {
            Transport::Tcp => Ok(()),
            Transport::Udp => f.write_str("-udp"),
        }
    }
}

/// One address that serves a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balancer {
    /// Each in turn, from a random start on each core.
    #[default]
    RoundRobin,
    /// The quicker of two by chance: decaying averages of the time to respond, by what waits already.
    Ewma,
    /// Of two by chance the one with fewer requests in flight.
    LeastRequest,
    /// By chance.
    Random,
    /// The one that the ring has for a key.
    Hash(Arc<HashBy>),
}

impl Balancer {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Ewma => "ewma",
            Self::LeastRequest => "least_request",
            Self::Random => "random",
            Self::Hash(_) => "hash",
        }
    }
}

/// What makes requests alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashBy {
    /// Equal keys go to the same endpoint.
    pub key: Template,
    /// They go to the same group of so many endpoints, and to any in it.
    pub subset_size: Option<NonZeroU32>,
    /// An endpoint that has more in flight than this percentage of the average passes a key on to the next one of the
    /// ring; more than 100. `None` never.
    pub load_percent: Option<NonZeroU32>,
}

/// What is done about endpoints that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resilience {
    /// Failures in a row after which a core passes over an endpoint; 0 never.
    pub max_fails: u32,
    /// In so much time; and for so long, doubled each time that it fails again at once.
    pub fail_timeout: Duration,
    /// When fewer endpoints than this percentage are left, all are used.
    pub panic_percent: u8,
    /// Further attempts that a core makes, as a percentage of its requests.
    pub retry_percent: u8,
    /// A new endpoint gets its full share after this time.
    pub slow_start: Duration,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            max_fails: 3,
            fail_timeout: Duration::from_secs(10),
            panic_percent: 10,
            retry_percent: 20,
            slow_start: Duration::ZERO,
        }
    }
}

/// How much of a cluster the process takes at most; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CircuitLimits {
    /// Requests in flight.
    pub requests_max: Option<NonZeroU32>,
    /// Of these, those that wait for a connection to be opened.
    pub pending_max: Option<NonZeroU32>,
    /// Connections, kept ones among them.
    pub connections_max: Option<NonZeroU32>,
}

/// How the endpoints of a cluster share its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// How one is chosen.
    pub balancer: Balancer,
    /// Cookies that routes obey that issue none themselves.
    pub affinity: Option<Arc<Affinity>>,
    /// Cookies name its endpoints: those of a route, or of the cluster that it is a canary of.
    pub has_sessions: bool,
    /// What is done about endpoints that fail.
    pub resilience: Resilience,
    /// How much they are given at most.
    pub limits: CircuitLimits,
    /// What they are asked now and then.
    pub health_check: Option<Arc<HealthCheck>>,
}

/// What consistent choices are made by: a function of the endpoints, made off the cores. Only what is needed is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of the endpoints.
    pub ring: Option<Ring>,
    /// Of the groups of [`HashBy::subset_size`].
    pub subsets: Option<Ring>,
    /// What cookies call the endpoints.
    pub sessions: Option<Sessions>,
}

impl Places {
    pub(crate) fn new(name: &str, endpoints: &[Endpoint], balancing: &Balancing) -> Self {
        let size = match &balancing.balancer {
            Balancer::Hash(by) => Some(by.subset_size),
            Balancer::RoundRobin | Balancer::Ewma | Balancer::LeastRequest | Balancer::Random => None,
        };
        let has_ring = balancing.has_sessions || size == Some(None);
        let sets = size.flatten().map(|size| endpoints.len().div_ceil(size.get() as usize));
        Self {
            ring: has_ring.then(|| Ring::new(endpoints.iter().map(|endpoint| endpoint.address.to_string()))),
            subsets: sets.map(|sets| Ring::new((1..=sets).map(|set| format!("set{set}")))),
            sessions: balancing.has_sessions.then(|| Sessions::new(name, endpoints)),
        }
    }
}

/// The endpoints behind one service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its index in this snapshot.
    pub id: ClusterId,
    /// Never reused, unlike the id: what a core keeps for a cluster is valid while this stays the same.
    pub identity: u64,
    /// Its stable name.
    pub key: ClusterKey,
    /// `key` as text, for logs and metrics.
    pub name: Arc<str>,
    /// Sorted, without duplicates; empty answers 503.
    pub endpoints: Arc<[Endpoint]>,
    /// How they share its requests.
    pub balancing: Balancing,
    /// How its port says that it is spoken to (`appProtocol`).
    pub protocol: Option<UpstreamProtocol>,
    /// There is no such Service.
    pub missing: bool,
    /// Made of endpoints and balancing.
    places: Arc<Places>,
    /// What health checks found; `None` without any.
    vitals: Option<Vitals>,
}

impl Cluster {
    /// A cluster.
    pub fn new(
        id: ClusterId,
        identity: u64,
        key: ClusterKey,
        endpoints: Arc<[Endpoint]>,
        balancing: Balancing,
    ) -> Self {
        let name: Arc<str> = key.to_string().into();
        let places = Arc::new(Places::new(&name, &endpoints, &balancing));
        let vitals = balancing.health_check.as_ref().map(|_| Vitals::new(&endpoints, None));
        Self { id, identity, key, name, endpoints, balancing, protocol: None, missing: false, places, vitals }
    }

    /// The same, spoken to as its port says.
    pub fn with_protocol(self, protocol: Option<UpstreamProtocol>) -> Self {
        Self { protocol, ..self }
    }

    /// The same; whether its Service is missing.
    pub fn with_missing(self, missing: bool) -> Self {
        Self { missing, ..self }
    }

    /// The same, with what health checks found before.
    pub fn with_vitals(self, before: Option<&Self>) -> Self {
        let before = before.and_then(|before| Some((&*before.endpoints, before.vitals.as_ref()?)));
        let vitals = self.vitals.is_some().then(|| Vitals::new(&self.endpoints, before));
        Self { vitals, ..self }
    }

    /// What health checks found; `None` without any.
    #[inline]
    pub fn vitals(&self) -> Option<&Vitals> {
        self.vitals.as_ref()
    }

    /// What consistent choices are made by.
    #[inline]
    pub fn places(&self) -> &Places {
        &self.places
    }
}

/// Entries of one chunk of [`Clusters`].
const CHUNK: usize = 128;

type Chunk = Vec<Option<Arc<Cluster>>>;

/// All clusters by id, in chunks, so that replacing one copies one chunk.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    chunks: Arc<Vec<Arc<Chunk>>>,
}

impl Clusters {
    /// The cluster of an id that came from the same snapshot.
    #[inline]
    pub fn get(&self, id: ClusterId) -> Option<&Arc<Cluster>> {
        self.chunks.get(id.index() / CHUNK)?.get(id.index() % CHUNK)?.as_ref()
    }

    /// Whether a cluster has an endpoint, be it one that is not healthy.
    #[inline]
    pub fn is_served(&self, id: ClusterId) -> bool {
        self.get(id).is_some_and(|cluster| !cluster.endpoints.is_empty())
    }

    /// Puts a cluster at its id, or empties the place.
    pub fn set(&mut self, id: ClusterId, cluster: Option<Arc<Cluster>>) {
        let chunks = Arc::make_mut(&mut self.chunks);
        while chunks.len() <= id.index() / CHUNK {
            chunks.push(Arc::new(vec![None; CHUNK]));
        }
        Arc::make_mut(&mut chunks[id.index() / CHUNK])[id.index() % CHUNK] = cluster;
    }

    /// All clusters, by rising id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.chunks.iter().flat_map(|c| c.iter()).flatten()
    }
}
