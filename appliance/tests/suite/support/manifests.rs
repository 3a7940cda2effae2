//! Kubernetes objects, as people write them, and the files that hold them.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

/// The text of a file that holds these objects.
pub(crate) fn file(objects: impl IntoIterator<Item = Value>) -> String {
    let items: Vec<Value> = objects.into_iter().collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A Service on port 80 (named `http`) with these endpoints, each in a slice of its own, as ports differ.
pub(crate) fn service(name: &str, endpoints: &[SocketAddr]) -> Vec<Value> {
    let mut objects = vec![json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    })];
    objects.extend(endpoints.iter().enumerate().map(|(index, endpoint)| {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": format!("{name}-{index}"), "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": endpoint.port()}],
            "endpoints": [{"addresses": [endpoint.ip().to_string()], "conditions": {"ready": true}}],
        })
    }));
    objects
}

/// The controller's ConfigMap; the instance needs `--configmap=default/options`.
pub(crate) fn options(data: &[(&str, &str)]) -> Value {
    let data: Map<String, Value> = data.iter().map(|&(key, value)| (key.to_owned(), json!(value))).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "options"}, "data": data})
}

/// An Ingress of class nginx.
pub(crate) fn ingress(name: &str) -> Ingress {
    Ingress { name: name.to_owned(), annotations: Map::new(), rules: Vec::new(), tls: Vec::new(), default: None }
}

/// An Ingress under construction.
pub(crate) struct Ingress {
    name: String,
    annotations: Map<String, Value>,
    rules: Vec<Value>,
    tls: Vec<Value>,
    default: Option<Value>,
}

impl Ingress {
    /// An annotation by its short name, or by its whole name.
    pub(crate) fn annotation(mut self, name: &str, value: &str) -> Self {
        let prefix = if name.contains('/') { "" } else { "nginx.ingress.kubernetes.io/" };
        self.annotations.insert(format!("{prefix}{name}"), json!(value));
        self
    }

    /// Plain http is served, not redirected, although the host has a certificate.
    pub(crate) fn without_redirect(self) -> Self {
        self.annotation("ssl-redirect", "false")
    }

    /// A rule of one Prefix path.
    pub(crate) fn prefix(self, host: &str, path: &str, service: &str) -> Self {
        self.path(host, "Prefix", path, service)
    }

    /// A rule of one path of any type.
    pub(crate) fn path(mut self, host: &str, path_type: &str, path: &str, service: &str) -> Self {
        let paths = json!([{"path": path, "pathType": path_type, "backend": backend(service)}]);
        self.rules.push(json!({"host": host, "http": {"paths": paths}}));
        self
    }

    pub(crate) fn default_backend(mut self, service: &str) -> Self {
        self.default = Some(backend(service));
        self
    }

    pub(crate) fn tls(mut self, host: &str, secret: &str) -> Self {
        self.tls.push(json!({"hosts": [host], "secretName": secret}));
        self
    }

    pub(crate) fn build(self) -> Value {
        let mut spec = json!({"ingressClassName": "nginx", "rules": self.rules, "tls": self.tls});
        if let Some(backend) = self.default {
            spec["defaultBackend"] = backend;
        }
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": self.name, "annotations": self.annotations},
            "spec": spec,
        })
    }
}

fn backend(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}
