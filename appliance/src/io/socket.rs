//! A connected TCP socket: owned receive and send, one deadline, readiness for the idle.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use monoio::buf::{IoBuf, SliceMut};
use monoio::io::{
    AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, CancelableAsyncReadRent, OwnedReadHalf, OwnedWriteHalf, Splitable,
};
use monoio::net::TcpStream;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::deadline::{Timers, Watch};
use super::signal::Deadline;
use super::{Accepted, Owned};
use crate::sys::fd::{self, Lifeline, WeakFd};

/// What an idle connection's receive buffer shows, without taking anything from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    /// Nothing: the connection is open and silent.
    Quiet,
    /// Bytes that nobody asked for.
    Data,
    /// The peer closed or reset it.
    Closed,
}

/// A connected socket. The lifeline stands before the stream, so that it goes first (see [`WeakFd`]).
pub(crate) struct Socket {
    lifeline: Rc<Lifeline>,
    watch: Rc<Watch>,
    tcp: TcpStream,
}

impl Socket {
    fn new(tcp: TcpStream, timers: &Rc<Timers>) -> Self {
        let (weak, lifeline) = WeakFd::attach(&tcp, timers.counted());
        Self { lifeline, watch: Watch::new(timers, weak), tcp }
    }

    /// Takes over a socket that a listener accepted.
    pub(crate) fn from_accepted(accepted: Accepted, timers: &Rc<Timers>) -> Self {
        Self::new(accepted.tcp, timers)
    }

    /// Takes over a socket that another core accepted.
    pub(crate) fn from_std(socket: std::net::TcpStream, timers: &Rc<Timers>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(TcpStream::from_std(socket)?, timers))
    }

    /// Connects within `timeout`. On expiry the half-open socket is closed.
    pub(crate) async fn connect(to: SocketAddr, timeout: Duration, timers: &Rc<Timers>) -> io::Result<Self> {
        // By the wheel of the core: a timer of the runtime is 768 bytes, and thousands may connect at a time.
        let late = Deadline::new(timers);
        late.set(timeout);
        let expired = poll_fn(|cx| late.poll_passed(cx));
        let tcp = match select(pin!(TcpStream::connect_addr(to)), pin!(expired)).await {
            Either::Left((connected, _)) => connected?,
            Either::Right((error, _)) => return Err(error),
        };
        tcp.set_nodelay(true)?;
        Ok(Self::new(tcp, timers))
    }

    /// Receives into the free capacity of `buf`, behind what it holds. `Ok(0)` is the end of the stream.
    pub(crate) async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize> {
        let (result, buf) = recv_behind(&mut self.tcp, buf).await;
        (checked(&self.watch, result), buf)
    }

    /// Like [`Socket::recv`], but a deadline set by [`Socket::cancel_read_after`] ends it with `TimedOut` and the
    /// connection lives on. What arrived meanwhile is not lost.
    pub(crate) async fn recv_cancellable(&mut self, buf: Vec<u8>) -> Owned<usize> {
        recv_until_cancelled(&mut self.tcp, &self.watch, buf).await
    }

    /// Sends all of `buf`.
    pub(crate) async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        let (result, buf) = send_all(&mut self.tcp, buf).await;
        (checked(&self.watch, result), buf)
    }

    /// Waits until there is something to receive, holding no buffer. Ends early when the deadline passes.
    pub(crate) async fn readable(&mut self) -> io::Result<()> {
        let result = self.wait_readable().await;
        checked(&self.watch, result)
    }

    /// As [`Socket::readable`], but whether the deadline has passed is to be asked for: what waits for long holds this.
    pub(crate) fn wait_readable(&self) -> impl Future<Output = io::Result<()>> + '_ {
        self.watch.forget_cancelled_reads();
        self.tcp.readable(false)
    }

    /// Whether a deadline passed since the last call.
    pub(crate) fn take_expired(&self) -> bool {
        self.watch.take_expired()
    }

    /// Looks at the receive buffer without waiting.
    pub(crate) fn peek(&self) -> Peek {
        match rustix::net::recv(fd::borrow(&self.tcp), &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Peek::Closed,
            Ok(_) => Peek::Data,
            Err(rustix::io::Errno::AGAIN) => Peek::Quiet,
            Err(_) => Peek::Closed,
        }
    }

    /// Sends what the socket takes without waiting, then ends.
    pub(crate) fn leave_with(self, last: &[u8]) {
        // Whatever of it does not arrive, the peer sees the end.
        let _ = rustix::net::send(fd::borrow(&self.tcp), last, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        self.shutdown_write();
    }

    /// Whether closing it resets the connection; what was not sent by then is dropped.
    pub(crate) fn reset_on_close(&self, resets: bool) {
        // Fails only when the peer is gone, and then there is nobody to tell.
        let _ = rustix::net::sockopt::set_socket_linger(fd::borrow(&self.tcp), resets.then_some(Duration::ZERO));
    }

    /// Tells the peer that nothing more comes.
    pub(crate) fn shutdown_write(&self) {
        // Fails only when the peer is gone, and then there is nobody to tell.
        let _ = rustix::net::shutdown(fd::borrow(&self.tcp), Shutdown::Write);
    }

    /// Pending operations end and the socket is shut down when `after` has passed.
    pub(crate) fn shutdown_after(&self, after: Duration) {
        self.watch.shutdown_after(after);
    }

    /// A pending [`Socket::recv_cancellable`] is cancelled when `after` has passed.
    pub(crate) fn cancel_read_after(&self, after: Duration) {
        self.watch.cancel_read_after(after);
    }

    /// No deadline.
    pub(crate) fn clear_deadline(&self) {
        self.watch.clear();
    }

    /// When the peer leaves, `other` is ended: it works for this one. Until the deadline is set or cleared.
    pub(crate) fn end_when_peer_leaves(&self, other: Aborter) {
        self.watch.look_at_peer_for(other.0);
    }

    /// Whether that has happened.
    pub(crate) fn take_left(&self) -> bool {
        self.watch.take_left()
    }

    /// The address of this side.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// What can end this socket from elsewhere on the core.
    pub(crate) fn aborter(&self) -> Aborter {
        Aborter(Rc::clone(&self.watch))
    }

    /// Two halves that may be used at the same time, each with a deadline of its own.
    pub(crate) fn split(self) -> (ReadHalf, WriteHalf) {
        let Self { lifeline, watch, tcp } = self;
        watch.clear();
        let sending = watch.beside();
        let (read, write) = tcp.into_split();
        (
            ReadHalf { lifeline: Rc::clone(&lifeline), watch, tcp: read },
            WriteHalf { lifeline, watch: sending, tcp: write },
        )
    }

    /// The halves of one socket, joined again.
    ///
    /// # Panics
    /// When they come from two sockets.
    pub(crate) fn reunite(read: ReadHalf, write: WriteHalf) -> Self {
        let ReadHalf { lifeline, watch, tcp } = read;
        watch.clear();
        write.watch.clear();
        drop(write.lifeline);
        match tcp.reunite(write.tcp) {
            Ok(tcp) => Self { lifeline, watch, tcp },
            Err(_) => panic!("halves of two sockets"),
        }
    }
}

/// The receiving half of a socket.
pub(crate) struct ReadHalf {
    lifeline: Rc<Lifeline>,
    watch: Rc<Watch>,
    tcp: OwnedReadHalf<TcpStream>,
}

impl ReadHalf {
    /// As [`Socket::recv_cancellable`] when it has a deadline, else as [`Socket::recv`].
    pub(crate) async fn recv(&mut self, buf: Vec<u8>) -> Owned<usize> {
        if self.watch.is_armed() {
            return recv_until_cancelled(&mut self.tcp, &self.watch, buf).await;
        }
        let (result, buf) = recv_behind(&mut self.tcp, buf).await;
        (checked(&self.watch, result), buf)
    }

    /// A receive ends with `TimedOut` when `after` has passed. The socket stays whole: the other half may have
    /// something to say to that.
    pub(crate) fn give_up_after(&self, after: Duration) {
        self.watch.cancel_read_after(after);
    }

    /// No deadline.
    pub(crate) fn clear_deadline(&self) {
        self.watch.clear();
    }

    /// As [`Socket::aborter`].
    pub(crate) fn aborter(&self) -> Aborter {
        Aborter(Rc::clone(&self.watch))
    }
}

/// The sending half of a socket.
pub(crate) struct WriteHalf {
    lifeline: Rc<Lifeline>,
    watch: Rc<Watch>,
    tcp: OwnedWriteHalf<TcpStream>,
}

impl WriteHalf {
    /// As [`Socket::send`].
    pub(crate) async fn send(&mut self, buf: Vec<u8>) -> Owned<()> {
        let (result, buf) = send_all(&mut self.tcp, buf).await;
        (checked(&self.watch, result), buf)
    }

    /// Tells the peer that nothing more comes.
    pub(crate) async fn shutdown_write(&mut self) {
        // Fails only when the peer is gone, and then there is nobody to tell.
        let _ = self.tcp.shutdown().await;
    }

    /// As [`Socket::shutdown_after`], for a send: what is left of one can go nowhere else.
    pub(crate) fn shutdown_after(&self, after: Duration) {
        self.watch.shutdown_after(after);
    }

    /// No deadline.
    pub(crate) fn clear_deadline(&self) {
        self.watch.clear();
    }

    /// As [`Socket::aborter`].
    pub(crate) fn aborter(&self) -> Aborter {
        Aborter(Rc::clone(&self.watch))
    }
}

/// Ends a socket from elsewhere on its core. Harmless once the socket is gone.
#[derive(Clone)]
pub(crate) struct Aborter(Rc<Watch>);

impl Aborter {
    pub(super) fn of(watch: &Rc<Watch>) -> Self {
        Self(Rc::clone(watch))
    }

    /// Shuts both directions down; pending operations end.
    pub(crate) fn abort(&self) {
        self.0.abort();
    }

    /// Moves the deadline of what it was taken from, of a receive that may be pending: `after` from now.
    pub(crate) fn move_deadline(&self, after: Duration) {
        self.0.move_to(after);
    }
}

async fn recv_behind(tcp: &mut impl AsyncReadRent, buf: Vec<u8>) -> Owned<usize> {
    let (begin, end) = (buf.len(), buf.capacity());
    debug_assert!(begin < end, "a receive needs room");
    let (result, slice) = tcp.read(SliceMut::new(buf, begin, end)).await;
    (result, slice.into_inner())
}

/// Sends all of `buf`: mostly the socket takes it in one piece, which is cheaper than `write_all` with its slices.
async fn send_all(tcp: &mut impl AsyncWriteRent, buf: Vec<u8>) -> Owned<()> {
    let (result, buf) = tcp.write(buf).await;
    let sent = match result {
        Ok(bytes) if bytes == buf.len() => return (Ok(()), buf),
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        Err(error) => return (Err(error), buf),
    };
    // Boxed: who sends mostly waits for nothing, and the state of this would be in every one that may.
    let (result, slice) = Box::pin(tcp.write_all(buf.slice(sent..))).await;
    (result.map(drop), slice.into_inner())
}

/// A receive that a deadline cancels. What arrived in that moment is returned.
async fn recv_until_cancelled(tcp: &mut impl CancelableAsyncReadRent, watch: &Watch, buf: Vec<u8>) -> Owned<usize> {
    let handle = watch.cancel_handle();
    let (begin, end) = (buf.len(), buf.capacity());
    let (result, slice) = tcp.cancelable_read(SliceMut::new(buf, begin, end), handle).await;
    let expired = watch.take_expired();
    let result = match result {
        Err(_) if expired => Err(io::ErrorKind::TimedOut.into()),
        result => result,
    };
    (result, slice.into_inner())
}

/// A deadline shows as the end of the stream or a broken pipe: name it.
fn checked<T>(watch: &Watch, result: io::Result<T>) -> io::Result<T> {
    if watch.take_expired() { Err(io::ErrorKind::TimedOut.into()) } else { result }
}
