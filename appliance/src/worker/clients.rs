//! Whose the connections of a core are, by client address. Nobody may have more than `client-connections-max` with the
//! whole process, and when a core is full, idle ones of whoever has many give way first.
//!
//! The numbers of the core are its own. The bound is exact across cores, by a table in shards that is touched where a
//! connection begins and ends and only while there is a bound: never by a request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::limits::CLIENT_REFUSALS_TOLD_MS;

/// Shards of the table.
const SHARDS: usize = 64;

#[expect(clippy::disallowed_types, reason = "the bound holds across cores; locked at the ends of a connection only")]
type Shard = std::sync::Mutex<HashMap<Network, u32>>;

/// What counts as one client: an address of IPv4, however it is written, or the /64 of one of IPv6, as a single machine has
/// that many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network(u64);

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => translated(address).map_or(Self((address.to_bits() >> 64) as u64), Self::of_v4),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        // Nothing that is routed begins like this in IPv6.
        Self(0xffff << 32 | u64::from(address.to_bits()))
    }
}

/// The client behind a translator of the well-known prefix 64:ff9b::/96 (RFC 6052): all of IPv4 is one /64 there.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const PREFIX: u128 = 0x0064_ff9b << 96;
    let bits = address.to_bits();
    (bits & !u128::from(u32::MAX) == PREFIX).then(|| Ipv4Addr::from_bits(bits as u32))
}

/// Connections of all clients with the process, while they are bounded. It has no entry without a connection.
pub(crate) struct ClientTable {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl Default for ClientTable {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), hasher: RandomState::new() }
    }
}

impl ClientTable {
    /// Counts one more, unless the client has `max`.
    fn take(&self, network: Network, max: NonZeroU32) -> bool {
        let mut shard = self.shard(network);
        let count = shard.get(&network).copied().unwrap_or(0);
        if count >= max.get() {
            return false;
        }
        shard.insert(network, count + 1);
        true
    }

    fn give_back(&self, network: Network) {
        discount(&mut self.shard(network), network);
    }

    fn shard(&self, network: Network) -> std::sync::MutexGuard<'_, HashMap<Network, u32>> {
        let index = self.hasher.hash_one(network) as usize % SHARDS;
        // Nothing that holds the lock can panic half-way through a change.
        self.shards[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn discount(counts: &mut HashMap<Network, u32>, network: Network) {
    match counts.get_mut(&network) {
        Some(count) if *count > 1 => *count -= 1,
        Some(_) => drop(counts.remove(&network)),
        None => {}
    }
}

/// A counted connection; to be given to [`Clients::release`]. The table of all cores has it back in any case.
pub(super) struct Claim {
    network: Network,
    /// Where it is counted besides.
    bounded: Option<Arc<ClientTable>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(table) = &self.bounded {
            table.give_back(self.network);
        }
    }
}

/// The clients of one core.
pub(super) struct Clients {
    own: RefCell<HashMap<Network, u32>>,
    all: Arc<ClientTable>,
    /// When the log was told of a refusal, on the core's clock.
    told_ms: Cell<Option<u64>>,
}

impl Clients {
    pub(super) fn new(all: Arc<ClientTable>) -> Self {
        Self { own: RefCell::default(), all, told_ms: Cell::new(None) }
    }

    /// Counts a connection; `None` when the client has as many as it may have.
    pub(super) fn claim(&self, address: IpAddr, max: Option<NonZeroU32>) -> Option<Claim> {
        let network = Network::of(address);
        let bounded = match max {
            Some(max) if self.all.take(network, max) => Some(Arc::clone(&self.all)),
            Some(_) => return None,
            None => None,
        };
        *self.own.borrow_mut().entry(network).or_default() += 1;
        Some(Claim { network, bounded })
    }

    /// The connection is over.
    pub(super) fn release(&self, claim: Claim) {
        discount(&mut self.own.borrow_mut(), claim.network);
        drop(claim);
    }

    /// Connections that the client of this one has on the core.
    pub(super) fn count(&self, claim: &Claim) -> u32 {
        self.own.borrow().get(&claim.network).copied().unwrap_or(0)
    }

    /// A line in the log about a client that was turned away; not for each, as strangers would fill it.
    pub(super) fn tell(&self, address: IpAddr, now_ms: u64) {
        if self.told_ms.get().is_some_and(|told| now_ms.saturating_sub(told) < CLIENT_REFUSALS_TOLD_MS) {
            return;
        }
        self.told_ms.set(Some(now_ms));
        tracing::warn!(client = %address, "a client has as many connections as client-connections-max allows; more are closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_bound_is_one_for_all_cores_and_places_come_back() {
        let table = Arc::<ClientTable>::default();
        let (one, other) = (Clients::new(Arc::clone(&table)), Clients::new(Arc::clone(&table)));
        let max = NonZeroU32::new(2);
        let first = one.claim(ip("10.0.0.1"), max).unwrap();
        let second = other.claim(ip("::ffff:10.0.0.1"), max).unwrap();
        assert!(one.claim(ip("10.0.0.1"), max).is_none() && other.claim(ip("10.0.0.1"), max).is_none());
        assert!(one.claim(ip("10.0.0.2"), max).is_some(), "another client has its own");
        assert_eq!((one.count(&first), other.count(&second)), (1, 1), "each core knows its own");
        other.release(second);
        // A core that dies has no time to release.
        drop(first);
        assert!(table.shards.iter().all(|shard| shard.lock().unwrap().is_empty()), "nothing is left behind");
        let both = [one.claim(ip("10.0.0.1"), max), other.claim(ip("10.0.0.1"), max)];
        assert!(both.iter().all(Option::is_some));
    }

    #[test]
    fn a_client_of_ipv6_is_its_64() {
        let clients = Clients::new(Arc::default());
        let max = NonZeroU32::new(1);
        let _first = clients.claim(ip("2001:db8:0:1::1"), max).unwrap();
        assert!(clients.claim(ip("2001:db8:0:1:ffff::2"), max).is_none());
        assert!(clients.claim(ip("2001:db8:0:2::1"), max).is_some());
    }

    #[test]
    fn behind_a_translator_to_ipv6_every_address_of_ipv4_is_a_client() {
        let clients = Clients::new(Arc::default());
        let max = NonZeroU32::new(1);
        let _first = clients.claim(ip("64:ff9b::10.0.0.1"), max).unwrap();
        assert!(clients.claim(ip("64:ff9b::10.0.0.2"), max).is_some());
        assert!(clients.claim(ip("10.0.0.1"), max).is_none(), "it is the same one");
        let _local = clients.claim(ip("64:ff9b:1::10.0.0.1"), max).unwrap();
        assert!(clients.claim(ip("64:ff9b:1::10.0.0.2"), max).is_none(), "no such prefix");
    }

    #[test]
    fn a_connection_from_before_the_bound_is_not_counted_against_it() {
        let clients = Clients::new(Arc::default());
        let before = clients.claim(ip("10.0.0.1"), None).unwrap();
        assert!(clients.claim(ip("10.0.0.1"), NonZeroU32::new(1)).is_some());
        clients.release(before);
        assert!(clients.own.borrow().len() <= 1);
    }
}
