//! What the writers of single objects cannot do, as findings for the status: at most one a writer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringress_config::diagnostics::Finding;
use tracing::warn;

/// The notes, shared by the control thread and the writers, which run on the same thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    notes: BTreeMap<&'static str, Finding>,
    changed: bool,
}

impl Notes {
    /// What a writer has to say now, in place of what it said before. What is new is logged.
    pub(crate) fn set(&self, writer: &'static str, finding: Option<Finding>) {
        let mut inner = self.open();
        if inner.notes.get(writer) == finding.as_ref() {
            return;
        }
        match finding {
            Some(finding) => {
                warn!(object = %finding.object, "{}", finding.message);
                inner.notes.insert(writer, finding);
            }
            None => drop(inner.notes.remove(writer)),
        }
        inner.changed = true;
    }

    /// All notes, if they have changed since the last call.
    pub(crate) fn take(&self) -> Option<Vec<Finding>> {
        let mut inner = self.open();
        std::mem::take(&mut inner.changed).then(|| inner.notes.values().cloned().collect())
    }

    fn open(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
