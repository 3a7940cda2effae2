//! HTTP/2 (RFC 9113): connections of clients here, sessions with upstreams in [`session`].
//!
//! The h2 crate does frames, HPACK, flow control and the bounds against floods. Each stream becomes a [`Lane`], on which
//! the exchange speaks HTTP/1.1 as with any client: one grammar, one set of policies, one more parse (HAProxy began the
//! same way). What a connection may cost is bounded by the windows below, by the number of its streams and by
//! `keep-alive-requests`, after which it is told to go away.

#![expect(clippy::disallowed_types, reason = "one reading per stream, for the log of those that are taken back")]

pub(crate) mod dials;
mod frame;
mod inflow;
mod lane;
mod meter;
mod outflow;
mod outgoing;
mod queue;
mod resets;
mod response_in;
pub(crate) mod session;
mod sieve;
mod stalls;
mod translate;
mod unread;
mod unsent;
mod wire;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::Request;
use ringress_config::snapshot::ClientSettings;

use super::client::{self, Client, Facts};
use super::exchange::{self, After};
use super::grpc;
use super::head::{HeadError, HeadLimits, Progress};
use super::response::Asked;
use crate::io::{self as core_io, Deadline};
use crate::limits::{H2_CLIENT_FRAMES_BYTES, H2_CONNECTION_WINDOW, H2_GOODBYE, H2_STREAM_WINDOW, HANDSHAKE};
use crate::metrics::Refused;
use crate::stream::Stream;
use crate::worker::Core;
pub(crate) use lane::Lane;
use lane::{Broken, Incoming};
pub(crate) use meter::Crowd;
use outgoing::{Outgoing, ResponseOut};
use resets::Resets;
pub(crate) use stalls::Stalls;
pub(crate) use unread::Unread;
use unread::{Inlet, NotReading};
use unsent::Piece;
use wire::Wire;

/// What a client of HTTP/2 says first (RFC 9113 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Said to a client whose body was not read when too much was not.
const UNREAD: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// What the streams of a connection share.
struct Shared {
    core: Rc<Core>,
    /// Its entry in the core's list.
    key: u64,
    facts: Facts,
    /// Streams that run.
    running: Cell<u32>,
    /// It waits for a stream, and gives way to another connection when the core is full.
    rests: Cell<bool>,
    /// Ends the connection when it was idle for long enough.
    idle: Deadline,
    /// The client sent a frame that is wrong, or more that bring nothing, or took more back, than anybody needs: what it is
    /// told.
    refused: Rc<Cell<Option<h2::Reason>>>,
    resets: Resets,
    inlet: Rc<Inlet>,
}

/// What is left of a request whose head was written as one of HTTP/1.1.
struct Translated {
    body: RecvStream,
    asked: Asked,
    /// The body is to be framed by chunks.
    chunked: bool,
}

/// What happened on a connection.
enum Event {
    Stream(Box<Request<RecvStream>>, SendResponse<Piece>),
    /// A stream that its client took back before anything was done for it.
    TakenBack,
    /// The idle time is over, or this core drains.
    Goodbye,
    /// No more is taken.
    Refused(h2::Reason),
    Ended(Option<h2::Error>),
}

/// Serves a connection to its end.
pub(crate) async fn serve(core: &Rc<Core>, key: u64, client: Client) {
    let Client { stream, facts, early, .. } = client;
    let settings = core.pin().settings.client.clone();
    let refused = Rc::<Cell<Option<h2::Reason>>>::default();
    let inlet = core.unread.inlet();
    let wire = Wire::new((&core.buffers, &core.timers), stream.split(), early.into_vec()).metered(
        Rc::clone(&core.http2_crowd),
        (&core.stalls, &inlet),
        Rc::clone(&refused),
    );
    let idle = Deadline::new(&core.timers);
    let shared = Rc::new(Shared {
        core: Rc::clone(core),
        key,
        facts,
        running: Cell::new(0),
        rests: Cell::new(false),
        idle,
        refused,
        resets: Resets::default(),
        inlet,
    });
    shared.idle.set(HANDSHAKE);
    let Some(mut connection) = shared.handshake(wire, &settings).await else { return };
    core.on_drain(key, shared.idle.aborter());
    shared.rest(true);
    shared.idle.set(settings.header_timeout);
    // Lent: what an async function takes by value lies in its future twice, and this is large.
    shared.run(&mut connection, &settings).await;
}

impl Shared {
    async fn handshake(&self, wire: Wire, settings: &ClientSettings) -> Option<Connection<Wire, Piece>> {
        let handshake = h2::server::Builder::new()
            .max_concurrent_streams(settings.http2_streams_max)
            .initial_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(settings.header_bytes_max).unwrap_or(u32::MAX))
            .max_send_buffer_size(H2_STREAM_WINDOW as usize)
            .data_frame_budget(H2_CLIENT_FRAMES_BYTES)
            // Those that a client takes back together with their beginning; `resets.rs` says when they are too many.
            .max_pending_accept_reset_streams(resets::STREAMS_MIN as usize)
            .enable_connect_protocol()
            .handshake(wire);
        let expired = poll_fn(|cx| self.idle.poll_passed(cx));
        match select(pin!(handshake), pin!(expired)).await {
            Either::Left((Ok(connection), _)) => Some(connection),
            Either::Left((Err(error), _)) => {
                self.core.metrics.refuse(Refused::BadRequest);
                tracing::debug!(client = %self.facts.peer, %error, "HTTP/2 did not begin");
                None
            }
            Either::Right(_) => {
                self.core.metrics.refuse(Refused::Timeout);
                None
            }
        }
    }

    /// Takes streams until the end, and drives all of them.
    async fn run(self: &Rc<Self>, connection: &mut Connection<Wire, Piece>, settings: &ClientSettings) {
        let mut requests = 0;
        let (mut leaving, mut calmed) = (false, false);
        loop {
            match self.next_event(connection, calmed).await {
                event @ (Event::Stream(..) | Event::TakenBack) => {
                    requests += 1;
                    self.resets.begin();
                    match event {
                        Event::Stream(request, respond) => self.begin(request, respond, requests),
                        _ => self.taken_back(self.core.timers.now_ms()),
                    }
                    if !leaving && (requests >= settings.keep_alive_requests || settings.keep_alive.is_zero()) {
                        leaving = true;
                        connection.graceful_shutdown();
                    }
                }
                Event::Refused(reason) => {
                    let is_flood = reason == h2::Reason::ENHANCE_YOUR_CALM;
                    self.core.metrics.refuse(if is_flood { Refused::Http2Flood } else { Refused::BadRequest });
                    tracing::debug!(client = %self.facts.peer, ?reason, "HTTP/2 connection ended");
                    (leaving, calmed) = (true, true);
                    connection.abrupt_shutdown(reason);
                    self.idle.reset();
                    self.idle.set(H2_GOODBYE);
                }
                Event::Goodbye if leaving => return,
                Event::Goodbye => {
                    leaving = true;
                    connection.graceful_shutdown();
                    self.idle.reset();
                    // Streams that run have bounds of their own; the last one sets this again.
                    if self.running.get() == 0 {
                        self.idle.set(H2_GOODBYE);
                    }
                }
                Event::Ended(error) => {
                    if let Some(error) = error {
                        tracing::debug!(client = %self.facts.peer, %error, "HTTP/2 connection ended");
                    }
                    return;
                }
            }
        }
    }

    async fn next_event(&self, connection: &mut Connection<Wire, Piece>, calmed: bool) -> Event {
        poll_fn(|cx| match connection.poll_accept(cx) {
            Poll::Ready(Some(Ok((request, mut respond)))) => Poll::Ready(match respond.poll_reset(cx) {
                Poll::Pending => Event::Stream(Box::new(request), respond),
                Poll::Ready(_) => Event::TakenBack,
            }),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Event::Ended(Some(error))),
            Poll::Ready(None) => Poll::Ready(Event::Ended(None)),
            Poll::Pending => match self.refused.get() {
                Some(reason) if !calmed => Poll::Ready(Event::Refused(reason)),
                _ => self.idle.poll_passed(cx).map(|_| Event::Goodbye),
            },
        })
        .await
    }

    /// The client took a stream back that began at `since_ms`.
    fn taken_back(&self, since_ms: u64) {
        if self.resets.take_back(&self.core.http2_crowd, since_ms, self.core.timers.now_ms()) {
            // Whoever drives the connection looks at it with the next frame.
            self.refused.set(Some(h2::Reason::ENHANCE_YOUR_CALM));
        }
    }

    /// Starts a task for a stream, which is the `number`th one. A panic in it ends this stream and nothing else.
    fn begin(self: &Rc<Self>, request: Box<Request<RecvStream>>, respond: SendResponse<Piece>, number: u32) {
        if self.running.replace(self.running.get() + 1) == 0 {
            self.idle.clear();
            self.rest(false);
        }
        let shared = Rc::clone(self);
        // At once: what is received before the task runs would be in memory.
        let not_reading = (!request.body().is_end_stream()).then(|| self.inlet.not_reading());
        core_io::spawn(async move {
            // Boxed: starting a task moves its future about, and this one is large.
            let serving = Box::pin(shared.serve_stream((request, number), respond, not_reading));
            let served = AssertUnwindSafe(serving).catch_unwind().await;
            if served.is_err() {
                shared.core.metrics.panics.increment();
                tracing::error!(client = %shared.facts.peer, "a stream ended by a fault of the proxy; its core goes on");
            }
            shared.running.set(shared.running.get() - 1);
            if shared.running.get() == 0 {
                let keep_alive = shared.core.pin().settings.client.keep_alive;
                shared.idle.set(if shared.core.draining() { H2_GOODBYE } else { keep_alive });
                shared.rest(true);
            }
        });
    }

    fn rest(&self, rests: bool) {
        if self.rests.replace(rests) != rests {
            self.core.set_parked(self.key, rests);
        }
    }

    async fn serve_stream(
        &self,
        (request, number): (Box<Request<RecvStream>>, u32),
        mut respond: SendResponse<Piece>,
        not_reading: Option<NotReading>,
    ) {
        let core = &self.core;
        let mut inbox = core.buffers.head();
        let Translated { body, asked, chunked } = match self.translate(request, &mut inbox) {
            Ok(translated) => translated,
            Err(translate::Untranslatable(status)) => return self.refuse(&mut respond, status),
        };
        let mut scratch = core.scratch();
        if let Err(error) = parse(core, &mut scratch.request, &inbox) {
            tracing::debug!(client = %self.facts.peer, reason = error.label(), "request refused");
            return self.refuse(&mut respond, error.status());
        }
        if core.is_crowded() {
            // A head is much smaller than the buffer, and stays to the end.
            inbox.shrink_to_fit();
        }
        scratch.is_pipelined = false;
        scratch.edge.render(self.facts.peer.ip(), self.facts.scheme, self.facts.port);
        let incoming = Incoming::Body(inflow::Inflow::new(body, chunked));
        let outgoing = Outgoing::Response(ResponseOut { respond, asked, stalls: Rc::clone(&core.stalls) });
        let lane = Lane::new(incoming, outgoing, &core.timers).bounded(&core.stalls, &self.inlet);
        drop(not_reading);
        grpc::timeout(&scratch.request, &inbox).into_iter().for_each(|after| lane.give_up_after(after));
        let mut client = Client::new(core, Stream::Lane(lane.clone()), self.facts.clone());
        client.requests = number;
        let (started, started_ms) = (Instant::now(), core.timers.now_ms());
        scratch.response.status = 0;
        // A client that takes its request back gets no more work: dropping the exchange closes the upstream's connection.
        let exchange = exchange::run(core, &mut client, &mut scratch, &mut inbox);
        let after = match select(pin!(exchange), pin!(lane.broken())).await {
            Either::Left((after, _)) => Ok(after),
            Either::Right((broken, _)) => Err(broken),
        };
        match after {
            Ok(After::Linger) => {
                let _ = select(pin!(client::linger(core, &mut client.stream)), pin!(lane.broken())).await;
            }
            Ok(After::Next | After::Closed) => {}
            Err(broken) => {
                let answered = lane.has_begun().then_some(scratch.response.status).filter(|status| *status != 0);
                let status = self.broken(&lane, broken, started_ms, answered);
                exchange::taken_back(core, (&self.facts, number), &mut scratch, &inbox, (started, status));
            }
        }
        if lane.was_shed() {
            core.metrics.refuse(Refused::StalledStream);
        }
        lane.break_off(None);
        core.put_scratch(scratch);
        core.buffers.put(inbox);
    }

    /// Writes a request as one of HTTP/1.1. By itself: all is in the inbox then, and what thousands of requests wait with
    /// should neither be there twice nor have a place in their futures.
    fn translate(
        &self,
        request: Box<Request<RecvStream>>,
        inbox: &mut Vec<u8>,
    ) -> Result<Translated, translate::Untranslatable> {
        let (parts, body) = (*request).into_parts();
        let random = &mut self.core.random.borrow_mut();
        let translate::Translated { tunnel, chunked } =
            translate::write_request(inbox, &parts, body.is_end_stream(), random)?;
        let asked = Asked { head: parts.method == http::Method::HEAD, upgrade: tunnel };
        Ok(Translated { body, asked, chunked })
    }

    /// A stream ended before its exchange: `answered` of its head has left. The status that its client has seen.
    fn broken(&self, lane: &Lane, broken: Broken, started_ms: u64, answered: Option<u16>) -> Option<u16> {
        let (reason, head, status) = match broken {
            Broken::ByPeer => {
                self.taken_back(started_ms);
                return answered;
            }
            Broken::Unread => (Refused::UnreadBody, UNREAD, 503),
            Broken::Late => (Refused::Timeout, grpc::DEADLINE_EXCEEDED, 504),
        };
        self.core.metrics.refuse(reason);
        lane.answer(head);
        answered.or(Some(status))
    }

    /// Answers what is no request, without a body: there is nothing to say to who sends such.
    fn refuse(&self, respond: &mut SendResponse<Piece>, status: u16) {
        let reason = if status == 431 { Refused::HeadTooLarge } else { Refused::BadRequest };
        self.core.metrics.refuse(reason);
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_REQUEST);
        // Fails only when the stream is gone.
        let _ = respond.send_response(response, true);
    }
}

/// However the connection ended.
impl Drop for Shared {
    fn drop(&mut self) {
        self.rest(false);
    }
}

fn parse(core: &Core, head: &mut super::request::RequestHead, text: &[u8]) -> Result<(), HeadError> {
    let settings = &core.pin().settings.client;
    // HTTP/2 counts differently, so the text may be somewhat longer than what was counted.
    let limits = HeadLimits {
        line_bytes_max: settings.header_line_bytes_max,
        head_bytes_max: 2 * settings.header_bytes_max,
        fields_max: super::h1::FIELDS_MAX,
    };
    match head.parse(text, &limits)? {
        Progress::Complete if head.consumed == text.len() => Ok(()),
        // A line end in a part of the head would do this, and h2 lets none through.
        Progress::Complete | Progress::Partial => Err(HeadError::LineEnd),
    }
}

/// The peer has certainly done nothing with a request (RFC 9113 8.7): it may be sent again, whatever it asks for.
#[derive(Debug, thiserror::Error)]
#[error("the request was not processed: {reason}")]
pub(crate) struct Unprocessed {
    reason: String,
    connection: Served,
}

/// What the connection of a request that was not processed had done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It had answered: it has its age, or as many requests as it may have.
    Some,
    /// Nothing yet: maybe its peer takes no requests at all.
    Nothing,
    /// As [`Served::Nothing`], but another of its requests has said so before. They fail together, which is one failure.
    NothingAgain,
}

impl Unprocessed {
    fn error(reason: String) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionReset, Self { reason, connection: Served::Some })
    }

    /// If an error says so: what its connection had done.
    pub(crate) fn of(error: &io::Error) -> Option<Served> {
        error.get_ref()?.downcast_ref().map(|Self { connection, .. }| *connection)
    }

    /// Notes that, where an error says so.
    fn note(error: &mut io::Error, connection: impl FnOnce() -> Served) {
        if let Some(unprocessed) = error.get_mut().and_then(|inner| inner.downcast_mut::<Self>()) {
            unprocessed.connection = connection();
        }
    }
}

/// Why an upstream broke a stream off, where its client may be told the same: gRPC's clients take it for the outcome of the
/// call (gRPC over HTTP/2, "Errors"). Not among them is what lets a client repeat it, as a part of the answer was passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResetReason(h2::Reason);

impl ResetReason {
    /// That of an error of the stream.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        const TOLD: [h2::Reason; 3] =
            [h2::Reason::CANCEL, h2::Reason::ENHANCE_YOUR_CALM, h2::Reason::INADEQUATE_SECURITY];
        let error =
            error.get_ref()?.downcast_ref::<h2::Error>().filter(|error| error.is_reset() && error.is_remote())?;
        error.reason().filter(|reason| TOLD.contains(reason)).map(Self)
    }
}

/// A failure of HTTP/2 as the exchange knows failures.
fn io_error(error: h2::Error) -> io::Error {
    // A stream fails by the peer's goodbye only where that names an older one as the last.
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && (error.is_go_away() || is_refused) {
        Unprocessed::error(error.to_string())
    } else if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    } else {
        io::Error::new(io::ErrorKind::ConnectionReset, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of requests may be at work at a time: the allocator has a size of 3,072 bytes, and the next is 3,584.
    const STREAM_FUTURE_BYTES_MAX: usize = 3072;

    /// What a stream of a client is begun with.
    type Begun = (Box<Request<RecvStream>>, u32);

    fn size_of_output<'a, F>(_: fn(&'a Shared, Begun, SendResponse<Piece>, Option<NotReading>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_at_work_waits_in_a_small_future() {
        let bytes = size_of_output(Shared::serve_stream);
        assert!(bytes <= STREAM_FUTURE_BYTES_MAX, "{bytes}");
    }
}
