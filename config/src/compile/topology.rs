//! Where this instance is, and which endpoints are meant for it (`--enable-topology-aware-routing`).

use std::sync::Arc;

use super::report::Reports;
use super::store::Store;
use crate::diagnostics::Finding;
use crate::model::{Hints, Kind, ObjectKey, ObjectRef, ZONE_LABEL};
use crate::options::Topology;
use crate::snapshot::Endpoint;

/// Its own place, as it is known now.
#[derive(Debug)]
pub(super) struct Here {
    /// `None` when hints are not asked for.
    asked: Option<Topology>,
    /// The zone that was given, else that of the own Node.
    zone: Option<Arc<str>>,
    stale: bool,
}

impl Here {
    pub(super) fn new(asked: Option<Topology>) -> Self {
        let zone = asked.as_ref().and_then(|topology| topology.zone.clone());
        Self { asked, zone, stale: true }
    }

    /// Notes that a Node has changed.
    pub(super) fn mark(&mut self) {
        self.stale = true;
    }

    /// Looks at the own Node again, if it may have changed. True when this instance is somewhere else now.
    pub(super) fn refresh(&mut self, store: &Store, reports: &mut Reports) -> bool {
        if !std::mem::take(&mut self.stale) {
            return false;
        }
        let Some(Topology { zone: None, node: Some(name) }) = &self.asked else { return false };
        let key = ObjectKey { namespace: "".into(), name: Arc::clone(name) };
        let node = store.node(&key);
        let zone = node.and_then(|node| node.zone.clone());
        let object = ObjectRef { kind: Kind::Node, key };
        let finding = match node {
            Some(_) if zone.is_some() => None,
            Some(_) => Some((format!("metadata.labels.{ZONE_LABEL}"), "missing")),
            None => Some((String::new(), "not known, though this instance is on it")),
        };
        let message = |what| format!("{what}; zone hints of endpoints have no effect");
        let finding = finding.map(|(field, what)| Finding::warning(&object, field, message(what)));
        reports.set(object, finding.into_iter().collect());
        let moved = zone != self.zone;
        self.zone = zone;
        moved
    }

    /// Of endpoints that are ready, those that are meant for this Node, else those for this zone. All of them where some
    /// have no hints, or where none is meant for here: as kube-proxy does.
    pub(super) fn nearest(&self, ready: Vec<(Endpoint, Option<&Hints>)>) -> Vec<Endpoint> {
        let node = self.asked.as_ref().and_then(|topology| topology.node.as_ref());
        let near = |name: Option<&Arc<str>>, of: fn(&Hints) -> &[Arc<str>]| {
            let name = name?;
            let all_say = ready.iter().all(|(_, hints)| hints.is_some_and(|hints| !of(hints).is_empty()));
            let mine = ready.iter().filter(|(_, hints)| hints.is_some_and(|hints| of(hints).contains(name)));
            let mine: Vec<Endpoint> = mine.map(|(endpoint, _)| endpoint.clone()).collect();
            (all_say && !mine.is_empty()).then_some(mine)
        };
        let nearest = near(node, |hints| &hints.nodes).or_else(|| near(self.zone.as_ref(), |hints| &hints.zones));
        nearest.unwrap_or_else(|| ready.into_iter().map(|(endpoint, _)| endpoint).collect())
    }
}
