//! Copies of requests for another service. The client never waits for one: a copy is a task of its own, and when too
//! many are under way, no further one is begun.

use std::cell::Cell;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ringress_config::snapshot::{ConnectionWord, Timeouts, UpstreamHop};

use super::super::forward::{Forward, write_request};
use super::super::framing::BodyFraming;
use super::Exchange;
use crate::error::Failure;
use crate::limits::{MIRROR_ANSWER_BYTES_MAX, MIRRORED_BYTES_MAX, MIRRORS_MAX};
use crate::policy::{MirrorTarget, Url};
use crate::trace::Active;
use crate::worker::{Core, Scratch};
use crate::{io, relay, resolve, upstream};

/// The copies of a core that are under way.
#[derive(Default)]
pub(crate) struct Mirrors {
    number: Cell<usize>,
    bytes: Cell<usize>,
}

/// Counts a copy until it is done.
struct UnderWay {
    core: Rc<Core>,
    bytes: usize,
}

impl UnderWay {
    /// `None` when there is no room for a copy of so many bytes.
    fn begin(core: &Rc<Core>, bytes: usize) -> Option<Self> {
        let Mirrors { number, bytes: held } = &core.mirrors;
        if number.get() >= MIRRORS_MAX || held.get() + bytes > MIRRORED_BYTES_MAX {
            return None;
        }
        number.set(number.get() + 1);
        held.set(held.get() + bytes);
        Some(Self { core: Rc::clone(core), bytes })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Mirrors { number, bytes } = &self.core.mirrors;
        number.set(number.get() - 1);
        bytes.set(bytes.get() - self.bytes);
    }
}

impl Exchange<'_> {
    /// Sends a copy off. `body` is the whole body; `None` when it is not all here, and then no copy with a body is made.
    pub(super) fn mirror(&self, scratch: &Scratch, inbox: &[u8], body: Option<&[u8]>) {
        let Some(target) = &self.shaping.mirror else { return };
        let body = if target.with_body { body } else { Some(&[][..]) };
        let under_way = body.and_then(|body| UnderWay::begin(&self.core, body.len()));
        let Some((body, under_way)) = body.zip(under_way) else { return self.core.metrics.mirrors_dropped.increment() };
        self.core.metrics.mirrored.increment();
        let copy = self.write_copy(scratch, inbox, target, body);
        let url = target.url.clone();
        io::spawn(async move {
            match AssertUnwindSafe(send(&under_way.core, &url, copy)).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    under_way.core.metrics.mirrors_failed.increment();
                    tracing::debug!(url = url.authority, error = %failure, "the copy of a request failed");
                }
                Err(_) => under_way.core.metrics.panics.increment(),
            }
        });
    }

    /// The request as the upstream gets it, but for target, host and connection.
    fn write_copy(&self, scratch: &Scratch, inbox: &[u8], target: &MirrorTarget, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(scratch.request.consumed + body.len() + 1024);
        let has_body = target.with_body && scratch.request.framing != BodyFraming::None;
        let forwarded = &self.snapshot.settings.forwarded;
        let forward = Forward {
            host: &target.host,
            forwarded_host: scratch.request.authority(inbox),
            target: Some(target.url.target.as_bytes()),
            request_id: &self.request_id,
            edge: &scratch.edge,
            framing: if has_body { BodyFraming::Length(body.len() as u64) } else { BodyFraming::None },
            policy: self.field_policy(),
            changes: &self.shaping.request,
            hop: UpstreamHop { connection: Some(ConnectionWord::Close), http_1_0: false },
            trace: self.trace.as_deref().map(Active::fields),
            address_field: forwarded.address_field.as_deref(),
            host_field: forwarded.host_field.as_deref(),
        };
        write_request(&mut out, &scratch.request, inbox, &forward);
        out.extend_from_slice(body);
        out
    }
}

/// Sends a copy, reads what comes back and throws it away.
async fn send(core: &Rc<Core>, url: &Url, copy: Vec<u8>) -> Result<(), Failure> {
    let timeouts = Timeouts::default();
    let address = resolve::first(core, &url.host).await.ok_or(Failure::NoEndpoint)?;
    let mut connection =
        upstream::connect(core, SocketAddr::new(address, url.port), url.protocol.into(), &timeouts).await?;
    let (sent, copy) = relay::send(&mut connection.stream, copy, timeouts.send).await;
    drop(copy);
    sent.map_err(|error| Failure::sending(&error))?;
    let mut buf = core.buffers.body();
    let mut read = 0;
    let began = core.timers.now_ms();
    let left = || timeouts.read.saturating_sub(Duration::from_millis(core.timers.now_ms().saturating_sub(began)));
    while read < MIRROR_ANSWER_BYTES_MAX && !left().is_zero() {
        buf.clear();
        let (received, returned) = relay::recv(&mut connection.stream, buf, left()).await;
        buf = returned;
        match received {
            Ok(bytes) if bytes > 0 => read += bytes,
            Err(error) if read == 0 => return Err(Failure::awaiting_response(&error)),
            // What is left of an answer that nobody reads is no loss.
            Ok(_) | Err(_) => break,
        }
    }
    core.buffers.put(buf);
    Ok(())
}
