//! The core's stream as the poll-style one that h2 wants.
//!
//! An operation on the core owns its buffer and is never dropped half-way, so each one lives here until it is done.
//! What h2 writes between two flushes leaves in one send.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::PREFACE;
use super::meter::{Crowd, Meter};
use super::sieve::Sieve;
use super::stalls::{Member, Stalls};
use super::unread::{Arrival, Inlet};
use crate::buffers::{Buffers, HEAD_BYTES};
use crate::io::{self as core_io, Owned, Timers, wake_last};
use crate::limits::CLIENT_SEND;
use crate::relay;
use crate::stream::{Reader, Source, Writer};

/// Bytes that wait for the send before them. h2 stops writing there, and by that the streams stop reading.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// The same where a core's clients leave much: each keeps little.
const WAITING_BYTES_LITTLE: usize = HEAD_BYTES;

/// A whole record of TLS.
const RECORD_BYTES: usize = 16 << 10;

type Operation<T> = Pin<Box<dyn Future<Output = T>>>;

enum Reading {
    Idle(Reader),
    /// Waits for the first bytes of what comes next.
    Listening(Operation<(Reader, io::Result<()>)>),
    /// They are there.
    Heard(Reader),
    Busy(Operation<(Reader, Owned<usize>)>),
    Ended,
}

enum Writing {
    Idle(Writer),
    Busy(Operation<(Writer, Owned<()>)>),
    Ended,
}

/// Receives that may complete at once, one behind the other: who sends without a pause must not keep the core from
/// its other clients.
const RECEIVES_AT_ONCE_MAX: u32 = 8;

/// A connection as h2 sees it.
pub(crate) struct Wire {
    reading: Reading,
    writing: Writing,
    /// Received and not yet read, from `read` on.
    received: Vec<u8>,
    read: usize,
    /// Receives since the last one that was waited for.
    at_once: u32,
    /// Something was read since whoever it is for had a turn.
    delivered: bool,
    /// Written and not yet being sent.
    waiting: Vec<u8>,
    /// Bytes that are being sent.
    sending: usize,
    buffers: Rc<Buffers>,
    timers: Rc<Timers>,
    sieve: Sieve,
    metered: Option<Metered>,
}

/// What bounds the frames of a peer that is not trusted, and what it leaves.
struct Metered {
    meter: Meter,
    member: Member,
    inlet: Rc<Inlet>,
    /// Counts what is received now, where it may be one of many that nobody reads.
    arrival: Option<Arrival>,
    refused: Rc<Cell<Option<h2::Reason>>>,
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.inlet.end();
    }
}

impl Wire {
    /// Over both halves of a stream; `early` was received before.
    pub(crate) fn new(
        (buffers, timers): (&Rc<Buffers>, &Rc<Timers>),
        (reader, writer): (Reader, Writer),
        early: Vec<u8>,
    ) -> Self {
        Self {
            reading: Reading::Idle(reader),
            writing: Writing::Idle(writer),
            received: early,
            read: 0,
            at_once: 0,
            delivered: false,
            waiting: Vec::new(),
            sending: 0,
            buffers: Rc::clone(buffers),
            timers: Rc::clone(timers),
            sieve: Sieve::behind(0, timers.now_ms()),
            metered: None,
        }
    }

    /// From a client, with a look at its frames. `refused` is told of one that is wrong or one too many, and no more is
    /// read then.
    pub(super) fn metered(
        mut self,
        crowd: Rc<Crowd>,
        (stalls, inlet): (&Rc<Stalls>, &Rc<Inlet>),
        refused: Rc<Cell<Option<h2::Reason>>>,
    ) -> Self {
        let now_ms = self.timers.now_ms();
        let (meter, member, inlet) = (Meter::new(crowd, now_ms), stalls.join(), Rc::clone(inlet));
        self.metered = Some(Metered { meter, member, inlet, arrival: None, refused });
        self.sieve = Sieve::behind(PREFACE.len(), now_ms);
        self.look();
        self
    }

    fn begin_receive(&mut self) {
        self.expect();
        self.read = 0;
        let spent = std::mem::take(&mut self.received);
        // Most connections wait most of the time: a large buffer only follows a receive that filled a small one, and TLS
        // has one of its own for the time.
        let much = spent.len() >= HEAD_BYTES;
        self.buffers.put(spent);
        let room = match &self.reading {
            Reading::Idle(Reader::Tls(_)) | Reading::Heard(Reader::Tls(_)) => Vec::new(),
            _ if much => self.buffers.body(),
            _ => self.buffers.head(),
        };
        self.reading = match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Idle(mut reader) | Reading::Heard(mut reader) => Reading::Busy(Box::pin(async move {
                let received = reader.recv(room).await;
                (reader, received)
            })),
            other => other,
        };
    }

    /// As [`Self::begin_receive`], but of TLS only as much as shows that something comes: a whole record is 16 KiB.
    fn begin_listening(&mut self) {
        self.reading = match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Idle(Reader::Tls(mut tls)) => Reading::Listening(Box::pin(async move {
                let heard = tls.listen().await;
                (Reader::Tls(tls), heard)
            })),
            Reading::Idle(reader) => Reading::Heard(reader),
            other => other,
        };
    }

    /// Whether nothing is received now: too many bodies are not read, some of them this connection's.
    fn is_paused(&mut self, listens_first: bool, cx: &mut Context<'_>) -> bool {
        let Some(metered) = &self.metered else { return false };
        match self.reading {
            Reading::Idle(_) | Reading::Heard(_) => {}
            _ => return false,
        }
        if listens_first && std::mem::take(&mut self.delivered) {
            // The requests that were read begin first: they may be what the connection pauses for.
            wake_last(cx.waker());
            return true;
        }
        let begins = matches!(self.reading, Reading::Heard(_)) || !listens_first;
        begins && metered.inlet.poll_open(cx).is_pending()
    }

    /// Whether each that is received here may be one of many that nobody reads.
    fn listens_first(&self) -> bool {
        self.metered.as_ref().is_some_and(|metered| metered.inlet.is_one_of_many())
    }

    /// A record is there to be received, and may be one of many that nobody reads.
    fn expect(&mut self) {
        if let (Some(metered), Reading::Heard(Reader::Tls(_))) = (&mut self.metered, &self.reading) {
            metered.arrival = Some(metered.inlet.arrival(RECORD_BYTES));
        }
    }

    /// Counts what was just received until whoever it is for has had a turn.
    fn arrive(&mut self) {
        let listens_first = self.listens_first();
        let Some(Metered { inlet, arrival, .. }) = &mut self.metered else { return };
        let counted = || inlet.arrival(self.received.len());
        if let Some(arrival) = arrival.take().or_else(|| listens_first.then(counted)) {
            core_io::spawn(async move {
                // They are woken behind this.
                core_io::give_way().await;
                drop(arrival);
            });
        }
    }

    /// Looks at what was just received: a frame that is refused, and what is behind it, is not read.
    fn look(&mut self) {
        let now_ms = self.timers.now_ms();
        let meter = self.metered.as_mut().map(|metered| &mut metered.meter);
        let taken = self.sieve.take(&mut self.received, meter, now_ms);
        let Some(Metered { meter, refused, .. }) = &self.metered else { return };
        if let Err(reason) = taken {
            refused.set(Some(reason));
        }
        if meter.is_crumbs() {
            self.at_once = RECEIVES_AT_ONCE_MAX;
        }
    }

    fn begin_send(&mut self) {
        let out = std::mem::take(&mut self.waiting);
        self.sending = out.len();
        self.writing = match std::mem::replace(&mut self.writing, Writing::Ended) {
            Writing::Idle(mut writer) => Writing::Busy(Box::pin(async move {
                let sent = relay::send(&mut writer, out, CLIENT_SEND).await;
                (writer, sent)
            })),
            other => other,
        };
    }

    /// Room for so many bytes that will wait; a small buffer as long as it holds them.
    fn make_room(&mut self, bytes: usize) {
        let wanted = self.waiting.len() + bytes;
        if wanted > self.waiting.capacity() {
            if self.is_one_of_many() {
                // Of its own size: the large ones of the pool have been written to from end to end.
                return self.waiting.reserve_exact(bytes);
            }
            let roomy = self.buffers.fitting(wanted);
            let small = std::mem::replace(&mut self.waiting, roomy);
            self.waiting.extend_from_slice(&small);
            self.buffers.put(small);
        }
    }

    /// Tells the core what is kept here.
    fn count(&mut self) {
        let kept = self.waiting.len() + self.sending;
        if let Some(metered) = &mut self.metered {
            metered.member.keeps(kept);
        }
    }

    fn waiting_bytes_max(&self) -> usize {
        if self.is_one_of_many() { WAITING_BYTES_LITTLE } else { WAITING_BYTES_MAX }
    }

    /// Whether a core's clients leave much.
    fn is_one_of_many(&self) -> bool {
        self.metered.as_ref().is_some_and(|metered| metered.member.is_one_of_many())
    }

    /// Waits for the send that runs.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Writing::Busy(send) = &mut self.writing else { return Poll::Ready(Ok(())) };
        let (writer, (sent, out)) = ready!(send.as_mut().poll(cx));
        self.buffers.put(out);
        self.sending = 0;
        self.count();
        self.writing = if sent.is_ok() { Writing::Idle(writer) } else { Writing::Ended };
        Poll::Ready(sent)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let unread = &self.received[self.read..];
            if !unread.is_empty() {
                let taken = unread.len().min(out.remaining());
                out.put_slice(&unread[..taken]);
                self.read += taken;
                self.delivered = true;
                return Poll::Ready(Ok(()));
            }
            if self.metered.as_ref().is_some_and(|metered| metered.refused.get().is_some()) {
                // Whoever drives the connection looks at it next.
                return Poll::Pending;
            }
            let listens_first = self.listens_first();
            if self.is_paused(listens_first, cx) {
                return Poll::Pending;
            }
            let gives_way = self.at_once >= RECEIVES_AT_ONCE_MAX;
            match &mut self.reading {
                Reading::Ended => return Poll::Ready(Ok(())),
                Reading::Idle(_) if gives_way => {
                    self.at_once = 0;
                    wake_last(cx.waker());
                    return Poll::Pending;
                }
                Reading::Idle(_) if listens_first => self.begin_listening(),
                Reading::Idle(_) | Reading::Heard(_) => {
                    self.at_once += 1;
                    self.begin_receive();
                }
                Reading::Listening(listen) => {
                    let Poll::Ready((reader, heard)) = listen.as_mut().poll(cx) else {
                        self.at_once = 0;
                        return Poll::Pending;
                    };
                    self.reading = if heard.is_ok() { Reading::Heard(reader) } else { Reading::Ended };
                    heard?;
                }
                Reading::Busy(receive) => {
                    let Poll::Ready((reader, (result, buf))) = receive.as_mut().poll(cx) else {
                        self.at_once = 0;
                        return Poll::Pending;
                    };
                    self.received = buf;
                    let ended = !matches!(result, Ok(1..));
                    self.reading = if ended { Reading::Ended } else { Reading::Idle(reader) };
                    result?;
                    self.look();
                    self.arrive();
                }
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= self.waiting_bytes_max() {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        if matches!(self.writing, Writing::Ended) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.make_room(data.len());
        self.waiting.extend_from_slice(data);
        self.count();
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            match self.as_mut().poll_write(cx, piece) {
                Poll::Ready(Ok(n)) => written += n,
                Poll::Pending if written > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_sent(cx))?;
            if self.waiting.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if matches!(self.writing, Writing::Ended) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.begin_send();
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        if let Writing::Idle(mut writer) = std::mem::replace(&mut self.writing, Writing::Ended) {
            self.writing = Writing::Busy(Box::pin(async move {
                writer.shutdown_write().await;
                (writer, (Ok(()), Vec::new()))
            }));
            let ended = self.poll_sent(cx);
            if ended.is_ready() {
                self.writing = Writing::Ended;
            }
            return ended;
        }
        Poll::Ready(Ok(()))
    }
}
