//! Clusters: one for each Service port that some route names.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::endpoints::{self, Resolved};
use super::ids::Ids;
use super::index::Index;
use super::report::Reports;
use super::store::Store;
use crate::diagnostics::Finding;
use crate::model::{Kind, ObjectKey, ObjectRef, Transport};
use crate::options::Options;
use crate::snapshot::{Balancer, Cluster, ClusterId, ClusterKey, Clusters, PortKey};

/// All clusters with the objects that use them.
#[derive(Debug, Default)]
pub(super) struct ClusterTable {
    known: HashMap<ClusterKey, Known>,
    ids: Ids,
    /// The next [`Cluster::identity`].
    identity: u64,
    /// Service → the clusters of its ports.
    of_service: Index<ObjectKey, ClusterKey>,
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
    users: HashSet<ObjectRef>,
    problem: Option<String>,
}

impl ClusterTable {
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

    /// Adds a user.
    pub(super) fn acquire(&mut self, key: &ClusterKey, user: &ObjectRef) {
        self.make(key).users.insert(user.clone());
    }

    /// Removes a user; the last one takes the cluster along.
    pub(super) fn release(&mut self, key: &ClusterKey, user: &ObjectRef) {
        let Some(known) = self.known.get_mut(key) else { return };
        known.users.remove(user);
        if known.users.is_empty() && self.default.as_ref() != Some(key) {
            let id = known.id;
            self.known.remove(key);
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

    /// Resolves what is stale. Returns the users of the clusters whose problem changed.
    pub(super) fn refresh(&mut self, store: &Store, options: &Options, reports: &mut Reports) -> Vec<ObjectRef> {
        let mut touched = Vec::new();
        for key in std::mem::take(&mut self.stale) {
            let Resolved { endpoints, problem } = endpoints::resolve(&key, store, options);
            let Some(known) = self.known.get_mut(&key) else { continue };
            if known.problem != problem {
                touched.extend(known.users.iter().cloned());
                known.problem = problem;
            }
            if self.default.as_ref() == Some(&key) {
                report_default(&key, known.problem.as_deref(), reports);
            }
            let old = self.clusters.get(known.id);
            if old.is_some_and(|old| *old.endpoints == *endpoints) {
                continue;
            }
            let new = match old {
                Some(old) => Cluster { endpoints: endpoints.into(), ..Cluster::clone(old) },
                None => {
                    self.identity += 1;
                    Cluster {
                        id: known.id,
                        identity: self.identity,
                        name: key.to_string().into(),
                        key,
                        endpoints: endpoints.into(),
                        balancer: Balancer::default(),
                    }
                }
            };
            self.clusters.set(known.id, Some(Arc::new(new)));
            self.changed = true;
        }
        touched
    }

    /// The id of a cluster that is used.
    pub(super) fn id(&self, key: &ClusterKey) -> Option<ClusterId> {
        self.known.get(key).map(|known| known.id)
    }

    /// Why a cluster can have no endpoints.
    pub(super) fn problem(&self, key: &ClusterKey) -> Option<&str> {
        self.known.get(key)?.problem.as_deref()
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
            Known { id: ClusterId(self.ids.take()), users: HashSet::new(), problem: None }
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
