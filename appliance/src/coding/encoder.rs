//! The encoders of a core: counted, and kept warm where that is worth it.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, SafeResult};

use super::Coding;
use crate::limits::ENCODERS_BYTES_MAX;

/// What a gzip encoder takes at every level, measured, rounded up.
const GZIP_BYTES: usize = 384 << 10;
/// The window: more would gain little on web pages and cost memory for every response.
const BROTLI_WINDOW_BITS: i32 = 18;
/// Levels above it take a hundred times as long as gzip, and would hold the core.
const BROTLI_LEVEL_MAX: u8 = 6;
/// The window of zstd, for the same reason; every client takes one of 8 MiB.
const ZSTD_WINDOW_BITS: u32 = 18;
/// Levels above it take many times as long as gzip, and twice the memory.
const ZSTD_LEVEL_MAX: u8 = 6;
/// gzip encoders that a core keeps; one is a quarter of a megabyte of tables to clear.
const KEPT_MAX: usize = 8;
/// Room for output that is made at a time.
const ROOM_BYTES: usize = 4 << 10;

/// What a core has lent and keeps.
#[derive(Default)]
pub(crate) struct Encoders {
    /// By their level.
    kept: RefCell<Vec<(u8, Compress)>>,
    /// Of those that are lent.
    bytes: Cell<usize>,
}

impl Encoders {
    /// An encoder, unless those that are lent take all the memory that there is for them.
    pub(crate) fn lend(self: &Rc<Self>, coding: Coding, level: u8) -> Option<Encoder> {
        let bytes = match coding {
            Coding::Gzip => GZIP_BYTES,
            Coding::Zstd => zstd_bytes(level),
            Coding::Brotli => brotli_bytes(level),
        };
        let lent = self.bytes.get() + bytes;
        if lent > ENCODERS_BYTES_MAX {
            return None;
        }
        let state = match coding {
            Coding::Gzip => State::Gzip { level, compress: self.gzip(level) },
            Coding::Brotli => State::Brotli(brotli(level)),
            Coding::Zstd => State::Zstd(zstd_context(level)?),
        };
        self.bytes.set(lent);
        Some(Encoder { home: Rc::clone(self), bytes, state })
    }

    /// Bytes of those that are lent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    fn gzip(&self, level: u8) -> Compress {
        let mut kept = self.kept.borrow_mut();
        match kept.iter().position(|(other, _)| *other == level) {
            Some(at) => kept.swap_remove(at).1,
            None => Compress::new_gzip(Compression::new(level.into()), 15),
        }
    }
}

/// What a brotli encoder takes with [`BROTLI_WINDOW_BITS`], measured on long bodies, rounded up.
fn brotli_bytes(level: u8) -> usize {
    match level {
        0 | 1 => 576 << 10,
        2..=4 => 1728 << 10,
        _ => 3328 << 10,
    }
}

/// The same for zstd with [`ZSTD_WINDOW_BITS`].
fn zstd_bytes(level: u8) -> usize {
    match level {
        0..=3 => 2 << 20,
        _ => 6 << 20,
    }
}

/// `None` when there is no memory.
fn zstd_context(level: u8) -> Option<CCtx<'static>> {
    let mut context = CCtx::try_create()?;
    context.set_parameter(CParameter::CompressionLevel(level.min(ZSTD_LEVEL_MAX).into())).ok()?;
    context.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_BITS)).ok()?;
    Some(context)
}

fn brotli(level: u8) -> Box<CompressorWriter<Vec<u8>>> {
    let params = BrotliEncoderParams {
        quality: level.min(BROTLI_LEVEL_MAX).into(),
        lgwin: BROTLI_WINDOW_BITS,
        ..BrotliEncoderParams::default()
    };
    Box::new(CompressorWriter::with_params(Vec::new(), ROOM_BYTES, &params))
}

/// How far the output of an encoder must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More input follows at once.
    More,
    /// Whoever has the output must be able to read all of the input.
    Flush,
    /// It was the last.
    Finish,
}

/// The encoder of one response.
pub(crate) struct Encoder {
    home: Rc<Encoders>,
    bytes: usize,
    state: State,
}

enum State {
    Gzip { level: u8, compress: Compress },
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(CCtx<'static>),
    Finished,
}

/// An encoder failed, which it does for no input that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Encoder {
    /// Appends what `input` becomes to `out`.
    pub(crate) fn encode(&mut self, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
        match &mut self.state {
            State::Gzip { compress, .. } => gzip(compress, input, step, out),
            State::Brotli(writer) => {
                writer.write_all(input).map_err(|_| Broken)?;
                match step {
                    Step::More => {}
                    Step::Flush => writer.flush().map_err(|_| Broken)?,
                    Step::Finish => {
                        let State::Brotli(writer) = std::mem::replace(&mut self.state, State::Finished) else {
                            return Err(Broken);
                        };
                        out.extend_from_slice(&writer.into_inner());
                        return Ok(());
                    }
                }
                out.append(writer.get_mut());
                Ok(())
            }
            State::Zstd(context) => {
                zstd(context, input, step, out)?;
                if step == Step::Finish {
                    self.state = State::Finished;
                }
                Ok(())
            }
            State::Finished => Err(Broken),
        }
    }
}

fn gzip(compress: &mut Compress, mut input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
    let flush = match step {
        Step::More => FlushCompress::None,
        Step::Flush => FlushCompress::Sync,
        Step::Finish => FlushCompress::Finish,
    };
    loop {
        out.reserve(ROOM_BYTES);
        let before = compress.total_in();
        let status = compress.compress_vec(input, out, flush).map_err(|_| Broken)?;
        let used = usize::try_from(compress.total_in() - before).map_err(|_| Broken)?;
        input = &input[used..];
        let is_drained = input.is_empty() && out.len() < out.capacity();
        if status == Status::StreamEnd || (is_drained && step != Step::Finish) {
            return Ok(());
        }
    }
}

fn zstd(context: &mut CCtx<'_>, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
    let mut source = InBuffer::around(input);
    while source.pos() < input.len() {
        with_room(out, |room| context.compress_stream(room, &mut source))?;
    }
    // Each says how much is left to be written.
    match step {
        Step::More => {}
        Step::Flush => while with_room(out, |room| context.flush_stream(room))? > 0 {},
        Step::Finish => while with_room(out, |room| context.end_stream(room))? > 0 {},
    }
    Ok(())
}

/// Writes behind what is in `out`.
fn with_room(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> SafeResult,
) -> Result<usize, Broken> {
    out.reserve(ROOM_BYTES);
    let behind = out.len();
    write(&mut OutBuffer::around_pos(out, behind)).map_err(|_| Broken)
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.home.bytes.set(self.home.bytes.get() - self.bytes);
        if let State::Gzip { level, mut compress } = std::mem::replace(&mut self.state, State::Finished) {
            let mut kept = self.home.kept.borrow_mut();
            if kept.len() == KEPT_MAX {
                // Of a level that nobody asks for any more, perhaps.
                kept.remove(0);
            }
            compress.reset();
            kept.push((level, compress));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        // What is flushed can be read although the stream has not ended.
        let _end = match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Coding::Zstd => zstd::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_end(&mut out)),
        };
        out
    }

    #[test]
    fn what_was_flushed_can_be_read_at_once_and_the_whole_at_the_end() {
        let encoders = Rc::new(Encoders::default());
        // Twice, as the second one is a kept one.
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd, Coding::Gzip, Coding::Brotli] {
            let mut encoder = encoders.lend(coding, 4).unwrap();
            let (mut out, mut plain) = (Vec::new(), Vec::new());
            for piece in ["data: 1\n\n".as_bytes(), &[b'x'; 100_000], b"data: 2\n\n"] {
                encoder.encode(piece, Step::More, &mut out).unwrap();
                encoder.encode(b"", Step::Flush, &mut out).unwrap();
                plain.extend_from_slice(piece);
                assert_eq!(decoded(coding, &out), plain, "{coding:?}");
            }
            encoder.encode(b"end", Step::Finish, &mut out).unwrap();
            plain.extend_from_slice(b"end");
            assert_eq!(decoded(coding, &out), plain);
            assert!(
                out.len() < 1000 && encoder.encode(b"", Step::Finish, &mut out).is_err() == (coding != Coding::Gzip)
            );
        }
    }

    #[test]
    fn zstd_takes_no_more_memory_than_is_counted() {
        // Nothing that repeats, so that all tables are filled.
        let mut random = fastrand::Rng::with_seed(7);
        let body: Vec<u8> = (0..4 << 20).map(|_| random.u8(..)).collect();
        for level in 1..=19 {
            let (mut context, mut out) = (zstd_context(level).unwrap(), Vec::new());
            zstd(&mut context, &body, Step::Flush, &mut out).unwrap();
            assert!(context.sizeof() <= zstd_bytes(level), "{level}: {}", context.sizeof());
        }
    }

    #[test]
    fn memory_is_counted_given_back_and_bounded() {
        let encoders = Rc::new(Encoders::default());
        let mut lent: Vec<_> = std::iter::from_fn(|| encoders.lend(Coding::Brotli, 4)).collect();
        assert_eq!(lent.len(), ENCODERS_BYTES_MAX / brotli_bytes(4));
        assert_eq!(encoders.bytes(), lent.len() * brotli_bytes(4));
        lent.pop();
        assert!(encoders.lend(Coding::Gzip, 1).is_some());
        lent.clear();
        assert_eq!(encoders.bytes(), 0);
    }
}
