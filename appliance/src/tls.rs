//! TLS on both sides: a stream over a socket and a rustls session, with buffers only while bytes move.

mod accept;
mod choice;
mod client;
pub(crate) mod hello;
mod identity;
mod ring;
mod server;
mod session;
mod stream;
mod tickets;
mod turns;

pub(crate) use accept::{Accepted, accept};
pub(crate) use client::{Alpn, ClientTls, unverified_client};
pub(crate) use identity::{Secured, Suite};
pub(crate) use server::{ServerTls, SharedTls};
pub(crate) use stream::{TlsReader, TlsStream, TlsWriter};
pub(crate) use turns::Turns;
