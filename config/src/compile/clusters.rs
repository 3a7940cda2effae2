//! Clusters: one for each Service port that some route names.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::endpoints::{self, Resolved};
use super::few::Few;
use super::ids::Ids;
use super::index::Index;
use super::report::Reports;
use crate::diagnostics::Finding;
use crate::intent::{BalancingWish, Intent};
use crate::model::{Kind, Meta, ObjectKey, ObjectRef, Transport};
use crate::options::UpstreamAddress;
use crate::snapshot::{Balancing, Cluster, ClusterId, ClusterKey, Clusters, PortKey};

/// All clusters with the objects that use them.
#[derive(Debug, Default)]
pub(super) struct ClusterTable {
    known: HashMap<ClusterKey, Known>,
    ids: Ids,
    /// The next [`Cluster::identity`].
    identity: u64,
    /// Service → the clusters of its ports.
    of_service: Index<ObjectKey, ClusterKey>,
    /// Name outside of the cluster → the clusters that are there.
    of_name: Index<Arc<str>, ClusterKey>,
    /// The default backend, which lives without users.
    default: Option<ClusterKey>,
    /// To be resolved.
    stale: BTreeSet<ClusterKey>,
    clusters: Clusters,
    changed: bool,
}

#[derive(Debug)]
struct Known {
    id: ClusterId,
    /// With what they want of it; a stream wants nothing.
    users: Few<ObjectRef, Option<User>>,
    problem: Option<String>,
    /// What is done in place of what was asked for.
    note: Option<String>,
    /// It has to be resolved again when a Node changes.
    on_nodes: bool,
    /// The name outside of the cluster that it stands for.
    name: Option<Arc<str>>,
    /// Whose wish it follows.
    decided_by: Option<ObjectRef>,
}

/// An object whose routes need a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    meta: Meta,
    wish: Arc<BalancingWish>,
}

impl Known {
    /// The oldest user that wants something.
    fn oldest(&self) -> Option<(&ObjectRef, &User)> {
        self.oldest_but(None)
    }

    /// The oldest user but one.
    fn oldest_but(&self, one: Option<&ObjectRef>) -> Option<(&ObjectRef, &User)> {
        let users = self.users.iter().filter(|(object, _)| Some(*object) != one);
        let users = users.filter_map(|(object, user)| Some((object, user.as_ref()?)));
        users.min_by(|(_, a), (_, b)| a.meta.cmp(&b.meta))
    }

    /// What the oldest user wants; cookies are those of the oldest that has any.
    fn balancing(&self, wish: &BalancingWish) -> Balancing {
        let issuers = self.users.values().flatten().filter(|user| user.wish.affinity.is_some());
        let affinity = issuers.min_by(|a, b| a.meta.cmp(&b.meta)).and_then(|user| user.wish.affinity.clone());
        Balancing {
            balancer: wish.balancer.clone(),
            has_sessions: affinity.is_some() || self.users.values().flatten().any(|user| user.wish.shares_sessions),
            affinity,
            resilience: wish.resilience,
            limits: wish.limits,
            health_check: wish.health_check.clone(),
        }
    }
}

impl ClusterTable {
    /// Those that some intents name, as if one of them, `new`, were in the place of what its object has now. Its own are to
    /// be resolved; of the others no more is known than that there are such clusters.
    pub(super) fn with_instead<'a>(&self, intents: impl Iterator<Item = &'a Arc<Intent>>, new: &Intent) -> Self {
        let mut table = Self { default: self.default.clone(), ..Self::default() };
        for key in self.default.iter().chain(intents.flat_map(|intent| intent.clusters().map(|(_, key)| key))) {
            table.make(key);
        }
        table.stale.clear();
        for (_, key) in new.clusters() {
            // Who decides is the oldest: of all others that one is enough.
            if let Some((object, user)) = self.known.get(key).and_then(|known| known.oldest_but(Some(&new.source))) {
                table.make(key).users.insert(object.clone(), Some(user.clone()));
            }
            table.acquire_for(key, new);
        }
        table
    }

    /// Makes the first port of a Service the default backend.
    pub(super) fn pin_default(&mut self, service: ObjectKey) {
        let key = ClusterKey { service, port: PortKey::First, transport: Transport::Tcp };
        self.make(&key);
        self.default = Some(key);
    }

    /// The default backend, if there is one.
    pub(super) fn default_backend(&self) -> Option<&ClusterKey> {
        self.default.as_ref()
    }

    /// Adds a user that does not care how the cluster is balanced.
    pub(super) fn acquire(&mut self, key: &ClusterKey, user: &ObjectRef) {
        self.make(key).users.insert(user.clone(), None);
    }

    /// Adds an object as a user, or takes note of what it wants now.
    pub(super) fn acquire_for(&mut self, key: &ClusterKey, intent: &Intent) {
        let user = Some(User { meta: intent.meta.clone(), wish: Arc::clone(&intent.balancing) });
        let users = &mut self.make(key).users;
        if users.get(&intent.source) != Some(&user) {
            users.insert(intent.source.clone(), user);
            self.stale.insert(key.clone());
        }
    }

    /// Removes a user; the last one takes the cluster along.
    pub(super) fn release(&mut self, key: &ClusterKey, user: &ObjectRef) {
        let Some(known) = self.known.get_mut(key) else { return };
        if known.users.remove(user).is_some() {
            self.stale.insert(key.clone());
        }
        if known.users.is_empty() && self.default.as_ref() != Some(key) {
            let (id, name) = (known.id, known.name.take());
            self.known.remove(key);
            name.iter().for_each(|name| self.of_name.remove(name, key));
            self.stale.remove(key);
            self.of_service.remove(&key.service, key);
            self.ids.give_back(id.0);
            self.clusters.set(id, None);
            self.changed = true;
        }
    }

    /// Notes that the endpoints of Services may have changed.
    pub(super) fn mark(&mut self, services: BTreeSet<ObjectKey>) {
        for service in &services {
            self.stale.extend(self.of_service.users(service).cloned());
        }
    }

    /// Notes that Nodes may have changed.
    pub(super) fn mark_on_nodes(&mut self) {
        self.stale.extend(self.known.iter().filter(|(_, known)| known.on_nodes).map(|(key, _)| key.clone()));
    }

    /// Notes that this instance is somewhere else.
    pub(super) fn mark_all(&mut self) {
        self.stale.extend(self.known.keys().cloned());
    }

    /// Notes that a name outside of the cluster has other addresses.
    pub(super) fn mark_named(&mut self, name: &Arc<str>) {
        self.stale.extend(self.of_name.users(name).cloned());
    }

    /// The names outside of the cluster that clusters stand for.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.of_name.things()
    }

    /// Whether clusters stand for a name.
    pub(super) fn is_asked_for(&self, name: &Arc<str>) -> bool {
        self.of_name.is_used(name)
    }

    /// The default backend follows other defaults from now on.
    pub(super) fn mark_default(&mut self) {
        self.stale.extend(self.default.clone());
    }

    /// Resolves what is stale. Returns the users of the clusters about which there is something else to say.
    pub(super) fn refresh(
        &mut self,
        around: endpoints::Known<'_>,
        defaults: &Arc<BalancingWish>,
        reports: &mut Reports,
    ) -> Vec<ObjectRef> {
        let mut touched = Vec::new();
        for key in std::mem::take(&mut self.stale) {
            let Some(known) = self.known.get_mut(&key) else { continue };
            let (decided_by, wish) = match known.oldest() {
                Some((object, user)) => (Some(object.clone()), Arc::clone(&user.wish)),
                None => (None, Arc::clone(defaults)),
            };
            let Resolved { endpoints, protocol, problem, note, missing, name } =
                endpoints::resolve(&key, wish.address, around);
            known.on_nodes = wish.address == UpstreamAddress::NodePort;
            if known.name != name {
                known.name.iter().for_each(|name| self.of_name.remove(name, &key));
                name.iter().for_each(|name| self.of_name.insert(Arc::clone(name), key.clone()));
                known.name = name;
            }
            if (&known.problem, &known.note, &known.decided_by) != (&problem, &note, &decided_by) {
                touched.extend(known.users.keys().cloned());
                (known.problem, known.note, known.decided_by) = (problem, note, decided_by);
            }
            let balancing = known.balancing(&wish);
            if self.default.as_ref() == Some(&key) {
                report_default(&key, known.problem.as_deref(), reports);
            }
            let old = self.clusters.get(known.id);
            let is_same = |old: &Cluster| {
                let stays = (old.protocol, old.missing) == (protocol, missing);
                stays && *old.endpoints == *endpoints && old.balancing == balancing
            };
            if old.is_some_and(|old| is_same(old)) {
                continue;
            }
            let identity = old.map_or(self.identity + 1, |old| old.identity);
            self.identity = self.identity.max(identity);
            let new = Cluster::new(known.id, identity, key, endpoints.into(), balancing)
                .with_protocol(protocol)
                .with_missing(missing)
                .with_vitals(old.map(|old| &**old));
            self.clusters.set(known.id, Some(Arc::new(new)));
            self.changed = true;
        }
        touched
    }

    /// The id of a cluster that is used.
    pub(super) fn id(&self, key: &ClusterKey) -> Option<ClusterId> {
        self.known.get(key).map(|known| known.id)
    }

    /// What there is to tell a user about how its cluster is balanced: the field, and that another object decides.
    pub(super) fn overruled<'a>(&self, key: &ClusterKey, user: &'a Intent) -> Option<(&'a str, String)> {
        let known = self.known.get(key)?;
        let field = user.balancing.field.as_deref()?;
        let decides = known.users.get(known.decided_by.as_ref()?)?.as_ref()?;
        let is_same = |wish: &BalancingWish| {
            let mine = &*user.balancing;
            (&mine.balancer, mine.resilience, mine.limits, mine.address, &mine.health_check)
                == (&wish.balancer, wish.resilience, wish.limits, wish.address, &wish.health_check)
        };
        if decides.meta.key == user.meta.key || is_same(&decides.wish) {
            return None;
        }
        let oldest = &decides.meta.key;
        let message = format!(
            "has no effect on Service {}: Ingress {oldest} is older and decides how it is balanced",
            key.service
        );
        Some((field, message))
    }

    /// Why a cluster can have no endpoints.
    pub(super) fn problem(&self, key: &ClusterKey) -> Option<&str> {
        self.known.get(key)?.problem.as_deref()
    }

    /// What is done in place of what was asked for.
    pub(super) fn note(&self, key: &ClusterKey) -> Option<&str> {
        self.known.get(key)?.note.as_deref()
    }

    pub(super) fn snapshot(&self) -> &Clusters {
        &self.clusters
    }

    /// Whether the snapshot changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn make(&mut self, key: &ClusterKey) -> &mut Known {
        self.known.entry(key.clone()).or_insert_with(|| {
            self.of_service.insert(key.service.clone(), key.clone());
            self.stale.insert(key.clone());
            let id = ClusterId(self.ids.take());
            Known {
                id,
                users: Few::default(),
                problem: None,
                note: None,
                on_nodes: false,
                name: None,
                decided_by: None,
            }
        })
    }
}

fn report_default(key: &ClusterKey, problem: Option<&str>, reports: &mut Reports) {
    let object = ObjectRef { kind: Kind::Service, key: key.service.clone() };
    let finding = problem.map(|_| {
        let message = "is the --default-backend-service and has no usable port or does not exist; the built-in \
                       default backend answers 404";
        Finding::warning(&object, "", message)
    });
    reports.set(object, finding.into_iter().collect());
}
