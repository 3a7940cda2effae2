//! The immutable, compiled form of everything that serves traffic. See `docs/architecture.md`.
//!
//! Built by [`crate::compile`] on the control thread, read by the worker cores. Parts share structure: an endpoint
//! change replaces one [`Cluster`], an Ingress change the [`HostRoutes`] of its hosts, and nothing else.
//! Ids are typed indexes into the snapshot they came from.

mod access_log;
mod aliases;
mod authorities;
mod blocks;
mod certificate;
mod client_auth;
mod cluster;
mod compression;
mod distinguished_name;
mod health_check;
mod host;
mod listen;
mod literal;
mod log_format;
mod pattern;
mod policy;
mod ring;
mod route;
mod search;
mod sessions;
mod settings;
mod sharded;
mod stream;
mod stream_log;
mod suites;
mod template;
mod ticket_keys;
mod tracing;
mod upstream_tls;

use std::sync::Arc;

pub use access_log::{AccessLogSettings, LogShare, LogVariable, RequestValue};
pub use aliases::{AliasPattern, Aliases};
pub use authorities::{Authorities, AuthoritiesError, Distrust};
pub use blocks::{Blocks, TextRule};
pub use certificate::{Certificate, CertificateError, Certificates, Origin, ServerCertificate, not_after_of};
pub use client_auth::{AuthContext, ClientAuth, ClientCertificate, ClientVerdict, ClientVerify};
pub use cluster::{
    Balancer, Balancing, CircuitLimits, Cluster, ClusterId, ClusterKey, Clusters, Endpoint, HashBy, Places, PortKey,
    Resilience,
};
pub use compression::{CodingSettings, Compression};
pub use health_check::{CheckKind, CheckTotals, HealthCheck, Vital, Vitals};
pub use host::{HostRoutes, HostTls, Hosts, PathMatch, PathTable};
pub use listen::{ListenAddresses, ListenSettings};
pub use literal::{Literal, LiteralTable};
pub use log_format::{Escape, LogFormat, LogPart, LogValue};
pub use pattern::{Pattern, PatternError, PatternTable};
pub use policy::{
    Access, Affinity, AuthCache, BasicAuth, Canary, CanaryHeader, ConnectionWord, Cors, DeniedPaths, ErrorPages,
    ExternalAuth, FieldRules, Limits, Mirror, OriginPattern, Origins, Policies, Rate, Redirect, Redirects, Replacement,
    RequestMatch, ResponseRate, Rewrite, Signin, UpstreamHop, UpstreamWords, ValueMatch,
};
pub use ring::Ring;
pub use route::{
    Backend, BodyPolicy, HttpsRedirect, PathKind, RESPONSE_AHEAD_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX, RetryPolicy,
    RetryStatuses, Route, RouteId, RouteLabels, Timeouts, Tries, UpstreamProtocol, WeightedCluster,
};
pub use search::{GROUPS_MAX, Groups, Search};
pub use sessions::{EndpointKey, Sessions};
pub use settings::{
    ClientSettings, FieldSettings, ForwardedSettings, OwnLogLevel, Settings, StreamSettings, TlsSettings,
    UpstreamSettings,
};
pub use sharded::Sharded;
pub use stream::{StreamService, StreamServices};
pub use stream_log::{StreamLogSettings, StreamVariable};
pub use suites::{CipherList, HostCiphers, SUITES, parse_groups};
pub use template::{Part, Template, UnknownVariable, VARIABLES, Variable};
pub use ticket_keys::{TICKET_KEY_BYTES, TICKET_KEYS_MAX, TicketKey, TicketKeys};
pub use tracing::{RouteTracing, SampleRatio, Sampler, SpanExport, SpanProtocol, Tracing};
pub use upstream_tls::{TlsVersions, UpstreamTls, UpstreamVerify};

/// One complete, consistent state of the routing world.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Rises by one with each published snapshot; the first is 1.
    pub generation: u64,
    /// Host name → routes.
    pub hosts: Hosts,
    /// Server name → certificate.
    pub certificates: Certificates,
    /// Cluster id → endpoints.
    pub clusters: Clusters,
    /// TCP and UDP services.
    pub streams: StreamServices,
    /// Process-wide settings (ConfigMap and flags).
    pub settings: Arc<Settings>,
    /// Keys of session tickets that are shared with other processes; `None` leaves each its own.
    pub tickets: Option<Arc<TicketKeys>>,
}

/// A worker's message that it serves a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Index of the worker.
    pub worker: usize,
    /// The generation it serves from now on.
    pub generation: u64,
}
