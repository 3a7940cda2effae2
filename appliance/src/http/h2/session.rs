//! Sessions with upstreams: HTTP/2 connections that requests of this core share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use h2::client::SendRequest;
use ringress_config::snapshot::UpstreamSettings;

use super::Served;
use super::dials::{Dials, Opening};
use super::lane::{Incoming, Lane};
use super::outgoing::{Outgoing, RequestOut};
use super::response_in::{AwaitedResponse, Promise};
use super::unsent::Piece;
use super::wire::Wire;
use crate::io::{self as core_io};
use crate::limits::{
    H2_RESET_REMEMBERED, H2_RESETS_REMEMBERED, H2_SESSIONS_MAX, H2_STREAM_WINDOW, H2_STREAMS_PER_SESSION,
    H2_UPSTREAM_FRAMES_BYTES, H2_UPSTREAM_WINDOW, RESPONSE_HEAD_BYTES_MAX,
};
use crate::stream::Stream;
use crate::worker::Core;

/// Whom a session is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct With {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    /// Identity of what is shown and expected over TLS.
    pub(crate) policy: Option<[u8; 32]>,
}

/// All sessions of a core.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RefCell<HashMap<With, Vec<Rc<Session>>>>,
    dials: Dials,
}

struct Session {
    requests: RefCell<SendRequest<Piece>>,
    tls: bool,
    running: Cell<u32>,
    /// Streams that it has begun.
    begun: Cell<u32>,
    created_ms: u64,
    /// What its streams have read, counted in reads.
    heard: Cell<u64>,
    /// When it last began or ended a stream, on the core's clock.
    used_ms: Cell<u64>,
    /// The connection broke, a request was refused, or nothing came while one waited too long. Its driver sets it too,
    /// which must not hold the session: the connection ends with its last user.
    ended: Rc<Cell<bool>>,
    /// A request was refused.
    was_refused: Cell<bool>,
}

/// Counts a stream as long as its lane lives.
pub(super) struct Running {
    session: Rc<Session>,
    core: std::rc::Weak<Core>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.session.running.set(self.session.running.get() - 1);
        if let Some(core) = self.core.upgrade() {
            self.session.used_ms.set(core.timers.now_ms());
        }
    }
}

impl Sessions {
    /// A stream on a session that has room. `None` when one has to be opened first, with [`begin`] and
    /// [`Sessions::add`].
    pub(crate) fn stream(&self, core: &Rc<Core>, with: With) -> Option<Lane> {
        let mut all = self.open.borrow_mut();
        let sessions = all.get_mut(&with)?;
        let (settings, now_ms) = (&core.pin().settings.upstream, core.timers.now_ms());
        sessions.retain(|session| session.is_open() && !session.is_spent(settings, now_ms));
        let roomy = sessions.iter().filter(|s| s.has_room()).min_by_key(|session| session.running.get());
        // When there are as many as there may be, the fullest waits for the upstream's own limit.
        let any =
            || (sessions.len() >= H2_SESSIONS_MAX).then(|| sessions.iter().min_by_key(|s| s.running.get())).flatten();
        let session = roomy.or_else(any)?;
        Some(session.lane(core))
    }

    /// Who opens a session where [`Sessions::stream`] had none.
    pub(crate) fn opening(&self, with: With) -> Opening<'_> {
        let open = self.open.borrow().get(&with).map_or(0, Vec::len);
        self.dials.join(with, open)
    }

    /// Adds a session and opens its first stream.
    pub(crate) fn add(&self, core: &Rc<Core>, with: With, requests: SendRequest<Piece>, driver: Driver) -> Lane {
        let session = Rc::new(Session {
            requests: RefCell::new(requests),
            tls: with.tls,
            running: Cell::new(0),
            begun: Cell::new(0),
            created_ms: core.timers.now_ms(),
            heard: Cell::new(0),
            used_ms: Cell::new(core.timers.now_ms()),
            ended: Rc::default(),
            was_refused: Cell::new(false),
        });
        let ended = Rc::clone(&session.ended);
        let lane = session.lane(core);
        self.open.borrow_mut().entry(with).or_default().push(session);
        core_io::spawn(async move {
            if let Err(error) = driver.0.await {
                tracing::debug!(upstream = %with.address, %error, "HTTP/2 session ended");
            }
            ended.set(true);
        });
        lane
    }

    /// Lets sessions go that were idle for `idle`, as those with endpoints that are gone come to be.
    pub(crate) fn sweep(&self, now_ms: u64, idle: Duration) {
        let is_idle = |session: &Session| {
            session.running.get() == 0 && u128::from(now_ms.saturating_sub(session.used_ms.get())) >= idle.as_millis()
        };
        self.open.borrow_mut().retain(|_, sessions| {
            sessions.retain(|session| session.is_open() && !is_idle(session));
            !sessions.is_empty()
        });
    }
}

impl Running {
    /// One of the session's streams has read something.
    pub(super) fn hear(&self) {
        self.session.heard.set(self.session.heard.get().wrapping_add(1));
    }

    /// How much its streams have read: while that stays, the upstream says nothing.
    pub(super) fn heard(&self) -> u64 {
        self.session.heard.get()
    }

    /// The upstream said nothing for too long: no further requests go that way.
    pub(super) fn distrust(&self) {
        self.session.ended.set(true);
    }

    /// The upstream takes no more: no further requests go that way. What it had done before.
    pub(super) fn refused(&self) -> Served {
        self.distrust();
        match (self.heard(), self.session.was_refused.replace(true)) {
            (0, false) => Served::Nothing,
            (0, true) => Served::NothingAgain,
            _ => Served::Some,
        }
    }
}

impl Session {
    /// Whether further requests may go this way. An upstream that said goodbye answers those that it has and takes no
    /// others (RFC 9113 6.8).
    fn is_open(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.ended.get() && matches!(self.requests.borrow_mut().poll_ready(&mut cx), Poll::Ready(Ok(())))
    }

    /// Whether it has served as long, or as much, as one connection may.
    fn is_spent(&self, settings: &UpstreamSettings, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(self.created_ms);
        self.begun.get() >= settings.requests_max || u128::from(age_ms) >= settings.age_max.as_millis()
    }

    fn has_room(&self) -> bool {
        let allowed = u32::try_from(self.requests.borrow().current_max_send_streams()).unwrap_or(u32::MAX);
        self.running.get() < allowed.min(H2_STREAMS_PER_SESSION)
    }

    fn lane(self: &Rc<Self>, core: &Rc<Core>) -> Lane {
        self.running.set(self.running.get() + 1);
        self.begun.set(self.begun.get().saturating_add(1));
        self.used_ms.set(core.timers.now_ms());
        let running = Running { session: Rc::clone(self), core: Rc::downgrade(core) };
        let promise = Promise::default();
        let incoming = Incoming::Response(AwaitedResponse(promise.clone()));
        let outgoing = RequestOut { session: self.requests.borrow().clone(), tls: self.tls, promise };
        Lane::new(incoming, Outgoing::Request(outgoing), &core.timers).counted(running)
    }
}

/// What drives a session's frames.
pub(crate) struct Driver(h2::client::Connection<Wire, Piece>);

/// Begins HTTP/2 on a fresh connection.
///
/// # Errors
/// When the upstream does not speak it.
pub(crate) async fn begin(core: &Core, stream: Stream) -> io::Result<(SendRequest<Piece>, Driver)> {
    let wire = Wire::new((&core.buffers, &core.timers), stream.split(), Vec::new());
    let handshake = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_UPSTREAM_WINDOW)
        .data_frame_budget(H2_UPSTREAM_FRAMES_BYTES)
        .max_concurrent_reset_streams(H2_RESETS_REMEMBERED)
        .reset_stream_duration(H2_RESET_REMEMBERED)
        // One that still sends to a client that left does nothing wrong, however long the session lives.
        .max_local_error_reset_streams(None)
        .max_header_list_size(RESPONSE_HEAD_BYTES_MAX as u32)
        .max_send_buffer_size(H2_STREAM_WINDOW as usize)
        .handshake(wire);
    let (mut requests, driver) = handshake.await.map_err(super::io_error)?;
    poll_fn(|cx| requests.poll_ready(cx)).await.map_err(super::io_error)?;
    Ok((requests, Driver(driver)))
}
