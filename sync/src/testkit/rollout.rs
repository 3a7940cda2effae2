//! Services whose Pods are replaced one after the other, for scale runs: what a Deployment's rolling update writes.
//!
//! Pure: the same numbers give the same objects, so that nothing but a count is kept for each Service.

use serde_json::{Value, json};

/// Namespace of all objects of a scale run.
pub const NAMESPACE: &str = "scale";

/// Writes of a slice for each Pod that is replaced: the new one starts, is ready, the old one ends, is gone.
const STEPS: u64 = 4;

/// The address of each endpoint, and the other one of its successor; then the first again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Nobody answers at them: 10.0.0.0/8, port 8080.
    Silent,
    /// The machine's own (127.0.0.0/8), all at this port.
    Loopback(u16),
}

impl Addresses {
    /// Endpoints that have addresses of their own.
    pub const MAX: usize = 1 << 21;

    fn port(self) -> u16 {
        match self {
            Self::Silent => 8080,
            Self::Loopback(port) => port,
        }
    }

    /// The `turn`-th address of an endpoint.
    fn of(self, endpoint: usize, turn: u64) -> String {
        let net = if self == Self::Silent { 10 } else { 127 };
        let (second, third, fourth) = (endpoint >> 16 & 31, endpoint >> 8 & 255, endpoint & 255);
        // From .32 on, as nothing else of a test listens there.
        format!("{net}.{}.{third}.{fourth}", 32 + second + if turn.is_multiple_of(2) { 0 } else { 32 })
    }
}

/// The slice of Service number `service` after `writes` writes of its rolling update.
pub fn slice(service: usize, endpoints: usize, addresses: Addresses, writes: u64) -> Value {
    let count = endpoints.max(1) as u64;
    let (replaced, step) = (writes / STEPS, writes % STEPS);
    let rolling = (step > 0).then_some(replaced % count);
    let mut entries = Vec::with_capacity(endpoints + 1);
    for slot in 0..endpoints as u64 {
        let turn = (replaced + count - 1 - slot) / count;
        let number = service * endpoints + slot as usize;
        let entry = |turn: u64, ready: bool, terminating: bool| {
            let conditions = json!({"ready": ready, "serving": ready || terminating, "terminating": terminating});
            json!({"addresses": [addresses.of(number, turn)], "conditions": conditions})
        };
        if rolling == Some(slot) {
            entries.push(entry(turn, step < 3, step == 3));
            entries.push(entry(turn + 1, step > 1, false));
        } else {
            entries.push(entry(turn, true, false));
        }
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": NAMESPACE, "name": format!("s{service}-1"),
            "labels": {"kubernetes.io/service-name": format!("s{service}")}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": addresses.port(), "protocol": "TCP"}],
        "endpoints": entries,
    })
}

/// How a rolling update is to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Services 0 to this, one write each in turn.
    pub services: usize,
    /// Endpoints of each.
    pub endpoints: usize,
    /// Where they are.
    pub addresses: Addresses,
    /// Writes per second.
    pub rate: u64,
    /// Writes in all.
    pub writes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that are ready, of all.
    fn ready(slice: &Value) -> Vec<String> {
        let entries = slice["endpoints"].as_array().expect("a list").iter();
        let ready = entries.filter(|entry| entry["conditions"]["ready"] == true);
        ready.map(|entry| entry["addresses"][0].as_str().expect("an address").to_owned()).collect()
    }

    #[test]
    fn a_rolling_update_replaces_every_endpoint_and_never_has_fewer_ready_than_before() {
        let at = |writes| ready(&slice(7, 3, Addresses::Loopback(80), writes));
        for writes in 0..30 {
            assert!(at(writes).len() >= 3, "{writes}");
            assert_ne!(slice(7, 3, Addresses::Silent, writes), slice(7, 3, Addresses::Silent, writes + 1));
        }
        let (before, after) = (at(0), at(12));
        assert!(before.iter().all(|address| !after.contains(address)), "{before:?} {after:?}");
        assert_eq!(at(24), before, "after two turns");
    }

    #[test]
    fn endpoints_share_no_address() {
        let mut all = std::collections::BTreeSet::new();
        for service in [0, 1, 9_999] {
            for writes in [0, 40] {
                all.extend(ready(&slice(service, 10, Addresses::Silent, writes)));
            }
        }
        assert_eq!(all.len(), 60);
    }
}
