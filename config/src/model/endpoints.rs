//! EndpointSlice, and Endpoints as the slices that they stand for.

use std::collections::HashSet;
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
    /// Where each address is, in the same order; empty when nothing is said of any.
    pub places: Vec<Place>,
}

/// Where an address is, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `nodeName`.
    pub node: Option<Arc<str>>,
    /// `hints`, when they name anybody.
    pub hints: Option<Box<Hints>>,
}

/// Who should prefer an address: clients in these zones, and on these Nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `forZones`.
    pub zones: Vec<Arc<str>>,
    /// `forNodes`.
    pub nodes: Vec<Arc<str>>,
}

/// Names that many slices share, each kept once.
#[derive(Debug, Default)]
pub struct Names {
    known: HashSet<Arc<str>>,
}

impl Names {
    /// More names than any cluster has Nodes; then what is known is forgotten, and sharing begins anew.
    const MAX: usize = 16 << 10;

    fn share(&mut self, name: &mut Arc<str>) {
        match self.known.get(name) {
            Some(known) => *name = Arc::clone(known),
            None => {
                if self.known.len() >= Self::MAX {
                    self.known.clear();
                }
                self.known.insert(Arc::clone(name));
            }
        }
    }
}

impl EndpointSlice {
    /// Makes the names of Nodes in it those of `names`: a hundred thousand endpoints are on a few hundred Nodes.
    pub fn share_names(&mut self, names: &mut Names) {
        self.subset.places.iter_mut().filter_map(|place| place.node.as_mut()).for_each(|node| names.share(node));
    }
}

impl Subset {
    /// Every address with its place, if anything is known of it.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&EndpointAddress, Option<&Place>)> {
        self.addresses.iter().enumerate().map(|(index, address)| (address, self.places.get(index)))
    }

    fn new(ports: Vec<EndpointPort>, placed: impl Iterator<Item = (EndpointAddress, Place)>) -> Self {
        let (mut addresses, mut places): (Vec<_>, Vec<_>) = placed.unzip();
        addresses.shrink_to_fit();
        if places.iter().all(|place| *place == Place::default()) {
            places = Vec::new();
        }
        Self { ports, addresses, places }
    }
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
#[serde(rename_all = "camelCase")]
struct WireEndpoint {
    #[serde(default, deserialize_with = "nullable")]
    addresses: Vec<String>,
    #[serde(default, deserialize_with = "mapping")]
    conditions: WireConditions,
    node_name: Option<Arc<str>>,
    #[serde(default, deserialize_with = "mapping")]
    hints: WireHints,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireHints {
    #[serde(deserialize_with = "nullable")]
    for_zones: Vec<WireHint>,
    #[serde(deserialize_with = "nullable")]
    for_nodes: Vec<WireHint>,
}

#[derive(Deserialize)]
struct WireHint {
    name: Arc<str>,
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
#[serde(rename_all = "camelCase")]
struct WireAddress {
    ip: String,
    node_name: Option<Arc<str>>,
}

impl WireSlice {
    /// The lean object. Addresses that are no IP addresses (`addressType: FQDN`) are left out.
    pub(super) fn lean(mut self, meta: Meta) -> EndpointSlice {
        let service = self.metadata.labels.remove(SERVICE_NAME).flatten().unwrap_or_default();
        let placed = self.endpoints.into_iter().flat_map(WireEndpoint::lean);
        EndpointSlice { meta, service, subset: Subset::new(ports(self.ports), placed) }
    }
}

impl WireEndpoint {
    fn lean(self) -> impl Iterator<Item = (EndpointAddress, Place)> {
        let WireConditions { ready, serving, terminating } = self.conditions;
        let ready = ready.unwrap_or(true);
        let draining = !ready && serving.unwrap_or(false) && terminating.unwrap_or(false);
        let known = self.addresses.into_iter().filter_map(|a| a.parse().ok());
        let place = Place { node: self.node_name.filter(|name| !name.is_empty()), hints: self.hints.lean() };
        known.map(move |address| (EndpointAddress { address, ready, draining }, place.clone()))
    }
}

impl WireHints {
    fn lean(self) -> Option<Box<Hints>> {
        let names = |hints: Vec<WireHint>| hints.into_iter().map(|hint| hint.name).collect();
        let hints = Hints { zones: names(self.for_zones), nodes: names(self.for_nodes) };
        (hints != Hints::default()).then(|| Box::new(hints))
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
            move |a: &WireAddress| {
                let place = Place { node: a.node_name.clone().filter(|name| !name.is_empty()), hints: None };
                Some((EndpointAddress { address: a.ip.parse().ok()?, ready, draining: false }, place))
            }
        };
        let ready = self.addresses.iter().filter_map(state(true));
        let placed = ready.chain(self.not_ready_addresses.iter().filter_map(state(false)));
        Subset::new(ports(self.ports), placed)
    }
}

fn ports(wire: Vec<WirePort>) -> Vec<EndpointPort> {
    let lean = |p: WirePort| {
        let transport = Transport::parse(p.protocol.as_deref())?;
        Some(EndpointPort { name: p.name, port: p.port?, transport })
    };
    wire.into_iter().filter_map(lean).collect()
}
