//! The two halves of an exchange joined: who ends, who is told.
//!
//! Every piece is received, then sent, so a slow receiver stops its sender by itself and no buffer grows with a body.

pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod tunnel;

use std::time::Duration;

use crate::io::Owned;
use crate::stream::{Sink, Source};

/// Receives within `timeout`.
pub(crate) async fn recv(source: &mut impl Source, buf: Vec<u8>, timeout: Duration) -> Owned<usize> {
    source.deadline(timeout);
    let received = source.recv(buf).await;
    source.clear_deadline();
    received
}

/// Sends all of `buf`; no piece of it may take longer than `timeout`.
pub(crate) async fn send(sink: &mut impl Sink, buf: Vec<u8>, timeout: Duration) -> Owned<()> {
    sink.deadline(timeout);
    let sent = sink.send(buf).await;
    sink.clear_deadline();
    sent
}
