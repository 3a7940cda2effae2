//! Raw bytes both ways after an upgrade, until both sides ended or neither spoke for the idle time.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use futures_util::future::join;

use crate::relay;
use crate::stream::{Reader, Source, Stream, Writer};
use crate::worker::Core;

/// What both directions of a tunnel share.
struct Tunnel<'a> {
    core: &'a Core,
    idle: Duration,
    /// When either side spoke last, by the core's coarse clock: a side may listen for as long as the other one talks,
    /// as with nginx.
    spoken_ms: Cell<u64>,
}

/// Bytes that a tunnel took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    /// To the client.
    pub(crate) down: u64,
    /// To the upstream.
    pub(crate) up: u64,
}

/// Relays until the end. `to_client` and `to_upstream` go first, and are counted.
pub(crate) async fn run(
    core: &Core,
    client: Stream,
    upstream: Stream,
    to_client: Vec<u8>,
    to_upstream: Vec<u8>,
    idle: Duration,
) -> Carried {
    let (client_reader, client_writer) = client.split();
    let (upstream_reader, upstream_writer) = upstream.split();
    let tunnel = Tunnel { core, idle, spoken_ms: Cell::new(core.timers.now_ms()) };
    let (sent, taken) = (Cell::new(0), Cell::new(0));
    let down = tunnel.one_way(upstream_reader, client_writer, to_client, |n| sent.set(sent.get() + n));
    let up = tunnel.one_way(client_reader, upstream_writer, to_upstream, |n| taken.set(taken.get() + n));
    join(down, up).await;
    Carried { down: sent.get(), up: taken.get() }
}

impl Tunnel<'_> {
    /// One direction. Its end is told to the receiver; an error ends both streams, and by that the other direction.
    async fn one_way(&self, mut from: Reader, mut to: Writer, mut buf: Vec<u8>, count: impl Fn(u64)) {
        let mut full = false;
        let proper = loop {
            if !buf.is_empty() {
                count(buf.len() as u64);
                let (sent, returned) = relay::send(&mut to, buf, self.idle).await;
                self.core.buffers.put(returned);
                if sent.is_err() {
                    break false;
                }
                self.spoke();
            }
            // Most tunnels are quiet: a large buffer only follows a receive that filled a small one.
            let room = if full { self.core.buffers.body() } else { self.core.buffers.head() };
            let (received, returned) = self.recv(&mut from, room).await;
            full = returned.len() == returned.capacity();
            buf = returned;
            match received {
                Ok(0) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        if proper {
            to.shutdown_write().await;
        } else {
            to.aborter().abort();
            from.aborter().abort();
        }
    }

    /// Receives, for as long as the tunnel is not idle.
    async fn recv(&self, from: &mut Reader, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        loop {
            let silent = Duration::from_millis(self.core.timers.now_ms() - self.spoken_ms.get());
            let (received, returned) = relay::recv(from, buf, self.idle.saturating_sub(silent)).await;
            buf = returned;
            match received {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && !self.is_idle() => {}
                received => {
                    self.spoke();
                    return (received, buf);
                }
            }
        }
    }

    fn spoke(&self) {
        self.spoken_ms.set(self.core.timers.now_ms());
    }

    fn is_idle(&self) -> bool {
        self.core.timers.now_ms() - self.spoken_ms.get() >= self.idle.as_millis() as u64
    }
}
