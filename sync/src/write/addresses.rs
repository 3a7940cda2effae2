//! Where clients reach this controller: what is written to the status of Ingresses (reference 3.22).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::model::ObjectKey;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use super::api::{Api, Failure, Resource};
use super::hint::Hint;
use super::leader::Lead;
use super::{StatusAddresses, StatusSettings};
use crate::PodIdentity;

/// Labels of a Pod that tell its generation, not its controller.
const GENERATION_LABELS: [&str; 3] = ["pod-template-hash", "controller-revision-hash", "pod-template-generation"];

/// How soon it is tried again after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// One entry of `status.loadBalancer.ingress`. Orders as entries are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Address {
    Ip(IpAddr),
    Host(Box<str>),
}

impl Address {
    /// An address or a name.
    pub(crate) fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Host(text.into()), Self::Ip)
    }

    fn entry(&self) -> Value {
        match self {
            Self::Ip(ip) => json!({ "ip": ip }),
            Self::Host(name) => json!({ "hostname": name }),
        }
    }
}

/// The entries as the API has them.
pub(crate) fn entries(addresses: &[Address]) -> Vec<Value> {
    addresses.iter().map(Address::entry).collect()
}

/// The addresses of a status, sorted. An entry with both is taken as its IP address.
pub(crate) fn of_status(object: &Value) -> Box<[Address]> {
    let entries = object["status"]["loadBalancer"]["ingress"].as_array();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Address::parse);
    let found =
        entries.into_iter().flatten().filter_map(|entry| text(&entry["ip"]).or_else(|| text(&entry["hostname"])));
    sorted(found.collect())
}

fn sorted(mut addresses: Vec<Address>) -> Box<[Address]> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into()
}

/// The addresses of `--publish-service`.
fn of_service(service: &Value) -> Result<Box<[Address]>, String> {
    let spec = &service["spec"];
    let texts = |value: &Value| -> Vec<Address> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(Address::parse).collect()
    };
    let cluster_ip = || spec["clusterIP"].as_str().filter(|text| text.parse::<IpAddr>().is_ok()).map(Address::parse);
    let external = texts(&spec["externalIPs"]);
    let found = match spec["type"].as_str().unwrap_or("ClusterIP") {
        "ExternalName" => spec["externalName"].as_str().map(Address::parse).into_iter().collect(),
        "ClusterIP" => cluster_ip().into_iter().collect(),
        "NodePort" if external.is_empty() => cluster_ip().into_iter().collect(),
        "NodePort" => external,
        "LoadBalancer" => of_status(service).into_iter().chain(external).collect(),
        other => return Err(format!("a Service of type {other} has no addresses")),
    };
    Ok(sorted(found))
}

/// The address of a Node: external if there is one and none other is asked for, else internal.
fn of_node(node: &Value, internal: bool) -> Option<Address> {
    let of_type = |kind: &str| {
        let all = node["status"]["addresses"].as_array().into_iter().flatten();
        let mut fitting = all.filter(|address| address["type"] == kind);
        fitting.find_map(|address| address["address"].as_str().filter(|text| !text.is_empty()).map(Address::parse))
    };
    let external = if internal { None } else { of_type("ExternalIP") };
    external.or_else(|| of_type("InternalIP"))
}

/// The Nodes of those Pods that serve.
fn nodes_of(pods: &[Value]) -> Vec<&str> {
    let is_ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        ready && pod["status"]["phase"] == "Running"
    };
    let mut nodes: Vec<&str> =
        pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// A label selector for the Pods of the same controller; `None` for a Pod without labels of its own.
fn siblings(pod: &Value) -> Option<String> {
    let labels = pod["metadata"]["labels"].as_object()?;
    let terms: Vec<String> = (labels.iter())
        .filter(|(name, _)| !GENERATION_LABELS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
        .collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Looks addresses up.
pub(crate) struct Finder {
    api: Api,
    settings: StatusSettings,
    pod: Option<PodIdentity>,
    /// Fixed for the life of a Pod.
    selector: Option<String>,
    failed: Option<String>,
}

impl Finder {
    pub(crate) fn new(api: Api, settings: StatusSettings, pod: Option<PodIdentity>) -> Self {
        Self { api, settings, pod, selector: None, failed: None }
    }

    /// Keeps `found` true while this process leads, until nobody wants to know.
    pub(crate) async fn run(mut self, mut lead: watch::Receiver<Lead>, found: watch::Sender<Option<Arc<[Address]>>>) {
        let mut hint = Hint::default();
        loop {
            if lead.wait_for(|lead| lead.is_some_and(|until| Instant::now() < until)).await.is_err() {
                return;
            }
            let pause = match self.look_up().await {
                Ok(addresses) => {
                    self.failed = None;
                    let addresses: Arc<[Address]> = addresses.into();
                    found.send_if_modified(|known| {
                        let is_new = known.as_ref() != Some(&addresses);
                        if is_new {
                            info!(?addresses, "addresses for the status of Ingresses");
                            *known = Some(addresses);
                        }
                        is_new
                    });
                    self.settings.interval
                }
                Err(message) => {
                    if self.failed.as_ref() != Some(&message) {
                        warn!("the addresses for the status of Ingresses are not known: {message}");
                    }
                    self.failed = Some(message);
                    RETRY.min(self.settings.interval)
                }
            };
            self.watch(&mut hint);
            tokio::select! {
                () = hint.changed() => {}
                () = tokio::time::sleep(pause) => {}
                () = found.closed() => return,
            }
        }
    }

    /// The addresses now.
    async fn look_up(&mut self) -> Result<Box<[Address]>, String> {
        match &self.settings.addresses {
            StatusAddresses::Fixed(addresses) => {
                Ok(sorted(addresses.iter().map(|text| Address::parse(text)).collect()))
            }
            StatusAddresses::Service(key) => {
                let found = self.api.get(Resource::Service, &key.namespace, &key.name).await;
                of_service(&found.map_err(|failure| format!("Service {key}: {failure}"))?)
            }
            StatusAddresses::Nodes { internal } => {
                let internal = *internal;
                let pods = self.pods().await?;
                let mut addresses = Vec::new();
                for name in nodes_of(&pods) {
                    match self.api.get(Resource::Node, "", name).await {
                        Ok(node) => addresses.extend(of_node(&node, internal)),
                        Err(Failure::NotFound) => {}
                        Err(failure) => return Err(format!("Node {name}: {failure}")),
                    }
                }
                Ok(sorted(addresses))
            }
        }
    }

    /// The Pods of this controller, this one among them.
    async fn pods(&mut self) -> Result<Vec<Value>, String> {
        let Some(pod) = self.pod.clone() else {
            return Err("outside a Pod, --publish-service or --publish-status-address has to name them".to_owned());
        };
        if self.selector.is_none() {
            let own = self.api.get(Resource::Pod, &pod.namespace, &pod.name).await;
            let own = own.map_err(|failure| format!("Pod {}/{}: {failure}", pod.namespace, pod.name))?;
            self.selector = siblings(&own);
        }
        let Some(selector) = &self.selector else {
            return Err(format!("Pod {}/{} has no labels to find its siblings by", pod.namespace, pod.name));
        };
        let pods = self.api.list(Resource::Pod, &pod.namespace, selector).await;
        pods.map_err(|failure| format!("Pods {selector}: {failure}"))
    }

    /// Whether the status should be emptied when this process ends: nobody else is there to serve (reference 3.22).
    pub(crate) async fn is_last(&mut self) -> bool {
        self.pods().await.is_ok_and(|pods| pods.len() <= 1)
    }

    /// Watches what the addresses come from, so that a change is seen before the interval is over.
    fn watch(&self, hint: &mut Hint) {
        match (&self.settings.addresses, &self.pod) {
            (StatusAddresses::Service(ObjectKey { namespace, name }), _) => {
                hint.watch(&self.api, Resource::Service.path(namespace), Some(format!("metadata.name={name}")), None);
            }
            (StatusAddresses::Nodes { .. }, Some(pod)) if self.selector.is_some() => {
                hint.watch(&self.api, Resource::Pod.path(&pod.namespace), None, self.selector.clone());
            }
            (StatusAddresses::Fixed(_) | StatusAddresses::Nodes { .. }, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(addresses: &[Address]) -> Vec<String> {
        addresses.iter().map(|address| address.entry().to_string()).collect()
    }

    fn service(spec: Value) -> Vec<String> {
        let status = json!({"loadBalancer": {"ingress": [{"hostname": "lb.test"}, {"ip": "9.9.9.9"}]}});
        texts(&of_service(&json!({"spec": spec, "status": status})).unwrap())
    }

    #[test]
    fn a_service_has_addresses_by_its_type() {
        let ips = json!(["1.1.1.1", "9.9.9.9"]);
        let balancer = json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1", "externalIPs": ips});
        assert_eq!(service(balancer), [r#"{"ip":"1.1.1.1"}"#, r#"{"ip":"9.9.9.9"}"#, r#"{"hostname":"lb.test"}"#]);
        assert_eq!(service(json!({"type": "ClusterIP", "clusterIP": "10.0.0.1"})), [r#"{"ip":"10.0.0.1"}"#]);
        assert!(service(json!({"clusterIP": "None"})).is_empty(), "headless");
        assert_eq!(service(json!({"type": "NodePort", "clusterIP": "10.0.0.1"})), [r#"{"ip":"10.0.0.1"}"#]);
        let node_port = json!({"type": "NodePort", "clusterIP": "10.0.0.1", "externalIPs": ["::1"]});
        assert_eq!(service(node_port), [r#"{"ip":"::1"}"#]);
        let name = json!({"type": "ExternalName", "externalName": "x.test"});
        assert_eq!(service(name), [r#"{"hostname":"x.test"}"#]);
        assert!(of_service(&json!({"spec": {"type": "Other"}})).is_err());
    }

    #[test]
    fn a_node_shows_its_external_address_unless_the_internal_one_is_asked_for() {
        let node = json!({"status": {"addresses": [
            {"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.1"},
            {"type": "ExternalIP", "address": "1.2.3.4"}]}});
        assert_eq!(of_node(&node, false), Some(Address::parse("1.2.3.4")));
        assert_eq!(of_node(&node, true), Some(Address::parse("10.0.0.1")));
        let inner = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}});
        assert_eq!(of_node(&inner, false), Some(Address::parse("10.0.0.1")));
        assert_eq!(of_node(&json!({}), false), None);
    }

    #[test]
    fn only_nodes_of_ready_pods_count_each_once() {
        let pod = |node: &str, phase: &str, ready: &str| {
            json!({"spec": {"nodeName": node}, "status": {"phase": phase,
                "conditions": [{"type": "Ready", "status": ready}]}})
        };
        let pods = [
            pod("b", "Running", "True"),
            pod("a", "Running", "True"),
            pod("b", "Running", "True"),
            pod("c", "Running", "False"),
            pod("d", "Failed", "True"),
        ];
        assert_eq!(nodes_of(&pods), ["a", "b"]);
    }

    #[test]
    fn siblings_share_all_labels_but_those_of_a_generation() {
        let pod = json!({"metadata": {"labels": {"app": "x", "pod-template-hash": "7", "tier": "y"}}});
        assert_eq!(siblings(&pod).as_deref(), Some("app=x,tier=y"));
        assert_eq!(siblings(&json!({"metadata": {"labels": {"pod-template-hash": "7"}}})), None);
    }

    #[test]
    fn a_status_is_compared_without_regard_to_its_order() {
        let status = |entries: Value| of_status(&json!({"status": {"loadBalancer": {"ingress": entries}}}));
        let one = status(json!([{"hostname": "b"}, {"ip": "1.1.1.1", "ports": []}]));
        assert_eq!(one, status(json!([{"ip": "1.1.1.1"}, {"hostname": "b"}])));
        assert!(of_status(&json!({})).is_empty());
    }
}
