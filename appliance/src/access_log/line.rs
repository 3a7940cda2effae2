//! One line: the values of a compiled form for one request.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringress_config::snapshot::{
    ClientAuth, ClusterKey, Escape, LogFormat, LogPart, LogVariable, RequestValue, RouteLabels, Variable,
};

use super::noted::Noted;
use crate::error::Failure;
use crate::policy::{self, OfRule, render_variable};
use crate::trace::Active;

/// What ingress-nginx calls the backend of what no rule is for.
const DEFAULT_BACKEND: &[u8] = b"upstream-default-backend";

/// A request that ended.
pub(crate) struct Entry<'a> {
    /// The request; what came of it when its head could not be read.
    pub(crate) request: Result<&'a policy::Request<'a>, &'a [u8]>,
    /// The connection's other end.
    pub(crate) peer: SocketAddr,
    /// Of the route that it met.
    pub(crate) labels: Option<&'a RouteLabels>,
    /// Of the same.
    pub(crate) client_auth: Option<&'a ClientAuth>,
    /// What the form asks for besides, if it does.
    pub(crate) noted: Option<&'a Noted<'a>>,
    /// As `$server_protocol` has it.
    pub(crate) protocol: &'static str,
    /// Which one of its connection.
    pub(crate) connection_requests: u32,
    pub(crate) status: u16,
    /// To the client, head included.
    pub(crate) bytes_sent: u64,
    pub(crate) body_bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) duration: Duration,
    /// The canary that took it.
    pub(crate) alternative: Option<&'a ClusterKey>,
    pub(crate) trail: &'a Trail,
    pub(crate) trace: Option<&'a Active>,
}

impl<'a> Entry<'a> {
    /// What variables know of the rule.
    pub(crate) fn of_rule(&self) -> OfRule<'a> {
        OfRule { labels: self.labels, client_auth: self.client_auth }
    }
}

/// Bytes of a request line that could not be read, or of what stood in its place.
const UNREAD_BYTES_MAX: usize = 1024;

/// One try at an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) address: SocketAddr,
    /// 0 where the endpoint neither said one nor failed.
    pub(crate) status: u16,
    pub(crate) length: u64,
    pub(crate) connect: Option<Duration>,
    pub(crate) header: Option<Duration>,
    pub(crate) response: Option<Duration>,
}

/// The endpoints that a request was sent to, in order. Allocates only when one failed.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    failed: Vec<Attempt>,
    last: Option<Attempt>,
}

impl Trail {
    /// An attempt begins; one that is open was none, as of a pooled connection that turned out closed.
    pub(crate) fn begin(&mut self, address: SocketAddr) {
        self.last = Some(Attempt { address, status: 0, length: 0, connect: None, header: None, response: None });
    }

    /// The open attempt failed, and another may follow.
    pub(crate) fn fail(&mut self, status: u16, took: Duration) {
        if let Some(attempt) = self.last.take() {
            self.failed.push(Attempt { status, response: Some(took), ..attempt });
        }
    }

    /// As [`fail`](Self::fail), by what it failed. The proxy's own refusal never reached the endpoint, and a client that
    /// left or sent what is wrong says nothing about it.
    pub(crate) fn fail_by(&mut self, failure: &Failure, took: Duration) {
        match failure {
            Failure::Overloaded => self.last = None,
            Failure::ClientGone | Failure::ClientTimeout | Failure::BodyTooLarge | Failure::BadBody(_) => {
                self.fail(0, took);
            }
            failure => self.fail(failure.status().unwrap_or(502), took),
        }
    }

    /// The attempt that is open.
    pub(crate) fn open(&mut self) -> Option<&mut Attempt> {
        self.last.as_mut()
    }

    /// The endpoint that was asked last.
    pub(crate) fn last(&self) -> Option<SocketAddr> {
        self.iter().last().map(|attempt| attempt.address)
    }

    /// A value of each attempt, with `, ` between.
    pub(super) fn list(
        &self,
        value: &mut Vec<u8>,
        write: impl Fn(&Attempt, &mut Vec<u8>) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        for (at, attempt) in self.iter().enumerate() {
            if at > 0 {
                value.extend_from_slice(b", ");
            }
            write(attempt, value)?;
        }
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.failed.iter().chain(&self.last)
    }
}

/// The time as lines show it, put into words once a second.
#[derive(Default)]
pub(super) struct Clock {
    now: Duration,
    local: String,
    iso: String,
}

impl Clock {
    /// Reads the time.
    pub(super) fn advance(&mut self, zone: &TimeZone) {
        let before = self.now.as_secs();
        self.now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.now.as_secs() == before {
            return;
        }
        let second = i64::try_from(self.now.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok());
        self.say(second.unwrap_or_default(), zone);
    }

    /// `24/Nov/2026:19:33:00 +0000`.
    pub(super) fn local(&self) -> &str {
        &self.local
    }

    pub(super) fn iso(&self) -> &str {
        &self.iso
    }

    /// Since 1970.
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    fn say(&mut self, time: Timestamp, zone: &TimeZone) {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        self.iso = iso8601(time, zone);
        // `2026-11-24T19:33:00+00:00`
        let (iso, date) = (&self.iso, zone.to_datetime(time).date());
        let month = MONTHS[usize::try_from(date.month() - 1).unwrap_or_default() % 12];
        let (_, time) = iso.split_once('T').unwrap_or_default();
        let (clock, offset) = time.split_at_checked(8).unwrap_or_default();
        self.local = format!("{:02}/{month}/{}:{clock} {}", date.day(), date.year(), offset.replace(':', ""));
    }
}

/// The zone in which times are told. Looking for it reads files, so it is looked for before requests are served.
pub(super) static ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// The time as a text with variables has it.
pub(crate) fn time_iso8601() -> String {
    iso8601(Timestamp::now(), &ZONE)
}

/// Seconds since 1970, with milliseconds.
pub(crate) fn msec() -> impl std::fmt::Display {
    Seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn iso8601(time: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(time);
    let local = offset.to_datetime(time);
    let (date, clock) = (local.date(), local.time());
    let sign = if offset.seconds() < 0 { '-' } else { '+' };
    let minutes = offset.seconds().unsigned_abs() / 60;
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let day = format!("{}-{:02}-{:02}", date.year(), date.month(), date.day());
    let time = format!("{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    format!("{day}T{time}{sign}{hours:02}:{minutes:02}")
}

/// Appends the line of a request. `room` is for one value.
pub(super) fn write(
    line: &mut Vec<u8>,
    room: &mut Vec<u8>,
    format: &LogFormat<RequestValue>,
    clock: &Clock,
    entry: &Entry<'_>,
) {
    render(line, room, format, is_missed, |wanted, value| match wanted {
        RequestValue::Request(variable) => of_request(variable, entry, value),
        RequestValue::Outcome(variable) => of_outcome(variable, entry, clock, value),
    });
}

/// Appends a line, each value as `write` says it. `room` is for one value; `is_missed` tells whether an empty one means
/// that there is none.
pub(super) fn render<V>(
    line: &mut Vec<u8>,
    room: &mut Vec<u8>,
    format: &LogFormat<V>,
    is_missed: impl Fn(&V) -> bool,
    write: impl Fn(&V, &mut Vec<u8>),
) {
    for part in format.parts() {
        match part {
            LogPart::Text(text) => line.extend_from_slice(text.as_bytes()),
            LogPart::Value(wanted) => {
                room.clear();
                write(wanted, room);
                if !room.is_empty() {
                    escape(format.escape(), room, line);
                } else if format.escape() == Escape::Hex && is_missed(wanted) {
                    line.push(b'-');
                }
            }
        }
    }
    line.push(b'\n');
}

fn is_missed(wanted: &RequestValue) -> bool {
    !matches!(
        wanted,
        RequestValue::Outcome(LogVariable::RequestLine | LogVariable::Https | LogVariable::AlternativeName)
            | RequestValue::Request(Variable::IsArgs)
    )
}

fn of_request(variable: &Variable, entry: &Entry<'_>, value: &mut Vec<u8>) {
    match (entry.request, variable) {
        (Ok(request), _) => render_variable(variable, request, &entry.of_rule(), None, value),
        // Writing to a Vec cannot fail, here and below.
        (Err(_), Variable::RemoteAddr) => drop(write!(value, "{}", entry.peer.ip().to_canonical())),
        (Err(_), Variable::RemotePort) => drop(write!(value, "{}", entry.peer.port())),
        (Err(_), _) => {}
    }
}

fn of_outcome(variable: &LogVariable, entry: &Entry<'_>, clock: &Clock, value: &mut Vec<u8>) {
    let result = match variable {
        LogVariable::TimeLocal => value.write_all(clock.local.as_bytes()),
        LogVariable::TimeIso8601 => value.write_all(clock.iso.as_bytes()),
        LogVariable::Msec => write!(value, "{}", Seconds(clock.now)),
        LogVariable::RequestLine => {
            request_line(entry, value);
            Ok(())
        }
        LogVariable::RequestLength => write!(value, "{}", entry.bytes_received),
        LogVariable::RequestTime => write!(value, "{}", Seconds(entry.duration)),
        LogVariable::Status => write!(value, "{}", entry.status),
        LogVariable::BodyBytesSent => write!(value, "{}", entry.body_bytes_sent),
        LogVariable::BytesSent => write!(value, "{}", entry.bytes_sent),
        LogVariable::ServerProtocol => value.write_all(entry.protocol.as_bytes()),
        LogVariable::Https => {
            let is_https = entry.request.is_ok_and(|request| request.over_tls);
            value.write_all(if is_https { b"on" } else { b"" })
        }
        LogVariable::ConnectionRequests => write!(value, "{}", entry.connection_requests),
        LogVariable::Hostname => value.write_all(rustix::system::uname().nodename().to_bytes()),
        LogVariable::Pid => write!(value, "{}", std::process::id()),
        LogVariable::UpstreamName => {
            upstream_name(entry.labels, value);
            Ok(())
        }
        LogVariable::AlternativeName => match entry.alternative {
            Some(key) => write!(value, "{key}"),
            None => Ok(()),
        },
        LogVariable::UpstreamAddr => entry.trail.list(value, |attempt, out| write!(out, "{}", attempt.address)),
        LogVariable::UpstreamStatus => entry.trail.list(value, |attempt, out| match attempt.status {
            0 => out.write_all(b"-"),
            status => write!(out, "{status}"),
        }),
        LogVariable::UpstreamLength => entry.trail.list(value, |attempt, out| write!(out, "{}", attempt.length)),
        LogVariable::UpstreamTime => entry.trail.list(value, |attempt, out| time(attempt.response, out)),
        LogVariable::UpstreamConnectTime => entry.trail.list(value, |attempt, out| time(attempt.connect, out)),
        LogVariable::UpstreamHeaderTime => entry.trail.list(value, |attempt, out| time(attempt.header, out)),
        LogVariable::TraceId => of_trace(entry, value, Active::trace_id),
        LogVariable::SpanId => of_trace(entry, value, Active::span_id),
        LogVariable::TraceParent => of_trace(entry, value, |trace| trace.fields().parent),
        LogVariable::TraceSampled => of_trace(entry, value, |trace| if trace.is_sampled() { b"1" } else { b"0" }),
        LogVariable::Connection => entry.noted.map_or(Ok(()), |noted| write!(value, "{}", noted.connection)),
        LogVariable::Pipe => {
            value.write_all(if entry.noted.is_some_and(|noted| noted.is_pipelined) { b"p" } else { b"." })
        }
        LogVariable::UpstreamField(name) => {
            entry.noted.iter().for_each(|noted| noted.upstream(name, value));
            Ok(())
        }
        LogVariable::SentField(name) => {
            entry.noted.iter().for_each(|noted| noted.sent(name, value));
            Ok(())
        }
        LogVariable::Missing => Ok(()),
    };
    // A Vec takes everything.
    debug_assert!(result.is_ok());
}

fn of_trace(entry: &Entry<'_>, value: &mut Vec<u8>, read: impl Fn(&Active) -> &[u8]) -> std::io::Result<()> {
    entry.trace.map_or(Ok(()), |trace| value.write_all(read(trace)))
}

fn request_line(entry: &Entry<'_>, value: &mut Vec<u8>) {
    let request = match entry.request {
        Ok(request) => request,
        Err(received) => return value.extend_from_slice(first_line(received)),
    };
    value.extend_from_slice(request.head.method_bytes(request.bytes));
    value.push(b' ');
    value.extend_from_slice(request.head.target(request.bytes));
    value.push(b' ');
    value.extend_from_slice(entry.protocol.as_bytes());
}

/// Of what was refused, as nginx has it: so much of its first line as a line of the log should hold.
fn first_line(received: &[u8]) -> &[u8] {
    let line = memchr::memchr2(b'\r', b'\n', received).map_or(received, |end| &received[..end]);
    &line[..line.len().min(UNREAD_BYTES_MAX)]
}

fn upstream_name(labels: Option<&RouteLabels>, value: &mut Vec<u8>) {
    match labels.filter(|labels| !labels.service.is_empty()) {
        Some(RouteLabels { namespace, service, service_port, .. }) => {
            for (at, part) in [namespace, service, service_port].into_iter().enumerate() {
                if at > 0 {
                    value.push(b'-');
                }
                value.extend_from_slice(part.as_bytes());
            }
        }
        None => value.extend_from_slice(DEFAULT_BACKEND),
    }
}

pub(super) fn time(time: Option<Duration>, out: &mut Vec<u8>) -> std::io::Result<()> {
    match time {
        Some(time) => write!(out, "{}", Seconds(time)),
        None => out.write_all(b"-"),
    }
}

/// Seconds and milliseconds.
pub(super) struct Seconds(pub(super) Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// Appends a value so that it cannot be taken for what is around it.
fn escape(way: Escape, value: &[u8], line: &mut Vec<u8>) {
    let stands = |b: &u8| match way {
        Escape::Hex => matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'),
        Escape::Json => matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'),
        Escape::None => !b.is_ascii_control(),
    };
    if value.iter().all(stands) {
        return line.extend_from_slice(value);
    }
    match way {
        Escape::Hex => value.iter().for_each(|b| match stands(b) {
            true => line.push(*b),
            false => drop(write!(line, "\\x{b:02X}")),
        }),
        Escape::Json => {
            for chunk in value.utf8_chunks() {
                chunk.valid().bytes().for_each(|b| json_byte(b, line));
                if !chunk.invalid().is_empty() {
                    line.extend_from_slice("\u{fffd}".as_bytes());
                }
            }
        }
        Escape::None => line.extend(value.iter().map(|b| if b.is_ascii_control() { b' ' } else { *b })),
    }
}

fn json_byte(byte: u8, line: &mut Vec<u8>) {
    match byte {
        b'"' => line.extend_from_slice(b"\\\""),
        b'\\' => line.extend_from_slice(b"\\\\"),
        b'\n' => line.extend_from_slice(b"\\n"),
        b'\r' => line.extend_from_slice(b"\\r"),
        b'\t' => line.extend_from_slice(b"\\t"),
        0..0x20 | 0x7f => drop(write!(line, "\\u{byte:04X}")),
        other => line.push(other),
    }
}

#[cfg(test)]
mod tests;
