//! Where and by how many workers clients are accepted, as far as the ConfigMap says so.

use std::net::IpAddr;
use std::num::NonZeroUsize;

/// What the ConfigMap says of the listening sockets of HTTP, HTTPS and TCP services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// Addresses (`bind-address`, `disable-ipv6`).
    pub addresses: ListenAddresses,
    /// A socket for each worker (`reuse-port`); else one that all of them accept from.
    pub socket_per_worker: bool,
    /// Workers that accept (`worker-processes`); `None` is all.
    pub workers: Option<NonZeroUsize>,
}

/// The addresses of the listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddresses {
    /// Those of the flags.
    OfFlags {
        /// Those of IPv6 among them.
        ipv6: bool,
    },
    /// These and no others, whatever the flags say; at least one.
    Named(Box<[IpAddr]>),
}

impl ListenSettings {
    /// How many of `started` workers accept; at least one. Those with the lowest numbers do.
    pub fn accepting(&self, started: usize) -> usize {
        self.workers.map_or(started, |workers| workers.get().min(started))
    }
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self { addresses: ListenAddresses::OfFlags { ipv6: true }, socket_per_worker: true, workers: None }
    }
}
