//! One connection to a TCP service: PROXY header in, an endpoint, PROXY header out, then bytes both ways.

#![expect(clippy::disallowed_types, reason = "one reading per connection, for the time that all tries may take")]

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use ringress_config::model::Transport;
use ringress_config::snapshot::{Cluster, StreamSettings};
use std::sync::Arc;

use crate::accept::proxy_protocol;
use crate::error::Failure;
use crate::http::client;
use crate::io::Socket;
use crate::limits::STREAM_CONNECT;
use crate::metrics::Refused;
use crate::relay::tunnel;
use crate::stream::Stream;
use crate::upstream::{Hint, Tried};
use crate::worker::Core;

/// Serves a connection that came to `port`, to its end. Later snapshots do not touch it.
pub(crate) async fn run(core: &Rc<Core>, mut socket: Socket, mut peer: SocketAddr, port: u16) {
    let pinned = core.pin();
    // The entry may have gone while the connection waited in the queue.
    let Some(service) = pinned.streams.find(Transport::Tcp, port).copied() else { return };
    let mut early = Vec::new();
    if service.receives_proxy {
        let Some((proxied, behind)) = client::proxied(core, &mut socket, peer).await else { return };
        early = behind;
        peer = proxied.addresses.map_or(peer, |(client, _)| client);
    }
    let settings = &pinned.settings.streams;
    let upstream = match pinned.clusters.get(service.cluster) {
        Some(cluster) => dial(core, cluster, settings).await,
        None => None,
    };
    let Some(upstream) = upstream else {
        core.metrics.refuse(Refused::NoBackend);
        return;
    };
    let mut to_upstream = Vec::new();
    if service.sends_proxy {
        let Ok(local) = socket.local_addr() else { return };
        proxy_protocol::write(&mut to_upstream, peer, local);
    }
    to_upstream.extend_from_slice(&early);
    let idle = settings.idle_timeout;
    // A tunnel may live for days; the snapshot need not.
    drop(pinned);
    core.metrics.tcp_sessions.increment();
    let (client, upstream) = (Stream::Plain(socket), Stream::Plain(upstream));
    let sent = tunnel::run(core, client, upstream, Vec::new(), to_upstream, idle).await;
    core.metrics.bytes_sent.add(sent);
}

/// A connection to an endpoint; when one cannot be reached, to the next.
async fn dial(core: &Rc<Core>, cluster: &Arc<Cluster>, settings: &StreamSettings) -> Option<Socket> {
    let (mut tried, start) = (Tried::default(), Instant::now());
    for attempt in 1_u32.. {
        let lease = core.upstreams.borrow_mut().choose(core, cluster, &Hint::default(), &tried)?;
        let address = lease.address();
        match Socket::connect(address, STREAM_CONNECT, &core.timers).await {
            Ok(socket) => {
                core.metrics.upstream_connects.increment();
                lease.answered();
                return Some(socket);
            }
            Err(error) => {
                core.metrics.upstream_failures.increment();
                tracing::debug!(cluster = %cluster.name, endpoint = %address, %error, "an endpoint cannot be reached");
                lease.failed(core, &Failure::Connect(error));
            }
        }
        let late = !settings.tries_timeout.is_zero() && start.elapsed() >= settings.tries_timeout;
        if attempt >= settings.tries || late {
            return None;
        }
        core.metrics.retries.increment();
        tried.add(address);
    }
    None
}
