//! Where requests go, and which endpoints are near.

use ringress_config::options::{Options, Topology, UpstreamAddress};

use super::CliError;
use super::layers::{Layers, Surroundings};

pub(super) fn address(layers: &Layers) -> UpstreamAddress {
    layers.choice("upstream-address").and_then(UpstreamAddress::parse).unwrap_or_default()
}

/// Without the Node, which only a run knows.
pub(super) fn topology(layers: &Layers) -> Result<Option<Topology>, CliError> {
    let zone = layers.text("zone");
    if zone.as_deref().is_some_and(|zone| !is_label_value(zone)) {
        return Err(CliError::setting(
            "zone",
            "expected the value of a label: at most 63 letters, digits, `-`, `_` and `.`",
        ));
    }
    let zone = zone.map(Into::into);
    Ok(layers.bool("enable-topology-aware-routing").then_some(Topology { zone, node: None }))
}

fn is_label_value(text: &str) -> bool {
    text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Adds the Node that the run is on; a warning where the zone cannot be known.
pub(super) fn own_node(options: &mut Options, surroundings: &Surroundings) -> Option<String> {
    let topology = options.topology.as_mut()?;
    topology.node = surroundings.var("NODE_NAME").map(Into::into);
    let is_lost = topology.zone.is_none() && topology.node.is_none();
    is_lost.then(|| {
        "--enable-topology-aware-routing has no effect: neither --zone nor the variable NODE_NAME is set".to_owned()
    })
}
