//! A UDP service: datagrams of one client go to one endpoint, and its answers back, in a session by client address.
//!
//! The kernel gives all datagrams of a client to the same core, so a core's table of sessions is its own. A session
//! costs a socket and a small task, no buffer: it waits for readiness. It ends when it has its answers
//! (`proxy-stream-responses` for each datagram of the client) or when neither side speaks for the idle time.

#![expect(clippy::disallowed_types, reason = "two readings per session, for the log")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use futures_util::FutureExt;
use ringress_config::model::Transport;
use ringress_config::snapshot::ClusterKey;

use crate::access_log::{self, Trail};
use crate::io::{self, Datagrams, Received};
use crate::limits::{DATAGRAM_BYTES_MAX, DATAGRAMS_PER_TURN, UDP_SESSIONS_MAX};
use crate::metrics::Refused;
use crate::upstream::{Hint, Tried};
use crate::worker::Core;

/// One port on one core.
struct Service {
    core: Rc<Core>,
    port: u16,
    socket: Datagrams,
    sessions: RefCell<HashMap<SocketAddr, Rc<Session>>>,
    /// One datagram; never kept across a wait.
    scratch: RefCell<Vec<u8>>,
}

/// A client's datagrams and their answers.
struct Session {
    /// Connected to the endpoint.
    upstream: Datagrams,
    /// Datagrams of the client.
    requests: Cell<u32>,
    /// Datagrams of the endpoint.
    responses: Cell<u32>,
    /// Bytes of both.
    received: Cell<u64>,
    sent: Cell<u64>,
    begun: Instant,
    address: SocketAddr,
    /// Where it is wanted for the access log.
    key: Option<ClusterKey>,
}

/// Serves a port until its socket is shut down, or another process serves it.
pub(crate) async fn serve(core: Rc<Core>, socket: Datagrams, port: u16) {
    let scratch = RefCell::new(vec![0; DATAGRAM_BYTES_MAX]);
    let service = Rc::new(Service { core, port, socket, sessions: RefCell::default(), scratch });
    while service.socket.readable().await.is_ok() {
        if service.core.draining() {
            // Answers to what was taken in still leave by the socket.
            return;
        }
        if !service.take_in() {
            break;
        }
    }
    // What is still answered finds no socket to leave by.
    service.sessions.borrow().values().for_each(|session| session.upstream.shutdown());
}

impl Service {
    /// Forwards what waits, within a bound, so that a flood leaves time for others. False at the end of the socket.
    fn take_in(self: &Rc<Self>) -> bool {
        let mut scratch = self.scratch.borrow_mut();
        for turn in 0..DATAGRAMS_PER_TURN {
            match self.socket.receive(&mut scratch) {
                Received::From(bytes, client) => self.forward(client, &scratch[..bytes]),
                Received::Nothing => return turn > 0 || !self.socket.is_shut_down(),
                Received::End => return false,
            }
        }
        true
    }

    fn forward(self: &Rc<Self>, client: SocketAddr, datagram: &[u8]) {
        let metrics = &self.core.metrics;
        metrics.bytes_received.add(datagram.len() as u64);
        let known = self.sessions.borrow().get(&client).map(Rc::clone);
        // An endpoint that is gone says so at the next sending: the datagram goes to another one then.
        if let Some(session) = known {
            if self.send(&session, datagram) {
                return;
            }
            self.end(client, &session);
        }
        let sent = self.open(client).is_some_and(|session| self.send(&session, datagram));
        if !sent {
            metrics.datagrams_dropped.increment();
        }
    }

    /// A session with the endpoint whose turn it is.
    fn open(self: &Rc<Self>, client: SocketAddr) -> Option<Rc<Session>> {
        let core = &self.core;
        if core.metrics.udp_open.get() >= UDP_SESSIONS_MAX {
            core.metrics.refuse(Refused::ConnectionLimit);
            return None;
        }
        let pinned = core.pin();
        let service = pinned.streams.find(Transport::Udp, self.port)?;
        let cluster = pinned.clusters.get(service.cluster)?;
        let address = core.upstreams.borrow_mut().choose(core, cluster, &Hint::default(), &Tried::default());
        let Some(address) = address.map(|lease| lease.address()) else {
            core.metrics.refuse(Refused::NoBackend);
            return None;
        };
        let upstream = match Datagrams::connect(address, &core.timers) {
            Ok(upstream) => upstream,
            Err(error) => {
                core.metrics.upstream_failures.increment();
                tracing::debug!(%address, %error, "a UDP session cannot be opened");
                return None;
            }
        };
        let is_logged = core.access_log.is_on_for_streams(&pinned.settings.stream_log);
        let session = Rc::new(Session {
            upstream,
            requests: Cell::new(0),
            responses: Cell::new(0),
            received: Cell::new(0),
            sent: Cell::new(0),
            begun: Instant::now(),
            address,
            key: is_logged.then(|| cluster.key.clone()),
        });
        self.sessions.borrow_mut().insert(client, Rc::clone(&session));
        core.metrics.udp_open.increment();
        core.metrics.udp_sessions.increment();
        let (service, answered) = (Rc::clone(self), Rc::clone(&session));
        // A fault in one session ends that session and nothing else.
        io::spawn(async move {
            let served = AssertUnwindSafe(service.answer(client, &answered)).catch_unwind().await;
            service.end(client, &answered);
            service.log(client, &answered);
            service.core.metrics.udp_open.decrement();
            if served.is_err() {
                service.core.metrics.panics.increment();
                tracing::error!(%client, "a UDP session ended by a fault of the proxy; its core goes on");
            }
        });
        Some(session)
    }

    /// Sends a datagram of the client; false when the endpoint is not there.
    fn send(&self, session: &Session, datagram: &[u8]) -> bool {
        if session.upstream.send(datagram).is_err() {
            return false;
        }
        session.requests.set(session.requests.get().saturating_add(1));
        session.received.set(session.received.get() + datagram.len() as u64);
        session.upstream.shutdown_after(self.core.pin().settings.streams.idle_timeout);
        if session.is_answered(self.responses()) {
            session.upstream.shutdown();
        }
        true
    }

    /// Takes the endpoint's datagrams to the client until the session is over.
    async fn answer(&self, client: SocketAddr, session: &Session) {
        while session.upstream.readable().await.is_ok() {
            for turn in 0..DATAGRAMS_PER_TURN {
                let mut scratch = self.scratch.borrow_mut();
                let bytes = match session.upstream.receive(&mut scratch) {
                    Received::From(bytes, _) => bytes,
                    Received::Nothing if turn == 0 && session.upstream.is_shut_down() => return,
                    Received::Nothing => break,
                    Received::End => return,
                };
                if self.socket.send_to(&scratch[..bytes], client).is_err() {
                    self.core.metrics.datagrams_dropped.increment();
                }
                self.core.metrics.bytes_sent.add(bytes as u64);
                session.responses.set(session.responses.get().saturating_add(1));
                session.sent.set(session.sent.get() + bytes as u64);
                session.upstream.shutdown_after(self.core.pin().settings.streams.idle_timeout);
                if session.is_answered(self.responses()) {
                    return;
                }
            }
        }
    }

    /// Forgets a session, unless the client has another one by now.
    fn end(&self, client: SocketAddr, session: &Rc<Session>) {
        session.upstream.shutdown();
        let mut sessions = self.sessions.borrow_mut();
        if sessions.get(&client).is_some_and(|known| Rc::ptr_eq(known, session)) {
            sessions.remove(&client);
        }
    }

    /// Writes the line of a session that is over.
    fn log(&self, client: SocketAddr, session: &Session) {
        let pinned = self.core.pin();
        let settings = &pinned.settings.stream_log;
        let Ok(local) = self.socket.local_addr() else { return };
        if !self.core.access_log.is_on_for_streams(settings) {
            return;
        }
        let mut trail = Trail::default();
        trail.begin(session.address);
        let is_served = session.responses.get() > 0 || session.is_answered(pinned.settings.streams.responses);
        let ended = access_log::Session {
            transport: Transport::Udp,
            peer: client,
            local,
            status: if is_served { 200 } else { 502 },
            bytes_sent: session.sent.get(),
            bytes_received: session.received.get(),
            duration: session.begun.elapsed(),
            cluster: session.key.as_ref(),
            trail: &trail,
        };
        self.core.access_log.write_session(&self.core, settings, &ended);
    }

    /// Answers to one datagram.
    fn responses(&self) -> u32 {
        self.core.pin().settings.streams.responses
    }
}

impl Session {
    /// Whether all answers that were to come have come.
    fn is_answered(&self, responses: u32) -> bool {
        u64::from(self.responses.get()) >= u64::from(responses) * u64::from(self.requests.get())
    }
}
