//! What the unit tests share.

use crate::model::{Age, Ingress, Kind, Meta, ObjectKey, ObjectRef};

/// An Ingress with these annotations; a name without slash gets the usual prefix.
pub(crate) fn annotated(pairs: &[(&str, &str)]) -> Ingress {
    let full = |name: &str| match name.contains('/') {
        true => name.into(),
        false => format!("nginx.ingress.kubernetes.io/{name}").into(),
    };
    Ingress {
        meta: Meta { key: reference().key, age: Age::Unknown },
        annotations: pairs.iter().map(|(name, value)| (full(name), (*value).into())).collect(),
        class: None,
        default_backend: None,
        tls: Vec::new(),
        rules: Vec::new(),
    }
}

/// The reference of that Ingress.
pub(crate) fn reference() -> ObjectRef {
    ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("default", "web") }
}
