//! TLS on both sides: a stream over a socket and a rustls session, with buffers only while bytes move.

mod client;
mod server;
mod session;
mod stream;

pub(crate) use client::{Alpn, ClientTls};
pub(crate) use server::{ServerTls, SharedTls};
pub(crate) use stream::{TlsReader, TlsStream, TlsWriter};
