//! The promise of `deploy/rbac`: nothing is asked for outside the rules, and no rule is there without need.

use std::path::Path;
use std::time::Duration;

use ringress_config::model::ObjectKey;
use ringress_config::options::UpstreamAddress;
use ringress_config::selector::LabelSelector;
use ringress_sync::testkit::api_server::{ApiServer, Asked, Grant};
use ringress_sync::testkit::fixtures::{certificate_secret, ingress, ingress_class, ingress_tls, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::eventually;
use ringress_sync::{PodIdentity, SourceSettings, StatusAddresses, StatusSettings, WebhookAuthority, WriteSettings};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// The rules of a file.
fn grants(file: &str) -> Vec<Grant> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/rbac").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    let roles = serde_yaml::Deserializer::from_str(&text).map(|role| Value::deserialize(role).unwrap());
    let grants = roles.flat_map(|role| {
        let namespace = role["metadata"]["namespace"].as_str().map(str::to_owned);
        let rules = role["rules"].as_array().cloned().unwrap_or_default();
        rules.into_iter().map(move |rule| Grant { namespace: namespace.clone(), rule })
    });
    grants.collect()
}

/// A cluster in which everything is asked for that ever is.
fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("shop", "web"));
    server.put(json!({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"served": ""}}}));
    let mut refused = ingress("shop", "refused", "r.test");
    refused["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
    server.put(refused);
    let mut named = ingress("shop", "a", "a.test");
    named["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/custom-headers": "headers"});
    server.put(named);
    server.put(json!({"kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "headers"}, "data": {}}));
    // A Secret of another type, and one whose certificate is none: an event on a Secret.
    server.put(certificate_secret("shop", "opaque", "Opaque", "o.test"));
    server.put(ingress_tls("shop", "o", "o.test", "opaque"));
    server.put(json!({"kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"namespace": "shop", "name": "bad"},
        "data": {"tls.crt": "eA==", "tls.key": "eA=="}}));
    server.put(ingress_tls("shop", "bad", "b.test", "bad"));
    // One that cannot be read: an event on a Service.
    server.put(json!({"kind": "Service", "metadata": {"namespace": "shop", "name": "bad"}, "spec": "none"}));
    // A value that cannot be read: an event on the ConfigMap.
    server.put(json!({"kind": "ConfigMap", "metadata": {"namespace": "ingress", "name": "settings"},
        "data": {"no-such-key": "1"}}));
    server.put(json!({"kind": "Service", "metadata": {"namespace": "ingress", "name": "lb"},
        "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "5.5.5.5"}]}}}));
    server.put(
        json!({"kind": "Secret", "type": "Opaque", "metadata": {"namespace": "ingress", "name": "ringress-webhook"}}),
    );
    server.put(json!({"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "ringress"},
        "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "hook", "namespace": "ingress"}}}]}));
    // As it is installed: empty, so that no right to create Secrets is needed.
    server.put(
        json!({"kind": "Secret", "type": "Opaque", "metadata": {"namespace": "ingress", "name": "ringress-tickets"}}),
    );
    server.put(json!({"kind": "Node", "metadata": {"name": "n1"},
        "status": {"addresses": [{"type": "InternalIP", "address": "5.5.5.5"}]}}));
    server.put(json!({"kind": "Pod", "metadata": {"namespace": "ingress", "name": "p", "labels": {"app": "ringress"}},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}));
    server
}

/// Takes the class out of the Ingresses, as who may not read IngressClasses serves none that names one.
fn without_classes(server: &ApiServer) {
    for name in ["a", "refused", "bad"] {
        let mut object = server.get("Ingress", "shop", name).unwrap();
        object["spec"]["ingressClassName"] = json!(null);
        server.put(object);
    }
}

/// Runs on the server until all is written, and ends in order.
fn run(server: &ApiServer, namespace: Option<&str>, addresses: StatusAddresses) {
    run_with(server, namespace, addresses, UpstreamAddress::Pod);
}

fn run_with(server: &ApiServer, namespace: Option<&str>, addresses: StatusAddresses, upstreams: UpstreamAddress) {
    let mut settings = Rig::server_settings(server);
    settings.options.upstream_address = upstreams;
    settings.options.configmap = Some(ObjectKey::new("ingress", "settings"));
    settings.options.ticket_secret = Some(ObjectKey::new("ingress", "ringress-tickets"));
    settings.options.watch_ingress_without_class = true;
    settings.options.watch_namespace = namespace.map(Into::into);
    if namespace.is_none() {
        settings.options.namespace_selector = LabelSelector::parse("served").ok();
    }
    if let SourceSettings::Kube(kube) = &mut settings.source {
        kube.namespace = namespace.map(str::to_owned);
        kube.write = Some(Box::new(WriteSettings {
            pod: Some(PodIdentity { namespace: "ingress".to_owned(), name: "p".to_owned() }),
            lease: "ingress-controller-leader".to_owned(),
            ttl: Duration::from_secs(1),
            status: Some(StatusSettings { addresses, interval: Duration::from_secs(60), clear_at_end: true }),
            webhook: namespace.is_none().then(|| WebhookAuthority {
                secret: ObjectKey::new("ingress", "ringress-webhook"),
                configuration: "ringress".to_owned(),
            }),
            tickets: Some(ObjectKey::new("ingress", "ringress-tickets")),
        }));
    }
    let rig = Rig::start(settings).expect("the settings are right").ready();
    let shown = || server.get("Ingress", "shop", "a").unwrap()["status"]["loadBalancer"]["ingress"][0]["ip"].clone();
    eventually("the status is written", || shown() == "5.5.5.5");
    let told = |kind: &str| server.all("events").iter().any(|event| event["involvedObject"]["kind"] == kind);
    eventually("events are", || ["Ingress", "Secret", "Service", "ConfigMap"].into_iter().all(told));
    let asked = |verb: &str, resource: &str| {
        server.asked().keys().any(|asked| asked.verb == verb && asked.resource == resource)
    };
    eventually("every feed watches", || {
        let of_cluster: &[&str] = if namespace.is_none() { &["ingressclasses", "namespaces"] } else { &[] };
        let all = ["ingresses", "services", "endpointslices", "secrets", "configmaps"];
        all.iter().chain(of_cluster).all(|kind| asked("watch", kind))
    });
    let needs_nodes = upstreams == UpstreamAddress::NodePort;
    eventually("so does that of Nodes, where they are needed", || !needs_nodes || asked("watch", "nodes"));
    let has_keys = || !server.get("Secret", "ingress", "ringress-tickets").unwrap()["data"].is_null();
    eventually("the leader has made keys", has_keys);
    let has_certificate = || !server.get("Secret", "ingress", "ringress-webhook").unwrap()["data"].is_null();
    eventually("and a certificate of the webhook", || namespace.is_some() || has_certificate());
    drop(rig);
}

/// Requests that were refused, and rules that nothing was asked under.
fn differences(server: &ApiServer, grants: &[Grant]) -> (Vec<Asked>, Vec<String>) {
    let asked = server.asked();
    let refused = asked.iter().filter(|(_, allowed)| !**allowed).map(|(asked, _)| asked.clone()).collect();
    let mut unused = Vec::new();
    for grant in grants {
        let texts = |field: &str| -> Vec<Value> { grant.rule[field].as_array().cloned().unwrap_or_default() };
        for (verb, resource) in
            texts("verbs").iter().flat_map(|verb| texts("resources").into_iter().map(move |r| (verb.clone(), r)))
        {
            let mut one = grant.clone();
            (one.rule["verbs"], one.rule["resources"]) = (json!([verb]), json!([resource]));
            if !asked.keys().any(|asked| one.allows(asked)) {
                unused.push(format!("{verb} {resource} in {:?}", grant.namespace));
            }
        }
    }
    (refused, unused)
}

#[test]
fn the_cluster_wide_rules_are_what_is_asked_for_and_nothing_more() {
    let (server, grants) = (server(), grants("cluster.yaml"));
    server.allow_only(grants.clone());
    run(&server, None, StatusAddresses::Service(ObjectKey::new("ingress", "lb")));
    // The next one writes the same addresses, found by the Nodes; the last has emptied the statuses.
    run(&server, None, StatusAddresses::Nodes { internal: false });
    let (refused, unused) = differences(&server, &grants);
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn one_namespace_is_served_with_roles_alone() {
    let (server, grants) = (server(), grants("namespaced.yaml"));
    without_classes(&server);
    server.allow_only(grants.clone());
    run(&server, Some("shop"), StatusAddresses::Service(ObjectKey::new("ingress", "lb")));
    let (refused, unused) = differences(&server, &grants);
    let classes: Vec<&str> = refused.iter().map(|asked| asked.resource.as_str()).collect();
    assert_eq!(classes, ["ingressclasses"], "{refused:#?}");
    assert!(unused.is_empty(), "{unused:#?}");
}

/// As `webhook.rs` sees it asked.
#[test]
fn what_the_webhook_reads_for_an_answer_is_within_the_rules() {
    for file in ["cluster.yaml", "namespaced.yaml"] {
        let grants = grants(file);
        for resource in ["secrets", "configmaps"] {
            let (group, name) = (String::new(), Some("named".to_owned()));
            let asked =
                Asked { verb: "list", group, resource: resource.to_owned(), namespace: "shop".to_owned(), name };
            assert!(grants.iter().any(|grant| grant.allows(&asked)), "{file}: {asked}");
        }
    }
}

#[test]
fn nodes_are_read_under_rules_of_their_own_and_only_where_they_are_needed() {
    for (file, namespace) in [("cluster.yaml", None), ("namespaced.yaml", Some("shop"))] {
        let (server, nodes) = (server(), grants("nodes.yaml"));
        without_classes(&server);
        server.allow_only([grants(file), nodes.clone()].concat());
        let addresses = || StatusAddresses::Service(ObjectKey::new("ingress", "lb"));
        run_with(&server, namespace, addresses(), UpstreamAddress::NodePort);
        let (refused, unused) = differences(&server, &nodes);
        assert!(refused.iter().all(|asked| asked.resource == "ingressclasses"), "{refused:#?}");
        assert!(unused.is_empty(), "{unused:#?}");
    }
}
