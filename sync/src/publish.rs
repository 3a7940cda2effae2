//! END OF THE CONTROL THREAD'S WORK: snapshots to the workers, acknowledgements back.
//!
//! Every worker has its own bounded channel. Only the newest snapshot matters: when a channel is full, an older one is
//! taken out for it, so publishing never waits for a worker. Old snapshots come back over `retired` and are freed here,
//! off the request path.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use ringress_config::snapshot::{Adopted, Snapshot};

/// The way to one worker.
pub struct WorkerLink {
    /// Bounded; takes the newest snapshot.
    pub snapshots: Sender<Arc<Snapshot>>,
    /// A clone of the worker's receiver, to take out older snapshots when the channel is full.
    pub stale: Receiver<Arc<Snapshot>>,
    /// Makes the worker look at its channel. Must not block.
    pub wake: Box<dyn Fn() + Send>,
}

/// The way to all workers and to the admin thread.
pub struct Publisher {
    /// One link a worker, by worker number.
    pub workers: Vec<WorkerLink>,
    /// What the workers serve from now on. A worker that was replaced starts from [`current`](Self::current) and
    /// acknowledges again.
    pub adopted: Receiver<Adopted>,
    /// Snapshots that a worker no longer uses, to be freed on the control thread.
    pub retired: Receiver<Arc<Snapshot>>,
    /// The newest snapshot, for the admin thread, the webhook and replaced workers.
    pub current: Arc<ArcSwapOption<Snapshot>>,
    /// Told of each snapshot, on the control thread. Must not block.
    pub announce: Box<dyn Fn(&Snapshot) + Send>,
}

/// The publisher with its books: who serves what, since when.
pub(crate) struct Publishing {
    publisher: Publisher,
    generation: u64,
    adopted: Vec<u64>,
    ready: bool,
    /// When the oldest change of the newest snapshot was noticed.
    noticed: Option<Instant>,
    settled: bool,
}

impl Publishing {
    pub(crate) fn new(publisher: Publisher) -> Self {
        let adopted = vec![0; publisher.workers.len()];
        Self { publisher, generation: 0, adopted, ready: false, noticed: None, settled: true }
    }

    /// Hands a snapshot to every worker. `noticed` is when its oldest change came in.
    pub(crate) fn publish(&mut self, snapshot: &Arc<Snapshot>, noticed: Instant) {
        assert!(snapshot.generation > self.generation, "generations rise");
        self.generation = snapshot.generation;
        self.noticed = Some(noticed);
        self.settled = false;
        // First `current`: a worker that starts now begins with it.
        self.publisher.current.store(Some(Arc::clone(snapshot)));
        (self.publisher.announce)(snapshot);
        for worker in &self.publisher.workers {
            send_newest(worker, Arc::clone(snapshot));
            (worker.wake)();
        }
        self.collect();
    }

    /// Takes in what the workers have said, frees what they have given back. True when something was acknowledged.
    pub(crate) fn collect(&mut self) -> bool {
        let mut news = false;
        for message in self.publisher.adopted.try_iter() {
            if let Some(adopted) = self.adopted.get_mut(message.worker) {
                *adopted = message.generation;
                news = true;
            }
        }
        self.publisher.retired.try_iter().for_each(drop);
        self.ready |= self.generation > 0 && self.adopted.iter().all(|&generation| generation > 0);
        news
    }

    /// How long the newest snapshot took to be served everywhere, once, when that has just become true.
    pub(crate) fn take_settled(&mut self, now: Instant) -> Option<std::time::Duration> {
        if self.settled || !self.served(self.generation) {
            return None;
        }
        self.settled = true;
        Some(now.saturating_duration_since(self.noticed?))
    }

    /// Whether a worker still has to acknowledge the newest snapshot.
    pub(crate) fn outstanding(&self) -> bool {
        !self.served(self.generation)
    }

    /// Whether every worker serves this generation or a newer one.
    pub(crate) fn served(&self, generation: u64) -> bool {
        self.adopted.iter().all(|&adopted| adopted >= generation)
    }

    /// The newest generation; 0 before the first.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Per worker the generation that it serves.
    pub(crate) fn adopted(&self) -> &[u64] {
        &self.adopted
    }

    /// Whether every worker has adopted a snapshot.
    pub(crate) fn ready(&self) -> bool {
        self.ready
    }
}

/// Puts the snapshot into the channel, in the place of an older one if there is no other.
fn send_newest(worker: &WorkerLink, snapshot: Arc<Snapshot>) {
    let mut unsent = snapshot;
    // The worker only takes out and nobody else puts in, so the second attempt finds room; the third is for a
    // channel whose only slot was being taken at that moment.
    for _ in 0..3 {
        match worker.snapshots.try_send(unsent) {
            Ok(()) => return,
            Err(TrySendError::Full(back)) => {
                drop(worker.stale.try_recv());
                unsent = back;
            }
            // The worker has died; its successor starts from `current`.
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}
