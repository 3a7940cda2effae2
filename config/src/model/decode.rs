//! Values to lean objects: one decoder for both sources.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire::WireMeta;
use super::{Age, Kind, Meta, Object, ObjectKey, ObjectRef, Origin};
use super::{config_map, endpoints, ingress, ingress_class, node, secret, service};
use crate::diagnostics::Finding;

/// What became of one value.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The object, unless it was refused.
    pub object: Option<Object>,
    /// Remarks; with no object, at least one says why.
    pub findings: Vec<Finding>,
    /// The object that was refused, where its kind and name could be read: a source that knows an earlier version of
    /// it goes on with that one, as a cluster does when its API server refuses an update.
    pub rejected: Option<ObjectRef>,
}

/// Turns a parsed manifest or an API object into a lean object.
///
/// A field of the wrong type refuses the object and is named in a finding. Unknown fields are ignored. What the API
/// server would fill in is filled in. `origin` is the place in a folder, `None` for objects of an API server.
pub fn decode(value: Value, origin: Option<Origin>) -> Decoded {
    let mut decoder = Decoder { findings: Vec::new(), origin };
    match decoder.object(value) {
        Ok(object) => Decoded { object: Some(object), findings: decoder.findings, rejected: None },
        Err(Refused { finding, object }) => {
            decoder.findings.push(*finding);
            Decoded { object: None, findings: decoder.findings, rejected: object }
        }
    }
}

/// The forms of a kind.
#[derive(Clone, Copy)]
enum Form {
    Current,
    /// An Ingress before v1.
    Old,
}

struct Refused {
    finding: Box<Finding>,
    object: Option<ObjectRef>,
}

struct Decoder {
    findings: Vec<Finding>,
    origin: Option<Origin>,
}

impl Decoder {
    fn object(&mut self, value: Value) -> Result<Object, Refused> {
        let Value::Object(fields) = &value else {
            return Err(self.nameless("", format!("is {}, not an object with apiVersion and kind", describe(&value))));
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if kind.is_empty() {
            return Err(self.nameless("kind", "missing"));
        }
        let Some((kind, form)) = known(version, kind) else {
            let message = format!("`{kind}` of apiVersion `{version}` is not read");
            return Err(Refused { finding: Box::new(Finding::warning(&self.file(), "kind", message)), object: None });
        };
        let meta = &value["metadata"];
        let name = meta["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(self.nameless("metadata.name", format!("missing; this {} is left out", kind.as_str())));
        }
        let namespace = match meta["namespace"].as_str() {
            _ if kind.is_cluster_scoped() => "",
            None | Some("") => "default",
            Some(namespace) => namespace,
        };
        let object = ObjectRef { kind, key: ObjectKey::new(namespace, name) };
        self.typed(value, &object, form).map_err(|finding| Refused { finding, object: Some(object) })
    }

    fn typed(&mut self, value: Value, object: &ObjectRef, form: Form) -> Result<Object, Box<Finding>> {
        Ok(match object.kind {
            Kind::Ingress => {
                let wire: ingress::Wire = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                if matches!(form, Form::Old) {
                    let message = "read as its v1 form; write networking.k8s.io/v1: backend.service.name and \
                                   backend.service.port instead of serviceName and servicePort, spec.defaultBackend \
                                   instead of spec.backend, and a pathType for each path";
                    self.findings.push(Finding::warning(object, "apiVersion", message));
                }
                let v1 = matches!(form, Form::Current);
                Object::Ingress(Arc::new(wire.lean(meta, v1, object, &mut self.findings)))
            }
            Kind::IngressClass => {
                let wire: ingress_class::WireClass = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::IngressClass(Arc::new(wire.lean(meta)))
            }
            Kind::Service => {
                let wire: service::Wire = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::Service(Arc::new(wire.lean(meta)))
            }
            Kind::EndpointSlice => {
                let wire: endpoints::WireSlice = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::EndpointSlice(Arc::new(wire.lean(meta)))
            }
            Kind::Endpoints => {
                let wire: endpoints::WireEndpoints = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::Endpoints(Arc::new(wire.lean(meta)))
            }
            Kind::Secret => {
                let wire: secret::Wire = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                let secret = wire.lean(meta).map_err(|field| Finding::error(object, field, "is not base64"))?;
                Object::Secret(Arc::new(secret))
            }
            Kind::ConfigMap => {
                let wire: config_map::Wire = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::ConfigMap(Arc::new(wire.lean(meta)))
            }
            Kind::Namespace => {
                let wire: ingress_class::WireNamespace = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::Namespace(Arc::new(wire.lean(meta)))
            }
            Kind::Node => {
                let wire: node::Wire = read(value, object)?;
                let meta = self.meta(object, &wire.metadata);
                Object::Node(Arc::new(wire.lean(meta)))
            }
            Kind::Flag | Kind::File => return Err(Box::new(Finding::error(object, "kind", "is not a kind of object"))),
        })
    }

    fn meta(&mut self, object: &ObjectRef, wire: &WireMeta) -> Meta {
        let created = wire.creation_timestamp.as_deref().filter(|t| !t.is_empty()).and_then(|text| {
            let stamp = text.parse::<jiff::Timestamp>();
            if stamp.is_err() {
                let message = format!("`{text}` is no RFC 3339 time; the object counts as unstamped");
                self.findings.push(Finding::warning(object, "metadata.creationTimestamp", message));
            }
            stamp.ok()
        });
        let age = match (created, &self.origin) {
            (Some(time), _) => Age::Created(time.as_second()),
            (None, Some(origin)) => Age::Read(origin.clone()),
            (None, None) => Age::Unknown,
        };
        Meta { key: object.key.clone(), age }
    }

    /// An error on an object that has no name to report it under: the file stands in.
    fn nameless(&self, field: &str, message: impl Into<Arc<str>>) -> Refused {
        Refused { finding: Box::new(Finding::error(&self.file(), field, message)), object: None }
    }

    fn file(&self) -> ObjectRef {
        let name: Arc<str> = match &self.origin {
            Some(Origin { path, document, .. }) => format!("{path} (document {})", document + 1).into(),
            None => "(no name)".into(),
        };
        ObjectRef { kind: Kind::File, key: ObjectKey { namespace: "".into(), name } }
    }
}

/// The kinds that are read, in the versions that are read.
fn known(version: &str, kind: &str) -> Option<(Kind, Form)> {
    Some(match (version, kind) {
        ("networking.k8s.io/v1", "Ingress") => (Kind::Ingress, Form::Current),
        ("networking.k8s.io/v1beta1" | "extensions/v1beta1", "Ingress") => (Kind::Ingress, Form::Old),
        ("networking.k8s.io/v1" | "networking.k8s.io/v1beta1", "IngressClass") => (Kind::IngressClass, Form::Current),
        ("v1", "Service") => (Kind::Service, Form::Current),
        ("discovery.k8s.io/v1" | "discovery.k8s.io/v1beta1", "EndpointSlice") => (Kind::EndpointSlice, Form::Current),
        ("v1", "Endpoints") => (Kind::Endpoints, Form::Current),
        ("v1", "Secret") => (Kind::Secret, Form::Current),
        ("v1", "ConfigMap") => (Kind::ConfigMap, Form::Current),
        ("v1", "Namespace") => (Kind::Namespace, Form::Current),
        ("v1", "Node") => (Kind::Node, Form::Current),
        _ => return None,
    })
}

fn read<T: DeserializeOwned>(value: Value, object: &ObjectRef) -> Result<T, Box<Finding>> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let field = error.path().to_string();
        let field = if field == "." { String::new() } else { field };
        // The text of a Secret's fields never reaches a message.
        let message = if object.kind == Kind::Secret { "has the wrong type".into() } else { error.inner().to_string() };
        Box::new(Finding::error(object, field, message))
    })
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
