//! Listening sockets: one per address and core in a reuse-port group, owned by the supervisor, lent to the workers.
//!
//! Sockets that were there before this process are as many as they are: each one is accepted on, or its queue would
//! swallow clients, and none is added, as it would be gone with its clients if this process does not come to serve.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};

use ringress_config::model::Transport;
use socket2::{Domain, Protocol, Socket, Type};

use crate::handover::{Given, Inherited, Keeper};
use crate::limits::BACKLOG;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// HTTP in the clear.
    Http,
    /// HTTP over TLS.
    Https,
}

/// `http` or `https`.
impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// What is spoken there.
    pub kind: ListenerKind,
    /// Where.
    pub address: SocketAddr,
}

/// A listener could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {kind} on {address}: {source}{}", hint(source))]
pub struct BindError {
    kind: ListenerKind,
    address: SocketAddr,
    source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            " (another process listens there; choose other ports with --http-port, --https-port)"
        }
        io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        _ => "",
    }
}

/// The sockets of one address: one for each core, or as many as there were before.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: ListenerKind,
    pub(super) address: SocketAddr,
    keeper: Keeper,
    cores: usize,
    sockets: Vec<TcpListener>,
}

impl Group {
    /// Takes over the sockets of an address, or binds it once for each core.
    ///
    /// # Errors
    /// When it cannot be bound, also when another process already listens there: with `SO_REUSEPORT` the kernel would
    /// share the clients between the two without a word.
    pub(super) fn bind(listen: ListenAddress, cores: usize, inherited: &mut Inherited) -> Result<Self, BindError> {
        let ListenAddress { kind, address } = listen;
        let taken = inherited.take(Transport::Tcp, address);
        if let Some(Given { keeper, .. }) = taken.first() {
            let keeper = *keeper;
            let sockets = taken.into_iter().map(|given| given.socket.into()).collect();
            return Ok(Self { kind, address, keeper, cores, sockets });
        }
        let failed = |source| BindError { kind, address, source };
        // The address may name port 0: the first socket finds a port, the others join it.
        let first = bind(address, Transport::Tcp, false)
            .and_then(|s| s.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported.into()));
        let address = first.map_err(failed)?;
        let sockets = (0..cores)
            .map(|_| bind(address, Transport::Tcp, true).map(Into::into))
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        Ok(Self { kind, address, keeper: Keeper::Process, cores, sockets })
    }

    /// Descriptors of a core's sockets; the queues are shared with every other one.
    pub(super) fn lend(&self, core: usize) -> io::Result<Vec<TcpListener>> {
        shares(core, self.cores, self.sockets.len()).map(|index| self.sockets[index].try_clone()).collect()
    }

    /// Descriptors for a successor.
    pub(super) fn give(&self) -> impl Iterator<Item = io::Result<Given>> {
        self.sockets.iter().map(|socket| Ok(Given { socket: socket.try_clone()?.into(), keeper: self.keeper }))
    }

    /// Stops listening: who connects from now on is refused, instead of waiting in a queue that nobody serves. In the
    /// queue of a service manager clients wait for the next process.
    pub(super) fn close(&self) {
        if self.keeper != Keeper::Process {
            return;
        }
        for socket in &self.sockets {
            if let Err(error) = socket2::SockRef::from(socket).shutdown(Shutdown::Both) {
                tracing::warn!(address = %self.address, %error, "a listener cannot be closed");
            }
        }
    }
}

/// The sockets of a core: every socket has a core, and every core has one, shared when there are not enough.
pub(super) fn shares(core: usize, cores: usize, sockets: usize) -> impl Iterator<Item = usize> {
    (core..cores.max(sockets)).step_by(cores).map(move |turn| turn % sockets)
}

/// A bound socket; one of TCP listens.
pub(super) fn bind(address: SocketAddr, transport: Transport, reuse_port: bool) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    // For UDP it would let another process take the datagrams.
    socket.set_reuse_address(transport == Transport::Tcp)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    if transport == Transport::Tcp {
        // Before the first connection can come, as connections inherit it.
        socket.set_tcp_nodelay(true)?;
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_process_has_is_refused() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), Transport::Tcp, true).unwrap();
        let address = taken.local_addr().unwrap().as_socket().unwrap();
        let listen = ListenAddress { kind: ListenerKind::Http, address };
        let error = Group::bind(listen, 2, &mut Inherited::default()).unwrap_err();
        assert!(error.to_string().contains("another process listens there"), "{error}");
    }

    #[test]
    fn port_zero_gives_all_cores_the_same_port() {
        let listen = ListenAddress { kind: ListenerKind::Http, address: "127.0.0.1:0".parse().unwrap() };
        let group = Group::bind(listen, 2, &mut Inherited::default()).unwrap();
        assert_ne!(group.address.port(), 0);
        let [first, second] = [0, 1].map(|core| group.lend(core).unwrap()[0].local_addr().unwrap());
        assert_eq!(first, second);
    }

    #[test]
    fn every_socket_has_a_core_and_every_core_a_socket() {
        for (cores, sockets) in [(1, 1), (2, 2), (1, 4), (3, 4), (4, 1), (4, 3), (2, 5)] {
            let all: Vec<Vec<usize>> = (0..cores).map(|core| shares(core, cores, sockets).collect()).collect();
            assert!(all.iter().all(|own| !own.is_empty()), "{cores} cores, {sockets} sockets: {all:?}");
            assert!((0..sockets).all(|socket| all.iter().flatten().any(|own| *own == socket)), "{all:?}");
        }
    }
}
