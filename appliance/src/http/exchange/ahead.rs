//! Responses that are read ahead of their clients: which, and when their upstreams are let go.

#![expect(clippy::disallowed_types, reason = "durations for the metrics, as in forward.rs")]

use std::cell::Cell;
use std::time::Instant;

use ringress_config::snapshot::{Cluster, Route};

use super::super::client::Client;
use super::super::field::FieldId;
use super::super::framing::ResponseBody;
use super::super::respond::Written;
use super::super::response::ResponseHead;
use super::Exchange;
use super::forward::Target;
use crate::error::Failure;
use crate::relay::response::{Ahead, BodyProgress, Relayed, Treatment};
use crate::stream::Source;
use crate::upstream::Connection;

/// Bytes of a response that may be held for its client; 0 where it is streamed. As in nginx, its upstream may say not to,
/// and calls of gRPC are always streamed.
#[inline]
pub(super) fn bytes_ahead(route: &Route, cluster: &Cluster, head: &ResponseHead, received: &[u8]) -> usize {
    let bytes = route.body.bytes_ahead() as usize;
    if bytes == 0 || !may_be_held(route, cluster, head, received) { 0 } else { bytes }
}

fn may_be_held(route: &Route, cluster: &Cluster, head: &ResponseHead, received: &[u8]) -> bool {
    let is_grpc = route.protocol_to(cluster).is_http2();
    let says_no = head.has(FieldId::XAccel)
        && head.find_named(received, "x-accel-buffering").any(|value| value.eq_ignore_ascii_case(b"no"));
    head.body != ResponseBody::None && !is_grpc && !says_no
}

impl Exchange<'_> {
    /// Sends a response of which so many bytes may be held. Its connection is kept or closed once the upstream is done;
    /// when that was, if it was.
    pub(super) async fn relay_ahead(
        &self,
        client: &mut Client,
        (route, cluster): Target<'_>,
        (mut connection, may_be_kept, bytes_max): (Box<Connection>, bool, usize),
        framings: (ResponseBody, Written, Option<Box<Treatment>>),
        received: (Vec<u8>, usize),
        out: Vec<u8>,
    ) -> (Result<Relayed, Failure>, Option<Instant>) {
        let ahead = Ahead::new(&self.core, bytes_max);
        let progress = BodyProgress::begin(framings.0, &received.0[received.1..]);
        let (upstream, timeout, done) = (connection.stream.aborter(), route.timeouts.read, Cell::new(None));
        let reading = async {
            let clean = ahead.read((&mut connection.stream, timeout), progress).await;
            done.set(Some(Instant::now()));
            if clean && may_be_kept {
                self.core.upstreams.borrow_mut().put(&self.core, cluster, connection);
            } else {
                drop(connection);
            }
        };
        let sides = ((reading, upstream), (&mut client.stream, timeout));
        (ahead.relay(sides.0, sides.1, framings, received, out).await, done.get())
    }
}
