//! Process-wide settings: the ConfigMap and the flags, parsed once.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use rustls::{CipherSuite, NamedGroup};

use super::AccessLogSettings;
use super::TlsVersions;
use super::{Blocks, Compression, ListenSettings, StreamLogSettings, Tracing, Tries};

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Toward clients.
    pub client: ClientSettings,
    /// Toward upstreams.
    pub upstream: UpstreamSettings,
    /// TLS toward clients.
    pub tls: TlsSettings,
    /// Forwarding headers and what is believed of them.
    pub forwarded: ForwardedSettings,
    /// Which other fields pass.
    pub fields: FieldSettings,
    /// The log of requests.
    pub access_log: AccessLogSettings,
    /// The log of TCP and UDP sessions.
    pub stream_log: StreamLogSettings,
    /// Least severity of the process' own log, when no flag says otherwise (`error-log-level`).
    pub own_log: OwnLogLevel,
    /// Tracing of requests; `None` when no collector is named.
    pub tracing: Option<Box<Tracing>>,
    /// Compression of responses; `None` compresses nothing.
    pub compression: Option<Box<Compression>>,
    /// Clients that are refused on every host; `None` refuses nobody.
    pub blocks: Option<Box<Blocks>>,
    /// TCP and UDP services.
    pub streams: StreamSettings,
    /// Where clients are accepted, and by how many.
    pub listen: ListenSettings,
    /// Bound of a drain when no flag says otherwise (`worker-shutdown-timeout`).
    pub drain_timeout: Option<Duration>,
}

/// Least severity of the process' own log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnLogLevel {
    /// Failures only.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And why.
    Debug,
}

/// Limits and times of client connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Idle time of a keep-alive connection (`keep-alive`); zero turns keep-alive off.
    pub keep_alive: Duration,
    /// Requests on one connection, then it is closed with notice (`keep-alive-requests`).
    pub keep_alive_requests: u32,
    /// Time to receive a whole request head (`client-header-timeout`).
    pub header_timeout: Duration,
    /// Longest gap between two reads of a request body (`client-body-timeout`).
    pub body_timeout: Duration,
    /// Client connections of one core (`max-worker-connections`); `None` leaves it to the open files that there may be.
    pub connections_max: Option<NonZeroU32>,
    /// Connections of one client address with the process (`client-connections-max`); `None` is no bound.
    pub connections_per_client_max: Option<NonZeroU32>,
    /// Bytes of one line of a head (`large-client-header-buffers`, size).
    pub header_line_bytes_max: usize,
    /// Bytes of a whole head (`large-client-header-buffers`, number × size).
    pub header_bytes_max: usize,
    /// Offer HTTP/2 (`use-http2`).
    pub http2: bool,
    /// Take HTTP/2 in the clear by prior knowledge (`use-h2c`).
    pub h2c: bool,
    /// Streams of one HTTP/2 connection at a time (`http2-max-concurrent-streams`).
    pub http2_streams_max: u32,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(75),
            keep_alive_requests: 1000,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            connections_max: NonZeroU32::new(16_384),
            connections_per_client_max: None,
            header_line_bytes_max: 8 << 10,
            header_bytes_max: 32 << 10,
            http2: true,
            h2c: false,
            http2_streams_max: 128,
        }
    }
}

/// The pool of idle upstream connections, per core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Idle connections kept per core (`upstream-keepalive-connections`); zero turns reuse off.
    pub idle_max: usize,
    /// How long one may idle (`upstream-keepalive-timeout`).
    pub idle_timeout: Duration,
    /// Requests on one connection (`upstream-keepalive-requests`).
    pub requests_max: u32,
    /// Age of one connection (`upstream-keepalive-time`).
    pub age_max: Duration,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            idle_max: 320,
            idle_timeout: Duration::from_secs(60),
            requests_max: 10_000,
            age_max: Duration::from_secs(3600),
        }
    }
}

/// TLS toward clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Versions that are offered (`ssl-protocols`).
    pub versions: TlsVersions,
    /// Suites of TLS 1.2, best first (`ssl-ciphers`); `None` for all.
    pub suites: Option<Box<[CipherSuite]>>,
    /// Groups of the key exchange, best first (`ssl-ecdh-curve`); `None` for all, the hybrid one first.
    pub groups: Option<Box<[NamedGroup]>>,
    /// Sessions may be resumed (`ssl-session-cache`, `ssl-session-tickets`).
    pub resume: bool,
    /// How long after its first handshake a session may be resumed (`ssl-session-timeout`).
    pub session_timeout: Duration,
    /// Bytes of content that a record holds at most (`ssl-buffer-size`), 512 to 16384.
    pub record_bytes_max: u16,
    /// Names that no host has get no handshake (`ssl-reject-handshake`).
    pub reject_unknown: bool,
    /// Answers of the certificates' responders are sent along (`enable-ocsp`).
    pub ocsp: bool,
    /// `Strict-Transport-Security` on every https response (`hsts` and kin); `None` sends none.
    pub hsts: Option<String>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            versions: TlsVersions::ALL,
            suites: None,
            groups: None,
            resume: true,
            session_timeout: Duration::from_secs(600),
            record_bytes_max: 16 << 10,
            reject_unknown: false,
            ocsp: false,
            hsts: Some("max-age=31536000; includeSubDomains".into()),
        }
    }
}

/// Fields that pass or are added only when the operator says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSettings {
    /// Request fields with `_` in their name (`enable-underscores-in-headers`).
    pub underscores: bool,
    /// Request fields with names that are tokens but not letters, digits and `-` (`ignore-invalid-headers: false`).
    pub unusual_names: bool,
    /// The upstream's `Server` (`allow-backend-server-header`).
    pub server: bool,
    /// `Server` of this proxy where the upstream's does not pass (`server-tokens`).
    pub own_server: bool,
    /// `X-Original-URI` toward upstreams (`proxy-add-original-uri-header`).
    pub original_uri: bool,
    /// An `X-Request-ID` for requests that came without (`generate-request-id`).
    pub request_id: bool,
}

impl Default for FieldSettings {
    fn default() -> Self {
        Self {
            underscores: false,
            unusual_names: false,
            server: false,
            own_server: false,
            original_uri: false,
            request_id: true,
        }
    }
}

/// What is believed of a client's forwarding headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedSettings {
    /// `use-forwarded-headers`: believe `X-Forwarded-*` of clients. Off: all of them are replaced.
    pub trust: bool,
    /// `enable-real-ip`: believe the client's address only.
    pub real_ip: bool,
    /// `proxy-real-ip-cidr`: hops whose word on the client's address counts.
    pub trusted: Box<[IpNet]>,
    /// `use-proxy-protocol`: every connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// `forwarded-for-header`: where hops tell the client's address; `None` is `X-Forwarded-For`.
    pub address_field: Option<Box<str>>,
    /// `forwarded-host-header`: what goes on as `X-Original-Forwarded-Host`; `None` is `X-Forwarded-Host`.
    pub host_field: Option<Box<str>>,
    /// `compute-full-forwarded-for`: trusted hops' `X-Forwarded-For` goes on, with the connection's peer behind it.
    pub whole_chain: bool,
}

impl ForwardedSettings {
    /// Whether an address is in the trusted ranges.
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Whether the forwarding fields of an address name its clients: it is a hop that brings many.
    pub fn believes(&self, address: IpAddr) -> bool {
        (self.trust || self.real_ip) && self.is_trusted(address)
    }

    /// Whether any address of a family is such a hop.
    pub(crate) fn believes_everybody(&self) -> bool {
        (self.trust || self.real_ip) && self.trusted.iter().any(|network| network.prefix_len() == 0)
    }
}

/// ingress-nginx' default trusts every IPv4 hop and no IPv6 one.
impl Default for ForwardedSettings {
    fn default() -> Self {
        let every_ipv4 = IpNet::V4(Ipv4Net::default());
        Self {
            trust: false,
            real_ip: false,
            trusted: Box::new([every_ipv4]),
            proxy_protocol: false,
            address_field: None,
            host_field: None,
            whole_chain: false,
        }
    }
}

/// TCP and UDP services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// A session ends when neither side speaks for so long (`proxy-stream-timeout`).
    pub idle_timeout: Duration,
    /// Endpoints that a connection tries (`proxy-stream-next-upstream`, `-tries`).
    pub tries: Tries,
    /// No further endpoint is tried after so long (`proxy-stream-next-upstream-timeout`); zero is no bound.
    pub tries_timeout: Duration,
    /// Datagrams that answer one of the client, after which a UDP session is over (`proxy-stream-responses`).
    pub responses: u32,
}

impl Default for StreamSettings {
    fn default() -> Self {
        let timeout = Duration::from_secs(600);
        Self { idle_timeout: timeout, tries: Tries::default(), tries_timeout: timeout, responses: 1 }
    }
}
