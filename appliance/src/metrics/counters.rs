//! What a core counts for the whole process.

#![expect(clippy::disallowed_types, reason = "one reading a second, for the heartbeat that another thread compares")]

use std::time::{Duration, Instant};

use super::cell::{Counter, Gauge};
use super::ejected::Ejected;

/// Why a connection or request was turned away by the proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// More connections than the core may hold.
    ConnectionLimit,
    /// More connections than one client may have.
    ClientConnectionLimit,
    /// No file descriptor left.
    FileDescriptors,
    /// A request that is malformed or ambiguous.
    BadRequest,
    /// An HTTP/2 connection that sends frames without a purpose.
    Http2Flood,
    /// An HTTP/2 stream whose client takes nothing of its answer, while too many of the core are so.
    StalledStream,
    /// An HTTP/2 stream whose body nobody has read for long, while too many of the core are so.
    UnreadBody,
    /// A request head, line or target over its limit.
    HeadTooLarge,
    /// A request body over its limit.
    BodyTooLarge,
    /// A head or body that came too slowly.
    Timeout,
    /// A TLS handshake that failed.
    TlsHandshake,
    /// A client without a certificate that its host accepts.
    ClientCertificate,
    /// A request for a host that the connection's certificate policy does not cover.
    Misdirected,
    /// A route without a usable backend.
    NoBackend,
    /// A client on the operator's lists.
    Blocked,
}

impl Refused {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::ConnectionLimit,
        Self::ClientConnectionLimit,
        Self::FileDescriptors,
        Self::BadRequest,
        Self::Http2Flood,
        Self::StalledStream,
        Self::UnreadBody,
        Self::HeadTooLarge,
        Self::BodyTooLarge,
        Self::Timeout,
        Self::TlsHandshake,
        Self::ClientCertificate,
        Self::Misdirected,
        Self::NoBackend,
        Self::Blocked,
    ];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionLimit => "connection_limit",
            Self::ClientConnectionLimit => "client_connection_limit",
            Self::FileDescriptors => "file_descriptors",
            Self::BadRequest => "bad_request",
            Self::Http2Flood => "http2_flood",
            Self::StalledStream => "stalled_stream",
            Self::UnreadBody => "unread_body",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::Timeout => "timeout",
            Self::TlsHandshake => "tls_handshake",
            Self::ClientCertificate => "client_certificate",
            Self::Misdirected => "misdirected",
            Self::NoBackend => "no_backend",
            Self::Blocked => "blocked",
        }
    }
}

/// Counters and gauges of one core. Written by that core only, read by any thread.
///
/// Aligned so that no other core's counters share its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CoreCounters {
    /// The kernel's number of its thread; 0 before that runs.
    pub thread: Gauge,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open.
    pub connections: Gauge,
    /// Connections open and waiting for a request.
    pub connections_idle: Gauge,
    /// Accepted connections given to a less loaded core.
    pub handed_over: Counter,
    /// Requests whose head was read.
    pub requests: Counter,
    /// Bytes received from clients.
    pub bytes_received: Counter,
    /// Bytes sent to clients.
    pub bytes_sent: Counter,
    /// Panics caught in a connection's task.
    pub panics: Counter,
    /// TLS handshakes completed with clients.
    pub tls_handshakes: Counter,
    /// Of these, resumed sessions.
    pub tls_resumed: Counter,
    /// TLS connections that were passed on to pods unopened.
    pub tls_passed_on: Counter,
    /// Connections opened to upstreams.
    pub upstream_connects: Counter,
    /// Connections to upstreams that could not be opened.
    pub upstream_failures: Counter,
    /// Requests sent on a connection that was open already.
    pub upstream_reuses: Counter,
    /// Further attempts at a request.
    pub retries: Counter,
    /// Further attempts that were not made because the budget was spent.
    pub retries_unpaid: Counter,
    /// Requests refused by the limit of requests of a cluster.
    pub overflow_requests: Counter,
    /// The same, by the limit of requests that wait for a connection.
    pub overflow_pending: Counter,
    /// The same, by the limit of connections.
    pub overflow_connections: Counter,
    /// Second tries beside a first that was late.
    pub hedges: Counter,
    /// Of these, those that were answered first.
    pub hedges_won: Counter,
    /// Endpoints that were passed over from some moment on.
    pub endpoint_ejections: Counter,
    /// Requests sent to endpoints that were to be passed over, because too few others were left.
    pub ejected_used: Counter,
    /// Endpoints that were ejected and have not been seen well since.
    pub endpoints_ejected: Gauge,
    /// Which ones.
    pub ejected: Ejected,
    /// Idle connections in the pool.
    pub pool_idle: Gauge,
    /// Connections to TCP services that reached an endpoint.
    pub tcp_sessions: Counter,
    /// Sessions with UDP services.
    pub udp_sessions: Counter,
    /// Of these, open ones.
    pub udp_open: Gauge,
    /// Datagrams of UDP services that were lost here.
    pub datagrams_dropped: Counter,
    /// Idle connections that were closed to make room for others.
    pub reclaimed: Counter,
    /// Requests of which a copy was sent off.
    pub mirrored: Counter,
    /// Requests of which none was: too many were under way, or the body was too large.
    pub mirrors_dropped: Counter,
    /// Copies that did not reach their service.
    pub mirrors_failed: Counter,
    /// Requests decided by a kept answer of external authentication.
    pub auth_cached: Counter,
    /// Responses that were compressed.
    pub compressed: Counter,
    /// Responses that were not, because the memory for it was lent out.
    pub compression_skipped: Counter,
    /// Memory of encoders at work, bytes.
    pub encoder_bytes: Gauge,
    /// Access log lines that were dropped because their writer was behind.
    pub access_log_dropped: Counter,
    /// Access log lines that were not drawn (`access-log-sampling`).
    pub access_log_sampled_out: Counter,
    /// Spans of requests that were dropped because their exporter was behind.
    pub spans_dropped: Counter,
    /// Series that were not recorded because of their limit.
    pub series_dropped: Counter,
    /// Generation of the snapshot that the core serves; 0 before the first.
    pub generation: Gauge,
    refused: [Counter; Refused::ALL.len()],
    /// Milliseconds of [`uptime`]; 0 before the first beat.
    heartbeat: Gauge,
}

impl CoreCounters {
    /// Counts a refusal.
    #[inline]
    pub fn refuse(&self, reason: Refused) {
        self.refused[reason as usize].increment();
    }

    /// How many were refused for a reason.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].get()
    }

    /// The core makes progress. Called from its timer.
    #[inline]
    pub fn beat(&self) {
        self.heartbeat.set(u64::try_from(uptime().as_millis()).unwrap_or(u64::MAX));
    }

    /// Time since the last [`Self::beat`], or since the process began counting.
    pub fn heartbeat_age(&self) -> Duration {
        uptime().saturating_sub(Duration::from_millis(self.heartbeat.get()))
    }
}

/// Time since the process first asked for it.
fn uptime() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}
