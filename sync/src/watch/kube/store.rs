//! What one watch knows, so that only true differences go on.
//!
//! The objects are shared with the compiler; a store costs a pointer and a key an object.

use std::collections::{BTreeMap, HashMap, HashSet};

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, Object, ObjectKey, ObjectRef};

use super::row::Row;
use crate::watch::Change;

/// The objects of one watch.
#[derive(Debug)]
pub(crate) struct Store {
    kind: Kind,
    objects: HashMap<ObjectKey, Object>,
    /// They are there, and nobody needs to know more.
    bare: HashSet<ObjectKey>,
    findings: BTreeMap<ObjectKey, Vec<Finding>>,
    /// Since [`take_findings_changed`](Store::take_findings_changed).
    findings_changed: bool,
}

impl Store {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, objects: HashMap::new(), bare: HashSet::new(), findings: BTreeMap::new(), findings_changed: false }
    }

    /// Takes in an object without saying so: it came from the state on disk, or another store has told it.
    pub(crate) fn seed(&mut self, object: Object) {
        self.bare.remove(&object.meta().key);
        self.objects.insert(object.meta().key.clone(), object);
    }

    /// A complete list: what is not on it is gone.
    pub(crate) fn list(&mut self, rows: Vec<Row>, changes: &mut Vec<Change>) {
        let listed: HashSet<ObjectKey> = rows.iter().map(|row| row.key.clone()).collect();
        let mut gone: Vec<ObjectKey> = self.objects.keys().filter(|key| !listed.contains(key)).cloned().collect();
        gone.sort_unstable();
        for key in gone {
            self.delete(&key, changes);
        }
        self.findings_changed |= !self.findings.is_empty();
        self.findings.clear();
        for row in rows {
            self.apply(row, changes);
        }
    }

    /// An object that was added or changed. One that cannot be used keeps its last usable form.
    pub(crate) fn apply(&mut self, row: Row, changes: &mut Vec<Change>) {
        let Row { key, object, findings, .. } = row;
        self.bare.remove(&key);
        self.findings_changed |= if findings.is_empty() {
            self.findings.remove(&key).is_some()
        } else {
            let known = self.findings.insert(key.clone(), findings);
            known.as_ref() != self.findings.get(&key)
        };
        let Some(object) = object else { return };
        if self.objects.get(&key) != Some(&object) {
            self.objects.insert(key, object.clone());
            changes.push(Change::Upsert(object));
        }
    }

    /// Takes from a complete list what nobody needs.
    pub(crate) fn sift(&mut self, rows: &mut Vec<Row>, needed: impl Fn(&ObjectKey) -> bool) {
        self.bare.clear();
        rows.retain(|row| {
            let is_needed = needed(&row.key);
            if !is_needed {
                self.bare.insert(row.key.clone());
            }
            is_needed
        });
    }

    /// Forgets what nobody needs any more.
    pub(crate) fn strip(&mut self, needed: impl Fn(&ObjectKey) -> bool, changes: &mut Vec<Change>) {
        let known = self.objects.keys().chain(self.findings.keys());
        let unneeded: HashSet<ObjectKey> = known.filter(|key| !needed(key)).cloned().collect();
        for key in unneeded {
            self.bare(&key, changes);
        }
    }

    /// An object that was added or changed and that nobody needs.
    pub(crate) fn bare(&mut self, key: &ObjectKey, changes: &mut Vec<Change>) {
        self.delete(key, changes);
        self.bare.insert(key.clone());
    }

    /// Whether nothing but its being there is known of an object.
    pub(crate) fn is_bare(&self, key: &ObjectKey) -> bool {
        self.bare.contains(key)
    }

    /// An object that is gone.
    pub(crate) fn delete(&mut self, key: &ObjectKey, changes: &mut Vec<Change>) {
        self.bare.remove(key);
        self.findings_changed |= self.findings.remove(key).is_some();
        if self.objects.remove(key).is_some() {
            changes.push(Change::Remove(ObjectRef { kind: self.kind, key: key.clone() }));
        }
    }

    pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key)
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// Whether the findings may differ from those at the last call.
    pub(crate) fn take_findings_changed(&mut self) -> bool {
        std::mem::take(&mut self.findings_changed)
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(name: &str, host: serde_json::Value) -> Row {
        let json = json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"rules": [{"host": host}]}});
        let wire: super::super::row::Wire = serde_json::from_value(json).expect("an object");
        wire.lean("networking.k8s.io/v1", Kind::Ingress)
    }

    fn names(changes: &[Change]) -> Vec<String> {
        changes
            .iter()
            .map(|change| match change {
                Change::Upsert(object) => format!("+{}", object.meta().key.name),
                Change::Remove(object) => format!("-{}", object.key.name),
            })
            .collect()
    }

    #[test]
    fn a_second_list_tells_only_the_differences() {
        let mut store = Store::new(Kind::Ingress);
        let mut changes = Vec::new();
        store.list(vec![row("a", "a".into()), row("b", "b".into()), row("c", "c".into())], &mut changes);
        assert_eq!(names(&changes), ["+a", "+b", "+c"]);
        changes.clear();
        store.list(vec![row("b", "b".into()), row("c", "changed".into()), row("d", "d".into())], &mut changes);
        assert_eq!(names(&changes), ["-a", "+c", "+d"]);
    }

    #[test]
    fn the_same_object_again_tells_nothing() {
        let mut store = Store::new(Kind::Ingress);
        let mut changes = Vec::new();
        store.apply(row("a", "a".into()), &mut changes);
        store.apply(row("a", "a".into()), &mut changes);
        assert_eq!(names(&changes), ["+a"]);
    }

    #[test]
    fn a_change_of_a_sound_object_leaves_the_findings_as_they_are() {
        let mut store = Store::new(Kind::Ingress);
        let mut changes = Vec::new();
        store.list(vec![row("a", 7.into()), row("b", "b".into())], &mut changes);
        assert!(store.take_findings_changed());
        store.apply(row("b", "other".into()), &mut changes);
        store.apply(row("a", 7.into()), &mut changes);
        store.delete(&ObjectKey::new("n", "b"), &mut changes);
        assert!(!store.take_findings_changed());
        store.apply(row("a", "a".into()), &mut changes);
        assert!(store.take_findings_changed());
        store.list(vec![row("a", 7.into())], &mut changes);
        assert!(store.take_findings_changed());
        store.delete(&ObjectKey::new("n", "a"), &mut changes);
        assert!(store.take_findings_changed());
    }

    #[test]
    fn an_object_that_cannot_be_decoded_keeps_its_last_form_and_is_reported_until_it_is_gone() {
        let mut store = Store::new(Kind::Ingress);
        let mut changes = Vec::new();
        store.apply(row("a", "a".into()), &mut changes);
        store.apply(row("a", 7.into()), &mut changes);
        assert_eq!(names(&changes), ["+a"]);
        assert_eq!(store.findings().count(), 1);
        store.list(vec![row("a", 7.into())], &mut changes);
        assert_eq!(names(&changes), ["+a"]);
        assert_eq!(store.findings().count(), 1);
        store.delete(&ObjectKey::new("n", "a"), &mut changes);
        assert_eq!(names(&changes), ["+a", "-a"]);
        assert_eq!(store.findings().count(), 0);
    }
}
