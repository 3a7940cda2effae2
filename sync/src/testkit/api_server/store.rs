//! Objects with their versions, and the events that led to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Kind, API version and plural name of what the server knows.
const RESOURCES: [(&str, &str, &str); 14] = [
    ("Ingress", "networking.k8s.io/v1", "ingresses"),
    ("IngressClass", "networking.k8s.io/v1", "ingressclasses"),
    ("Service", "v1", "services"),
    ("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
    ("Endpoints", "v1", "endpoints"),
    ("Secret", "v1", "secrets"),
    ("ConfigMap", "v1", "configmaps"),
    ("Namespace", "v1", "namespaces"),
    ("Node", "v1", "nodes"),
    ("Pod", "v1", "pods"),
    ("Event", "v1", "events"),
    ("Event", "events.k8s.io/v1", "events"),
    ("Lease", "coordination.k8s.io/v1", "leases"),
    ("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
];

/// Namespace and name.
type Key = (String, String);

/// One change.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) resource: &'static str,
    pub(super) object: Value,
}

/// Everything that the server has.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<&'static str, BTreeMap<Key, Value>>,
    events: Vec<Event>,
    version: u64,
    /// Events up to this version are forgotten.
    compacted: u64,
}

/// Why a write was refused, as the API says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NotFound,
    Conflict,
    AlreadyExists,
    Invalid,
    /// The namespace is being deleted.
    Terminating,
}

/// Plural name and API version by plural name.
pub(super) fn resource(api_version: &str, plural: &str) -> Option<(&'static str, &'static str)> {
    RESOURCES.iter().find(|known| (known.1, known.2) == (api_version, plural)).map(|known| (known.2, known.0))
}

fn plural(kind: &str) -> &'static str {
    RESOURCES.iter().find(|known| known.0 == kind).map_or_else(|| panic!("no resource of kind {kind}"), |known| known.2)
}

fn key_of(object: &Value) -> Key {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Creates or replaces.
    pub(super) fn put(&mut self, object: Value) {
        let kind = object["kind"].as_str().expect("an object of a test has a kind").to_owned();
        self.write(plural(&kind), object);
    }

    pub(super) fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        self.remove(plural(kind), &(namespace.to_owned(), name.to_owned())).is_ok()
    }

    pub(super) fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.find(plural(kind), &(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn find(&self, resource: &str, key: &Key) -> Option<&Value> {
        self.objects.get(resource)?.get(key)
    }

    pub(super) fn list(&self, resource: &str) -> impl Iterator<Item = &Value> {
        self.objects.get(resource).into_iter().flat_map(BTreeMap::values)
    }

    /// Events after a version, oldest first.
    pub(super) fn since(&self, version: u64, resource: &str) -> impl Iterator<Item = &Event> {
        let from = self.events.partition_point(|event| event.version <= version);
        self.events[from..].iter().filter(move |event| event.resource == resource)
    }

    pub(super) fn compact(&mut self) {
        // The version rises so that even a watch that has seen everything is behind.
        self.version += 1;
        self.forget_history();
    }

    pub(super) fn forget_history(&mut self) {
        self.compacted = self.version;
        self.events.clear();
    }

    /// Forgets the older half of the events when there are more than `count`.
    pub(super) fn forget_before(&mut self, count: usize) {
        if self.events.len() > count {
            let newest = self.events.drain(..count / 2).next_back();
            self.compacted = newest.map_or(self.compacted, |event| event.version);
        }
    }

    pub(super) fn create(&mut self, resource: &'static str, object: Value) -> Result<Value, Refused> {
        let key = key_of(&object);
        if key.1.is_empty() {
            return Err(Refused::Invalid);
        }
        if self.find(resource, &key).is_some() {
            return Err(Refused::AlreadyExists);
        }
        Ok(self.write(resource, object))
    }

    pub(super) fn update(&mut self, resource: &'static str, key: &Key, object: Value) -> Result<Value, Refused> {
        let old = self.find(resource, key).ok_or(Refused::NotFound)?;
        let wanted = &object["metadata"]["resourceVersion"];
        if !wanted.is_null() && *wanted != old["metadata"]["resourceVersion"] {
            return Err(Refused::Conflict);
        }
        Ok(self.write(resource, object))
    }

    /// A JSON merge patch.
    pub(super) fn patch(&mut self, resource: &'static str, key: &Key, patch: &Value) -> Result<Value, Refused> {
        let mut object = self.find(resource, key).ok_or(Refused::NotFound)?.clone();
        let mut patch = patch.clone();
        merge_by_name(&mut object["webhooks"], patch.as_object_mut().and_then(|patch| patch.remove("webhooks")));
        merge(&mut object, &patch);
        self.update(resource, key, object)
    }

    pub(super) fn remove(&mut self, resource: &'static str, key: &Key) -> Result<Value, Refused> {
        let mut object = self.objects.get_mut(resource).and_then(|all| all.remove(key)).ok_or(Refused::NotFound)?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.note("DELETED", resource, &object);
        Ok(object)
    }

    fn write(&mut self, resource: &'static str, mut object: Value) -> Value {
        let key = key_of(&object);
        self.version += 1;
        let old = self.find(resource, &key);
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let version = self.version;
        let keep = |name: &str, new: Value| old.map_or(new, |old| old["metadata"][name].clone());
        let (uid, created) = (keep("uid", json!(format!("uid-{version}"))), keep("creationTimestamp", json!(null)));
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(version.to_string());
        metadata["uid"] = uid;
        if metadata["creationTimestamp"].is_null() {
            // Later objects are younger: a second a version, from 2024 on.
            let stamp = jiff::Timestamp::from_second(1_704_067_200 + i64::try_from(version).unwrap_or(0));
            metadata["creationTimestamp"] =
                if created.is_null() { stamp.map_or(json!(null), |stamp| json!(stamp.to_string())) } else { created };
        }
        self.note(kind, resource, &object);
        self.objects.entry(resource).or_default().insert(key, object.clone());
        object
    }

    fn note(&mut self, kind: &'static str, resource: &'static str, object: &Value) {
        self.events.push(Event { version: self.version, kind, resource, object: object.clone() });
    }
}

/// What a strategic merge does to the one list that this server knows to have names.
fn merge_by_name(entries: &mut Value, changes: Option<Value>) {
    let (Some(entries), Some(Value::Array(changes))) = (entries.as_array_mut(), changes) else { return };
    for change in changes {
        if let Some(entry) = entries.iter_mut().find(|entry| entry["name"] == change["name"]) {
            merge(entry, &change);
        }
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, change) in changes {
        if change.is_null() {
            target.as_object_mut().map(|fields| fields.remove(name));
        } else {
            merge(&mut target[name], change);
        }
    }
}
