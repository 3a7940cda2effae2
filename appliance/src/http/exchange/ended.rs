//! The end of a request, for counters and the access log.

#![expect(clippy::disallowed_types, reason = "durations for the metrics, as in exchange.rs")]

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ringress_config::snapshot::{Backend, ClusterKey, Snapshot};

use super::super::client::{Client, Facts};
use super::super::edge::{Believed, EdgeFields, Scheme};
use super::super::forward::client_request_id;
use super::super::head::Version;
use super::super::request::RequestHead;
use super::super::seen::Seen;
use super::{Exchange, RequestId, Times};
use crate::access_log::{Entry, Noted, Trail};
use crate::metrics::Outcome;
use crate::policy::{self, Shaping};
use crate::route::{self, Found};
use crate::stream::Stream;
use crate::tls::Secured;
use crate::trace;
use crate::upstream::Hint;
use crate::worker::{Core, Scratch};

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Sent to the client.
    pub(crate) status: u16,
    /// To the client, head included; 0 when that is not known.
    pub(crate) bytes: u64,
    /// Of these, the body.
    pub(crate) body_bytes: u64,
}

/// Where a request came from: the connection's own facts, and what is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct From {
    peer: SocketAddr,
    client: IpAddr,
    scheme: Scheme,
    /// Its own connection.
    over_tls: bool,
    port: u16,
    connection_requests: u32,
    /// It is a stream of HTTP/2.
    is_http2: bool,
}

impl From {
    pub(super) fn new(connection: &Client, seen: &Seen<'_>) -> Self {
        let is_http2 = matches!(connection.stream, Stream::Lane(_));
        Self { is_http2, ..Self::stream(&connection.facts, seen, connection.requests) }
    }

    /// A stream of HTTP/2.
    fn stream(facts: &Facts, seen: &Seen<'_>, connection_requests: u32) -> Self {
        let Seen { client, scheme, port, .. } = *seen;
        let over_tls = facts.secured.is_tls();
        Self { peer: facts.peer, client, scheme, over_tls, port, connection_requests, is_http2: true }
    }

    /// Whether it is a stream of HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// Whether the client's own connection is over TLS, whatever is believed.
    pub(super) fn over_tls(&self) -> bool {
        self.over_tls
    }
}

/// Whether what was found wants no line in the access log. What no rule is for has one only when that is asked for.
pub(super) fn is_unlogged<E>(snapshot: &Snapshot, found: &Result<(Found<'_>, &[u8]), E>) -> bool {
    let Ok((found, _)) = found else { return false };
    let route = found.route();
    let is_unmatched = route.is_none_or(|route| route.labels.ingress.is_empty());
    let is_quiet = route.and_then(|route| route.policies.as_ref()).is_some_and(|policies| policies.unlogged);
    is_quiet || (is_unmatched && !snapshot.settings.access_log.unmatched)
}

impl<'s> Exchange<'s> {
    /// Whether something has to be noted now for the end.
    #[inline]
    pub(super) fn wants_notes(&self) -> bool {
        let settings = &self.snapshot.settings;
        settings.access_log.format.is_noted() || self.trace.is_some() && self.span_wants_notes()
    }

    fn span_wants_notes(&self) -> bool {
        self.snapshot.settings.tracing.as_ref().is_some_and(|tracing| trace::names_noted(tracing, self.route))
    }

    /// What is known of the request's way to this proxy.
    #[inline(never)]
    pub(super) fn notes(&self, facts: &Facts, (is_pipelined, edge): (bool, &EdgeFields)) -> Box<Noted<'s>> {
        let settings = &self.snapshot.settings.access_log;
        Noted::new(settings, facts, is_pipelined, edge.forwarded_for())
    }
}

impl Exchange<'_> {
    /// The request is over: it is counted and logged.
    pub(super) fn record(&mut self, head: &RequestHead, bytes: &[u8], ended: Ended) {
        self.record_at(Instant::now(), head, bytes, ended);
    }

    /// As [`record`](Self::record), at a time that was just read.
    pub(super) fn record_at(&mut self, now: Instant, head: &RequestHead, bytes: &[u8], ended: Ended) {
        let duration = now.duration_since(self.started);
        self.core.metrics.bytes_sent.add(ended.bytes);
        self.core.metrics.bytes_received.add(self.bytes_received);
        self.core.metrics.record(
            self.route,
            &Outcome {
                method: head.method.into(),
                status: ended.status,
                canary: self.alternative(),
                duration,
                connect: self.times.connect,
                header: self.times.header,
                response: self.times.response,
                bytes_received: self.bytes_received,
                bytes_sent: ended.bytes,
            },
        );
        let is_logged = !self.unlogged && self.core.access_log.is_on(&self.snapshot.settings.access_log);
        if is_logged || self.trace.is_some() {
            self.tell((head, bytes), ended, duration, is_logged);
        }
    }

    /// Writes the line of the request, and hands over its span.
    #[inline(never)]
    fn tell(&mut self, (head, bytes): (&RequestHead, &[u8]), ended: Ended, duration: Duration, is_logged: bool) {
        // What is open here was answered.
        if let Some(attempt) = self.trail.open() {
            (attempt.status, attempt.length) = (ended.status, ended.body_bytes);
            (attempt.connect, attempt.header) = (self.times.connect, self.times.header);
            attempt.response = self.times.response;
        }
        let mut normal = Vec::new();
        let believed = if self.snapshot.settings.forwarded.trust { Believed::host(head, bytes) } else { None };
        let From { peer, client, scheme, over_tls, port, connection_requests, is_http2 } = self.from;
        let request = policy::Request {
            head,
            bytes,
            path: head.normalised_path(bytes, &mut normal).unwrap_or_default(),
            scheme,
            over_tls,
            client,
            client_port: peer.port(),
            forwarded_for: self.noted.as_ref().map_or(b"", |noted| &noted.forwarded_for),
            port,
            host: believed.unwrap_or_else(|| head.authority(bytes)),
            request_id: &self.request_id,
            secured: self.noted.as_ref().map_or(&Secured::Not, |noted| &noted.secured),
            suite: self.noted.as_ref().map(|noted| noted.suite).unwrap_or_default(),
            trace: None,
        };
        let settings = &self.snapshot.settings.access_log;
        let entry = Entry {
            request: Ok(&request),
            peer,
            labels: self.route.map(|route| &*route.labels),
            client_auth: self.route.and_then(|route| route.policies.as_ref()?.client_auth.as_deref()),
            noted: self.noted.as_deref(),
            protocol: if is_http2 { "HTTP/2.0" } else { protocol(head.version) },
            connection_requests,
            status: ended.status,
            bytes_sent: ended.bytes,
            body_bytes_sent: ended.body_bytes,
            bytes_received: self.bytes_received,
            duration,
            alternative: self.alternative(),
            trail: &self.trail,
            trace: self.trace.as_deref(),
        };
        if is_logged {
            let share = self.route.and_then(|route| route.policies.as_ref()?.log_share);
            self.core.access_log.write(&self.core, settings, share, &entry);
        }
        if let Some((trace, tracing)) = self.trace.as_deref().zip(self.snapshot.settings.tracing.as_ref()) {
            trace.finish(&self.core, tracing, self.route, &entry);
        }
    }

    /// The cluster that took the request, where it is not the route's own.
    fn alternative(&self) -> Option<&ClusterKey> {
        let (cluster, route) = (self.cluster?, self.route?);
        let is_own = match &route.backend {
            Backend::Cluster(own) => *own == cluster.id,
            Backend::Weighted(parts) => parts.iter().any(|part| part.cluster == cluster.id),
            Backend::Status(_) => false,
        };
        (!is_own).then_some(&cluster.key)
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}

/// Counts and logs a request of HTTP/2, the `number`th of its connection, whose client took it back. Its exchange was dropped where it stood, so that
/// nothing more is done for it; the line says what its head and the snapshot tell. `answered` is the status that the
/// client has seen.
pub(crate) fn taken_back(
    core: &Rc<Core>,
    (facts, number): (&Facts, u32),
    scratch: &mut Scratch,
    inbox: &[u8],
    (started, answered): (Instant, Option<u16>),
) {
    let snapshot = core.pin();
    let request = &scratch.request;
    let seen = Seen::of(&snapshot.settings.forwarded, facts, request, inbox);
    let found = route::find(&snapshot, request, inbox, &mut scratch.path);
    let route = match &found {
        Ok((Found::Route(route) | Found::AddSlash(route), _)) => Some(&***route),
        Ok((Found::Nothing, _)) | Err(_) => None,
    };
    let mut exchange = Exchange {
        core: Rc::clone(core),
        snapshot: &snapshot,
        route,
        shaping: Shaping::default(),
        hint: Hint::default(),
        request_id: client_request_id(request, inbox).map_or(RequestId::Unwanted, |id| RequestId::Given(id.into())),
        from: From::stream(facts, &seen, number),
        cluster: None,
        trail: Trail::default(),
        trace: scratch.trace.take().filter(|_| snapshot.settings.tracing.is_some()),
        noted: None,
        unlogged: is_unlogged(&snapshot, &found),
        is_page: false,
        started,
        ready: started,
        times: Times::default(),
        keep_alive: false,
        bytes_received: request.consumed as u64,
        _in_flight: None,
    };
    if exchange.wants_notes() {
        exchange.noted = Some(exchange.notes(facts, (scratch.is_pipelined, &scratch.edge)));
    }
    exchange.record(request, inbox, Ended { status: answered.unwrap_or(499), bytes: 0, body_bytes: 0 });
}

/// A head that could not be read was answered; `received` is what came of it.
pub(super) fn log_refusal(core: &Rc<Core>, client: &Client, received: &[u8], ended: Ended) {
    let snapshot = core.pin();
    let settings = &snapshot.settings.access_log;
    if !core.access_log.is_on(settings) {
        return;
    }
    let noted = settings.format.is_noted().then(|| Noted::new(settings, &client.facts, false, b""));
    let entry = Entry {
        request: Err(received),
        peer: client.facts.peer,
        labels: None,
        client_auth: None,
        noted: noted.as_deref(),
        protocol: protocol(Version::Http11),
        connection_requests: client.requests + 1,
        status: ended.status,
        bytes_sent: ended.bytes,
        body_bytes_sent: ended.body_bytes,
        bytes_received: received.len() as u64,
        duration: Duration::ZERO,
        alternative: None,
        trail: &Trail::default(),
        trace: None,
    };
    core.access_log.write(core, settings, None, &entry);
}
