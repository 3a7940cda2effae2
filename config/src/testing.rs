//! What the unit tests share.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::annotation::Objects;
use crate::model::{Age, ConfigMap, Ingress, Kind, Meta, ObjectKey, ObjectRef, Secret};
use crate::snapshot::{
    Backend, BodyPolicy, HttpsRedirect, PathKind, RetryPolicy, Route, RouteId, RouteLabels, Timeouts,
};
use crate::value::Source;

/// Keys of a ConfigMap with a count of the warnings.
pub(crate) struct Keys(BTreeMap<String, String>, usize);

impl Keys {
    /// With these values.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), 0)
    }

    /// How many there were so far.
    pub(crate) fn warnings(&self) -> usize {
        self.1
    }
}

impl Source for Keys {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn warn(&mut self, _: &str, _: String) {
        self.1 += 1;
    }

    fn deny(&mut self, _: &str, _: String) {
        unreachable!("none of these keys controls access");
    }
}

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

/// Objects of which there is one Secret, in the namespace of that Ingress.
pub(crate) struct OneSecret(Secret);

impl OneSecret {
    /// With this name and these values.
    pub(crate) fn new(name: &str, data: &[(&str, &str)]) -> Self {
        let meta = Meta { key: ObjectKey::new("default", name), age: Age::Unknown };
        let data = data.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect();
        Self(Secret { meta, kind: "Opaque".into(), data })
    }
}

impl Objects for OneSecret {
    fn secret(&self, key: &ObjectKey) -> Option<&Secret> {
        (*key == self.0.meta.key).then_some(&self.0)
    }

    fn config_map(&self, _: &ObjectKey) -> Option<&ConfigMap> {
        None
    }
}

/// A route of a path.
pub(crate) fn route(id: usize, path: &str) -> Route {
    let empty = || Arc::from("");
    let labels = RouteLabels {
        namespace: empty(),
        ingress: empty(),
        service: empty(),
        service_port: empty(),
        host: empty(),
        path: path.into(),
    };
    Route {
        id: RouteId(u32::try_from(id).expect("tests are small")),
        source: reference(),
        field: String::new(),
        kind: PathKind::Prefix,
        path: path.into(),
        labels: Arc::new(labels),
        https_redirect: HttpsRedirect::Never,
        redirect_keeps_slash: false,
        backend: Backend::Status(404),
        empty_status: 503,
        protocol: None,
        upstream_tls: None,
        timeouts: Timeouts::default(),
        body: BodyPolicy::default(),
        retry: RetryPolicy::default(),
        policies: None,
    }
}
