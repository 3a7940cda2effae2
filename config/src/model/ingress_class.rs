//! IngressClass and Namespace, the two objects without a namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::wire::{WireMeta, mapping, nullable, strings};
use super::{Meta, ObjectKey};
use crate::options::Options;

/// An IngressClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClass {
    /// Key (no namespace) and age.
    pub meta: Meta,
    /// `spec.controller`.
    pub controller: Arc<str>,
    /// `spec.parameters`.
    pub parameters: Option<ClassParameters>,
}

/// The object with the settings of a class, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassParameters {
    /// `apiGroup`; empty is the core group.
    pub api_group: Arc<str>,
    /// `kind`.
    pub kind: Arc<str>,
    /// `namespace`; empty for an object of the cluster.
    pub namespace: Arc<str>,
    /// `name`.
    pub name: Arc<str>,
}

impl IngressClass {
    /// Whether it is served by a controller with these options.
    pub fn is_ours(&self, options: &Options) -> bool {
        let by_name = options.ingress_class_by_name && self.meta.key.name == options.ingress_class;
        by_name || self.controller == options.controller_class
    }
}

impl ClassParameters {
    /// The ConfigMap that they are, if they are one.
    pub fn config_map(&self) -> Option<ObjectKey> {
        let is_one = self.api_group.is_empty() && &*self.kind == "ConfigMap" && !self.namespace.is_empty();
        is_one.then(|| ObjectKey { namespace: Arc::clone(&self.namespace), name: Arc::clone(&self.name) })
    }
}

/// A Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Key (no namespace) and age.
    pub meta: Meta,
    /// `metadata.labels`.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Deserialize)]
pub(super) struct WireClass {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "mapping")]
    spec: WireClassSpec,
}

#[derive(Default, Deserialize)]
struct WireClassSpec {
    #[serde(default, deserialize_with = "nullable")]
    controller: Arc<str>,
    parameters: Option<WireParameters>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireParameters {
    #[serde(default, deserialize_with = "nullable")]
    api_group: Arc<str>,
    kind: Arc<str>,
    #[serde(default, deserialize_with = "nullable")]
    namespace: Arc<str>,
    name: Arc<str>,
}

#[derive(Deserialize)]
pub(super) struct WireNamespace {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
}

impl WireClass {
    pub(super) fn lean(self, meta: Meta) -> IngressClass {
        let parameters = self.spec.parameters.map(|wire| {
            let WireParameters { api_group, kind, namespace, name } = wire;
            ClassParameters { api_group, kind, namespace, name }
        });
        IngressClass { meta, controller: self.spec.controller, parameters }
    }
}

impl WireNamespace {
    pub(super) fn lean(self, meta: Meta) -> Namespace {
        Namespace { meta, labels: strings(self.metadata.labels) }
    }
}
