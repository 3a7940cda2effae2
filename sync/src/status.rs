//! What the control thread says about itself, for `/api/status`, `/readyz` and the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ringress_config::diagnostics::Finding;
use ringress_config::model::ObjectRef;

/// Objects that one change names.
const CHANGED_MAX: usize = 8;

/// One consistent view, replaced as a whole on every publish and acknowledgement.
#[derive(Clone, Debug, Default)]
pub struct SyncStatus {
    /// `dir:PATH` or `kube`.
    pub source: String,
    /// Whether the source could be read the last time that it was tried.
    pub source_reachable: bool,
    /// Whether every worker has adopted a complete snapshot (once true, it stays true).
    pub ready: bool,
    /// Whether what is served came from the state folder because the API server has not been reached yet.
    pub last_known_good: bool,
    /// Whether this replica leads, and so writes the status of Ingresses and events; `None` when it takes no part.
    pub leads: Option<bool>,
    /// Generation of the newest published snapshot; 0 before the first.
    pub generation: u64,
    /// Per worker the generation that it serves; 0 before its first.
    pub adopted: Vec<u64>,
    /// Number of objects by kind.
    pub objects: BTreeMap<&'static str, usize>,
    /// Everything that was refused, changed or ignored, of every severity.
    pub rejected: Arc<[Finding]>,
    /// When the newest snapshot was published.
    pub last_change: Option<SystemTime>,
    /// What led to it.
    pub changed: Changed,
    /// What the newest snapshot took to reach the workers.
    pub propagation: Propagation,
    /// Cost of all builds so far.
    pub builds: Builds,
    /// What the webhook was asked.
    pub reviews: Reviews,
}

/// The objects that changed from one snapshot to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The first ones, each once.
    pub objects: Vec<ObjectRef>,
    /// Changes of others.
    pub more: usize,
}

impl Changed {
    /// One more.
    pub(crate) fn note(&mut self, object: &ObjectRef) {
        if self.objects.contains(object) {
            return;
        }
        if self.objects.len() < CHANGED_MAX { self.objects.push(object.clone()) } else { self.more += 1 }
    }
}

/// The way of the newest snapshot, as durations since its oldest change was noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Propagation {
    /// Until it was published.
    pub published: Duration,
    /// Until every worker served it; `None` while one does not.
    pub adopted: Option<Duration>,
}

/// Ingresses that the webhook was asked about, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reviews {
    /// Those that may be written.
    pub accepted: u64,
    /// Those that must not.
    pub refused: u64,
    /// What compiling the last one took.
    pub took: Duration,
}

/// Counters of the builds since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Builds {
    /// Builds that led to a new snapshot.
    pub published: u64,
    /// Builds that found no difference.
    pub unchanged: u64,
    /// Time spent compiling.
    pub busy: Duration,
}
