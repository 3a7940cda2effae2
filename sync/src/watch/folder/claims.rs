//! Who defines an object when several places do: the first by path, then by place in the file.
//!
//! The others are kept and reported; the next one takes over when the first goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Object, ObjectRef};

use crate::watch::Change;

/// Where an object is defined. The order decides who wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    path: Arc<str>,
    /// Number among the objects of the file, from 0.
    number: usize,
}

/// All definitions of all objects, by file.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Never empty vectors, sorted by place; nearly always one entry.
    objects: HashMap<ObjectRef, Vec<(Place, Object)>>,
    /// What each file defines, in its order.
    files: HashMap<Arc<str>, Vec<ObjectRef>>,
    contested: BTreeSet<ObjectRef>,
}

impl Claims {
    /// Puts `objects` in the place of all that the file has defined so far; adds what follows from it to `changes`.
    pub(crate) fn replace(&mut self, path: &Arc<str>, objects: Vec<Object>, changes: &mut Vec<Change>) {
        let old = self.files.remove(path).unwrap_or_default();
        let new: Vec<ObjectRef> = objects.iter().map(Object::reference).collect();
        let mut before = BTreeMap::new();
        for reference in old.iter().chain(&new) {
            if !before.contains_key(reference) {
                before.insert(reference.clone(), self.winner(reference).cloned());
            }
        }
        for reference in &old {
            self.withdraw(path, reference);
        }
        for (number, object) in objects.into_iter().enumerate() {
            self.claim(Place { path: Arc::clone(path), number }, object);
        }
        if !new.is_empty() {
            self.files.insert(Arc::clone(path), new);
        }
        for (reference, before) in before {
            self.note_contest(&reference);
            match (before, self.winner(&reference)) {
                (Some(before), Some(after)) if before == *after => {}
                (_, Some(after)) => changes.push(Change::Upsert(after.clone())),
                (Some(_), None) => changes.push(Change::Remove(reference)),
                (None, None) => {}
            }
        }
    }

    /// A file's own definition of an object, served or not.
    pub(crate) fn of_file(&self, path: &Arc<str>, reference: &ObjectRef) -> Option<&Object> {
        let claims = self.objects.get(reference)?;
        claims.iter().find(|(place, _)| place.path == *path).map(|(_, object)| object)
    }

    /// One finding for each definition that is not served.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.contested.iter().flat_map(|reference| {
            let claims = self.objects.get(reference).map_or(&[][..], Vec::as_slice);
            let winner = claims.first();
            claims.iter().skip(1).filter_map(move |(place, _)| {
                let first = &winner?.0.path;
                Some(Finding::error(
                    reference,
                    "",
                    format!("defined again in {}; the definition in {first} comes first and is served", place.path),
                ))
            })
        })
    }

    /// All definitions, served or not, by place; of several of one object the first is served.
    pub(crate) fn all(&self) -> Vec<(&Arc<str>, &Object)> {
        let mut all: Vec<&(Place, Object)> = self.objects.values().flatten().collect();
        all.sort_unstable_by_key(|(place, _)| place);
        all.into_iter().map(|(place, object)| (&place.path, object)).collect()
    }

    /// What is served, by place.
    pub(crate) fn served(&self) -> Vec<&Object> {
        let mut served: Vec<&(Place, Object)> = self.objects.values().filter_map(|claims| claims.first()).collect();
        served.sort_unstable_by_key(|(place, _)| place);
        served.into_iter().map(|(_, object)| object).collect()
    }

    fn winner(&self, reference: &ObjectRef) -> Option<&Object> {
        self.objects.get(reference)?.first().map(|(_, object)| object)
    }

    fn claim(&mut self, place: Place, object: Object) {
        let claims = self.objects.entry(object.reference()).or_default();
        let at = claims.partition_point(|(other, _)| *other < place);
        claims.insert(at, (place, object));
    }

    fn withdraw(&mut self, path: &Arc<str>, reference: &ObjectRef) {
        if let Some(claims) = self.objects.get_mut(reference) {
            claims.retain(|(place, _)| place.path != *path);
            if claims.is_empty() {
                self.objects.remove(reference);
            }
        }
    }

    fn note_contest(&mut self, reference: &ObjectRef) {
        if self.objects.get(reference).is_some_and(|claims| claims.len() > 1) {
            self.contested.insert(reference.clone());
        } else {
            self.contested.remove(reference);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ringress_config::model::decode;
    use serde_json::json;

    /// An object of one of four names; `mark` tells the definitions apart.
    fn object(name: u8, mark: u16) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("o{}", name % 4)},
            "data": {"mark": mark.to_string()}});
        decode(value, None).object.expect("a ConfigMap")
    }

    /// The rule itself: the first by path, then by place.
    fn winners(files: &BTreeMap<String, Vec<Object>>) -> BTreeMap<ObjectRef, Object> {
        let mut winners = BTreeMap::new();
        for object in files.values().flatten() {
            winners.entry(object.reference()).or_insert_with(|| object.clone());
        }
        winners
    }

    proptest! {
        /// Following the changes leads to what the rule says, after every step, with no change that changes nothing.
        #[test]
        fn changes_lead_to_what_the_rule_says(
            steps in proptest::collection::vec((0_u8..3, proptest::collection::vec((0_u8..4, 0_u16..3), 0..5)), 1..20)
        ) {
            let mut claims = Claims::default();
            let mut files = BTreeMap::new();
            let mut served = BTreeMap::new();
            for (file, content) in steps {
                let path = format!("{file}.yaml");
                let objects: Vec<Object> = content.into_iter().map(|(name, mark)| object(name, mark)).collect();
                files.insert(path.clone(), objects.clone());
                let mut changes = Vec::new();
                claims.replace(&path.as_str().into(), objects, &mut changes);
                for change in changes {
                    match change {
                        Change::Upsert(object) => {
                            let before = served.insert(object.reference(), object.clone());
                            prop_assert_ne!(before, Some(object));
                        }
                        Change::Remove(reference) => prop_assert!(served.remove(&reference).is_some()),
                    }
                }
                prop_assert_eq!(&served, &winners(&files));
                let defined: usize = files.values().map(Vec::len).sum();
                prop_assert_eq!(claims.findings().count(), defined - served.len());
            }
        }
    }
}
