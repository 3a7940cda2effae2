//! Forwarding to an upstream: body, attempts, response.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use ringress_config::snapshot::{Cluster, Route};

use super::super::body::BodyDecoder;
use super::super::client::Client;
use super::super::edge::{Believed, Scheme};
use super::super::forward::{FieldPolicy, Forward, write_request};
use super::super::framing::BodyFraming;
use super::super::request::{Method, RequestHead};
use super::super::respond::{Respond, Written, write_response};
use super::super::response::Asked;
use super::{After, Exchange};
use crate::error::Failure;
use crate::policy::{Answer, Shaping};
use crate::relay::request::{self, Gathered};
use crate::relay::response::{self, Relayed};
use crate::relay::{self, tunnel};
use crate::stream::{Sink, Source, Stream};
use crate::upstream::{self, Connection, Tried};
use crate::worker::{Core, Scratch};

/// Wait for a response while the request body is still going up, which has bounds of its own.
const WHILE_UPLOADING: Duration = Duration::from_secs(24 * 3600);

/// The request as it goes to each attempt.
struct Outbound<'a> {
    head: &'a RequestHead,
    inbox: &'a [u8],
    edge: &'a super::super::edge::EdgeFields,
    request_id: &'a [u8],
    framing: BodyFraming,
    shaping: &'a Shaping<'a>,
    /// The client's forwarding fields are believed.
    trust: bool,
}

/// Where a request goes.
type Target<'s> = (&'s Route, &'s Arc<Cluster>);

/// A connection for an attempt.
struct Connected {
    connection: Connection,
    took: Duration,
    /// It came from the pool.
    reused: bool,
}

/// Where the attempts of one request stand.
struct Attempts {
    tried: Tried,
    count: u32,
    began: Instant,
    /// A pooled connection turned out stale: the next attempt takes a fresh one.
    fresh: bool,
}

impl<'s> Exchange<'s> {
    /// Carries a request to an endpoint of the cluster and its response back.
    pub(super) async fn forward(
        mut self,
        mut client: Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
    ) -> After {
        let mut body = Gathered::new(&self.core);
        let decoder = self.receive_body(&mut client, &scratch.request, inbox, route, &mut body).await;
        self.bytes_received += body.bytes.len() as u64;
        match decoder {
            Ok(decoder) if decoder.is_complete() => {
                self.forward_whole(client, scratch, inbox, (route, cluster), &body).await
            }
            // Boxed: it is the rare case, and its state would make every connection's larger.
            Ok(decoder) => {
                Box::pin(self.forward_streaming(client, scratch, inbox, (route, cluster), body, decoder)).await
            }
            Err(failure) => {
                self.keep_alive = false;
                self.fail(client, &scratch.request, inbox, cluster, &failure).await
            }
        }
    }

    /// Reads the body as far as the route's policy wants it before the upstream is contacted.
    async fn receive_body(
        &self,
        client: &mut Client,
        head: &RequestHead,
        inbox: &mut Vec<u8>,
        route: &Route,
        body: &mut Gathered,
    ) -> Result<BodyDecoder, Failure> {
        let mut decoder = BodyDecoder::new(head.framing, route.body.bytes_max)?;
        if decoder.is_complete() {
            return Ok(decoder);
        }
        body.bytes = self.core.buffers.body();
        request::take_received(&mut decoder, inbox, head.consumed, &mut body.bytes)?;
        if decoder.is_complete() {
            return Ok(decoder);
        }
        if head.expect_continue && decoder.taken() == 0 {
            request::send_continue(&mut client.stream).await?;
        }
        if route.body.buffer {
            let gap = self.snapshot.settings.client.body_timeout;
            request::gather(&mut decoder, inbox, &mut client.stream, body, gap).await?;
        }
        Ok(decoder)
    }

    /// The request is whole: it may be tried more than once.
    async fn forward_whole(
        mut self,
        mut client: Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        body: &Gathered,
    ) -> After {
        let framing = match scratch.request.framing {
            BodyFraming::None => BodyFraming::None,
            BodyFraming::Length(_) | BodyFraming::Chunked => BodyFraming::Length(body.bytes.len() as u64),
        };
        let idempotent = scratch.request.method.is_idempotent();
        let mut attempts = Attempts::new();
        let mut times = self.times;
        let result = loop {
            let outbound = Outbound {
                head: &scratch.request,
                inbox,
                edge: &scratch.edge,
                request_id: &self.request_id,
                framing,
                shaping: &self.shaping,
                trust: self.snapshot.settings.forwarded.trust,
            };
            let Connected { mut connection, took, reused } = match self.connect(route, cluster, &mut attempts).await {
                Ok(connected) => connected,
                Err(failure) if attempts.again(&failure, route, idempotent) => continue,
                Err(failure) => break Err(failure),
            };
            times.connect = Some(took);
            let mut out = self.core.buffers.body();
            outbound.write(&mut out);
            out.extend_from_slice(&body.bytes);
            let asked = asked(&scratch.request, inbox);
            let version = scratch.request.version;
            let began = Instant::now();
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
                    times.header = Some(began.elapsed());
                    break Ok((connection, received, began));
                }
                // A pooled connection that its upstream had just closed: not an attempt.
                Err(Failure::NoResponse) if reused && idempotent => attempts.fresh = true,
                Err(failure) if attempts.again(&failure, route, idempotent) => {
                    self.core.metrics.retries.increment();
                    self.log(cluster, &failure);
                }
                Err(failure) => break Err(failure),
            }
        };
        self.times = times;
        match result {
            Ok((connection, received, began)) => {
                self.respond(client, scratch, inbox, (route, cluster), connection, received, began).await
            }
            Err(failure) => self.fail(client, &scratch.request, inbox, cluster, &failure).await,
        }
    }

    /// Sends the response whose head was read.
    #[expect(clippy::too_many_arguments, reason = "both ends of the exchange meet here")]
    async fn respond(
        mut self,
        mut client: Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        mut connection: Connection,
        received: Vec<u8>,
        began: Instant,
    ) -> After {
        let (out, written) = self.write_head(client.scheme, scratch, &received);
        let rest = scratch.response.consumed;
        let status = scratch.response.status;
        if status == 101 {
            let mut to_client = out;
            to_client.extend_from_slice(&received[rest..]);
            let to_upstream = inbox.split_off(scratch.request.consumed);
            let sent =
                tunnel::run(&self.core, client.stream, connection.stream, to_client, to_upstream, route.timeouts.read)
                    .await;
            self.record(&scratch.request, inbox, status, sent);
            return After::Closed;
        }
        let relayed = response::relay(
            &self.core,
            (&mut connection.stream, route.timeouts.read),
            &mut client.stream,
            (scratch.response.body, written.body),
            &received[rest..],
            out,
        )
        .await;
        self.core.buffers.put(received);
        self.times.response = Some(began.elapsed());
        match relayed {
            Ok(Relayed { bytes, clean }) => {
                self.record(&scratch.request, inbox, status, bytes);
                if clean && scratch.response.keep_alive {
                    self.core.upstreams.borrow_mut().put(&self.core, cluster, connection);
                }
                if written.keep_alive {
                    inbox.drain(..scratch.request.consumed);
                    After::Next(client)
                } else {
                    After::Linger(client.stream)
                }
            }
            Err(failure) => {
                self.log(cluster, &failure);
                self.record(&scratch.request, inbox, status, 0);
                After::Closed
            }
        }
    }

    /// The body goes up while the response comes down; one attempt, as nothing of the body is kept.
    async fn forward_streaming(
        mut self,
        client: Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        body: Gathered,
        mut decoder: BodyDecoder,
    ) -> After {
        let idempotent = scratch.request.method.is_idempotent();
        let mut attempts = Attempts::new();
        let connected = loop {
            // A pooled connection that proves stale could not be made good: streamed bodies take fresh ones.
            attempts.fresh = true;
            match self.connect(route, cluster, &mut attempts).await {
                Err(failure) if attempts.again(&failure, route, idempotent) => {}
                other => break other,
            }
        };
        let connection = match connected {
            Ok(connected) => {
                self.times.connect = Some(connected.took);
                connected.connection
            }
            Err(failure) => {
                self.keep_alive = false;
                return self.fail(client, &scratch.request, inbox, cluster, &failure).await;
            }
        };
        let framing = scratch.request.framing;
        let outbound = Outbound {
            head: &scratch.request,
            inbox,
            edge: &scratch.edge,
            request_id: &self.request_id,
            framing,
            shaping: &self.shaping,
            trust: self.snapshot.settings.forwarded.trust,
        };
        let mut head = self.core.buffers.body();
        outbound.write(&mut head);
        let began = Instant::now();
        // The rest of the body is never parsed as a request: whatever happens, the connection ends with this response.
        self.keep_alive = false;
        let Client { stream, scheme, peer, port, requests, idle_since, early } = client;
        let (mut client_reader, mut client_writer) = stream.split();
        let (mut upstream_reader, mut upstream_writer) = connection.stream.split();
        let upstream_aborter = upstream_writer.aborter();
        let (gap, timeouts) = (self.snapshot.settings.client.body_timeout, route.timeouts);
        let core = Rc::clone(&self.core);
        // The time to answer begins when the body is up; until then the upload watches the connection.
        let patience = Cell::new(WHILE_UPLOADING);
        let result = {
            let upload = async {
                let (sent, head) = relay::send(&mut upstream_writer, head, timeouts.send).await;
                core.buffers.put(head);
                sent.map_err(|error| Failure::sending(&error))?;
                request::upload(
                    &core,
                    &mut decoder,
                    &body.bytes,
                    (&mut client_reader, gap),
                    (&mut upstream_writer, timeouts.send),
                    framing,
                )
                .await?;
                patience.set(timeouts.read);
                Sink::deadline(&upstream_writer, timeouts.read);
                Ok(())
            };
            let download =
                self.download(scratch, scheme, (&mut upstream_reader, timeouts.read, &patience), &mut client_writer);
            match select(pin!(upload), pin!(download)).await {
                Either::Right((result, _)) => result,
                Either::Left((Ok(()), download)) => download.await,
                // An upstream that closes its ears may have answered already.
                Either::Left((Err(Failure::NoResponse), download)) => download.await,
                Either::Left((Err(failure), download)) => {
                    upstream_aborter.abort();
                    match download.await {
                        Err(Streaming::BeforeHead(_)) => Err(Streaming::BeforeHead(failure)),
                        other => other,
                    }
                }
            }
        };
        self.bytes_received += decoder.taken();
        self.times.response = Some(began.elapsed());
        let stream = Stream::reunite(client_reader, client_writer);
        match result {
            Ok(bytes) => {
                self.record(&scratch.request, inbox, scratch.response.status, bytes);
                After::Linger(stream)
            }
            Err(Streaming::BeforeHead(failure)) => {
                let client = Client { stream, peer, scheme, port, requests, idle_since, early };
                self.fail(client, &scratch.request, inbox, cluster, &failure).await
            }
            Err(Streaming::AfterHead(failure)) => {
                self.log(cluster, &failure);
                self.record(&scratch.request, inbox, scratch.response.status, 0);
                After::Closed
            }
        }
    }

    /// Reads the response and relays it, while the body is still going up.
    async fn download(
        &self,
        scratch: &mut Scratch,
        scheme: Scheme,
        (upstream, timeout, patience): (&mut impl Source, Duration, &Cell<Duration>),
        client: &mut impl Sink,
    ) -> Result<u64, Streaming> {
        let asked = Asked { head: scratch.request.method == Method::Head, upgrade: false };
        let version = scratch.request.version;
        let received = response::read_head(
            &self.core,
            (upstream, || patience.get()),
            client,
            version,
            asked,
            &mut scratch.response,
        )
        .await
        .map_err(Streaming::BeforeHead)?;
        let (out, written) = self.write_head(scheme, scratch, &received);
        let first = &received[scratch.response.consumed..];
        let framings = (scratch.response.body, written.body);
        let relayed = response::relay(&self.core, (upstream, timeout), client, framings, first, out).await;
        relayed.map(|r| r.bytes).map_err(Streaming::AfterHead)
    }
}

/// Where a streamed exchange failed.
enum Streaming {
    /// The client can still be answered.
    BeforeHead(Failure),
    /// The client has seen the head: the response must look cut.
    AfterHead(Failure),
}

impl Attempts {
    fn new() -> Self {
        Self { tried: Tried::default(), count: 0, began: Instant::now(), fresh: false }
    }

    /// Whether to try once more after `failure`.
    fn again(&mut self, failure: &Failure, route: &Route, idempotent: bool) -> bool {
        let policy = &route.retry;
        self.count += 1;
        failure.allows_retry(policy, idempotent)
            && (policy.tries_max == 0 || self.count < policy.tries_max)
            && (policy.budget.is_zero() || self.began.elapsed() < policy.budget)
    }
}

impl Outbound<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let authority = if self.trust { Believed::read(self.head, self.inbox).host } else { None };
        let authority = authority.unwrap_or_else(|| self.head.authority(self.inbox));
        let (set, remove) = self.shaping.request();
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
                policy: FieldPolicy { trust_forwarded: self.trust, ..FieldPolicy::default() },
                set: &set,
                remove: &remove,
            },
        );
    }
}

impl<'s> Exchange<'s> {
    /// A connection to the endpoint whose turn it is.
    async fn connect(
        &self,
        route: &Route,
        cluster: &Arc<Cluster>,
        attempts: &mut Attempts,
    ) -> Result<Connected, Failure> {
        let core = &self.core;
        let picked = core.upstreams.borrow_mut().pick(cluster, &attempts.tried, &mut core.random.borrow_mut());
        let address = picked.ok_or(Failure::NoEndpoint)?;
        if !attempts.fresh {
            let pooled = core.upstreams.borrow_mut().take(core, cluster, address, route.protocol);
            if let Some(mut connection) = pooled {
                core.metrics.upstream_reuses.increment();
                connection.requests += 1;
                return Ok(Connected { connection, took: Duration::ZERO, reused: true });
            }
        }
        let began = Instant::now();
        let connected = upstream::connect(core, address, route.protocol, &route.timeouts).await;
        attempts.tried.add(address);
        let mut connection = connected?;
        connection.requests = 1;
        Ok(Connected { connection, took: began.elapsed(), reused: false })
    }

    /// The head of the response as the client gets it.
    fn write_head(&self, scheme: Scheme, scratch: &Scratch, received: &[u8]) -> (Vec<u8>, Written) {
        let mut out = self.core.buffers.body();
        let hsts = self.snapshot.settings.tls.hsts.as_deref().filter(|_| scheme == Scheme::Https);
        let (set, add, remove) = self.shaping.response();
        let written = self.core.with_date(|date| {
            write_response(
                &mut out,
                &scratch.response,
                received,
                &Respond {
                    version: scratch.request.version,
                    keep_alive: self.keep_alive && !self.core.draining(),
                    date,
                    hsts: hsts.map(str::as_bytes),
                    keep_server: false,
                    set: &set,
                    add: &add,
                    remove: &remove,
                },
            )
        });
        (out, written)
    }

    /// Answers a request that could not be carried out, if there is still somebody to answer.
    async fn fail(
        self,
        client: Client,
        head: &RequestHead,
        inbox: &mut Vec<u8>,
        cluster: &Cluster,
        failure: &Failure,
    ) -> After {
        self.log(cluster, failure);
        let empty = self.route.map(|route| route.empty_status);
        match failure
            .status()
            .map(|status| if matches!(failure, Failure::NoEndpoint) { empty.unwrap_or(status) } else { status })
        {
            Some(status) => self.answer_now(client, head, inbox, Answer::status(status)).await,
            None => {
                // nginx' word for a client that left.
                self.record(head, inbox, 499, 0);
                After::Closed
            }
        }
    }
}

/// What a response may be, given its request.
fn asked(head: &RequestHead, inbox: &[u8]) -> Asked {
    Asked { head: head.method == Method::Head, upgrade: head.upgrade(inbox).is_some() }
}

/// One attempt: the whole request out, the response head in.
async fn send_and_read_head(
    core: &Core,
    connection: &mut Connection,
    client: &mut Stream,
    (out, route): (Vec<u8>, &Route),
    (version, asked, head): (super::super::head::Version, Asked, &mut super::super::response::ResponseHead),
) -> Result<Vec<u8>, Failure> {
    let (sent, out) = relay::send(&mut connection.stream, out, route.timeouts.send).await;
    core.buffers.put(out);
    match sent {
        // An upstream that refuses a body early answers and closes its ears: the answer is worth reading.
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(Failure::SendTimeout),
        Err(_) | Ok(()) => {}
    }
    let read = route.timeouts.read;
    response::read_head(core, (&mut connection.stream, || read), client, version, asked, head).await
}
