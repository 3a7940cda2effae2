//! Worker cores that only adopt: they take the newest snapshot, acknowledge it and give the old one back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use ringress_config::snapshot::{Adopted, Snapshot};

use crate::{Publisher, WorkerLink};

/// Capacity of a worker's channel, as in the appliance.
const CHANNEL: usize = 2;

/// How often a worker looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// Running stand-ins for worker cores; they end when this is dropped.
pub struct Workers {
    current: Arc<ArcSwapOption<Snapshot>>,
    serving: Vec<Arc<ArcSwapOption<Snapshot>>>,
    stuck: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` workers and returns the publisher for [`spawn`](crate::spawn) with them.
    pub fn start(count: usize) -> (Self, Publisher) {
        let (adopted_in, adopted) = unbounded();
        let (retired_in, retired) = unbounded();
        let current = Arc::new(ArcSwapOption::empty());
        let (stuck, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (mut links, mut threads, mut serving) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..count {
            let (snapshots, stale) = bounded(CHANNEL);
            let worker = Worker {
                number,
                snapshots: stale.clone(),
                adopted: adopted_in.clone(),
                retired: retired_in.clone(),
                serving: Arc::new(ArcSwapOption::empty()),
                stuck: Arc::clone(&stuck),
                ended: Arc::clone(&ended),
            };
            serving.push(Arc::clone(&worker.serving));
            threads.push(std::thread::spawn(move || worker.run()));
            links.push(WorkerLink { snapshots, stale, wake: Box::new(|| {}) });
        }
        let (current_of, announce) = (Arc::clone(&current), Box::new(|_: &_| {}));
        let publisher = Publisher { workers: links, adopted, retired, current: current_of, announce };
        (Self { current, serving, stuck, ended, threads }, publisher)
    }

    /// The newest snapshot as the admin thread would see it.
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// What a worker serves.
    pub fn serving(&self, worker: usize) -> Option<Arc<Snapshot>> {
        self.serving[worker].load_full()
    }

    /// Makes all workers stop adopting, or go on.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::SeqCst);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

struct Worker {
    number: usize,
    snapshots: Receiver<Arc<Snapshot>>,
    adopted: Sender<Adopted>,
    retired: Sender<Arc<Snapshot>>,
    serving: Arc<ArcSwapOption<Snapshot>>,
    stuck: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Worker {
    fn run(&self) {
        while !self.ended.load(Ordering::SeqCst) {
            if self.stuck.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK);
                continue;
            }
            match self.snapshots.recv_timeout(LOOK) {
                Ok(snapshot) => self.adopt(snapshot),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn adopt(&self, snapshot: Arc<Snapshot>) {
        let generation = snapshot.generation;
        let old = self.serving.swap(Some(snapshot));
        // Either may fail when the control thread has ended.
        let _closed = self.adopted.send(Adopted { worker: self.number, generation });
        if let Some(old) = old {
            let _closed = self.retired.send(old);
        }
    }
}

/// Waits until `condition` holds; panics after 10 s with what was waited for.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, condition);
}

/// Waits until `condition` holds; panics after `limit` with what was waited for.
pub fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
