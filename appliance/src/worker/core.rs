//! Everything that one core owns. Single-threaded: shared within the core by `Rc`, with nobody else at all.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_channel::Sender;
use futures_util::FutureExt;
use ringress_config::snapshot::Snapshot;

use crate::access_log::{CoreLog, Outlet};
use crate::buffers::Buffers;
use crate::coding::Encoders;
use crate::http::edge::EdgeFields;
use crate::http::exchange::Mirrors;
use crate::http::h2;
use crate::http::h2::session::Sessions;
use crate::http::request::RequestHead;
use crate::http::response::ResponseHead;
use crate::io::{self, Aborter, Timers};
use crate::kept::Kept;
use crate::limits::WAITING_WITH_BUFFER_MAX;
use crate::metrics::{CoreMetrics, Refused};
use crate::policy::{AuthAnswers, LimitTable, Places, Verified};
use crate::resolve::Names;
use crate::sys::allocator;
use crate::tls::{ClientTls, ServerTls, SharedTls, Turns};
use crate::trace::{Active, SpanOutlet};
use crate::upstream::{Checks, Upstreams};

use super::admission::{Parked, ParkingOrder, Share};
use super::clients::{Claim, ClientTable, Clients};
use super::flag::Flag;

/// One core's world.
pub(crate) struct Core {
    /// Its number.
    pub(crate) index: usize,
    /// How many cores there are.
    pub(crate) cores: u32,
    pub(crate) timers: Rc<Timers>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) encoders: Rc<Encoders>,
    pub(crate) metrics: CoreMetrics,
    pub(crate) access_log: CoreLog,
    /// Where spans go.
    pub(crate) spans: SpanOutlet,
    /// Balancers and pooled connections.
    pub(crate) upstreams: RefCell<Upstreams>,
    /// Active health checks.
    pub(crate) checks: Checks,
    /// HTTP/2 connections with upstreams.
    pub(crate) sessions: Sessions,
    pub(crate) tls: RefCell<ServerTls>,
    pub(crate) client_tls: ClientTls,
    /// Of the table that all cores share.
    pub(crate) limits: Rc<Places>,
    pub(crate) verified_passwords: RefCell<Verified>,
    /// Of all cores.
    pub(crate) auth_answers: Arc<AuthAnswers>,
    pub(crate) mirrors: Mirrors,
    pub(crate) names: RefCell<Names>,
    pub(crate) random: RefCell<fastrand::Rng>,
    /// Bytes of request bodies that are held in memory.
    pub(crate) buffered_body_bytes: Cell<usize>,
    /// Bytes of responses that are held ahead of their clients.
    pub(crate) read_ahead_bytes: Cell<usize>,
    /// TLS handshakes with clients that are being made.
    pub(crate) handshakes: Cell<usize>,
    /// What the clients' HTTP/2 connections do together that brings nothing.
    pub(crate) http2_crowd: Rc<h2::Crowd>,
    /// Answers that HTTP/2 clients leave waiting.
    pub(crate) stalls: Rc<h2::Stalls>,
    /// Bodies of HTTP/2 clients that nobody reads.
    pub(crate) unread: Rc<h2::Unread>,
    /// Whose computation is next.
    pub(crate) handshake_turns: Turns,
    /// Connections that wait for a request with a buffer.
    pub(crate) waiting_with_buffer: Cell<usize>,
    snapshot: RefCell<Rc<Pinned>>,
    retired: Sender<Arc<Snapshot>>,
    date: RefCell<String>,
    draining: Cell<bool>,
    ending_idle: Cell<bool>,
    /// Every connection, to be ended by a drain when it is parked, or by the death of this worker.
    /// By numbers that are the core's own: nobody can choose them so that they collide.
    live: RefCell<HashMap<u64, Live, foldhash::fast::FixedState>>,
    live_next: Cell<u64>,
    parking_order: ParkingOrder,
    waits: Cell<u64>,
    clients: Clients,
    /// Of the descriptors of the process.
    pub(crate) share: Share,
    end: Flag<End>,
    /// Boxed: a scratch moves from task to task as one pointer.
    scratches: Kept<Box<Scratch>>,
}

/// Why a core ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By order.
    Drain,
    /// By order, as another process serves on the same sockets.
    Replaced,
    /// A task of the core itself panicked: what the core keeps cannot be trusted any more.
    Fault,
}

/// A client's connection.
struct Live {
    aborter: Aborter,
    /// It waits for a request without a buffer: which wait of the core's this is.
    parked: Option<u64>,
    /// Its place among those of its client; `None` until the client is known, and for a hop that brings many clients.
    claim: Option<Claim>,
    /// Told of a drain: a connection that has its own way to say goodbye.
    goodbye: Option<Aborter>,
}

/// Reusable parsing buffers of an active connection; an idle one holds none.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) request: RequestHead,
    pub(crate) response: ResponseHead,
    pub(crate) path: Vec<u8>,
    pub(crate) edge: EdgeFields,
    /// The request was there before the one in front of it was answered.
    pub(crate) is_pipelined: bool,
    /// The request's part in a trace: what is left of it when its exchange is dropped.
    pub(crate) trace: Option<Rc<Active>>,
}

/// A snapshot that requests hold while they run. The last holder gives it back to the control thread to be freed there.
pub(crate) struct Pinned {
    snapshot: Option<Arc<Snapshot>>,
    retired: Sender<Arc<Snapshot>>,
}

impl Pinned {
    fn new(snapshot: Arc<Snapshot>, retired: Sender<Arc<Snapshot>>) -> Rc<Self> {
        Rc::new(Self { snapshot: Some(snapshot), retired })
    }
}

impl Deref for Pinned {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        self.snapshot.as_deref().expect("it is there until the drop")
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            // When the control thread is behind or gone, freeing it here is as right, only slower.
            let _ = self.retired.try_send(snapshot);
        }
    }
}

/// What all cores share on the way of a request; only routes and clients with such bounds touch it.
#[derive(Clone, Default)]
pub(super) struct Shared {
    limits: Arc<LimitTable>,
    clients: Arc<ClientTable>,
    auth_answers: Arc<AuthAnswers>,
}

impl Core {
    /// A core that serves `snapshot`.
    ///
    /// # Errors
    /// When the TLS settings cannot be put into effect.
    pub(super) fn new(
        (index, cores): (usize, usize),
        (metrics, access_log, spans): (CoreMetrics, Option<Outlet>, SpanOutlet),
        (tls, shared, share): (SharedTls, Shared, Share),
        retired: Sender<Arc<Snapshot>>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Rc<Self>, rustls::Error> {
        let core = Self {
            index,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            timers: Timers::new(),
            buffers: Rc::default(),
            encoders: Rc::default(),
            metrics,
            access_log: CoreLog::new(access_log),
            spans,
            upstreams: RefCell::new(Upstreams::of_core(index, cores)),
            checks: Checks::default(),
            sessions: Sessions::default(),
            client_tls: ClientTls::new(tls.provider())?,
            limits: Places::new(shared.limits),
            verified_passwords: RefCell::default(),
            auth_answers: shared.auth_answers,
            mirrors: Mirrors::default(),
            names: RefCell::default(),
            tls: RefCell::new(ServerTls::new(tls, &snapshot)?),
            random: RefCell::new(fastrand::Rng::new()),
            buffered_body_bytes: Cell::new(0),
            read_ahead_bytes: Cell::new(0),
            handshakes: Cell::new(0),
            http2_crowd: Rc::default(),
            stalls: Rc::default(),
            unread: Rc::default(),
            handshake_turns: Turns::default(),
            waiting_with_buffer: Cell::new(0),
            snapshot: RefCell::new(Pinned::new(snapshot, retired.clone())),
            retired,
            date: RefCell::default(),
            draining: Cell::new(false),
            ending_idle: Cell::new(false),
            live: RefCell::default(),
            live_next: Cell::new(0),
            parking_order: ParkingOrder::default(),
            waits: Cell::new(0),
            clients: Clients::new(shared.clients),
            share,
            end: Flag::new(),
            scratches: Kept::default(),
        };
        core.refresh_date();
        // The counters of a worker that died go on, but what it held is gone.
        core.metrics.connections.set(0);
        core.metrics.connections_idle.set(0);
        core.metrics.pool_idle.set(0);
        core.metrics.udp_open.set(0);
        core.metrics.endpoints_ejected.set(0);
        core.metrics.ejected.tell(Vec::new());
        Ok(Rc::new(core))
    }

    /// The snapshot for a new request, which keeps it to its end.
    #[inline]
    pub(crate) fn pin(&self) -> Rc<Pinned> {
        Rc::clone(&self.snapshot.borrow())
    }

    /// Serves another snapshot from now on; requests that run keep theirs.
    pub(super) fn replace_snapshot(&self, snapshot: Arc<Snapshot>) {
        let new = Pinned::new(snapshot, self.retired.clone());
        let old = self.snapshot.replace(new);
        drop(old);
    }

    /// Calls `f` with the value of a `Date` field, at most a second old.
    #[inline]
    pub(crate) fn with_date<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self.date.borrow().as_bytes())
    }

    /// To be called every second.
    pub(super) fn refresh_date(&self) {
        *self.date.borrow_mut() = httpdate::fmt_http_date(SystemTime::now());
    }

    /// Whether connections end with their next response.
    #[inline]
    pub(crate) fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether a connection that waits for a request is ended.
    #[inline]
    pub(crate) fn ends_idle(&self) -> bool {
        self.ending_idle.get()
    }

    /// Begins the drain: connections end with their response.
    pub(super) fn drain(&self) {
        self.draining.set(true);
        self.live.borrow().values().filter_map(|live| live.goodbye.as_ref()).for_each(Aborter::abort);
    }

    /// Ends the connections that wait for a request. HTTP/2 has said goodbye and ends by itself.
    pub(super) fn end_idle(&self) {
        self.ending_idle.set(true);
        let live = self.live.borrow();
        live.values()
            .filter(|live| live.parked.is_some() && live.goodbye.is_none())
            .for_each(|live| live.aborter.abort());
    }

    /// Ends every connection now.
    pub(super) fn abort_all(&self) {
        self.live.borrow().values().for_each(|live| live.aborter.abort());
    }

    /// Notes a new connection; the key is for [`Core::dismiss`] and [`Core::set_parked`].
    pub(crate) fn enlist(&self, aborter: Aborter) -> u64 {
        let key = self.live_next.get();
        self.live_next.set(key.wrapping_add(1));
        self.live.borrow_mut().insert(key, Live { aborter, parked: None, claim: None, goodbye: None });
        self.metrics.connections.increment();
        key
    }

    /// The connection of `key` is told by `goodbye` when a drain begins, at once if it has begun.
    pub(crate) fn on_drain(&self, key: u64, goodbye: Aborter) {
        if self.draining() {
            goodbye.abort();
        }
        if let Some(live) = self.live.borrow_mut().get_mut(&key) {
            live.goodbye = Some(goodbye);
        }
    }

    /// The connection is over.
    pub(crate) fn dismiss(&self, key: u64) {
        let Some(live) = self.live.borrow_mut().remove(&key) else { return };
        self.metrics.connections.decrement();
        if let Some(claim) = live.claim {
            self.clients.release(claim);
        }
    }

    /// Whether so many exchanges wait, for upstreams or for clients, that each should do so with little.
    pub(crate) fn is_crowded(&self) -> bool {
        self.buffers.is_crowded() || self.stalls.are_many()
    }

    /// An empty buffer to wait with: for a piece of a body, or a small one in a crowd.
    pub(crate) fn waiting_buffer(&self) -> Vec<u8> {
        if self.is_crowded() { self.buffers.head() } else { self.buffers.body() }
    }

    /// Whether one more connection may wait for a request with a buffer.
    #[inline]
    pub(crate) fn may_wait_with_buffer(&self) -> bool {
        self.waiting_with_buffer.get() < WAITING_WITH_BUFFER_MAX
    }

    /// Gives back what clients have of the bounds that all cores share: tasks that do not end before their thread does are
    /// never dropped.
    pub(super) fn release_clients(&self) {
        self.live.borrow_mut().values_mut().filter_map(|live| live.claim.take()).for_each(|c| self.clients.release(c));
        self.limits.release();
    }

    /// Whether a connection waits for a request: [`Core::end_idle`] ends it then.
    pub(crate) fn set_parked(&self, key: u64, parked: bool) {
        let wait = self.waits.get() + u64::from(parked);
        self.waits.set(wait);
        if let Some(live) = self.live.borrow_mut().get_mut(&key) {
            live.parked = parked.then_some(wait);
        }
        if parked {
            self.metrics.connections_idle.increment();
            let count = self.metrics.connections_idle.get();
            self.parking_order.add(Parked { key, wait }, count, |parked| self.crowd(parked).is_some());
        } else {
            self.metrics.connections_idle.decrement();
        }
    }

    /// While that wait goes on, how many connections the client has on this core.
    fn crowd(&self, parked: Parked) -> Option<u32> {
        let live = self.live.borrow();
        let live = live.get(&parked.key).filter(|live| live.parked == Some(parked.wait))?;
        Some(live.claim.as_ref().map_or(0, |claim| self.clients.count(claim)))
    }

    /// Whether there is room for the connection that was enlisted last. At the ceiling an idle one gives way.
    pub(crate) fn makes_room(&self) -> bool {
        let ceiling = self.snapshot.borrow().settings.client.connections_max;
        let fits = ceiling.is_none_or(|max| self.metrics.connections.get() <= u64::from(max.get()));
        if fits && self.share.has_room_for_client(self.timers.sockets()) {
            return true;
        }
        let random = |below| self.random.borrow_mut().usize(..below);
        let Some(key) = self.parking_order.next_to_go(random, |parked| self.crowd(parked)) else {
            self.metrics.refuse(Refused::ConnectionLimit);
            return false;
        };
        if let Some(live) = self.live.borrow_mut().get_mut(&key) {
            // It is on its way out: it must not be chosen twice.
            live.parked = None;
            live.aborter.abort();
        }
        self.metrics.reclaimed.increment();
        true
    }

    /// Whether the client at `address` may have the connection of `key`; asked once, when the client is known. Hops whose
    /// word on the client is believed bring many clients and are not counted.
    pub(crate) fn admits_client(&self, key: u64, address: IpAddr) -> bool {
        let pinned = self.snapshot.borrow();
        // A change of settings may have it asked twice.
        let is_known = self.live.borrow().get(&key).is_none_or(|live| live.claim.is_some());
        if is_known || pinned.settings.forwarded.believes(address) {
            return true;
        }
        let Some(claim) = self.clients.claim(address, pinned.settings.client.connections_per_client_max) else {
            self.metrics.refuse(Refused::ClientConnectionLimit);
            self.clients.tell(address, self.timers.now_ms());
            return false;
        };
        if let Some(live) = self.live.borrow_mut().get_mut(&key) {
            live.claim = Some(claim);
        }
        true
    }

    /// Starts a task of the core itself. If it panics, the core ends and is replaced.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let end = self.end.clone();
        io::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                end.raise(End::Fault);
            }
        });
    }

    /// Whether a fault ends the core.
    pub(super) fn is_faulty(&self) -> bool {
        self.end.peek() == Some(End::Fault)
    }

    /// Ends the core.
    pub(super) fn end(&self, end: End) {
        self.end.raise(end);
    }

    /// Waits for the reason to end.
    pub(super) async fn ended(&self) -> End {
        self.end.raised().await
    }

    /// Parsing buffers for a connection that becomes active.
    pub(crate) fn scratch(&self) -> Box<Scratch> {
        self.scratches.take().unwrap_or_default()
    }

    /// Takes them back.
    pub(crate) fn put_scratch(&self, mut scratch: Box<Scratch>) {
        scratch.request.reset();
        scratch.response.reset();
        scratch.trace = None;
        self.scratches.put(scratch);
    }

    /// Frees what a burst has left; to be called every second.
    pub(super) fn trim(&self) {
        self.buffers.trim();
        self.unread.tick();
        self.scratches.trim();
        allocator::give_back();
    }
}
