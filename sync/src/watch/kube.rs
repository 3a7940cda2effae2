//! A Kubernetes API server as source (`--source=kube`).
//!
//! One feed (list and watch) a kind; Secrets of type `kubernetes.io/tls` as a whole, every other Secret and the own
//! ConfigMap by name. Nothing is told to the compiler before everything needed has been listed once, so no snapshot is
//! ever built from a part. In an outage nothing is told at all; afterwards only what differs.

mod backoff;
mod client;
mod feed;
mod link;
mod plugin;
mod references;
mod row;
mod store;
mod wanted;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, Object, ObjectKey, ObjectRef};
use ringress_config::options::{Options, Topology};
use tokio::sync::mpsc;
use tracing::warn;

use crate::state::Loaded;
use crate::watch::Change;
use crate::write::{Published, Seen};
use crate::{KubeSettings, SyncError};
use feed::News;
use references::NAMED_MAX;
use row::Row;
use store::Store;
use wanted::Wanted;
use watched::{Feed, Watched, subject};

pub(crate) use backoff::Backoff;
pub(crate) use client::describe;
pub(crate) use link::Link;
pub(crate) use row::Wire;
pub(crate) use wanted::can_be;

/// News that may wait for the control thread; then the feeds wait, and with them the server.
const NEWS_MAX: usize = 256;

/// News taken in one go, so that a flood does not hold up publishing.
const BATCH_MAX: usize = 4096;

/// Turns given to the feeds before what they have told is taken in…
const CATCH_UP_YIELDS: usize = 16;

/// …and how often at most, when more and more comes.
const CATCH_UP_ROUNDS: usize = 256;

/// How long changes wait for others without which they would do harm.
const HOLD_MAX: Duration = Duration::from_secs(2);

/// How long the server is waited for at the start before the last known good objects are served in its place.
const SERVER_PATIENCE: Duration = Duration::from_secs(2);

const TLS_SECRET: &str = "kubernetes.io/tls";

/// A feed's number, never used twice, so that news of an ended feed is recognised.
type FeedId = u64;

/// The objects that were known good when this was last run.
enum LastGood {
    /// There are none, or the server has been read.
    None,
    /// Used if the server has not been read completely by then.
    Waiting { from: Instant, objects: Vec<Change>, saved: String },
    /// They are served.
    Served,
}

/// The API server and what is known of it.
pub(crate) struct Kube {
    link: Link,
    /// The one namespace that is watched.
    namespace: Option<Arc<str>>,
    feeds: BTreeMap<FeedId, Watched>,
    next_id: FeedId,
    news: mpsc::Receiver<(FeedId, News)>,
    news_in: mpsc::Sender<(FeedId, News)>,
    wanted: Wanted,
    /// Secrets that are not kept for the next start.
    private: BTreeSet<ObjectKey>,
    /// Needed objects that no watch is left for.
    unwatched: BTreeSet<ObjectRef>,
    /// Feeds before this one are of the options and never end.
    first_wanted: FeedId,
    /// Told by the feeds and not yet taken.
    changes: Vec<Change>,
    /// Since when changes wait for others.
    holding: Option<Instant>,
    /// Whether references may have changed since watches last followed them.
    stale: bool,
    /// Stands in for a server that is away at the start.
    last_good: LastGood,
    /// Whether everything needed has been listed once.
    listed: bool,
    findings: Option<Arc<[Finding]>>,
    /// Statuses of Ingresses that were seen; `None` when nobody wants to know.
    seen: Option<Seen>,
}

impl Kube {
    /// Makes the client and starts the feeds. The server may be away. To be called inside the runtime.
    pub(crate) async fn connect(settings: &KubeSettings, options: &Options) -> Result<Self, SyncError> {
        let link = Link::connect(settings).await?;
        let (news_in, news) = mpsc::channel(NEWS_MAX);
        let mut kube = Self {
            link,
            namespace: settings.namespace.as_deref().map(Arc::from),
            feeds: BTreeMap::new(),
            next_id: 0,
            news,
            news_in,
            wanted: Wanted::new(options),
            private: BTreeSet::new(),
            unwatched: BTreeSet::new(),
            first_wanted: 0,
            changes: Vec::new(),
            holding: None,
            stale: false,
            last_good: LastGood::None,
            listed: false,
            findings: None,
            seen: settings.write.is_some().then(Seen::new),
        };
        for kind in [Kind::Ingress, Kind::IngressClass, Kind::Service, Kind::EndpointSlice, Kind::Secret] {
            kube.start(Feed::All(kind));
        }
        if options.namespace_selector.is_some() {
            kube.start(Feed::All(Kind::Namespace));
        }
        let config_maps = [&options.configmap, &options.tcp_services, &options.udp_services];
        for key in config_maps.into_iter().flatten().collect::<BTreeSet<_>>() {
            kube.start(Feed::Named(ObjectRef { kind: Kind::ConfigMap, key: key.clone() }));
        }
        if let Some(Topology { zone: None, node: Some(name) }) = &options.topology {
            let key = ObjectKey { namespace: "".into(), name: Arc::clone(name) };
            kube.start(Feed::Named(ObjectRef { kind: Kind::Node, key }));
        }
        kube.first_wanted = kube.next_id;
        kube.stale = true;
        kube.follow();
        Ok(kube)
    }

    /// Watches a Secret that is used here, not referred to by an Ingress, and is not among [`objects`](Self::objects). To
    /// be called before anything is taken in.
    pub(crate) fn watch_private(&mut self, key: &ObjectKey) {
        if self.private.insert(key.clone()) {
            self.start(Feed::Named(ObjectRef { kind: Kind::Secret, key: key.clone() }));
            self.first_wanted = self.next_id;
        }
    }

    /// Takes in what was known good when this was last run. It is served if the server cannot be read soon, and until
    /// it can; the first complete list then tells only what differs from it.
    pub(crate) fn seed(&mut self, loaded: Loaded) {
        let mut objects = Vec::new();
        for held in &loaded.good.held {
            if let Object::Ingress(ingress) = held {
                self.wanted.hold(ingress);
            }
        }
        for object in loaded.good.objects {
            if let Some(store) = self.store_for(&object) {
                store.seed(object.clone());
                let change = Change::Upsert(object);
                self.wanted.note(&change);
                objects.push(change);
            }
        }
        self.last_good = LastGood::Waiting { from: Instant::now() + SERVER_PATIENCE, objects, saved: loaded.saved };
    }

    /// Waits for news.
    pub(crate) async fn changed(&mut self) {
        let patience = match &self.last_good {
            LastGood::Waiting { from, .. } => Some(*from),
            LastGood::None | LastGood::Served => self.holding.map(|since| since + HOLD_MAX),
        };
        tokio::select! {
            // Cancel-safe: news that was received is taken in at once. The sender is held here, so it never ends.
            Some((id, news)) = self.news.recv() => self.take_in(id, news),
            () = tokio::time::sleep_until(patience.unwrap_or_else(Instant::now).into()), if patience.is_some() => {}
        }
    }

    /// What has changed since the last call; nothing before everything has been listed.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        for _ in 0..BATCH_MAX {
            let Ok((id, news)) = self.news.try_recv() else { break };
            self.take_in(id, news);
        }
        self.follow();
        self.ready_changes()
    }

    /// All changes once everything has been listed; before, the last known good objects when their time has come.
    fn ready_changes(&mut self) -> Vec<Change> {
        let is_due = |from: Instant| self.listed || Instant::now() >= from;
        let mut changes = match std::mem::replace(&mut self.last_good, LastGood::None) {
            LastGood::Waiting { from, objects, saved } if is_due(from) => {
                if !self.listed {
                    warn!(saved, "the API server cannot be read: the last known good objects are served");
                    self.last_good = LastGood::Served;
                }
                objects
            }
            before => {
                self.last_good = before;
                Vec::new()
            }
        };
        if self.listed && !self.holds() {
            self.last_good = LastGood::None;
            changes.append(&mut self.changes);
        }
        changes
    }

    /// What has changed, with the events received so far.
    pub(crate) async fn catch_up(&mut self) -> Vec<Change> {
        // The feeds run on this thread: let them read what has arrived, until nothing more comes.
        for _ in 0..CATCH_UP_ROUNDS {
            for _ in 0..CATCH_UP_YIELDS {
                tokio::task::yield_now().await;
            }
            let Ok((id, news)) = self.news.try_recv() else { break };
            self.take_in(id, news);
            while let Ok((id, news)) = self.news.try_recv() {
                self.take_in(id, news);
            }
            self.follow();
        }
        self.take()
    }

    /// Whether everything needed has been listed once.
    pub(crate) fn listed(&self) -> bool {
        self.listed
    }

    /// Whether the last known good objects stand in for the server.
    pub(crate) fn serves_last_good(&self) -> bool {
        matches!(self.last_good, LastGood::Served)
    }

    /// Whether no needed feed fails.
    pub(crate) fn reachable(&self) -> bool {
        self.feeds.values().all(|watched| watched.optional || watched.is_reached())
    }

    /// What is wrong with objects, and what the server refuses.
    pub(crate) fn findings(&mut self) -> Arc<[Finding]> {
        if let Some(findings) = &self.findings {
            return Arc::clone(findings);
        }
        let mut findings: Vec<Finding> =
            self.feeds.values().filter_map(|w| w.refusal(self.namespace.as_deref())).collect();
        for object in &self.unwatched {
            let message = format!(
                "not read: only {NAMED_MAX} Secrets of other types than kubernetes.io/tls and as many ConfigMaps are"
            );
            findings.push(Finding::error(object, "", message));
        }
        findings.extend(self.feeds.values().flat_map(|watched| watched.store.findings().cloned()));
        let findings: Arc<[Finding]> = findings.into();
        self.findings = Some(Arc::clone(&findings));
        findings
    }

    /// What the server refuses although nothing is complete without it.
    pub(crate) fn refusal(&self) -> Option<String> {
        let mut refused = self.feeds.values().filter(|watched| !watched.optional);
        refused.find_map(|watched| Some(watched.refusal(self.namespace.as_deref())?.message.to_string()))
    }

    /// The server and the scope: whose objects these are.
    pub(crate) fn identity(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} namespace {namespace}", self.link.url()),
            None => self.link.url().to_owned(),
        }
    }

    /// All objects that are known and may be kept.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        let objects = self.feeds.values().flat_map(|watched| watched.store.objects());
        objects.filter(|object| !self.is_private(object))
    }

    /// Whether an object is not to be kept.
    pub(crate) fn is_private(&self, object: &Object) -> bool {
        matches!(object, Object::Secret(secret) if self.private.contains(&secret.meta.key))
    }

    /// What has been seen of statuses since the last call.
    pub(crate) fn take_seen(&mut self) -> Seen {
        self.seen.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The way to the same server.
    pub(crate) fn link(&self) -> Link {
        self.link.clone()
    }

    fn take_in(&mut self, id: FeedId, mut news: News) {
        if let Some(seen) = &mut self.seen
            && self.feeds.get(&id).is_some_and(|watched| watched.feed == Feed::All(Kind::Ingress))
        {
            note_statuses(&mut news, seen);
        }
        let from = self.changes.len();
        let Some(watched) = self.feeds.get_mut(&id) else { return };
        // Only when they differ: a storm of changes must not copy thousands of findings for each of them.
        let is_change = matches!(news, News::Applied(_) | News::Deleted(_));
        // Who refers to what is known when everything has been listed.
        let sifts = self.listed && watched.feed == Feed::All(Kind::Secret);
        let (wanted, private) = (&self.wanted, &self.private);
        let needed = |key: &ObjectKey| wanted.needs_secret(key) || private.contains(key);
        // Whether a Secret that somebody refers to may have come or gone.
        let concerns = match (&watched.feed, &news) {
            (Feed::All(Kind::Secret), News::Applied(row)) => needed(&row.key),
            (Feed::All(Kind::Secret), News::Deleted(key)) => needed(key),
            (Feed::All(kind), _) => *kind == Kind::Secret,
            (Feed::Named(object), _) => object.kind == Kind::Secret,
        };
        match news {
            News::Listed(mut rows) => {
                watched.reached();
                watched.listed = true;
                if sifts {
                    watched.store.sift(&mut rows, needed);
                }
                watched.store.list(rows, &mut self.changes);
            }
            News::Applied(row) if sifts && !needed(&row.key) => watched.store.bare(&row.key, &mut self.changes),
            News::Applied(row) => watched.store.apply(*row, &mut self.changes),
            News::Deleted(key) => watched.store.delete(&key, &mut self.changes),
            News::Reached => {
                if !watched.reached() {
                    return;
                }
            }
            News::Failed(failure) => watched.failed(failure),
        }
        if watched.store.take_findings_changed() || !is_change {
            self.findings = None;
        }
        let mut needs_others = false;
        for change in &self.changes[from..] {
            needs_others |= self.wanted.note(change);
            if let (Some(seen), Change::Remove(ObjectRef { kind: Kind::Ingress, key })) = (&mut self.seen, change) {
                seen.push_back((key.clone(), None));
            }
        }
        if needs_others && self.feeds[&id].feed == Feed::All(Kind::IngressClass) {
            self.note_settings();
        }
        self.stand_in(id);
        self.stale |= needs_others || concerns;
        if !self.listed {
            self.follow();
            self.listed = self.is_complete();
            if self.listed {
                self.strip_secrets();
            }
        }
    }

    /// A ConfigMap that is known already may have become the settings of a class.
    fn note_settings(&mut self) {
        let is_map = |watched: &&Watched| watched.named().is_some_and(|named| named.kind == Kind::ConfigMap);
        for object in self.feeds.values().filter(is_map).flat_map(|watched| watched.store.objects()) {
            self.wanted.note(&Change::Upsert(object.clone()));
        }
    }

    /// A server that does not know EndpointSlices has Endpoints, which say the same; until it knows them.
    fn stand_in(&mut self, id: FeedId) {
        let Some(slices) = self.feeds.get(&id).filter(|watched| watched.feed == Feed::All(Kind::EndpointSlice)) else {
            return;
        };
        let (is_missing, is_listed) = (slices.is_missing(), slices.listed);
        let endpoints = self.feeds.iter().find(|(_, watched)| watched.feed == Feed::All(Kind::Endpoints));
        match endpoints.map(|(&id, _)| id) {
            None if is_missing && !is_listed => drop(self.start(Feed::All(Kind::Endpoints))),
            Some(id) if is_listed => self.end(id),
            Some(_) | None => {}
        }
    }

    /// The store that an object of the state belongs to; `None` for one that is no longer asked for.
    fn store_for(&mut self, object: &Object) -> Option<&mut Store> {
        let reference = object.reference();
        let feed = match object {
            Object::Secret(secret) if &*secret.kind != TLS_SECRET => Feed::Named(reference),
            Object::ConfigMap(_) => Feed::Named(reference),
            Object::Node(_) if self.feeds.values().any(|w| w.named() == Some(&reference)) => Feed::Named(reference),
            _ => Feed::All(reference.kind),
        };
        let known = self.feeds.iter().find(|(_, watched)| watched.feed == feed).map(|(&id, _)| id);
        let id = match (known, &feed) {
            (Some(id), _) => id,
            // Whether Nodes are still needed is known when the Ingresses are.
            (None, Feed::Named(_) | Feed::All(Kind::Node)) => self.start(feed),
            (None, Feed::All(_)) => return None,
        };
        self.feeds.get_mut(&id).map(|watched| &mut watched.store)
    }

    fn start(&mut self, feed: Feed) -> FeedId {
        let id = self.next_id;
        self.next_id += 1;
        let subject = subject(&feed, self.namespace.as_deref());
        let store = Store::new(subject.kind);
        let task = tokio::spawn(feed::run(self.link.clone(), subject, id, self.news_in.clone())).abort_handle();
        self.feeds.insert(id, Watched::new(feed, store, task));
        id
    }

    fn end(&mut self, id: FeedId) {
        let Some(watched) = self.feeds.remove(&id) else { return };
        watched.task.abort();
        // Unless another has it: a Secret may become one of type TLS, and the own Node is one of all.
        let kind = subject(&watched.feed, None).kind;
        let others: Vec<&Store> = (self.feeds.values())
            .filter(|other| other.feed == Feed::All(kind) || other.named().is_some_and(|named| named.kind == kind))
            .map(|other| &other.store)
            .collect();
        for object in watched.store.objects() {
            let reference = object.reference();
            match others.iter().find_map(|store| store.get(&reference.key)) {
                Some(known) if known == object => {}
                Some(known) => self.changes.push(Change::Upsert(known.clone())),
                None => self.changes.push(Change::Remove(reference)),
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.feeds.values().all(|watched| {
            let may_be_refused =
                watched.optional || (watched.feed == Feed::All(Kind::Secret) && self.wanted.secrets().next().is_none());
            let may_be_missing = matches!(watched.feed, Feed::All(Kind::IngressClass | Kind::EndpointSlice));
            watched.listed || (may_be_refused && watched.is_refused()) || (may_be_missing && watched.is_missing())
        })
    }
}

/// Takes the statuses out of news of Ingresses.
fn note_statuses(news: &mut News, seen: &mut Seen) {
    let mut note = |row: &mut Row| {
        let published: Option<Published> = row.published.take();
        seen.extend(published.map(|published| (row.key.clone(), Some(published))));
    };
    match news {
        News::Listed(rows) => rows.iter_mut().for_each(&mut note),
        News::Applied(row) => note(row),
        News::Deleted(key) => seen.push_back((key.clone(), None)),
        News::Reached | News::Failed(_) => {}
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        for watched in self.feeds.values() {
            watched.task.abort();
        }
    }
}
