//! Listening sockets: one per door and core in a reuse-port group, owned by the table, lent to the workers.
//!
//! Sockets that were there before this process are as many as they are until it serves: each one is accepted on, or its
//! queue would swallow clients, and none is added, as it would be gone with its clients if this process does not come
//! to serve.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use ringress_config::model::Transport;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::plan::{Door, Purpose};
use crate::handover::{Given, Inherited, Keeper};
use crate::limits::BACKLOG;

/// A listener could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {} on {}: {source}{}", .door.purpose, .door.address, hint(*.door, source))]
pub struct BindError {
    pub(super) door: Door,
    source: io::Error,
}

impl BindError {
    /// Whether another socket is there.
    pub(super) fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

fn hint(door: Door, source: &io::Error) -> &'static str {
    match (source.kind(), door.purpose) {
        (io::ErrorKind::AddrInUse, Purpose::Http(_)) => {
            " (another process listens there; choose other ports with --http-port, --https-port)"
        }
        (io::ErrorKind::AddrInUse, Purpose::Stream(_)) => " (another process listens there)",
        (io::ErrorKind::AddrNotAvailable, _) => " (it is no address of this host)",
        (io::ErrorKind::PermissionDenied, _) => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        _ => "",
    }
}

/// The sockets of a door: one for each core, or one for all, or as many as there were before.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) door: Door,
    /// With the port that was found.
    pub(super) address: SocketAddr,
    pub(super) keeper: Keeper,
    /// By identity: a core runs one loop for each that it has.
    pub(super) sockets: Vec<Arc<Socket>>,
}

impl Group {
    /// The sockets of an address that were there before this process.
    pub(super) fn inherit(door: Door, inherited: &mut Inherited) -> Option<Self> {
        let taken = inherited.take(door.purpose.transport(), door.address);
        let keeper = taken.first()?.keeper;
        let sockets = taken.into_iter().map(|given| Arc::new(given.socket)).collect();
        Some(Self { door, address: door.address, keeper, sockets })
    }

    /// Binds a door `count` times. `alone`: no socket of this process overlaps, so that one of another process can be
    /// told: with `SO_REUSEPORT` the kernel would share the clients between the two without a word.
    ///
    /// # Errors
    /// When it cannot be bound, also when another process already listens there.
    pub(super) fn bind(door: Door, count: usize, alone: bool) -> Result<Self, BindError> {
        let failed = |source| BindError { door, source };
        let address = if alone { probe(door).map_err(failed)? } else { door.address };
        let opened = |_| listening(address, door.purpose.transport()).map(Arc::new);
        let sockets = (0..count).map(opened).collect::<io::Result<_>>().map_err(failed)?;
        Ok(Self { door, address, keeper: Keeper::Process, sockets })
    }

    /// Grown by sockets of its own, or shrunk by those that go: the group from now on, and what leaves it.
    ///
    /// # Errors
    /// When it cannot be bound once more. The group stays as it is.
    pub(super) fn resized(&self, count: usize) -> io::Result<(Self, Option<Self>)> {
        let transport = self.door.purpose.transport();
        let of = |sockets: Vec<Arc<Socket>>| Self { sockets, ..*self };
        let (stay, go) = self.sockets.split_at(count.min(self.sockets.len()));
        let more = (self.sockets.len()..count).map(|_| listening(self.address, transport).map(Arc::new));
        let stay = stay.iter().cloned().map(Ok).chain(more).collect::<io::Result<_>>()?;
        Ok((of(stay), (!go.is_empty()).then(|| of(go.to_vec()))))
    }

    /// The sockets of a core, of which the first `accepting` ones accept for TCP. Sessions of UDP belong to a core: a socket
    /// that two cores read would mix them.
    pub(super) fn of_core(&self, core: usize, accepting: usize, cores: usize) -> impl Iterator<Item = &Arc<Socket>> {
        let count = self.sockets.len();
        let indexes: Vec<usize> = match self.door.purpose.transport() {
            Transport::Tcp if core < accepting => shares(core, accepting, count).collect(),
            Transport::Tcp => Vec::new(),
            Transport::Udp => (core..count).step_by(cores).collect(),
        };
        indexes.into_iter().map(|index| &self.sockets[index])
    }

    /// Descriptors for a successor.
    pub(super) fn give(&self) -> impl Iterator<Item = io::Result<Given>> {
        self.sockets.iter().map(|socket| Ok(Given { socket: socket.try_clone()?, keeper: self.keeper }))
    }

    /// Lets no connection begin any more, while those that have begun still come into the queue, so that it can be
    /// emptied: whoever asks meanwhile asks again a second later, and meets another socket or none.
    pub(super) fn turn_away(&self) {
        for socket in &self.sockets {
            if let Err(error) = socket.attach_filter(&NO_BEGINNINGS) {
                tracing::debug!(address = %self.address, %error, "a listener closes without a filter");
            }
        }
    }

    /// Takes [`Group::turn_away`] back.
    pub(super) fn welcome(&self) {
        for socket in &self.sockets {
            // One that has no filter is as it should be.
            let _ = socket.detach_filter();
        }
    }

    /// Whether nobody waits to be accepted.
    pub(super) fn is_drained(&self) -> bool {
        let mut polled: Vec<_> = self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
    }

    /// Stops listening: who connects from now on is refused, instead of waiting in a queue that nobody serves. In the
    /// queue of a service manager clients wait for the next process.
    pub(super) fn close(&self) {
        if self.keeper != Keeper::Process {
            return;
        }
        for socket in &self.sockets {
            let closed = socket.shutdown(Shutdown::Both);
            // A UDP socket without peer reports an error and is shut down all the same.
            if let (Err(error), Transport::Tcp) = (closed, self.door.purpose.transport()) {
                tracing::warn!(address = %self.address, %error, "a listener cannot be closed");
            }
        }
    }
}

/// Drops what begins a connection, a segment with SYN, and nothing else.
///
/// In words: load the byte of the flags; if SYN is set take nothing, else all.
const NO_BEGINNINGS: [SockFilter; 4] = [
    SockFilter::new(0x30, 0, 0, 13), // BPF_LD | BPF_B | BPF_ABS
    SockFilter::new(0x45, 0, 1, 2),  // BPF_JMP | BPF_JSET | BPF_K
    SockFilter::new(0x06, 0, 0, 0),  // BPF_RET | BPF_K
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// Binds alone for a moment: whether another process is there. It never listens, as whoever came in that moment would be let
/// in and reset. The address may name port 0: a port is found, which the sockets share.
fn probe(door: Door) -> io::Result<SocketAddr> {
    let socket = bind(door.address, door.purpose.transport(), false)?;
    socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported.into())
}

/// The sockets of a core: every socket has a core, and every core has one, shared when there are not enough.
fn shares(core: usize, cores: usize, sockets: usize) -> impl Iterator<Item = usize> {
    (core..cores.max(sockets)).step_by(cores).map(move |turn| turn % sockets)
}

/// One of the sockets of an address; one of TCP listens.
fn listening(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let socket = bind(address, transport, true)?;
    if transport == Transport::Tcp {
        // Before the first connection can come, as connections inherit it.
        socket.set_tcp_nodelay(true)?;
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn bind(address: SocketAddr, transport: Transport, reuse_port: bool) -> io::Result<Socket> {
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
    Ok(socket)
}

#[cfg(test)]
mod tests;
