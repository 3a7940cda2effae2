//! A control thread with stand-in workers, and the questions that tests ask of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ringress_config::options::Options;
use ringress_config::snapshot::Snapshot;

use super::api_server::ApiServer;
use super::workers::{Workers, eventually};
use crate::{KubeSettings, SourceSettings, SyncError, SyncHandle, SyncSettings, spawn};

/// Number of workers.
const WORKERS: usize = 2;

/// An address to listen on that nobody else is given: no other test takes the port while it is not bound.
///
/// # Panics
/// When the system has no free port.
pub fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    // Test programs run side by side; the process id keeps them apart.
    let [_, _, _, process] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 77, process, NEXT.fetch_add(1, Ordering::Relaxed));
    let listener = TcpListener::bind((address, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// A running control thread; it ends when this is dropped.
pub struct Rig {
    /// The thread.
    pub handle: SyncHandle,
    /// Its workers.
    pub workers: Workers,
}

impl Rig {
    /// Starts on any source.
    ///
    /// # Errors
    /// Those of [`spawn`].
    pub fn start(settings: SyncSettings) -> Result<Self, SyncError> {
        let (workers, publisher) = Workers::start(WORKERS);
        Ok(Self { handle: spawn(settings, publisher)?, workers })
    }

    /// Starts on a folder.
    ///
    /// # Errors
    /// Those of [`spawn`].
    pub fn on_folder(folder: &Path) -> Result<Self, SyncError> {
        let source = SourceSettings::Dir(folder.to_owned());
        let options = Options { assume_class: true, ..Options::default() };
        Self::start(SyncSettings { source, options, state_dir: None, webhook: None, resolver: Default::default() })
    }

    /// Starts on a fake API server, which may be down.
    ///
    /// # Panics
    /// When the thread cannot be started.
    pub fn on_server(server: &ApiServer) -> Self {
        Self::start(Self::server_settings(server)).expect("the settings are right")
    }

    /// The settings of [`on_server`](Self::on_server), to be changed.
    pub fn server_settings(server: &ApiServer) -> SyncSettings {
        let kube = KubeSettings { apiserver_host: Some(server.url()), ..KubeSettings::default() };
        SyncSettings {
            source: SourceSettings::Kube(kube),
            options: Options::default(),
            state_dir: None,
            webhook: None,
            resolver: Default::default(),
        }
    }

    /// Waits until every worker serves.
    pub fn ready(self) -> Self {
        eventually("ready", || self.handle.status().ready);
        self
    }

    /// `POST /api/sync`.
    ///
    /// # Errors
    /// Those of [`SyncHandle::sync`].
    ///
    /// # Panics
    /// When no runtime can be had.
    pub fn try_sync(&self) -> Result<u64, SyncError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(self.handle.sync())
    }

    /// `POST /api/sync` that succeeds.
    ///
    /// # Panics
    /// When it fails.
    pub fn sync(&self) -> u64 {
        self.try_sync().expect("everything is served")
    }

    /// The newest generation; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.handle.status().generation
    }

    /// Whether every worker routes this host.
    pub fn serves(&self, host: &str) -> bool {
        self.all(|snapshot| snapshot.hosts.exact.get(host).is_some())
    }

    /// Whether it is so on every worker; false before a worker has its first snapshot.
    pub fn all(&self, condition: impl Fn(&Arc<Snapshot>) -> bool) -> bool {
        (0..WORKERS).all(|worker| self.workers.serving(worker).is_some_and(|snapshot| condition(&snapshot)))
    }

    /// Whether there is a finding on this object (`Ingress shop/web`).
    pub fn reports(&self, object: &str) -> bool {
        self.handle.status().rejected.iter().any(|finding| finding.object.to_string() == object)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.handle.stop();
    }
}
