//! `ringress demo`: an embedded example with everything that it needs, on loopback.
//!
//! The manifests are those of `deploy/examples/`. They are written to a temporary folder, together with Services and
//! slices for backends that this process serves itself and Secrets with certificates made just now, and the ordinary
//! `dir:` source reads that folder.

mod backends;
mod certificate;
mod manifests;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::cli::{self, AdminAddress, ControlAddress, RunSettings, Shutdown, Source};
use backends::Backends;

pub use certificate::{SelfSigned, SelfSignedError, self_signed};

/// Somebody who ends a demo does not want to wait.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The temporary folder, a port or a thread could not be had.
    #[error("the demo cannot {0}: {1}")]
    System(&'static str, #[source] std::io::Error),
    /// No certificate.
    #[error("the demo {0}")]
    Certificate(#[from] SelfSignedError),
}

/// A demo with its backends running, ready to be served with [`Demo::settings`].
pub struct Demo {
    /// What to run.
    pub settings: RunSettings,
    /// Ports that had to be moved, in words.
    pub moved: Vec<String>,
    v1: bool,
    folder: TempDir,
    /// Serve until dropped.
    _backends: Backends,
}

/// Where the demo can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Reached<'a> {
    /// The http listener.
    pub http: SocketAddr,
    /// The https listener.
    pub https: SocketAddr,
    /// The admin listener.
    pub admin: Option<&'a str>,
}

impl Demo {
    /// Starts the backends and writes the manifests.
    pub fn prepare(demo: cli::Demo) -> Result<Self, DemoError> {
        let backends = Backends::start(&manifests::BACKENDS).map_err(|e| DemoError::System("start its backends", e))?;
        let folder = tempfile::Builder::new().prefix("ringress-demo-").tempdir();
        let folder = folder.map_err(|e| DemoError::System("make a temporary folder", e))?;
        for (name, text) in manifests::files(demo.v1, backends.ports())? {
            let path = folder.path().join(name);
            std::fs::write(path, text).map_err(|e| DemoError::System("write its manifests", e))?;
        }
        let mut settings = *demo.settings;
        let moved = move_to_loopback(&mut settings).map_err(|e| DemoError::System("find free ports", e))?;
        settings.source = Source::Folder(folder.path().to_path_buf());
        settings.options.assume_class = true;
        // A started copy would not know the folder of this one.
        settings.upgrade.control = ControlAddress::Off;
        settings.state_dir = Some(folder.path().join(".state"));
        settings.shutdown =
            Shutdown { grace_before: Duration::ZERO, drain_timeout: Some(DRAIN_TIMEOUT), grace_after: Duration::ZERO };
        Ok(Self { settings, moved, v1: demo.v1, folder, _backends: backends })
    }

    /// The folder with the manifests, which may be edited while the demo runs.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// What to try.
    pub fn instructions(&self, reached: Reached<'_>) -> String {
        let file = if self.v1 { "abc-ingress-v1.yaml" } else { "abc-ingress.yaml" };
        let (http, https) = (reached.http, reached.https);
        let follow = format!("--connect-to :80:{http} --connect-to :443:{https}");
        let mut text = format!("\nServing {file} and shop.yaml, from {}\n\n", self.folder.path().display());
        for (what, command) in [
            ("redirect to https", format!("curl -i --connect-to ::{http} http://api.abc.com/x")),
            ("apiserver over TLS", format!("curl -k --connect-to ::{https} https://api.abc.com/x")),
            ("both in one go", format!("curl -kL {follow} http://api.abc.com/x")),
            ("fileserver", format!("curl --connect-to ::{http} http://www.abc.com/image/a.png")),
            ("fileserver (regex host)", format!("curl --connect-to ::{http} http://www.abc.com/IMAGE/x")),
            ("feserver", format!("curl --connect-to ::{http} http://www.abc.com/other")),
            ("web, 3 old and 1 new", format!("curl -k --connect-to ::{https} https://shop.example.com/")),
            ("api", format!("curl -k --connect-to ::{https} https://shop.example.com/api/v1")),
            ("tenants, a wildcard", format!("curl -k --connect-to ::{https} https://a.tenants.example.com/")),
            ("docs, without TLS", format!("curl --connect-to ::{http} http://docs.example.com/")),
        ] {
            text += &format!("  {what:<24}{command}\n");
        }
        if let Some(admin) = reached.admin {
            let address = if admin.starts_with("unix:") { admin.to_owned() } else { format!("http://{admin}/") };
            text += &format!("\n  {:<24}{address}\n", "dashboard");
            text +=
                &format!("  {:<24}ringress explain https://shop.example.com/api/x --admin {admin}\n", "why is it so?");
        }
        text + "\nEdit the files in that folder and see what happens. Ctrl-C ends the demo.\n"
    }
}

/// Puts all listeners on loopback, and on free ports where theirs are taken.
fn move_to_loopback(settings: &mut RunSettings) -> std::io::Result<Vec<String>> {
    let mut moved = Vec::new();
    let mut place = |what: &str, port: Option<u16>| -> std::io::Result<u16> {
        let wanted = port.unwrap_or(0);
        let free = free_port(wanted)?;
        if wanted != 0 && free != wanted {
            moved.push(format!("port {wanted} is taken: {what} moves to port {free}"));
        }
        Ok(free)
    };
    settings.listeners.addresses = vec![Ipv4Addr::LOCALHOST.into()];
    settings.listeners.http_port = Some(place("http", settings.listeners.http_port)?);
    settings.listeners.https_port = Some(place("https", settings.listeners.https_port)?);
    settings.health.host = Some(Ipv4Addr::LOCALHOST.into());
    settings.health.port = Some(place("health and metrics", settings.health.port)?);
    if let AdminAddress::Tcp(address) = settings.admin {
        let port = place("the dashboard", Some(address.port()))?;
        settings.admin = AdminAddress::Tcp((Ipv4Addr::LOCALHOST, port).into());
    }
    Ok(moved)
}

/// The port, if nobody has it, else one that the system finds.
fn free_port(wanted: u16) -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted));
    let listener = listener.or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests;
