//! Listening sockets that were there before this process.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;

use ringress_config::model::Transport;
use socket2::{Domain, Socket, Type};

use crate::sys::passed;
use crate::worker::ListenerKind;

/// Who goes on listening when this process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Nobody: the end of the process is the end of the socket, unless a successor takes it.
    Process,
    /// The service manager that passed it for clients of this kind; clients wait in its queue for the next process.
    Manager(ListenerKind),
}

/// A listening socket on its way between processes.
#[derive(Debug)]
pub struct Given {
    pub(crate) socket: Socket,
    pub(crate) keeper: Keeper,
}

/// The sockets that nobody in this process has taken yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Given>);

/// A socket of the service manager that this process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// The variables do not fit what is open.
    #[error("LISTEN_FDS: {0}")]
    Variables(#[from] io::Error),
    /// A name that means nothing.
    #[error("LISTEN_FDS passes a socket by the name {0:?}; expected http or https (FileDescriptorName= of the unit)")]
    Name(String),
    /// A socket of the wrong type.
    #[error("LISTEN_FDS: the socket {0:?} is not one that listens for TCP")]
    Type(String),
}

impl Given {
    /// A socket that ends with this process.
    pub fn of_process(socket: impl Into<Socket>) -> Self {
        Self { socket: socket.into(), keeper: Keeper::Process }
    }

    fn is_at(&self, transport: Transport, address: SocketAddr) -> bool {
        let kind = match transport {
            Transport::Tcp => Type::STREAM,
            Transport::Udp => Type::DGRAM,
        };
        self.address() == Some(address) && self.socket.r#type().is_ok_and(|own| own == kind)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}

impl Inherited {
    /// What a service manager passed, by name `http` or `https`.
    ///
    /// # Errors
    /// When there is a socket that would not be served: its clients would wait for ever.
    pub fn from_service_manager() -> Result<Self, PassedError> {
        let mut inherited = Self::default();
        for (socket, name) in passed::take()? {
            let kind = match name.as_str() {
                "http" => ListenerKind::Http,
                "https" => ListenerKind::Https,
                _ => return Err(PassedError::Name(name)),
            };
            let socket = Socket::from(socket);
            let is_tcp = socket.is_listener()? && matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6);
            if !is_tcp {
                return Err(PassedError::Type(name));
            }
            inherited.add(Given { socket, keeper: Keeper::Manager(kind) });
        }
        Ok(inherited)
    }

    pub(crate) fn add(&mut self, given: Given) {
        self.0.push(given);
    }

    /// Where a service manager listens for clients of this kind.
    pub fn passed(&self, kind: ListenerKind) -> Vec<SocketAddr> {
        let of_kind = self.0.iter().filter(|given| given.keeper == Keeper::Manager(kind));
        let mut addresses: Vec<_> = of_kind.filter_map(Given::address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Takes every socket of an address.
    pub(crate) fn take(&mut self, transport: Transport, address: SocketAddr) -> Vec<Given> {
        self.0.extract_if(.., |given| given.is_at(transport, address)).collect()
    }

    /// Where the process before or a service manager listens.
    pub(crate) fn addresses(&self, transport: Transport) -> impl Iterator<Item = SocketAddr> {
        self.0
            .iter()
            .filter_map(Given::address)
            .filter(move |at| self.0.iter().any(|given| given.is_at(transport, *at)))
    }

    /// Takes the socket that listens at an address where no core does.
    pub fn take_listener(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.take(Transport::Tcp, address).pop().map(|given| given.socket.into())
    }

    /// Takes the socket of a path.
    pub(crate) fn take_path(&mut self, path: &Path) -> Option<UnixListener> {
        let is_there = |given: &Given| given.socket.local_addr().is_ok_and(|own| own.as_pathname() == Some(path));
        let found = self.0.iter().position(is_there)?;
        Some(self.0.swap_remove(found).socket.into())
    }

    /// Ends what nobody took, in every process that has it: its clients are refused instead of waiting for ever.
    pub(crate) fn close_rest(&mut self) {
        for given in self.0.drain(..) {
            if given.keeper == Keeper::Process {
                // One without a peer that listens for nothing reports an error and is shut down all the same.
                let _ = given.socket.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn sockets_are_taken_by_transport_and_address_and_the_rest_is_closed() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let unused = other.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut inherited = Inherited::default();
        inherited.add(Given::of_process(tcp));
        inherited.add(Given::of_process(other));
        inherited.add(Given::of_process(UnixListener::bind(&path).unwrap()));
        if let Ok(udp) = UdpSocket::bind(address) {
            inherited.add(Given::of_process(udp));
            assert_eq!(inherited.take(Transport::Udp, address).len(), 1);
        }
        assert!(inherited.take(Transport::Udp, unused).is_empty());
        let taken = inherited.take(Transport::Tcp, address);
        assert_eq!(taken.len(), 1);
        assert!(inherited.take_path(&path).is_some() && inherited.take_path(&path).is_none());
        inherited.close_rest();
        assert!(TcpStream::connect(address).is_ok(), "what was taken listens");
        assert!(TcpStream::connect(unused).is_err());
    }
}
