//! A UDP socket of one core, waited for by readiness.
//!
//! Sending and receiving are single calls that never wait: a datagram that does not fit into the socket's buffer is
//! lost, as on every hop of its way. So no session holds a buffer while it waits.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::rc::Rc;
use std::time::Duration;

use monoio::net::udp::UdpSocket;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use socket2::{Domain, Protocol, Type};

use super::deadline::{Timers, Watch};
use crate::sys::fd::{self, Lifeline, WeakFd};

/// What a look at the socket brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes, from there.
    From(usize, SocketAddr),
    /// Nothing waits.
    Nothing,
    /// The socket is of no further use: it was shut down, or its peer refuses.
    End,
}

/// A UDP socket. The lifeline stands before it, so that it goes first (see [`WeakFd`]).
pub(crate) struct Datagrams {
    _lifeline: Rc<Lifeline>,
    watch: Rc<Watch>,
    socket: UdpSocket,
    /// Where it is connected to.
    peer: Option<SocketAddr>,
}

impl Datagrams {
    /// Takes over a bound socket.
    pub(crate) fn new(socket: StdUdpSocket, timers: &Rc<Timers>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let peer = socket.peer_addr().ok();
        let socket = UdpSocket::from_std(socket)?;
        let (weak, lifeline) = WeakFd::attach(&socket, timers.counted());
        Ok(Self { _lifeline: lifeline, watch: Watch::new(timers, weak), socket, peer })
    }

    /// A socket that speaks with one peer only.
    pub(crate) fn connect(peer: SocketAddr, timers: &Rc<Timers>) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
        socket.connect(&peer.into())?;
        Self::new(socket.into(), timers)
    }

    /// Waits until there is something to receive, or the socket was shut down.
    ///
    /// # Errors
    /// `TimedOut` when the time of [`Datagrams::shutdown_after`] is over.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        let result = self.socket.readable(false).await;
        if self.watch.take_expired() { Err(io::ErrorKind::TimedOut.into()) } else { result }
    }

    /// Takes one datagram into `buf`; what does not fit is cut off.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> Received {
        match rustix::net::recvfrom(fd::borrow(&self.socket), buf, RecvFlags::DONTWAIT) {
            Ok((bytes, _, from)) => match (self.peer, from.and_then(|from| from.try_into().ok())) {
                (Some(peer), Some(_)) => Received::From(bytes, peer),
                (None, Some(from)) => Received::From(bytes, from),
                // Only a socket that was shut down has bytes of nobody.
                (_, None) => Received::End,
            },
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            // A client that went away: the error of one answer is no fault of the socket.
            Err(_) if self.peer.is_none() => Received::Nothing,
            Err(_) => Received::End,
        }
    }

    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = rustix::net::getsockname(fd::borrow(&self.socket))?;
        Ok(address.try_into()?)
    }

    /// Whether the socket was shut down: a look then says that nothing waits, and a wait that something does.
    pub(crate) fn is_shut_down(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(fd::borrow(&self.socket), PollFlags::RDHUP)];
        // Without an answer it is left alone: the next wait asks again.
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Sends to the peer.
    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match rustix::net::send(fd::borrow(&self.socket), datagram, SendFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN | Errno::NOBUFS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends to anybody.
    pub(crate) fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        rustix::net::sendto(fd::borrow(&self.socket), datagram, SendFlags::DONTWAIT, &to)?;
        Ok(())
    }

    /// The socket is shut down when `after` has passed, unless the time is set anew before.
    pub(crate) fn shutdown_after(&self, after: Duration) {
        self.watch.shutdown_after(after);
    }

    /// Ends it; who waits for it wakes up.
    pub(crate) fn shutdown(&self) {
        // An unconnected socket reports an error and is shut down all the same.
        let _ = rustix::net::shutdown(fd::borrow(&self.socket), Shutdown::Both);
    }
}
