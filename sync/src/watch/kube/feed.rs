//! One list and watch: everything of a kind, then every event, for ever.
//!
//! Own loop over the client's requests rather than `kube::runtime::watcher`, which never lists again after a watch is
//! answered with status 410, has no limit on the time of a list, and cannot tell a watch that hangs before its answer
//! from a quiet one. Each request here has its limit, every failure is told and tried again, and a watch that ends is
//! resumed from the last version that was seen.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use ringress_config::model::{Kind, Names, Object, ObjectKey};
use tokio::sync::mpsc;
use tracing::debug;

use super::backoff::Backoff;
use super::client::describe;
use super::link::Link;
use super::row::{Page, Row, Wire};

/// Objects per request of a list.
const PAGE: u32 = 500;

/// Limit of one page of a list at first; doubled with each failure in a row, for a server that is slow, not dead…
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// …up to this.
const LIST_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Limit of the time to the head of a watch's answer.
const WATCH_START_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server that has too much to do may ask for: no less, and no more.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// The server is asked to end a watch after this many seconds, so that watches move with its replicas.
const WATCH_SECONDS: u32 = 290;

/// A watch that says nothing for so long, not even a bookmark (the server sends one a minute), is taken for dead.
const WATCH_SILENCE: Duration = Duration::from_secs(90);

/// A watch that lived for so long was a success even if nothing came over it.
const WATCH_LIVED: Duration = Duration::from_secs(5);

/// What to list and watch.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    /// `v1`, `networking.k8s.io/v1`.
    pub(crate) api_version: &'static str,
    /// Path of the collection on the server.
    pub(crate) path: String,
    /// Field selector.
    pub(crate) fields: Option<String>,
}

/// What a feed tells.
#[derive(Debug)]
pub(crate) enum News {
    /// Everything there is, in place of all that was told before.
    Listed(Vec<Row>),
    /// Added or changed.
    Applied(Box<Row>),
    /// Gone.
    Deleted(ObjectKey),
    /// The server answers again.
    Reached,
    /// It does not, or not as it should.
    Failed(Failure),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `list` or `watch`.
    pub(crate) verb: &'static str,
    /// 401 or 403: the account may not.
    pub(crate) refused: bool,
    /// The server does not know the kind.
    pub(crate) missing: bool,
    /// The server asks to be left alone for so long.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) message: String,
}

/// The feed has lost its reader.
struct Closed;

/// How a watch has ended.
enum Ended {
    /// As it should: go on from the last version.
    Resume,
    /// The version is too old: list again.
    Gone,
    Failed(Failure),
}

/// Lists and watches until the reader is gone. Every piece of news carries `id`.
pub(crate) async fn run<I: Copy>(link: Link, subject: Subject, id: I, out: mpsc::Sender<(I, News)>) {
    let feed = Feed {
        request: Request::new(subject.path.clone()),
        link,
        subject,
        id,
        out,
        backoff: Backoff::default(),
        names: Names::default(),
    };
    let Closed = feed.run().await;
}

struct Feed<I> {
    link: Link,
    request: Request,
    subject: Subject,
    id: I,
    out: mpsc::Sender<(I, News)>,
    backoff: Backoff,
    /// Of the Nodes that slices name.
    names: Names,
}

impl<I: Copy> Feed<I> {
    async fn run(mut self) -> Closed {
        loop {
            let listed = match self.list().await {
                Ok((rows, version)) => self.tell(News::Listed(rows)).await.map(|()| Some(version)),
                Err(failure) => self.failed(failure).await.map(|()| None),
            };
            let watched = match listed {
                Ok(Some(version)) => self.watch_from(version).await,
                Ok(None) => Ok(()),
                Err(closed) => return closed,
            };
            if let Err(closed) = watched {
                return closed;
            }
        }
    }

    /// Watches from a version, again and again, until it is too old.
    async fn watch_from(&mut self, mut version: String) -> Result<(), Closed> {
        loop {
            let started = Instant::now();
            let before = version.clone();
            let ended = self.watch(&mut version).await?;
            if version != before || started.elapsed() >= WATCH_LIVED {
                self.backoff.reset();
            }
            match ended {
                Ended::Resume if started.elapsed() >= WATCH_LIVED => {}
                // A server that closes as soon as we come is not run against.
                Ended::Resume => self.pause().await,
                Ended::Gone => {
                    debug!(path = self.subject.path, version, "the version is too old: listing again");
                    self.pause().await;
                    return Ok(());
                }
                Ended::Failed(failure) => self.failed(failure).await?,
            }
        }
    }

    async fn list(&mut self) -> Result<(Vec<Row>, String), Failure> {
        let mut rows = Vec::new();
        let mut params =
            ListParams { field_selector: self.subject.fields.clone(), ..ListParams::default() }.limit(PAGE);
        loop {
            let page = self.page(&params).await?;
            rows.extend(page.items.into_iter().flatten().map(|wire| self.lean(wire)));
            match page.metadata.next.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok((rows, page.metadata.resource_version)),
            }
        }
    }

    async fn page(&self, params: &ListParams) -> Result<Page, Failure> {
        let limit = LIST_TIMEOUT.saturating_mul(1 << self.backoff.failures().min(8)).min(LIST_TIMEOUT_MAX);
        let request = self.request.list(params).map_err(|cause| Failure::new("list", &cause))?;
        // Not `Client::request`: it logs an answer that it cannot parse, and this one may hold secrets.
        let text = match tokio::time::timeout(limit, self.link.client().request_text(request)).await {
            Ok(text) => text.map_err(|cause| self.failure("list", &cause))?,
            Err(_) => return Err(Failure::silent("list", limit)),
        };
        let page: Page = serde_json::from_str(&text).map_err(|cause| Failure::new("list", &cause))?;
        if page.metadata.resource_version.is_empty() {
            return Err(Failure::new("list", &std::io::Error::other("the list has no resourceVersion")));
        }
        Ok(page)
    }

    async fn watch(&mut self, version: &mut String) -> Result<Ended, Closed> {
        let params = WatchParams {
            field_selector: self.subject.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = match self.request.watch(&params, version) {
            Ok(request) => request,
            Err(cause) => return Ok(Ended::Failed(Failure::new("watch", &cause))),
        };
        let client = self.link.client();
        let started = tokio::time::timeout(WATCH_START_TIMEOUT, client.request_events::<Wire>(request)).await;
        let events = match started {
            Ok(Ok(events)) => events,
            Ok(Err(cause)) => return Ok(self.ended_by(&cause)),
            Err(_) => return Ok(Ended::Failed(Failure::silent("watch", WATCH_START_TIMEOUT))),
        };
        self.tell(News::Reached).await?;
        let mut events = pin!(events);
        loop {
            match tokio::time::timeout(WATCH_SILENCE, events.next()).await {
                Ok(Some(Ok(event))) => {
                    if let Some(ended) = self.event(event, version).await? {
                        return Ok(ended);
                    }
                }
                Ok(Some(Err(cause))) => return Ok(self.ended_by(&cause)),
                Ok(None) | Err(_) => return Ok(Ended::Resume),
            }
        }
    }

    /// Takes in one event; `Some` when it was the last.
    async fn event(&mut self, event: WatchEvent<Wire>, version: &mut String) -> Result<Option<Ended>, Closed> {
        match event {
            WatchEvent::Added(wire) | WatchEvent::Modified(wire) => {
                version.clone_from(&wire.resource_version);
                let row = self.lean(wire);
                self.tell(News::Applied(Box::new(row))).await?;
            }
            WatchEvent::Deleted(wire) => {
                version.clone_from(&wire.resource_version);
                self.tell(News::Deleted(wire.key())).await?;
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Ok(Some(self.ended_by(&kube::Error::Api(status)))),
        }
        // Without a version nothing can be resumed.
        Ok(version.is_empty().then_some(Ended::Gone))
    }

    /// 410 comes as the status of the answer or as an event in the stream; both mean the same.
    fn ended_by(&self, cause: &kube::Error) -> Ended {
        match cause {
            kube::Error::Api(status) if status.code == 410 => Ended::Gone,
            cause => Ended::Failed(self.failure("watch", cause)),
        }
    }

    fn failure(&self, verb: &'static str, cause: &kube::Error) -> Failure {
        self.link.failed(cause);
        Failure::of_request(verb, cause)
    }

    fn lean(&mut self, wire: Wire) -> Row {
        let mut row = wire.lean(self.subject.api_version, self.subject.kind);
        if let Some(Object::EndpointSlice(slice)) = &mut row.object
            && let Some(slice) = Arc::get_mut(slice)
        {
            slice.share_names(&mut self.names);
        }
        row
    }

    async fn tell(&self, news: News) -> Result<(), Closed> {
        self.out.send((self.id, news)).await.map_err(|_| Closed)
    }

    async fn failed(&mut self, failure: Failure) -> Result<(), Closed> {
        debug!(path = self.subject.path, verb = failure.verb, "{}", failure.message);
        let wait = failure.retry_after;
        self.tell(News::Failed(failure)).await?;
        let pause = self.backoff.next(fastrand::f64());
        // On top of what it asks for, so that not all come back in the same moment.
        tokio::time::sleep(pause + wait.unwrap_or_default()).await;
        Ok(())
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.backoff.next(fastrand::f64())).await;
    }
}

/// How long a server that has too much to do asks to be left alone. What only says so in its header means a second.
fn retry_after(status: &kube::core::Status) -> Option<Duration> {
    let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    (status.code == 429).then(|| Duration::from_secs(asked.into()).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

impl Failure {
    fn new(verb: &'static str, cause: &dyn std::error::Error) -> Self {
        Self { verb, refused: false, missing: false, retry_after: None, message: describe(cause) }
    }

    fn of_request(verb: &'static str, cause: &kube::Error) -> Self {
        match cause {
            kube::Error::Api(status) => {
                let refused = matches!(status.code, 401 | 403);
                let message = format!("status {}: {}", status.code, status.message);
                let missing = status.code == 404;
                Self { verb, refused, missing, retry_after: retry_after(status), message }
            }
            cause => Self::new(verb, cause),
        }
    }

    fn silent(verb: &'static str, limit: Duration) -> Self {
        Self {
            verb,
            refused: false,
            missing: false,
            retry_after: None,
            message: format!("no answer within {} s", limit.as_secs()),
        }
    }
}
