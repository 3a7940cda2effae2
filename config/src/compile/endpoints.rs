//! The endpoints of a Service port (reference 3.7).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::store::Store;
use crate::model::{EndpointAddress, Service, ServicePort, Subset, TargetPort};
use crate::options::Options;
use crate::snapshot::{ClusterKey, Endpoint, PortKey, UpstreamProtocol};

/// What a Service port has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Sorted, each once.
    pub(super) endpoints: Vec<Endpoint>,
    /// What the port says of itself.
    pub(super) protocol: Option<UpstreamProtocol>,
    /// Why there can be none.
    pub(super) problem: Option<String>,
}

impl Resolved {
    fn problem(text: String) -> Self {
        Self { problem: Some(text), ..Self::default() }
    }
}

/// The endpoints of a cluster: those of its pods, or the Service's own address.
pub(super) fn resolve(key: &ClusterKey, service_address: bool, store: &Store, options: &Options) -> Resolved {
    let Some(service) = store.services.get(&key.service) else {
        return Resolved::problem(format!("Service {} does not exist", key.service));
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
    // A headless Service has no address of its own: its pods are asked, as in ingress-nginx.
    if let Some(address) = service.cluster_ip.filter(|_| service_address) {
        return Resolved { endpoints: vec![at(address, port.port)], protocol, problem: None };
    }
    let slices = store.slices(&key.service).map(|slice| &slice.subset).collect::<Vec<_>>();
    let endpoints = match store.endpoints(&key.service) {
        Some(endpoints) if slices.is_empty() => usable(&endpoints.subsets, port),
        _ => usable(slices, port),
    };
    Resolved { endpoints, protocol, problem: None }
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

/// Ready addresses; those that end but still serve only when nothing is ready.
fn usable<'a>(subsets: impl IntoIterator<Item = &'a Subset> + Clone, port: &ServicePort) -> Vec<Endpoint> {
    let pick = |wanted: &dyn Fn(&EndpointAddress) -> bool| {
        let mut endpoints = Vec::new();
        for subset in subsets.clone() {
            let addresses = subset.addresses.iter().filter(|a| wanted(a));
            let ports = ports_in(subset, port);
            endpoints.extend(addresses.flat_map(|a| ports.iter().map(|p| at(a.address, *p))));
        }
        endpoints.sort_by_key(|e| e.address);
        endpoints.dedup();
        endpoints
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
            Resolved { endpoints: vec![at(address, number)], protocol, problem: None }
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
