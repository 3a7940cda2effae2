//! Peers in Python with libraries from PyPI.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::output;
use crate::support::process::own_address;

/// A script of this folder, with a Python that has its library: made once, kept beside the build.
pub(crate) struct Peer {
    python: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// `requirement` is what pip installs, `module` what it brings.
    pub(crate) fn new(requirement: &str, module: &str, script: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(requirement);
        let python = folder.join("bin/python");
        let has_it = |python: &Path| {
            let imported =
                Command::new(python).arg("-c").arg(format!("import {module}")).stderr(Stdio::null()).status();
            imported.is_ok_and(|status| status.success())
        };
        if !has_it(&python) {
            output(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
            output(Command::new(&python).args(pip).arg(requirement));
        }
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/outside").join(script);
        Self { python, script }
    }

    /// The script in this role.
    pub(crate) fn command(&self, role: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).arg(role);
        command
    }
}

/// The script in the role of `server`: told its address, it says its port. Ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(peer: &Peer) -> Self {
        let address = own_address();
        let mut command = peer.command("server");
        command.arg(address.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the server");
        let mut line = String::new();
        let mut told = BufReader::new(child.stdout.take().expect("its output"));
        told.read_line(&mut line).expect("its port");
        let port = line.trim().parse().expect("a port");
        Self { child, address: SocketAddr::new(address.into(), port) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_ended = self.child.wait();
    }
}
