//! Secret. Its values are never printed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Meta;
use super::wire::{WireMeta, mapping, nullable};

/// A Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Key and age.
    pub meta: Meta,
    /// `type`, such as `kubernetes.io/tls`.
    pub kind: Arc<str>,
    /// `data`, decoded, with `stringData` merged over it.
    pub data: BTreeMap<Arc<str>, Arc<[u8]>>,
}

/// Key and names of the values only.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.data.keys().collect();
        f.debug_struct("Secret").field("meta", &self.meta).field("kind", &self.kind).field("data", &names).finish()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    kind: Arc<str>,
    #[serde(default, deserialize_with = "nullable")]
    data: BTreeMap<Arc<str>, Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    string_data: BTreeMap<Arc<str>, Option<String>>,
}

impl Wire {
    /// The lean object, or the field that is no base64.
    pub(super) fn lean(self, meta: Meta) -> Result<Secret, String> {
        let mut data = BTreeMap::new();
        for (name, value) in self.data {
            let bytes = decode(&value.unwrap_or_default()).ok_or_else(|| format!("data.{name}"))?;
            data.insert(name, bytes);
        }
        let written = self.string_data.into_iter().map(|(k, v)| (k, v.unwrap_or_default().into_bytes().into()));
        data.extend(written);
        Ok(Secret { meta, kind: self.kind, data })
    }
}

/// Line breaks inside base64 are allowed, as the API server allows them.
fn decode(text: &str) -> Option<Arc<[u8]>> {
    let joined: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    STANDARD.decode(joined).ok().map(Arc::from)
}
