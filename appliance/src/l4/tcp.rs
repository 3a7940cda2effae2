//! One connection to a TCP service: PROXY header in, an endpoint, PROXY header out, then bytes both ways.

#![expect(
    clippy::disallowed_types,
    reason = "a reading or two per connection, for the time that tries may take and the log"
)]

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use ringress_config::model::Transport;
use ringress_config::snapshot::{Cluster, ClusterKey, StreamSettings};
use std::sync::Arc;

use crate::accept::proxy_protocol;
use crate::access_log::{Session, Trail};
use crate::error::Failure;
use crate::http::client::{self, Unserved};
use crate::io::Socket;
use crate::limits::STREAM_CONNECT;
use crate::metrics::Refused;
use crate::relay::tunnel::{self, Carried};
use crate::stream::Stream;
use crate::upstream::{Hint, Tried};
use crate::worker::Core;

/// Serves the connection `key`, which came to `port`, to its end. Later snapshots do not touch it.
pub(crate) async fn run(core: &Rc<Core>, key: u64, mut socket: Socket, mut peer: SocketAddr, port: u16) {
    let pinned = core.pin();
    // The entry may have gone while the connection waited in the queue.
    let Some(service) = pinned.streams.find(Transport::Tcp, port).copied() else { return };
    let Ok(local) = socket.local_addr() else { return };
    let mut line = Line { peer, local, begun: Instant::now(), key: None, trail: Trail::default() };
    let mut early = Vec::new();
    if service.receives_proxy {
        let (proxied, behind) = match client::proxied(core, key, &mut socket, peer).await {
            Ok(read) => read,
            Err(Unserved::NoHeader) => return line.write(core, 400, Carried::default()),
            Err(Unserved::ClientLimit(client)) => {
                line.peer = client;
                return line.write(core, 503, Carried::default());
            }
        };
        early = behind;
        peer = proxied.addresses.map_or(peer, |(client, _)| client);
        line.peer = peer;
    } else if !core.admits_client(key, peer.ip()) {
        return line.write(core, 503, Carried::default());
    }
    let settings = &pinned.settings.streams;
    let cluster = pinned.clusters.get(service.cluster);
    if core.access_log.is_on_for_streams(&pinned.settings.stream_log) {
        line.key = cluster.map(|cluster| cluster.key.clone());
    }
    let upstream = match cluster {
        Some(cluster) => dial(core, cluster, settings, &mut line.trail).await,
        None => None,
    };
    let Some(upstream) = upstream else {
        core.metrics.refuse(Refused::NoBackend);
        return line.write(core, 502, Carried::default());
    };
    let mut to_upstream = Vec::new();
    if service.sends_proxy {
        proxy_protocol::write(&mut to_upstream, peer, local);
    }
    let head_bytes = to_upstream.len() as u64;
    to_upstream.extend_from_slice(&early);
    let idle = settings.idle_timeout;
    // A tunnel may live for days; the snapshot need not.
    drop(pinned);
    core.metrics.tcp_sessions.increment();
    let (client, upstream) = (Stream::Plain(socket), Stream::Plain(upstream));
    let carried = tunnel::run(core, client, upstream, Vec::new(), to_upstream, idle).await;
    core.metrics.bytes_sent.add(carried.down);
    // The client's bytes without our header before them.
    line.write(core, 200, Carried { up: carried.up.saturating_sub(head_bytes), ..carried });
}

/// What the access log is told of a connection.
struct Line {
    peer: SocketAddr,
    local: SocketAddr,
    begun: Instant,
    key: Option<ClusterKey>,
    trail: Trail,
}

impl Line {
    fn write(&self, core: &Rc<Core>, status: u16, carried: Carried) {
        // What is written, and where, is as it is said at the end.
        let settings = &core.pin().settings.stream_log;
        if !core.access_log.is_on_for_streams(settings) {
            return;
        }
        let session = Session {
            transport: Transport::Tcp,
            peer: self.peer,
            local: self.local,
            status,
            bytes_sent: carried.down,
            bytes_received: carried.up,
            duration: self.begun.elapsed(),
            cluster: self.key.as_ref(),
            trail: &self.trail,
        };
        core.access_log.write_session(core, settings, &session);
    }
}

/// A connection to an endpoint; when one cannot be reached, to the next.
async fn dial(core: &Rc<Core>, cluster: &Arc<Cluster>, settings: &StreamSettings, trail: &mut Trail) -> Option<Socket> {
    let (mut tried, start) = (Tried::default(), Instant::now());
    let tries = settings.tries.of(cluster.endpoints.len());
    for attempt in 1_u32.. {
        let lease = core.upstreams.borrow_mut().choose(core, cluster, &Hint::default(), &tried)?;
        let address = lease.address();
        let began = Instant::now();
        trail.begin(address);
        match Socket::connect(address, STREAM_CONNECT, &core.timers).await {
            Ok(socket) => {
                core.metrics.upstream_connects.increment();
                lease.answered();
                trail.open().iter_mut().for_each(|attempt| attempt.connect = Some(began.elapsed()));
                return Some(socket);
            }
            Err(error) => {
                core.metrics.upstream_failures.increment();
                tracing::debug!(cluster = %cluster.name, endpoint = %address, %error, "an endpoint cannot be reached");
                lease.failed(core, &Failure::Connect(error));
                trail.fail(502, began.elapsed());
            }
        }
        let late = !settings.tries_timeout.is_zero() && start.elapsed() >= settings.tries_timeout;
        if attempt >= tries || late {
            return None;
        }
        core.metrics.retries.increment();
        tried.add(address);
    }
    None
}
