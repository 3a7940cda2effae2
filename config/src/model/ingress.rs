//! Ingress, the v1 form and the two forms before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::wire::{IntOrString, WireMeta, mapping, nullable, strings};
use super::{Meta, ObjectRef};
use crate::diagnostics::Finding;
use crate::snapshot::PortKey;

/// An Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Key and age.
    pub meta: Meta,
    /// All annotations.
    pub annotations: AnnotationTexts,
    /// `spec.ingressClassName`; empty counts as absent.
    pub class: Option<Arc<str>>,
    /// `spec.defaultBackend`.
    pub default_backend: Option<IngressBackend>,
    /// `spec.tls`.
    pub tls: Vec<IngressTls>,
    /// `spec.rules`.
    pub rules: Vec<IngressRule>,
}

/// Annotations by name, in no more room than they need: there is a set for each Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnotationTexts(Box<[(Arc<str>, Arc<str>)]>);

impl AnnotationTexts {
    /// The text of an annotation.
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(name, text)| (name, text))
    }
}

impl FromIterator<(Arc<str>, Arc<str>)> for AnnotationTexts {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<str>)>>(texts: I) -> Self {
        let sorted: BTreeMap<_, _> = texts.into_iter().collect();
        Self(sorted.into_iter().collect())
    }
}

/// One entry of `spec.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressTls {
    /// The hosts that it is for.
    pub hosts: Vec<Arc<str>>,
    /// Name of the Secret in the namespace of the Ingress.
    pub secret: Option<Arc<str>>,
}

/// One entry of `spec.rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRule {
    /// The host; `None` is every host that no other rule names.
    pub host: Option<Arc<str>>,
    /// The paths; none when the rule has no `http`.
    pub paths: Vec<IngressPath>,
}

/// One entry of `spec.rules[].http.paths`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressPath {
    /// The path as written; may be empty.
    pub path: Arc<str>,
    /// How it is meant.
    pub kind: IngressPathKind,
    /// Where requests go.
    pub backend: IngressBackend,
}

/// `pathType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressPathKind {
    /// `Exact`.
    Exact,
    /// `Prefix`.
    Prefix,
    /// `ImplementationSpecific`, and absent.
    ImplementationSpecific,
}

/// A backend as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressBackend {
    /// A port of a Service of the same namespace.
    Service {
        /// Name of the Service.
        name: Arc<str>,
        /// Its port; `None` when the manifest names none.
        port: Option<PortKey>,
    },
    /// Another object, such as a storage bucket, by kind and name. Nothing here can serve it.
    Resource(String),
    /// Neither.
    Missing,
}

#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "mapping")]
    spec: WireSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireSpec {
    ingress_class_name: Option<Arc<str>>,
    default_backend: Option<WireBackend>,
    /// Before v1.
    backend: Option<WireBackend>,
    #[serde(deserialize_with = "nullable")]
    tls: Vec<WireTls>,
    #[serde(deserialize_with = "nullable")]
    rules: Vec<WireRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTls {
    #[serde(default, deserialize_with = "nullable")]
    hosts: Vec<Arc<str>>,
    secret_name: Option<Arc<str>>,
}

#[derive(Deserialize)]
struct WireRule {
    host: Option<Arc<str>>,
    http: Option<WireHttp>,
}

#[derive(Deserialize)]
struct WireHttp {
    #[serde(default, deserialize_with = "nullable")]
    paths: Vec<WirePath>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePath {
    path: Option<Arc<str>>,
    path_type: Option<WirePathType>,
    backend: Option<WireBackend>,
}

#[derive(Deserialize)]
enum WirePathType {
    Exact,
    Prefix,
    ImplementationSpecific,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBackend {
    service: Option<WireService>,
    resource: Option<WireResource>,
    /// Before v1.
    service_name: Option<Arc<str>>,
    /// Before v1.
    service_port: Option<IntOrString>,
}

#[derive(Deserialize)]
struct WireService {
    name: Arc<str>,
    #[serde(default, deserialize_with = "mapping")]
    port: WirePort,
}

#[derive(Default, Deserialize)]
struct WirePort {
    name: Option<Arc<str>>,
    number: Option<u16>,
}

#[derive(Deserialize)]
struct WireResource {
    #[serde(default, deserialize_with = "nullable")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

/// Annotation that holds a copy of the whole object: never needed, often the largest part.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Wire {
    /// The lean object. `v1` is false for the two older forms.
    pub(super) fn lean(self, meta: Meta, v1: bool, object: &ObjectRef, findings: &mut Vec<Finding>) -> Ingress {
        let mut annotations = strings(self.metadata.annotations);
        annotations.remove(LAST_APPLIED);
        let spec = self.spec;
        let default = if v1 { spec.default_backend } else { spec.backend };
        Ingress {
            meta,
            annotations: annotations.into_iter().collect(),
            class: spec.ingress_class_name.filter(|c| !c.is_empty()),
            default_backend: default.map(|b| b.lean(v1)),
            tls: spec.tls.into_iter().map(WireTls::lean).collect(),
            rules: spec.rules.into_iter().enumerate().map(|(i, r)| r.lean(i, v1, object, findings)).collect(),
        }
    }
}

impl WireTls {
    fn lean(self) -> IngressTls {
        IngressTls { hosts: self.hosts, secret: self.secret_name.filter(|s| !s.is_empty()) }
    }
}

impl WireRule {
    fn lean(self, rule: usize, v1: bool, object: &ObjectRef, findings: &mut Vec<Finding>) -> IngressRule {
        let paths = self.http.map(|h| h.paths).unwrap_or_default();
        let host = self.host.filter(|h| !h.is_empty());
        let paths = paths.into_iter().enumerate().map(|(i, p)| {
            if v1 && p.path_type.is_none() {
                let field = format!("spec.rules[{rule}].http.paths[{i}].pathType");
                findings.push(Finding::warning(object, field, "missing, which v1 does not allow; taken as Prefix"));
            }
            p.lean(v1)
        });
        IngressRule { host, paths: paths.collect() }
    }
}

impl WirePath {
    fn lean(self, v1: bool) -> IngressPath {
        IngressPath {
            path: self.path.unwrap_or_default(),
            kind: match self.path_type {
                Some(WirePathType::Exact) => IngressPathKind::Exact,
                Some(WirePathType::Prefix) => IngressPathKind::Prefix,
                Some(WirePathType::ImplementationSpecific) | None => IngressPathKind::ImplementationSpecific,
            },
            backend: self.backend.map_or(IngressBackend::Missing, |b| b.lean(v1)),
        }
    }
}

impl WireBackend {
    fn lean(self, v1: bool) -> IngressBackend {
        if v1 {
            if let Some(service) = self.service {
                return IngressBackend::Service { name: service.name, port: service.port.lean() };
            }
        } else if let Some(name) = self.service_name {
            return IngressBackend::Service { name, port: self.service_port.and_then(port_of) };
        }
        match self.resource {
            Some(r) => IngressBackend::Resource(format!("{} {}", r.kind, r.name)),
            None => IngressBackend::Missing,
        }
    }
}

impl WirePort {
    fn lean(self) -> Option<PortKey> {
        match (self.number.filter(|n| *n != 0), self.name.filter(|n| !n.is_empty())) {
            (Some(number), _) => Some(PortKey::Number(number)),
            (None, name) => name.map(PortKey::Name),
        }
    }
}

fn port_of(port: IntOrString) -> Option<PortKey> {
    match port {
        IntOrString::Int(number) => u16::try_from(number).ok().filter(|n| *n != 0).map(PortKey::Number),
        IntOrString::String(text) => match text.parse() {
            Ok(number) => Some(PortKey::Number(number)),
            Err(_) if text.is_empty() => None,
            Err(_) => Some(PortKey::Name(text.into())),
        },
    }
}
