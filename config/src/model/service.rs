//! Service.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::wire::{IntOrString, WireMeta, mapping, nullable};
use super::{Meta, Transport};

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Key and age.
    pub meta: Meta,
    /// `spec.ports`, TCP and UDP.
    pub ports: Vec<ServicePort>,
    /// `spec.clusterIP`; `None` when headless.
    pub cluster_ip: Option<IpAddr>,
    /// `spec.externalName`, for `type: ExternalName`.
    pub external_name: Option<Arc<str>>,
    /// `spec.externalTrafficPolicy` is `Local`: only Nodes with a ready endpoint answer its node ports.
    pub local_traffic: bool,
    /// `spec.ipFamilies`; empty when the manifest does not say.
    pub families: Vec<IpFamily>,
}

/// The two kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpFamily {
    /// `IPv4`.
    V4,
    /// `IPv6`.
    V6,
}

impl IpFamily {
    fn parse(text: &str) -> Option<Self> {
        [Self::V4, Self::V6].into_iter().find(|known| known.as_str() == text)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Whether an address is of this kind.
    pub(crate) fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `name`; empty when there is only one port.
    pub name: Arc<str>,
    /// `port`.
    pub port: u16,
    /// `targetPort`; `port` when absent.
    pub target: TargetPort,
    /// `protocol`.
    pub transport: Transport,
    /// `appProtocol`, where it says something that changes how the port is spoken to.
    pub app_protocol: Option<AppProtocol>,
    /// `nodePort`; `None` when no Node listens for it.
    pub node_port: Option<u16>,
}

/// The values of `appProtocol` that Kubernetes defines (KEP-3726). Others belong to somebody else and mean nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppProtocol {
    /// `kubernetes.io/h2c`: HTTP/2 in the clear by prior knowledge.
    H2c,
    /// `kubernetes.io/ws`: WebSocket in the clear.
    Ws,
    /// `kubernetes.io/wss`: WebSocket over TLS.
    Wss,
}

impl AppProtocol {
    fn parse(text: &str) -> Option<Self> {
        [Self::H2c, Self::Ws, Self::Wss].into_iter().find(|known| known.as_str() == text)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H2c => "kubernetes.io/h2c",
            Self::Ws => "kubernetes.io/ws",
            Self::Wss => "kubernetes.io/wss",
        }
    }
}

/// The port on the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By the name that each pod gives it.
    Name(Arc<str>),
}

#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default, deserialize_with = "mapping")]
    pub(super) metadata: WireMeta,
    #[serde(default, deserialize_with = "mapping")]
    spec: WireSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireSpec {
    #[serde(deserialize_with = "nullable")]
    ports: Vec<WirePort>,
    #[serde(rename = "clusterIP", deserialize_with = "nullable")]
    cluster_ip: String,
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    external_name: Option<Arc<str>>,
    #[serde(deserialize_with = "nullable")]
    external_traffic_policy: String,
    #[serde(deserialize_with = "nullable")]
    ip_families: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePort {
    #[serde(default, deserialize_with = "nullable")]
    name: Arc<str>,
    port: u16,
    target_port: Option<IntOrString>,
    protocol: Option<String>,
    app_protocol: Option<String>,
    node_port: Option<u16>,
}

impl Wire {
    pub(super) fn lean(self, meta: Meta) -> Service {
        let opens_nodes = matches!(&*self.spec.kind, "NodePort" | "LoadBalancer");
        Service {
            meta,
            local_traffic: opens_nodes && self.spec.external_traffic_policy == "Local",
            families: self.spec.ip_families.iter().filter_map(|family| IpFamily::parse(family)).collect(),
            ports: self.spec.ports.into_iter().filter_map(|port| port.lean(opens_nodes)).collect(),
            cluster_ip: self.spec.cluster_ip.parse().ok(),
            external_name: self.spec.external_name.filter(|n| self.spec.kind == "ExternalName" && !n.is_empty()),
        }
    }
}

impl WirePort {
    /// `None` for a transport that is not served. A number that is left over from another type of Service is no port.
    fn lean(self, opens_nodes: bool) -> Option<ServicePort> {
        let transport = Transport::parse(self.protocol.as_deref())?;
        let target = match self.target_port {
            Some(IntOrString::Int(number)) => u16::try_from(number).ok().filter(|n| *n != 0).map(TargetPort::Number),
            Some(IntOrString::String(text)) => match text.parse() {
                Ok(number) => Some(TargetPort::Number(number)),
                Err(_) => Some(TargetPort::Name(text.into())),
            },
            None => None,
        };
        let target = target.unwrap_or(TargetPort::Number(self.port));
        let app_protocol = self.app_protocol.as_deref().and_then(AppProtocol::parse);
        let node_port = self.node_port.filter(|port| opens_nodes && *port != 0);
        Some(ServicePort { name: self.name, port: self.port, target, transport, app_protocol, node_port })
    }
}
