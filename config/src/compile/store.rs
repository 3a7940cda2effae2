//! The objects as they are now, and which part of the rest a change of one touches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::external::Names;
use super::index::Index;
use crate::annotation::Objects;
use crate::model::{
    ConfigMap, EndpointSlice, Endpoints, Ingress, IngressClass, Kind, Namespace, Node, Object, ObjectKey, ObjectRef,
    Secret, Service,
};
use crate::options::Options;

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) ingresses: BTreeMap<ObjectKey, Arc<Ingress>>,
    pub(super) services: HashMap<ObjectKey, Arc<Service>>,
    pub(super) secrets: HashMap<ObjectKey, Arc<Secret>>,
    pub(super) config_maps: HashMap<ObjectKey, Arc<ConfigMap>>,
    classes: BTreeMap<ObjectKey, Arc<IngressClass>>,
    slices: HashMap<ObjectKey, Arc<EndpointSlice>>,
    endpoints: HashMap<ObjectKey, Arc<Endpoints>>,
    namespaces: HashMap<ObjectKey, Arc<Namespace>>,
    nodes: HashMap<ObjectKey, Arc<Node>>,
    /// What was looked up for names outside of the cluster.
    pub(super) names: Names,
    /// Service → its slices.
    slices_of: Index<ObjectKey, ObjectKey>,
    /// Class name → the Ingresses that name it.
    ingresses_of: Index<Arc<str>, ObjectKey>,
}

/// What a change touches.
#[derive(Debug)]
pub(super) enum Change {
    None,
    Ingress,
    Class,
    /// The endpoints of these Services.
    Service(BTreeSet<ObjectKey>),
    Secret,
    ConfigMap,
    Namespace,
    Node,
}

impl Store {
    pub(super) fn upsert(&mut self, object: Object) -> Change {
        match object {
            Object::Ingress(new) => self.set_ingress(new.meta.key.clone(), Some(new)),
            Object::IngressClass(new) => {
                let old = self.classes.insert(new.meta.key.clone(), Arc::clone(&new));
                if old.is_some_and(|old| *old == *new) { Change::None } else { Change::Class }
            }
            Object::Service(new) => {
                let key = new.meta.key.clone();
                if put(&mut self.services, key.clone(), new) { Change::Service([key].into()) } else { Change::None }
            }
            Object::EndpointSlice(new) => self.set_slice(new.meta.key.clone(), Some(new)),
            Object::Endpoints(new) => {
                let key = new.meta.key.clone();
                if put(&mut self.endpoints, key.clone(), new) { Change::Service([key].into()) } else { Change::None }
            }
            Object::Secret(new) => {
                if put(&mut self.secrets, new.meta.key.clone(), new) {
                    Change::Secret
                } else {
                    Change::None
                }
            }
            Object::ConfigMap(new) => {
                if put(&mut self.config_maps, new.meta.key.clone(), new) {
                    Change::ConfigMap
                } else {
                    Change::None
                }
            }
            Object::Namespace(new) => {
                if put(&mut self.namespaces, new.meta.key.clone(), new) {
                    Change::Namespace
                } else {
                    Change::None
                }
            }
            Object::Node(new) => {
                if put(&mut self.nodes, new.meta.key.clone(), new) {
                    Change::Node
                } else {
                    Change::None
                }
            }
        }
    }

    pub(super) fn remove(&mut self, object: &ObjectRef) -> Change {
        let key = &object.key;
        let service = |removed: bool| if removed { Change::Service([key.clone()].into()) } else { Change::None };
        match object.kind {
            Kind::Ingress => self.set_ingress(key.clone(), None),
            Kind::IngressClass if self.classes.remove(key).is_some() => Change::Class,
            Kind::Service => service(self.services.remove(key).is_some()),
            Kind::EndpointSlice => self.set_slice(key.clone(), None),
            Kind::Endpoints => service(self.endpoints.remove(key).is_some()),
            Kind::Secret if self.secrets.remove(key).is_some() => Change::Secret,
            Kind::ConfigMap if self.config_maps.remove(key).is_some() => Change::ConfigMap,
            Kind::Namespace if self.namespaces.remove(key).is_some() => Change::Namespace,
            Kind::Node if self.nodes.remove(key).is_some() => Change::Node,
            Kind::IngressClass
            | Kind::Secret
            | Kind::ConfigMap
            | Kind::Namespace
            | Kind::Node
            | Kind::Flag
            | Kind::File => Change::None,
        }
    }

    fn set_ingress(&mut self, key: ObjectKey, new: Option<Arc<Ingress>>) -> Change {
        let old = self.ingresses.get(&key);
        if old.map(|o| &**o) == new.as_deref() {
            return Change::None;
        }
        if let Some(class) = old.and_then(|old| old.class.as_ref()) {
            self.ingresses_of.remove(class, &key);
        }
        match new {
            Some(new) => {
                if let Some(class) = &new.class {
                    self.ingresses_of.insert(Arc::clone(class), key.clone());
                }
                self.ingresses.insert(key, new);
            }
            None => drop(self.ingresses.remove(&key)),
        }
        Change::Ingress
    }

    fn set_slice(&mut self, key: ObjectKey, new: Option<Arc<EndpointSlice>>) -> Change {
        let old = self.slices.get(&key);
        if old.map(|o| &**o) == new.as_deref() {
            return Change::None;
        }
        let service = |slice: &EndpointSlice| ObjectKey {
            namespace: Arc::clone(&slice.meta.key.namespace),
            name: Arc::clone(&slice.service),
        };
        let mut touched = BTreeSet::new();
        if let Some(old) = old.map(|old| service(old)) {
            self.slices_of.remove(&old, &key);
            touched.insert(old);
        }
        match new {
            Some(new) => {
                let service = service(&new);
                self.slices_of.insert(service.clone(), key.clone());
                touched.insert(service);
                self.slices.insert(key, new);
            }
            None => drop(self.slices.remove(&key)),
        }
        Change::Service(touched)
    }

    /// The slices of a Service.
    pub(super) fn slices(&self, service: &ObjectKey) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        self.slices_of.users(service).filter_map(|key| self.slices.get(key))
    }

    /// The Endpoints object of a Service.
    pub(super) fn endpoints(&self, service: &ObjectKey) -> Option<&Arc<Endpoints>> {
        self.endpoints.get(service)
    }

    /// All Nodes that are known.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// A Node.
    pub(super) fn node(&self, key: &ObjectKey) -> Option<&Arc<Node>> {
        self.nodes.get(key)
    }

    /// The Ingresses of a namespace.
    pub(super) fn ingresses_in(&self, namespace: &Arc<str>) -> impl Iterator<Item = &ObjectKey> {
        let from = ObjectKey { namespace: Arc::clone(namespace), name: "".into() };
        let ingresses = self.ingresses.range(from..).map(|(key, _)| key);
        ingresses.take_while(move |key| key.namespace == *namespace)
    }

    /// The Ingresses that name a class in their field.
    pub(super) fn ingresses_of_class(&self, class: &Arc<str>) -> impl Iterator<Item = &ObjectKey> {
        self.ingresses_of.users(class)
    }

    /// Names of the classes that are served here (reference 3.1).
    pub(super) fn served_classes(&self, options: &Options) -> BTreeSet<Arc<str>> {
        if self.classes.is_empty() && options.assume_class {
            return [Arc::clone(&options.ingress_class)].into();
        }
        self.classes
            .values()
            .filter(|class| class.is_ours(options))
            .map(|class| Arc::clone(&class.meta.key.name))
            .collect()
    }

    /// An IngressClass.
    pub(super) fn class(&self, name: &Arc<str>) -> Option<&Arc<IngressClass>> {
        self.classes.get(&ObjectKey { namespace: "".into(), name: Arc::clone(name) })
    }

    /// How many there are of each kind.
    pub(super) fn counts(&self) -> BTreeMap<Kind, usize> {
        Kind::OBJECTS.into_iter().map(|kind| (kind, self.count(kind))).collect()
    }

    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Ingress => self.ingresses.len(),
            Kind::IngressClass => self.classes.len(),
            Kind::Service => self.services.len(),
            Kind::EndpointSlice => self.slices.len(),
            Kind::Endpoints => self.endpoints.len(),
            Kind::Secret => self.secrets.len(),
            Kind::ConfigMap => self.config_maps.len(),
            Kind::Namespace => self.namespaces.len(),
            Kind::Node => self.nodes.len(),
            Kind::Flag | Kind::File => 0,
        }
    }
}

impl Objects for Store {
    fn secret(&self, key: &ObjectKey) -> Option<&Secret> {
        self.secrets.get(key).map(|secret| &**secret)
    }

    fn config_map(&self, key: &ObjectKey) -> Option<&ConfigMap> {
        self.config_maps.get(key).map(|config_map| &**config_map)
    }

    fn namespace_labels(&self, namespace: &Arc<str>) -> Option<&BTreeMap<Arc<str>, Arc<str>>> {
        let key = ObjectKey { namespace: "".into(), name: Arc::clone(namespace) };
        self.namespaces.get(&key).map(|namespace| &namespace.labels)
    }
}

/// Sets a value; whether that is a change.
fn put<K: Hash + Eq, V: PartialEq>(map: &mut HashMap<K, Arc<V>>, key: K, new: Arc<V>) -> bool {
    let old = map.insert(key, Arc::clone(&new));
    old.is_none_or(|old| *old != *new)
}
