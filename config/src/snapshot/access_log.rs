//! The access log: whether a line is written, where to, and what it can name.

use std::sync::Arc;

use super::log_format::{LogFormat, LogValue};
use super::{Variable, template};

/// What the ConfigMap says of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Lines are written. Without a ConfigMap it depends on the source.
    pub enabled: bool,
    /// The file; `None` is standard output.
    pub path: Option<Arc<str>>,
    /// The form of a line.
    pub format: LogFormat<RequestValue>,
    /// Targets, as sent, that are left out, whatever their case.
    pub skipped: Box<[Box<str>]>,
    /// Requests that no rule is for get a line too.
    pub unmatched: bool,
    /// How many of the requests get a line, where their route says nothing else.
    pub share: LogShare,
}

/// How many of the requests get a line, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogShare(u32);

impl LogShare {
    /// Every request.
    pub const ALL: Self = Self(Self::WHOLE);

    const WHOLE: u32 = 1_000_000;

    /// A percentage with up to four decimals.
    pub(crate) fn of_percent(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 4 {
            return None;
        }
        let part: u32 = format!("{part:0<4}").parse().ok()?;
        let millionths = whole.parse::<u32>().ok()?.checked_mul(Self::WHOLE / 100)?.checked_add(part)?;
        (millionths <= Self::WHOLE).then_some(Self(millionths))
    }

    /// Whether a request is among them. `draw` gives a number below the one that it is given.
    #[inline]
    pub fn takes(self, draw: impl FnOnce(u32) -> u32) -> bool {
        self == Self::ALL || draw(Self::WHOLE) < self.0
    }
}

/// What a line of a request can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestValue {
    /// What the request says.
    Request(Variable),
    /// What became of it.
    Outcome(LogVariable),
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
    /// `$connection`: the connection's number.
    Connection,
    /// `$pipe`: `p` for a request that was sent behind another one, without waiting for its answer, else `.`.
    Pipe,
    /// `$upstream_http_NAME`: a field of the upstream's response, the name as in a head.
    UpstreamField(Box<str>),
    /// `$sent_http_NAME`: a field of the response as it was sent.
    SentField(Box<str>),
    /// A variable that has no value here, as GeoIP's.
    Missing,
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        let format = LogFormat::default();
        Self { enabled: true, path: None, format, skipped: Box::default(), unmatched: false, share: LogShare::ALL }
    }
}

impl LogValue for RequestValue {
    /// The documented one of ingress-nginx (reference 3.21).
    const DEFAULT: &'static str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
         \"$http_referer\" \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
         [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time \
         $upstream_status $req_id";

    /// What may be missing or a list of attempts is a string.
    const JSON: &'static str = r#"{"time":"$time_iso8601","remote_addr":"$remote_addr","remote_user":"$remote_user","method":"$request_method","scheme":"$pass_access_scheme","host":"$host","request_uri":"$request_uri","protocol":"$server_protocol","status":$status,"body_bytes_sent":$body_bytes_sent,"request_length":$request_length,"request_time":$request_time,"referer":"$http_referer","user_agent":"$http_user_agent","namespace":"$namespace","ingress":"$ingress_name","service":"$service_name","upstream":"$proxy_upstream_name","alternative_upstream":"$proxy_alternative_upstream_name","upstream_addr":"$upstream_addr","upstream_status":"$upstream_status","upstream_response_length":"$upstream_response_length","upstream_response_time":"$upstream_response_time","request_id":"$req_id"}"#;

    const MISSING: Self = Self::Outcome(LogVariable::Missing);

    fn named(name: &str) -> Option<Self> {
        outcome(name).map(Self::Outcome).or_else(|| match template::variable(name)? {
            // Groups of a path's pattern are those of a rewrite, which is over.
            Variable::Capture(_) => None,
            variable => Some(Self::Request(variable)),
        })
    }

    fn is_noted(&self) -> bool {
        match self {
            Self::Request(variable) => variable.is_noted(),
            Self::Outcome(variable) => matches!(
                variable,
                LogVariable::Connection | LogVariable::Pipe | LogVariable::UpstreamField(_) | LogVariable::SentField(_)
            ),
        }
    }
}

fn outcome(name: &str) -> Option<LogVariable> {
    let field = |prefix| name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).map(|name| name.replace('_', "-"));
    if let Some(name) = field("upstream_http_") {
        return Some(LogVariable::UpstreamField(name.into()));
    }
    if let Some(name) = field("sent_http_") {
        return Some(LogVariable::SentField(name.into()));
    }
    Some(match name {
        "connection" => LogVariable::Connection,
        "pipe" => LogVariable::Pipe,
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
    use super::super::log_format::{Escape, LogPart};
    use super::*;

    #[test]
    fn groups_of_a_pattern_have_no_value() {
        let (format, unknown) = LogFormat::parse("$status ${geoip2_city_country_code}x$1", Escape::None);
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["1", "geoip2_city_country_code"]);
        let missing = || LogPart::Value(RequestValue::MISSING);
        let text = |text: &str| LogPart::Text(text.into());
        let status = LogPart::Value(RequestValue::Outcome(LogVariable::Status));
        assert_eq!(*format.parts(), [status, text(" "), missing(), text("x"), missing()]);
    }

    #[test]
    fn variables_of_requests_are_those_of_every_template() {
        let (format, _) = LogFormat::parse("$http_x_y$request_uri", Escape::Hex);
        let (field, uri) = (Variable::Field("x-y".into()), Variable::RequestUri);
        assert_eq!(*format.parts(), [field, uri].map(|variable| LogPart::Value(RequestValue::Request(variable))));
    }

    #[test]
    fn a_share_is_a_percentage() {
        let takes = |text: &str, drawn| LogShare::of_percent(text).map(|share| share.takes(|_| drawn));
        assert_eq!(
            (takes("0", 0), takes("100", 999_999), takes("100.0", 999_999)),
            (Some(false), Some(true), Some(true))
        );
        assert_eq!((takes("0.5", 4_999), takes("0.5", 5_000)), (Some(true), Some(false)));
        assert_eq!((takes("12.3456", 123_455), takes("12.3456", 123_456)), (Some(true), Some(false)));
        for bad in ["", "x", "-1", "+1", "100.1", "101", "1.", ".5", "1.23456", "5%", "1e1", "99999999999"] {
            assert_eq!(LogShare::of_percent(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_is_gone_at_the_end_is_noted() {
        let is_noted = |text: &str| LogFormat::<RequestValue>::parse(text, Escape::Hex).0.is_noted();
        for name in
            ["proxy_add_x_forwarded_for", "ssl_cipher", "connection", "pipe", "upstream_http_x", "sent_http_x_y"]
        {
            assert!(is_noted(&format!("$status ${name}")), "{name}");
        }
        for text in [RequestValue::DEFAULT, RequestValue::JSON, "$hostname $msec $time_iso8601 $http_x"] {
            assert!(!is_noted(text), "{text}");
        }
    }
}
