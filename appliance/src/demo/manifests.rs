//! The files of the demo: the embedded examples, and what stands in for a cluster.

use serde_json::{Value, json};

use super::certificate::{SelfSignedError, self_signed};

const ABC: &str = include_str!("../../../deploy/examples/abc-ingress.yaml");
const ABC_V1: &str = include_str!("../../../deploy/examples/abc-ingress-v1.yaml");
const SHOP: &str = include_str!("../../../deploy/examples/shop.yaml");

/// A backend of the demo: which Service it stands behind, and how many of it there are.
#[derive(Debug)]
pub(super) struct Backend {
    /// The name that it answers with.
    pub(super) name: &'static str,
    pub(super) namespace: &'static str,
    pub(super) service: &'static str,
    /// Port of the Service.
    pub(super) port: u16,
    /// Number of servers.
    pub(super) servers: usize,
}

const fn one(name: &'static str, namespace: &'static str, port: u16) -> Backend {
    Backend { name, namespace, service: name, port, servers: 1 }
}

/// All of them.
pub(super) const BACKENDS: [Backend; 8] = [
    one("apiserver", "default", 80),
    one("fileserver", "default", 80),
    one("feserver", "default", 8080),
    Backend { name: "web v1", namespace: "shop", service: "web", port: 80, servers: 3 },
    Backend { name: "web v2", namespace: "shop", service: "web", port: 80, servers: 1 },
    one("api", "shop", 80),
    one("tenants", "shop", 80),
    one("docs", "shop", 80),
];

/// File names and contents; `ports` are the servers' ports by backend.
pub(super) fn files(v1: bool, ports: &[Vec<u16>]) -> Result<Vec<(&'static str, String)>, SelfSignedError> {
    let abc = if v1 { ("abc-ingress-v1.yaml", ABC_V1) } else { ("abc-ingress.yaml", ABC) };
    let secrets = [
        secret("default", "abc-tls", &["api.abc.com"])?,
        secret("shop", "shop-tls", &["shop.example.com", "*.tenants.example.com"])?,
    ];
    Ok(vec![
        (abc.0, abc.1.to_owned()),
        ("shop.yaml", SHOP.to_owned()),
        ("services.json", list(services(ports))),
        ("secrets.json", list(secrets.into())),
    ])
}

fn list(items: Vec<Value>) -> String {
    format!("{:#}\n", json!({ "apiVersion": "v1", "kind": "List", "items": items }))
}

/// A Service for each distinct name, and a slice for each backend; a slice has one port number for all its addresses,
/// so servers on one address need a slice each.
fn services(ports: &[Vec<u16>]) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for (index, (backend, ports)) in BACKENDS.iter().zip(ports).enumerate() {
        let Backend { namespace, service, port, .. } = backend;
        if index == 0 || BACKENDS[index - 1].service != *service {
            items.push(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": namespace, "name": service },
                "spec": { "ports": [{ "name": "http", "port": port }] },
            }));
        }
        for server in ports {
            items.push(json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "namespace": namespace, "name": format!("{service}-{server}"),
                    "labels": { "kubernetes.io/service-name": service },
                },
                "addressType": "IPv4",
                "endpoints": [{ "addresses": ["127.0.0.1"] }],
                "ports": [{ "name": "http", "port": server, "protocol": "TCP" }],
            }));
        }
    }
    items
}

fn secret(namespace: &str, name: &str, hosts: &[&str]) -> Result<Value, SelfSignedError> {
    let pair = self_signed(hosts)?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "namespace": namespace, "name": name },
        "stringData": { "tls.crt": pair.certificate, "tls.key": pair.key },
    }))
}
