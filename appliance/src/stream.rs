//! A byte stream to a client or an upstream, in the clear, over TLS, or one of many in HTTP/2, whole or in halves.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::OptionFuture;

use crate::http::h2::Lane;
use crate::io::{Aborter, Owned, Peek, ReadHalf, Socket, WriteHalf};
use crate::tls::{TlsReader, TlsStream, TlsWriter};

/// Where bytes come from. A deadline that passes ends the receive with `TimedOut`.
pub(crate) trait Source {
    /// Receives into the free capacity of `buf`, behind what it holds; `Ok(0)` is the proper end.
    async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize>;
    /// A receive ends when `after` has passed, unless a deadline is set anew before; a whole stream is shut down then.
    fn deadline(&self, after: Duration);
    /// No deadline.
    fn clear_deadline(&self);
    /// What can end this stream from elsewhere on the core.
    fn aborter(&self) -> Aborter;
}

/// Where bytes go.
pub(crate) trait Sink {
    /// Sends all of `buf`.
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()>;
    /// The stream is shut down when `after` has passed, unless a deadline is set anew before.
    fn deadline(&self, after: Duration);
    /// As [`Source::clear_deadline`].
    fn clear_deadline(&self);
    /// When the peer leaves, `upstream` is ended, which works for it; until the next deadline of this stream. Nothing
    /// happens where the peer's end is seen otherwise.
    fn end_when_peer_leaves(&self, _upstream: Aborter) {}
    /// Whether that has happened.
    fn take_left(&self) -> bool {
        false
    }
}

/// Who waits for no answer: what is sent is gone.
pub(crate) struct Nobody;

impl Sink for Nobody {
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        (Ok(()), buf)
    }

    fn deadline(&self, _after: Duration) {}

    fn clear_deadline(&self) {}
}

/// A whole stream.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
    Lane(Lane),
    /// Given away: nothing comes and nothing goes.
    Gone,
}

impl Stream {
    /// Gives the stream away.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Gone)
    }

    /// Whether closing it now loses nothing of what was sent: all that came was read, and the end needs no word.
    pub(crate) fn may_close_at_once(&self) -> bool {
        matches!(self, Self::Plain(socket) if socket.peek() != Peek::Data)
    }

    /// The socket under it, if it has one to itself.
    fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(tls) => Some(&tls.socket),
            Self::Lane(_) | Self::Gone => None,
        }
    }

    /// As [`Source::recv`], but gives up with `TimedOut` after `after` with the stream intact.
    pub(crate) async fn recv_within(&mut self, after: Duration, buf: Vec<u8>) -> Owned<usize> {
        match self {
            Self::Plain(socket) => {
                socket.cancel_read_after(after);
                socket.recv_cancellable(buf).await
            }
            Self::Tls(tls) => tls.recv_within(after, buf).await,
            // Giving up a receive loses nothing of a lane.
            Self::Lane(lane) => {
                lane.deadline(after);
                lane.recv(buf).await
            }
            Self::Gone => (Err(io::ErrorKind::NotConnected.into()), buf),
        }
    }

    /// Waits for something to receive, without a buffer; at once where only receiving tells.
    pub(crate) fn readable(&self) -> impl Future<Output = io::Result<()>> + '_ {
        OptionFuture::from(self.socket().map(Socket::wait_readable)).map(|waited| waited.unwrap_or(Ok(())))
    }

    /// The stream is shut down when `after` has passed.
    pub(crate) fn shutdown_after(&self, after: Duration) {
        self.set_deadline(after);
    }

    /// Whether that has happened since the last call.
    pub(crate) fn take_expired(&self) -> bool {
        self.socket().is_some_and(Socket::take_expired)
    }

    /// Whether the handshake chose HTTP/2.
    pub(crate) fn chose_http2(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.alpn().is_some_and(|protocol| protocol == "h2"))
    }

    fn set_deadline(&self, after: Duration) {
        match self {
            Self::Lane(lane) => lane.deadline(after),
            stream => stream.socket().into_iter().for_each(|socket| socket.shutdown_after(after)),
        }
    }

    fn unset_deadline(&self) {
        match self {
            Self::Lane(lane) => lane.clear_deadline(),
            stream => stream.socket().into_iter().for_each(Socket::clear_deadline),
        }
    }

    /// Whether bytes were received that the socket's readiness would not tell of.
    pub(crate) fn has_unread(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Lane(_) | Self::Gone => false,
            Self::Tls(tls) => tls.has_unread(),
        }
    }

    /// Whether an idle stream is open and silent: nothing received, nothing left unread.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.peek() == Peek::Quiet,
            // Whatever came while it was idle, be it a goodbye or a late ticket: such a connection is not used again.
            Self::Tls(tls) => !tls.has_unread() && tls.socket.peek() == Peek::Quiet,
            // A stream serves one request.
            Self::Lane(_) | Self::Gone => false,
        }
    }

    /// Whether closing it resets the connection: the peer shall see that something is missing. A lane is reset by itself.
    pub(crate) fn reset_on_close(&self, resets: bool) {
        self.socket().into_iter().for_each(|socket| socket.reset_on_close(resets));
    }

    /// Ends the sending side: the goodbye of TLS, then FIN.
    pub(crate) async fn shutdown_write(&mut self) {
        match self {
            Self::Plain(socket) => socket.shutdown_write(),
            Self::Tls(tls) => {
                tls.close().await;
                tls.socket.shutdown_write();
            }
            Self::Lane(lane) => lane.shutdown_write(),
            Self::Gone => {}
        }
    }

    /// Two halves that may be used at the same time.
    ///
    /// # Panics
    /// When the stream was given away.
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
            Self::Lane(lane) => {
                let (read, write) = lane.split();
                (Reader::Lane(read), Writer::Lane(write))
            }
            Self::Gone => panic!("a stream was given away twice"),
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
            (Reader::Lane(lane), Writer::Lane(_)) => Self::Lane(lane),
            _ => panic!("halves of two streams"),
        }
    }
}

impl Source for Stream {
    async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize> {
        match self {
            Self::Plain(socket) => socket.recv(buf).await,
            Self::Tls(tls) => tls.recv(buf).await,
            Self::Lane(lane) => lane.recv(buf).await,
            Self::Gone => (Err(io::ErrorKind::NotConnected.into()), buf),
        }
    }

    fn deadline(&self, after: Duration) {
        self.set_deadline(after);
    }

    fn clear_deadline(&self) {
        self.unset_deadline();
    }

    fn aborter(&self) -> Aborter {
        match self {
            Self::Plain(socket) => socket.aborter(),
            Self::Tls(tls) => tls.socket.aborter(),
            Self::Lane(lane) => lane.aborter(),
            Self::Gone => panic!("a stream that was given away is another's to end"),
        }
    }
}

impl Sink for Stream {
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        match self {
            Self::Plain(socket) => socket.send(buf).await,
            Self::Tls(tls) => tls.send(buf).await,
            Self::Lane(lane) => lane.send(buf).await,
            Self::Gone => (Err(io::ErrorKind::NotConnected.into()), buf),
        }
    }

    fn deadline(&self, after: Duration) {
        self.set_deadline(after);
    }

    fn clear_deadline(&self) {
        self.unset_deadline();
    }

    fn end_when_peer_leaves(&self, upstream: Aborter) {
        // A client that takes back a stream of HTTP/2 says so, and its exchange is dropped.
        self.socket().into_iter().for_each(|socket| socket.end_when_peer_leaves(upstream.clone()));
    }

    fn take_left(&self) -> bool {
        self.socket().is_some_and(Socket::take_left)
    }
}

/// The receiving half. When its deadline passes the stream stays whole, and the other half can still be used.
pub(crate) enum Reader {
    Plain(ReadHalf),
    Tls(TlsReader),
    Lane(Lane),
}

impl Source for Reader {
    async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize> {
        match self {
            Self::Plain(half) => half.recv(buf).await,
            Self::Tls(tls) => tls.recv(buf).await,
            Self::Lane(lane) => lane.recv(buf).await,
        }
    }

    fn deadline(&self, after: Duration) {
        match self {
            Self::Plain(half) => half.give_up_after(after),
            Self::Tls(tls) => tls.half.give_up_after(after),
            Self::Lane(lane) => lane.deadline(after),
        }
    }

    fn clear_deadline(&self) {
        match self {
            Self::Plain(half) => half.clear_deadline(),
            Self::Tls(tls) => tls.half.clear_deadline(),
            Self::Lane(lane) => lane.clear_deadline(),
        }
    }

    fn aborter(&self) -> Aborter {
        match self {
            Self::Plain(half) => half.aborter(),
            Self::Tls(tls) => tls.half.aborter(),
            Self::Lane(lane) => lane.aborter(),
        }
    }
}

/// The sending half. It does not look whether its peer has left: the other half may still have something to receive.
pub(crate) enum Writer {
    Plain(WriteHalf),
    Tls(TlsWriter),
    Lane(Lane),
}

impl Writer {
    /// Says that nothing more comes.
    pub(crate) async fn shutdown_write(&mut self) {
        match self {
            Self::Plain(half) => half.shutdown_write().await,
            Self::Tls(tls) => tls.shutdown_write().await,
            Self::Lane(lane) => lane.shutdown_write(),
        }
    }

    /// What can end this stream from elsewhere on the core.
    pub(crate) fn aborter(&self) -> Aborter {
        match self {
            Self::Plain(half) => half.aborter(),
            Self::Tls(tls) => tls.half.aborter(),
            Self::Lane(lane) => lane.aborter(),
        }
    }
}

impl Sink for Writer {
    async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        match self {
            Self::Plain(half) => half.send(buf).await,
            Self::Tls(tls) => tls.send(buf).await,
            Self::Lane(lane) => lane.send(buf).await,
        }
    }

    fn deadline(&self, after: Duration) {
        match self {
            Self::Plain(half) => half.shutdown_after(after),
            Self::Tls(tls) => tls.half.shutdown_after(after),
            Self::Lane(lane) => lane.deadline(after),
        }
    }

    fn clear_deadline(&self) {
        match self {
            Self::Plain(half) => half.clear_deadline(),
            Self::Tls(tls) => tls.half.clear_deadline(),
            Self::Lane(lane) => lane.clear_deadline(),
        }
    }
}
