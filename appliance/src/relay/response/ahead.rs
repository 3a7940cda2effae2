//! A response that is read ahead of its client (`proxy-buffering: on`), so that its upstream need not wait for a slow one.
//!
//! Two futures of one task share what is held: one reads the upstream, the other is the relay, for which what is held is
//! where the response comes from. The former follows the framing only to see where the body ends: the upstream is let go
//! then, and the rest of what is done to a body is done to it where it leaves.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Incoming, Relayed, Treatment, next_buffer};
use crate::buffers::BODY_BYTES;
use crate::error::Failure;
use crate::http::chunked::ChunkDecoder;
use crate::http::framing::ResponseBody;
use crate::http::respond::Written;
use crate::io::{Aborter, Deadline, Owned};
use crate::limits::READ_AHEAD_BYTES_MAX;
use crate::relay;
use crate::stream::{Sink, Source};
use crate::worker::Core;

/// One response.
pub(crate) struct Ahead<'c> {
    core: &'c Core,
    bytes_max: usize,
    held: RefCell<Held>,
    /// Raised when the client leaves while it is waited for. The upstream's own would not do: its connection may serve
    /// another request by then.
    left: Deadline,
}

/// What was read and not yet given on.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// Of these, given on.
    given: usize,
    /// Nothing more comes, for this reason.
    end: Option<io::Result<()>>,
    /// The relay, when it waits for more.
    relay: Option<Waker>,
    /// The reading side, when it waits for room.
    reader: Option<Waker>,
    /// The buffer of a receive for which nobody waits.
    receiving: usize,
    /// What the core counts of it.
    counted: usize,
}

/// Where a body stands whose bytes are passed on as they are.
pub(crate) struct Progress {
    incoming: Incoming,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// More has to come.
    Open,
    /// All of it came, and nothing else.
    Clean,
    /// Nothing is to be made of the connection.
    Spoilt,
}

impl Progress {
    /// Of a body whose first bytes came with the head.
    pub(crate) fn begin(body: ResponseBody, first: &[u8]) -> Self {
        let incoming = match body {
            ResponseBody::None => Incoming::Length { left: 0 },
            ResponseBody::Length(left) => Incoming::Length { left },
            ResponseBody::Chunked => Incoming::Chunked(ChunkDecoder::default()),
            ResponseBody::UntilClose => Incoming::UntilClose,
        };
        let mut progress = Self { incoming, state: State::Open };
        progress.see(first);
        progress
    }

    fn see(&mut self, input: &[u8]) {
        let ended = |surplus| if surplus { State::Spoilt } else { State::Clean };
        match &mut self.incoming {
            Incoming::Length { left } => {
                let bytes = input.len() as u64;
                if bytes >= *left {
                    self.state = ended(bytes > *left);
                }
                *left = left.saturating_sub(bytes);
            }
            Incoming::Chunked(decoder) => {
                let mut at = 0;
                loop {
                    // What is malformed is told by the relay, which meets it where it is.
                    let Ok(step) = decoder.decode(&input[at..]) else {
                        self.state = State::Spoilt;
                        return;
                    };
                    at += step.consumed;
                    if step.complete {
                        self.state = ended(at < input.len());
                    }
                    if step.complete || step.consumed == 0 {
                        return;
                    }
                }
            }
            Incoming::UntilClose => {}
        }
    }
}

impl<'c> Ahead<'c> {
    /// Holds up to so many bytes, and what one receive brings beyond them.
    pub(crate) fn new(core: &'c Core, bytes_max: usize) -> Self {
        Self { core, bytes_max, held: RefCell::default(), left: Deadline::new(&core.timers) }
    }

    /// Reads to the end of the body, or of the upstream. Whether its connection is at the border of a message.
    pub(crate) async fn read(&self, (upstream, timeout): (&mut impl Source, Duration), mut progress: Progress) -> bool {
        while progress.state == State::Open {
            let room = poll_fn(|cx| self.poll_room(cx)).await;
            let buf = room.map_or_else(|| next_buffer(self.core), |room| self.buffer_for(room));
            self.change(|held| held.receiving = if room.is_some() { buf.capacity() } else { 0 });
            let (received, buf) = relay::recv(upstream, buf, timeout).await;
            match received {
                Ok(1..) => progress.see(&buf),
                Ok(0) => progress.state = State::Spoilt,
                Err(error) => {
                    self.core.buffers.put(buf);
                    self.end(Err(error));
                    return false;
                }
            }
            self.give(buf);
        }
        self.end(Ok(()));
        progress.state == State::Clean
    }

    /// As [`super::relay`], of what `reading` reads: that has [`Ahead::read`] to its end, and `upstream` ends it.
    pub(crate) async fn relay(
        &self,
        (reading, upstream): (impl Future<Output = ()>, Aborter),
        (client, timeout): (&mut impl Sink, Duration),
        framings: (ResponseBody, Written, Option<Box<Treatment>>),
        received: (Vec<u8>, usize),
        out: Vec<u8>,
    ) -> Result<Relayed, Failure> {
        let mut source = Read(self);
        let mut reading = pin!(reading);
        let mut relaying = pin!(super::relay(self.core, (&mut source, timeout), client, framings, received, out));
        let mut is_read = false;
        let relayed = poll_fn(|cx| {
            is_read = is_read || reading.as_mut().poll(cx).is_ready();
            relaying.as_mut().poll(cx)
        })
        .await;
        if !is_read {
            // What is pending on it would keep the connection open.
            upstream.abort();
        }
        relayed
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let mut held = self.held.borrow_mut();
        let result = change(&mut held);
        let all = &self.core.read_ahead_bytes;
        let counted = held.bytes.capacity() + held.receiving;
        all.set(all.get() - held.counted + counted);
        held.counted = counted;
        result
    }

    /// Ready when more may be received: with the room that is left, or `None` when the relay waits for it.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let mut held = self.held.borrow_mut();
        let room = self.bytes_max.saturating_sub(held.len());
        if held.relay.is_some() {
            return Poll::Ready(None);
        }
        if room > 0 && self.core.read_ahead_bytes.get() < READ_AHEAD_BYTES_MAX {
            return Poll::Ready(Some(room));
        }
        held.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Small in a crowd.
    fn buffer_for(&self, room: usize) -> Vec<u8> {
        if self.core.is_crowded() { self.core.buffers.head() } else { self.core.buffers.fitting(room) }
    }

    fn give(&self, piece: Vec<u8>) {
        let spare = self.change(|held| {
            held.receiving = 0;
            let spare = held.push(piece);
            held.relay.take().inspect(Waker::wake_by_ref);
            spare
        });
        self.core.buffers.put(spare);
    }

    fn end(&self, end: io::Result<()>) {
        self.change(|held| {
            held.receiving = 0;
            held.end = Some(end);
            held.relay.take().inspect(Waker::wake_by_ref);
        });
    }

    fn poll_take(&self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(error) = self.left.poll_aborted(cx) {
            return Poll::Ready(Err(error));
        }
        if buf.capacity() == 0 && self.held.borrow().len() > 0 {
            *buf = next_buffer(self.core);
        }
        let (taken, spare) = self.change(|held| {
            let (taken, mut spare) = held.take(buf);
            if taken == 0 && held.end.is_none() {
                held.relay = Some(cx.waker().clone());
                held.receiving = 0;
                // The other side waits with a buffer; one is enough.
                if buf.is_empty() {
                    spare = mem::take(buf);
                }
            }
            held.reader.take().inspect(Waker::wake_by_ref);
            (taken, spare)
        });
        self.core.buffers.put(spare);
        match (taken, &mut self.held.borrow_mut().end) {
            (1.., _) => Poll::Ready(Ok(taken)),
            (0, None) => Poll::Pending,
            (0, Some(end)) => Poll::Ready(mem::replace(end, Ok(())).map(|()| 0)),
        }
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        let bytes = self.change(|held| {
            held.receiving = 0;
            mem::take(&mut held.bytes)
        });
        self.core.buffers.put(bytes);
    }
}

impl Held {
    fn len(&self) -> usize {
        self.bytes.len() - self.given
    }

    /// Holds `piece`; returns a buffer that is not needed.
    fn push(&mut self, piece: Vec<u8>) -> Vec<u8> {
        if self.bytes.is_empty() {
            return mem::replace(&mut self.bytes, piece);
        }
        if self.given > self.bytes.len() / 2 {
            self.bytes.drain(..mem::take(&mut self.given));
        }
        let (has, needs) = (self.bytes.capacity(), self.bytes.len() + piece.len());
        if needs > has {
            // It doubles, up to a step that is small beside the largest of these bounds.
            self.bytes.reserve_exact(needs.max(has + has.min(4 * BODY_BYTES)) - self.bytes.len());
        }
        self.bytes.extend_from_slice(&piece);
        piece
    }

    /// Gives as much as `buf` has room for; returns a buffer that is not needed.
    fn take(&mut self, buf: &mut Vec<u8>) -> (usize, Vec<u8>) {
        // A large buffer is not passed on: it is counted here, and who has it may keep it for long.
        let (bytes, room) = (self.len(), (buf.capacity() - buf.len()).min(BODY_BYTES));
        if buf.is_empty() && self.given == 0 && bytes > 0 && self.bytes.capacity() <= BODY_BYTES {
            return (bytes, mem::replace(buf, mem::take(&mut self.bytes)));
        }
        let taken = bytes.min(room);
        buf.extend_from_slice(&self.bytes[self.given..][..taken]);
        self.given += taken;
        if self.given < self.bytes.len() {
            return (taken, Vec::new());
        }
        self.given = 0;
        (taken, mem::take(&mut self.bytes))
    }
}

/// What was read ahead, as what a relay receives from. The time between two reads is kept where they are made.
struct Read<'a, 'c>(&'a Ahead<'c>);

impl Source for Read<'_, '_> {
    async fn recv(&mut self, mut buf: Vec<u8>) -> Owned<usize> {
        let result = poll_fn(|cx| self.0.poll_take(cx, &mut buf)).await;
        (result, buf)
    }

    fn deadline(&self, _after: Duration) {}

    fn clear_deadline(&self) {}

    fn aborter(&self) -> Aborter {
        self.0.left.aborter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_in_order_and_its_buffers_are_passed_on() {
        let mut held = Held::default();
        held.push(b"first".to_vec());
        let at = held.bytes.as_ptr();
        let mut buf = Vec::with_capacity(8);
        assert_eq!(held.take(&mut buf).0, 5);
        assert_eq!((buf.as_slice(), buf.as_ptr(), held.bytes.capacity()), (&b"first"[..], at, 0));
        let mut all = Vec::new();
        for piece in 0_u8..100 {
            held.push(vec![piece; 1000]);
            let mut buf = Vec::with_capacity(600);
            buf.push(0);
            let (taken, _) = held.take(&mut buf);
            assert_eq!((taken, buf.len()), (599, 600), "behind what is there");
            all.extend_from_slice(&buf[1..]);
        }
        while held.len() > 0 {
            let mut buf = Vec::with_capacity(8 << 10);
            held.take(&mut buf);
            all.extend_from_slice(&buf);
        }
        assert_eq!(held.bytes.capacity(), 0);
        assert!(all.len() == 100_000 && all.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 1000));
    }

    #[test]
    fn what_is_held_has_no_buffer_much_larger_than_itself() {
        let mut held = Held::default();
        for _ in 0..64 {
            held.push(vec![0; 16 << 10]);
            assert!(held.bytes.capacity() <= 2 * held.len() && held.bytes.capacity() <= held.len() + 4 * BODY_BYTES);
        }
    }

    #[test]
    fn a_large_buffer_is_not_passed_on_with_the_little_that_is_left_in_it() {
        let mut held = Held::default();
        (0..64).for_each(|_| drop(held.push(vec![0; 16 << 10])));
        while held.len() > 10 << 10 {
            held.take(&mut Vec::with_capacity(10 << 10));
        }
        held.push(vec![0; 16 << 10]);
        let mut buf = Vec::with_capacity(BODY_BYTES);
        assert!(held.bytes.capacity() > BODY_BYTES && held.take(&mut buf).0 > 0 && buf.capacity() == BODY_BYTES);
        let mut large = Vec::with_capacity(1 << 20);
        (0..64).for_each(|_| drop(held.push(vec![0; 16 << 10])));
        assert_eq!(held.take(&mut large).0, BODY_BYTES, "what one send has time for");
    }

    #[test]
    fn the_end_of_a_body_is_seen_however_it_is_framed() {
        let state = |body, pieces: &[&[u8]]| {
            let mut progress = Progress::begin(body, pieces[0]);
            pieces[1..].iter().for_each(|piece| progress.see(piece));
            match progress.state {
                State::Open => "open",
                State::Clean => "clean",
                State::Spoilt => "spoilt",
            }
        };
        assert_eq!(state(ResponseBody::Length(0), &[b""]), "clean");
        assert_eq!(state(ResponseBody::Length(4), &[b"ab"]), "open");
        assert_eq!(state(ResponseBody::Length(4), &[b"ab", b"cd"]), "clean");
        assert_eq!(state(ResponseBody::Length(4), &[b"ab", b"cdH"]), "spoilt");
        assert_eq!(state(ResponseBody::Chunked, &[b"", b"2\r\nab\r\n0\r\n"]), "open");
        assert_eq!(state(ResponseBody::Chunked, &[b"2\r\nab\r\n0\r\n", b"T: 1\r\n\r\n"]), "clean");
        assert_eq!(state(ResponseBody::Chunked, &[b"0\r\n\r\nH"]), "spoilt");
        assert_eq!(state(ResponseBody::Chunked, &[b"x"]), "spoilt");
        assert_eq!(state(ResponseBody::UntilClose, &[b"ab"]), "open");
    }
}
