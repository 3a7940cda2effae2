//! Earlier versions that go on acting because the newer one is refused or broken, for as long as the object is there.

use std::sync::Arc;

use super::Compiler;
use crate::annotation::NOT_LOADED;
use crate::diagnostics::Finding;
use crate::model::{Ingress, Object, ObjectKey, Secret};

impl Compiler {
    /// The Ingress versions that go on serving because the newer one is refused. Whoever starts again from a state
    /// hands them to [`restore`](Self::restore) before the first compilation.
    pub fn held(&self) -> impl Iterator<Item = &Arc<Ingress>> {
        self.ingresses.keys().filter_map(|key| self.held_of(key))
    }

    /// The same of Secrets: the usable versions that are presented because the newer one is broken.
    pub fn held_secrets(&self) -> impl Iterator<Item = &Arc<Secret>> {
        self.certificates.kept()
    }

    /// Whether this is the version of the Ingress that serves.
    pub fn accepts(&self, ingress: &Ingress) -> bool {
        let known = self.ingresses.get(&ingress.meta.key);
        known.is_some_and(|known| known.accepted.as_deref() == Some(ingress))
    }

    /// That of one Ingress.
    pub fn held_of(&self, key: &ObjectKey) -> Option<&Arc<Ingress>> {
        let accepted = self.ingresses.get(key)?.accepted.as_ref()?;
        let is_current = self.store.ingresses.get(key).is_some_and(|current| Arc::ptr_eq(current, accepted));
        (!is_current).then_some(accepted)
    }

    /// Takes in what was [`held`](Self::held) or [presented](Self::held_secrets) when this was last run. Such a version counts
    /// only where the newest one is of the same object and is refused, or broken, again.
    pub fn restore(&mut self, held: impl IntoIterator<Item = Object>) {
        for object in held {
            match object {
                Object::Ingress(ingress) => {
                    let key = ingress.meta.key.clone();
                    if self.store.ingresses.get(&key).is_some_and(|newest| newest.meta.is_of_same(&ingress.meta)) {
                        self.dirty.ingresses.insert(key.clone());
                        self.ingresses.entry(key).or_default().accepted.get_or_insert(ingress);
                    }
                }
                Object::Secret(secret) => {
                    let newest = self.store.secrets.get(&secret.meta.key);
                    // Most are as they were, and are not parsed twice for nothing.
                    if newest.is_some_and(|newest| newest.meta.is_of_same(&secret.meta) && newest.data != secret.data) {
                        self.certificates.restore(secret);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Adds to what keeps an Ingress from being loaded that an accepted version is served. Only here it is known whether one is.
pub(super) fn say_kept(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.message.ends_with(NOT_LOADED)) {
        finding.message = format!("{}; an accepted version of it goes on serving", finding.message).into();
    }
}
