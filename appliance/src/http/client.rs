//! A client's connection, from the handshake to its end: active with buffers, or parked without.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::edge::Scheme;
use super::{h1, h2, passthrough};
use crate::accept::proxy_protocol::{self, Proxied};
use crate::io::Socket;
use crate::limits::{CLIENT_SEND, HANDSHAKE, LINGER, LINGER_BYTES_MAX};
use crate::metrics::Refused;
use crate::stream::{Sink, Source, Stream};
use crate::tls::{self, Accepted, Secured, Suite, TlsStream};
use crate::worker::{Core, ListenerKind};

/// What is known of a client for the whole life of its connection.
#[derive(Clone)]
pub(crate) struct Facts {
    /// What TLS told of it.
    pub(crate) secured: Secured,
    /// What it is encrypted with.
    pub(crate) suite: Suite,
    /// The connection's number: no other one of the process has it.
    pub(crate) number: u32,
    pub(crate) peer: SocketAddr,
    pub(crate) scheme: Scheme,
    /// Port of the listener as upstreams are told it: 443 for https whatever its number, as a mapped port means that.
    pub(crate) port: u16,
}

/// A client's connection, or one stream of it. While it is parked this is all that is kept of it.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) facts: Facts,
    /// Requests served on it; of a stream, those that its connection has begun.
    pub(crate) requests: u32,
    /// Since when it waits for a request, on the core's clock.
    pub(crate) idle_since_ms: u64,
    /// What came behind a PROXY header, for the first request.
    pub(crate) early: Box<[u8]>,
}

impl Client {
    /// A connection of which nothing is known yet but the socket. Boxed, so that what waits for it is small.
    pub(crate) fn fresh(core: &Core, socket: Socket, peer: SocketAddr, kind: ListenerKind, port: u16) -> Box<Self> {
        let (scheme, port) = match kind {
            ListenerKind::Http => (Scheme::Http, port),
            ListenerKind::Https => (Scheme::Https, 443),
        };
        let facts = Facts { secured: Secured::Not, suite: Suite::default(), number: 0, peer, scheme, port };
        Box::new(Self::new(core, Stream::Plain(socket), facts))
    }

    /// A client that sent no request yet.
    pub(crate) fn new(core: &Core, stream: Stream, facts: Facts) -> Self {
        Self { stream, facts, requests: 0, idle_since_ms: core.timers.now_ms(), early: Box::default() }
    }

    /// Whether its first bytes may be those of HTTP/2: in the clear nothing else tells (RFC 9113 3.3).
    pub(super) fn may_speak_h2c(&self, core: &Core) -> bool {
        self.requests == 0 && matches!(self.stream, Stream::Plain(_)) && core.pin().settings.client.h2c
    }
}

/// What is next for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A request is to be read.
    Request,
    /// Nothing to do for about a second: to be parked.
    Idle,
    /// The client speaks HTTP/2; in the clear, what it sent is in `early`.
    Http2,
    /// It is over.
    Closed,
}

/// Serves a connection to its end; `key` is its entry in the core's list.
pub(crate) async fn run(core: &Rc<Core>, key: u64, mut client: Box<Client>, kind: ListenerKind) {
    client.facts.number = number(core, key);
    // A parked connection holds this future and nothing else. Therefore it waits here, with nothing between it and the
    // socket that would hold the same things once more, and all that is not waiting is boxed.
    let is_bare = kind == ListenerKind::Http && !core.pin().settings.forwarded.proxy_protocol;
    let mut next = match is_bare || Box::pin(establish(core, key, &mut client, kind)).await {
        true => first(core, &client),
        false => Next::Closed,
    };
    loop {
        next = match next {
            Next::Request => Box::pin(h1::serve(core, &mut client)).await,
            Next::Idle if core.ends_idle() => return Box::pin(client.stream.shutdown_write()).await,
            Next::Idle if park(core, key, &client) => {
                let readable = client.stream.readable().await;
                unpark(core, key, &client, readable.is_ok())
            }
            Next::Http2 => return Box::pin(h2::serve(core, key, *client)).await,
            Next::Idle | Next::Closed => return,
        };
    }
}

/// The number of a connection, of those of all cores: it comes again after four billions of them.
#[expect(clippy::cast_possible_truncation, reason = "it comes again")]
fn number(core: &Core, key: u64) -> u32 {
    key.wrapping_mul(core.cores.into()).wrapping_add(core.index as u64) as u32
}

/// How a connection begins of which nothing was read yet but what leads to it.
fn first(core: &Core, client: &Client) -> Next {
    if client.stream.chose_http2() {
        Next::Http2
    } else if core.may_wait_with_buffer() || !client.early.is_empty() || client.stream.has_unread() {
        Next::Request
    } else {
        Next::Idle
    }
}

/// Begins to wait for the next request without a buffer. False when the connection's time is over.
fn park(core: &Core, key: u64, client: &Client) -> bool {
    let left = idle_time(core, client).checked_sub(idle_for(core, client));
    if let Some(left) = left {
        core.set_parked(key, true);
        client.stream.shutdown_after(left);
    }
    left.is_some()
}

/// The wait is over.
fn unpark(core: &Core, key: u64, client: &Client, readable: bool) -> Next {
    core.set_parked(key, false);
    let in_time = !client.stream.take_expired();
    Source::clear_deadline(&client.stream);
    if readable && in_time { Next::Request } else { Next::Closed }
}

/// Reads the PROXY header and makes the TLS handshake, as far as they are due. False when the connection is over.
async fn establish(core: &Rc<Core>, key: u64, client: &mut Client, kind: ListenerKind) -> bool {
    // Nothing else has had it.
    let Stream::Plain(mut socket) = client.stream.take() else { return false };
    if core.pin().settings.forwarded.proxy_protocol {
        let Ok((proxied, behind)) = proxied(core, key, &mut socket, client.facts.peer).await else { return false };
        client.early = behind.into();
        if let Some((from, to)) = proxied.addresses {
            (client.facts.peer, client.facts.port) = (from, to);
            // The hop before may have ended TLS: it says 443 then.
            if to == 443 {
                client.facts.scheme = Scheme::Https;
            }
        }
    }
    client.stream = match kind {
        ListenerKind::Http => Stream::Plain(socket),
        ListenerKind::Https => {
            let early = std::mem::take(&mut client.early).into_vec();
            let Some((stream, secured)) = handshake(core, socket, client.facts.peer, early).await else { return false };
            client.facts.secured = secured;
            client.facts.suite = stream.suite();
            Stream::Tls(stream)
        }
    };
    true
}

/// Why a connection that has to begin with a PROXY header is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// It does not, or not in time.
    NoHeader,
    /// Its client, which is here, has as many connections as it may have.
    ClientLimit(SocketAddr),
}

/// Reads the PROXY header of connection `key`.
pub(crate) async fn proxied(
    core: &Core,
    key: u64,
    socket: &mut Socket,
    peer: SocketAddr,
) -> Result<(Proxied, Vec<u8>), Unserved> {
    socket.shutdown_after(HANDSHAKE);
    match proxy_protocol::read(socket).await {
        Ok((read, behind)) => {
            socket.clear_deadline();
            // What an untrusted hop says of the client is read and not believed.
            let trusted = core.pin().settings.forwarded.is_trusted(peer.ip());
            let read = if trusted { read } else { Proxied { addresses: None } };
            let client = read.addresses.map_or(peer, |(client, _)| client);
            let admitted = match read.addresses {
                Some(_) => core.admits_client(key, client.ip()),
                // A connection that the hop makes on its own behalf.
                None => trusted || core.admits_client(key, peer.ip()),
            };
            if admitted { Ok((read, behind)) } else { Err(Unserved::ClientLimit(client)) }
        }
        Err(error) => {
            core.metrics.refuse(Refused::BadRequest);
            tracing::debug!(%peer, %error, "a connection without a PROXY header was closed");
            Err(Unserved::NoHeader)
        }
    }
}

/// `None` ends a connection whose handshake failed, or that was passed on and is over.
async fn handshake(
    core: &Rc<Core>,
    socket: Socket,
    peer: SocketAddr,
    early: Vec<u8>,
) -> Option<(Box<TlsStream>, Secured)> {
    match tls::accept(core, socket, early).await {
        Ok(Accepted::Ended(stream, secured)) => {
            core.metrics.tls_handshakes.increment();
            if stream.is_resumed() {
                core.metrics.tls_resumed.increment();
            }
            tracing::trace!(client = %peer, alpn = stream.alpn(), "TLS established");
            Some((stream, secured))
        }
        Ok(Accepted::PassedOn(socket, received, cluster)) => {
            passthrough::run(core, socket, received, cluster).await;
            None
        }
        Err(error) => {
            core.metrics.refuse(Refused::TlsHandshake);
            tracing::debug!(client = %peer, %error, "TLS handshake failed");
            None
        }
    }
}

/// How long a connection has been waiting for its next request.
pub(crate) fn idle_for(core: &Core, client: &Client) -> Duration {
    Duration::from_millis(core.timers.now_ms() - client.idle_since_ms)
}

/// How long a connection may wait for its next request.
pub(crate) fn idle_time(core: &Core, client: &Client) -> Duration {
    let settings = &core.pin().settings.client;
    if client.requests == 0 { settings.header_timeout } else { settings.keep_alive }
}

/// Ends a connection on which the client may still be sending: FIN, then read and drop for a while. Closing at once
/// would reset it, and the reset could overtake the answer.
pub(crate) async fn linger(core: &Core, stream: &mut Stream) {
    Sink::deadline(stream, CLIENT_SEND);
    stream.shutdown_write().await;
    Source::deadline(stream, LINGER);
    let mut buf = core.buffers.head();
    let mut dropped = 0;
    while dropped < LINGER_BYTES_MAX {
        buf.clear();
        let (result, returned) = stream.recv(buf).await;
        buf = returned;
        match result {
            Ok(n) if n > 0 => dropped += n,
            _ => break,
        }
    }
    core.buffers.put(buf);
}
