//! Bodies that do not go on as they come: compressed, or paced. Each piece still goes out before the next is read.

#![expect(clippy::disallowed_types, reason = "a pace is measured by the clock, once a piece")]

use std::time::{Duration, Instant};

use ringress_config::snapshot::ResponseRate;

use super::{Incoming, Outgoing, Piece, Relayed};
use crate::coding::{Encoder, Step};
use crate::error::Failure;
use crate::http::chunked::{CHUNK_END, write_chunk_header};
use crate::http::trailer::write_last_chunk;
use crate::io;
use crate::limits::{CLIENT_SEND, ENCODED_PER_TURN_BYTES};
use crate::relay;
use crate::stream::{Sink, Source};
use crate::worker::Core;

/// Pieces of a paced response take a quarter of a second each, but none is smaller.
const PACED_BYTES_MIN: u64 = 1 << 10;

/// What is done to a body on its way. At least one of the two.
pub(crate) struct Treatment {
    /// It is compressed; the head says so.
    pub(crate) encoder: Option<Encoder>,
    /// Its bytes go out at this rate.
    pub(crate) pace: Option<Pace>,
}

/// How far a paced response has come.
pub(crate) struct Pace {
    rate: ResponseRate,
    sent: u64,
    /// When the bytes that are free were gone.
    began: Option<Instant>,
}

impl Pace {
    /// At the beginning of a response.
    pub(crate) fn new(rate: ResponseRate) -> Self {
        Self { rate, sent: 0, began: None }
    }

    /// How many bytes may go now, and how long to wait before.
    fn next(&mut self, now: Instant) -> (u64, Duration) {
        let free = self.rate.after_bytes.saturating_sub(self.sent);
        if free > 0 {
            return (free, Duration::ZERO);
        }
        let began = *self.began.get_or_insert(now);
        let rate = self.rate.bytes_per_second.max(1);
        let over = self.sent - self.rate.after_bytes;
        let due = began + Duration::from_millis(over.saturating_mul(1000) / rate);
        ((rate / 4).max(PACED_BYTES_MIN), due.saturating_duration_since(now))
    }
}

/// As [`super::relay`], for a body that is treated.
pub(super) async fn relay(
    core: &Core,
    (upstream, timeout): (&mut impl Source, Duration),
    client: &mut impl Sink,
    (mut incoming, outgoing): (Incoming, Outgoing),
    mut treatment: Box<Treatment>,
    (first, mut out): (&[u8], Vec<u8>),
) -> Result<Relayed, Failure> {
    let (head_bytes, mut bytes) = (out.len() as u64, 0);
    let (mut buf, mut plain) = (core.buffers.body(), core.buffers.body());
    let mut piece = match first {
        [] if !matches!(incoming, Incoming::Length { left: 0 }) => Piece { last: false, surplus: false },
        first => incoming.take(first, &mut plain).map_err(|_| Failure::BadResponseBody)?,
    };
    loop {
        treatment.frame(core, &plain, piece.last, (&incoming, outgoing), &mut out).await?;
        plain.clear();
        bytes += out.len() as u64;
        out = treatment.send(core, client, out).await?;
        if piece.last {
            break;
        }
        buf.clear();
        let (received, returned) = relay::recv_for(client, upstream, buf, timeout).await?;
        buf = returned;
        piece = match received {
            Ok(0) if matches!(incoming, Incoming::UntilClose) => Piece { last: true, surplus: true },
            Ok(0) => return Err(Failure::ResponseCut(None)),
            Err(error) => return Err(Failure::cut_by(&error)),
            Ok(_) => incoming.take(&buf, &mut plain)?,
        };
    }
    [buf, plain, out].into_iter().for_each(|buf| core.buffers.put(buf));
    Ok(Relayed { bytes, body_bytes: bytes - head_bytes, clean: !piece.surplus })
}

impl Treatment {
    /// Appends `plain` as it goes out, with the end of the body behind the last piece.
    async fn frame(
        &mut self,
        core: &Core,
        plain: &[u8],
        last: bool,
        (incoming, outgoing): (&Incoming, Outgoing),
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut coded = Vec::new();
        let data = match &mut self.encoder {
            None => plain,
            Some(encoder) if !plain.is_empty() || last => {
                coded = core.buffers.body();
                encode(encoder, plain, last, &mut coded).await?;
                &coded
            }
            Some(_) => &[],
        };
        if !outgoing.chunked {
            out.extend_from_slice(data);
        } else {
            if !data.is_empty() {
                write_chunk_header(out, data.len());
                out.extend_from_slice(data);
                out.extend_from_slice(CHUNK_END);
            }
            if last {
                write_last_chunk(out, if outgoing.trailers { incoming.trailers() } else { &[] });
            }
        }
        core.buffers.put(coded);
        Ok(())
    }

    /// Sends `out` and gives it back empty.
    async fn send(&mut self, core: &Core, client: &mut impl Sink, mut out: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let Some(pace) = &mut self.pace else {
            if !out.is_empty() {
                let (sent, returned) = relay::send(client, out, CLIENT_SEND).await;
                out = returned;
                sent.map_err(|_| Failure::ClientGone)?;
            }
            out.clear();
            return Ok(out);
        };
        let mut at = 0;
        while at < out.len() {
            let (free, wait) = pace.next(Instant::now());
            if !wait.is_zero() {
                io::sleep(wait).await;
            }
            let end = out.len().min(at.saturating_add(usize::try_from(free).unwrap_or(usize::MAX)));
            let mut part = core.buffers.body();
            part.extend_from_slice(&out[at..end]);
            let (sent, part) = relay::send(client, part, CLIENT_SEND).await;
            core.buffers.put(part);
            sent.map_err(|_| Failure::ClientGone)?;
            pace.sent += (end - at) as u64;
            at = end;
        }
        out.clear();
        Ok(out)
    }
}

/// Encodes a piece, and flushes: who reads a stream of events waits for no other piece. Others of the core have their
/// turn in between.
async fn encode(encoder: &mut Encoder, plain: &[u8], last: bool, coded: &mut Vec<u8>) -> Result<(), Failure> {
    for part in plain.chunks(ENCODED_PER_TURN_BYTES) {
        encoder.encode(part, Step::More, coded).map_err(|_| Failure::ResponseCut(None))?;
        io::give_way().await;
    }
    let step = if last { Step::Finish } else { Step::Flush };
    encoder.encode(&[], step, coded).map_err(|_| Failure::ResponseCut(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_the_first_bytes_go_and_then_counts_the_time() {
        let mut pace = Pace::new(ResponseRate { bytes_per_second: 8192, after_bytes: 5000 });
        let start = Instant::now();
        assert_eq!(pace.next(start), (5000, Duration::ZERO));
        pace.sent = 5000;
        assert_eq!(pace.next(start), (2048, Duration::ZERO));
        pace.sent += 4096;
        assert_eq!(pace.next(start), (2048, Duration::from_millis(500)));
        assert_eq!(pace.next(start + Duration::from_millis(400)), (2048, Duration::from_millis(100)));
        assert_eq!(pace.next(start + Duration::from_secs(9)), (2048, Duration::ZERO));
        let mut slow = Pace::new(ResponseRate { bytes_per_second: 0, after_bytes: 0 });
        assert_eq!(slow.next(start).0, PACED_BYTES_MIN);
    }
}
