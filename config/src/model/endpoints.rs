//! EndpointSlice, and Endpoints as the slices that they stand for.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::wire::{WireMeta, mapping, nullable};
use super::{Meta, Transport};

/// The label of a slice that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Key and age.
    pub meta: Meta,
    /// Name of the Service in the same namespace; empty for a slice that belongs to none.
    pub service: Arc<str>,
    /// Its addresses and ports.
    pub subset: Subset,
}

/// An Endpoints object. Its name is that of the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Key and age.
    pub meta: Meta,
    /// Groups of addresses with the same ports.
    pub subsets: Vec<Subset>,
}

/// Addresses that share ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subset {
    /// The ports, TCP and UDP.
    pub ports: Vec<EndpointPort>,
    /// The addresses.
    pub addresses: Vec<EndpointAddress>,
}

/// A port of every address of a subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPort {
    /// Name of the Service port that it serves; empty for the only one.
    pub name: Arc<str>,
    /// The number.
    pub port: u16,
    /// `protocol`.
    pub transport: Transport,
}

/// An address and its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointAddress {
    /// The address.
    pub address: IpAddr,
    /// Ready to serve; absent counts as ready.
    pub ready: bool,
    /// Still answering, though it ends (`serving` and `terminating`).
    pub draining: bool,
}

#[derive(Deserialize)]
pub(super) struct WireSlice {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "nullable")]
    endpoints: Vec<WireEndpoint>,
    #[serde(default, deserialize_with = "nullable")]
    ports: Vec<WirePort>,
}

#[derive(Deserialize)]
struct WireEndpoint {
    #[serde(default, deserialize_with = "nullable")]
    addresses: Vec<String>,
    #[serde(default, deserialize_with = "mapping")]
    conditions: WireConditions,
}

#[derive(Default, Deserialize)]
struct WireConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize)]
struct WirePort {
    #[serde(default, deserialize_with = "nullable")]
    name: Arc<str>,
    port: Option<u16>,
    protocol: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireEndpoints {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "nullable")]
    subsets: Vec<WireSubset>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSubset {
    #[serde(default, deserialize_with = "nullable")]
    addresses: Vec<WireAddress>,
    #[serde(default, deserialize_with = "nullable")]
    not_ready_addresses: Vec<WireAddress>,
    #[serde(default, deserialize_with = "nullable")]
    ports: Vec<WirePort>,
}

#[derive(Deserialize)]
struct WireAddress {
    ip: String,
}

impl WireSlice {
    /// The lean object. Addresses that are no IP addresses (`addressType: FQDN`) are left out.
    pub(super) fn lean(mut self, meta: Meta) -> EndpointSlice {
        let service = self.metadata.labels.remove(SERVICE_NAME).flatten().unwrap_or_default();
        let addresses = self.endpoints.into_iter().flat_map(WireEndpoint::lean).collect();
        EndpointSlice { meta, service, subset: Subset { ports: ports(self.ports), addresses } }
    }
}

impl WireEndpoint {
    fn lean(self) -> impl Iterator<Item = EndpointAddress> {
        let WireConditions { ready, serving, terminating } = self.conditions;
        let ready = ready.unwrap_or(true);
        let draining = !ready && serving.unwrap_or(false) && terminating.unwrap_or(false);
        let known = self.addresses.into_iter().filter_map(|a| a.parse().ok());
        known.map(move |address| EndpointAddress { address, ready, draining })
    }
}

impl WireEndpoints {
    pub(super) fn lean(self, meta: Meta) -> Endpoints {
        Endpoints { meta, subsets: self.subsets.into_iter().map(WireSubset::lean).collect() }
    }
}

impl WireSubset {
    fn lean(self) -> Subset {
        let state = |ready| {
            move |a: &WireAddress| Some(EndpointAddress { address: a.ip.parse().ok()?, ready, draining: false })
        };
        let ready = self.addresses.iter().filter_map(state(true));
        let addresses = ready.chain(self.not_ready_addresses.iter().filter_map(state(false))).collect();
        Subset { ports: ports(self.ports), addresses }
    }
}

fn ports(wire: Vec<WirePort>) -> Vec<EndpointPort> {
    let lean = |p: WirePort| {
        let transport = Transport::parse(p.protocol.as_deref())?;
        Some(EndpointPort { name: p.name, port: p.port?, transport })
    };
    wire.into_iter().filter_map(lean).collect()
}
