//! Listening sockets: one per address and core in a reuse-port group, owned by the supervisor, lent to the workers.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};

use ringress_config::model::Transport;
use socket2::{Domain, Protocol, Socket, Type};

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

/// The sockets of one address, one for each core.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: ListenerKind,
    pub(super) address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Group {
    /// Binds an address once for each core.
    ///
    /// # Errors
    /// When it cannot be bound, also when another process already listens there: with `SO_REUSEPORT` the kernel would
    /// share the clients between the two without a word.
    pub(super) fn bind(listen: ListenAddress, cores: usize) -> Result<Self, BindError> {
        let ListenAddress { kind, address } = listen;
        let failed = |source| BindError { kind, address, source };
        // The address may name port 0: the first socket finds a port, the others join it.
        let first = bind(address, Transport::Tcp, false)
            .and_then(|s| s.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported.into()));
        let address = first.map_err(failed)?;
        let sockets = (0..cores)
            .map(|_| bind(address, Transport::Tcp, true).map(Into::into))
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        Ok(Self { kind, address, sockets })
    }

    /// A descriptor of a core's socket; the queue is shared with every other one.
    pub(super) fn lend(&self, core: usize) -> io::Result<TcpListener> {
        self.sockets[core].try_clone()
    }

    /// Stops listening: who connects from now on is refused, instead of waiting in a queue that nobody serves.
    pub(super) fn close(&self) {
        for socket in &self.sockets {
            if let Err(error) = socket2::SockRef::from(socket).shutdown(Shutdown::Both) {
                tracing::warn!(address = %self.address, %error, "a listener cannot be closed");
            }
        }
    }
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
        let error = Group::bind(ListenAddress { kind: ListenerKind::Http, address }, 2).unwrap_err();
        assert!(error.to_string().contains("another process listens there"), "{error}");
    }

    #[test]
    fn port_zero_gives_all_cores_the_same_port() {
        let listen = ListenAddress { kind: ListenerKind::Http, address: "127.0.0.1:0".parse().unwrap() };
        let group = Group::bind(listen, 2).unwrap();
        assert_ne!(group.address.port(), 0);
        assert_eq!(group.lend(0).unwrap().local_addr().unwrap(), group.lend(1).unwrap().local_addr().unwrap());
    }
}
