//! Binding of the two listeners, before anything else starts, so that a taken port is told at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ringress_config::model::Transport;
use socket2::{Domain, Socket, Type};

use crate::cli::AdminAddress;
use crate::handover::{Given, Inherited};
use crate::local_socket::{LocalSocket, SocketFile};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// A listener that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}: {error}")]
pub struct ListenError {
    purpose: &'static str,
    address: String,
    error: io::Error,
}

impl ListenError {
    /// Whether somebody else has the address.
    pub fn is_taken(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

/// The bound listeners of the admin thread.
#[derive(Debug)]
pub struct Listeners {
    pub(super) health: Option<std::net::TcpListener>,
    pub(super) admin: Option<AdminListener>,
}

/// The admin listener.
#[derive(Debug)]
pub(super) enum AdminListener {
    Tcp(std::net::TcpListener),
    Unix(LocalSocket),
}

/// The listeners as a successor needs them, while the admin thread serves them.
#[derive(Debug)]
pub struct AdminSockets {
    sockets: Vec<Socket>,
    file: Option<Arc<SocketFile>>,
}

impl Listeners {
    /// Binds what is asked for, or takes it over: `health` as address (`None` is all) and port.
    pub fn bind(
        health: Option<(Option<IpAddr>, u16)>,
        admin: &AdminAddress,
        inherited: &mut Inherited,
    ) -> Result<Self, ListenError> {
        let error = |purpose, address: String| move |error| ListenError { purpose, address, error };
        let health = match health {
            None => None,
            Some((Some(ip), port)) => {
                let address = SocketAddr::new(ip, port);
                Some(tcp(address, inherited).map_err(error("health and metrics", address.to_string()))?)
            }
            Some((None, port)) => {
                Some(all(port, inherited).map_err(error("health and metrics", format!("port {port}")))?)
            }
        };
        let admin = match admin {
            AdminAddress::Off => None,
            AdminAddress::Tcp(address) => {
                let listener = tcp(*address, inherited).map_err(error("the admin API", address.to_string()))?;
                Some(AdminListener::Tcp(listener))
            }
            AdminAddress::Unix(path) => {
                let socket = LocalSocket::bind(path, inherited)
                    .map_err(error("the admin API", format!("unix:{}", path.display())))?;
                Some(AdminListener::Unix(socket))
            }
        };
        Ok(Self { health, admin })
    }

    /// Where health and metrics are served.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Where the API is served, as `--admin` takes it.
    pub fn admin_address(&self) -> Option<String> {
        match self.admin.as_ref()? {
            AdminListener::Tcp(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            AdminListener::Unix(socket) => Some(format!("unix:{}", socket.file.path().display())),
        }
    }

    /// Copies for a successor.
    pub fn copies(&self) -> io::Result<AdminSockets> {
        let health = self.health.as_ref().map(|listener| listener.try_clone().map(Socket::from));
        let (admin, file) = match &self.admin {
            None => (None, None),
            Some(AdminListener::Tcp(listener)) => (Some(listener.try_clone().map(Socket::from)), None),
            Some(AdminListener::Unix(socket)) => {
                (Some(socket.listener.try_clone().map(Socket::from)), Some(Arc::clone(&socket.file)))
            }
        };
        Ok(AdminSockets { sockets: health.into_iter().chain(admin).collect::<io::Result<_>>()?, file })
    }
}

impl AdminSockets {
    /// What a successor gets.
    pub fn give(&self) -> io::Result<Vec<Given>> {
        self.sockets.iter().map(|socket| socket.try_clone().map(Given::of_process)).collect()
    }

    /// Whether the end of this process ends them.
    pub fn set_owned(&self, owned: bool) {
        self.file.iter().for_each(|file| file.set_owned(owned));
    }
}

/// All addresses: one socket for IPv6 and IPv4, or IPv4 alone where IPv6 is off.
fn all(port: u16, inherited: &mut Inherited) -> io::Result<std::net::TcpListener> {
    match tcp((Ipv6Addr::UNSPECIFIED, port).into(), inherited) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => tcp((Ipv4Addr::UNSPECIFIED, port).into(), inherited),
        result => result,
    }
}

fn tcp(address: SocketAddr, inherited: &mut Inherited) -> io::Result<std::net::TcpListener> {
    if let Some(given) = inherited.take(Transport::Tcp, address).pop() {
        given.socket.set_nonblocking(true)?;
        return Ok(given.socket.into());
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn bind(health: Option<(Option<IpAddr>, u16)>, admin: &AdminAddress) -> Result<Listeners, ListenError> {
        Listeners::bind(health, admin, &mut Inherited::default())
    }

    #[test]
    fn a_taken_port_is_named_with_its_purpose() {
        let first = bind(Some((Some(Ipv4Addr::LOCALHOST.into()), 0)), &AdminAddress::Off).unwrap();
        let address = first.health_address().unwrap();
        let error = bind(None, &AdminAddress::Tcp(address)).unwrap_err();
        assert!(error.is_taken());
        assert!(error.to_string().starts_with(&format!("cannot listen on {address} for the admin API")), "{error}");
    }

    #[test]
    fn health_is_on_all_addresses_by_default() {
        let listeners = bind(Some((None, 0)), &AdminAddress::Off).unwrap();
        assert!(listeners.health_address().unwrap().ip().is_unspecified());
    }

    #[test]
    fn a_unix_socket_is_private_replaces_a_dead_one_and_is_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        let address = AdminAddress::Unix(path.clone());
        let listeners = bind(None, &address).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bind(None, &address).unwrap_err().is_taken(), "a living one is not replaced");
        drop(listeners);
        assert!(!path.exists());
    }
}
