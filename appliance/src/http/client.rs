//! A client's connection, from the handshake to its end: active with buffers, or parked without.

#![expect(clippy::disallowed_types, reason = "one reading when a connection falls idle")]

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::edge::Scheme;
use super::{h1, h2, passthrough};
use crate::accept::proxy_protocol::{self, Proxied};
use crate::io::Socket;
use crate::limits::{CLIENT_SEND, HANDSHAKE, LINGER, LINGER_BYTES_MAX};
use crate::metrics::Refused;
use crate::stream::{Sink, Source, Stream};
use crate::tls::{self, Accepted, Secured};
use crate::worker::{Core, ListenerKind};

/// What is known of a client for the whole life of its connection.
#[derive(Clone)]
pub(crate) struct Facts {
    /// What TLS told of it.
    pub(crate) secured: Secured,
    pub(crate) peer: SocketAddr,
    pub(crate) scheme: Scheme,
    /// Port of the listener as upstreams are told it: 443 for https whatever its number, as a mapped port means that.
    pub(crate) port: u16,
}

/// A client's connection, or one stream of it. While it is parked this is all that is kept of it.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) facts: Facts,
    /// Requests served on it.
    pub(crate) requests: u32,
    /// Since when it waits for a request.
    pub(crate) idle_since: Instant,
    /// What came behind a PROXY header, for the first request.
    pub(crate) early: Vec<u8>,
}

impl Client {
    /// A client that sent no request yet but for the bytes of `early`.
    pub(crate) fn new(stream: Stream, facts: Facts, early: Vec<u8>) -> Self {
        Self { stream, facts, requests: 0, idle_since: Instant::now(), early }
    }

    /// Whether its first bytes may be those of HTTP/2: in the clear nothing else tells (RFC 9113 3.3).
    pub(super) fn may_speak_h2c(&self, core: &Core) -> bool {
        self.requests == 0 && matches!(self.stream, Stream::Plain(_)) && core.pin().settings.client.h2c
    }
}

/// How a time of activity ended.
#[expect(clippy::large_enum_variant, reason = "made and taken apart once a second at most, never kept")]
pub(crate) enum Next {
    /// Nothing to do for about a second: to be parked.
    Idle(Client),
    /// The client speaks HTTP/2 in the clear; what it sent is in `early`.
    Http2(Client),
    /// It is over.
    Closed,
}

/// Serves a connection to its end; `key` is its entry in the core's list.
pub(crate) async fn run(core: &Rc<Core>, key: u64, socket: Socket, peer: SocketAddr, kind: ListenerKind) {
    // Boxed, so that a parked connection holds only the small outer future.
    let Some(mut client) = Box::pin(establish(core, socket, peer, kind)).await else { return };
    if client.stream.chose_http2() {
        return Box::pin(h2::serve(core, key, client)).await;
    }
    if !core.may_wait_with_buffer() && client.early.is_empty() && !client.stream.has_unread() {
        let Some(active) = park(core, key, client).await else { return };
        client = active;
    }
    loop {
        match Box::pin(h1::serve(core, client)).await {
            Next::Idle(parked) => {
                let Some(active) = park(core, key, parked).await else { return };
                client = active;
            }
            Next::Http2(client) => return Box::pin(h2::serve(core, key, client)).await,
            Next::Closed => return,
        }
    }
}

async fn establish(core: &Rc<Core>, mut socket: Socket, peer: SocketAddr, kind: ListenerKind) -> Option<Client> {
    let mut port = match kind {
        ListenerKind::Http => socket.local_addr().map_or(0, |a| a.port()),
        ListenerKind::Https => 443,
    };
    let (mut peer, mut early) = (peer, Vec::new());
    let mut proxied_port = None;
    if core.pin().settings.forwarded.proxy_protocol {
        let (proxied, behind) = proxied(core, &mut socket, peer).await?;
        early = behind;
        if let Some((client, to)) = proxied.addresses {
            (peer, port, proxied_port) = (client, to, Some(to));
        }
    }
    let (stream, secured, scheme) = match kind {
        // The hop before may have ended TLS: it says 443 then.
        ListenerKind::Http if proxied_port == Some(443) => (Stream::Plain(socket), Secured::Not, Scheme::Https),
        ListenerKind::Http => (Stream::Plain(socket), Secured::Not, Scheme::Http),
        ListenerKind::Https => {
            let (stream, secured) = handshake(core, socket, peer, std::mem::take(&mut early)).await?;
            (stream, secured, Scheme::Https)
        }
    };
    Some(Client::new(stream, Facts { secured, peer, scheme, port }, early))
}

/// Reads the PROXY header. `None` ends a connection that has none.
pub(crate) async fn proxied(core: &Core, socket: &mut Socket, peer: SocketAddr) -> Option<(Proxied, Vec<u8>)> {
    socket.shutdown_after(HANDSHAKE);
    match proxy_protocol::read(socket).await {
        Ok((read, behind)) => {
            socket.clear_deadline();
            // What an untrusted hop says of the client is read and not believed.
            let trusted = core.pin().settings.forwarded.trusted.iter().any(|n| n.contains(&peer.ip().to_canonical()));
            Some((if trusted { read } else { Proxied { addresses: None } }, behind))
        }
        Err(error) => {
            core.metrics.refuse(Refused::BadRequest);
            tracing::debug!(%peer, %error, "a connection without a PROXY header was closed");
            None
        }
    }
}

/// `None` ends a connection whose handshake failed, or that was passed on and is over.
async fn handshake(core: &Rc<Core>, socket: Socket, peer: SocketAddr, early: Vec<u8>) -> Option<(Stream, Secured)> {
    match tls::accept(core, socket, early).await {
        Ok(Accepted::Ended(stream, secured)) => {
            core.metrics.tls_handshakes.increment();
            if stream.is_resumed() {
                core.metrics.tls_resumed.increment();
            }
            tracing::trace!(client = %peer, alpn = stream.alpn(), "TLS established");
            Some((Stream::Tls(stream), secured))
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

/// Waits for the next request without holding a buffer. `None` when the connection's time is over or it closed.
async fn park(core: &Rc<Core>, key: u64, mut client: Client) -> Option<Client> {
    let left = idle_time(core, &client).checked_sub(client.idle_since.elapsed())?;
    if core.draining() {
        client.stream.shutdown_write().await;
        return None;
    }
    core.set_parked(key, true);
    let readable = client.stream.readable_within(left).await;
    core.set_parked(key, false);
    readable.ok()?;
    Source::clear_deadline(&client.stream);
    Some(client)
}

/// How long a connection may wait for its next request.
pub(crate) fn idle_time(core: &Core, client: &Client) -> Duration {
    let settings = &core.pin().settings.client;
    if client.requests == 0 { settings.header_timeout } else { settings.keep_alive }
}

/// Ends a connection on which the client may still be sending: FIN, then read and drop for a while. Closing at once
/// would reset it, and the reset could overtake the answer.
pub(crate) async fn linger(core: &Core, mut stream: Stream) {
    Sink::deadline(&stream, CLIENT_SEND);
    stream.shutdown_write().await;
    Source::deadline(&stream, LINGER);
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
