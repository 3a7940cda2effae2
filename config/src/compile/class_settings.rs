//! Settings by IngressClass: the ConfigMaps that `spec.parameters` name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::report::Reports;
use super::store::Store;
use crate::diagnostics::Finding;
use crate::model::{ConfigMap, Kind, ObjectKey, ObjectRef};
use crate::options::Options;
use crate::settings::Globals;

/// What a class without a ConfigMap that can be read answers: it may say who is let in.
const MISSING: u16 = 503;

/// The settings of classes that have their own.
#[derive(Debug, Default)]
pub(super) struct ClassSettings {
    of: BTreeMap<Arc<str>, Globals>,
    /// ConfigMaps that were looked at.
    read: BTreeSet<ObjectKey>,
    /// Objects with findings.
    reported: BTreeSet<ObjectRef>,
    stale: bool,
}

impl ClassSettings {
    /// The settings of a class, if it has its own.
    pub(super) fn of(&self, class: &Arc<str>) -> Option<&Globals> {
        self.of.get(class)
    }

    /// Notes that a ConfigMap has changed.
    pub(super) fn mark(&mut self, config_map: &ObjectKey) {
        self.stale |= self.read.contains(config_map);
    }

    /// Notes that the classes have changed, or the settings of all.
    pub(super) fn mark_all(&mut self) {
        self.stale = true;
    }

    /// Reads all anew, if something has changed. Returns the classes that have other settings now.
    pub(super) fn refresh(
        &mut self,
        served: &BTreeSet<Arc<str>>,
        around: (&Store, &Options, &Globals),
        reports: &mut Reports,
    ) -> Vec<Arc<str>> {
        if !std::mem::take(&mut self.stale) {
            return Vec::new();
        }
        let mut reading = Reading { around, of: BTreeMap::new(), read: BTreeSet::new(), findings: BTreeMap::new() };
        served.iter().for_each(|class| reading.class(class));
        let Reading { of, read, findings, .. } = reading;
        for object in &self.reported {
            if !findings.contains_key(object) {
                reports.set(object.clone(), Vec::new());
            }
        }
        self.reported = findings.keys().cloned().collect();
        findings.into_iter().for_each(|(object, findings)| reports.set(object, findings));
        let names: BTreeSet<&Arc<str>> = self.of.keys().chain(of.keys()).collect();
        let differs = |class: &&&Arc<str>| self.of.get(**class) != of.get(**class);
        let changed = names.iter().filter(differs).map(|class| Arc::clone(class)).collect();
        (self.of, self.read) = (of, read);
        changed
    }
}

/// One look at all classes.
struct Reading<'a> {
    around: (&'a Store, &'a Options, &'a Globals),
    of: BTreeMap<Arc<str>, Globals>,
    read: BTreeSet<ObjectKey>,
    findings: BTreeMap<ObjectRef, Vec<Finding>>,
}

impl Reading<'_> {
    fn class(&mut self, name: &Arc<str>) {
        let (store, options, globals) = self.around;
        let Some(class) = store.class(name) else { return };
        let Some(parameters) = &class.parameters else { return };
        let object = ObjectRef { kind: Kind::IngressClass, key: class.meta.key.clone() };
        let Some(key) = parameters.config_map() else {
            let message = "is no ConfigMap (kind ConfigMap of no apiGroup, with a namespace); the settings of all act";
            let finding = Finding::warning(&object, "spec.parameters", message);
            self.findings.entry(object).or_default().push(finding);
            return;
        };
        if options.configmap.as_ref() == Some(&key) {
            return;
        }
        self.read.insert(key.clone());
        let own = match store.config_maps.get(&key) {
            Some(config_map) => self.settings(config_map),
            None => {
                let message = format!(
                    "ConfigMap {key} does not exist or cannot be read; as it may control access, the paths of this \
                     class answer {MISSING}"
                );
                let finding = Finding::error(&object, "spec.parameters.name", message);
                self.findings.entry(object).or_default().push(finding);
                Globals { missing: Some(MISSING), ..globals.clone() }
            }
        };
        self.of.insert(Arc::clone(name), own);
    }

    fn settings(&mut self, config_map: &ConfigMap) -> Globals {
        let (store, options, globals) = self.around;
        let all = options.configmap.as_ref().and_then(|key| store.config_maps.get(key));
        let (own, findings) = globals.of_class(all.map(|all| &**all), config_map, options, store);
        self.read.extend(own.config_maps.iter().cloned());
        let object = ObjectRef { kind: Kind::ConfigMap, key: config_map.meta.key.clone() };
        if !findings.is_empty() {
            // Classes may share it.
            self.findings.insert(object, findings);
        }
        own
    }
}
