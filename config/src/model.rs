//! Lean objects: of every Kubernetes kind only the fields that routing uses.
//!
//! The same types are filled from manifests in a folder and from the API server, so both sources behave alike.

mod config_map;
mod decode;
mod endpoints;
mod ingress;
mod ingress_class;
mod meta;
mod node;
mod secret;
mod service;
mod transport;
mod wire;

use std::fmt;
use std::sync::Arc;

pub use config_map::ConfigMap;
pub use decode::{Decoded, decode};
pub use endpoints::{EndpointAddress, EndpointPort, EndpointSlice, Endpoints, Hints, Names, Place, Subset};
pub use ingress::{AnnotationTexts, Ingress, IngressBackend, IngressPath, IngressPathKind, IngressRule, IngressTls};
pub use ingress_class::{ClassParameters, IngressClass, Namespace};
pub use meta::{Age, Meta, Origin};
pub use node::Node;
pub(crate) use node::ZONE_LABEL;
pub use secret::Secret;
pub use service::{AppProtocol, IpFamily, Service, ServicePort, TargetPort};
pub use transport::Transport;

/// The kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `networking.k8s.io/v1` Ingress (older versions are converted).
    Ingress,
    /// `networking.k8s.io/v1` IngressClass.
    IngressClass,
    /// Core Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
    /// Core Endpoints (folder source only; turned into slices).
    Endpoints,
    /// Core Secret.
    Secret,
    /// Core ConfigMap.
    ConfigMap,
    /// Core Namespace.
    Namespace,
    /// Core Node.
    Node,
    /// A flag of the command line, which some routes come from.
    Flag,
    /// A file that could not be read as objects; its name is the path below the source folder.
    File,
}

impl Kind {
    /// Every kind of object, in this order; neither [`Kind::Flag`] nor [`Kind::File`].
    pub const OBJECTS: [Self; 9] = [
        Self::Ingress,
        Self::IngressClass,
        Self::Service,
        Self::EndpointSlice,
        Self::Endpoints,
        Self::Secret,
        Self::ConfigMap,
        Self::Namespace,
        Self::Node,
    ];

    /// Whether its objects have no namespace.
    pub fn is_cluster_scoped(self) -> bool {
        matches!(self, Self::IngressClass | Self::Namespace | Self::Node | Self::File)
    }

    /// The kind as manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Flag => "Flag",
            Self::File => "File",
        }
    }
}

/// Namespace and name. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// Key from its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// `namespace/name`, or the name alone.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// Kind and key of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Kind.
    pub kind: Kind,
    /// Namespace and name.
    pub key: ObjectKey,
}

/// `Ingress shop/web`.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.key)
    }
}

/// One lean object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An Ingress.
    Ingress(Arc<Ingress>),
    /// An IngressClass.
    IngressClass(Arc<IngressClass>),
    /// A Service.
    Service(Arc<Service>),
    /// An EndpointSlice.
    EndpointSlice(Arc<EndpointSlice>),
    /// An Endpoints object.
    Endpoints(Arc<Endpoints>),
    /// A Secret.
    Secret(Arc<Secret>),
    /// A ConfigMap.
    ConfigMap(Arc<ConfigMap>),
    /// A Namespace.
    Namespace(Arc<Namespace>),
    /// A Node.
    Node(Arc<Node>),
}

impl Object {
    /// Kind and key.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef { kind: self.kind(), key: self.meta().key.clone() }
    }

    /// Kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ingress(_) => Kind::Ingress,
            Self::IngressClass(_) => Kind::IngressClass,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Endpoints(_) => Kind::Endpoints,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Namespace(_) => Kind::Namespace,
            Self::Node(_) => Kind::Node,
        }
    }

    /// Key and age.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Ingress(o) => &o.meta,
            Self::IngressClass(o) => &o.meta,
            Self::Service(o) => &o.meta,
            Self::EndpointSlice(o) => &o.meta,
            Self::Endpoints(o) => &o.meta,
            Self::Secret(o) => &o.meta,
            Self::ConfigMap(o) => &o.meta,
            Self::Namespace(o) => &o.meta,
            Self::Node(o) => &o.meta,
        }
    }
}
