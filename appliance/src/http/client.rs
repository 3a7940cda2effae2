//! A client's connection, from the handshake to its end: active with buffers, or parked without.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::edge::Scheme;
use super::h1;
use crate::io::Socket;
use crate::limits::{CLIENT_SEND, HANDSHAKE, LINGER, LINGER_BYTES_MAX};
use crate::metrics::Refused;
use crate::stream::{Sink, Source, Stream};
use crate::tls::TlsStream;
use crate::worker::{Core, ListenerKind};

/// A client's connection. While it is parked this is all that is kept of it.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) scheme: Scheme,
    /// Port of the listener as upstreams are told it: 443 for https whatever its number, as a mapped port means that.
    pub(crate) port: u16,
    /// Requests served on it.
    pub(crate) requests: u32,
    /// Since when it waits for a request.
    pub(crate) idle_since: Instant,
}

/// How a time of activity ended.
pub(crate) enum Next {
    /// Nothing to do for about a second: to be parked.
    Idle(Client),
    /// It is over.
    Closed,
}

/// Serves a connection to its end; `key` is its entry in the core's list.
pub(crate) async fn run(core: &Rc<Core>, key: u64, socket: Socket, peer: SocketAddr, kind: ListenerKind) {
    // Boxed, so that a parked connection holds only the small outer future.
    let Some(mut client) = Box::pin(establish(core, socket, peer, kind)).await else { return };
    loop {
        match Box::pin(h1::serve(core, client)).await {
            Next::Closed => return,
            Next::Idle(parked) => match park(core, key, parked).await {
                Some(active) => client = active,
                None => return,
            },
        }
    }
}

async fn establish(core: &Rc<Core>, socket: Socket, peer: SocketAddr, kind: ListenerKind) -> Option<Client> {
    let port = match kind {
        ListenerKind::Http => socket.local_addr().map_or(0, |a| a.port()),
        ListenerKind::Https => 443,
    };
    let (stream, scheme) = match kind {
        ListenerKind::Http => (Stream::Plain(socket), Scheme::Http),
        ListenerKind::Https => (Stream::Tls(Box::new(handshake(core, socket, peer).await?)), Scheme::Https),
    };
    Some(Client { stream, peer, scheme, port, requests: 0, idle_since: Instant::now() })
}

async fn handshake(core: &Rc<Core>, socket: Socket, peer: SocketAddr) -> Option<TlsStream> {
    socket.shutdown_after(HANDSHAKE);
    let session = core.tls.borrow().accept();
    let result = match session {
        Ok(session) => TlsStream::handshake(socket, session, Rc::clone(&core.buffers)).await,
        Err(error) => Err(std::io::Error::other(error)),
    };
    match result {
        Ok(stream) => {
            stream.socket.clear_deadline();
            core.metrics.tls_handshakes.increment();
            Some(stream)
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
