//! The control socket: one line asks, one or two lines answer. For root and the own user only.
//!
//! `upgrade` is answered by `started MILLISECONDS`, the bound of what follows, then by `done PID` or `refused REASON`.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::POLL_INTERVAL;
use crate::handover::{Given, Inherited};
use crate::local_socket::LocalSocket;
use crate::worker::Gate;

/// The request for an upgrade.
pub(crate) const REQUEST_UPGRADE: &str = "upgrade";
/// Bytes of a request.
const REQUEST_BYTES_MAX: u64 = 64;
/// From the connection to the end of its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests that may wait.
const REQUESTS_MAX: usize = 8;
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket could not be had.
#[derive(Debug, thiserror::Error)]
#[error("--control-socket: cannot listen on {path}: {cause}")]
pub struct ControlError {
    path: PathBuf,
    cause: io::Error,
}

/// The bound socket.
#[derive(Debug)]
pub struct ControlSocket(LocalSocket);

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The upgrade is under way and ends within this time.
    Started(Duration),
    /// The process of this number serves.
    Done(u32),
    /// There is no upgrade, for this reason.
    Refused(String),
}

impl ControlSocket {
    /// Takes the socket over or binds it; its folder is made for the own user when there is none.
    pub fn bind(path: &Path, inherited: &mut Inherited) -> Result<Self, ControlError> {
        if let Some(folder) = path.parent() {
            // If it cannot be made, the binding says so.
            let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        }
        let failed = |cause| ControlError { path: path.to_path_buf(), cause };
        LocalSocket::bind(path, inherited).map(Self).map_err(failed)
    }

    /// A copy for a successor.
    pub fn give(&self) -> io::Result<Given> {
        self.0.listener.try_clone().map(Given::of_process)
    }

    /// Whether the end of this process ends it.
    pub fn set_owned(&self, owned: bool) {
        self.0.file.set_owned(owned);
    }
}

impl Reply {
    /// The line without its end.
    fn line(&self) -> String {
        match self {
            Self::Started(limit) => format!("started {}", limit.as_millis()),
            Self::Done(id) => format!("done {id}"),
            Self::Refused(reason) => format!("refused {}", reason.replace('\n', " ")),
        }
    }

    /// Reads a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "started" => rest.parse().ok().map(Duration::from_millis).map(Self::Started),
            "done" => rest.parse().ok().map(Self::Done),
            "refused" => Some(Self::Refused(rest.to_owned())),
            _ => None,
        }
    }
}

/// Somebody who asks for an upgrade.
pub(super) struct Request(UnixStream);

impl Request {
    /// Answers. A few bytes always fit into the socket; who has gone needs no answer.
    pub(super) fn reply(&self, reply: &Reply) {
        let _ = self.0.try_write(format!("{}\n", reply.line()).as_bytes());
    }
}

/// Requests as they come; nothing more is accepted when this is dropped.
pub(super) struct Requests {
    received: mpsc::Receiver<Request>,
    listening: Option<JoinHandle<()>>,
}

impl Requests {
    /// Listens once the gate is open: until then the process before does.
    pub(super) fn listen(socket: Option<&ControlSocket>, gate: Gate) -> Self {
        let (sender, received) = mpsc::channel(REQUESTS_MAX);
        let listener = socket.and_then(|socket| match socket.0.listener.try_clone() {
            Ok(listener) => Some(listener),
            Err(error) => {
                tracing::error!(%error, "the control socket does not work");
                None
            }
        });
        Self { received, listening: listener.map(|listener| tokio::spawn(accept(listener, gate, sender))) }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Request {
        match self.received.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: std::os::unix::net::UnixListener, gate: Gate, requests: mpsc::Sender<Request>) {
    while !gate.is_open() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the control socket does not work"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Some(request) = read(stream).await
                    && requests.send(request).await.is_err()
                {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a request for an upgrade could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads a request. `None` when it is none, or not from somebody who may ask.
async fn read(stream: UnixStream) -> Option<Request> {
    let asker = stream.peer_cred().ok()?.uid();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut limited = (&mut stream).take(REQUEST_BYTES_MAX);
    tokio::time::timeout(REQUEST_TIMEOUT, limited.read_line(&mut line)).await.ok()?.ok()?;
    let request = Request(stream.into_inner());
    let refused = if asker != 0 && asker != rustix::process::geteuid().as_raw() {
        "only root and the user of the process may ask"
    } else if line.trim_end() != REQUEST_UPGRADE {
        "expected the line upgrade"
    } else {
        return Some(request);
    };
    request.reply(&Reply::Refused(refused.to_owned()));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_as_it_was_written() {
        let replies = [Reply::Started(Duration::from_secs(60)), Reply::Done(7), Reply::Refused("no: a b".to_owned())];
        for reply in replies {
            assert_eq!(Reply::parse(&reply.line()), Some(reply));
        }
        assert_eq!(Reply::parse("done"), None);
    }
}
