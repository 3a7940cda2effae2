//! Accepting connections: one loop per listener and core, and the hand-over to the least loaded core.
//!
//! The kernel spreads connections over the cores of a reuse-port group by hash, which leaves few long connections
//! uneven. A core that is clearly fuller than the emptiest one gives a fresh connection away before reading from it.

pub(crate) mod proxy_protocol;

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use crossbeam_channel::Sender;
use futures_util::FutureExt;

use crate::http::client::{self, Client};
use crate::io::{self, Accepted, Listener, Socket, Wake};
use crate::l4::tcp;
use crate::limits::{ACCEPT_PAUSE, ACCEPT_TURN, ACCEPTS_PER_TURN, HANDSHAKES_PER_TURN};
use crate::metrics::{CoreCounters, Refused};
use crate::worker::{Core, ListenerKind};

/// All that a client hears for which there is no room. It is sent at once or not at all.
const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What is done with the connections of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Requests are read from them.
    Http {
        /// What is spoken.
        kind: ListenerKind,
        /// The listener's port.
        port: u16,
    },
    /// They lead to a TCP service.
    Tcp {
        /// Their port, by which the snapshot knows the service.
        port: u16,
    },
}

/// `http`, `https` or `tcp port N`.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { kind, .. } => kind.fmt(f),
            Self::Tcp { port } => write!(f, "tcp port {port}"),
        }
    }
}

/// A connection on its way to another core.
pub(crate) struct Handed {
    socket: TcpStream,
    peer: SocketAddr,
    service: Service,
}

/// Another core, as seen from outside.
pub(crate) struct Peer {
    pub(crate) counters: Arc<CoreCounters>,
    pub(crate) handed: Sender<Handed>,
    pub(crate) wake: Wake,
}

impl Peer {
    /// Connections that it has or is about to have.
    fn load(&self) -> u64 {
        self.counters.connections.get() + self.handed.len() as u64
    }
}

/// What a core accepts with.
pub(crate) struct Acceptor {
    pub(crate) core: Rc<Core>,
    pub(crate) service: Service,
    /// All cores, by index.
    pub(crate) peers: Arc<[Peer]>,
}

/// Accepts until the listener is stopped.
pub(crate) async fn accept_loop(listener: Listener, acceptor: Acceptor) {
    let turn = match acceptor.service {
        Service::Http { kind: ListenerKind::Https, .. } => HANDSHAKES_PER_TURN,
        Service::Http { kind: ListenerKind::Http, .. } | Service::Tcp { .. } => ACCEPTS_PER_TURN,
    };
    let mut at_once = 0;
    while let Some(accepted) = listener.accept().await {
        match accepted {
            Ok(accepted) => acceptor.place(accepted),
            Err(error) => acceptor.failed(&error).await,
        }
        // An accept on epoll waits for nothing while there is a queue: a flood would have the core to itself.
        at_once += 1;
        if at_once == turn {
            at_once = 0;
            io::sleep(ACCEPT_TURN).await;
        }
    }
}

impl Acceptor {
    /// Serves the connection here, or gives it to the emptiest core when this one is clearly fuller.
    fn place(&self, accepted: Accepted) {
        self.core.metrics.accepted.increment();
        // Of a socket that a service manager listens with for both families.
        let peer = SocketAddr::new(accepted.peer.ip().to_canonical(), accepted.peer.port());
        let Some(other) = self.emptier() else {
            let socket = Socket::from_accepted(accepted, &self.core.timers);
            return serve(&self.core, socket, peer, self.service);
        };
        match other.handed.try_send(Handed { socket: accepted.into_std(), peer, service: self.service }) {
            Ok(()) => {
                self.core.metrics.handed_over.increment();
                other.wake.wake();
            }
            Err(back) => take_over(&self.core, back.into_inner()),
        }
    }

    fn emptier(&self) -> Option<&Peer> {
        // Cores that rest finish what they have and get nothing more.
        let accepting = self.core.pin().settings.listen.accepting(self.peers.len());
        let peers = &self.peers[..accepting];
        // What others handed to this core and it has not taken over yet counts as its own.
        let own = self.peers[self.core.index].load();
        let least = peers.iter().min_by_key(|peer| peer.load())?;
        (own > least.load() + tolerance(own)).then_some(least)
    }

    async fn failed(&self, error: &std::io::Error) {
        // A client that left the queue, or a packet filter, is not our trouble.
        if matches!(error.kind(), std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::Interrupted) {
            return;
        }
        self.core.metrics.refuse(Refused::FileDescriptors);
        tracing::warn!(%error, listener = %self.service, "connections cannot be accepted; the queue waits");
        io::sleep(ACCEPT_PAUSE).await;
    }
}

/// How much fuller a core may be before it gives connections away; moving one costs more than a small difference.
fn tolerance(own: u64) -> u64 {
    1 + own / 16
}

/// Serves a connection that another core accepted.
pub(crate) fn take_over(core: &Rc<Core>, handed: Handed) {
    let Handed { socket, peer, service } = handed;
    match Socket::from_std(socket, &core.timers) {
        Ok(socket) => serve(core, socket, peer, service),
        Err(error) => {
            core.metrics.refuse(Refused::FileDescriptors);
            tracing::warn!(%error, "a handed-over connection cannot be served");
        }
    }
}

/// Starts the connection's task. A panic in it ends this connection and nothing else.
fn serve(core: &Rc<Core>, socket: Socket, peer: SocketAddr, service: Service) {
    let key = core.enlist(socket.aborter());
    // Behind a PROXY header the client is not known yet.
    let is_client = match service {
        Service::Http { .. } => !core.pin().settings.forwarded.proxy_protocol,
        Service::Tcp { .. } => false,
    };
    // In this order: nobody has to make room for a connection that its client may not have.
    if (is_client && !core.admits_client(key, peer.ip())) || !core.makes_room() {
        core.dismiss(key);
        return turn_away(socket, service);
    }
    let core = Rc::clone(core);
    match service {
        Service::Http { kind, port } => {
            let client = Client::fresh(&core, socket, peer, kind, port);
            io::spawn(async move {
                let served = AssertUnwindSafe(client::run(&core, key, client, kind)).catch_unwind().await;
                ended(&core, key, served.is_err());
            });
        }
        Service::Tcp { port } => io::spawn(async move {
            let served = AssertUnwindSafe(tcp::run(&core, key, socket, peer, port)).catch_unwind().await;
            ended(&core, key, served.is_err());
        }),
    }
}

/// Closes a connection for which there is no room; where the protocol is known, with a word.
fn turn_away(socket: Socket, service: Service) {
    if let Service::Http { kind: ListenerKind::Http, .. } = service {
        socket.leave_with(OVERLOADED);
    }
}

/// A connection's task is over.
fn ended(core: &Core, key: u64, by_fault: bool) {
    core.dismiss(key);
    if by_fault {
        core.metrics.panics.increment();
        tracing::error!(connection = key, "a connection ended by a fault of the proxy; its core goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_connections_on_two_cores_end_up_within_a_fifth() {
        // The fullest state in which nothing is given away any more.
        let (own, other) =
            (0..=64_u64).map(|own| (own, 64 - own)).rfind(|(own, other)| *own <= other + tolerance(*own)).unwrap();
        assert!(own as f64 <= 1.2 * other as f64, "{own} against {other}");
    }
}
