//! The two halves of an exchange joined: who ends, who is told.
//!
//! Every piece is received, then sent, so a slow receiver stops its sender by itself and no buffer grows with a body. Where a
//! route buffers its responses, one goes on ahead of its receiver, within a bound (`response/ahead.rs`).

pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod tunnel;

use std::time::Duration;

use crate::error::Failure;
use crate::io::Owned;
use crate::stream::{Sink, Source};

/// Receives within `timeout`.
pub(crate) async fn recv(source: &mut impl Source, buf: Vec<u8>, timeout: Duration) -> Owned<usize> {
    source.deadline(timeout);
    let received = source.recv(buf).await;
    source.clear_deadline();
    received
}

/// Receives from an upstream within `timeout`, for a client that waits for it.
///
/// # Errors
/// [`Failure::ClientGone`] when the client leaves meanwhile: the upstream's stream is ended then.
pub(crate) async fn recv_for(
    client: &impl Sink,
    upstream: &mut impl Source,
    buf: Vec<u8>,
    timeout: Duration,
) -> Result<Owned<usize>, Failure> {
    client.end_when_peer_leaves(upstream.aborter());
    let received = recv(upstream, buf, timeout).await;
    if client.take_left() { Err(Failure::ClientGone) } else { Ok(received) }
}

/// Sends all of `buf`; no piece of it may take longer than `timeout`.
pub(crate) async fn send(sink: &mut impl Sink, buf: Vec<u8>, timeout: Duration) -> Owned<()> {
    sink.deadline(timeout);
    let sent = sink.send(buf).await;
    sink.clear_deadline();
    sent
}
