//! Which Secrets are needed by name, because somebody refers to them and the list of TLS Secrets does not have them.
//!
//! Cluster-wide only Secrets of type `kubernetes.io/tls` are read. A certificate may also be in a Secret of another
//! type; such a one gets a watch on its name, so that no Secret is read that nobody refers to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ringress_config::model::{Ingress, Object, ObjectKey, ObjectRef};

use crate::watch::Change;

/// Annotations, without their prefix, that name a Secret as `name` or `namespace/name`.
const ANNOTATIONS: [&str; 3] = ["auth-secret", "auth-tls-secret", "proxy-ssl-secret"];

/// Who refers to which Secret.
#[derive(Debug)]
pub(crate) struct Wanted {
    prefix: Arc<str>,
    /// By Ingress, what it refers to.
    ingresses: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// References to each Secret.
    secrets: HashMap<ObjectKey, usize>,
}

impl Wanted {
    /// `prefix` is that of the annotations, `always` a Secret that the options name.
    pub(crate) fn new(prefix: Arc<str>, always: Option<ObjectKey>) -> Self {
        Self { prefix, ingresses: HashMap::new(), secrets: always.into_iter().map(|key| (key, 1)).collect() }
    }

    /// Takes in a change of an Ingress; true when the needed Secrets may be others now.
    pub(crate) fn note(&mut self, change: &Change) -> bool {
        let (key, now) = match change {
            Change::Upsert(Object::Ingress(ingress)) => (&ingress.meta.key, self.of(ingress)),
            Change::Remove(ObjectRef { kind: ringress_config::model::Kind::Ingress, key }) => (key, BTreeSet::new()),
            _ => return false,
        };
        let before = self.ingresses.remove(key).unwrap_or_default();
        if before == now {
            self.ingresses.insert(key.clone(), now);
            return false;
        }
        for secret in &now {
            *self.secrets.entry(secret.clone()).or_default() += 1;
        }
        for secret in &before {
            if let Some(count) = self.secrets.get_mut(secret) {
                *count -= 1;
                if *count == 0 {
                    self.secrets.remove(secret);
                }
            }
        }
        if !now.is_empty() {
            self.ingresses.insert(key.clone(), now);
        }
        true
    }

    /// The needed Secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ObjectKey> {
        self.secrets.keys()
    }

    /// Whether anything is needed.
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    fn of(&self, ingress: &Ingress) -> BTreeSet<ObjectKey> {
        let namespace = &ingress.meta.key.namespace;
        let tls = ingress.tls.iter().filter_map(|tls| tls.secret.clone());
        let annotated = ANNOTATIONS
            .iter()
            .filter_map(|name| ingress.annotations.get(format!("{}/{name}", self.prefix).as_str()).cloned());
        tls.chain(annotated)
            .filter(|name| !name.is_empty())
            .map(|name| match name.split_once('/') {
                Some((namespace, name)) => ObjectKey::new(namespace, name),
                None => ObjectKey { namespace: Arc::clone(namespace), name },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringress_config::model::{Kind, decode};
    use serde_json::json;

    fn ingress(name: &str, secret: &str, auth: &str) -> Change {
        let value = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": "n", "name": name, "annotations": {"p/auth-secret": auth}},
            "spec": {"tls": [{"hosts": ["a"], "secretName": secret}]}});
        Change::Upsert(decode(value, None).object.expect("an Ingress"))
    }

    fn names(wanted: &Wanted) -> Vec<String> {
        wanted.secrets().map(ObjectKey::to_string).collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn a_secret_is_needed_as_long_as_one_refers_to_it() {
        let mut wanted = Wanted::new("p".into(), None);
        assert!(wanted.note(&ingress("a", "s", "other/auth")));
        assert!(wanted.note(&ingress("b", "s", "")));
        assert_eq!(names(&wanted), ["n/s", "other/auth"]);
        assert!(!wanted.note(&ingress("b", "s", "")), "nothing new");
        assert!(wanted.note(&ingress("a", "s2", "")));
        assert_eq!(names(&wanted), ["n/s", "n/s2"]);
        let remove = |name: &str| Change::Remove(ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("n", name) });
        assert!(wanted.note(&remove("b")));
        assert_eq!(names(&wanted), ["n/s2"]);
        wanted.note(&remove("a"));
        assert!(wanted.is_empty());
    }

    #[test]
    fn the_default_certificate_is_always_needed() {
        let wanted = Wanted::new("p".into(), Some(ObjectKey::new("n", "default")));
        assert_eq!(names(&wanted), ["n/default"]);
    }
}
