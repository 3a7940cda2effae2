//! A large request goes up while its answer may come down: an upstream that refuses it early may not read the rest, and
//! what it says is not to wait for that (RFC 9112 9.3).

use std::cell::Cell;
use std::pin::pin;

use futures_util::future::{Either, select};
use ringress_config::snapshot::Route;

use super::super::head::Version;
use super::super::response::{Asked, ResponseHead};
use super::forward::left_of_try;
use super::streaming::WHILE_UPLOADING;
use crate::error::Failure;
use crate::relay::{self, response};
use crate::stream::{Sink, Source as _, Stream};
use crate::upstream::Connection;
use crate::worker::Core;

/// Bytes that a socket takes without its peer reading.
const TAKEN_AT_ONCE_BYTES: usize = 16 << 10;

/// One attempt: the whole request out, the response head in.
pub(super) async fn send_and_read_head(
    core: &Core,
    connection: &mut Connection,
    client: &mut impl Sink,
    (out, route): (Vec<u8>, &Route),
    (version, asked, head): (Version, Asked, &mut ResponseHead),
) -> Result<Vec<u8>, Failure> {
    if out.len() > TAKEN_AT_ONCE_BYTES {
        // Boxed: it is rare, and its state would make every connection's larger.
        return Box::pin(send_large(core, connection, client, (out, route), (version, asked, head))).await;
    }
    let (sent, out) = relay::send(&mut connection.stream, out, route.timeouts.send).await;
    core.buffers.put(out);
    match sent {
        // An upstream that refuses a body early answers and closes its ears: the answer is worth reading.
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(Failure::SendTimeout),
        Err(_) | Ok(()) => {}
    }
    let sent_ms = core.timers.now_ms();
    let left = || left_of_try(core, route, sent_ms);
    let limits = response::limits(route);
    response::read_head(core, (&mut connection.stream, left), client, (version, asked, limits), head).await
}

/// The same, listening while it is sent. A connection whose request did not go out whole is not used again.
async fn send_large(
    core: &Core,
    connection: &mut Connection,
    client: &mut impl Sink,
    (out, route): (Vec<u8>, &Route),
    (version, asked, head): (Version, Asked, &mut ResponseHead),
) -> Result<Vec<u8>, Failure> {
    let (mut reader, mut writer) = connection.stream.take().split();
    let (began_ms, sent_ms, whole) = (core.timers.now_ms(), Cell::new(None), Cell::new(false));
    // The time to answer begins when the request is up.
    let patience = || sent_ms.get().map_or(WHILE_UPLOADING, |at| left_of_try(core, route, at));
    let receiving = reader.aborter();
    let sending = async {
        let (sent, out) = relay::send(&mut writer, out, route.timeouts.send).await;
        core.buffers.put(out);
        sent_ms.set(Some(core.timers.now_ms()));
        whole.set(sent.is_ok());
        receiving.move_deadline(patience());
        sent
    };
    let reading =
        response::read_head(core, (&mut reader, patience), client, (version, asked, response::limits(route)), head);
    let result = match select(pin!(sending), pin!(reading)).await {
        Either::Left((Err(error), _)) if error.kind() == std::io::ErrorKind::TimedOut => Err(Failure::SendTimeout),
        Either::Left((_, reading)) => reading.await,
        Either::Right((result, _)) => result,
    };
    connection.stream = Stream::reunite(reader, writer);
    match result {
        // The end of the time ends both directions, and either may be seen first.
        Err(Failure::NoResponse) if !whole.get() => {
            let waited = std::time::Duration::from_millis(core.timers.now_ms() - began_ms);
            Err(if waited >= route.timeouts.send { Failure::SendTimeout } else { Failure::NoResponse })
        }
        result => {
            head.keep_alive &= whole.get();
            result
        }
    }
}
