//! Forwarding to an upstream: body, attempts, response.

#![expect(
    clippy::disallowed_types,
    reason = "durations for the metrics: the wall between two awaits, which a coarse clock would not show"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::snapshot::{Cluster, ForwardedSettings, Route, Settings, UpstreamHop};

use super::super::body::BodyDecoder;
use super::super::client::Client;
use super::super::edge::Believed;
use super::super::forward::{FieldPolicy, Forward, TraceFields, write_request};
use super::super::framing::{BodyFraming, ResponseBody};
use super::super::head::Version;
use super::super::request::{Method, RequestHead};
use super::super::response::Asked;
use super::ahead::bytes_ahead;
use super::attempts::Attempts;
use super::head::Head;
use super::sending::send_and_read_head;
use super::{After, Ended, Exchange, end};
use crate::buffers::HEAD_BYTES;
use crate::error::Failure;
use crate::policy::{Answer, Shaping};
use crate::relay::request::{self, Gathered};
use crate::relay::response::{self, Relayed};
use crate::stream::Stream;
use crate::trace::Active;
use crate::upstream::{self, Connection, Lease, Speech};
use crate::worker::{Core, Scratch};

/// The request as it goes to each attempt.
pub(super) struct Outbound<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) inbox: &'a [u8],
    pub(super) edge: &'a super::super::edge::EdgeFields,
    pub(super) request_id: &'a [u8],
    pub(super) framing: BodyFraming,
    pub(super) shaping: &'a Shaping<'a>,
    /// Which of the client's fields pass.
    pub(super) policy: FieldPolicy,
    pub(super) forwarded: &'a ForwardedSettings,
    pub(super) hop: UpstreamHop,
    pub(super) trace: Option<TraceFields<'a>>,
}

/// Where a request goes.
pub(super) type Target<'s> = (&'s Route, &'s Arc<Cluster>);

/// A connection for an attempt.
pub(super) struct Connected {
    pub(super) connection: Box<Connection>,
    pub(super) took: Duration,
    /// It came from the pool.
    pub(super) reused: bool,
}

impl<'s> Exchange<'s> {
    /// Carries a request to an endpoint of the cluster and its response back.
    pub(super) async fn forward(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
    ) -> After {
        let mut body = Gathered::new(&self.core);
        let mut rest = Ok(None);
        if scratch.request.framing != BodyFraming::None {
            rest = self.receive_body(client, &scratch.request, inbox, (route, cluster), &mut body).await;
            self.bytes_received += body.bytes.len() as u64;
            self.ready = Instant::now();
        }
        match rest {
            Ok(None) => {
                self.mirror(scratch, inbox, Some(&body.bytes));
                self.forward_whole(client, scratch, inbox, (route, cluster), &body).await
            }
            // Boxed: it is the rare case, and its state would make every connection's larger.
            Ok(Some(decoder)) => {
                self.mirror(scratch, inbox, None);
                Box::pin(self.forward_streaming(client, scratch, inbox, (route, cluster), body, *decoder)).await
            }
            Err(failure) => {
                self.keep_alive = false;
                self.fail(client, scratch, inbox, cluster, &failure).await
            }
        }
    }

    /// Reads the body as far as the route's policy wants it before the upstream is contacted. What is left of it is read by
    /// the decoder that is returned.
    async fn receive_body(
        &self,
        client: &mut Client,
        head: &RequestHead,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'_>,
        body: &mut Gathered,
    ) -> Result<Option<Box<BodyDecoder>>, Failure> {
        let mut decoder = BodyDecoder::new(head.framing, route.body.bytes_max)?;
        if decoder.is_complete() {
            return Ok(None);
        }
        body.bytes = match head.framing {
            BodyFraming::Length(bytes) if bytes <= HEAD_BYTES as u64 => self.core.buffers.head(),
            _ => self.core.waiting_buffer(),
        };
        request::take_received(&mut decoder, inbox, head.consumed, &mut body.bytes)?;
        if decoder.is_complete() {
            return Ok(None);
        }
        if head.expect_continue && decoder.taken() == 0 {
            request::send_continue(&mut client.stream).await?;
        }
        let is_copied = self.shaping.mirror.as_ref().is_some_and(|mirror| mirror.with_body);
        if route.protocol_to(cluster).is_http2() {
            // Streams of gRPC may go on for ever, and their messages are answered one by one.
            request::take_come(&mut decoder, inbox, &client.stream, body).await?;
        } else if route.body.buffer || is_copied {
            let gap = self.snapshot.settings.client.body_timeout;
            request::gather(&mut decoder, inbox, &mut client.stream, body, gap).await?;
        }
        Ok((!decoder.is_complete()).then(|| Box::new(decoder)))
    }

    /// The request is whole: it may be tried more than once.
    async fn forward_whole(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        body: &Gathered,
    ) -> After {
        if let Some(after) = self.hedge_after(route, scratch, inbox) {
            return Box::pin(self.forward_hedged(client, scratch, inbox, (route, cluster), (body, after))).await;
        }
        self.forward_on(client, scratch, inbox, (route, cluster), body, &mut Attempts::new(self.ready)).await
    }

    /// Goes on with a request that was tried so far, or not at all.
    pub(super) async fn forward_on(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        body: &Gathered,
        attempts: &mut Attempts,
    ) -> After {
        let framing = match scratch.request.framing {
            BodyFraming::None => BodyFraming::None,
            BodyFraming::Length(_) | BodyFraming::Chunked => BodyFraming::Length(body.bytes.len() as u64),
        };
        let idempotent = scratch.request.method.is_idempotent();
        let result = loop {
            let Connected { mut connection, took, reused } = match self.connect(route, cluster, attempts).await {
                Ok(connected) => connected,
                Err(failure) if attempts.again(&self.core, &failure, route, idempotent) => continue,
                Err(failure) => break Err(failure),
            };
            self.times.connect = Some(took);
            let mut out = self.core.buffers.passing(scratch.request.consumed + body.bytes.len());
            // In one piece, as it is large: a name for it would keep its place in the future.
            self.outbound(scratch, inbox, framing).write(&mut out, connection.address);
            out.extend_from_slice(&body.bytes);
            let asked = asked(&scratch.request, inbox, self.hop());
            let version = scratch.request.version;
            let began = attempts.asked() + took;
            let answered = send_and_read_head(
                &self.core,
                &mut connection,
                &mut client.stream,
                (out, route),
                (version, asked, &mut scratch.response),
            )
            .await;
            match answered {
                Ok(received) => {
                    let header = began.elapsed();
                    self.times.header = Some(header);
                    connection.responded(&self.core, took + header);
                    let status = scratch.response.status;
                    if attempts.again_after(&self.core, status, route, idempotent) {
                        attempts.tried.add(connection.address);
                        self.discard((route, cluster), connection, &scratch.response, received);
                        continue;
                    }
                    break Ok((connection, received, began));
                }
                // A pooled connection that its upstream had just closed: not an attempt.
                Err(Failure::NoResponse) if reused && idempotent => attempts.stale(&connection),
                Err(failure @ Failure::Unprocessed(_)) if !attempts.fresh => {
                    attempts.moves(&self.core, connection.lease.as_ref(), &failure);
                }
                Err(failure) => {
                    attempts.failed(&self.core, &connection, &failure, reused);
                    if !attempts.again(&self.core, &failure, route, idempotent) {
                        break Err(failure);
                    }
                    self.log(cluster, &failure);
                }
            }
        };
        self.trail = std::mem::take(&mut attempts.trail);
        match result {
            Ok((connection, received, began)) => {
                self.respond(client, scratch, inbox, (route, cluster), connection, received, began).await
            }
            Err(failure) => self.fail(client, scratch, inbox, cluster, &failure).await,
        }
    }

    /// Sends the response whose head was read.
    #[expect(clippy::too_many_arguments, reason = "both ends of the exchange meet here")]
    pub(super) async fn respond(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        mut connection: Box<Connection>,
        received: Vec<u8>,
        began: Instant,
    ) -> After {
        if let Some(target) = self.error_backend(scratch.response.status, true) {
            let status = scratch.response.status;
            self.trail.fail(status, began.elapsed());
            self.discard((route, cluster), connection, &scratch.response, received);
            return Box::pin(self.error_page(client, scratch, inbox, target, Answer::status(status))).await;
        }
        let Head { out, written, treatment } =
            self.write_head(client.facts.secured.is_tls(), scratch, inbox, &received);
        let rest = scratch.response.consumed;
        let status = scratch.response.status;
        if status == 101 {
            // Boxed: its state would make every connection's larger.
            let opened = (connection, received, out);
            return Box::pin(self.switch(client, scratch, inbox, (route, cluster), opened)).await;
        }
        let ends_with_connection = written.body == ResponseBody::UntilClose;
        if ends_with_connection {
            client.stream.reset_on_close(true);
        }
        let ahead = bytes_ahead(route, cluster, &scratch.response, &received);
        let framings = (scratch.response.body, written, treatment);
        let may_be_kept = scratch.response.keep_alive && self.hop().keeps_alive();
        let (relayed, done, connection) = if ahead == 0 {
            let (from, to) = ((&mut connection.stream, route.timeouts.read), &mut client.stream);
            (response::relay(&self.core, from, to, framings, (received, rest), out).await, None, Some(connection))
        } else {
            let from = (connection, may_be_kept, ahead);
            // Boxed: it is the rarer case, and its state would make every connection's larger.
            let relaying = self.relay_ahead(client, (route, cluster), from, framings, (received, rest), out);
            let (relayed, done) = Box::pin(relaying).await;
            (relayed, done, None)
        };
        if ends_with_connection {
            client.stream.reset_on_close(false);
        }
        let now = Instant::now();
        self.times.response = Some(done.unwrap_or(now).duration_since(began));
        match relayed {
            Ok(Relayed { bytes, body_bytes, clean }) => {
                self.record_at(now, &scratch.request, inbox, Ended { status, bytes, body_bytes });
                if let Some(connection) = connection.filter(|_| clean && may_be_kept) {
                    self.core.upstreams.borrow_mut().put(&self.core, cluster, connection);
                }
                if written.keep_alive {
                    inbox.drain(..scratch.request.consumed);
                    After::Next
                } else {
                    end(client, &scratch.request, inbox)
                }
            }
            // Boxed: it is rare, and its state would make every connection's larger.
            Err(failure @ Failure::BadResponseBody) => {
                Box::pin(self.fail(client, scratch, inbox, cluster, &failure)).await
            }
            Err(failure) => {
                self.log(cluster, &failure);
                self.record(&scratch.request, inbox, Ended { status, bytes: 0, body_bytes: 0 });
                cut(client, &scratch.request, &failure)
            }
        }
    }
}

/// Ends a connection in the middle of a response. To an HTTP/1.0 client the end of the connection may be that of the body:
/// only a reset shows that this one is cut (RFC 9112 8). While such a body is sent, any end of the connection is one, also
/// that of the process.
pub(super) fn cut(client: &Client, head: &RequestHead, failure: &Failure) -> After {
    if let (Stream::Lane(lane), Failure::ResponseCut(reason)) = (&client.stream, failure) {
        lane.break_off(*reason);
    }
    if head.version == Version::Http10 {
        client.stream.reset_on_close(true);
    }
    After::Closed
}

impl Outbound<'_> {
    /// Appends the head for the endpoint at `endpoint`.
    pub(super) fn write(&self, out: &mut Vec<u8>, endpoint: SocketAddr) {
        let authority = if self.policy.trust_forwarded { Believed::host(self.head, self.inbox) } else { None };
        let authority = authority.unwrap_or_else(|| self.head.authority(self.inbox));
        // A client of HTTP/1.0 may name no host; the upstream's HTTP/1.1 wants one.
        let unnamed = if authority.is_empty() { endpoint.to_string() } else { String::new() };
        let authority = if authority.is_empty() { unnamed.as_bytes() } else { authority };
        write_request(
            out,
            self.head,
            self.inbox,
            &Forward {
                host: self.shaping.host.as_deref().unwrap_or(authority),
                forwarded_host: authority,
                target: self.shaping.target.as_deref(),
                request_id: self.request_id,
                edge: self.edge,
                framing: self.framing,
                policy: self.policy,
                changes: &self.shaping.request,
                hop: self.hop,
                trace: self.trace,
                address_field: self.forwarded.address_field.as_deref(),
                host_field: self.forwarded.host_field.as_deref(),
            },
        );
    }
}

impl<'s> Exchange<'s> {
    /// The request as it goes up with a body of this framing.
    pub(super) fn outbound<'a>(&'a self, scratch: &'a Scratch, inbox: &'a [u8], framing: BodyFraming) -> Outbound<'a> {
        Outbound {
            head: &scratch.request,
            inbox,
            edge: &scratch.edge,
            request_id: &self.request_id,
            framing,
            shaping: &self.shaping,
            policy: self.field_policy(),
            forwarded: &self.snapshot.settings.forwarded,
            hop: self.hop(),
            trace: self.trace.as_deref().map(Active::fields),
        }
    }

    /// What is said of the upstream's connection; HTTP/2 has no words for it.
    pub(super) fn hop(&self) -> UpstreamHop {
        let Some((route, policies)) = self.route.and_then(|route| Some((route, route.policies.as_ref()?))) else {
            return UpstreamHop::default();
        };
        let is_http2 = self.cluster.is_some_and(|cluster| route.protocol_to(cluster).is_http2());
        if is_http2 { UpstreamHop::default() } else { policies.upstream_hop }
    }

    /// Which of the client's fields pass.
    pub(super) fn field_policy(&self) -> FieldPolicy {
        let Settings { forwarded, fields, .. } = &*self.snapshot.settings;
        FieldPolicy {
            underscores: fields.underscores,
            unusual_names: fields.unusual_names,
            trust_forwarded: forwarded.trust,
            original_uri: fields.original_uri,
        }
    }

    /// A connection to the endpoint whose turn it is.
    pub(super) async fn connect(
        &self,
        route: &Route,
        cluster: &Arc<Cluster>,
        attempts: &mut Attempts,
    ) -> Result<Connected, Failure> {
        let lease = self.choose(cluster, attempts)?;
        let address = lease.address();
        let connected = self.connect_to(lease, route, cluster, attempts.fresh).await;
        connected.inspect_err(|_| attempts.tried.add(address))
    }

    /// The endpoint whose turn it is.
    pub(super) fn choose(&self, cluster: &Arc<Cluster>, attempts: &mut Attempts) -> Result<Lease, Failure> {
        let core = &self.core;
        let chosen = core.upstreams.borrow_mut().choose(core, cluster, &self.hint, &attempts.tried);
        let lease = chosen.ok_or(Failure::NoEndpoint)?;
        attempts.begin(&lease, cluster);
        lease.admit(core)?;
        Ok(lease)
    }

    /// A connection to an endpoint, a kept one unless it has to be fresh.
    pub(super) async fn connect_to(
        &self,
        lease: Lease,
        route: &Route,
        cluster: &Cluster,
        fresh: bool,
    ) -> Result<Connected, Failure> {
        let (core, address) = (&self.core, lease.address());
        let speech = Speech::of(route, cluster, self.from.over_tls());
        if !fresh {
            let pooled = core.upstreams.borrow_mut().take(core, cluster, address, speech);
            if let Some(mut connection) = pooled {
                core.metrics.upstream_reuses.increment();
                connection.requests += 1;
                connection.lease = Some(lease);
                return Ok(Connected { connection, took: Duration::ZERO, reused: true });
            }
        }
        let began = Instant::now();
        // Boxed as it is rare and large, as handshakes are.
        let connecting = Box::pin(upstream::connect_for(core, (&lease, cluster), speech, &route.timeouts));
        let mut connection = match connecting.await {
            Ok(connection) => connection,
            Err(failure) => {
                lease.failed(core, &failure);
                return Err(failure);
            }
        };
        connection.requests = 1;
        connection.lease = Some(lease);
        Ok(Connected { connection, took: began.elapsed(), reused: false })
    }

    /// Answers a request that could not be carried out, if there is still somebody to answer.
    pub(super) async fn fail(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        cluster: &Cluster,
        failure: &Failure,
    ) -> After {
        self.log(cluster, failure);
        failure.refusal().inspect(|reason| self.core.metrics.refuse(*reason));
        self.trail.fail_by(failure, self.times.response.unwrap_or_default());
        let empty = self.route.map(|route| route.empty_status);
        match failure
            .status()
            .map(|status| if matches!(failure, Failure::NoEndpoint) { empty.unwrap_or(status) } else { status })
        {
            Some(status) => self.answer_now(client, scratch, inbox, Answer::status(status)).await,
            None => {
                // nginx' word for a client that left.
                self.record(&scratch.request, inbox, Ended { status: 499, bytes: 0, body_bytes: 0 });
                After::Closed
            }
        }
    }
}

/// What a response may be, given its request.
pub(super) fn asked(head: &RequestHead, inbox: &[u8], hop: UpstreamHop) -> Asked {
    Asked { head: head.method == Method::Head, upgrade: head.upgrade(inbox).is_some() && hop.passes_upgrades() }
}

/// How long the head of a response is waited for by now, when its request was sent at `sent_ms`: a try may be bounded as
/// a whole, however often its endpoint says a little.
pub(super) fn left_of_try(core: &Core, route: &Route, sent_ms: u64) -> Duration {
    let passed = || Duration::from_millis(core.timers.now_ms().saturating_sub(sent_ms));
    let read = route.timeouts.read;
    route.retry.per_try.map_or(read, |whole| read.min(whole.saturating_sub(passed())))
}
