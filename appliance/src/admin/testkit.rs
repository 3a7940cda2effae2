//! Sources that tests set by hand.

#![expect(clippy::disallowed_types, reason = "tests")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringress_config::diagnostics::Finding;
use ringress_config::snapshot::Snapshot;

use super::sources::{ControlPlane, ControlStatus, Phase, Sources, SyncFuture, WorkerPlane};
use crate::cli::{Command, Surroundings};
use crate::metrics::{self, CoreMetricsSource};
use crate::worker::{ListenerStatus, StreamStatus};

#[derive(Default)]
pub(crate) struct FakeControl(Mutex<FakeState>);

#[derive(Default)]
struct FakeState {
    status: ControlStatus,
    heartbeat_age: Duration,
    snapshot: Option<Arc<Snapshot>>,
    sync: Option<Result<u64, String>>,
}

impl FakeControl {
    fn with<T>(&self, f: impl FnOnce(&mut FakeState) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, f: impl FnOnce(&mut ControlStatus)) {
        self.with(|state| f(&mut state.status));
    }

    pub(crate) fn set_heartbeat_age(&self, age: Duration) {
        self.with(|state| state.heartbeat_age = age);
    }

    pub(crate) fn set_sync(&self, result: Result<u64, String>) {
        self.with(|state| state.sync = Some(result));
    }
}

impl ControlPlane for FakeControl {
    fn status(&self) -> ControlStatus {
        self.with(|state| state.status.clone())
    }

    fn heartbeat_age(&self) -> Duration {
        self.with(|state| state.heartbeat_age)
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.with(|state| state.snapshot.clone())
    }

    fn sync(&self) -> SyncFuture {
        let result = self.with(|state| state.sync.clone());
        Box::pin(async move { result.unwrap_or_else(|| Err("nothing to synchronise with".into())) })
    }
}

#[derive(Default)]
pub(crate) struct FakeWorkers(Mutex<Vec<String>>);

impl FakeWorkers {
    pub(crate) fn fail(&self, sentence: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sentence.to_owned());
    }
}

impl WorkerPlane for FakeWorkers {
    fn driver(&self) -> String {
        "epoll".into()
    }

    fn failures(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        Vec::new()
    }

    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

    fn streams(&self) -> Vec<StreamStatus> {
        Vec::new()
    }
}

/// Sources with their handles.
pub(crate) struct Fake {
    pub(crate) control: Arc<FakeControl>,
    pub(crate) workers: Arc<FakeWorkers>,
    pub(crate) cores: CoreMetricsSource,
    pub(crate) sources: Sources,
}

impl Fake {
    pub(crate) fn new(workers: usize) -> Self {
        let arguments = ["ringress", "run", "--source=dir:/"].map(std::ffi::OsString::from);
        let Ok(Command::Run(settings)) = crate::cli::parse(arguments, &Surroundings::default()) else {
            panic!("the default command line parses");
        };
        let (cores, reader) = metrics::channel(&settings.metrics, workers);
        let (control, workers) = (Arc::<FakeControl>::default(), Arc::<FakeWorkers>::default());
        let sources = Sources {
            control: Arc::<FakeControl>::clone(&control),
            workers: Arc::<FakeWorkers>::clone(&workers),
            metrics: Arc::new(reader),
            phase: Arc::new(Phase::default()),
            staples: Default::default(),
        };
        Self { control, workers, cores, sources }
    }
}

/// A worker says that it serves a generation.
pub(crate) fn worker_adopts(fake: &Fake, worker: usize, generation: u64) {
    fake.cores.counters(worker).generation.set(generation);
}
