//! A listening socket of one core.

use std::io;
use std::net::SocketAddr;

use monoio::io::{CancelHandle, Canceller};
use monoio::net::{TcpListener, TcpStream};

use crate::sys::fd;

/// A fresh connection, before anything was read from it.
pub(crate) struct Accepted {
    pub(super) tcp: TcpStream,
    /// The peer's address.
    pub(crate) peer: SocketAddr,
}

impl Accepted {
    /// Gives the connection to another core.
    pub(crate) fn into_std(self) -> std::net::TcpStream {
        fd::into_std(self.tcp)
    }
}

/// A listening socket. The kernel object is shared with the supervisor, so its queue outlives a worker.
pub(crate) struct Listener {
    tcp: TcpListener,
    cancel: CancelHandle,
}

/// Ends the accept of one or more listeners; connections in the queue stay there.
#[derive(Default)]
pub(crate) struct Stopper(Canceller);

impl Stopper {
    /// Ends pending and future accepts of the listeners made with this stopper.
    pub(crate) fn stop(self) {
        self.0.cancel();
    }
}

impl Listener {
    /// Takes over a listening socket.
    pub(crate) fn new(socket: std::net::TcpListener, stopper: &Stopper) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { tcp: TcpListener::from_std(socket)?, cancel: stopper.0.handle() })
    }

    /// The next connection, or `None` once stopped, or once the socket listens no more because a drain closed it.
    pub(crate) async fn accept(&self) -> Option<io::Result<Accepted>> {
        match self.tcp.cancelable_accept(self.cancel.clone()).await {
            Err(e) => match rustix::io::Errno::from_io_error(&e) {
                Some(rustix::io::Errno::CANCELED | rustix::io::Errno::INVAL) => None,
                _ => Some(Err(e)),
            },
            Ok((tcp, peer)) => Some(tcp.set_nodelay(true).map(|()| Accepted { tcp, peer })),
        }
    }
}
