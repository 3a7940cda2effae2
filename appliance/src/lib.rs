//! The appliance: pinned worker cores that carry requests from clients to upstreams.
//!
//! The request path, in reading order: [`accept`] → [`tls`] → [`http`] → [`route`] → [`policy`] → [`upstream`] →
//! [`pool`] → [`relay`]. Below all of it lies [`io`], the only module that knows the runtime.

pub mod admin;
pub mod cli;
pub mod explain;
pub mod http;
mod io;
pub mod metrics;
mod sys;
