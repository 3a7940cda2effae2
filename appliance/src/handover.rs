//! Listening sockets that outlive a process: taken over from the process before it (an upgrade) or from a service
//! manager (`LISTEN_FDS`), and given to the next one. Their queues go with them, so no client is lost.
//!
//! An upgrade is a talk between two processes over a socket pair, which is the new one's standard input:
//!
//! | the old one | the new one |
//! |---|---|
//! | starts the new one, in a process group of its own | says `hello` |
//! | sends every listening socket | takes those that its settings name, binds what is missing |
//! | goes on serving | reads its source; says `ready` once every worker has a complete snapshot, and accepts nothing |
//! | says `go` | joins the group of the old one; accepts; shuts what it has no use for; says `serving` |
//! | accepts nothing more, drains, ends | is the service |
//!
//! Before `serving` the old one goes on whatever happens; it ends a new one that is late, with all of its group. No socket
//! is sent before `hello`: a program that is none of these would not read it, and whoever has a copy of its end of the pair
//! would keep the socket open. If the old one is gone before
//! it said `go`, the new one serves.

mod channel;
mod predecessor;
mod sockets;
mod successor;

use std::time::Duration;

pub use predecessor::{HandoverError, Predecessor};
pub(crate) use sockets::Keeper;
pub use sockets::{Given, Inherited, PassedError};
pub(crate) use successor::Successor;
pub use successor::{Program, UpgradeError};

/// Names the socket to the process before, in the environment.
const VARIABLE: &str = "RINGRESS_HANDOVER";
/// Its value where the process before waits for `hello`; with another one it does not know the word.
const VALUE: &str = "stdin,hello";

/// Version of the talk. A process that speaks another one backs out, and its predecessor goes on.
const FORM: u8 = 1;

/// The old process waits for `hello` for so long.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// The new process waits for each socket for so long.
const SOCKET_WAIT: Duration = Duration::from_secs(10);
/// The old process waits for `serving` for so long.
const SERVING_WAIT: Duration = Duration::from_secs(10);
