//! What others refer to: watches come and go as references do, and of all TLS Secrets only those are kept that somebody
//! refers to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ringress_config::model::{Ingress, Kind, Object, ObjectKey, ObjectRef};

use super::store::Store;
use super::watched::{Feed, Watched};
use super::{FeedId, HOLD_MAX, Kube, TLS_SECRET};

/// Watches on single Secrets, and as many on single ConfigMaps, at most, beside those that operators name.
pub(super) const NAMED_MAX: usize = 200;

/// TLS Secrets that are read at once because somebody has come to refer to them.
const FETCHED_MAX: usize = 32;

impl Kube {
    /// What is watched and kept follows the references that have changed.
    pub(super) fn follow(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.forget_dropped();
            self.watch_wanted();
        }
    }

    /// Takes in which earlier versions of Ingresses serve on; true when there are changes to take.
    pub(crate) fn settle<'a>(&mut self, held: impl Fn(&ObjectKey) -> Option<&'a Arc<Ingress>>) -> bool {
        if !self.listed || !self.wanted.settle(held) {
            return false;
        }
        self.stale = true;
        true
    }

    /// Whether changes wait for others.
    pub(super) fn holds(&mut self) -> bool {
        let coming: Vec<FeedId> = self.awaited().collect();
        if coming.is_empty() {
            self.holding = None;
        } else if self.holding.get_or_insert_with(Instant::now).elapsed() >= HOLD_MAX {
            self.holding = None;
            for id in coming {
                if let Some(watched) = self.feeds.get_mut(&id) {
                    watched.is_awaited = false;
                }
            }
        }
        self.holding.is_some()
    }

    /// Lists that are to come and that somebody has just come to need: the Nodes, the settings of a class, a Secret that
    /// is there. Told before them, requests would be answered 503 meanwhile, or by another certificate. One that fails
    /// is not waited for.
    fn awaited(&self) -> impl Iterator<Item = FeedId> {
        let secrets = self.tls_secrets();
        let is_one = move |feed: &Feed| match feed {
            Feed::All(kind) => *kind == Kind::Node,
            Feed::Named(object) if object.kind == Kind::ConfigMap => self.wanted.is_of_class(&object.key),
            Feed::Named(object) => {
                object.kind == Kind::Secret && secrets.is_some_and(|secrets| secrets.is_bare(&object.key))
            }
        };
        let is_coming = |watched: &Watched| watched.is_awaited && !watched.listed && watched.is_reached();
        let coming = self.feeds.iter().filter(move |(_, watched)| is_coming(watched) && is_one(&watched.feed));
        coming.map(|(&id, _)| id)
    }

    /// Those that are known of all TLS Secrets, once they have been listed.
    fn tls_secrets(&self) -> Option<&Store> {
        let all = self.feeds.values().find(|watched| watched.feed == Feed::All(Kind::Secret));
        all.filter(|watched| watched.listed).map(|watched| &watched.store)
    }

    /// Forgets the TLS Secrets that nobody refers to, once it is known who refers to what.
    pub(super) fn strip_secrets(&mut self) {
        let (wanted, private) = (&self.wanted, &self.private);
        let needed = |key: &ObjectKey| wanted.needs_secret(key) || private.contains(key);
        if let Some(secrets) = self.feeds.values_mut().find(|watched| watched.feed == Feed::All(Kind::Secret)) {
            secrets.store.strip(needed, &mut self.changes);
        }
    }

    /// Forgets the TLS Secrets that nobody refers to any more.
    fn forget_dropped(&mut self) {
        let (wanted, private) = (&mut self.wanted, &self.private);
        let dropped = wanted.take_dropped();
        let Some(secrets) = self.feeds.values_mut().find(|watched| watched.feed == Feed::All(Kind::Secret)) else {
            return;
        };
        for key in dropped.iter().filter(|key| !wanted.needs_secret(key) && !private.contains(key)) {
            if secrets.store.contains(key) {
                secrets.store.bare(key, &mut self.changes);
            }
        }
    }

    /// Starts and ends watches as references come and go.
    fn watch_wanted(&mut self) {
        self.watch_nodes();
        let config_maps = self.wanted.config_maps().cloned().collect();
        self.watch_named(Kind::ConfigMap, config_maps);
        self.adopt_fetched();
        let Some(tls) = self.tls_secrets() else { return };
        let absent = self.wanted.secrets().filter(|key| !tls.contains(key)).cloned();
        let (fetched, mut absent): (BTreeSet<_>, BTreeSet<_>) = absent.partition(|key| tls.is_bare(key));
        // The watch on all has told of these when they were of no use: the rest of them is read once.
        let running = |key: &ObjectKey| {
            let is_it = |watched: &&Watched| watched.named().is_some_and(|o| o.kind == Kind::Secret && o.key == *key);
            self.feeds.values().find(is_it).map(|watched| watched.listed)
        };
        let (known, new): (Vec<_>, Vec<_>) = fetched.into_iter().partition(|key| running(key).is_some());
        let room = FETCHED_MAX.saturating_sub(known.iter().filter(|key| running(key) == Some(false)).count());
        absent.extend(known);
        self.watch_named(Kind::Secret, absent);
        for key in new.into_iter().take(room) {
            self.start(Feed::Named(ObjectRef { kind: Kind::Secret, key }));
        }
    }

    /// A TLS Secret that has been read is followed by the watch on all of them from now on.
    fn adopt_fetched(&mut self) {
        let Some(tls) = self.tls_secrets() else { return };
        let is_tls = |object: &&Object| matches!(object, Object::Secret(secret) if &*secret.kind == TLS_SECRET);
        let named = self.feeds.values().filter(|watched| watched.named().is_some_and(|named| tls.is_bare(&named.key)));
        let read: Vec<Object> = named.flat_map(|watched| watched.store.objects().filter(is_tls)).cloned().collect();
        if let Some(all) = self.feeds.values_mut().find(|watched| watched.feed == Feed::All(Kind::Secret)) {
            read.into_iter().for_each(|object| all.store.seed(object));
        }
    }

    /// Starts and ends the watch on all Nodes.
    fn watch_nodes(&mut self) {
        let feed = Feed::All(Kind::Node);
        let running = self.feeds.iter().find(|(_, watched)| watched.feed == feed).map(|(&id, _)| id);
        match running {
            None if self.wanted.nodes() => drop(self.start(feed)),
            Some(id) if !self.wanted.nodes() => self.end(id),
            None | Some(_) => {}
        }
    }

    fn watch_named(&mut self, kind: Kind, mut wanted: BTreeSet<ObjectKey>) {
        let mut ended = Vec::new();
        let mut watched = 0;
        for (&id, feed) in &self.feeds {
            let Some(object) = feed.named().filter(|object| object.kind == kind) else { continue };
            // What is left in `wanted` is what no feed has.
            if !wanted.remove(&object.key) && id >= self.first_wanted {
                ended.push(id);
            } else {
                watched += 1;
            }
        }
        if !ended.is_empty() || !self.unwatched.is_empty() {
            self.findings = None;
        }
        for id in ended {
            self.end(id);
        }
        self.unwatched.retain(|object| object.kind != kind);
        for (index, key) in wanted.into_iter().enumerate() {
            let object = ObjectRef { kind, key };
            if watched + index < NAMED_MAX || self.wanted.is_of_operator(&object) {
                self.start(Feed::Named(object));
            } else {
                self.unwatched.insert(object);
                self.findings = None;
            }
        }
    }
}
