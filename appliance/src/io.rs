//! All socket IO of the worker cores. Nothing outside this module names the runtime's types, so that its
//! implementation (monoio, io_uring or epoll) can be replaced without touching HTTP.
//!
//! The rules of this module, each from a fault seen in the runtime:
//! - Buffers are owned: they go into an operation and come back with its result.
//! - No operation's future is dropped while its connection lives on (a completed read would be lost). A deadline
//!   either cancels the read and waits for its result, or shuts the socket down, which ends what is pending.
//! - An accept is never raced against anything; it ends by its listener being cancelled.
//! - Readiness is waited for only by idle connections, which hold no buffer.

mod datagrams;
mod deadline;
mod listener;
mod runtime;
mod signal;
mod socket;
mod wake;

pub(crate) use datagrams::{Datagrams, Received};
pub(crate) use deadline::Timers;
pub(crate) use listener::{Accepted, Listener, Stopper};
pub use runtime::{Driver, DriverChoice, DriverError};
pub(crate) use runtime::{give_way, run, sleep, spawn, wake_last, within};
pub(crate) use signal::{Deadline, Signal};
pub(crate) use socket::{Aborter, Peek, ReadHalf, Socket, WriteHalf};
pub(crate) use wake::{Wake, WakeReceiver};

/// The result of an owned operation: what happened, and the buffer back.
pub(crate) type Owned<T> = (std::io::Result<T>, Vec<u8>);
