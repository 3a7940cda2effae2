//! Lean objects back to manifests, so that the state on disk is read by the same decoder as everything else, and by
//! `ringress check`, in every later version too.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_config::model::{
    Age, AppProtocol, ClassParameters, EndpointPort, EndpointSlice, Endpoints, Hints, Ingress, IngressBackend,
    IngressClass, IngressPathKind, IpFamily, Meta, Node, Object, Secret, Service, Subset, TargetPort,
};
use ringress_config::snapshot::PortKey;
use serde_json::{Map, Value, json};

/// The manifest that decodes to this object.
pub(super) fn manifest(object: &Object) -> Value {
    let (api_version, mut value) = match object {
        Object::Ingress(ingress) => ("networking.k8s.io/v1", spec_of_ingress(ingress)),
        Object::IngressClass(class) => ("networking.k8s.io/v1", json!({"spec": spec_of_class(class)})),
        Object::Service(service) => ("v1", spec_of_service(service)),
        Object::EndpointSlice(slice) => ("discovery.k8s.io/v1", slice_fields(slice)),
        Object::Endpoints(endpoints) => ("v1", endpoints_fields(endpoints)),
        Object::Secret(secret) => ("v1", secret_fields(secret)),
        Object::ConfigMap(config_map) => ("v1", json!({"data": config_map.data})),
        Object::Namespace(namespace) => ("v1", json!({"metadata": {"labels": namespace.labels}})),
        Object::Node(node) => ("v1", node_fields(node)),
    };
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(object.kind().as_str());
    add_meta(&mut value["metadata"], object.meta());
    value
}

fn add_meta(metadata: &mut Value, meta: &Meta) {
    metadata["name"] = json!(meta.key.name);
    if !meta.key.namespace.is_empty() {
        metadata["namespace"] = json!(meta.key.namespace);
    }
    if let Age::Created(second) = meta.age
        && let Ok(stamp) = jiff::Timestamp::from_second(second)
    {
        metadata["creationTimestamp"] = json!(stamp.to_string());
    }
}

fn spec_of_class(class: &IngressClass) -> Value {
    let mut spec = json!({"controller": class.controller});
    if let Some(ClassParameters { api_group, kind, namespace, name }) = &class.parameters {
        spec["parameters"] = json!({"apiGroup": api_group, "kind": kind, "namespace": namespace, "name": name});
    }
    spec
}

fn spec_of_ingress(ingress: &Ingress) -> Value {
    let annotations: Map<String, Value> =
        ingress.annotations.iter().map(|(name, text)| (name.to_string(), json!(text))).collect();
    let tls: Vec<Value> = ingress.tls.iter().map(|tls| json!({"hosts": tls.hosts, "secretName": tls.secret})).collect();
    let rules: Vec<Value> = (ingress.rules.iter())
        .map(|rule| {
            let paths: Vec<Value> = (rule.paths.iter())
                .map(|path| json!({"path": path.path, "pathType": path_kind(path.kind), "backend": backend(&path.backend)}))
                .collect();
            json!({"host": rule.host, "http": {"paths": paths}})
        })
        .collect();
    json!({
        "metadata": {"annotations": annotations},
        "spec": {
            "ingressClassName": ingress.class,
            "defaultBackend": ingress.default_backend.as_ref().map(backend),
            "tls": tls,
            "rules": rules,
        },
    })
}

fn path_kind(kind: IngressPathKind) -> &'static str {
    match kind {
        IngressPathKind::Exact => "Exact",
        IngressPathKind::Prefix => "Prefix",
        IngressPathKind::ImplementationSpecific => "ImplementationSpecific",
    }
}

fn backend(backend: &IngressBackend) -> Value {
    match backend {
        IngressBackend::Service { name, port } => {
            let port = match port {
                Some(PortKey::Number(number)) => json!({"number": number}),
                Some(PortKey::Name(name)) => json!({"name": name}),
                Some(PortKey::First) | None => json!({}),
            };
            json!({"service": {"name": name, "port": port}})
        }
        IngressBackend::Resource(resource) => {
            let (kind, name) = resource.split_once(' ').unwrap_or((resource, ""));
            json!({"resource": {"kind": kind, "name": name}})
        }
        IngressBackend::Missing => json!({}),
    }
}

fn spec_of_service(service: &Service) -> Value {
    let ports: Vec<Value> = (service.ports.iter())
        .map(|port| {
            let target = match &port.target {
                TargetPort::Number(number) => json!(number),
                TargetPort::Name(name) => json!(name),
            };
            json!({
                "name": port.name,
                "port": port.port,
                "targetPort": target,
                "protocol": port.transport.as_str(),
                "appProtocol": port.app_protocol.map(AppProtocol::as_str),
                "nodePort": port.node_port,
            })
        })
        .collect();
    let opens_nodes = service.local_traffic || service.ports.iter().any(|port| port.node_port.is_some());
    let kind = match &service.external_name {
        Some(_) => "ExternalName",
        None if opens_nodes => "NodePort",
        None => "ClusterIP",
    };
    let address = service.cluster_ip.map_or_else(|| "None".to_owned(), |address| address.to_string());
    let families: Vec<&str> = service.families.iter().map(|family| IpFamily::as_str(*family)).collect();
    let mut spec = json!({"type": kind, "ports": ports, "clusterIP": address, "externalName": service.external_name,
        "ipFamilies": families});
    if service.local_traffic {
        spec["externalTrafficPolicy"] = json!("Local");
    }
    json!({"spec": spec})
}

fn slice_fields(slice: &EndpointSlice) -> Value {
    let endpoints: Vec<Value> = (slice.subset.addresses.iter().enumerate())
        .map(|(index, endpoint)| {
            let (ready, draining) = (endpoint.ready, endpoint.draining);
            let conditions = json!({"ready": ready, "serving": ready || draining, "terminating": draining});
            let place = slice.subset.places.get(index).cloned().unwrap_or_default();
            let mut fields = json!({"addresses": [endpoint.address], "conditions": conditions});
            if let Some(node) = place.node {
                fields["nodeName"] = json!(node);
            }
            if let Some(hints) = place.hints {
                fields["hints"] = hint_fields(&hints);
            }
            fields
        })
        .collect();
    let mut labels = Map::new();
    if !slice.service.is_empty() {
        labels.insert("kubernetes.io/service-name".to_owned(), json!(slice.service));
    }
    json!({"metadata": {"labels": labels}, "endpoints": endpoints, "ports": ports(&slice.subset)})
}

fn hint_fields(hints: &Hints) -> Value {
    let named = |names: &[Arc<str>]| -> Vec<Value> { names.iter().map(|name| json!({"name": name})).collect() };
    json!({"forZones": named(&hints.zones), "forNodes": named(&hints.nodes)})
}

fn node_fields(node: &Node) -> Value {
    let addresses: Vec<Value> =
        node.addresses.iter().map(|address| json!({"type": "InternalIP", "address": address})).collect();
    let ready = if node.usable { "True" } else { "False" };
    let mut labels = Map::new();
    if let Some(zone) = &node.zone {
        labels.insert("topology.kubernetes.io/zone".to_owned(), json!(zone));
    }
    json!({"metadata": {"labels": labels},
        "status": {"addresses": addresses, "conditions": [{"type": "Ready", "status": ready}]}})
}

fn endpoints_fields(endpoints: &Endpoints) -> Value {
    let subsets: Vec<Value> = (endpoints.subsets.iter())
        .map(|subset| {
            let of = |ready: bool| -> Vec<Value> {
                let placed = subset.addresses.iter().enumerate().filter(|(_, address)| address.ready == ready);
                let node = |index: usize| subset.places.get(index).and_then(|place| place.node.as_ref());
                placed.map(|(index, address)| json!({"ip": address.address, "nodeName": node(index)})).collect()
            };
            json!({"addresses": of(true), "notReadyAddresses": of(false), "ports": ports(subset)})
        })
        .collect();
    json!({"subsets": subsets})
}

fn ports(subset: &Subset) -> Vec<Value> {
    let port = |port: &EndpointPort| json!({"name": port.name, "port": port.port, "protocol": port.transport.as_str()});
    subset.ports.iter().map(port).collect()
}

fn secret_fields(secret: &Secret) -> Value {
    let data: Map<String, Value> =
        secret.data.iter().map(|(name, bytes)| (name.to_string(), json!(STANDARD.encode(bytes)))).collect();
    json!({"type": secret.kind, "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringress_config::model::decode;

    #[track_caller]
    fn comes_back(manifest_text: Value) {
        let decoded = decode(manifest_text, None);
        let object = decoded.object.unwrap_or_else(|| panic!("{:?}", decoded.findings));
        let again = decode(manifest(&object), None);
        assert_eq!(again.object.as_ref(), Some(&object), "{:?}", again.findings);
    }

    #[test]
    fn an_ingress_comes_back_as_it_was() {
        let service = |port: Value| json!({"service": {"name": "web", "port": port}});
        comes_back(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "a", "namespace": "n", "creationTimestamp": "2024-02-03T04:05:06Z",
                "annotations": {"x/y": "z"}},
            "spec": {
                "ingressClassName": "nginx", "defaultBackend": service(json!({"name": "http"})),
                "tls": [{"hosts": ["a.test"], "secretName": "s"}, {}],
                "rules": [
                    {"host": "a.test", "http": {"paths": [
                        {"path": "/a", "pathType": "Exact", "backend": service(json!({"number": 80}))},
                        {"path": "/b", "pathType": "Prefix", "backend": service(json!({}))},
                        {"path": "/c", "pathType": "ImplementationSpecific",
                            "backend": {"resource": {"apiGroup": "g", "kind": "Bucket", "name": "b"}}},
                        {"path": "/d", "pathType": "Exact"},
                    ]}},
                    {},
                ],
            },
        }));
        comes_back(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "bare"}}));
    }

    #[test]
    fn a_service_comes_back_as_it_was() {
        let service = |spec: Value| {
            comes_back(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}));
        };
        service(json!({"clusterIP": "10.0.0.1", "ports": [
            {"name": "a", "port": 80, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"}, {"name": "b", "port": 81, "targetPort": 8081},
            {"name": "c", "port": 82}, {"name": "d", "port": 53, "protocol": "UDP"}]}));
        service(json!({"type": "NodePort", "clusterIP": "10.0.0.1", "externalTrafficPolicy": "Local",
            "ipFamilies": ["IPv6", "IPv4"], "ports": [{"port": 80, "nodePort": 30080}]}));
        service(json!({"clusterIP": "None"}));
        service(json!({"type": "ExternalName", "externalName": "example.com"}));
    }

    #[test]
    fn endpoints_come_back_as_they_were() {
        comes_back(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "s", "namespace": "n", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "nodeName": "n1", "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": "n1"}]}},
                {"addresses": ["fd00::1"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            ],
        }));
        comes_back(json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"},
            "subsets": [{"addresses": [{"ip": "10.0.0.1", "nodeName": "n1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}],
                "ports": [{"name": "http", "port": 8080}]}],
        }));
    }

    #[test]
    fn the_others_come_back_as_they_were() {
        comes_back(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "s", "namespace": "n"}, "data": {"tls.key": "AAH/", "empty": ""}}));
        comes_back(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}));
        comes_back(json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"}}));
        comes_back(json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
            "spec": {"controller": "c", "parameters": {"scope": "Namespace", "kind": "ConfigMap", "namespace": "n", "name": "c"}}}));
        comes_back(json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
            "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True"}]}}));
        comes_back(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": {"a": "b"}}}));
    }
}
