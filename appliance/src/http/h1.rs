//! The loop of an HTTP/1 connection: head, exchange, next head.

use std::rc::Rc;

use super::client::{self, Client, Next, idle_for, idle_time};
use super::exchange::{self, After};
use super::h2;
use super::head::{HeadError, HeadLimits, Progress};
use crate::limits::IDLE_WITH_BUFFER;
use crate::metrics::Refused;
use crate::stream::Source;
use crate::worker::{Core, Scratch};

/// Fields of one head; more is 431.
pub(super) const FIELDS_MAX: usize = 256;

/// What waiting for a head came to.
enum Head {
    /// Nothing yet.
    Awaited,
    /// Some of it is there, and its deadline runs.
    Begun,
    Complete,
    /// Nothing arrived for about a second.
    Idle,
    /// The client closed, or its time is over.
    Closed,
    /// The client's preface of HTTP/2, where that is taken in the clear.
    Http2,
    Refused(HeadError),
}

/// What a time of activity works with.
struct Work {
    scratch: Box<Scratch>,
    /// What was received and not yet served: a head, the start of its body, pipelined requests.
    inbox: Vec<u8>,
    head: Head,
}

impl Work {
    /// For what comes next, which `client.early` may have the start of.
    fn begin(core: &Core, client: &mut Client) -> Self {
        let mut scratch = core.scratch();
        scratch.is_pipelined = false;
        scratch.edge.render(client.facts.peer.ip(), client.facts.scheme, client.facts.port);
        let mut inbox = core.buffers.head();
        inbox.extend_from_slice(&std::mem::take(&mut client.early));
        Self { scratch, inbox, head: Head::Awaited }
    }
}

/// Serves requests until the connection falls idle or ends.
pub(crate) async fn serve(core: &Rc<Core>, client: &mut Client) -> Next {
    let mut work = Work::begin(core, client);
    let next = loop {
        Box::pin(wait_for_head(core, client, &mut work)).await;
        if let Some(next) = Box::pin(serve_ready(core, client, &mut work)).await {
            break next;
        }
    };
    core.buffers.put(work.inbox);
    core.put_scratch(work.scratch);
    next
}

/// Waits for a head. It is no part of [`serve_ready`], whose future is large: a head that never ends holds little.
async fn wait_for_head(core: &Core, client: &mut Client, work: &mut Work) {
    let begun = matches!(work.head, Head::Begun);
    work.head = read_head(core, client, (&mut work.scratch, &mut work.inbox), (begun, false)).await;
}

/// Serves the request whose head is there, and those that follow at once. `None` when a further head has begun.
async fn serve_ready(core: &Rc<Core>, client: &mut Client, work: &mut Work) -> Option<Next> {
    loop {
        match std::mem::replace(&mut work.head, Head::Awaited) {
            Head::Complete => {}
            Head::Awaited | Head::Begun => {
                work.head = Head::Begun;
                return None;
            }
            Head::Idle => return Some(Next::Idle),
            Head::Closed => return Some(Next::Closed),
            Head::Http2 => {
                client.early = std::mem::take(&mut work.inbox).into();
                return Some(Next::Http2);
            }
            Head::Refused(error) => {
                refuse(core, client, &work.inbox, error).await;
                return Some(Next::Closed);
            }
        }
        client.requests += 1;
        match exchange::run(core, client, &mut work.scratch, &mut work.inbox).await {
            After::Next => {}
            After::Linger => {
                client::linger(core, &mut client.stream).await;
                return Some(Next::Closed);
            }
            After::Closed => return Some(Next::Closed),
        }
        client.idle_since_ms = core.timers.now_ms();
        if work.inbox.is_empty() && !client.stream.has_unread() && !core.may_wait_with_buffer() && !core.draining() {
            return Some(Next::Idle);
        }
        work.scratch.is_pipelined = !work.inbox.is_empty();
        work.head = read_head(core, client, (&mut work.scratch, &mut work.inbox), (false, true)).await;
    }
}

/// Receives up to the end of a head. It may have `begun` before; `gives_way` says not to wait for its other pieces.
async fn read_head(
    core: &Core,
    client: &mut Client,
    (scratch, inbox): (&mut Scratch, &mut Vec<u8>),
    (mut begun, gives_way): (bool, bool),
) -> Head {
    let limits = limits(core);
    let takes_h2c = client.may_speak_h2c(core);
    loop {
        if !inbox.is_empty() {
            match scratch.request.parse(inbox, &limits) {
                _ if takes_h2c && inbox.starts_with(h2::PREFACE) => return Head::Http2,
                _ if takes_h2c && h2::PREFACE.starts_with(inbox) => {}
                Ok(Progress::Complete) => {
                    Source::clear_deadline(&client.stream);
                    return Head::Complete;
                }
                Ok(Progress::Partial) => {}
                Err(error) => return Head::Refused(error),
            }
            if !begun {
                // One deadline for the whole head, whatever trickles in.
                begun = true;
                Source::deadline(&client.stream, core.pin().settings.client.header_timeout);
            }
            if gives_way {
                return Head::Begun;
            }
        }
        if inbox.len() == inbox.capacity() {
            inbox.reserve(inbox.capacity().min(limits.head_bytes_max));
        }
        let buf = std::mem::take(inbox);
        let (result, buf) = if begun {
            client.stream.recv(buf).await
        } else {
            let waiting = &core.waiting_with_buffer;
            waiting.set(waiting.get() + 1);
            let received = client.stream.recv_within(IDLE_WITH_BUFFER, buf).await;
            waiting.set(waiting.get() - 1);
            received
        };
        *inbox = buf;
        match result {
            Ok(0) => return Head::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut && !begun => {
                return if core.ends_idle() || idle_for(core, client) >= idle_time(core, client) {
                    Head::Closed
                } else {
                    Head::Idle
                };
            }
            Err(error) => {
                if error.kind() == std::io::ErrorKind::TimedOut {
                    core.metrics.refuse(Refused::Timeout);
                }
                return Head::Closed;
            }
        }
    }
}

fn limits(core: &Core) -> HeadLimits {
    let settings = &core.pin().settings.client;
    HeadLimits {
        line_bytes_max: settings.header_line_bytes_max,
        head_bytes_max: settings.header_bytes_max,
        fields_max: FIELDS_MAX,
    }
}

/// Answers a head that is no unambiguous request, and ends the connection: nothing behind it is trusted.
async fn refuse(core: &Rc<Core>, client: &mut Client, received: &[u8], error: HeadError) {
    let reason = if matches!(error.status(), 414 | 431) { Refused::HeadTooLarge } else { Refused::BadRequest };
    core.metrics.refuse(reason);
    tracing::debug!(client = %client.facts.peer, reason = error.label(), "request refused");
    exchange::answer_refusal(core, client, received, error.status()).await;
}
