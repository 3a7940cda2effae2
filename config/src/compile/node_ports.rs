//! Services by the ports that they have on every Node: for an instance outside of the cluster's network.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::endpoints;
use super::store::Store;
use crate::model::{Node, Service, ServicePort};
use crate::snapshot::{ClusterKey, Endpoint};

/// One endpoint for each Node that traffic may be sent to; the error is why there can be none.
pub(super) fn resolve(
    key: &ClusterKey,
    service: &Service,
    port: &ServicePort,
    store: &Store,
) -> Result<Vec<Endpoint>, String> {
    let name = &key.service;
    let Some(number) = port.node_port else {
        return Err(format!("Service {name} has no nodePort for its port {} (spec.ports[].nodePort)", port.port));
    };
    let at = |node: &Arc<Node>| {
        let address = address_for(service, node)?;
        Some(Endpoint { address: SocketAddr::new(address, number) })
    };
    let usable = store.nodes().filter(|node| node.usable);
    if !service.local_traffic {
        let found = endpoints::sorted(usable.filter_map(at).collect());
        let why = || format!("Service {name} is asked at its nodePort, and no ready Node has an InternalIP for it");
        return if found.is_empty() { Err(why()) } else { Ok(found) };
    }
    let hosting: BTreeSet<_> = endpoints::nodes(key, port, store);
    let found = endpoints::sorted(usable.filter(|node| hosting.contains(&node.meta.key.name)).filter_map(at).collect());
    // Without any pod it is as with pods' own addresses: there is nobody to ask, and nothing is wrong with the Service.
    if found.is_empty() && endpoints::any(key, port, store) {
        return Err(format!(
            "Service {name} is asked at its nodePort with externalTrafficPolicy Local, and none of the Nodes with its \
             endpoints is ready and has an InternalIP for it"
        ));
    }
    Ok(found)
}

/// The first address of a Node, of the first family of the Service that it has one of.
fn address_for(service: &Service, node: &Node) -> Option<IpAddr> {
    let of_family = |family: &crate::model::IpFamily| node.addresses.iter().find(|address| family.has(**address));
    match service.families.as_slice() {
        [] => node.addresses.first().copied(),
        families => families.iter().find_map(of_family).copied(),
    }
}
