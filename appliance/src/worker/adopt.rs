//! The end of the snapshot path: the newest snapshot is taken from the channel, what outlives it is reconciled, and
//! its generation is acknowledged. The only place where core-local state meets a new snapshot.

use std::rc::Rc;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use ringress_config::snapshot::{Adopted, Snapshot};

use super::Core;
use super::doors::Doors;

/// A core's end of the publishing channels.
#[derive(Clone)]
pub(super) struct Inlet {
    pub(super) snapshots: Receiver<Arc<Snapshot>>,
    pub(super) adopted: Sender<Adopted>,
}

impl Inlet {
    /// The newest snapshot that waits; older ones are dropped.
    pub(super) fn newest(&self) -> Option<Arc<Snapshot>> {
        self.snapshots.try_iter().last()
    }

    /// Adopts what waits, if anything does.
    pub(super) fn adopt(&self, core: &Rc<Core>, doors: &Doors) {
        let Some(snapshot) = self.newest() else { return };
        let before = core.pin();
        if snapshot.generation <= before.generation {
            // A worker that starts may take a snapshot from the shelf and find it in its channel as well.
            return self.acknowledge(core, before.generation);
        }
        let is_same = Arc::ptr_eq(&snapshot.settings, &before.settings)
            && snapshot.tickets.as_ref().map(Arc::as_ptr) == before.tickets.as_ref().map(Arc::as_ptr)
            && snapshot.certificates.same(&before.certificates);
        if !is_same {
            // A failure would be a set of TLS versions that the engine refuses, which settings cannot express; the
            // old configuration goes on serving.
            if let Err(error) = core.tls.borrow_mut().adopt(&snapshot) {
                tracing::error!(%error, "TLS settings not adopted");
            }
        }
        let generation = snapshot.generation;
        core.replace_snapshot(snapshot);
        core.upstreams.borrow_mut().adopt(&core.pin().clusters, core.timers.now_ms());
        doors.follow(core);
        self.acknowledge(core, generation);
    }

    /// Tells the control thread what this core serves.
    pub(super) fn acknowledge(&self, core: &Rc<Core>, generation: u64) {
        core.metrics.generation.set(generation);
        // A full channel means that the control thread is behind: it will see a later generation, which says more.
        let _ = self.adopted.try_send(Adopted { worker: core.index, generation });
    }
}
