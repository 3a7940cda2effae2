//! Writes the addresses to the status of Ingresses: the leader only, at once, and only where they differ.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ringress_config::model::ObjectKey;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use super::addresses::{Address, entries, of_status};
use super::api::{Api, Failure, Resource};
use super::book::{Book, Done, Job, Published};
use super::leader::Lead;
use crate::watch::kube::Backoff;

/// Requests under way at the same time.
const PARALLEL: usize = 8;

/// Attempts at one status before it is put back: each loses against a change of the Ingress in that very moment.
const ATTEMPTS: usize = 3;

/// Pause before what is left is emptied.
const CLEAR_PAUSE: Duration = Duration::from_millis(20);

/// Pause after the server said that this account may not.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The book, shared by the control thread and the writer, which run on the same thread.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    book: Arc<Mutex<Book>>,
    news: Arc<Notify>,
}

impl Desk {
    /// Tells the book something.
    pub(crate) fn tell(&self, tell: impl FnOnce(&mut Book)) {
        tell(&mut self.open());
        self.news.notify_one();
    }

    fn open(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer.
pub(crate) struct Writer {
    api: Api,
    desk: Desk,
    lead: watch::Receiver<Lead>,
    backoff: Backoff,
    failed: Option<String>,
}

impl Writer {
    pub(crate) fn new(api: Api, desk: Desk, lead: watch::Receiver<Lead>) -> Self {
        Self { api, desk, lead, backoff: Backoff::default(), failed: None }
    }

    /// Writes while this process leads, until the addresses' sender is gone.
    pub(crate) async fn run(&mut self, mut found: watch::Receiver<Option<Arc<[Address]>>>) {
        let news = Arc::clone(&self.desk.news);
        loop {
            if let Some(addresses) = found.borrow_and_update().clone() {
                self.desk.open().want(addresses);
            }
            let pause = self.write_all(None).await;
            tokio::select! {
                changed = found.changed() => if changed.is_err() { return },
                changed = self.lead.changed() => if changed.is_err() { return },
                () = news.notified(), if pause.is_none() => {}
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// Empties the status of all that is served, for the last process that ends. [`run`](Self::run) may have been cut
    /// short in the middle of a write.
    pub(crate) async fn clear(&mut self, limit: Instant) {
        {
            let mut book = self.desk.open();
            book.abandon();
            book.want(Arc::default());
        }
        while !self.desk.open().is_idle() && Instant::now() < limit {
            // Between two terms nothing can be written for a moment.
            let pause = self.write_all(Some(limit)).await;
            tokio::time::sleep(pause.unwrap_or(CLEAR_PAUSE)).await;
        }
        match self.desk.open().is_idle() {
            true => info!("the addresses are taken out of the status of Ingresses"),
            false => warn!("not all addresses could be taken out of the status of Ingresses"),
        }
    }

    /// Writes what is open, as long as this process leads. After a failure, how long to wait before the next attempt.
    async fn write_all(&mut self, limit: Option<Instant>) -> Option<Duration> {
        let mut under_way = FuturesUnordered::new();
        let mut pause = None;
        loop {
            while under_way.len() < PARALLEL && pause.is_none() {
                let lead = *self.lead.borrow();
                let Some(until) = lead.map(|until| limit.map_or(until, |limit| until.min(limit))) else { break };
                if Instant::now() >= until {
                    break;
                }
                let Some(job) = self.desk.open().next() else { break };
                under_way.push(write(self.api.clone(), job, until));
            }
            let Some((key, done)) = under_way.next().await else { return pause };
            let done = match done {
                Ok(done) => {
                    self.backoff.reset();
                    self.failed = None;
                    done
                }
                Err(failure) => {
                    pause = Some(self.failed(&key, failure));
                    Done::Failed
                }
            };
            if self.desk.open().done(&key, done) {
                warn!(ingress = %key, "somebody else keeps changing the status of this Ingress; it is left to them");
            }
        }
    }

    fn failed(&mut self, key: &ObjectKey, failure: Failure) -> Duration {
        let message = failure.to_string();
        if self.failed.as_ref() != Some(&message) {
            warn!(ingress = %key, "the status cannot be written: {message}");
        }
        self.failed = Some(message);
        let pause = self.backoff.next(fastrand::f64());
        if matches!(failure, Failure::Refused(_)) { REFUSED_PAUSE } else { pause }
    }
}

/// Writes one status, unless it is right already. Nothing is asked for after `until`.
async fn write(api: Api, job: Job, until: Instant) -> (ObjectKey, Result<Done, Failure>) {
    let key = job.key.clone();
    let late = || Failure::Other("this process no longer leads".to_owned());
    let result = tokio::time::timeout_at(until.into(), attempts(&api, job)).await.unwrap_or_else(|_| Err(late()));
    (key, result)
}

async fn attempts(api: &Api, job: Job) -> Result<Done, Failure> {
    let Job { key, mut version, addresses, only_from } = job;
    for _ in 0..ATTEMPTS {
        let patch = json!({
            "metadata": {"resourceVersion": version},
            "status": {"loadBalancer": {"ingress": entries(&addresses)}},
        });
        match api.patch_status(Resource::Ingress, &key.namespace, &key.name, &patch).await {
            Ok(object) => {
                debug!(ingress = %key, ?addresses, "the status is written");
                return Ok(Done::Is(published(&object), true));
            }
            Err(Failure::NotFound) => return Ok(Done::Gone),
            Err(Failure::Conflict) => {}
            Err(failure) => return Err(failure),
        }
        // Changed since it was seen: by another writer perhaps, so it is looked at before it is written.
        let now = match api.get(Resource::Ingress, &key.namespace, &key.name).await {
            Ok(object) => published(&object),
            Err(Failure::NotFound) => return Ok(Done::Gone),
            Err(failure) => return Err(failure),
        };
        let is_others = only_from.as_ref().is_some_and(|ours| now.addresses != *ours);
        if is_others || now.addresses[..] == addresses[..] {
            return Ok(Done::Is(now, false));
        }
        version = now.version;
    }
    Err(Failure::Conflict)
}

/// What an Ingress, as the API has it, shows.
pub(crate) fn published(object: &serde_json::Value) -> Published {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    Published { version: version.into(), addresses: of_status(object) }
}

/// What the source has seen of statuses since it was last asked.
pub(crate) type Seen = VecDeque<(ObjectKey, Option<Published>)>;
