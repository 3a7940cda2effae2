//! Findings by object, so that a change replaces those of the objects that it touches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostics::Finding;
use crate::model::ObjectRef;

/// The findings of all objects.
#[derive(Debug, Default)]
pub(super) struct Reports {
    by_object: BTreeMap<ObjectRef, Vec<Finding>>,
    all: Option<Arc<[Finding]>>,
}

impl Reports {
    /// Replaces the findings of an object.
    pub(super) fn set(&mut self, object: ObjectRef, findings: Vec<Finding>) {
        let old = self.by_object.get(&object).map_or(&[][..], Vec::as_slice);
        if old == findings {
            return;
        }
        self.all = None;
        if findings.is_empty() {
            self.by_object.remove(&object);
        } else {
            self.by_object.insert(object, findings);
        }
    }

    /// Those of one object.
    pub(super) fn of(&self, object: &ObjectRef) -> &[Finding] {
        self.by_object.get(object).map_or(&[], Vec::as_slice)
    }

    /// All of them, by object.
    pub(super) fn all(&mut self) -> Arc<[Finding]> {
        let all = self.all.get_or_insert_with(|| self.by_object.values().flatten().cloned().collect());
        Arc::clone(all)
    }
}
