//! A connection to an endpoint, and opening one.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringress_config::snapshot::{Cluster, Route, Timeouts, UpstreamProtocol, UpstreamTls};

use super::{Lease, Opened};
use crate::error::Failure;
use crate::http::h2::session::{self, With};
use crate::io::Socket;
use crate::stream::Stream;
use crate::tls::{Alpn, TlsStream};
use crate::worker::Core;

/// How an upstream is spoken to. Connections are shared between requests that agree on all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speech<'a> {
    pub(crate) protocol: UpstreamProtocol,
    /// What is shown and expected over TLS; nothing without a policy.
    pub(crate) tls: Option<&'a Arc<UpstreamTls>>,
}

impl<'a> Speech<'a> {
    /// As a route has it, for the cluster that it leads to.
    pub(crate) fn of(route: &'a Route, cluster: &Cluster) -> Self {
        let protocol = route.protocol_to(cluster);
        Self { protocol, tls: route.upstream_tls.as_ref().filter(|_| protocol.is_tls()) }
    }
}

impl From<UpstreamProtocol> for Speech<'_> {
    fn from(protocol: UpstreamProtocol) -> Self {
        Self { protocol, tls: None }
    }
}

/// An open connection to an endpoint.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) address: SocketAddr,
    pub(crate) protocol: UpstreamProtocol,
    tls: Option<Arc<UpstreamTls>>,
    /// On the core's clock.
    pub(crate) created_ms: u64,
    /// Requests that were sent on it.
    pub(crate) requests: u32,
    /// The hold of the request that it serves; none while it is idle.
    pub(crate) lease: Option<Lease>,
    /// Counts it.
    _opened: Option<Opened>,
}

impl Connection {
    /// The response of the request that it serves began after so long.
    pub(crate) fn responded(&self, core: &Core, took: Duration) {
        if let Some(lease) = &self.lease {
            lease.succeeded(core, took);
        }
    }
}

impl Connection {
    /// Whether it was made as `speech` wants it.
    pub(crate) fn suits(&self, speech: Speech<'_>) -> bool {
        self.protocol == speech.protocol && self.tls.as_ref() == speech.tls
    }
}

/// Opens a connection within the route's connect timeout.
pub(crate) async fn connect(
    core: &Rc<Core>,
    address: SocketAddr,
    speech: Speech<'_>,
    timeouts: &Timeouts,
) -> Result<Connection, Failure> {
    let stream = open(core, address, speech, timeouts).await.map_err(|error| {
        core.metrics.upstream_failures.increment();
        Failure::connecting(error)
    })?;
    core.metrics.upstream_connects.increment();
    let (protocol, tls) = (speech.protocol, speech.tls.cloned());
    Ok(Connection {
        stream,
        address,
        protocol,
        tls,
        created_ms: core.timers.now_ms(),
        requests: 0,
        lease: None,
        _opened: None,
    })
}

/// As [`connect`], for the request that holds this endpoint and within the limits of the cluster.
pub(crate) async fn connect_for(
    core: &Rc<Core>,
    (lease, cluster): (&Lease, &Cluster),
    speech: Speech<'_>,
    timeouts: &Timeouts,
) -> Result<Connection, Failure> {
    let (opened, waiting) = lease.begin_opening(core, cluster)?;
    let connected = connect(core, lease.address(), speech, timeouts).await;
    drop(waiting);
    // What requests share is not the connection of one of them.
    let opened = (!speech.protocol.is_http2()).then_some(opened);
    connected.map(|connection| Connection { _opened: opened, ..connection })
}

/// As [`connect`], for what is no request and not counted as one.
pub(super) async fn open(
    core: &Rc<Core>,
    address: SocketAddr,
    speech: Speech<'_>,
    timeouts: &Timeouts,
) -> io::Result<Stream> {
    match speech.protocol {
        UpstreamProtocol::Http => dial(core, address, timeouts).await.map(Stream::Plain),
        UpstreamProtocol::Https => dial_tls(core, address, speech.tls, timeouts, Alpn::Unsaid).await,
        UpstreamProtocol::Grpc | UpstreamProtocol::Grpcs => dial_lane(core, address, speech, timeouts).await,
    }
}

/// Opens a socket within the connect timeout.
pub(crate) async fn dial(core: &Core, address: SocketAddr, timeouts: &Timeouts) -> io::Result<Socket> {
    Socket::connect(address, timeouts.connect, &core.timers).await
}

/// A stream of HTTP/2, on a session that is there or a new one.
async fn dial_lane(
    core: &Rc<Core>,
    address: SocketAddr,
    speech: Speech<'_>,
    timeouts: &Timeouts,
) -> io::Result<Stream> {
    let tls = speech.protocol == UpstreamProtocol::Grpcs;
    let with = With { address, tls, policy: speech.tls.map(|tls| tls.identity) };
    if let Some(lane) = core.sessions.stream(core, with) {
        core.metrics.upstream_reuses.increment();
        return Ok(Stream::Lane(lane));
    }
    let stream = match tls {
        true => dial_tls(core, address, speech.tls, timeouts, Alpn::Http2).await?,
        false => Stream::Plain(dial(core, address, timeouts).await?),
    };
    let (requests, driver) = session::begin(core, stream).await?;
    Ok(Stream::Lane(core.sessions.add(core, with, requests, driver)))
}

async fn dial_tls(
    core: &Core,
    address: SocketAddr,
    tls: Option<&Arc<UpstreamTls>>,
    timeouts: &Timeouts,
    alpn: Alpn,
) -> io::Result<Stream> {
    let socket = dial(core, address, timeouts).await?;
    socket.shutdown_after(timeouts.connect);
    let session = core.client_tls.connect(address.ip(), tls.map(|tls| &**tls), alpn).map_err(io::Error::other)?;
    let stream = TlsStream::handshake(socket, session, Rc::clone(&core.buffers), None).await?;
    stream.socket.clear_deadline();
    Ok(Stream::Tls(Box::new(stream)))
}
