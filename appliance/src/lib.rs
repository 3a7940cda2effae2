//! The appliance: pinned worker cores that carry requests from clients to upstreams.
//!
//! The request path, in reading order: `accept` → [`tls`] → [`http`] → `route` → `policy` → `upstream` → `pool` →
//! `relay`. Below all of it lies [`io`], the only module that knows the runtime; around it `worker`, one pinned core.

mod accept;
pub mod access_log;
pub mod admin;
mod buffers;
pub mod check;
pub mod cli;
mod coding;
pub mod demo;
mod error;
pub mod explain;
#[cfg(test)]
mod faults;
pub mod handover;
pub mod http;
pub mod io;
mod kept;
mod l4;
pub mod lifecycle;
mod limits;
mod local_socket;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod ocsp;
mod offload;
pub mod opening;
mod policy;
mod relay;
pub mod report;
mod resolve;
mod route;
pub mod shadow;
mod stream;
mod sys;
mod tls;
pub mod top;
pub mod trace;
pub mod upgrade;
mod upstream;
pub mod worker;
