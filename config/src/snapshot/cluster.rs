//! Clusters: the endpoints behind a service port.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balancer {
    /// Each in turn, from a random start on each core.
    #[default]
    RoundRobin,
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
    /// How one is chosen.
    pub balancer: Balancer,
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
