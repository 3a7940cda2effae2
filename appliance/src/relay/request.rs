//! The request body: gathered before the upstream is asked, or streamed while it answers.

use std::rc::Rc;
use std::time::Duration;

use crate::buffers::HEAD_BYTES;
use crate::error::Failure;
use crate::http::body::{BodyDecoder, BodyError};
use crate::http::chunked::{CHUNK_END, LAST_CHUNK, write_chunk_header};
use crate::http::framing::BodyFraming;
use crate::http::respond::CONTINUE;
use crate::limits::{BUFFERED_BODIES_BYTES_MAX, BUFFERED_BODY_BYTES_MAX, CLIENT_SEND};
use crate::stream::{Sink, Source, Stream};
use crate::worker::Core;

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::Malformed(error) => Self::BadBody(error),
        }
    }
}

/// Bytes of a request body held in memory, counted against the core's bound.
pub(crate) struct Gathered {
    core: Rc<Core>,
    /// What was counted for it: its buffer, and the copy that will be sent.
    counted: usize,
    /// The body so far, without framing.
    pub(crate) bytes: Vec<u8>,
}

impl Gathered {
    pub(crate) fn new(core: &Rc<Core>) -> Self {
        Self { core: Rc::clone(core), counted: 0, bytes: Vec::new() }
    }

    /// Whether more may be gathered; counts what has been.
    fn has_room(&mut self) -> bool {
        let held = &self.core.buffered_body_bytes;
        let others = held.get() - self.counted;
        let (bytes, capacity) = (self.bytes.len(), self.bytes.capacity());
        self.counted = bytes + capacity.min(2 * bytes);
        held.set(others + self.counted);
        // What came of a slow body is no reason to ask its upstream: a crowd of them would take all its connections.
        let is_small = bytes < HEAD_BYTES;
        (bytes as u64) < BUFFERED_BODY_BYTES_MAX && (is_small || held.get() < BUFFERED_BODIES_BYTES_MAX)
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let held = &self.core.buffered_body_bytes;
        held.set(held.get() - self.counted);
        self.core.buffers.put(std::mem::take(&mut self.bytes));
    }
}

/// Takes what `inbox` already holds behind the head (of `head_bytes`), so that head and next request remain there.
pub(crate) fn take_received(
    decoder: &mut BodyDecoder,
    inbox: &mut Vec<u8>,
    head_bytes: usize,
    body: &mut Vec<u8>,
) -> Result<(), BodyError> {
    let used = decoder.decode(&inbox[head_bytes..], body)?;
    inbox.drain(head_bytes..head_bytes + used);
    Ok(())
}

/// Takes what has come of an HTTP/2 client's body, without waiting for more: a call of one message is whole then, as its
/// frames come together, and can be sent again.
pub(crate) async fn take_come(
    decoder: &mut BodyDecoder,
    inbox: &mut Vec<u8>,
    client: &Stream,
    body: &mut Gathered,
) -> Result<(), Failure> {
    let Stream::Lane(lane) = client else { return Ok(()) };
    let core = Rc::clone(&body.core);
    while !decoder.is_complete() && body.has_room() {
        let (result, buf) = lane.recv_come(core.waiting_buffer()).await;
        let come = result.map_err(|error| Failure::receiving_body(&error))?;
        if come == Some(0) {
            return Err(Failure::ClientGone);
        }
        let used = decoder.decode(&buf, &mut body.bytes)?;
        inbox.extend_from_slice(&buf[used..]);
        core.buffers.put(buf);
        if come.is_none() {
            break;
        }
    }
    Ok(())
}

/// Reads the body until it is complete or memory says to stream the rest.
pub(crate) async fn gather(
    decoder: &mut BodyDecoder,
    inbox: &mut Vec<u8>,
    client: &mut Stream,
    body: &mut Gathered,
    gap: Duration,
) -> Result<(), Failure> {
    let core = Rc::clone(&body.core);
    let _awaiting = core.buffers.awaiting();
    while !decoder.is_complete() && body.has_room() {
        // The stream stays intact when the time is over: the client is told 408.
        let (result, buf) = client.recv_within(gap, core.waiting_buffer()).await;
        Source::clear_deadline(client);
        match result {
            Ok(0) => return Err(Failure::ClientGone),
            Err(error) => return Err(Failure::receiving_body(&error)),
            Ok(_) => {}
        }
        let used = decoder.decode(&buf, &mut body.bytes)?;
        inbox.extend_from_slice(&buf[used..]);
        core.buffers.put(buf);
    }
    Ok(())
}

/// Tells a client that waits for it to send its body.
pub(crate) async fn send_continue(client: &mut Stream) -> Result<(), Failure> {
    super::send(client, CONTINUE.to_vec(), CLIENT_SEND).await.0.map_err(|_| Failure::ClientGone)
}

/// Streams the rest of a body to the upstream, re-framed. `first` is what was gathered of it, which is let go of once it
/// was sent.
pub(crate) async fn upload(
    core: &Core,
    decoder: &mut BodyDecoder,
    first: Gathered,
    (client, gap): (&mut impl Source, Duration),
    (upstream, timeout): (&mut impl Sink, Duration),
    framing: BodyFraming,
) -> Result<(), Failure> {
    let _awaiting = core.buffers.awaiting();
    let mut out = core.waiting_buffer();
    frame(framing, &first.bytes, decoder.is_complete(), &mut out);
    let mut first = Some(first);
    loop {
        // While one side is waited for, there is no buffer for the other.
        if !out.is_empty() {
            let (sent, returned) = super::send(upstream, out, timeout).await;
            core.buffers.put(returned);
            first.take();
            sent.map_err(|error| Failure::sending(&error))?;
        }
        if decoder.is_complete() {
            return Ok(());
        }
        let (result, buf) = super::recv(client, core.waiting_buffer(), gap).await;
        match result {
            Ok(0) => return Err(Failure::ClientGone),
            Err(error) => return Err(Failure::receiving_body(&error)),
            Ok(_) => {}
        }
        let mut piece = core.buffers.body();
        // Bytes behind a streamed body are not kept: its connection is closed afterwards.
        decoder.decode(&buf, &mut piece)?;
        core.buffers.put(buf);
        let bytes = piece.len() + CHUNK_OVERHEAD;
        out = if core.is_crowded() { Vec::with_capacity(bytes) } else { core.buffers.fitting(bytes) };
        frame(framing, &piece, decoder.is_complete(), &mut out);
        core.buffers.put(piece);
    }
}

/// Room for what frames a piece, at its end too.
const CHUNK_OVERHEAD: usize = 32;

fn frame(framing: BodyFraming, piece: &[u8], last: bool, out: &mut Vec<u8>) {
    if framing != BodyFraming::Chunked {
        return out.extend_from_slice(piece);
    }
    if !piece.is_empty() {
        write_chunk_header(out, piece.len());
        out.extend_from_slice(piece);
        out.extend_from_slice(CHUNK_END);
    }
    if last {
        out.extend_from_slice(LAST_CHUNK);
    }
}
