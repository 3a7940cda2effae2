use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::admin::testkit::{Fake, worker_adopts};

#[derive(Default)]
struct FakeProcess {
    ends_when_drained: bool,
    draining: AtomicBool,
    dead: AtomicBool,
    ready: AtomicBool,
    open: AtomicBool,
    kept: AtomicBool,
}

/// A process without one before it.
fn first() -> Succession {
    Succession { predecessor: None, gate: Gate::new(true), program: Program::of_process(), control: None }
}

impl Process for FakeProcess {
    fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    fn reopen_logs(&self) {}

    fn reread(&self, _: &[FileCertificate]) -> bool {
        true
    }

    fn open(&self) {
        self.open.store(true, Relaxed);
    }

    async fn save(&self) {}

    fn give(&self) -> io::Result<Vec<Given>> {
        Ok(Vec::new())
    }

    fn keep(&self) {
        self.kept.store(true, Relaxed);
    }

    fn hand_over(&self) {
        self.drain();
    }

    fn ended(&self) -> bool {
        self.dead.load(Relaxed) || (self.ends_when_drained && self.draining.load(Relaxed))
    }

    fn ready(&self) {
        self.ready.store(true, Relaxed);
    }
}

fn shutdown(drain_timeout: Duration) -> Shutdown {
    Shutdown {
        grace_before: Duration::from_millis(20),
        drain_timeout: Some(drain_timeout),
        grace_after: Duration::from_millis(40),
    }
}

/// The result and the time it took.
fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let started = tokio::time::Instant::now();
        let result = future.await;
        (result, started.elapsed())
    })
}

#[test]
fn a_drain_takes_its_graces_and_no_longer_than_needed() {
    let process = FakeProcess { ends_when_drained: true, ..FakeProcess::default() };
    let bound = Duration::from_secs(300);
    let (end, took) = timed(drain(&process, shutdown(bound), bound));
    assert_eq!(end, End::Drained);
    assert!((Duration::from_millis(60)..bound).contains(&took), "{took:?}");
}

#[test]
fn a_drain_is_bounded() {
    let process = FakeProcess::default();
    let bound = Duration::from_millis(50);
    let (end, took) = timed(drain(&process, shutdown(bound), bound));
    assert_eq!(end, End::DrainTimeout);
    assert!(took >= Duration::from_millis(110), "{took:?}");
}

#[test]
fn readiness_is_told_once_every_worker_serves() {
    let fake = Fake::new(1);
    let process = Arc::new(FakeProcess::default());
    let succession = first();
    timed(async {
        assert!(timeout(Duration::from_millis(100), serve(&*process, &fake.sources, &succession)).await.is_err());
        assert!(!process.ready.load(Relaxed));
        fake.control.set(|status| status.generation = 1);
        worker_adopts(&fake, 0, 1);
        assert!(timeout(Duration::from_millis(100), serve(&*process, &fake.sources, &succession)).await.is_err());
        assert!(process.ready.load(Relaxed));
        process.dead.store(true, Relaxed);
        serve(&*process, &fake.sources, &succession).await;
    });
}

#[test]
fn the_flag_bounds_the_drain_before_the_default_does() {
    let fake = Fake::new(1);
    assert_eq!(drain_timeout(&fake.sources, shutdown(Duration::from_secs(7))), Duration::from_secs(7));
    let none = Shutdown { drain_timeout: None, ..shutdown(Duration::from_secs(7)) };
    assert_eq!(drain_timeout(&fake.sources, none), DRAIN_TIMEOUT);
}
