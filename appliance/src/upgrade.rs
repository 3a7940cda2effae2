//! `ringress upgrade`: asks the running process to be replaced, and waits for the outcome.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Upgrade;
use crate::lifecycle::{REQUEST_UPGRADE, Reply};

/// Until the first word of the running process.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// What the outcome may take beyond the bound that the running process names.
const MARGIN: Duration = Duration::from_secs(20);

/// There was no upgrade.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody to be asked.
    #[error("cannot reach the running process at {path}: {cause} (another place is named with --control-socket)")]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The running process goes on.
    #[error("not upgraded, the running process goes on: {0}")]
    Refused(String),
    /// No outcome is known.
    #[error("the running process did not say what became of the upgrade: {0}")]
    Unknown(#[from] io::Error),
}

/// Asks, and waits until the new process serves. Its number.
///
/// # Errors
/// When the running process goes on, or did not say.
pub fn run(upgrade: &Upgrade) -> Result<u32, AskError> {
    let connect = |cause| AskError::Connect { path: upgrade.socket.clone(), cause };
    let mut stream = UnixStream::connect(&upgrade.socket).map_err(connect)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    writeln!(stream, "{REQUEST_UPGRADE}")?;
    let mut replies = BufReader::new(stream);
    loop {
        let mut line = String::new();
        replies.read_line(&mut line)?;
        match Reply::parse(&line) {
            Some(Reply::Started(limit)) => replies.get_ref().set_read_timeout(Some(limit + MARGIN))?,
            Some(Reply::Done(process)) => return Ok(process),
            Some(Reply::Refused(reason)) => return Err(AskError::Refused(reason)),
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}
