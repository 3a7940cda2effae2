//! A connection to an endpoint, and opening one.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ringress_config::snapshot::{Timeouts, UpstreamProtocol};

use crate::error::Failure;
use crate::io::Socket;
use crate::stream::Stream;
use crate::tls::TlsStream;
use crate::worker::Core;

/// An open connection to an endpoint.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) address: SocketAddr,
    pub(crate) protocol: UpstreamProtocol,
    /// On the core's clock.
    pub(crate) created_ms: u64,
    /// Requests that were sent on it.
    pub(crate) requests: u32,
}

/// Opens a connection within the route's connect timeout.
pub(crate) async fn connect(
    core: &Core,
    address: SocketAddr,
    protocol: UpstreamProtocol,
    timeouts: &Timeouts,
) -> Result<Connection, Failure> {
    let opened = match protocol {
        UpstreamProtocol::Http => open(core, address, timeouts).await.map(Stream::Plain),
        UpstreamProtocol::Https => open_tls(core, address, timeouts).await,
        UpstreamProtocol::Grpc | UpstreamProtocol::Grpcs => return Err(Failure::Protocol),
    };
    let stream = opened.map_err(|error| {
        core.metrics.upstream_failures.increment();
        if error.kind() == io::ErrorKind::TimedOut { Failure::ConnectTimeout } else { Failure::Connect(error) }
    })?;
    core.metrics.upstream_connects.increment();
    Ok(Connection { stream, address, protocol, created_ms: core.timers.now_ms(), requests: 0 })
}

async fn open(core: &Core, address: SocketAddr, timeouts: &Timeouts) -> io::Result<Socket> {
    Socket::connect(address, timeouts.connect, &core.timers).await
}

async fn open_tls(core: &Core, address: SocketAddr, timeouts: &Timeouts) -> io::Result<Stream> {
    let socket = open(core, address, timeouts).await?;
    socket.shutdown_after(timeouts.connect);
    let session = core.client_tls.connect(address.ip()).map_err(io::Error::other)?;
    let stream = TlsStream::handshake(socket, session, Rc::clone(&core.buffers)).await?;
    stream.socket.clear_deadline();
    Ok(Stream::Tls(Box::new(stream)))
}
