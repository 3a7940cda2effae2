//! Which driver a core runs on, and running it.
//!
//! Ring flags decide whether io_uring beats epoll here (`single issuer` with `deferred task run`, else `cooperative`):
//! with none of them the ring costs a third more than epoll, so without them epoll is taken. The runtime's own
//! detection does not know flags, so the ladder is ours.

use std::fmt;
use std::future::Future;
use std::io;
use std::task::Waker;
use std::time::Duration;

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

/// Entries of a core's submission queue.
const RING_ENTRIES: u32 = 1024;

/// What the operator asks for (`--driver`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where it can be had with the right flags, else epoll.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// epoll.
    Epoll,
}

/// What the cores run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A ring with this set of flags.
    IoUring(RingFlags),
    /// The fallback.
    Epoll,
}

/// The flag sets that are worth having, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFlags {
    /// Kernel 6.0.
    SingleIssuerCoop,
    /// Kernel 5.19.
    Coop,
}

/// io_uring was asked for and cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "io_uring is not available here ({0}); container runtimes often forbid it: allow it by seccomp, or use --driver=epoll"
)]
pub struct DriverError(#[source] io::Error);

/// `io_uring` or `epoll`, as in status, log and metrics.
impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring(_) => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

impl RingFlags {
    /// Without `defer_taskrun`, which is 2 % cheaper: the runtime submits without asking for events while a task is ready,
    /// and with deferred work the kernel then delivers nothing. Peers that always have more to say would keep every other
    /// connection of the core waiting.
    const LADDER: [Self; 2] = [Self::SingleIssuerCoop, Self::Coop];

    fn builder(self) -> io_uring::Builder {
        let mut ring = io_uring::IoUring::builder();
        match self {
            Self::SingleIssuerCoop => ring.setup_single_issuer().setup_coop_taskrun(),
            Self::Coop => ring.setup_coop_taskrun(),
        };
        ring
    }
}

impl Driver {
    /// Tries what the choice allows, best first. The second value says why io_uring was passed over, if it was.
    ///
    /// # Errors
    /// When io_uring was asked for and the kernel, a seccomp filter or a sysctl refuses it.
    pub fn choose(choice: DriverChoice) -> Result<(Self, Option<io::Error>), DriverError> {
        if choice == DriverChoice::Epoll {
            return Ok((Self::Epoll, None));
        }
        let mut refused = io::Error::from(io::ErrorKind::Unsupported);
        for flags in RingFlags::LADDER {
            match flags.builder().build(8) {
                Ok(_) => return Ok((Self::IoUring(flags), None)),
                Err(e) => refused = e,
            }
        }
        if choice == DriverChoice::IoUring { Err(DriverError(refused)) } else { Ok((Self::Epoll, Some(refused))) }
    }
}

/// Runs a core's main future on the calling thread until it ends.
pub(crate) fn run<F: Future>(driver: Driver, main: impl FnOnce() -> F) -> io::Result<F::Output> {
    match driver {
        Driver::IoUring(flags) => {
            let builder =
                RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES).uring_builder(flags.builder());
            Ok(builder.enable_timer().build()?.block_on(async { main().await }))
        }
        Driver::Epoll => {
            let builder = RuntimeBuilder::<LegacyDriver>::new().with_entries(RING_ENTRIES);
            Ok(builder.enable_timer().build()?.block_on(async { main().await }))
        }
    }
}

/// Starts a task on this core. Its handle is dropped here, at once (a handle must not outlive or leave this thread).
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(task));
}

/// Wakes a task behind all that is ready now. One that wakes itself goes on before all others in monoio.
pub(crate) fn wake_last(task: &Waker) {
    let task = task.clone();
    spawn(async move { task.wake() });
}

/// Lets the other tasks of this core have their turn.
pub(crate) async fn give_way() {
    let mut is_called_again = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut is_called_again, true) {
            return std::task::Poll::Ready(());
        }
        wake_last(cx.waker());
        std::task::Poll::Pending
    })
    .await;
}

/// Waits. Only for what waits for no socket: those have their deadline.
pub(crate) async fn sleep(duration: Duration) {
    // Boxed: a timer of monoio is 768 bytes on a border of 128, which its holder would get too.
    Box::pin(monoio::time::sleep(duration)).await;
}

/// The result of `future`, if it comes in time. Never for a socket's operation: dropping one can lose what it did.
pub(crate) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    Box::pin(monoio::time::timeout(time, future)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_is_always_to_be_had() {
        let (driver, refused) = Driver::choose(DriverChoice::Epoll).unwrap();
        assert_eq!((driver.to_string().as_str(), refused.is_none()), ("epoll", true));
        assert_eq!(run(driver, || async { 7 }).unwrap(), 7);
    }

    #[test]
    fn what_was_chosen_runs() {
        let (driver, _) = Driver::choose(DriverChoice::Auto).unwrap();
        assert_eq!(run(driver, || async { 7 }).unwrap(), 7);
    }
}
