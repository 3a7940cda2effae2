//! The places of a listener beside the traffic: who gives way when all are taken. Health probes and the webhook share
//! this, and nothing here waits or reads a clock.
//!
//! A newcomer is served. The connection that has been longest without a request in work, idle or in its handshake or
//! head, is closed for it; what is in work never is. A client may hold a share only, and beyond it closes its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of a listener: all of them, and those of one client.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All connections.
    pub all: usize,
    /// Those from one address. Loopback and Unix sockets are exempt.
    pub of_client: usize,
}

/// Why a newcomer has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Every place has a request in work: one will be free.
    AllInWork,
    /// Its client has requests in work on its whole share.
    Client,
}

/// The places. A connection leaves a `C`, which is dropped when it is to be closed.
pub struct Places<C>(Arc<Shared<C>>);

struct Shared<C> {
    bounds: Bounds,
    table: Mutex<Table<C>>,
    closed: &'static AtomicU64,
}

struct Table<C> {
    held: HashMap<u64, Held<C>>,
    /// Of the next connection or wait.
    number: u64,
}

struct Held<C> {
    client: Option<IpAddr>,
    /// The number of its wait for a request; none while one is in work.
    waits: Option<u64>,
    _close: C,
}

/// The place of one connection, free when this is dropped.
pub struct Place<C> {
    shared: Arc<Shared<C>>,
    key: u64,
}

impl<C> Clone for Places<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Places<C> {
    /// All of them, free; `closed` counts connections that are closed or refused by these bounds.
    pub fn new(bounds: Bounds, closed: &'static AtomicU64) -> Self {
        let table = Mutex::new(Table { held: HashMap::new(), number: 0 });
        Self(Arc::new(Shared { bounds, table, closed }))
    }

    /// A place for a connection, which waits for its first request; perhaps that of another one, which is closed.
    ///
    /// # Errors
    /// When nobody can give way.
    pub fn take(&self, client: Option<IpAddr>, close: C) -> Result<Place<C>, Refused> {
        let client = client.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_loopback());
        let bounds = self.0.bounds;
        let mut table = self.0.table();
        let of_client = table.held.values().filter(|held| client.is_some() && held.client == client).count();
        let leaves = if of_client >= bounds.of_client {
            Some(table.longest(|held| held.client == client).ok_or(Refused::Client))
        } else if table.held.len() >= bounds.all {
            Some(table.longest(|_| true).ok_or(Refused::AllInWork))
        } else {
            None
        };
        if let Some(leaves) = leaves {
            if leaves != Err(Refused::AllInWork) {
                self.0.closed.fetch_add(1, Ordering::Relaxed);
            }
            table.held.remove(&leaves?);
        }
        let key = table.next_number();
        table.held.insert(key, Held { client, waits: Some(key), _close: close });
        Ok(Place { shared: Arc::clone(&self.0), key })
    }

    /// Whether every place is free.
    pub fn is_empty(&self) -> bool {
        self.0.table().held.is_empty()
    }
}

impl<C> Shared<C> {
    fn table(&self) -> MutexGuard<'_, Table<C>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Table<C> {
    fn longest(&self, among: impl Fn(&Held<C>) -> bool) -> Option<u64> {
        let waiting = self.held.iter().filter(|(_, held)| among(held));
        waiting.filter_map(|(key, held)| Some((held.waits?, *key))).min().map(|(_, key)| key)
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl<C> Place<C> {
    /// A request is in work.
    pub fn works(&self) {
        self.set(|_| None);
    }

    /// The next request is waited for.
    pub fn waits(&self) {
        self.set(|table| Some(table.next_number()));
    }

    fn set(&self, waits: impl FnOnce(&mut Table<C>) -> Option<u64>) {
        let mut table = self.shared.table();
        let waits = waits(&mut table);
        if let Some(held) = table.held.get_mut(&self.key) {
            held.waits = waits;
        }
    }
}

impl<C> Drop for Place<C> {
    fn drop(&mut self) {
        self.shared.table().held.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drops of it are seen.
    type Open = Arc<()>;

    fn places(all: usize, of_client: usize) -> (Places<Open>, &'static AtomicU64) {
        let closed = Box::leak(Box::default());
        (Places::new(Bounds { all, of_client }, closed), closed)
    }

    fn is_open(open: &Open) -> bool {
        Arc::strong_count(open) > 1
    }

    #[test]
    fn who_is_longest_without_a_request_gives_way_and_never_one_in_work() {
        let (places, closed) = places(3, 3);
        let opens = [(); 5].map(|()| Open::default());
        let take = |at: usize| places.take(None, Arc::clone(&opens[at]));
        let held = [take(0).unwrap(), take(1).unwrap(), take(2).unwrap()];
        held[0].works();
        held[1].works();
        held[1].waits();
        let third = take(3).unwrap();
        assert_eq!([0, 1, 2, 3].map(|at| is_open(&opens[at])), [true, true, false, true], "2 waits longest");
        third.works();
        held[1].works();
        assert_eq!(take(4).err(), Some(Refused::AllInWork));
        assert_eq!(closed.load(Ordering::Relaxed), 1);
        drop(held);
        assert!(take(4).is_ok() && !places.is_empty());
        drop(third);
        assert!(places.is_empty());
    }

    #[test]
    fn a_client_closes_its_own_beyond_its_share_and_loopback_has_none() {
        let (places, closed) = places(100, 2);
        let (crowd, other): (IpAddr, IpAddr) = ("::ffff:192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let opens = [(); 4].map(|()| Open::default());
        let other = places.take(Some(other), Open::default()).unwrap();
        let first = places.take(Some(crowd), Arc::clone(&opens[0])).unwrap();
        let second = places.take(Some(crowd.to_canonical()), Arc::clone(&opens[1])).unwrap();
        let third = places.take(Some(crowd), Arc::clone(&opens[2])).unwrap();
        assert_eq!([0, 1, 2].map(|at| is_open(&opens[at])), [false, true, true], "not the other's, which waits longer");
        second.works();
        third.works();
        assert_eq!(places.take(Some(crowd), Arc::clone(&opens[3])).err(), Some(Refused::Client));
        assert_eq!(closed.load(Ordering::Relaxed), 2);
        let loopback = [(); 10].map(|()| places.take(Some("127.0.0.1".parse().unwrap()), Open::default()));
        assert!(loopback.iter().all(Result::is_ok) && closed.load(Ordering::Relaxed) == 2);
        drop((first, second, third, other));
    }
}
