use serde_json::json;

use super::*;
use crate::diagnostics::Severity;
use crate::model::{IngressBackend, IngressPathKind, TargetPort, Transport};
use crate::snapshot::PortKey;

fn origin() -> Option<Origin> {
    Some(Origin { path: "a.yaml".into(), document: 1, item: 0 })
}

fn refused(value: Value) -> String {
    let decoded = decode(value, origin());
    assert!(decoded.object.is_none());
    decoded.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn ingress(value: Value) -> (Arc<crate::model::Ingress>, Vec<Finding>) {
    let decoded = decode(value, origin());
    match decoded.object {
        Some(Object::Ingress(ingress)) => (ingress, decoded.findings),
        other => panic!("{other:?} {:?}", decoded.findings),
    }
}

#[test]
fn a_v1_ingress_is_read_whole() {
    let (ingress, findings) = ingress(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z",
                     "annotations": {"a/b": "c", "null": null}},
        "spec": {"ingressClassName": "nginx",
                 "defaultBackend": {"service": {"name": "d", "port": {"name": "http"}}},
                 "tls": [{"hosts": ["a.test"], "secretName": "s"}, {}],
                 "rules": [{"host": "a.test", "http": {"paths": [
                     {"path": "/x", "pathType": "Exact", "backend": {"service": {"name": "s", "port": {"number": 80}}}},
                     {"pathType": "ImplementationSpecific", "backend": {"resource": {"kind": "Bucket", "name": "b"}}}
                 ]}}, {"host": null}]},
        "status": {"loadBalancer": {}}
    }));
    assert_eq!(findings, []);
    assert_eq!(ingress.meta.age, Age::Created(1_767_225_600));
    assert_eq!(ingress.meta.key.to_string(), "shop/web");
    assert_eq!(ingress.annotations.get("null").map(|v| &**v), Some(""));
    let paths = &ingress.rules[0].paths;
    assert_eq!(paths[0].kind, IngressPathKind::Exact);
    assert_eq!(paths[0].backend, IngressBackend::Service { name: "s".into(), port: Some(PortKey::Number(80)) });
    assert_eq!(paths[1].backend, IngressBackend::Resource("Bucket b".into()));
    assert_eq!((ingress.rules[1].host.as_ref(), ingress.rules[1].paths.len()), (None, 0));
    assert_eq!(ingress.tls[1].secret, None);
}

#[test]
fn the_forms_before_v1_are_converted_with_a_warning() {
    for version in ["extensions/v1beta1", "networking.k8s.io/v1beta1"] {
        let (ingress, findings) = ingress(json!({
            "apiVersion": version, "kind": "Ingress", "metadata": {"name": "old"},
            "spec": {"backend": {"serviceName": "d", "servicePort": "http"}, "rules": [{"http": {"paths": [
                {"backend": {"serviceName": "s", "servicePort": 80}},
                {"path": "/n", "backend": {"serviceName": "s", "servicePort": "8080"}}]}}]}
        }));
        assert_eq!(ingress.meta.key.to_string(), "default/old");
        let ports = [80, 8080].map(|n| IngressBackend::Service { name: "s".into(), port: Some(PortKey::Number(n)) });
        assert_eq!(ingress.rules[0].paths.iter().map(|p| p.backend.clone()).collect::<Vec<_>>(), ports);
        let port = Some(PortKey::Name("http".into()));
        assert_eq!(ingress.default_backend, Some(IngressBackend::Service { name: "d".into(), port }));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].severity == Severity::Warning && findings[0].message.contains("networking.k8s.io/v1"));
    }
}

#[test]
fn a_wrong_type_names_object_and_field() {
    let text = refused(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "x"},
        "spec": {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "s", "port": {"number": "http"}}}}]}}]}}));
    assert!(
        text.starts_with("error Ingress default/x spec.rules[0].http.paths[0].backend.service.port.number: "),
        "{text}"
    );
    let text = refused(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "x", "annotations": {"a/use-regex": true}}}));
    assert!(text.starts_with("error Ingress default/x metadata.annotations.a/use-regex: "), "{text}");
}

#[test]
fn a_refused_object_is_named_for_the_source() {
    let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": []});
    assert_eq!(decode(value, None).rejected.map(|r| r.to_string()).as_deref(), Some("Service default/x"));
}

#[test]
fn no_object_no_kind_no_name_and_an_unknown_kind_name_the_document() {
    assert_eq!(
        refused(json!([1])),
        "error File a.yaml (document 2): is a list, not an object with apiVersion and kind"
    );
    assert_eq!(refused(json!({"apiVersion": "v1"})), "error File a.yaml (document 2) kind: missing");
    assert_eq!(
        refused(json!({"apiVersion": "v1", "kind": "Service", "metadata": {}})),
        "error File a.yaml (document 2) metadata.name: missing; this Service is left out"
    );
    assert_eq!(
        refused(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}})),
        "warning File a.yaml (document 2) kind: `Deployment` of apiVersion `apps/v1` is not read"
    );
}

#[test]
fn a_bad_time_is_a_remark_and_the_object_counts_as_unstamped() {
    let (ingress, findings) = ingress(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "x", "creationTimestamp": "yesterday"}}));
    assert_eq!(ingress.meta.age, Age::Read(origin().expect("given above")));
    assert_eq!(&*findings[0].field, "metadata.creationTimestamp");
}

#[test]
fn secrets_merge_string_data_and_are_never_printed() {
    let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "type": "Opaque",
        "data": {"a": "b2xk", "b": "a2Vw\ndA=="}, "stringData": {"a": "hush"}});
    let Some(Object::Secret(secret)) = decode(value, None).object else { panic!("refused") };
    assert_eq!((&*secret.data["a"], &*secret.data["b"]), (&b"hush"[..], &b"kept"[..]));
    let printed = format!("{secret:?}");
    assert!(!printed.contains("hush") && !printed.contains("104"), "{printed}");
    for bad in [json!({"tls.key": "hush!"}), json!({"tls.key": ["hush!"]})] {
        let text = refused(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": bad}));
        assert!(text.starts_with("error Secret default/x data.tls.key") && !text.contains("hush"), "{text}");
    }
}

#[test]
fn what_the_api_server_would_fill_in_is_filled_in() {
    let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
        "spec": {"clusterIP": "None", "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"},
                                                {"name": "web", "port": 81, "targetPort": "http"}]}});
    let Some(Object::Service(service)) = decode(value, None).object else { panic!("refused") };
    assert_eq!(service.ports.len(), 3);
    assert_eq!(service.ports.iter().filter(|port| port.transport == Transport::Udp).count(), 1);
    assert_eq!(service.ports[0].target, TargetPort::Number(80));
    assert_eq!(service.ports[2].target, TargetPort::Name("http".into()));
    assert_eq!((service.cluster_ip, &service.external_name), (None, &None));
}

#[test]
fn an_endpoint_without_conditions_is_ready_and_a_draining_one_is_told_apart() {
    let value = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["example.com"]}]});
    let Some(Object::EndpointSlice(slice)) = decode(value, None).object else { panic!("refused") };
    assert_eq!(&*slice.service, "web");
    let states: Vec<_> = slice.subset.addresses.iter().map(|a| (a.ready, a.draining)).collect();
    assert_eq!(states, [(true, false), (false, false), (false, true)]);
}
