//! What comes over the wire, turned lean before anything is kept.

use std::sync::Arc;

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Decoded, Kind, Object, ObjectKey, decode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::write::{Published, published};

/// The values of a TLS Secret that are used; the others may be large and are nobody's business.
const TLS_SECRET_VALUES: [&str; 4] = ["tls.crt", "tls.key", "ca.crt", "ca.crl"];

/// An object as it was received. Any JSON object will do, so that no object can stop a watch.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) resource_version: String,
    value: Value,
}

/// Its content may be secret.
impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("resource_version", &self.resource_version).finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
        let resource_version = value["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        Ok(Self { resource_version, value })
    }
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    pub(crate) metadata: PageMeta,
    #[serde(default)]
    pub(crate) items: Option<Vec<Wire>>,
}

/// Where a list stands.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PageMeta {
    pub(crate) resource_version: String,
    #[serde(rename = "continue")]
    pub(crate) next: Option<String>,
}

/// An object as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: ObjectKey,
    /// `None` when it was refused; `findings` says why.
    pub(crate) object: Option<Object>,
    pub(crate) findings: Vec<Finding>,
    /// What the status of an Ingress shows.
    pub(crate) published: Option<Published>,
}

impl Wire {
    /// Namespace and name.
    pub(crate) fn key(&self) -> ObjectKey {
        let text = |name: &str| Arc::from(self.value["metadata"][name].as_str().unwrap_or_default());
        ObjectKey { namespace: text("namespace"), name: text("name") }
    }

    /// The lean object. Items of a list do not say what they are: `api_version` and `kind` do.
    pub(crate) fn lean(mut self, api_version: &str, kind: Kind) -> Row {
        let key = self.key();
        let published = (kind == Kind::Ingress).then(|| published(&self.value));
        if let Some(fields) = self.value.as_object_mut() {
            fields.insert("apiVersion".to_owned(), api_version.into());
            fields.insert("kind".to_owned(), kind.as_str().into());
            let is_tls = fields.get("type").is_some_and(|kind| kind == "kubernetes.io/tls");
            if let Some(data) = fields.get_mut("data").and_then(Value::as_object_mut).filter(|_| is_tls) {
                data.retain(|name, _| TLS_SECRET_VALUES.contains(&name.as_str()));
            }
        }
        let Decoded { object, findings, .. } = decode(self.value, None);
        Row { key, object, findings, published }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(json: &str) -> Wire {
        serde_json::from_str(json).expect("any JSON will do")
    }

    #[test]
    fn any_json_is_taken_in_and_named_as_far_as_it_can_be() {
        for json in ["7", "[]", "{}", r#"{"metadata":7}"#, r#"{"metadata":{"resourceVersion":7,"annotations":[]}}"#] {
            let row = wire(json).lean("v1", Kind::Service);
            assert!(row.object.is_none() && !row.findings.is_empty(), "{json}");
        }
    }

    #[test]
    fn a_tls_secret_keeps_only_the_values_that_are_used() {
        let json = r#"{"metadata":{"name":"s","namespace":"n"},"type":"kubernetes.io/tls",
            "data":{"tls.crt":"YQ==","tls.key":"Yg==","history":"Yw=="}}"#;
        let Some(Object::Secret(secret)) = wire(json).lean("v1", Kind::Secret).object else { panic!("no secret") };
        let names: Vec<&str> = secret.data.keys().map(|name| &**name).collect();
        assert_eq!(names, ["tls.crt", "tls.key"]);
    }

    #[test]
    fn content_is_never_printed() {
        let json = r#"{"metadata":{"name":"s"},"data":{"tls.key":"c2VjcmV0"}}"#;
        assert!(!format!("{:?}", wire(json)).contains("c2VjcmV0"));
    }
}
