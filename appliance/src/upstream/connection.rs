//! A connection to an endpoint, and opening one.

use std::net::SocketAddr;

use ringress_config::snapshot::{Timeouts, UpstreamProtocol};

use crate::error::Failure;
use crate::io::Socket;
use crate::stream::Stream;
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
    if protocol != UpstreamProtocol::Http {
        return Err(Failure::Protocol);
    }
    let socket = Socket::connect(address, timeouts.connect, &core.timers).await.map_err(|error| {
        core.metrics.upstream_failures.increment();
        if error.kind() == std::io::ErrorKind::TimedOut { Failure::ConnectTimeout } else { Failure::Connect(error) }
    })?;
    core.metrics.upstream_connects.increment();
    Ok(Connection { stream: Stream::Plain(socket), address, protocol, created_ms: core.uptime_ms(), requests: 0 })
}
