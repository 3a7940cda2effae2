//! Routes: what is done with a request that a host and a path matched.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Cluster, ClusterId, Policies, UpstreamTls};
use crate::model::{AppProtocol, ObjectRef};

/// Index of a route's counters on every core. Ids of removed routes are given to later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// How a rule's path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    /// The whole path, case-sensitive.
    Exact,
    /// A prefix that ends at a segment border.
    Prefix,
    /// A case-insensitive regular expression, anchored at the start (hosts in regex mode).
    Regex,
}

/// The words that logs and metrics use for a route. Bounded: they come from objects, never from requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteLabels {
    /// Namespace of the Ingress.
    pub namespace: Arc<str>,
    /// Name of the Ingress.
    pub ingress: Arc<str>,
    /// Name of the backend Service, or empty.
    pub service: Arc<str>,
    /// Port of the backend Service as written, or empty.
    pub service_port: Arc<str>,
    /// The rule's host, `_` for the catch-all.
    pub host: Arc<str>,
    /// The rule's path as written.
    pub path: Arc<str>,
}

/// When plain http is answered with a redirect to https.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpsRedirect {
    /// Never.
    Never,
    /// When a certificate is known for the requested host (`ssl-redirect`), with this status.
    IfCertificate(u16),
    /// Always (`force-ssl-redirect`), with this status.
    Always(u16),
}

/// A part of a weighted backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    /// Where the requests go.
    pub cluster: ClusterId,
    /// Its share of the sum of weights; at least 1.
    pub weight: u32,
}

/// Where requests of a route end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One cluster.
    Cluster(ClusterId),
    /// Several, by weight.
    Weighted(Box<[WeightedCluster]>),
    /// The proxy answers with this status: no usable backend (503), the built-in default backend (404).
    Status(u16),
}

/// How upstreams are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// HTTP/1.1 in the clear.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 in the clear (gRPC, and Service ports that say `kubernetes.io/h2c`).
    Grpc,
    /// HTTP/2 over TLS (gRPC).
    Grpcs,
}

impl UpstreamProtocol {
    /// Whether requests share HTTP/2 connections.
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    /// Whether TLS is spoken.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }
}

impl From<AppProtocol> for UpstreamProtocol {
    fn from(said: AppProtocol) -> Self {
        match said {
            AppProtocol::H2c => Self::Grpc,
            AppProtocol::Ws => Self::Http,
            AppProtocol::Wss => Self::Https,
        }
    }
}

/// Bounds on waiting for an upstream, nginx's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// To open a connection (`proxy-connect-timeout`).
    pub connect: Duration,
    /// Longest gap between two writes (`proxy-send-timeout`).
    pub send: Duration,
    /// Longest gap between two reads; also the idle bound of tunnels (`proxy-read-timeout`).
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), send: Duration::from_secs(60), read: Duration::from_secs(60) }
    }
}

/// Most bytes of a response head that any route takes.
pub const RESPONSE_HEAD_BYTES_MAX: u32 = 256 << 10;

/// Most bytes of a response that any route reads ahead of its client.
pub const RESPONSE_AHEAD_BYTES_MAX: u32 = 1 << 20;

/// Bounds on a request body, and on the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyPolicy {
    /// More is answered 413 (`proxy-body-size`); `None` is unlimited.
    pub bytes_max: Option<u64>,
    /// Read the body (up to the memory bound) before the upstream is contacted (`proxy-request-buffering`).
    pub buffer: bool,
    /// Bytes of a response head; more is answered 502 (`proxy-buffer-size`).
    pub response_head_bytes_max: u32,
    /// The response is read ahead of a slow client (`proxy-buffering`).
    pub reads_ahead: bool,
    /// By so many buffers of `proxy-buffer-size` (`proxy-buffers-number`).
    pub response_buffers: u32,
}

impl BodyPolicy {
    /// Bytes of a response that may be held for its client, so that the upstream need not wait; 0 where nothing is.
    #[inline]
    pub fn bytes_ahead(&self) -> u32 {
        if !self.reads_ahead {
            return 0;
        }
        self.response_buffers.saturating_mul(self.response_head_bytes_max).min(RESPONSE_AHEAD_BYTES_MAX)
    }
}

impl Default for BodyPolicy {
    fn default() -> Self {
        Self {
            bytes_max: Some(1 << 20),
            buffer: true,
            response_head_bytes_max: 4 << 10,
            reads_ahead: false,
            response_buffers: 4,
        }
    }
}

/// Statuses of upstreams after which another one may be asked: those that nginx has conditions for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RetryStatuses(u8);

impl RetryStatuses {
    const ALL: [u16; 7] = [403, 404, 429, 500, 502, 503, 504];

    /// Adds a status; false if there is no such condition.
    pub fn add(&mut self, status: u16) -> bool {
        let found = Self::ALL.iter().position(|known| *known == status);
        self.0 |= found.map_or(0, |at| 1 << at);
        found.is_some()
    }

    /// Whether the status is one of them.
    pub fn has(self, status: u16) -> bool {
        self.0 != 0 && Self::ALL.iter().position(|known| *known == status).is_some_and(|at| self.0 & (1 << at) != 0)
    }
}

/// How often something is tried in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tries {
    /// So often at most.
    UpTo(NonZeroU32),
    /// Every endpoint once, within bounds (`0`): what nobody reaches must not be tried for ever, and one request must not
    /// spend what all have to spend on further attempts.
    EachEndpoint,
}

impl Tries {
    /// Of one endpoint alone, and the default.
    const MIN: u32 = 3;
    /// See [`Tries::EachEndpoint`].
    const EACH_MAX: u32 = 32;

    /// As nginx counts: 0 is no number.
    pub fn new(number: u32) -> Self {
        NonZeroU32::new(number).map_or(Self::EachEndpoint, Self::UpTo)
    }

    /// How many these are where there are so many endpoints.
    pub fn of(self, endpoints: usize) -> u32 {
        match self {
            Self::UpTo(number) => number.get(),
            Self::EachEndpoint => u32::try_from(endpoints).unwrap_or(u32::MAX).clamp(Self::MIN, Self::EACH_MAX),
        }
    }
}

impl Default for Tries {
    fn default() -> Self {
        Self::new(Self::MIN)
    }
}

/// When and how often another attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    /// Attempts in all (`proxy-next-upstream-tries`).
    pub tries: Tries,
    /// After a connection error or a connection that broke before any response byte (`error`).
    pub on_error: bool,
    /// After a timeout (`timeout`).
    pub on_timeout: bool,
    /// After a response that is no HTTP (`invalid_header`).
    pub on_invalid: bool,
    /// After a response with one of these statuses (`http_500` and its kind).
    pub on_status: RetryStatuses,
    /// POST, LOCK and PATCH too, once they were sent (`non_idempotent`).
    pub non_idempotent: bool,
    /// Time for all attempts together; zero is no limit (`proxy-next-upstream-timeout`).
    pub budget: Duration,
    /// From sending an attempt to the head of its answer; `None` is no limit but the gaps of [`Timeouts::read`].
    pub per_try: Option<Duration>,
    /// A second endpoint is asked beside the first when that has not answered for so long; `None` never.
    pub hedge_after: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: Tries::default(),
            on_error: true,
            on_timeout: true,
            on_invalid: false,
            on_status: RetryStatuses::default(),
            non_idempotent: false,
            budget: Duration::ZERO,
            per_try: None,
            hedge_after: None,
        }
    }
}

/// One path of one host: matched by [`super::PathTable`], carried out by the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of its counters.
    pub id: RouteId,
    /// The object it came from.
    pub source: ObjectRef,
    /// The field it came from, such as `spec.rules[0].http.paths[1]`.
    pub field: String,
    /// How `path` is meant.
    pub kind: PathKind,
    /// The path as written.
    pub path: Arc<str>,
    /// Words for logs and metrics.
    pub labels: Arc<RouteLabels>,
    /// Plain http to https.
    pub https_redirect: HttpsRedirect,
    /// The redirect to https keeps a final slash of the path, which is cut otherwise (`preserve-trailing-slash`).
    pub redirect_keeps_slash: bool,
    /// Where requests end.
    pub backend: Backend,
    /// Answer while the cluster of `backend` has no endpoint: 503, or 404 for the default backend.
    pub empty_status: u16,
    /// How upstreams are spoken to (`backend-protocol`); `None` leaves it to their Service port.
    pub protocol: Option<UpstreamProtocol>,
    /// What is shown to upstreams over TLS and expected of them; by default nothing.
    pub upstream_tls: Option<Arc<UpstreamTls>>,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
    /// Bounds on the request body.
    pub body: BodyPolicy,
    /// Other attempts.
    pub retry: RetryPolicy,
    /// Everything else that is done with its requests; most routes have nothing.
    pub policies: Option<Arc<Policies>>,
}

impl Route {
    /// How the endpoints of `cluster`, to which it leads, are spoken to: its own word counts before that of the port.
    #[inline]
    pub fn protocol_to(&self, cluster: &Cluster) -> UpstreamProtocol {
        self.protocol.or(cluster.protocol).unwrap_or_default()
    }
}
