//! ConfigMap.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Meta;
use super::wire::{WireMeta, mapping, nullable, strings};

/// A ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// Key and age.
    pub meta: Meta,
    /// `data`.
    pub data: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "nullable")]
    data: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

impl Wire {
    pub(super) fn lean(self, meta: Meta) -> ConfigMap {
        ConfigMap { meta, data: strings(self.data) }
    }
}
