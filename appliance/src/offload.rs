//! Work that would hold up a core (password hashes, name look-ups), done by two threads beside the cores.

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use futures_channel::oneshot;

use crate::io;

/// Jobs that may wait; more are refused.
const JOBS_MAX: usize = 1024;
/// Threads.
const THREADS: usize = 2;
/// Wait for a result; the job itself cannot be stopped.
const WAIT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

static JOBS: LazyLock<Sender<Job>> = LazyLock::new(|| {
    let (jobs, jobs_out) = bounded::<Job>(JOBS_MAX);
    for n in 0..THREADS {
        let jobs_out = jobs_out.clone();
        let run = move || jobs_out.iter().for_each(|job| job());
        // Without a thread the queue fills up and jobs are refused, which is answered as an error.
        let _ = thread::Builder::new().name(format!("offload-{n}")).spawn(run);
    }
    jobs
});

/// Runs `job` on another thread. `None` when too many wait, it takes too long, or it panicked.
pub(crate) async fn run<R: Send + 'static>(job: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    let (done, result) = oneshot::channel();
    let job: Job = Box::new(move || {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        // Nobody waits any more when the client left.
        let _ = ran.map(|r| done.send(r));
    });
    JOBS.try_send(job).ok()?;
    io::within(WAIT, result).await?.ok()
}
