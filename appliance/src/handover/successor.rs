//! The process that is to take over from this one.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::channel::{self, Message};
use super::sockets::Given;
use super::{FORM, HELLO_WAIT, SERVING_WAIT, VALUE, VARIABLE};
use crate::sys::spawn;

/// What this process was told by a service manager about itself; a successor must not take it for its own.
const VARIABLES_OF_THIS_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How long the end of a process that closed its socket is waited for.
const EXIT_WAIT: Duration = Duration::from_secs(2);
const EXIT_POLL: Duration = Duration::from_millis(10);

/// The program that this process is, as it can be started again.
#[derive(Clone, Debug)]
pub struct Program {
    path: Result<PathBuf, String>,
    arguments: Vec<OsString>,
}

/// Why there was no upgrade; this process goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// A container ends with its first process.
    #[error("this process is the first of its container, which would end with it: replace the container instead")]
    FirstProcess,
    /// One at a time.
    #[error("an upgrade is under way already")]
    Busy,
    /// A signal came first.
    #[error("a signal ends this process")]
    Stopped,
    /// Nothing to hand over yet.
    #[error("this process is not ready itself: {0}")]
    NotReady(String),
    /// The own path is not known.
    #[error("the path of the program is not known: {0}")]
    Path(String),
    /// The program could not be started.
    #[error("cannot start {path}: {cause}")]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A socket could not be handed over.
    #[error("the sockets cannot be handed over: {0}")]
    Sockets(#[from] io::Error),
    /// The new process says why it cannot serve.
    #[error("the new process says: {0}")]
    Refused(String),
    /// The new process ended.
    #[error("the new process ended before it was ready ({0})")]
    Ended(String),
    /// The new process does not speak.
    #[error("the new process said something unexpected")]
    Unexpected,
    /// It is something else, perhaps: no socket was sent.
    #[error("the new process did not say within {0:?} that it takes sockets over; an older version cannot say so")]
    Silent(Duration),
    /// The new process took too long.
    #[error("the new process was not ready within {0:?}")]
    Late(Duration),
}

impl Program {
    /// To be asked at the start: once the file is replaced, the system names the path of the old one no more.
    pub fn of_process() -> Self {
        let path = std::env::current_exe().map_err(|error| error.to_string());
        Self { path, arguments: std::env::args_os().collect() }
    }
}

/// A started process, ended when it is dropped before it has taken over.
pub(crate) struct Successor {
    child: Option<Child>,
    socket: UnixStream,
}

impl Successor {
    /// Starts the program as it is installed now, with the arguments of this process.
    pub(crate) fn start(program: &Program) -> Result<Self, UpgradeError> {
        if rustix::process::getpid().is_init() {
            return Err(UpgradeError::FirstProcess);
        }
        let path = program.path.clone().map_err(UpgradeError::Path)?;
        let (own, its) = channel::pair()?;
        let own = StdUnixStream::from(own);
        own.set_nonblocking(true)?;
        let socket = UnixStream::from_std(own)?;
        let mut command = Command::new(&path);
        let mut arguments = program.arguments.iter();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env(VARIABLE, VALUE).stdin(its).process_group(0);
        for name in VARIABLES_OF_THIS_PROCESS {
            command.env_remove(name);
        }
        spawn::keep_standard_descriptors_only(&mut command);
        let child = command.spawn().map_err(|cause| UpgradeError::Start { path, cause })?;
        tracing::info!(successor = child.id(), "upgrade: the new process is started");
        Ok(Self { child: Some(child), socket })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Hands the sockets over; returns when the new process accepts on them.
    ///
    /// # Errors
    /// When it is not ready within `limit`, ends, or says that it cannot serve.
    pub(crate) async fn take_over(&mut self, sockets: Vec<Given>, limit: Duration) -> Result<(), UpgradeError> {
        let ready = async {
            timeout(HELLO_WAIT, self.expect_hello()).await.unwrap_or(Err(UpgradeError::Silent(HELLO_WAIT)))?;
            self.send(&Message::Form(FORM)).await?;
            for given in sockets {
                self.send(&Message::Socket(given)).await?;
            }
            self.send(&Message::Complete).await?;
            self.expect_ready().await
        };
        let result = timeout(limit, ready).await.unwrap_or(Err(UpgradeError::Late(limit)));
        self.explained(result).await?;
        let result = timeout(SERVING_WAIT, self.go()).await.unwrap_or(Err(UpgradeError::Late(SERVING_WAIT)));
        self.explained(result).await
    }

    /// Lets it live on after this process.
    pub(crate) fn release(mut self) {
        self.child = None;
    }

    async fn expect_hello(&self) -> Result<(), UpgradeError> {
        match self.receive().await? {
            Message::Hello(version) => {
                tracing::info!(successor = self.id(), version, "upgrade: the new process takes sockets over");
                Ok(())
            }
            Message::Refused(reason) => Err(UpgradeError::Refused(reason)),
            _ => Err(UpgradeError::Unexpected),
        }
    }

    async fn expect_ready(&self) -> Result<(), UpgradeError> {
        match self.receive().await? {
            Message::Ready => Ok(()),
            Message::Refused(reason) => Err(UpgradeError::Refused(reason)),
            _ => Err(UpgradeError::Unexpected),
        }
    }

    async fn go(&self) -> Result<(), UpgradeError> {
        self.send(&Message::Go).await?;
        match self.receive().await? {
            Message::Serving => Ok(()),
            _ => Err(UpgradeError::Unexpected),
        }
    }

    async fn send(&self, message: &Message) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || channel::send(&self.socket, message)).await
    }

    async fn receive(&self) -> io::Result<Message> {
        let message = self.socket.async_io(Interest::READABLE, || channel::receive(&self.socket)).await?;
        message.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// A broken talk mostly means that the process has ended: its last word, or how it ended, says more.
    async fn explained(&mut self, result: Result<(), UpgradeError>) -> Result<(), UpgradeError> {
        let Err(UpgradeError::Sockets(_)) = &result else { return result };
        if let Ok(Some(Message::Refused(reason))) = channel::receive(&self.socket) {
            return Err(UpgradeError::Refused(reason));
        }
        match timeout(EXIT_WAIT, self.exit()).await {
            Ok(status) => Err(UpgradeError::Ended(status.to_string())),
            Err(_) => result,
        }
    }

    async fn exit(&mut self) -> ExitStatus {
        loop {
            match self.child.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => {
                    // What it started may go on, and its number is free for others from now on.
                    self.child.take().iter().for_each(kill_group);
                    return status;
                }
                _ => tokio::time::sleep(EXIT_POLL).await,
            }
        }
    }
}

/// Whatever a process that is the first of its group has started; not itself once it is in another group.
fn kill_group(child: &Child) {
    let _already_ended = kill_process_group(Pid::from_child(child), Signal::KILL);
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It has accepted nothing, so nothing is lost; it may have ended already.
            kill_group(&child);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
