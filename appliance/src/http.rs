//! HTTP as bytes and values: the codec of both sides, without sockets, clocks or tasks.
//!
//! Every message that leaves is built anew from parsed parts (RFC 9112); a message that two parsers could read
//! differently is refused, never repaired. The order of the modules is the order in which a request meets them.

pub mod head;

mod connection;
pub mod field;
pub mod framing;
pub mod host;
mod lanes;
pub mod request;
mod scan;
pub mod target;

pub mod edge;
pub mod forward;

pub mod response;

pub mod chunked;
pub mod respond;
pub mod synthetic;
pub(crate) mod trailer;

pub(crate) mod grpc;

pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod exchange;
pub(crate) mod h1;
pub(crate) mod h2;
mod passthrough;
pub(crate) mod seen;
