//! The endpoints of a Service port (reference 3.7).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::store::Store;
use super::topology::Here;
use super::{external, node_ports};
use crate::model::{EndpointAddress, Place, Service, ServicePort, Subset, TargetPort};
use crate::options::{Options, UpstreamAddress};
use crate::snapshot::{ClusterKey, Endpoint, PortKey, UpstreamProtocol};

/// What endpoints follow from.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) store: &'a Store,
    pub(super) options: &'a Options,
    pub(super) here: &'a Here,
}

/// What a Service port has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Sorted, each once.
    pub(super) endpoints: Vec<Endpoint>,
    /// What the port says of itself.
    pub(super) protocol: Option<UpstreamProtocol>,
    /// Why there can be none.
    pub(super) problem: Option<String>,
    /// What is done in place of what was asked for.
    pub(super) note: Option<String>,
    /// There is no such Service.
    pub(super) missing: bool,
    /// The name whose addresses these are, or would be.
    pub(super) name: Option<Arc<str>>,
}

impl Resolved {
    pub(super) fn problem(text: String) -> Self {
        Self { problem: Some(text), ..Self::default() }
    }
}

/// The endpoints of a cluster: those of its pods, or what stands for them.
pub(super) fn resolve(key: &ClusterKey, address: UpstreamAddress, known: Known<'_>) -> Resolved {
    let Known { store, options, here } = known;
    let Some(service) = store.services.get(&key.service) else {
        return Resolved { missing: true, ..Resolved::problem(format!("Service {} does not exist", key.service)) };
    };
    let port = port_of(service, key);
    if let Some(name) = &service.external_name {
        return external::resolve(key, port, name, (options, &store.names));
    }
    let Some(port) = port else {
        let message = format!("Service {} has no port {}", key.service, key.port);
        return Resolved::problem(message);
    };
    let protocol = port.app_protocol.map(UpstreamProtocol::from);
    let mut note = None;
    match (address, service.cluster_ip) {
        (UpstreamAddress::Pod, _) => {}
        (UpstreamAddress::ClusterIp, Some(address)) => {
            return Resolved { endpoints: vec![at(address, port.port)], protocol, ..Resolved::default() };
        }
        // A headless Service has no address of its own: its pods are asked, as in ingress-nginx.
        (UpstreamAddress::ClusterIp, None) => {
            note = Some(format!("Service {} has no spec.clusterIP; its pods are asked", key.service));
        }
        (UpstreamAddress::NodePort, _) => {
            return match node_ports::resolve(key, service, port, store) {
                Ok(endpoints) => Resolved { endpoints, protocol, ..Resolved::default() },
                Err(problem) => Resolved { protocol, ..Resolved::problem(problem) },
            };
        }
    }
    let endpoints = usable(&subsets(key, store), port, here);
    Resolved { endpoints, protocol, note, ..Resolved::default() }
}

/// The addresses of a Service: those of its slices, else of its Endpoints.
fn subsets<'a>(key: &ClusterKey, store: &'a Store) -> Vec<&'a Subset> {
    let slices = store.slices(&key.service).map(|slice| &slice.subset).collect::<Vec<_>>();
    match store.endpoints(&key.service) {
        Some(endpoints) if slices.is_empty() => endpoints.subsets.iter().collect(),
        _ => slices,
    }
}

/// The Nodes that have an endpoint of a Service port which can be asked.
pub(super) fn nodes(key: &ClusterKey, port: &ServicePort, store: &Store) -> BTreeSet<Arc<str>> {
    let places = serving(&subsets(key, store), port).into_iter().filter_map(|(_, place)| place?.node.clone());
    places.collect()
}

/// Whether a Service port has an endpoint that can be asked.
pub(super) fn any(key: &ClusterKey, port: &ServicePort, store: &Store) -> bool {
    !serving(&subsets(key, store), port).is_empty()
}

/// In order, each once.
pub(super) fn sorted(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.sort_by_key(|e| e.address);
    endpoints.dedup();
    endpoints
}

/// A number is a `port`, a name a `name`; as in ingress-nginx the target port counts too, when nothing else fits.
fn port_of<'a>(service: &'a Service, key: &ClusterKey) -> Option<&'a ServicePort> {
    let mut ports = service.ports.iter().filter(|port| port.transport == key.transport);
    let find = |is: &dyn Fn(&ServicePort) -> bool| ports.clone().find(|port| is(port));
    match &key.port {
        PortKey::First => ports.next(),
        PortKey::Number(number) => {
            find(&|port| port.port == *number).or_else(|| find(&|port| port.target == TargetPort::Number(*number)))
        }
        PortKey::Name(name) => find(&|port| port.name == *name)
            .or_else(|| find(&|port| matches!(&port.target, TargetPort::Name(target) if target == name))),
    }
}

/// Those of the addresses that serve which are nearest.
fn usable(subsets: &[&Subset], port: &ServicePort, here: &Here) -> Vec<Endpoint> {
    let serving = serving(subsets, port).into_iter();
    let hinted = serving.map(|(endpoint, place)| (endpoint, place.and_then(|place| place.hints.as_deref())));
    sorted(here.nearest(hinted.collect()))
}

/// Ready addresses; those that end but still serve only when nothing is ready.
fn serving<'a>(subsets: &[&'a Subset], port: &ServicePort) -> Vec<(Endpoint, Option<&'a Place>)> {
    let pick = |wanted: &dyn Fn(&EndpointAddress) -> bool| {
        let mut picked = Vec::new();
        for subset in subsets {
            let ports = ports_in(subset, port);
            let placed = subset.placed().filter(|(address, _)| wanted(address));
            picked.extend(placed.flat_map(|(a, place)| ports.iter().map(move |p| (at(a.address, *p), place))));
        }
        picked
    };
    let ready = pick(&|address| address.ready);
    if ready.is_empty() { pick(&|address| address.draining) } else { ready }
}

/// The numbers that a Service port has in a subset: by the port's name. Where no port there has it, as in slices that
/// somebody wrote, a target number counts, and the only port of a Service takes any.
fn ports_in(subset: &Subset, port: &ServicePort) -> Vec<u16> {
    let ports: Vec<_> = subset.ports.iter().filter(|p| p.transport == port.transport).collect();
    let named: Vec<_> = ports.iter().filter(|p| p.name == port.name).map(|p| p.port).collect();
    let is_of_others = ports.is_empty() && !subset.ports.is_empty();
    if !named.is_empty() || is_of_others {
        return named;
    }
    let is_only = port.name.is_empty() && !ports.is_empty();
    match port.target {
        TargetPort::Number(number) if !is_only || ports.iter().any(|p| p.port == number) => vec![number],
        TargetPort::Name(_) if !is_only => Vec::new(),
        TargetPort::Number(_) | TargetPort::Name(_) => ports.iter().map(|p| p.port).collect(),
    }
}

/// An endpoint at a port of an address.
pub(super) fn at(address: IpAddr, port: u16) -> Endpoint {
    Endpoint { address: SocketAddr::new(address, port) }
}
