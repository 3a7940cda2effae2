//! The log of TCP and UDP sessions: whether a line is written, where to, and its form, compiled once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Escape;
use super::template::{self, Piece};

/// The form when nothing else is said (reference: `log-format-stream`).
const DEFAULT: &str = "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

/// The built-in JSON form, for those who ask for JSON by flag.
const JSON: &str = r#"{"time":"$time_iso8601","remote_addr":"$remote_addr","protocol":"$protocol","server_port":$server_port,"status":$status,"bytes_sent":$bytes_sent,"bytes_received":$bytes_received,"session_time":$session_time,"upstream":"$proxy_upstream_name","upstream_addr":"$upstream_addr","upstream_connect_time":"$upstream_connect_time"}"#;

/// What the ConfigMap says of that log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLogSettings {
    /// Lines are written. Without a ConfigMap it depends on the source.
    pub enabled: bool,
    /// The file; `None` is standard output.
    pub path: Option<Arc<str>>,
    /// The form of a line.
    pub format: StreamLogFormat,
}

/// The form of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLogFormat {
    parts: Box<[StreamLogPart]>,
    escape: Escape,
}

/// A piece of a [`StreamLogFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamLogPart {
    /// As it is.
    Text(Box<str>),
    /// What the session was.
    Value(StreamVariable),
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
        Self { enabled: true, path: None, format: StreamLogFormat::with_default_text(Escape::Hex) }
    }
}

impl StreamLogFormat {
    /// Compiles a text. Variables that are not known have no value; their names are returned.
    pub fn parse(text: &str, escape: Escape) -> (Self, BTreeSet<String>) {
        let mut unknown = BTreeSet::new();
        let part = |piece| match piece {
            Piece::Text(text) => StreamLogPart::Text(text.into()),
            Piece::Name(name) => StreamLogPart::Value(variable(name).unwrap_or_else(|| {
                unknown.insert(name.to_owned());
                StreamVariable::Missing
            })),
        };
        let parts = template::pieces(text).into_iter().map(part).collect();
        (Self { parts, escape }, unknown)
    }

    /// The default text, with its values written in this way.
    pub fn with_default_text(escape: Escape) -> Self {
        Self::parse(DEFAULT, escape).0
    }

    /// The built-in JSON form.
    pub fn json() -> Self {
        Self::parse(JSON, Escape::Json).0
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[StreamLogPart] {
        &self.parts
    }

    /// How values are written.
    pub fn escape(&self) -> Escape {
        self.escape
    }
}

fn variable(name: &str) -> Option<StreamVariable> {
    Some(match name {
        "remote_addr" | "binary_remote_addr" | "proxy_protocol_addr" => StreamVariable::RemoteAddr,
        "remote_port" | "proxy_protocol_port" => StreamVariable::RemotePort,
        "server_addr" => StreamVariable::ServerAddr,
        "server_port" => StreamVariable::ServerPort,
        "time_local" => StreamVariable::TimeLocal,
        "time_iso8601" => StreamVariable::TimeIso8601,
        "msec" => StreamVariable::Msec,
        "protocol" => StreamVariable::Protocol,
        "status" => StreamVariable::Status,
        "bytes_sent" => StreamVariable::BytesSent,
        "bytes_received" => StreamVariable::BytesReceived,
        "session_time" | "upstream_session_time" => StreamVariable::SessionTime,
        "upstream_addr" => StreamVariable::UpstreamAddr,
        "upstream_bytes_sent" => StreamVariable::UpstreamBytesSent,
        "upstream_bytes_received" => StreamVariable::UpstreamBytesReceived,
        "upstream_connect_time" => StreamVariable::UpstreamConnectTime,
        "proxy_upstream_name" => StreamVariable::UpstreamName,
        "hostname" => StreamVariable::Hostname,
        "pid" => StreamVariable::Pid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_forms_know_all_their_variables() {
        for text in [DEFAULT, JSON] {
            assert_eq!(StreamLogFormat::parse(text, Escape::Hex).1, BTreeSet::new());
        }
        assert_eq!(StreamLogFormat::json().escape(), Escape::Json);
    }

    #[test]
    fn an_unknown_variable_is_named_and_the_rest_is_kept() {
        let (format, unknown) = StreamLogFormat::parse("$status ${request_uri}", Escape::None);
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["request_uri"]);
        let value = StreamLogPart::Value;
        let text = StreamLogPart::Text(" ".into());
        assert_eq!(*format.parts, [value(StreamVariable::Status), text, value(StreamVariable::Missing)]);
    }
}
