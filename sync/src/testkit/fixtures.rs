//! Objects as the API server has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// An Ingress of class nginx that sends `host` to the Service `web`, port 80.
pub fn ingress(namespace: &str, name: &str, host: &str) -> Value {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ingressClassName": "nginx", "rules": [
            {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}},
        ]},
    })
}

/// The same with a certificate.
pub fn ingress_tls(namespace: &str, name: &str, host: &str, secret: &str) -> Value {
    let mut object = ingress(namespace, name, host);
    object["spec"]["tls"] = json!([{"hosts": [host], "secretName": secret}]);
    object
}

/// The IngressClass `nginx`.
pub fn ingress_class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"},
    })
}

/// A Service with port 80 to the port named `http`.
pub fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
    })
}

/// A slice of a Service with ready endpoints on one port.
pub fn endpoint_slice(namespace: &str, service: &str, name: &str, addresses: &[&str], port: u16) -> Value {
    let endpoints: Vec<Value> =
        addresses.iter().map(|address| json!({"addresses": [address], "conditions": {"ready": true}})).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

/// A Secret with a self-signed certificate for `host`. `kind` is its type, such as `kubernetes.io/tls`.
///
/// # Panics
/// When the certificate cannot be made.
pub fn certificate_secret(namespace: &str, name: &str, kind: &str, host: &str) -> Value {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a host name makes a certificate");
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"namespace": namespace, "name": name},
        "data": {"tls.crt": STANDARD.encode(made.cert.pem()), "tls.key": STANDARD.encode(made.signing_key.serialize_pem())},
    })
}
