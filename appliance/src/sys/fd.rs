//! Borrowing and moving the descriptors inside monoio's streams, which implement `AsRawFd` but not `AsFd`.

use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::rc::Rc;

use monoio::net::TcpStream;
use monoio::net::udp::UdpSocket;

/// A socket of the runtime. Only for types that close their descriptor when they are dropped or unwrapped, and never
/// through a shared reference.
pub(crate) trait RuntimeSocket: AsRawFd {}

impl RuntimeSocket for TcpStream {}
impl RuntimeSocket for UdpSocket {}

/// Borrows the descriptor of a socket for as long as the socket is borrowed.
pub(crate) fn borrow(stream: &impl RuntimeSocket) -> BorrowedFd<'_> {
    // SAFETY: monoio closes the descriptor only when the socket is dropped or unwrapped, and both need ownership,
    // which the returned lifetime rules out.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// Takes the socket out of the runtime, to be given to another thread.
pub(crate) fn into_std(stream: TcpStream) -> std::net::TcpStream {
    let fd = stream.into_raw_fd();
    // SAFETY: `into_raw_fd` deregisters the descriptor, skips its close and gives up ownership; it panics when an
    // operation still shares it, so nobody else holds it here.
    unsafe { std::net::TcpStream::from_raw_fd(fd) }
}

/// A descriptor that may be gone: what a timer keeps of a socket that it may have to shut down.
#[derive(Debug)]
pub(crate) struct WeakFd(Cell<Option<RawFd>>);

/// Keeps a [`WeakFd`] valid. Every owner of the stream holds a clone, declared before the stream, so that the last
/// one to go clears the number before the descriptor is closed.
#[derive(Debug)]
pub(crate) struct Lifeline {
    weak: Rc<WeakFd>,
    /// Sockets of this core, this one among them.
    sockets: Rc<Cell<u64>>,
}

impl WeakFd {
    /// The weak number of a stream's descriptor, and the lifeline that the owner of the stream must keep beside it.
    /// The stream counts in `sockets` until that lifeline ends.
    pub(crate) fn attach(stream: &impl RuntimeSocket, sockets: Rc<Cell<u64>>) -> (Rc<Self>, Rc<Lifeline>) {
        let weak = Rc::new(Self(Cell::new(Some(stream.as_raw_fd()))));
        sockets.set(sockets.get() + 1);
        (Rc::clone(&weak), Rc::new(Lifeline { weak, sockets }))
    }

    /// The number of a stream that is gone, for tests of what keeps one.
    #[cfg(test)]
    pub(crate) fn gone() -> Self {
        Self(Cell::new(None))
    }

    /// Runs `f` on the descriptor if its stream still exists.
    pub(crate) fn with<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        // SAFETY: the number is cleared by the last lifeline, which is dropped before the stream (field order in
        // `io::socket`), on this same thread; while it is set the descriptor is open. `f` cannot drop the stream's
        // owner, as it gets nothing but the descriptor.
        self.0.get().map(|fd| f(unsafe { BorrowedFd::borrow_raw(fd) }))
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.weak.0.set(None);
        self.sockets.set(self.sockets.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};

    use super::*;

    fn pair() -> (std::net::TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let a = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (a, listener.accept().unwrap().0)
    }

    fn on_runtime(f: impl Future<Output = ()>) {
        monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().build().unwrap().block_on(f);
    }

    #[test]
    fn a_weak_descriptor_is_gone_once_the_last_lifeline_is() {
        on_runtime(async {
            let (a, _b) = pair();
            a.set_nonblocking(true).unwrap();
            let stream = TcpStream::from_std(a).unwrap();
            let sockets = Rc::<Cell<u64>>::default();
            let (weak, lifeline) = WeakFd::attach(&stream, Rc::clone(&sockets));
            assert_eq!(sockets.get(), 1);
            let second = Rc::clone(&lifeline);
            drop(lifeline);
            assert!(weak.with(|_| ()).is_some());
            drop(second);
            assert!(weak.with(|_| ()).is_none());
            assert_eq!(sockets.get(), 0);
        });
    }

    #[test]
    fn a_stream_taken_out_of_the_runtime_still_works() {
        on_runtime(async {
            let (a, b) = pair();
            a.set_nonblocking(true).unwrap();
            let out = into_std(TcpStream::from_std(a).unwrap());
            out.shutdown(Shutdown::Both).unwrap();
            assert_eq!(std::io::Read::read(&mut &b, &mut [0; 1]).unwrap(), 0);
        });
    }
}
