//! Node: where Services are reached by their node ports, and in which zone this instance is.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::Meta;
use super::wire::{WireMeta, mapping, nullable};

/// The label of a Node that names its zone.
pub(crate) const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// The label that keeps load balancers outside of the cluster from a Node, whatever its value.
const EXCLUDED_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Key (no namespace) and age.
    pub meta: Meta,
    /// Traffic from outside may be sent to it: its condition `Ready` is `True`, and no label excludes it.
    pub usable: bool,
    /// `status.addresses` of type `InternalIP`, in their order.
    pub addresses: Vec<IpAddr>,
    /// The label `topology.kubernetes.io/zone`, unless it is empty.
    pub zone: Option<Arc<str>>,
}

#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "mapping")]
    status: WireStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireStatus {
    #[serde(deserialize_with = "nullable")]
    addresses: Vec<WireAddress>,
    #[serde(deserialize_with = "nullable")]
    conditions: Vec<WireCondition>,
}

#[derive(Deserialize)]
struct WireAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Deserialize)]
struct WireCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Wire {
    /// The lean object. Addresses that are no IP addresses are left out.
    pub(super) fn lean(mut self, meta: Meta) -> Node {
        let is_ready = self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True");
        let is_excluded = self.metadata.labels.contains_key(EXCLUDED_LABEL);
        let internal = self.status.addresses.iter().filter(|address| address.kind == "InternalIP");
        let addresses = internal.filter_map(|address| address.address.parse().ok()).collect();
        let zone = self.metadata.labels.remove(ZONE_LABEL).flatten().filter(|zone| !zone.is_empty());
        Node { meta, usable: is_ready && !is_excluded, addresses, zone }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::Node;
    use crate::model::{Object, decode};

    fn node(labels: &Value, conditions: &Value, addresses: &Value) -> Arc<Node> {
        let value = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels},
            "status": {"conditions": conditions, "addresses": addresses}});
        match decode(value, None).object {
            Some(Object::Node(node)) => node,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_ready_node_that_no_label_excludes_is_usable() {
        let ready = json!([{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]);
        assert!(node(&json!({}), &ready, &json!(null)).usable);
        for status in ["False", "Unknown"] {
            assert!(!node(&json!({}), &json!([{"type": "Ready", "status": status}]), &json!(null)).usable, "{status}");
        }
        assert!(!node(&json!({}), &json!(null), &json!(null)).usable, "a Node that says nothing is not ready");
        let excluded = json!({"node.kubernetes.io/exclude-from-external-load-balancers": ""});
        assert!(!node(&excluded, &ready, &json!(null)).usable);
    }

    #[test]
    fn internal_addresses_count_and_no_others() {
        let addresses = json!([
            {"type": "Hostname", "address": "n"}, {"type": "ExternalIP", "address": "192.0.2.1"},
            {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"},
        ]);
        let node = node(&json!({"topology.kubernetes.io/zone": "a"}), &json!([]), &addresses);
        assert_eq!(node.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
        assert_eq!(node.zone.as_deref(), Some("a"));
    }
}
