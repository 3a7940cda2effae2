//! The beginning of a TLS connection: whose handshake it is, and how it is made.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use ringress_config::snapshot::{ClientVerify, ClusterId, HostTls};
use rustls::pki_types::UnixTime;

use super::hello::{self, HELLO_BYTES_MAX, Hello};
use super::identity::{Identity, Secured};
use super::stream::TlsStream;
use crate::io::Socket;
use crate::limits::{HANDSHAKE, HANDSHAKES_MAX, HANDSHAKES_WITH_BUFFER_MAX};
use crate::worker::Core;

/// What a TLS connection became.
pub(crate) enum Accepted {
    /// TLS is ended here.
    Ended(Box<TlsStream>, Secured),
    /// TLS is the pods' own affair: the socket, what was received, and where it goes.
    PassedOn(Socket, Vec<u8>, ClusterId),
}

/// Makes the handshake, or finds that it is not ours to make. `received` came before.
///
/// # Errors
/// When the client breaks the protocol, leaves, or takes too long.
pub(crate) async fn accept(core: &Rc<Core>, mut socket: Socket, received: Vec<u8>) -> io::Result<Accepted> {
    socket.shutdown_after(HANDSHAKE);
    let _counted = Handshaking::begin(core)?;
    if received.is_empty() && core.handshakes.get() > HANDSHAKES_WITH_BUFFER_MAX {
        socket.readable().await?;
    }
    let (socket, received, named) = match core.pin().hosts.with_tls {
        // The usual case: no host has a say.
        0 => {
            return end(core, socket, received, &HostTls::default())
                .await
                .map(|tls| Accepted::Ended(tls, Secured::Anonymously));
        }
        _ => read_hello(core, socket, received).await?,
    };
    let said = match &named {
        Hello::Whole { name: Some(name) } => core.pin().hosts.find(name).tls.clone(),
        Hello::Whole { name: None } => core.pin().hosts.catch_all.tls.clone(),
        Hello::Partial | Hello::Unreadable => HostTls::default(),
    };
    if let Some(cluster) = said.passthrough {
        return Ok(Accepted::PassedOn(socket, received, cluster));
    }
    let tls = end(core, socket, received, &said).await?;
    let name = match named {
        Hello::Whole { name } => name,
        Hello::Partial | Hello::Unreadable => None,
    };
    let secured = match said.client_auth {
        None if name.is_some() => Secured::Anonymously,
        None => Secured::As(Rc::new(Identity { context: None, name, certificate: Default::default() })),
        Some(auth) => {
            // On a resumed session as well: the certificate is as old as the session, the authorities are not.
            let certificate = auth.judge(&tls.peer_certificates(), UnixTime::now());
            Secured::As(Rc::new(Identity { context: Some(auth.context()), name, certificate }))
        }
    };
    Ok(Accepted::Ended(tls, secured))
}

/// Counts a handshake as long as it takes.
struct Handshaking<'a>(&'a Cell<usize>);

impl<'a> Handshaking<'a> {
    fn begin(core: &'a Core) -> io::Result<Self> {
        let running = core.handshakes.get();
        if running >= HANDSHAKES_MAX {
            return Err(io::Error::other("too many handshakes at a time"));
        }
        core.handshakes.set(running + 1);
        Ok(Self(&core.handshakes))
    }
}

impl Drop for Handshaking<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn end(core: &Rc<Core>, socket: Socket, received: Vec<u8>, said: &HostTls) -> io::Result<Box<TlsStream>> {
    let auth = said.client_auth.as_deref().filter(|auth| auth.verify != ClientVerify::Off);
    let session = core.tls.borrow().accept(auth, said.ciphers.as_ref()).map_err(io::Error::other)?;
    let (session, turns) = (session.with_received(received), Some(&core.handshake_turns));
    let stream = TlsStream::handshake(socket, session, Rc::clone(&core.buffers), turns).await?;
    stream.socket.clear_deadline();
    Ok(Box::new(stream))
}

/// Receives until the client's first message is whole, or can be none.
async fn read_hello(core: &Core, mut socket: Socket, mut received: Vec<u8>) -> io::Result<(Socket, Vec<u8>, Hello)> {
    if received.capacity() == 0 {
        received = core.buffers.head();
    }
    loop {
        match hello::look(&received) {
            Hello::Partial => {}
            seen => return Ok((socket, received, seen)),
        }
        if received.len() == received.capacity() {
            received.reserve(received.len().clamp(1 << 10, HELLO_BYTES_MAX));
        }
        let (result, buf) = socket.recv(received).await;
        received = buf;
        if result? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
