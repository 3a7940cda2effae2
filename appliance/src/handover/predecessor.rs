//! The process that started this one and is relieved by it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::io::Errno;
use rustix::process::{getpgid, getppid, setpgid};
use socket2::{SockRef, Type};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::channel::{self, Message};
use super::sockets::Inherited;
use super::{FORM, SOCKET_WAIT, VALUE, VARIABLE};

/// The talk with the process before, from this end.
#[derive(Debug)]
pub struct Predecessor {
    socket: OwnedFd,
}

/// The process before could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The variable is set and there is no such socket.
    #[error("{VARIABLE} is set, and standard input is not a socket of the process before")]
    NoSocket,
    /// The socket failed, or nothing came in time.
    #[error("the sockets of the process before did not arrive: {0}")]
    Receive(#[from] io::Error),
    /// Another version of the talk.
    #[error("the process before hands over in form {0}, this one understands form {FORM}")]
    Form(u8),
    /// Something else than sockets came.
    #[error("the process before said something unexpected")]
    Unexpected,
}

impl Predecessor {
    /// The process before, if this one was started by an upgrade, and its sockets.
    ///
    /// # Errors
    /// When the sockets do not arrive; the process before goes on then.
    pub fn of_process() -> Result<Option<(Self, Inherited)>, HandoverError> {
        let Some(how) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        if !SockRef::from(&socket).r#type().is_ok_and(|kind| kind == Type::SEQPACKET) {
            return Err(HandoverError::NoSocket);
        }
        SockRef::from(&socket).set_read_timeout(Some(SOCKET_WAIT))?;
        let predecessor = Self { socket };
        if how == VALUE {
            channel::send(&predecessor.socket, &Message::Hello(env!("CARGO_PKG_VERSION").to_owned()))?;
        }
        let inherited = predecessor.sockets().inspect_err(|error| predecessor.refuse(&error.to_string()))?;
        Ok(Some((predecessor, inherited)))
    }

    fn sockets(&self) -> Result<Inherited, HandoverError> {
        match channel::receive(&self.socket)? {
            Some(Message::Form(FORM)) => {}
            Some(Message::Form(other)) => return Err(HandoverError::Form(other)),
            _ => return Err(HandoverError::Unexpected),
        }
        let mut inherited = Inherited::default();
        loop {
            match channel::receive(&self.socket)? {
                Some(Message::Socket(given)) => inherited.add(given),
                Some(Message::Complete) => return Ok(inherited),
                _ => return Err(HandoverError::Unexpected),
            }
        }
    }

    /// Says why this process will not take over.
    pub fn refuse(&self, reason: &str) {
        // Whoever does not hear it sees the end of this process.
        let _ = channel::send(&self.socket, &Message::Refused(reason.to_owned()));
    }

    /// Says that this process could serve, and returns when it shall, or when nobody else can any more.
    pub(crate) async fn relieve(&self) {
        match self.ready().await {
            Ok(()) => join_group_of_predecessor(),
            Err(error) => tracing::warn!(%error, "the process before is gone; this one serves"),
        }
    }

    async fn ready(&self) -> io::Result<()> {
        let socket = StdUnixStream::from(self.socket.try_clone()?);
        socket.set_nonblocking(true)?;
        channel::send(&socket, &Message::Ready)?;
        let socket = UnixStream::from_std(socket)?;
        match socket.async_io(Interest::READABLE, || channel::receive(&socket)).await? {
            Some(Message::Go) => Ok(()),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Says that this process accepts clients.
    pub(crate) fn serving(&self) {
        if let Err(error) = channel::send(&self.socket, &Message::Serving) {
            tracing::debug!(%error, "the process before does not listen");
        }
    }
}

/// A terminal's signals go to the group that a shell knows, which is that of the first process.
fn join_group_of_predecessor() {
    let joined = getppid().ok_or(Errno::SRCH).and_then(|parent| setpgid(None, Some(getpgid(Some(parent))?)));
    if let Err(error) = joined {
        tracing::debug!(%error, "this process stays in a group of its own");
    }
}
