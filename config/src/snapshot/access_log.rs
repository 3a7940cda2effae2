//! The access log: whether a line is written, where to, and its form, compiled once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Variable;
use super::template::{self, Piece};

/// The form when nothing else is said; the documented one of ingress-nginx (reference 3.21).
const DEFAULT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
     \"$http_referer\" \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
     [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time \
     $upstream_status $req_id";

/// The built-in JSON form. What may be missing or a list of attempts is a string.
const JSON: &str = r#"{"time":"$time_iso8601","remote_addr":"$remote_addr","remote_user":"$remote_user","method":"$request_method","scheme":"$scheme","host":"$host","request_uri":"$request_uri","protocol":"$server_protocol","status":$status,"body_bytes_sent":$body_bytes_sent,"request_length":$request_length,"request_time":$request_time,"referer":"$http_referer","user_agent":"$http_user_agent","namespace":"$namespace","ingress":"$ingress_name","service":"$service_name","upstream":"$proxy_upstream_name","alternative_upstream":"$proxy_alternative_upstream_name","upstream_addr":"$upstream_addr","upstream_status":"$upstream_status","upstream_response_length":"$upstream_response_length","upstream_response_time":"$upstream_response_time","request_id":"$req_id"}"#;

/// What the ConfigMap says of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Lines are written. Without a ConfigMap it depends on the source.
    pub enabled: bool,
    /// The file; `None` is standard output.
    pub path: Option<Arc<str>>,
    /// The form of a line.
    pub format: LogFormat,
    /// Targets, as sent, that are left out, whatever their case.
    pub skipped: Box<[Box<str>]>,
    /// Requests that no rule is for get a line too.
    pub unmatched: bool,
}

/// The form of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    parts: Box<[LogPart]>,
    escape: Escape,
}

/// A piece of a [`LogFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPart {
    /// As it is.
    Text(Box<str>),
    /// What the request says.
    Request(Variable),
    /// What became of it.
    Outcome(LogVariable),
}

/// How the values of variables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// `\xXX` for quotes, backslashes and what is no visible ASCII; `-` for what is not there.
    #[default]
    Hex,
    /// As within a JSON text.
    Json,
    /// As they are, but for control characters: a line stays one line.
    None,
}

/// What only the end of a request can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogVariable {
    /// `$time_local`: `24/Nov/2026:19:33:00 +0000`.
    TimeLocal,
    /// `$time_iso8601`.
    TimeIso8601,
    /// `$msec`: seconds since 1970, with milliseconds.
    Msec,
    /// `$request`: the request line.
    RequestLine,
    /// `$request_length`: bytes of head and body.
    RequestLength,
    /// `$request_time`: seconds.
    RequestTime,
    /// `$status`.
    Status,
    /// `$body_bytes_sent`.
    BodyBytesSent,
    /// `$bytes_sent`.
    BytesSent,
    /// `$server_protocol`.
    ServerProtocol,
    /// `$https`: `on` or nothing.
    Https,
    /// `$connection_requests`: which one of its connection.
    ConnectionRequests,
    /// `$hostname`.
    Hostname,
    /// `$pid`.
    Pid,
    /// `$proxy_upstream_name`: `namespace-service-port` of the rule.
    UpstreamName,
    /// `$proxy_alternative_upstream_name`: the canary that took the request.
    AlternativeName,
    /// `$upstream_addr`: the endpoint of each attempt.
    UpstreamAddr,
    /// `$upstream_status`.
    UpstreamStatus,
    /// `$upstream_response_length`.
    UpstreamLength,
    /// `$upstream_response_time`.
    UpstreamTime,
    /// `$upstream_connect_time`.
    UpstreamConnectTime,
    /// `$upstream_header_time`.
    UpstreamHeaderTime,
    /// `$opentelemetry_trace_id`: of the trace that the request is part of.
    TraceId,
    /// `$opentelemetry_span_id`: of the request's own span.
    SpanId,
    /// `$opentelemetry_context_traceparent`: both, as the upstream was told.
    TraceParent,
    /// `$opentelemetry_sampled`: whether the span is exported, `1` or `0`.
    TraceSampled,
    /// A variable that has no value here, as GeoIP's.
    Missing,
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        let format = LogFormat::default();
        Self { enabled: true, path: None, format, skipped: Box::default(), unmatched: false }
    }
}

impl Default for LogFormat {
    fn default() -> Self {
        Self::with_default_text(Escape::Hex)
    }
}

impl LogFormat {
    /// Compiles a text. Variables that are not known have no value; their names are returned.
    pub fn parse(text: &str, escape: Escape) -> (Self, BTreeSet<String>) {
        let mut unknown = BTreeSet::new();
        let mut parts = Vec::new();
        for piece in template::pieces(text) {
            parts.push(match piece {
                Piece::Text(text) => LogPart::Text(text.into()),
                Piece::Name(name) => match (outcome(name), template::variable(name)) {
                    (Some(outcome), _) => LogPart::Outcome(outcome),
                    // Groups of a path's pattern are those of a rewrite, which is over.
                    (None, Some(variable)) if !matches!(variable, Variable::Capture(_)) => LogPart::Request(variable),
                    (None, _) => {
                        unknown.insert(name.to_owned());
                        LogPart::Outcome(LogVariable::Missing)
                    }
                },
            });
        }
        (Self { parts: parts.into(), escape }, unknown)
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
    pub fn parts(&self) -> &[LogPart] {
        &self.parts
    }

    /// How values are written.
    pub fn escape(&self) -> Escape {
        self.escape
    }
}

fn outcome(name: &str) -> Option<LogVariable> {
    Some(match name {
        "time_local" => LogVariable::TimeLocal,
        "time_iso8601" => LogVariable::TimeIso8601,
        "msec" => LogVariable::Msec,
        "request" => LogVariable::RequestLine,
        "request_length" => LogVariable::RequestLength,
        "request_time" => LogVariable::RequestTime,
        "status" => LogVariable::Status,
        "body_bytes_sent" => LogVariable::BodyBytesSent,
        "bytes_sent" => LogVariable::BytesSent,
        "server_protocol" => LogVariable::ServerProtocol,
        "https" => LogVariable::Https,
        "connection_requests" => LogVariable::ConnectionRequests,
        "hostname" => LogVariable::Hostname,
        "pid" => LogVariable::Pid,
        "proxy_upstream_name" => LogVariable::UpstreamName,
        "proxy_alternative_upstream_name" => LogVariable::AlternativeName,
        "upstream_addr" => LogVariable::UpstreamAddr,
        "upstream_status" => LogVariable::UpstreamStatus,
        "upstream_response_length" => LogVariable::UpstreamLength,
        "upstream_response_time" => LogVariable::UpstreamTime,
        "upstream_connect_time" => LogVariable::UpstreamConnectTime,
        "upstream_header_time" => LogVariable::UpstreamHeaderTime,
        "opentelemetry_trace_id" => LogVariable::TraceId,
        "opentelemetry_span_id" => LogVariable::SpanId,
        "opentelemetry_context_traceparent" => LogVariable::TraceParent,
        "opentelemetry_sampled" => LogVariable::TraceSampled,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_forms_know_all_their_variables() {
        for text in [DEFAULT, JSON] {
            assert_eq!(LogFormat::parse(text, Escape::Hex).1, BTreeSet::new());
        }
        assert_eq!(LogFormat::json().escape(), Escape::Json);
    }

    #[test]
    fn an_unknown_variable_is_named_and_the_rest_is_kept() {
        let (format, unknown) = LogFormat::parse("$status ${geoip2_city_country_code}x$1", Escape::None);
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["1", "geoip2_city_country_code"]);
        let missing = || LogPart::Outcome(LogVariable::Missing);
        let text = |text: &str| LogPart::Text(text.into());
        let status = LogPart::Outcome(LogVariable::Status);
        assert_eq!(*format.parts, [status, text(" "), missing(), text("x"), missing()]);
    }

    #[test]
    fn variables_of_requests_are_those_of_every_template() {
        let (format, _) = LogFormat::parse("$http_x_y$request_uri", Escape::Hex);
        let (field, uri) = (Variable::Field("x-y".into()), Variable::RequestUri);
        assert_eq!(*format.parts, [LogPart::Request(field), LogPart::Request(uri)]);
    }
}
