//! A TLS session as a pure state machine: ciphertext in, plaintext and ciphertext out. No sockets.
//!
//! It stands on rustls' unbuffered API: records are decrypted in the receive buffer and encrypted straight into the
//! send buffer, and an idle session holds neither.

use rustls::HandshakeKind;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};

use super::identity::Suite;

/// Bytes that a record adds to its content, at most (header, nonce, tag, content type).
const RECORD_OVERHEAD: usize = 64;
/// Content of one record, at most.
const RECORD_BYTES: usize = 16 << 10;
/// Received bytes that do not make a record yet, at most: one whole record of the largest size.
pub(super) const INCOMING_BYTES_MAX: usize = (16 << 10) + 2048 + 5;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The peer broke the protocol, was not accepted, or sent an alert.
    #[error("TLS: {0}")]
    Protocol(#[from] rustls::Error),
    /// The client speaks HTTP without TLS.
    #[error("TLS: a plain HTTP request on the port of https")]
    PlainHttp,
    /// Too many handshakes wait for their turn.
    #[error("TLS: too many handshakes at a time")]
    Crowded,
    /// The engine asked for something that cannot be: a fault of ours.
    #[error("TLS: the session is in the wrong state to {0}")]
    State(&'static str),
}

enum Connection {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// One session and its unprocessed bytes.
pub(crate) struct Session {
    connection: Connection,
    /// Ciphertext that was received and not processed.
    pub(super) incoming: Vec<u8>,
    /// The last receive brought as much as a small buffer holds.
    pub(super) receives_much: bool,
    /// Ciphertext to be sent.
    pub(super) outgoing: Vec<u8>,
    /// Plaintext that came with the end of the handshake, for the first read.
    early: Vec<u8>,
    established: bool,
    peer_closed: bool,
}

/// What one step of the engine came to.
enum Step {
    /// Something was done; go on.
    Again,
    /// Nothing more without bytes from the peer.
    Blocked { established: bool },
    /// The peer said that it sends nothing more.
    PeerClosed,
}

impl Session {
    /// A session with a client.
    pub(crate) fn server(connection: UnbufferedServerConnection) -> Self {
        Self::new(Connection::Server(connection))
    }

    /// A session with an upstream.
    pub(crate) fn client(connection: UnbufferedClientConnection) -> Self {
        Self::new(Connection::Client(connection))
    }

    fn new(connection: Connection) -> Self {
        let (incoming, outgoing, early) = (Vec::new(), Vec::new(), Vec::new());
        Self { connection, incoming, receives_much: false, outgoing, early, established: false, peer_closed: false }
    }

    /// With bytes that were received already.
    pub(crate) fn with_received(mut self, received: Vec<u8>) -> Self {
        if !received.is_empty() {
            self.incoming = received;
        }
        self
    }

    /// Whether application data may be sent.
    pub(crate) fn established(&self) -> bool {
        self.established
    }

    /// Whether the peer ended its side properly.
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether what a client sends begins with the name of a method, as no record does (RFC 8446 5.1).
    pub(super) fn is_plain_http(&self) -> bool {
        matches!(self.connection, Connection::Server(_)) && self.incoming.first().is_some_and(u8::is_ascii_uppercase)
    }

    /// Whether no received byte waits to be read.
    pub(crate) fn is_drained(&self) -> bool {
        self.unread() == 0
    }

    /// Bytes that were received and wait to be read, encrypted or not.
    pub(super) fn unread(&self) -> usize {
        self.incoming.len() + self.early.len()
    }

    /// One turn of the handshake: what the peer already sends behind it is kept for the first read.
    pub(super) fn advance_handshake(&mut self) -> Result<(), TlsError> {
        let mut early = std::mem::take(&mut self.early);
        let result = self.advance(&mut early);
        self.early = early;
        result
    }

    /// The protocol that ALPN chose.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match &self.connection {
            Connection::Server(c) => c.alpn_protocol(),
            Connection::Client(c) => c.alpn_protocol(),
        }
    }

    /// What it is encrypted with.
    pub(super) fn suite(&self) -> Suite {
        let suite = match &self.connection {
            Connection::Server(c) => c.negotiated_cipher_suite(),
            Connection::Client(c) => c.negotiated_cipher_suite(),
        };
        suite.map(|suite| Suite::of(suite.suite())).unwrap_or_default()
    }

    /// What the peer presented, leaf first; nothing without a certificate.
    pub(crate) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let chain = match &self.connection {
            Connection::Server(c) => c.peer_certificates(),
            Connection::Client(c) => c.peer_certificates(),
        };
        chain.map(<[_]>::to_vec).unwrap_or_default()
    }

    /// Whether an earlier session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        let kind = match &self.connection {
            Connection::Server(c) => c.handshake_kind(),
            Connection::Client(c) => c.handshake_kind(),
        };
        kind == Some(HandshakeKind::Resumed)
    }

    /// Processes everything in `incoming`: plaintext is appended to `plain`, answers to `outgoing`.
    ///
    /// # Errors
    /// When the peer broke the protocol; an alert for it is in `outgoing` then.
    pub(super) fn advance(&mut self, plain: &mut Vec<u8>) -> Result<(), TlsError> {
        plain.append(&mut self.early);
        let mut processed = 0;
        let result = loop {
            match self.step(&mut processed, plain) {
                Ok(Step::Again) => {}
                Ok(Step::Blocked { established }) => {
                    self.established |= established;
                    break Ok(());
                }
                Ok(Step::PeerClosed) => self.peer_closed = true,
                Err(e) => {
                    // The alert that tells the peer is the last that the engine produces, behind what it had to say before.
                    while matches!(self.step(&mut processed, &mut Vec::new()), Ok(Step::Again)) {}
                    break Err(e);
                }
            }
        };
        self.incoming.drain(..processed);
        result
    }

    fn step(&mut self, processed: &mut usize, plain: &mut Vec<u8>) -> Result<Step, TlsError> {
        let incoming = &mut self.incoming[*processed..];
        match &mut self.connection {
            Connection::Server(c) => handle(c.process_tls_records(incoming), processed, plain, &mut self.outgoing),
            Connection::Client(c) => handle(c.process_tls_records(incoming), processed, plain, &mut self.outgoing),
        }
    }

    /// Encrypts `data` into `outgoing`.
    pub(super) fn encrypt(&mut self, data: &[u8]) -> Result<(), TlsError> {
        match &mut self.connection {
            Connection::Server(c) => encrypt(c.process_tls_records(&mut []), data, &mut self.outgoing),
            Connection::Client(c) => encrypt(c.process_tls_records(&mut []), data, &mut self.outgoing),
        }
    }

    /// Puts the notice that nothing more comes into `outgoing`, if the session got so far.
    pub(super) fn close(&mut self) {
        let out = &mut self.outgoing;
        let closed = match &mut self.connection {
            Connection::Server(c) => close(c.process_tls_records(&mut []), out),
            Connection::Client(c) => close(c.process_tls_records(&mut []), out),
        };
        self.established &= closed.is_ok();
    }
}

fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    processed: &mut usize,
    plain: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
) -> Result<Step, TlsError> {
    let UnbufferedStatus { discard, state } = status;
    *processed += discard;
    match state? {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                plain.extend_from_slice(record.payload);
                *processed += record.discard;
            }
            Ok(Step::Again)
        }
        ConnectionState::EncodeTlsData(mut data) => {
            append(outgoing, 1024, |out| {
                data.encode(out).map_err(|e| match e {
                    EncodeError::InsufficientSize(size) => Need::Room(size),
                    EncodeError::AlreadyEncoded => Need::Error(TlsError::State("encode")),
                })
            })?;
            Ok(Step::Again)
        }
        ConnectionState::TransmitTlsData(data) => {
            // `outgoing` is always sent before the next receive, in order.
            data.done();
            Ok(Step::Again)
        }
        ConnectionState::BlockedHandshake => Ok(Step::Blocked { established: false }),
        ConnectionState::WriteTraffic(_) => Ok(Step::Blocked { established: true }),
        ConnectionState::PeerClosed => Ok(Step::PeerClosed),
        ConnectionState::Closed => Ok(Step::Blocked { established: false }),
        // Early data is never offered.
        _ => Err(TlsError::State("read")),
    }
}

/// Ciphertext of so many bytes, at most.
pub(super) fn encrypted_bytes_max(plain: usize) -> usize {
    plain + (plain / RECORD_BYTES + 1) * RECORD_OVERHEAD
}

fn encrypt<Data>(status: UnbufferedStatus<'_, '_, Data>, data: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => {
            append(out, encrypted_bytes_max(data.len()), |out| traffic.encrypt(data, out).map_err(Need::from))
        }
        _ => Err(TlsError::State("write")),
    }
}

fn close<Data>(status: UnbufferedStatus<'_, '_, Data>, out: &mut Vec<u8>) -> Result<(), TlsError> {
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => {
            append(out, RECORD_OVERHEAD, |out| traffic.queue_close_notify(out).map_err(Need::from))
        }
        _ => Err(TlsError::State("close")),
    }
}

/// What the engine says to a buffer.
enum Need {
    Room(InsufficientSizeError),
    Error(TlsError),
}

impl From<EncryptError> for Need {
    fn from(e: EncryptError) -> Self {
        match e {
            EncryptError::InsufficientSize(size) => Self::Room(size),
            EncryptError::EncryptExhausted => Self::Error(TlsError::State("encrypt more with these keys")),
        }
    }
}

/// Appends what `write` makes, giving it `room` bytes, or what it asks for.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Need>,
) -> Result<(), TlsError> {
    let start = out.len();
    out.resize(start + room, 0);
    let mut result = write(&mut out[start..]);
    if let Err(Need::Room(size)) = &result {
        out.resize(start + size.required_size, 0);
        result = write(&mut out[start..]);
    }
    let written = *result.as_ref().unwrap_or(&0);
    out.truncate(start + written);
    match result {
        Ok(_) => Ok(()),
        Err(Need::Error(e)) => Err(e),
        Err(Need::Room(_)) => Err(TlsError::State("encode")),
    }
}
