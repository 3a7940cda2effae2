//! One request from its head to its last byte: route, policies, upstream, answer.

#![expect(
    clippy::disallowed_types,
    reason = "durations for the metrics: the wall between two awaits, which a coarse clock would not show"
)]

mod ahead;
mod answer;
mod attempts;
mod ended;
mod error_page;
mod forward;
mod head;
mod hedge;
mod mirror;
mod request_id;
mod sending;
mod streaming;
mod switch;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::snapshot::{ClientSettings, Cluster, ClusterId, FieldSettings, Route, Settings};

use super::client::{Client, Facts};
use super::edge::EdgeFields;
use super::forward::{TraceFields, client_request_id, new_request_id};
use super::framing::BodyFraming;
use super::request::RequestHead;
use super::seen::Seen;
use crate::access_log::{Noted, Trail};
use crate::error::Failure;
use crate::metrics::Refused;
use crate::policy::{self, Answer, InFlight, Plan, Shaping};
use crate::route::{self, Found};
use crate::stream::Stream;
use crate::trace::Active;
use crate::upstream::Hint;
use crate::worker::{Core, Pinned, Scratch};
pub(crate) use answer::answer_refusal;
pub(crate) use ended::taken_back;
use ended::{Ended, From};
use forward::Target;
pub(crate) use mirror::Mirrors;
use request_id::RequestId;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request.
    Next,
    /// It ends, and the client may still be sending.
    Linger,
    /// It is over.
    Closed,
}

/// What an exchange knows throughout.
///
/// It borrows from the snapshot that it pinned: counting references to what all cores share would be the only thing
/// that they write in common.
pub(crate) struct Exchange<'s> {
    core: Rc<Core>,
    snapshot: &'s Pinned,
    route: Option<&'s Route>,
    shaping: Shaping<'s>,
    hint: Hint<'s>,
    request_id: RequestId,
    from: From,
    /// The cluster that the policies chose.
    cluster: Option<&'s Arc<Cluster>>,
    /// The endpoints that were asked.
    trail: Trail,
    /// Its part in a trace, where it is traced.
    trace: Option<Rc<Active>>,
    /// What its line or span is to say and cannot know at its end.
    noted: Option<Box<Noted<'s>>>,
    /// No line in the access log.
    unlogged: bool,
    /// An error backend was asked: what it says is final.
    is_page: bool,
    started: Instant,
    /// When all of it was there and its policies were done, as far as these had to be waited for: a clock read less.
    ready: Instant,
    times: Times,
    /// The connection may serve another request when this one ends well.
    keep_alive: bool,
    bytes_received: u64,
    /// Counts the request in until it is over.
    _in_flight: Option<InFlight>,
}

/// Times of the upstream's side, for metrics.
#[derive(Clone, Copy, Default)]
struct Times {
    connect: Option<Duration>,
    header: Option<Duration>,
    response: Option<Duration>,
}

/// Serves the request whose head is in `scratch`, with its bytes at the start of `inbox`. When the connection goes on,
/// `inbox` holds only what belongs to the next request.
///
/// Exchange and client stay where they are and are lent: what an async function takes by value lies in its future twice.
pub(crate) async fn run(core: &Rc<Core>, client: &mut Client, scratch: &mut Scratch, inbox: &mut Vec<u8>) -> After {
    let started = Instant::now();
    core.metrics.requests.increment();
    #[cfg(test)]
    crate::faults::inject(core, scratch.request.target(inbox));
    let snapshot = core.pin();
    let Settings { client: settings, forwarded, fields, .. } = &*snapshot.settings;
    let keep_alive = may_go_on(core, settings, client, &scratch.request);
    let request_id = request_id(core, fields, &scratch.request, inbox);
    let seen = Seen::of(forwarded, &client.facts, &scratch.request, inbox);
    seen.tell(forwarded, (&client.facts, &scratch.request, inbox), &mut scratch.edge);
    let found = route::find(&snapshot, &scratch.request, inbox, &mut scratch.path);
    scratch.trace = begin_trace(core, &snapshot, &found, (&scratch.request, inbox));
    let mut exchange = Exchange {
        core: Rc::clone(core),
        snapshot: &snapshot,
        route: found.as_ref().ok().and_then(|(found, _)| found.route()),
        shaping: Shaping::default(),
        hint: Hint::default(),
        request_id,
        from: From::new(client, &seen),
        cluster: None,
        trail: Trail::default(),
        trace: scratch.trace.clone(),
        noted: None,
        unlogged: ended::is_unlogged(&snapshot, &found),
        is_page: false,
        started,
        ready: started,
        times: Times::default(),
        // What follows a target that two parsers could read differently is not parsed.
        keep_alive: keep_alive && found.is_ok(),
        bytes_received: scratch.request.consumed as u64,
        _in_flight: None,
    };
    if exchange.wants_notes() {
        exchange.noted = Some(exchange.notes(&client.facts, (scratch.is_pipelined, &scratch.edge)));
    }
    // Taken apart at once: what is moved out of a whole in pieces keeps its place in the future.
    let Plan { verdict, hint, in_flight } = match &found {
        Ok((found, path)) => {
            let known = (&exchange.request_id[..], scratch.trace.as_deref().map(Active::fields));
            let request = request((&scratch.request, inbox, path), &seen, &client.facts, &scratch.edge, known);
            match plan_at_once(core, &snapshot, found, &request, &mut exchange.shaping) {
                Ok(plan) => plan,
                Err(guarded) => {
                    let plan = policy::run(core, &snapshot, guarded, &request, &mut exchange.shaping).await;
                    exchange.ready = Instant::now();
                    plan
                }
            }
        }
        Err(error) => refuse(core, client, error),
    };
    (exchange.hint, exchange._in_flight) = (hint, in_flight);
    let target = match exchange.target(verdict) {
        Ok(target) => target,
        Err(answer) => return exchange.answer(client, scratch, inbox, answer).await,
    };
    exchange.forward(client, scratch, inbox, target).await
}

/// The request as policies see it. `known` are its id and its part in a trace.
#[inline(always)]
fn request<'a>(
    (head, bytes, path): (&'a RequestHead, &'a [u8], &'a [u8]),
    seen: &Seen<'a>,
    facts: &'a Facts,
    edge: &'a EdgeFields,
    (request_id, trace): (&'a [u8], Option<TraceFields<'a>>),
) -> policy::Request<'a> {
    policy::Request {
        head,
        bytes,
        path,
        scheme: seen.scheme,
        over_tls: facts.secured.is_tls(),
        client: seen.client,
        client_port: facts.peer.port(),
        forwarded_for: edge.forwarded_for(),
        port: seen.port,
        host: seen.host,
        request_id,
        secured: &facts.secured,
        suite: facts.suite,
        trace,
    }
}

/// What is done with a target that cannot be read.
#[cold]
fn refuse(core: &Core, client: &Client, error: &impl std::fmt::Display) -> Plan<'static> {
    core.metrics.refuse(Refused::BadRequest);
    tracing::debug!(client = %client.facts.peer, %error, "request refused");
    Plan::answer(Answer::status(400))
}

/// Whether the connection may serve another request when this one ends well.
#[inline]
fn may_go_on(core: &Core, settings: &ClientSettings, client: &Client, head: &RequestHead) -> bool {
    // A connection of HTTP/2 counts its streams, and ends, by itself.
    let is_counted = || !matches!(client.stream, Stream::Lane(_));
    head.keep_alive
        && (client.requests < settings.keep_alive_requests || !is_counted())
        && !settings.keep_alive.is_zero()
        && !core.draining()
}

/// The part that a request has in a trace; none for a target that cannot be read.
#[inline]
fn begin_trace<E>(
    core: &Core,
    snapshot: &Pinned,
    found: &Result<(Found<'_>, &[u8]), E>,
    request: (&RequestHead, &[u8]),
) -> Option<Rc<Active>> {
    let tracing = snapshot.settings.tracing.as_ref()?;
    let (found, _) = found.as_ref().ok()?;
    Active::begin(core, tracing, found.route(), request)
}

/// As [`policy::at_once`], for a client that the operator may refuse.
#[inline]
fn plan_at_once<'s>(
    core: &Core,
    snapshot: &'s Pinned,
    found: &Found<'s>,
    request: &policy::Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<Plan<'s>, policy::Guarded<'s>> {
    match policy::is_blocked(snapshot, request) {
        true => Ok(policy::blocked(core, found, request, shaping)),
        false => policy::at_once(core, snapshot, found, request, shaping),
    }
}

/// How a connection ends behind a whole answer: at once when the client asked for that and has said all it had to, as a
/// FIN is all that it waits for.
fn end(client: &Client, head: &RequestHead, inbox: &[u8]) -> After {
    let is_last = !head.keep_alive && head.framing == BodyFraming::None && inbox.len() == head.consumed;
    if is_last && client.stream.may_close_at_once() { After::Closed } else { After::Linger }
}

/// The client's request id, or a new one; empty when there is to be none.
fn request_id(core: &Core, settings: &FieldSettings, head: &RequestHead, bytes: &[u8]) -> RequestId {
    match client_request_id(head, bytes) {
        Some(id) => RequestId::Given(id.into()),
        None if !settings.request_id => RequestId::Unwanted,
        None => RequestId::New(new_request_id(&mut core.random.borrow_mut())),
    }
}

impl<'s> Exchange<'s> {
    /// Where the request goes by the word of the policies; otherwise what it is answered.
    fn target(&mut self, verdict: Result<ClusterId, Answer>) -> Result<Target<'s>, Answer> {
        self.cluster = self.snapshot.clusters.get(verdict?);
        self.route.zip(self.cluster).ok_or_else(|| Answer::status(503))
    }

    /// Takes note of a failure for the log.
    fn log(&self, cluster: &Cluster, failure: &Failure) {
        let route = self.route;
        tracing::debug!(
            ingress = route.map(|r| r.source.key.to_string()),
            upstream = %cluster.name,
            error = failure as &dyn std::error::Error,
            "request failed"
        );
    }
}
