//! Waking a core from another thread: one byte through a socket pair, awaited by the core like any other receive.
//!
//! The pair stands for the eventfd of the design: the runtime has no operation for a plain descriptor, and a byte
//! costs the same. Used when a snapshot, a handed-over connection or an order arrives, never per request.

use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdUnixStream;

use monoio::io::AsyncReadRent;
use monoio::net::UnixStream;

/// Wakes one core. Never blocks: a full pipe means that the core has a wake-up pending.
#[derive(Debug)]
pub(crate) struct Wake(StdUnixStream);

/// The core's side before its runtime exists; it may be cloned for a replacement of the worker.
#[derive(Debug)]
pub(crate) struct WakeReceiver(StdUnixStream);

impl Wake {
    /// Both ends.
    pub(crate) fn pair() -> io::Result<(Self, WakeReceiver)> {
        let (a, b) = StdUnixStream::pair()?;
        a.set_nonblocking(true)?;
        b.set_nonblocking(true)?;
        Ok((Self(a), WakeReceiver(b)))
    }

    /// Another waker of the same core.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Wakes the core.
    pub(crate) fn wake(&self) {
        // WouldBlock: wake-ups are pending already. Broken pipe: the core is gone, its supervisor knows.
        let _ = (&self.0).write(&[1]);
    }
}

impl WakeReceiver {
    /// Another receiver of the same wake-ups, for the worker that replaces a dead one.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Calls `on_wake` after each wake-up (several may come as one). Returns only on an error of the pair.
    pub(crate) async fn run(self, mut on_wake: impl FnMut()) -> io::Result<()> {
        let mut stream = UnixStream::from_std(self.0)?;
        let mut buf = vec![0_u8; 64];
        loop {
            let (result, returned) = stream.read(buf).await;
            buf = returned;
            if result? == 0 {
                return Ok(());
            }
            on_wake();
        }
    }
}
