//! The log of TCP and UDP sessions: whether a line is written, where to, and what it can name.

use std::sync::Arc;

use super::log_format::{LogFormat, LogValue};

/// What the ConfigMap says of that log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLogSettings {
    /// Lines are written. Without a ConfigMap it depends on the source.
    pub enabled: bool,
    /// The file; `None` is standard output.
    pub path: Option<Arc<str>>,
    /// The form of a line.
    pub format: LogFormat<StreamVariable>,
}

/// What a session can be asked for at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamVariable {
    /// `$remote_addr`, `$proxy_protocol_addr`: the client, by its PROXY header where one is read.
    RemoteAddr,
    /// `$remote_port`.
    RemotePort,
    /// `$server_addr`: where the client came to.
    ServerAddr,
    /// `$server_port`.
    ServerPort,
    /// `$time_local`.
    TimeLocal,
    /// `$time_iso8601`.
    TimeIso8601,
    /// `$msec`: seconds since 1970, with milliseconds.
    Msec,
    /// `$protocol`: `TCP` or `UDP`.
    Protocol,
    /// `$status`: 200, 400 without a PROXY header where one is due, 502 without an endpoint.
    Status,
    /// `$bytes_sent`: to the client.
    BytesSent,
    /// `$bytes_received`: from the client.
    BytesReceived,
    /// `$session_time`: seconds.
    SessionTime,
    /// `$upstream_addr`: the endpoints that were tried.
    UpstreamAddr,
    /// `$upstream_bytes_sent`: to the endpoint.
    UpstreamBytesSent,
    /// `$upstream_bytes_received`: from the endpoint.
    UpstreamBytesReceived,
    /// `$upstream_connect_time`: seconds.
    UpstreamConnectTime,
    /// `$proxy_upstream_name`: transport, namespace, name and port of the service.
    UpstreamName,
    /// `$hostname`.
    Hostname,
    /// `$pid`.
    Pid,
    /// One that has no value here.
    Missing,
}

impl Default for StreamLogSettings {
    fn default() -> Self {
        Self { enabled: true, path: None, format: LogFormat::default() }
    }
}

impl LogValue for StreamVariable {
    /// Reference: `log-format-stream`.
    const DEFAULT: &'static str =
        "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

    /// For those who ask for JSON by flag.
    const JSON: &'static str = r#"{"time":"$time_iso8601","remote_addr":"$remote_addr","protocol":"$protocol","server_port":$server_port,"status":$status,"bytes_sent":$bytes_sent,"bytes_received":$bytes_received,"session_time":$session_time,"upstream":"$proxy_upstream_name","upstream_addr":"$upstream_addr","upstream_connect_time":"$upstream_connect_time"}"#;

    const MISSING: Self = Self::Missing;

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "remote_addr" | "binary_remote_addr" | "proxy_protocol_addr" => Self::RemoteAddr,
            "remote_port" | "proxy_protocol_port" => Self::RemotePort,
            "server_addr" => Self::ServerAddr,
            "server_port" => Self::ServerPort,
            "time_local" => Self::TimeLocal,
            "time_iso8601" => Self::TimeIso8601,
            "msec" => Self::Msec,
            "protocol" => Self::Protocol,
            "status" => Self::Status,
            "bytes_sent" => Self::BytesSent,
            "bytes_received" => Self::BytesReceived,
            "session_time" | "upstream_session_time" => Self::SessionTime,
            "upstream_addr" => Self::UpstreamAddr,
            "upstream_bytes_sent" => Self::UpstreamBytesSent,
            "upstream_bytes_received" => Self::UpstreamBytesReceived,
            "upstream_connect_time" => Self::UpstreamConnectTime,
            "proxy_upstream_name" => Self::UpstreamName,
            "hostname" => Self::Hostname,
            "pid" => Self::Pid,
            _ => return None,
        })
    }
}
