//! What the admin thread shows, as the rest of the process provides it.
#![expect(clippy::disallowed_types, reason = "the admin thread")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use ringress_config::diagnostics::Finding;
use ringress_config::snapshot::Snapshot;

use crate::metrics::Reader;
use crate::ocsp::Staples;
use crate::worker::{ListenerStatus, StreamStatus};

/// The generation that is served, or why it is not.
pub type SyncFuture = Pin<Box<dyn Future<Output = Result<u64, String>> + Send>>;

/// The control thread: where objects come from and what became of them.
pub trait ControlPlane: Send + Sync {
    /// The newest view.
    fn status(&self) -> ControlStatus;

    /// Time since the control thread last made progress.
    fn heartbeat_age(&self) -> Duration;

    /// The newest published snapshot.
    fn snapshot(&self) -> Option<Arc<Snapshot>>;

    /// Resolves when everything that is visible at the source now is served by every worker.
    fn sync(&self) -> SyncFuture;
}

/// One view of the control thread.
#[derive(Clone, Debug, Default)]
pub struct ControlStatus {
    /// `dir:PATH` or `kube`.
    pub source: String,
    /// Whether the source could be read the last time that it was tried.
    pub source_reachable: bool,
    /// Whether what is served came from the state folder.
    pub last_known_good: bool,
    /// The Lease of the leader election, and whether this replica leads; `None` when it takes no part.
    pub lease: Option<(Arc<str>, bool)>,
    /// Generation of the newest published snapshot; 0 before the first.
    pub generation: u64,
    /// Objects by kind.
    pub objects: BTreeMap<&'static str, usize>,
    /// Everything that was refused, changed or ignored.
    pub findings: Arc<[Finding]>,
    /// When the newest snapshot was published.
    pub last_change: Option<SystemTime>,
    /// The first objects that it was about.
    pub changed: Vec<String>,
    /// How many others.
    pub changed_more: usize,
    /// From the notice of the newest change to its adoption by the last worker.
    pub propagation: Option<Duration>,
    /// Snapshots published since the start.
    pub builds: u64,
    /// Time spent compiling since the start.
    pub build_time: Duration,
    /// What the webhook was asked since the start.
    pub reviews: Reviews,
}

/// Ingresses that the webhook was asked about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reviews {
    /// Those that may be written.
    pub accepted: u64,
    /// Those that must not.
    pub refused: u64,
    /// What compiling the last one took.
    pub took: Duration,
    /// Connections to the webhook that gave way to others.
    pub connections_closed: u64,
}

/// The worker cores, beyond what their counters say.
pub trait WorkerPlane: Send + Sync {
    /// `io_uring` or `epoll`.
    fn driver(&self) -> String;

    /// Why the process is not live although all heartbeats are recent: a worker that cannot be replaced, or dies again
    /// and again. One sentence each, naming the worker.
    fn failures(&self) -> Vec<String>;

    /// The addresses of http and https.
    fn listeners(&self) -> Vec<ListenerStatus>;

    /// Keys of the ConfigMap that could not be carried out.
    fn findings(&self) -> Vec<Finding>;

    /// The ports of TCP and UDP services.
    fn streams(&self) -> Vec<StreamStatus>;
}

/// Which part of its life the process is in.
#[derive(Debug, Default)]
pub struct Phase {
    draining: AtomicBool,
    /// Since when the first health checks are waited for.
    checks_since: OnceLock<Instant>,
    checks_over: AtomicBool,
}

impl Phase {
    /// Whether the first health checks are waited for no more.
    pub(super) fn checks_are_over(&self) -> bool {
        self.checks_over.load(Ordering::Relaxed)
    }

    /// They are waited for until `bound` is over since the first call. Whether it is, or `done`, and for good.
    pub(super) fn wait_for_checks(&self, bound: Duration, done: bool) -> bool {
        let since = self.checks_since.get_or_init(Instant::now);
        let over = done || since.elapsed() >= bound;
        self.checks_over.fetch_or(over, Ordering::Relaxed) || over
    }

    /// From now on the process is not ready.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::begin_drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Everything that the admin thread reads.
#[derive(Clone)]
pub struct Sources {
    /// The control thread.
    pub control: Arc<dyn ControlPlane>,
    /// The worker cores.
    pub workers: Arc<dyn WorkerPlane>,
    /// Their counters, heartbeats and generations.
    pub metrics: Arc<Reader>,
    /// Serving or draining.
    pub phase: Arc<Phase>,
    /// What responders said of the certificates.
    pub staples: Staples,
}
