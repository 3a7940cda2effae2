//! A connection to an endpoint, and opening one.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ringress_config::snapshot::{Timeouts, UpstreamProtocol};

use crate::error::Failure;
use crate::http::h2::session::{self, With};
use crate::io::Socket;
use crate::stream::Stream;
use crate::tls::{Alpn, TlsStream};
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
    core: &Rc<Core>,
    address: SocketAddr,
    protocol: UpstreamProtocol,
    timeouts: &Timeouts,
) -> Result<Connection, Failure> {
    let opened = match protocol {
        UpstreamProtocol::Http => open(core, address, timeouts).await.map(Stream::Plain),
        UpstreamProtocol::Https => open_tls(core, address, timeouts, Alpn::Unsaid).await,
        UpstreamProtocol::Grpc => open_lane(core, With { address, tls: false }, timeouts).await,
        UpstreamProtocol::Grpcs => open_lane(core, With { address, tls: true }, timeouts).await,
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

/// A stream of HTTP/2, on a session that is there or a new one.
async fn open_lane(core: &Rc<Core>, with: With, timeouts: &Timeouts) -> io::Result<Stream> {
    if let Some(lane) = core.sessions.stream(core, with) {
        core.metrics.upstream_reuses.increment();
        return Ok(Stream::Lane(lane));
    }
    let stream = if with.tls {
        open_tls(core, with.address, timeouts, Alpn::Http2).await?
    } else {
        Stream::Plain(open(core, with.address, timeouts).await?)
    };
    let (requests, driver) = session::begin(core, stream).await?;
    Ok(Stream::Lane(core.sessions.add(core, with, requests, driver)))
}

async fn open_tls(core: &Core, address: SocketAddr, timeouts: &Timeouts, alpn: Alpn) -> io::Result<Stream> {
    let socket = open(core, address, timeouts).await?;
    socket.shutdown_after(timeouts.connect);
    let session = core.client_tls.connect(address.ip(), alpn).map_err(io::Error::other)?;
    let stream = TlsStream::handshake(socket, session, Rc::clone(&core.buffers)).await?;
    stream.socket.clear_deadline();
    Ok(Stream::Tls(Box::new(stream)))
}
