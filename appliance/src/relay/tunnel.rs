//! Raw bytes both ways after an upgrade, until both sides ended or neither spoke for the idle time.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join;

use crate::stream::{Reader, Sink, Source, Stream, Writer};
use crate::worker::Core;

/// Relays until the end. `to_client` and `to_upstream` go first. Returns the bytes that went to the client.
pub(crate) async fn run(
    core: &Core,
    client: Stream,
    upstream: Stream,
    to_client: Vec<u8>,
    to_upstream: Vec<u8>,
    idle: Duration,
) -> u64 {
    let (client_reader, client_writer) = client.split();
    let (upstream_reader, upstream_writer) = upstream.split();
    let sent = Cell::new(0);
    let down = one_way(core, upstream_reader, client_writer, to_client, idle, |n| sent.set(sent.get() + n));
    let up = one_way(core, client_reader, upstream_writer, to_upstream, idle, |_| ());
    join(down, up).await;
    sent.get()
}

/// One direction. Its end is told to the receiver; an error ends both streams, and by that the other direction.
async fn one_way(core: &Core, mut from: Reader, mut to: Writer, mut buf: Vec<u8>, idle: Duration, count: impl Fn(u64)) {
    let mut full = false;
    let proper = loop {
        if !buf.is_empty() {
            // The deadline of either stream moves with traffic in either direction.
            count(buf.len() as u64);
            Source::deadline(&from, idle);
            Sink::deadline(&to, idle);
            let (sent, returned) = to.send(buf).await;
            core.buffers.put(returned);
            if sent.is_err() {
                break false;
            }
        }
        Source::deadline(&from, idle);
        // Most tunnels are quiet: a large buffer only follows a receive that filled a small one.
        let room = if full { core.buffers.body() } else { core.buffers.head() };
        let (received, returned) = from.recv(room).await;
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
