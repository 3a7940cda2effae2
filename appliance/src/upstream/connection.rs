//! A connection to an endpoint, and opening one.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringress_config::snapshot::{Cluster, Route, Timeouts, UpstreamProtocol, UpstreamTls};

use super::{Lease, Opened};
use crate::error::Failure;
use crate::http::h2::dials::Opening;
use crate::http::h2::session::{self, With};
use crate::io::{Socket, within};
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
    /// As a route has it, for the cluster that it leads to and a client that came over TLS or in the clear.
    pub(crate) fn of(route: &'a Route, cluster: &Cluster, over_tls: bool) -> Self {
        let as_client = || route.policies.as_ref().is_some_and(|policies| policies.tls_as_client);
        let protocol = if over_tls && as_client() { UpstreamProtocol::Https } else { route.protocol_to(cluster) };
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
    fn new(core: &Core, stream: Stream, address: SocketAddr, speech: Speech<'_>) -> Self {
        let (protocol, tls, created_ms) = (speech.protocol, speech.tls.cloned(), core.timers.now_ms());
        Self { stream, address, protocol, tls, created_ms, requests: 0, lease: None, _opened: None }
    }

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
    Ok(Connection::new(core, stream, address, speech))
}

/// As [`connect`], for the request that holds this endpoint and within the limits of the cluster. Boxed: from here on it goes
/// from hand to hand, request by request.
pub(crate) async fn connect_for(
    core: &Rc<Core>,
    (lease, cluster): (&Lease, &Cluster),
    speech: Speech<'_>,
    timeouts: &Timeouts,
) -> Result<Box<Connection>, Failure> {
    // What requests share is not the connection of one of them: nobody waits for a session that is there, and none
    // counts among the connections.
    let is_shared = speech.protocol.is_http2();
    if is_shared && let Some(lane) = lane(core, lease.address(), speech) {
        return Ok(Box::new(Connection::new(core, lane, lease.address(), speech)));
    }
    let waiting = lease.begin_waiting(core)?;
    let opened = if is_shared { None } else { Some(lease.begin_opening(core, cluster)?) };
    // Whoever is served meanwhile should know that many are at work.
    let awaiting = core.buffers.awaiting();
    let connected = connect(core, lease.address(), speech, timeouts).await;
    drop((waiting, awaiting));
    connected.map(|connection| Box::new(Connection { _opened: opened, ..connection }))
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
        // Boxed: thousands may wait for an upstream in the clear, and each would have the room of these.
        UpstreamProtocol::Https => Box::pin(dial_tls(core, address, speech.tls, timeouts, Alpn::Unsaid)).await,
        UpstreamProtocol::Grpc | UpstreamProtocol::Grpcs => Box::pin(dial_lane(core, address, speech, timeouts)).await,
    }
}

/// Opens a socket within the connect timeout.
pub(crate) async fn dial(core: &Core, address: SocketAddr, timeouts: &Timeouts) -> io::Result<Socket> {
    Socket::connect(address, timeouts.connect, &core.timers).await
}

impl With {
    fn of(address: SocketAddr, speech: Speech<'_>) -> Self {
        let tls = speech.protocol == UpstreamProtocol::Grpcs;
        Self { address, tls, policy: speech.tls.map(|tls| tls.identity) }
    }
}

/// A stream of HTTP/2 on a session that is there and has room.
fn lane(core: &Rc<Core>, address: SocketAddr, speech: Speech<'_>) -> Option<Stream> {
    let lane = core.sessions.stream(core, With::of(address, speech))?;
    core.metrics.upstream_reuses.increment();
    Some(Stream::Lane(lane))
}

/// A stream of HTTP/2, on a session that is there or a new one.
async fn dial_lane(
    core: &Rc<Core>,
    address: SocketAddr,
    speech: Speech<'_>,
    timeouts: &Timeouts,
) -> io::Result<Stream> {
    let (with, began_ms) = (With::of(address, speech), core.timers.now_ms());
    loop {
        if let Some(lane) = lane(core, address, speech) {
            return Ok(lane);
        }
        match core.sessions.opening(with) {
            Opening::Turn(turn) => {
                let opened = open_session(core, with, speech, timeouts).await;
                return opened.inspect_err(|error| turn.fail(error));
            }
            Opening::Wait(waiting) => {
                let waited = Duration::from_millis(core.timers.now_ms() - began_ms);
                let left = timeouts.connect.saturating_sub(waited);
                within(left, waiting.over()).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
            }
        }
    }
}

async fn open_session(core: &Rc<Core>, with: With, speech: Speech<'_>, timeouts: &Timeouts) -> io::Result<Stream> {
    let stream = match with.tls {
        true => dial_tls(core, with.address, speech.tls, timeouts, Alpn::Http2).await?,
        false => Stream::Plain(dial(core, with.address, timeouts).await?),
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
