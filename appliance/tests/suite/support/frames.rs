//! HTTP/2 frame by frame: says whatever a test wants said, right or wrong, and sees all that comes back.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::client::Stream;
use super::hpack::{self, Fields};
use super::{PATIENCE, client};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITISED: u8 = 0x20;

pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const COMPRESSION_ERROR: u32 = 9;

/// One frame, from either side.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The code of a RST_STREAM or a GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.expect("an error code"))
    }

    pub(crate) fn fields(&self) -> Fields {
        assert!(self.has(END_HEADERS) && !self.has(PADDED | PRIORITISED), "a plain head: {self:?}");
        hpack::decode(&self.payload).unwrap_or_else(|| panic!("not HPACK without a table: {self:?}"))
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// SETTINGS with these values.
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let pair = |&(id, value): &(u16, u32)| [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &values.iter().flat_map(pair).collect::<Vec<_>>())
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// A request's pseudo-header fields, for `a.test`.
pub(crate) fn pseudo(method: &'static str, path: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![(":method", method), (":scheme", "https"), (":path", path), (":authority", "a.test")]
}

/// A whole answer of 204.
pub(crate) fn no_content(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, &[(":status", "204")])
}

/// HEADERS with these fields, whole.
pub(crate) fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &hpack::encode(fields.iter().copied()))
}

/// A GET of `/` without a body.
pub(crate) fn get(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, &pseudo("GET", "/"))
}

/// A POST whose body is to follow.
pub(crate) fn post(stream: u32) -> Vec<u8> {
    headers(stream, 0, &pseudo("POST", "/"))
}

/// How a stream was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Answer(Answer),
    Reset(u32),
    GoAway(u32),
    /// The connection ended without a word.
    Closed,
    /// Nothing came for a while.
    Silence,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that speaks frames.
pub(crate) struct Frames {
    stream: Stream,
    received: Vec<u8>,
    /// Read while something else was waited for.
    passed: VecDeque<Frame>,
    goodbye: bool,
}

impl Frames {
    /// A TLS connection on which `h2` was agreed and nothing said.
    pub(crate) fn silent(address: SocketAddr) -> io::Result<Self> {
        let stream = client::h2_session(address)?;
        assert_eq!(stream.conn.alpn_protocol(), Some(b"h2".as_slice()), "HTTP/2 is offered");
        Ok(Self::over(Stream::Tls(Box::new(stream))))
    }

    /// Over a stream on which nothing was said, from either side.
    pub(crate) fn over(stream: Stream) -> Self {
        Self { stream, received: Vec::new(), passed: VecDeque::new(), goodbye: false }
    }

    /// A connection after both prefaces, with these settings of the client.
    pub(crate) fn with(address: SocketAddr, values: &[(u16, u32)]) -> io::Result<Self> {
        let mut frames = Self::silent(address)?;
        frames.begin(values, Duration::ZERO)?;
        Ok(frames)
    }

    /// The same in the clear, by prior knowledge, with a pause between the bytes of the preface.
    pub(crate) fn in_the_clear(address: SocketAddr, pause: Duration) -> io::Result<Self> {
        let mut frames = Self::over(Stream::Plain(client::connect(address)?));
        frames.begin(&[], pause)?;
        Ok(frames)
    }

    fn begin(&mut self, values: &[(u16, u32)], pause: Duration) -> io::Result<()> {
        let values = [&[(1, 0)], values].concat();
        let preface = [PREFACE, &settings(&values), &frame(SETTINGS, ACK, 0, &[])].concat();
        let step = if pause.is_zero() { preface.len() } else { 1 };
        for piece in preface.chunks(step) {
            self.send(piece)?;
            std::thread::sleep(pause);
        }
        // The settings count once they are acknowledged.
        self.wait(|frame| frame.kind == SETTINGS && frame.has(ACK)).map(drop)
    }

    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::with(address, &[]).expect("an HTTP/2 connection")
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.socket()
    }

    /// Whether a GOAWAY has been read.
    pub(crate) fn said_goodbye(&self) -> bool {
        self.goodbye
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.offer(left)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                taken => left = &left[taken..],
            }
        }
        self.stream.flush()
    }

    /// Sends some of `bytes`: as many as the connection takes now.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// The next frame that has not been looked at; `None` at the end of the connection.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        if let Some(frame) = self.passed.pop_front() {
            return Ok(Some(frame));
        }
        self.read()
    }

    fn read(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(head) = self.received.first_chunk::<9>() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if self.received.len() >= 9 + length {
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    let (kind, flags) = (head[3], head[4]);
                    let payload = self.received.drain(..9 + length).skip(9).collect();
                    let frame = Frame { kind, flags, stream, payload };
                    self.goodbye |= kind == GOAWAY;
                    if kind == PING && !frame.has(ACK) {
                        let _ending = self.send(&self::frame(PING, ACK, 0, &frame.payload));
                    }
                    return Ok(Some(frame));
                }
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if is_silence(&error) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Reads up to the first frame that `wanted` takes; the others stay to be looked at.
    pub(crate) fn wait(&mut self, wanted: impl Fn(&Frame) -> bool) -> io::Result<Frame> {
        if let Some(at) = self.passed.iter().position(&wanted) {
            return Ok(self.passed.remove(at).expect("a position"));
        }
        loop {
            match self.read()? {
                Some(frame) if wanted(&frame) => return Ok(frame),
                Some(frame) => self.passed.push_back(frame),
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Whether the connection lives: it answers a PING.
    pub(crate) fn is_alive(&mut self) -> bool {
        let sent = self.send(&frame(PING, 0, 0, b"are you?"));
        sent.is_ok() && self.wait(|frame| frame.kind == PING && frame.has(ACK)).is_ok()
    }

    /// How `stream` ends, whatever happens on others. Windows are opened as bodies come.
    pub(crate) fn outcome(&mut self, stream: u32) -> Seen {
        let mut answer = Answer { status: 0, headers: Vec::new(), body: Vec::new(), trailers: Vec::new() };
        loop {
            let frame = match self.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Seen::Closed,
                Err(_) => return Seen::Silence,
            };
            match frame.kind {
                GOAWAY if frame.code() != 0 => return Seen::GoAway(frame.code()),
                RST_STREAM if frame.stream == stream => return Seen::Reset(frame.code()),
                HEADERS if frame.stream == stream && answer.status >= 200 => answer.trailers = frame.fields(),
                HEADERS if frame.stream == stream => {
                    answer.headers = frame.fields();
                    answer.status = status(&answer.headers);
                }
                DATA if frame.stream == stream => {
                    answer.body.extend_from_slice(&frame.payload);
                    let length = u32::try_from(frame.payload.len()).expect("a length");
                    if length > 0 && !frame.has(END_STREAM) {
                        let _ending = self.send(&[window_update(0, length), window_update(stream, length)].concat());
                    }
                }
                _ => continue,
            }
            if frame.stream == stream && frame.has(END_STREAM) && matches!(frame.kind, DATA | HEADERS) {
                return Seen::Answer(answer);
            }
        }
    }

    /// A request without a body, answered.
    pub(crate) fn request(&mut self, stream: u32, fields: &[(&str, &str)]) -> Seen {
        match self.send(&headers(stream, END_STREAM, fields)) {
            Ok(()) => self.outcome(stream),
            Err(_) => Seen::Closed,
        }
    }

    /// The same, where there must be an answer.
    pub(crate) fn answer(&mut self, stream: u32) -> Answer {
        match self.outcome(stream) {
            Seen::Answer(answer) => answer,
            other => panic!("no answer on stream {stream}: {other:?}"),
        }
    }

    /// The rest of a body whose head was looked at, to the end of the stream.
    pub(crate) fn answer_body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let piece = self.wait(|frame| frame.kind == DATA && frame.stream == stream).expect("DATA");
            body.extend_from_slice(&piece.payload);
            if piece.has(END_STREAM) {
                return body;
            }
        }
    }

    /// Whether the connection ends within `limit`.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        self.socket().set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
        let mut ended = false;
        while !ended && Instant::now() < end {
            ended = matches!(self.read(), Ok(None));
        }
        self.socket().set_read_timeout(Some(PATIENCE)).expect("a time limit");
        ended
    }
}

pub(crate) fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn status(fields: &Fields) -> u16 {
    let (name, value) = fields.first().expect("a head has fields");
    assert_eq!(name, ":status");
    value.parse().expect("a status")
}
