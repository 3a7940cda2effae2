//! Where is listened, as flags, service manager and ConfigMap say together. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ringress_config::model::Transport;
use ringress_config::snapshot::{ListenAddresses, ListenSettings, Snapshot};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenerKind {
    /// HTTP in the clear.
    Http,
    /// HTTP over TLS.
    Https,
}

/// `http` or `https`.
impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenAddress {
    /// What is spoken there.
    pub kind: ListenerKind,
    /// Where.
    pub address: SocketAddr,
}

/// What is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Requests.
    Http(ListenerKind),
    /// A TCP or UDP service; its port is that of the address.
    Stream(Transport),
}

impl Purpose {
    pub(super) fn transport(self) -> Transport {
        match self {
            Self::Http(_) => Transport::Tcp,
            Self::Stream(transport) => transport,
        }
    }
}

/// `http`, `https`, `TCP services` or `UDP services`.
impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(kind) => kind.fmt(f),
            Self::Stream(transport) => write!(f, "{transport} services"),
        }
    }
}

/// What is listened for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Door {
    pub(super) purpose: Purpose,
    /// As it is asked for: the port may be 0.
    pub(super) address: SocketAddr,
}

impl Door {
    /// What this door shares with those that serve the same on other addresses.
    pub(super) fn site(self) -> (Purpose, u16) {
        (self.purpose, self.address.port())
    }
}

/// Where is listened unless the ConfigMap says otherwise.
#[derive(Clone, Debug, Default)]
pub struct ListenPlan {
    /// The addresses of `--listen-address`, else those for all of this machine.
    pub ips: Vec<IpAddr>,
    /// Port of plain http; `None` is off.
    pub http_port: Option<u16>,
    /// Port of https; `None` is off.
    pub https_port: Option<u16>,
    /// Where a service manager listens. For clients of these kinds nothing else is listened on.
    pub passed: Vec<ListenAddress>,
    /// There may be a ConfigMap that says otherwise: nothing is opened before the first snapshot, so that no client
    /// reaches an address that it excludes.
    pub awaits_config_map: bool,
}

impl ListenPlan {
    /// The addresses of everything that no service manager listens for.
    fn ips<'a>(&'a self, settings: &'a ListenSettings) -> impl Iterator<Item = IpAddr> + Clone + 'a {
        let (ips, ipv6) = match &settings.addresses {
            ListenAddresses::OfFlags { ipv6 } => (&self.ips[..], *ipv6),
            ListenAddresses::Named(named) => (&named[..], true),
        };
        ips.iter().copied().filter(move |ip| ipv6 || ip.is_ipv4())
    }

    /// The doors for requests.
    pub(super) fn http(&self, settings: &ListenSettings) -> BTreeSet<Door> {
        let ports = [(ListenerKind::Http, self.http_port), (ListenerKind::Https, self.https_port)];
        let mut doors = BTreeSet::new();
        for (kind, port) in ports {
            let purpose = Purpose::Http(kind);
            let passed = self.passed.iter().filter(|passed| passed.kind == kind);
            doors.extend(passed.map(|passed| Door { purpose, address: passed.address }));
            if let (false, Some(port)) = (self.passed.iter().any(|passed| passed.kind == kind), port) {
                doors.extend(self.ips(settings).map(|ip| Door { purpose, address: SocketAddr::new(ip, port) }));
            }
        }
        doors
    }

    /// The doors of TCP and UDP services that have endpoints.
    pub(super) fn streams(&self, snapshot: &Snapshot) -> BTreeSet<Door> {
        let services = snapshot.streams.iter().filter(|service| snapshot.clusters.is_served(service.cluster));
        let ips = self.ips(&snapshot.settings.listen);
        let doors = services.flat_map(|service| {
            let purpose = Purpose::Stream(service.transport);
            ips.clone().map(move |ip| Door { purpose, address: SocketAddr::new(ip, service.port) })
        });
        doors.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> ListenPlan {
        let ips = ["0.0.0.0", "::"].map(|ip| ip.parse().unwrap()).into();
        ListenPlan { ips, http_port: Some(80), https_port: Some(443), ..ListenPlan::default() }
    }

    fn shown(plan: &ListenPlan, addresses: ListenAddresses) -> Vec<String> {
        let settings = ListenSettings { addresses, ..ListenSettings::default() };
        plan.http(&settings).iter().map(|door| format!("{} {}", door.purpose, door.address)).collect()
    }

    fn named(ips: &[&str]) -> ListenAddresses {
        ListenAddresses::Named(ips.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    #[test]
    fn named_addresses_stand_in_the_place_of_those_of_the_flags() {
        let all = ["http 0.0.0.0:80", "http [::]:80", "https 0.0.0.0:443", "https [::]:443"];
        assert_eq!(shown(&plan(), ListenAddresses::OfFlags { ipv6: true }), all);
        let v4 = ["http 0.0.0.0:80", "https 0.0.0.0:443"];
        assert_eq!(shown(&plan(), ListenAddresses::OfFlags { ipv6: false }), v4);
        let own = ["http 10.0.0.1:80", "https 10.0.0.1:443"];
        assert_eq!(shown(&plan(), named(&["10.0.0.1", "10.0.0.1"])), own);
    }

    #[test]
    fn a_service_manager_decides_for_its_kinds_and_a_port_that_is_off_stays_off() {
        let passed = ListenAddress { kind: ListenerKind::Http, address: "192.0.2.1:8080".parse().unwrap() };
        let of_manager = ListenPlan { passed: vec![passed], ..plan() };
        assert_eq!(shown(&of_manager, named(&["::1"])), ["http 192.0.2.1:8080", "https [::1]:443"]);
        let off = ListenPlan { http_port: None, ..plan() };
        assert_eq!(shown(&off, named(&["::1"])), ["https [::1]:443"]);
    }
}
