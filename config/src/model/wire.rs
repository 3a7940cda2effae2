//! Helpers to read objects as the API server would: `null` is the same as absent, integers may be names.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `metadata`, what is used of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireMeta {
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) namespace: String,
    pub(super) creation_timestamp: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) annotations: BTreeMap<Arc<str>, Option<Arc<str>>>,
    #[serde(deserialize_with = "nullable")]
    pub(super) labels: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

/// A number or a name, as in `targetPort`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum IntOrString {
    Int(i64),
    String(String),
}

/// Reads `null` as the default.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Reads a mapping; `null` as the default. Plain serde would fill a struct from a list too, by position.
pub(super) fn mapping<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Mapping(PhantomData))
}

struct Mapping<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Mapping<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A string map with `null` values as empty strings.
pub(super) fn strings(map: BTreeMap<Arc<str>, Option<Arc<str>>>) -> BTreeMap<Arc<str>, Arc<str>> {
    map.into_iter().map(|(k, v)| (k, v.unwrap_or_default())).collect()
}
