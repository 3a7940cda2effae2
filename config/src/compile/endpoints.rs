//! The endpoints of a Service port (reference 3.7).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::node_ports;
use super::store::Store;
use super::topology::Here;
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
}

impl Resolved {
    fn problem(text: String) -> Self {
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
        return external(key, service, port, name, options);
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

/// The numbers that a Service port has in a subset: by the port's name; else by its target number.
fn ports_in(subset: &Subset, port: &ServicePort) -> Vec<u16> {
    let ports = || subset.ports.iter().filter(|p| p.transport == port.transport);
    let named: Vec<_> = ports().filter(|p| p.name == port.name).map(|p| p.port).collect();
    match port.target {
        TargetPort::Number(number) if named.is_empty() && ports().next().is_some() => {
            let same = ports().any(|p| p.port == number);
            if same { vec![number] } else { Vec::new() }
        }
        _ => named,
    }
}

/// An external name is served here only when it is an address: names are resolved by the source, which hands over the
/// addresses as a slice of the Service.
fn external(
    key: &ClusterKey,
    service: &Service,
    port: Option<&ServicePort>,
    name: &Arc<str>,
    options: &Options,
) -> Resolved {
    if options.disable_external_name {
        let message = "is of type ExternalName, which --disable-svc-external-name turns off";
        return Resolved::problem(format!("Service {} {message}", key.service));
    }
    let number = match (port, &key.port) {
        (Some(ServicePort { target: TargetPort::Number(number), .. }), _) => Some(*number),
        (Some(port), _) => Some(port.port),
        (None, PortKey::Number(number)) => Some(*number),
        (None, PortKey::Name(_) | PortKey::First) => None,
    };
    let Some(number) = number else {
        let message = format!("Service {} has no port {}", key.service, key.port);
        return Resolved::problem(message);
    };
    match name.parse::<IpAddr>() {
        Ok(address) if !address.is_loopback() => {
            let protocol = port.and_then(|port| port.app_protocol).map(UpstreamProtocol::from);
            Resolved { endpoints: vec![at(address, number)], protocol, ..Resolved::default() }
        }
        Ok(_) => {
            Resolved::problem(format!("Service {} points to this machine, which is not allowed", service.meta.key))
        }
        Err(_) => Resolved::default(),
    }
}

fn at(address: IpAddr, port: u16) -> Endpoint {
    Endpoint { address: SocketAddr::new(address, port) }
}
