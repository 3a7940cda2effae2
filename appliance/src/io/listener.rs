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
        // Connections inherit it: a call for the listener in place of one for each of them. Those that were in the queue
        // of an inherited socket before do not, and lose nothing but time.
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        Ok(Self { tcp: TcpListener::from_std(socket)?, cancel: stopper.0.handle() })
    }

    /// The next connection, or `None` once stopped, or once the socket listens no more because a drain closed it.
    pub(crate) async fn accept(&self) -> Option<io::Result<Accepted>> {
        match self.tcp.cancelable_accept(self.cancel.clone()).await {
            Err(e) => match rustix::io::Errno::from_io_error(&e) {
                Some(rustix::io::Errno::CANCELED | rustix::io::Errno::INVAL) => None,
                _ => Some(Err(e)),
            },
            Ok((tcp, peer)) => Some(Ok(Accepted { tcp, peer })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Driver, DriverChoice, run};
    use super::*;

    #[test]
    fn connections_send_at_once_as_their_listener_says() {
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let (driver, _) = Driver::choose(choice).unwrap();
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let accept = || async move {
                let stopper = Stopper::default();
                let listener = Listener::new(socket, &stopper).unwrap();
                let client = std::thread::spawn(move || std::net::TcpStream::connect(address).unwrap());
                let accepted = listener.accept().await.unwrap().unwrap();
                drop(client.join());
                accepted.into_std().nodelay().unwrap()
            };
            assert!(run(driver, accept).unwrap(), "{driver}");
        }
    }
}
