//! A TLS stream: a session over a socket, whole or in two halves.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::identity::Suite;
use super::session::{INCOMING_BYTES_MAX, Session, TlsError, encrypted_bytes_max};
use super::turns::Turns;
use crate::buffers::{Buffers, HEAD_BYTES};
use crate::io::{Owned, ReadHalf, Socket, WriteHalf};
use crate::limits::{ANSWERS_PER_READ_MAX, CLIENT_SEND};

/// Room for what shows that something has come.
const LISTENED_BYTES: usize = 64;

/// Told to who speaks HTTP without TLS here, as nginx does: 400.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 50\r\n\
    Connection: close\r\n\r\nThe plain HTTP request was sent to the HTTPS port\n";

/// A session over a whole socket.
pub(crate) struct TlsStream {
    pub(crate) socket: Socket,
    session: Rc<RefCell<Session>>,
    buffers: Rc<Buffers>,
}

impl TlsStream {
    /// Runs the handshake, its computations by turns if there is a line. The caller has set a deadline on the socket; it
    /// covers the whole handshake.
    ///
    /// # Errors
    /// When the peer breaks the protocol, leaves, or the deadline passes. Alerts are sent first.
    pub(crate) async fn handshake(
        socket: Socket,
        session: Session,
        buffers: Rc<Buffers>,
        turns: Option<&Turns>,
    ) -> io::Result<Self> {
        let mut stream = Self { socket, session: Rc::new(RefCell::new(session)), buffers };
        // The client's side speaks first; the server's may have been spoken to.
        loop {
            if stream.session.borrow().is_plain_http() {
                stream.socket.leave_with(PLAIN_HTTP);
                return Err(io::Error::other(TlsError::PlainHttp));
            }
            let advanced = stream.advance_in_turn(turns).await;
            release_incoming(&stream.session, &stream.buffers);
            stream.flush().await?;
            advanced.map_err(io::Error::other)?;
            if stream.session.borrow().established() {
                return Ok(stream);
            }
            stream.fill().await?;
        }
    }

    async fn advance_in_turn(&self, turns: Option<&Turns>) -> Result<(), TlsError> {
        let turns = turns.filter(|_| !self.session.borrow().incoming.is_empty());
        let _turn = match turns {
            Some(turns) if turns.is_full() => return Err(TlsError::Crowded),
            Some(turns) if turns.is_taken() => {
                self.wait_small();
                Some(turns.take().await)
            }
            Some(turns) => Some(turns.take().await),
            None => None,
        };
        self.session.borrow_mut().advance_handshake()
    }

    /// Who waits in line holds what was received and no more.
    fn wait_small(&self) {
        let mut session = self.session.borrow_mut();
        let exact = session.incoming.as_slice().to_vec();
        self.buffers.put(std::mem::replace(&mut session.incoming, exact));
    }

    /// Reads plaintext behind what `buf` holds, as long as a deadline of the caller's lets it. `Ok(0)` only after the peer
    /// closed the session properly.
    pub(crate) async fn recv(&mut self, mut buf: Vec<u8>) -> Owned<usize> {
        let before = buf.len();
        loop {
            let advanced = self.advance(&mut buf);
            if self.has_answer()
                && let Err(e) = self.flush().await
            {
                return (Err(e), buf);
            }
            if let Some(result) = received(&self.session, advanced, before, &buf) {
                return (result, buf);
            }
            if let Err(e) = self.fill().await {
                return (Err(e), buf);
            }
        }
    }

    /// As [`TlsStream::recv`], but gives up after so long with the stream intact. By itself, as its state is twice as large:
    /// whoever waits for an upstream has room for any kind of stream.
    pub(crate) async fn recv_within(&mut self, after: Duration, mut buf: Vec<u8>) -> Owned<usize> {
        let (before, mut answers) = (buf.len(), 0);
        self.socket.cancel_read_after(after);
        loop {
            let advanced = self.advance(&mut buf);
            if self.has_answer() {
                answers += 1;
                if let Err(e) = self.answer(after, answers).await {
                    return (Err(e), buf);
                }
            }
            if let Some(result) = received(&self.session, advanced, before, &buf) {
                return (result, buf);
            }
            if let Err(e) = self.fill_cancellable().await {
                return (Err(e), buf);
            }
        }
    }

    fn advance(&self, buf: &mut Vec<u8>) -> Result<(), TlsError> {
        let advanced = self.session.borrow_mut().advance(buf);
        release_incoming(&self.session, &self.buffers);
        advanced
    }

    /// Whether the engine has something to say by itself.
    fn has_answer(&self) -> bool {
        !self.session.borrow().outgoing.is_empty()
    }

    /// Encrypts and sends all of `buf`.
    pub(crate) async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        if let Err(e) = encrypt(&self.session, &self.buffers, &buf) {
            return (Err(e), buf);
        }
        (self.flush().await, buf)
    }

    /// Says goodbye, as far as the peer still listens.
    pub(crate) async fn close(&mut self) {
        self.session.borrow_mut().close();
        // A peer that is gone needs no goodbye.
        let _ = self.flush().await;
    }

    /// The protocol that ALPN chose, if it chose one.
    pub(crate) fn alpn(&self) -> Option<String> {
        self.session.borrow().alpn().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// What it is encrypted with.
    pub(crate) fn suite(&self) -> Suite {
        self.session.borrow().suite()
    }

    /// What the peer presented.
    pub(crate) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        self.session.borrow().peer_certificates()
    }

    /// Whether an earlier session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        self.session.borrow().is_resumed()
    }

    /// Whether received bytes are waiting to be processed.
    pub(crate) fn has_unread(&self) -> bool {
        !self.session.borrow().is_drained()
    }

    /// Two halves that may be used at the same time.
    pub(crate) fn split(self) -> (TlsReader, TlsWriter) {
        let Self { socket, session, buffers } = self;
        let (read, write) = socket.split();
        (
            TlsReader { half: read, session: Rc::clone(&session), buffers: Rc::clone(&buffers) },
            TlsWriter { half: write, session, buffers },
        )
    }

    /// The halves of one stream, joined again.
    pub(crate) fn reunite(read: TlsReader, write: TlsWriter) -> Self {
        let TlsReader { half, session, buffers } = read;
        Self { socket: Socket::reunite(half, write.half), session, buffers }
    }

    /// Sends what the engine answers by itself. To give up a read does not end a send: that has a deadline of its own,
    /// and a peer that asks for answers and nothing else is let go.
    async fn answer(&mut self, after: Duration, answers: u32) -> io::Result<()> {
        if answers > ANSWERS_PER_READ_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.socket.shutdown_after(CLIENT_SEND);
        self.flush().await?;
        self.socket.cancel_read_after(after);
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        let incoming = take_incoming(&self.session, &self.buffers)?;
        let received = self.socket.recv(incoming).await;
        ended(put_incoming(&self.session, &self.buffers, received))
    }

    async fn fill_cancellable(&mut self) -> io::Result<()> {
        let incoming = take_incoming(&self.session, &self.buffers)?;
        let received = self.socket.recv_cancellable(incoming).await;
        ended(put_incoming(&self.session, &self.buffers, received))
    }

    async fn flush(&mut self) -> io::Result<()> {
        let outgoing = std::mem::take(&mut self.session.borrow_mut().outgoing);
        if outgoing.is_empty() {
            return Ok(());
        }
        let (result, outgoing) = self.socket.send(outgoing).await;
        self.buffers.put(outgoing);
        result
    }
}

/// The receiving half.
pub(crate) struct TlsReader {
    pub(crate) half: ReadHalf,
    session: Rc<RefCell<Session>>,
    buffers: Rc<Buffers>,
}

impl TlsReader {
    /// As [`TlsStream::recv`]; a buffer without room gets it when something has come. Answers of the engine (key
    /// updates) leave with the other half's next send.
    pub(crate) async fn recv(&mut self, mut buf: Vec<u8>) -> Owned<usize> {
        let (before, needs_room) = (buf.len(), buf.capacity() == 0);
        loop {
            let unread = self.session.borrow().unread();
            // More may have come than what was listened for.
            if needs_room && buf.is_empty() && unread > buf.capacity() {
                self.buffers.put(std::mem::replace(&mut buf, self.buffers.fitting(unread)));
            }
            let advanced = self.session.borrow_mut().advance(&mut buf);
            release_incoming(&self.session, &self.buffers);
            if let Some(result) = received(&self.session, advanced, before, &buf) {
                return (result, buf);
            }
            let incoming = match take_incoming(&self.session, &self.buffers) {
                Ok(incoming) => incoming,
                Err(e) => return (Err(e), buf),
            };
            let (result, incoming) = self.half.recv(incoming).await;
            if let Err(e) = ended(put_incoming(&self.session, &self.buffers, (result, incoming))) {
                return (Err(e), buf);
            }
        }
    }

    /// Waits until something has come, and receives no more than shows that.
    pub(crate) async fn listen(&mut self) -> io::Result<()> {
        let nothing_is_there = {
            let session = self.session.borrow();
            session.is_drained() && !session.peer_closed()
        };
        if !nothing_is_there {
            return Ok(());
        }
        let (result, incoming) = self.half.recv(Vec::with_capacity(LISTENED_BYTES)).await;
        ended(put_incoming(&self.session, &self.buffers, (result, incoming)))
    }
}

/// The sending half.
pub(crate) struct TlsWriter {
    pub(crate) half: WriteHalf,
    session: Rc<RefCell<Session>>,
    buffers: Rc<Buffers>,
}

impl TlsWriter {
    /// As [`TlsStream::send`], and the buffer is gone: a peer may leave what is encrypted for long.
    pub(crate) async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        if let Err(e) = encrypt(&self.session, &self.buffers, &buf) {
            return (Err(e), buf);
        }
        self.buffers.put(buf);
        (self.flush().await, Vec::new())
    }

    /// Says that nothing more comes.
    pub(crate) async fn shutdown_write(&mut self) {
        self.session.borrow_mut().close();
        // A peer that is gone needs no goodbye.
        let _ = self.flush().await;
        self.half.shutdown_write().await;
    }

    async fn flush(&mut self) -> io::Result<()> {
        let outgoing = std::mem::take(&mut self.session.borrow_mut().outgoing);
        if outgoing.is_empty() {
            return Ok(());
        }
        let (result, outgoing) = self.half.send(outgoing).await;
        self.buffers.put(outgoing);
        result
    }
}

/// What a read may return now, or `None` when it needs more from the peer.
fn received(
    session: &RefCell<Session>,
    advanced: Result<(), TlsError>,
    before: usize,
    buf: &[u8],
) -> Option<io::Result<usize>> {
    if buf.len() > before {
        return Some(Ok(buf.len() - before));
    }
    match advanced {
        Err(e) => Some(Err(io::Error::other(e))),
        Ok(()) if session.borrow().peer_closed() => Some(Ok(0)),
        Ok(()) => None,
    }
}

fn encrypt(session: &RefCell<Session>, buffers: &Buffers, data: &[u8]) -> io::Result<()> {
    let mut session = session.borrow_mut();
    if session.outgoing.capacity() == 0 {
        session.outgoing = buffers.fitting(encrypted_bytes_max(data.len()));
    }
    session.encrypt(data).map_err(io::Error::other)
}

/// The receive buffer with room for more: a small one where the last receive was small, as many sessions wait at a time,
/// and in a crowd. The engine bounds a record, so a full one is an attack or a fault.
fn take_incoming(session: &RefCell<Session>, buffers: &Buffers) -> io::Result<Vec<u8>> {
    let mut session = session.borrow_mut();
    if session.incoming.capacity() == 0 {
        let is_roomy = session.receives_much && !buffers.is_crowded();
        return Ok(if is_roomy { buffers.body() } else { buffers.head() });
    }
    if session.incoming.len() > INCOMING_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut incoming = std::mem::take(&mut session.incoming);
    if incoming.len() < incoming.capacity() {
        return Ok(incoming);
    }
    // A whole record of any size fits.
    if buffers.is_crowded() {
        incoming.reserve_exact(INCOMING_BYTES_MAX);
        return Ok(incoming);
    }
    let mut roomy = buffers.body();
    roomy.extend_from_slice(&incoming);
    buffers.put(incoming);
    Ok(roomy)
}

fn put_incoming(session: &RefCell<Session>, buffers: &Buffers, (result, incoming): Owned<usize>) -> io::Result<usize> {
    let mut borrowed = session.borrow_mut();
    let is_full = incoming.len() == incoming.capacity();
    borrowed.receives_much = is_full || matches!(result, Ok(received) if received >= HEAD_BYTES);
    borrowed.incoming = incoming;
    drop(borrowed);
    release_incoming(session, buffers);
    result
}

/// An empty receive buffer goes back to the pool, so that an idle session holds none.
fn release_incoming(session: &RefCell<Session>, buffers: &Buffers) {
    let mut session = session.borrow_mut();
    if session.incoming.is_empty() {
        buffers.put(std::mem::take(&mut session.incoming));
    }
}

/// The end of the TCP stream without a goodbye could hide a cut: it is an error on TLS.
fn ended(received: io::Result<usize>) -> io::Result<()> {
    match received? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
