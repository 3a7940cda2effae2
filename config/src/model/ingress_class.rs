//! IngressClass and Namespace, the two objects without a namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Meta;
use super::wire::{WireMeta, mapping, nullable, strings};

/// An IngressClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClass {
    /// Key (no namespace) and age.
    pub meta: Meta,
    /// `spec.controller`.
    pub controller: Arc<str>,
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
}

#[derive(Deserialize)]
pub(super) struct WireNamespace {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
}

impl WireClass {
    pub(super) fn lean(self, meta: Meta) -> IngressClass {
        IngressClass { meta, controller: self.spec.controller }
    }
}

impl WireNamespace {
    pub(super) fn lean(self, meta: Meta) -> Namespace {
        Namespace { meta, labels: strings(self.metadata.labels) }
    }
}
