//! Health, metrics and the read-only API, on a thread of their own: a heavy scrape delays neither requests nor publishes.
//!
//! The health listener answers `/healthz`, `/readyz` and `/metrics` and nothing else, on all addresses by default. The
//! admin listener answers these and the API; it is on loopback by default and guarded against web pages ([`guard`]).
//! What is shown comes through the traits of [`sources`], so that this crate needs not know who watches the objects.

mod api;
pub mod client;
mod dashboard;
mod guard;
mod health;
mod listen;
mod prometheus;
mod serve;
mod sources;
#[cfg(test)]
pub(crate) mod testkit;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::{oneshot, watch};

pub(crate) use api::Rejected;
pub use listen::{AdminSockets, ListenError, Listeners};
pub use sources::{ControlPlane, ControlStatus, Phase, Reviews, Sources, SyncFuture, WorkerPlane};

use crate::worker::Gate;

/// How often the gate is looked at.
const GATE_INTERVAL: Duration = Duration::from_millis(10);

/// How often announced series are gathered.
const GATHER_INTERVAL: Duration = Duration::from_secs(2);

/// Gatherings between two looks for series of removed routes.
const RETIRE_EVERY: u32 = 5;

/// What the answers depend on besides the sources.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// `--health-check-path` of the health listener; `/healthz` is answered too.
    pub health_path: String,
    /// Bound of one health answer.
    pub health_timeout: Duration,
    /// Nobody is answered before it is open: until then another process answers.
    pub gate: Gate,
}

/// The running admin thread; ends when dropped.
pub struct Admin {
    stop: Option<oneshot::Sender<()>>,
    leave: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Starts the thread on listeners that are bound already.
    pub fn start(listeners: Listeners, settings: AdminSettings, sources: Sources) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (leave, leaving) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("admin".into()).spawn(move || {
            runtime.block_on(async {
                let places = serve::Places::new();
                tokio::select! {
                    () = run(listeners, &settings, sources, (&places, leaving)) => {}
                    // Dropped or sent, both mean the end.
                    _ = stopped => {}
                }
                places.emptied().await;
            });
        })?;
        Ok(Self { stop: Some(stop), leave, thread: Some(thread) })
    }

    /// Another process serves the listeners: nothing more is accepted, what is being answered is finished.
    pub fn leave(&self) {
        self.leave.send_replace(true);
    }

    /// Whether the thread still serves.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.leave();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread had panicked");
        }
    }
}

async fn run(
    listeners: Listeners,
    settings: &AdminSettings,
    sources: Sources,
    (places, leaving): (&serve::Places, serve::Leaving),
) {
    let sources = Arc::new(sources);
    let health = probes(settings, &sources, Some(&settings.health_path));
    // Without the path of the flag, which could be one of the API's.
    let admin = probes(settings, &sources, None).merge(api::router(Arc::clone(&sources)));
    let serving = async {
        while !settings.gate.is_open() {
            tokio::time::sleep(GATE_INTERVAL).await;
        }
        tokio::join!(
            serve::health(listeners.health, health, places, leaving.clone()),
            serve::admin(listeners.admin, admin, places, leaving)
        )
    };
    tokio::join!(serving, housekeeping(&sources));
}

/// The three paths of the health listener, and perhaps one more for health.
fn probes(settings: &AdminSettings, sources: &Arc<Sources>, path: Option<&str>) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(prometheus::metrics));
    if let Some(path) = path.filter(|path| *path != "/healthz") {
        router = router.route(path, get(health::healthz));
    }
    let timeout = settings.health_timeout;
    let bounded = axum::middleware::from_fn(move |request, next| health::bounded(timeout, request, next));
    router.layer(bounded).with_state(Arc::clone(sources))
}

/// Keeps the channels of the metrics from filling, and forgets what belongs to removed routes.
async fn housekeeping(sources: &Sources) {
    let mut interval = tokio::time::interval(GATHER_INTERVAL);
    let mut retired_generation = 0;
    for round in 1_u32.. {
        interval.tick().await;
        sources.metrics.gather();
        if round % RETIRE_EVERY == 0
            && let Some(snapshot) = sources.control.snapshot()
            && snapshot.generation != retired_generation
        {
            retired_generation = snapshot.generation;
            sources.metrics.retire(api::routes(&snapshot));
        }
    }
}
