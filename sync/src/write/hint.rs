//! A watch that only says that something may have changed. Who is told looks for himself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::debug;

use super::api::Api;
use crate::watch::kube::{Backoff, Link, Wire};

/// The server is asked to end a watch after this many seconds.
const WATCH_SECONDS: u32 = 290;

/// A watch that says nothing for so long is taken for dead; the interval of its reader bounds what is missed.
const WATCH_SILENCE: Duration = Duration::from_secs(300);

/// Changes come in groups; the reader looks once for those that come this close together.
const SETTLE: Duration = Duration::from_millis(200);

/// At most one watch, which ends when this is dropped.
#[derive(Default)]
pub(crate) struct Hint {
    changed: Arc<Notify>,
    task: Option<AbortHandle>,
}

impl Hint {
    /// Starts the watch, if it has not been started.
    pub(crate) fn watch(&mut self, api: &Api, path: String, fields: Option<String>, labels: Option<String>) {
        if self.task.is_none() {
            let params = WatchParams {
                field_selector: fields,
                label_selector: labels,
                timeout: Some(WATCH_SECONDS),
                ..WatchParams::default()
            };
            let watching = follow(api.link().clone(), path, params, Arc::clone(&self.changed));
            self.task = Some(tokio::spawn(watching).abort_handle());
        }
    }

    /// Waits until something may have changed. Never, without a watch.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
        tokio::time::sleep(SETTLE).await;
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn follow(link: Link, path: String, params: WatchParams, changed: Arc<Notify>) {
    let request = Request::new(path.clone());
    let mut backoff = Backoff::default();
    loop {
        let started = match request.watch(&params, "0") {
            Ok(watch) => link.client().request_events::<Wire>(watch).await.inspect_err(|cause| link.failed(cause)).ok(),
            Err(_) => None,
        };
        if let Some(events) = started {
            let mut events = std::pin::pin!(events);
            while let Ok(Some(Ok(event))) = tokio::time::timeout(WATCH_SILENCE, events.next()).await {
                if matches!(event, WatchEvent::Error(_)) {
                    break;
                }
                backoff.reset();
                changed.notify_one();
            }
        }
        debug!(path, "the watch begins anew");
        tokio::time::sleep(backoff.next(fastrand::f64())).await;
        // What was missed between the two is looked for.
        changed.notify_one();
    }
}
