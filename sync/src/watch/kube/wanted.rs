//! Which Secrets and ConfigMaps are needed by name, because somebody refers to them.
//!
//! Cluster-wide only Secrets of type `kubernetes.io/tls` are read. A certificate may also be in a Secret of another
//! type; such a one gets a watch on its name, so that no Secret is read that nobody refers to. ConfigMaps are read by
//! name only.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ringress_config::model::{ClassParameters, ConfigMap, Ingress, IngressClass, Kind, Object, ObjectKey, ObjectRef};
use ringress_config::options::{Options, UpstreamAddress};

use crate::watch::Change;

/// Annotations, without their prefix, that name a Secret as `name` or `namespace/name`.
const SECRETS: [&str; 3] = ["auth-secret", "auth-tls-secret", "proxy-ssl-secret"];

/// Annotations that name a ConfigMap in the same way.
const CONFIG_MAPS: [&str; 2] = ["custom-headers", "auth-proxy-set-headers"];

/// Keys of the own ConfigMap, and of those of classes, that name another as `namespace/name`.
const KEYS: [&str; 2] = ["proxy-set-headers", "add-headers"];

/// The annotation by which an Ingress may need the Nodes.
const UPSTREAM_ADDRESS: &str = "ringress.io/upstream-address";

/// Who refers to what.
#[derive(Debug)]
pub(crate) struct Wanted {
    prefix: Arc<str>,
    /// The own ConfigMap.
    settings: Option<ObjectKey>,
    /// The ConfigMaps of classes, by class.
    class_settings: HashMap<ObjectRef, ObjectKey>,
    options: Options,
    /// By who refers, what is referred to.
    referring: HashMap<ObjectRef, BTreeSet<ObjectRef>>,
    /// What earlier versions of an Ingress name: one serves on while newer ones are refused, which is known at the next
    /// [`settle`](Self::settle).
    earlier: HashMap<ObjectKey, BTreeSet<ObjectRef>>,
    /// References to each object.
    needed: HashMap<ObjectRef, usize>,
    /// Secrets that nobody has referred to any more at some time since the last
    /// [`take_dropped`](Self::take_dropped).
    dropped: Vec<ObjectKey>,
}

impl Wanted {
    /// With what the options ask for.
    pub(crate) fn new(options: &Options) -> Self {
        let always = options.default_ssl_certificate.clone().map(|key| ObjectRef { kind: Kind::Secret, key });
        let nodes = (options.upstream_address == UpstreamAddress::NodePort).then(all_nodes);
        Self {
            prefix: Arc::clone(&options.annotations_prefix),
            settings: options.configmap.clone(),
            class_settings: HashMap::new(),
            options: options.clone(),
            referring: HashMap::new(),
            earlier: HashMap::new(),
            needed: always.into_iter().chain(nodes).map(|object| (object, 1)).collect(),
            dropped: Vec::new(),
        }
    }

    /// Takes in a change; true when the needed objects may be others now.
    pub(crate) fn note(&mut self, change: &Change) -> bool {
        let (object, mut now) = match change {
            Change::Upsert(object @ Object::Ingress(ingress)) => (object.reference(), self.of_ingress(ingress)),
            Change::Upsert(object @ Object::ConfigMap(map)) if self.is_settings(&map.meta.key) => {
                (object.reference(), of_settings(map))
            }
            // No longer those of a class.
            Change::Upsert(object @ Object::ConfigMap(_)) => (object.reference(), BTreeSet::new()),
            Change::Upsert(object @ Object::IngressClass(class)) => (object.reference(), self.of_class(class)),
            Change::Remove(object) if self.referring.contains_key(object) => {
                self.class_settings.remove(object);
                (object.clone(), BTreeSet::new())
            }
            Change::Upsert(_) | Change::Remove(_) => return false,
        };
        now.retain(can_be);
        let before = self.referring.remove(&object).unwrap_or_default();
        let is_same = before == now;
        self.count(&now);
        if matches!(change, Change::Remove(_)) {
            let earlier = self.earlier.remove(&object.key).filter(|_| object.kind == Kind::Ingress);
            self.discount(&earlier.unwrap_or_default());
        } else if object.kind == Kind::Ingress && !is_same && !before.is_empty() {
            self.keep(&object.key, &before);
        }
        self.discount(&before);
        if !now.is_empty() {
            self.referring.insert(object, now);
        }
        !is_same
    }

    /// Takes in a version of an Ingress that serves although there may be a newer one.
    pub(crate) fn hold(&mut self, ingress: &Ingress) {
        let named = self.of_ingress(ingress);
        self.keep(&ingress.meta.key, &named);
    }

    /// What is kept of earlier versions of Ingresses is what the version names that is held; true when less is needed now.
    pub(crate) fn settle<'a>(&mut self, held: impl Fn(&ObjectKey) -> Option<&'a Arc<Ingress>>) -> bool {
        let mut is_less = false;
        for (key, before) in std::mem::take(&mut self.earlier) {
            if let Some(ingress) = held(&key) {
                self.hold(ingress);
            }
            is_less |= self.earlier.get(&key) != Some(&before);
            self.discount(&before);
        }
        is_less
    }

    fn keep(&mut self, key: &ObjectKey, named: &BTreeSet<ObjectRef>) {
        let known = self.earlier.entry(key.clone()).or_default();
        let more: BTreeSet<ObjectRef> = named.difference(known).filter(|object| can_be(object)).cloned().collect();
        known.extend(more.iter().cloned());
        self.count(&more);
    }

    fn count(&mut self, named: &BTreeSet<ObjectRef>) {
        for object in named {
            *self.needed.entry(object.clone()).or_default() += 1;
        }
    }

    fn discount(&mut self, named: &BTreeSet<ObjectRef>) {
        for object in named {
            if let Some(count) = self.needed.get_mut(object) {
                *count -= 1;
                if *count == 0 {
                    self.needed.remove(object);
                    self.dropped.extend((object.kind == Kind::Secret).then(|| object.key.clone()));
                }
            }
        }
    }

    /// Secrets that may be needed no more.
    pub(crate) fn take_dropped(&mut self) -> Vec<ObjectKey> {
        std::mem::take(&mut self.dropped)
    }

    /// Whether a Secret is needed.
    pub(crate) fn needs_secret(&self, key: &ObjectKey) -> bool {
        self.needed.contains_key(&ObjectRef { kind: Kind::Secret, key: key.clone() })
    }

    /// The needed Secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ObjectKey> {
        self.of_kind(Kind::Secret)
    }

    /// The needed ConfigMaps, besides those that the options name.
    pub(crate) fn config_maps(&self) -> impl Iterator<Item = &ObjectKey> {
        self.of_kind(Kind::ConfigMap)
    }

    /// Whether the Nodes are needed.
    pub(crate) fn nodes(&self) -> bool {
        self.needed.contains_key(&all_nodes())
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.needed.keys().filter(move |object| object.kind == kind).map(|object| &object.key)
    }

    /// Whether a ConfigMap has the settings of a class.
    pub(crate) fn is_of_class(&self, key: &ObjectKey) -> bool {
        self.class_settings.values().any(|known| known == key)
    }

    /// Whether it is an operator who asks for an object, by the options, a class or settings, not the author of an Ingress.
    pub(crate) fn is_of_operator(&self, object: &ObjectRef) -> bool {
        let is_named = |key: &ObjectKey| {
            let settings = ObjectRef { kind: Kind::ConfigMap, key: key.clone() };
            self.referring.get(&settings).is_some_and(|named| named.contains(object))
        };
        let by_option = match object.kind {
            Kind::ConfigMap => self.is_of_class(&object.key),
            _ => self.options.default_ssl_certificate.as_ref() == Some(&object.key),
        };
        by_option || self.settings.iter().chain(self.class_settings.values()).any(is_named)
    }

    fn of_class(&mut self, class: &IngressClass) -> BTreeSet<ObjectRef> {
        let object = ObjectRef { kind: Kind::IngressClass, key: class.meta.key.clone() };
        let named = class.parameters.as_ref().filter(|_| class.is_ours(&self.options));
        let config_map =
            named.and_then(ClassParameters::config_map).map(|key| ObjectRef { kind: Kind::ConfigMap, key });
        let Some(config_map) = config_map.filter(can_be) else {
            self.class_settings.remove(&object);
            return BTreeSet::new();
        };
        self.class_settings.insert(object, config_map.key.clone());
        [config_map].into()
    }

    fn is_settings(&self, key: &ObjectKey) -> bool {
        self.settings.as_ref() == Some(key) || self.is_of_class(key)
    }

    fn of_ingress(&self, ingress: &Ingress) -> BTreeSet<ObjectRef> {
        let namespace = &ingress.meta.key.namespace;
        let annotated = |names: &'static [&'static str]| {
            let values = names.iter().map(|name| format!("{}/{name}", self.prefix));
            values.filter_map(|name| ingress.annotations.get(&name).cloned())
        };
        let tls = ingress.tls.iter().filter_map(|tls| tls.secret.clone());
        let secrets = tls.chain(annotated(&SECRETS)).map(|name| (Kind::Secret, name));
        let config_maps = annotated(&CONFIG_MAPS).map(|name| (Kind::ConfigMap, name));
        let named = secrets.chain(config_maps).filter(|(_, name)| !name.trim().is_empty());
        let address = ingress.annotations.get(UPSTREAM_ADDRESS).and_then(|text| UpstreamAddress::parse(text.trim()));
        let nodes = (address == Some(UpstreamAddress::NodePort)).then(all_nodes);
        named
            .map(|(kind, name)| {
                let key = match name.trim().split_once('/') {
                    Some((namespace, name)) => ObjectKey::new(namespace, name),
                    None => ObjectKey { namespace: Arc::clone(namespace), name: name.trim().into() },
                };
                ObjectRef { kind, key }
            })
            .chain(nodes)
            .collect()
    }
}

/// Stands for every Node: one that asks for node ports refers to them all.
fn all_nodes() -> ObjectRef {
    ObjectRef { kind: Kind::Node, key: ObjectKey::new("", "*") }
}

/// Whether there can be such an object. Nothing else is asked for: what is no name is no part of a path either, and the
/// start would wait for an answer that never comes.
pub(crate) fn can_be(object: &ObjectRef) -> bool {
    let is_name = |text: &str, dots: bool| {
        let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (dots && b == b'.');
        text.len() <= 253 && text.bytes().all(is_inner) && !text.is_empty() && !text.starts_with(['-', '.'])
    };
    object.kind == Kind::Node || (is_name(&object.key.namespace, false) && is_name(&object.key.name, true))
}

fn of_settings(map: &ConfigMap) -> BTreeSet<ObjectRef> {
    let named = KEYS.iter().filter_map(|key| map.data.get(*key)?.trim().split_once('/'));
    named.map(|(namespace, name)| ObjectRef { kind: Kind::ConfigMap, key: ObjectKey::new(namespace, name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringress_config::model::decode;
    use serde_json::json;

    fn ingress(name: &str, secret: &str, auth: &str) -> Change {
        let value = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": "n", "name": name, "annotations": {"p/auth-secret": auth}},
            "spec": {"tls": [{"hosts": ["a"], "secretName": secret}]}});
        Change::Upsert(decode(value, None).object.expect("an Ingress"))
    }

    fn wanted(default_ssl_certificate: Option<ObjectKey>, configmap: Option<ObjectKey>) -> Wanted {
        let annotations_prefix = "p".into();
        Wanted::new(&Options { annotations_prefix, default_ssl_certificate, configmap, ..Options::default() })
    }

    fn names(wanted: &Wanted) -> Vec<String> {
        wanted.secrets().map(ObjectKey::to_string).collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn a_secret_is_needed_as_long_as_one_refers_to_it() {
        let mut wanted = wanted(None, None);
        assert!(wanted.note(&ingress("a", "s", "other/auth")));
        assert!(wanted.note(&ingress("b", "s", "")));
        assert_eq!(names(&wanted), ["n/s", "other/auth"]);
        assert!(!wanted.note(&ingress("b", "s", "")), "nothing new");
        assert!(wanted.note(&ingress("a", "s2", "")));
        assert_eq!(names(&wanted), ["n/s", "n/s2", "other/auth"], "nobody knows yet whether the newest is accepted");
        assert!(wanted.settle(|_| None));
        assert_eq!(names(&wanted), ["n/s", "n/s2"]);
        let remove = |name: &str| Change::Remove(ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("n", name) });
        assert!(wanted.note(&remove("b")));
        assert_eq!(names(&wanted), ["n/s2"]);
        wanted.note(&remove("a"));
        assert_eq!(wanted.secrets().count(), 0);
    }

    #[test]
    fn what_a_held_version_names_is_needed_until_it_is_held_no_more() {
        let mut wanted = wanted(None, None);
        let Change::Upsert(Object::Ingress(held)) = ingress("a", "s", "auth") else { panic!("no Ingress") };
        wanted.note(&ingress("a", "s", "auth"));
        wanted.note(&ingress("a", "s", "refused"));
        wanted.note(&ingress("a", "s2", "refused"));
        assert_eq!(names(&wanted), ["n/auth", "n/refused", "n/s", "n/s2"]);
        let is_a = |key: &ObjectKey| (&*key.name == "a").then_some(&held);
        assert!(wanted.settle(is_a), "the second version is neither held nor the newest");
        assert_eq!(names(&wanted), ["n/auth", "n/refused", "n/s", "n/s2"]);
        assert!(!wanted.settle(is_a), "nothing new");
        wanted.note(&ingress("a", "s2", ""));
        assert!(wanted.settle(|_| None));
        assert_eq!(names(&wanted), ["n/s2"]);
        wanted.hold(&held);
        assert_eq!(names(&wanted), ["n/auth", "n/s", "n/s2"]);
        wanted.note(&Change::Remove(ObjectRef { kind: Kind::Ingress, key: held.meta.key.clone() }));
        assert_eq!(wanted.secrets().count(), 0);
    }

    #[test]
    fn the_default_certificate_is_always_needed() {
        let wanted = wanted(Some(ObjectKey::new("n", "default")), None);
        assert_eq!(names(&wanted), ["n/default"]);
    }

    #[test]
    fn the_config_map_of_a_class_of_ours_is_needed_and_so_is_what_it_names() {
        let mut wanted = wanted(None, None);
        let read = |value| Change::Upsert(decode(value, None).object.expect("an object"));
        let class = |controller: &str| {
            read(json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "c"},
                "spec": {"controller": controller, "parameters": {"kind": "ConfigMap", "namespace": "n", "name": "own"}}}))
        };
        let names = |wanted: &Wanted| -> BTreeSet<String> { wanted.config_maps().map(ObjectKey::to_string).collect() };
        assert!(!wanted.note(&class("somebody.else")));
        assert!(wanted.note(&class("k8s.io/ingress-nginx")));
        let map = read(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "n", "name": "own"},
            "data": {"add-headers": "n/added"}}));
        assert!(wanted.note(&map));
        assert_eq!(names(&wanted), ["n/added", "n/own"].map(str::to_owned).into());
        let remove = |kind, key| Change::Remove(ObjectRef { kind, key });
        assert!(wanted.note(&remove(Kind::IngressClass, ObjectKey::new("", "c"))));
        assert!(wanted.note(&remove(Kind::ConfigMap, ObjectKey::new("n", "own"))));
        assert!(names(&wanted).is_empty());
    }

    #[test]
    fn nodes_are_needed_while_an_ingress_or_the_options_ask_for_their_ports() {
        let mut wanted = wanted(None, None);
        assert!(!wanted.nodes());
        let mut asking = ingress("a", "s", "");
        if let Change::Upsert(Object::Ingress(ingress)) = &mut asking {
            Arc::make_mut(ingress).annotations = [(UPSTREAM_ADDRESS.into(), " node-port".into())].into_iter().collect();
        }
        assert!(wanted.note(&asking) && wanted.nodes());
        assert!(wanted.note(&ingress("a", "s", "")) && wanted.settle(|_| None) && !wanted.nodes());
        let options = Options { upstream_address: UpstreamAddress::NodePort, ..Options::default() };
        assert!(Wanted::new(&options).nodes());
    }

    #[test]
    fn config_maps_are_named_by_annotations_and_by_the_own_one() {
        let mut wanted = wanted(None, Some(ObjectKey::new("sys", "own")));
        let read = |value| Change::Upsert(decode(value, None).object.expect("an object"));
        let own = |data| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "sys", "name": "own"}, "data": data});
        assert!(wanted.note(&read(own(json!({"add-headers": "sys/added", "proxy-set-headers": "broken"})))));
        let mut other = own(json!({"add-headers": "sys/other"}));
        other["metadata"]["name"] = json!("stranger");
        assert!(!wanted.note(&read(other)));
        assert!(wanted.note(&read(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": "n", "name": "i", "annotations": {"p/custom-headers": "own-headers"}}}))));
        let names: BTreeSet<String> = wanted.config_maps().map(ObjectKey::to_string).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["n/own-headers", "sys/added"]);
        assert!(wanted.note(&read(own(json!({})))));
        assert_eq!(wanted.config_maps().count(), 1);
    }
}
