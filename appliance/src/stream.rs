//! A byte stream to a client or an upstream, in the clear or over TLS, whole or in halves.

use std::io;
use std::time::Duration;

use crate::io::{Aborter, Owned, Peek, ReadHalf, Socket, WriteHalf};
use crate::tls::{TlsReader, TlsStream, TlsWriter};

/// Where bytes come from. A deadline that passes ends the receive with `TimedOut`.
pub(crate) trait Source {
    /// Receives into the free capacity of `buf`, behind what it holds; `Ok(0)` is the proper end.
    async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize>;
    /// The stream is shut down when `after` has passed, unless a deadline is set anew before.
    fn deadline(&self, after: Duration);
    /// No deadline.
    fn clear_deadline(&self);
}

/// Where bytes go.
pub(crate) trait Sink {
    /// Sends all of `buf`.
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()>;
    /// As [`Source::deadline`].
    fn deadline(&self, after: Duration);
    /// As [`Source::clear_deadline`].
    fn clear_deadline(&self);
}

/// A whole stream.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    /// As [`Source::recv`], but gives up with `TimedOut` after `after` with the stream intact.
    pub(crate) async fn recv_within(&mut self, after: Duration, buf: Vec<u8>) -> Owned<usize> {
        self.socket().cancel_read_after(after);
        match self {
            Self::Plain(socket) => socket.recv_cancellable(buf).await,
            Self::Tls(tls) => tls.recv(buf, true).await,
        }
    }

    /// Waits for something to receive without a buffer, at most `after`.
    ///
    /// # Errors
    /// `TimedOut` when the time is over; the stream is shut down then.
    pub(crate) async fn readable_within(&mut self, after: Duration) -> io::Result<()> {
        self.socket().shutdown_after(after);
        match self {
            Self::Plain(socket) => socket.readable().await,
            Self::Tls(tls) => tls.socket.readable().await,
        }
    }

    /// Whether bytes were received that the socket's readiness would not tell of.
    pub(crate) fn has_unread(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.has_unread(),
        }
    }

    /// Whether an idle stream is open and silent: nothing received, nothing left unread.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.peek() == Peek::Quiet,
            // Whatever came while it was idle, be it a goodbye or a late ticket: such a connection is not used again.
            Self::Tls(tls) => !tls.has_unread() && tls.socket.peek() == Peek::Quiet,
        }
    }

    /// Ends the sending side: the goodbye of TLS, then FIN.
    pub(crate) async fn shutdown_write(&mut self) {
        if let Self::Tls(tls) = self {
            tls.close().await;
        }
        self.socket().shutdown_write();
    }

    /// Two halves that may be used at the same time.
    pub(crate) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Plain(socket) => {
                let (read, write) = socket.split();
                (Reader::Plain(read), Writer::Plain(write))
            }
            Self::Tls(tls) => {
                let (read, write) = tls.split();
                (Reader::Tls(read), Writer::Tls(write))
            }
        }
    }

    /// The halves of one stream, joined again.
    ///
    /// # Panics
    /// When they come from two streams.
    pub(crate) fn reunite(read: Reader, write: Writer) -> Self {
        match (read, write) {
            (Reader::Plain(read), Writer::Plain(write)) => Self::Plain(Socket::reunite(read, write)),
            (Reader::Tls(read), Writer::Tls(write)) => Self::Tls(Box::new(TlsStream::reunite(read, write))),
            _ => panic!("halves of two streams"),
        }
    }
}

impl Source for Stream {
    async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize> {
        match self {
            Self::Plain(socket) => socket.recv(buf).await,
            Self::Tls(tls) => tls.recv(buf, false).await,
        }
    }

    fn deadline(&self, after: Duration) {
        self.socket().shutdown_after(after);
    }

    fn clear_deadline(&self) {
        self.socket().clear_deadline();
    }
}

impl Sink for Stream {
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        match self {
            Self::Plain(socket) => socket.send(buf).await,
            Self::Tls(tls) => tls.send(buf).await,
        }
    }

    fn deadline(&self, after: Duration) {
        self.socket().shutdown_after(after);
    }

    fn clear_deadline(&self) {
        self.socket().clear_deadline();
    }
}

/// The receiving half.
pub(crate) enum Reader {
    Plain(ReadHalf),
    Tls(TlsReader),
}

impl Reader {
    fn half(&self) -> &ReadHalf {
        match self {
            Self::Plain(half) => half,
            Self::Tls(tls) => &tls.half,
        }
    }

    /// What can end this stream from elsewhere on the core.
    pub(crate) fn aborter(&self) -> Aborter {
        self.half().aborter()
    }
}

impl Source for Reader {
    async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize> {
        match self {
            Self::Plain(half) => half.recv(buf).await,
            Self::Tls(tls) => tls.recv(buf).await,
        }
    }

    fn deadline(&self, after: Duration) {
        self.half().shutdown_after(after);
    }

    fn clear_deadline(&self) {
        self.half().clear_deadline();
    }
}

/// The sending half.
pub(crate) enum Writer {
    Plain(WriteHalf),
    Tls(TlsWriter),
}

impl Writer {
    fn half(&self) -> &WriteHalf {
        match self {
            Self::Plain(half) => half,
            Self::Tls(tls) => &tls.half,
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn shutdown_write(&mut self) {
        match self {
            Self::Plain(half) => half.shutdown_write().await,
            Self::Tls(tls) => tls.shutdown_write().await,
        }
    }

    /// What can end this stream from elsewhere on the core.
    pub(crate) fn aborter(&self) -> Aborter {
        self.half().aborter()
    }
}

impl Sink for Writer {
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        match self {
            Self::Plain(half) => half.send(buf).await,
            Self::Tls(tls) => tls.send(buf).await,
        }
    }

    fn deadline(&self, after: Duration) {
        self.half().shutdown_after(after);
    }

    fn clear_deadline(&self) {
        self.half().clear_deadline();
    }
}
