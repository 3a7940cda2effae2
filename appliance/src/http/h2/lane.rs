//! One HTTP/2 stream as a conversation in HTTP/1.1.
//!
//! The exchange reads and writes the bytes of HTTP/1.1 on it as on any connection, so every rule of the proxy holds for
//! both versions by being written once. The head of the other side's message is translated on its way; bodies are
//! re-framed, under the flow control of the stream: what is not read here is not granted, and what the peer does not
//! grant is not sent.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::inflow::Inflow;
use super::outgoing::Outgoing;
use super::response_in::AwaitedResponse;
use super::session::Running;
use super::stalls::{Stall, Stalls, Taken};
use super::unread::Inlet;
use super::{ResetReason, Unprocessed};
use crate::io::{Aborter, Deadline, Owned, Timers, wake_last};
use crate::limits::H2_STALLED_STEADY;

/// What is read.
pub(super) enum Incoming {
    /// A body.
    Body(Inflow),
    /// A response that the upstream has not begun.
    Response(AwaitedResponse),
}

/// A handle of the conversation.
#[derive(Clone)]
pub(crate) struct Lane {
    ends: Rc<Ends>,
    /// The deadline of a sending half; otherwise that of the conversation holds.
    sending: Option<Rc<Deadline>>,
}

struct Ends {
    incoming: RefCell<Incoming>,
    outgoing: RefCell<Outgoing>,
    deadline: Deadline,
    timers: Rc<Timers>,
    /// Counts the stream in until the last handle goes.
    running: RefCell<Option<Running>>,
    /// Where the peer is a client: what its core's clients leave waiting.
    stalls: RefCell<Option<Rc<Stalls>>>,
    /// When its client gives it up, where that is known.
    due: OnceCell<Deadline>,
    /// When it first waited for its client, by [`Timers::now_ms`].
    first_waited: Cell<Option<u64>>,
    /// It waited when too much did.
    shed: Rc<Cell<bool>>,
    /// Its body was not read when too much was not.
    unread: Rc<Cell<bool>>,
}

/// Why a stream of a client ends before its exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Its client took it back.
    ByPeer,
    /// Its body was not read for long, and too much of the core was not.
    Unread,
    /// Its client waits no longer.
    Late,
}

impl Lane {
    /// With what counts it among the streams of its session.
    pub(super) fn counted(self, running: Running) -> Self {
        *self.ends.running.borrow_mut() = Some(running);
        self
    }

    /// With bounds on what waits for the peer's windows and on what waits to be read.
    pub(super) fn bounded(self, stalls: &Rc<Stalls>, inlet: &Rc<Inlet>) -> Self {
        *self.ends.stalls.borrow_mut() = Some(Rc::clone(stalls));
        if let Incoming::Body(body) = &mut *self.ends.incoming.borrow_mut() {
            body.bounded(inlet, self.aborter(), &self.ends.unread);
        }
        self
    }

    pub(super) fn new(incoming: Incoming, outgoing: Outgoing, timers: &Rc<Timers>) -> Self {
        let ends = Ends {
            incoming: RefCell::new(incoming),
            outgoing: RefCell::new(outgoing),
            deadline: Deadline::new(timers),
            timers: Rc::clone(timers),
            running: RefCell::default(),
            stalls: RefCell::default(),
            due: OnceCell::new(),
            first_waited: Cell::default(),
            shed: Rc::default(),
            unread: Rc::default(),
        };
        Self { ends: Rc::new(ends), sending: None }
    }

    /// Two halves, each with a deadline of its own: the receiving one, then the sending one.
    pub(crate) fn split(self) -> (Self, Self) {
        let sending = Some(Rc::new(Deadline::new(&self.ends.timers)));
        let half = Self { ends: Rc::clone(&self.ends), sending };
        (self, half)
    }

    fn own_deadline(&self) -> &Deadline {
        self.sending.as_deref().unwrap_or(&self.ends.deadline)
    }

    /// An abort ends both halves, a deadline that of its own.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.sending.is_some()
            && let Poll::Ready(error) = self.ends.deadline.poll_aborted(cx)
        {
            return Poll::Ready(error);
        }
        self.own_deadline().poll_passed(cx)
    }

    /// As [`crate::stream::Source::recv`].
    pub(crate) async fn recv(&self, mut buf: Vec<u8>) -> Owned<usize> {
        let running = &self.ends.running;
        let heard = running.borrow().as_ref().map(Running::heard);
        let result = poll_fn(|cx| {
            if let Poll::Ready(error) = self.poll_ended(cx) {
                if error.kind() == io::ErrorKind::TimedOut {
                    // A stream that is late says nothing about a session on which others are answered.
                    running.borrow().as_ref().filter(|now| heard == Some(now.heard())).inspect(|now| now.distrust());
                }
                return Poll::Ready(Err(error));
            }
            let mut read = ready!(self.ends.incoming.borrow_mut().poll_read(cx, &mut buf));
            if let Some(running) = &*running.borrow() {
                match &mut read {
                    Ok(_) => running.hear(),
                    Err(error) => Unprocessed::note(error, || running.refused()),
                }
            }
            Poll::Ready(read)
        })
        .await;
        (result, buf)
    }

    /// As [`Lane::recv`], of what has come already; `None` where something is to come.
    pub(crate) async fn recv_come(&self, mut buf: Vec<u8>) -> Owned<Option<usize>> {
        let result = poll_fn(|cx| {
            Poll::Ready(match self.ends.incoming.borrow_mut().poll_read(cx, &mut buf) {
                Poll::Ready(read) => read.map(Some),
                Poll::Pending => Ok(None),
            })
        });
        (result.await, buf)
    }

    /// As [`crate::stream::Sink::send`].
    ///
    /// A client that does not take it at once has its own copy wait, and the buffer is gone.
    pub(crate) async fn send(&self, mut buf: Vec<u8>) -> Owned<()> {
        let taken = self.ends.outgoing.borrow_mut().take(&buf);
        if let Err(error) = taken {
            return (Err(error), buf);
        }
        let (mut stall, mut gave_way) = (None, false);
        let sent = poll_fn(|cx| {
            if let Poll::Ready(error) = self.poll_ended(cx) {
                return Poll::Ready(Err(error));
            }
            let drained = self.ends.outgoing.borrow_mut().poll_drained(cx);
            if drained.is_pending() {
                if self.ends.outgoing.borrow().is_held() && !std::mem::replace(&mut gave_way, true) {
                    // Most often its connection had no turn yet, and no client is waited for.
                    wake_last(cx.waker());
                } else if self.ends.waits(&mut stall) {
                    buf = Vec::new();
                }
            }
            drained
        })
        .await;
        (sent, buf)
    }

    /// Whether it was ended because too much waited for its client and the like.
    pub(super) fn was_shed(&self) -> bool {
        self.ends.shed.get()
    }

    /// The sending side is over.
    pub(crate) fn shutdown_write(&self) {
        // A peer that is gone needs no end.
        let _ = self.ends.outgoing.borrow_mut().finish();
    }

    /// See [`crate::stream::Source::deadline`].
    pub(crate) fn deadline(&self, after: Duration) {
        self.own_deadline().set(after);
    }

    /// See [`crate::stream::Source::clear_deadline`].
    pub(crate) fn clear_deadline(&self) {
        self.own_deadline().clear();
    }

    /// What can end the conversation from elsewhere on the core.
    pub(crate) fn aborter(&self) -> Aborter {
        self.ends.deadline.aborter()
    }

    /// Whether the head of what is sent here has left.
    pub(super) fn has_begun(&self) -> bool {
        matches!(*self.ends.outgoing.borrow(), Outgoing::Body(_) | Outgoing::Ended)
    }

    /// The client waits for so long.
    pub(super) fn give_up_after(&self, after: Duration) {
        self.ends.due.get_or_init(|| Deadline::new(&self.ends.timers)).set(after);
    }

    /// Waits until the stream has to end, and meanwhile bounds what nobody reads of it.
    pub(super) async fn broken(&self) -> Broken {
        poll_fn(|cx| {
            if self.ends.outgoing.borrow_mut().poll_reset(cx).is_ready() {
                return Poll::Ready(Broken::ByPeer);
            }
            if self.ends.due.get().is_some_and(|due| due.poll_passed(cx).is_ready()) {
                return Poll::Ready(Broken::Late);
            }
            if let Incoming::Body(body) = &mut *self.ends.incoming.borrow_mut() {
                body.poll_unread(cx);
            }
            let aborted = self.ends.deadline.poll_aborted(cx);
            if aborted.is_ready() && self.ends.unread.get() { Poll::Ready(Broken::Unread) } else { Poll::Pending }
        })
        .await
    }

    /// Answers with a head of HTTP/1.1 without a body, if none has left.
    pub(super) fn answer(&self, head: &[u8]) {
        if !self.has_begun() {
            // A peer that is gone needs no answer.
            let _ = self.ends.outgoing.borrow_mut().take(head);
        }
    }

    /// Breaks the stream off unless its end was sent: the peer must not take what it has for all.
    pub(crate) fn break_off(&self, reason: Option<ResetReason>) {
        let reason = reason.map_or(h2::Reason::INTERNAL_ERROR, |ResetReason(reason)| reason);
        self.ends.outgoing.borrow_mut().reset(reason);
    }
}

impl Ends {
    /// The peer does not take what is sent now: `stall` counts that, anew where it took a part. Whether it is bounded.
    fn waits(&self, stall: &mut Option<(usize, Stall)>) -> bool {
        let (stalls, outgoing) = (self.stalls.borrow(), self.outgoing.borrow());
        let (Some(stalls), Some((left, begun))) = (stalls.as_ref(), outgoing.waiting()) else { return false };
        if stall.as_ref().is_none_or(|(before, _)| *before != left) {
            // The one before leaves first.
            stall.take();
            *stall = Some((left, stalls.enter(self.taken(begun), left, self.deadline.aborter(), &self.shed)));
        }
        true
    }

    /// What the client has taken, of which something just now unless it waits for the first time.
    fn taken(&self, begun: bool) -> Taken {
        let now = self.timers.now_ms();
        let first = self.first_waited.get().unwrap_or(now);
        self.first_waited.set(Some(first));
        match begun {
            false => Taken::Nothing,
            true if u128::from(now - first) < H2_STALLED_STEADY.as_millis() => Taken::Some,
            true => Taken::Steadily,
        }
    }
}

impl Incoming {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Body(body) => body.poll_read(cx, buf),
            Self::Response(response) => {
                let before = buf.len();
                if let Some(body) = ready!(response.poll_head(cx, buf))? {
                    *self = Self::Body(body);
                }
                Poll::Ready(Ok(buf.len() - before))
            }
        }
    }
}
