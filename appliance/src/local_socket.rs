//! A listening Unix socket for the same user, and its file.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::handover::Inherited;

/// The socket. Its file is removed with the last owner of [`SocketFile`].
#[derive(Debug)]
pub(crate) struct LocalSocket {
    pub(crate) listener: UnixListener,
    pub(crate) file: Arc<SocketFile>,
}

/// The file of a socket; removed when it is dropped, if this process is the one that serves it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    owned: AtomicBool,
}

impl LocalSocket {
    /// Takes over the socket of the process before, or binds one. A file that nobody listens on any more is replaced.
    pub(crate) fn bind(path: &Path, inherited: &mut Inherited) -> io::Result<Self> {
        let taken = inherited.take_path(path);
        let owned = taken.is_none();
        let listener = match taken {
            Some(listener) => listener,
            None => bind(path)?,
        };
        let file = SocketFile { path: path.to_path_buf(), owned: AtomicBool::new(owned) };
        let socket = Self { listener, file: Arc::new(file) };
        if owned {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the end of this process is the end of the file: not before it serves, nor once another one does.
    pub(crate) fn set_owned(&self, owned: bool) {
        self.owned.store(owned, Ordering::Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owned.load(Ordering::Relaxed) {
            // Nobody is left to be told of a failure.
            drop(std::fs::remove_file(&self.path));
        }
    }
}
