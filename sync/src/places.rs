//! The places of a listener beside the traffic: who gives way when all are taken. Health probes and the webhook share
//! this.
//!
//! A newcomer is served. The connection that has been longest without a request in work, idle or in its handshake or
//! head, is closed for it; what is in work never is. A client may hold a share only, and beyond it closes its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How often a place is looked for while requests are in work on all of them, and the end of the last one.
const POLL: Duration = Duration::from_millis(10);

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
enum Refused {
    /// Every place has a request in work: one will be free.
    AllInWork,
    /// Its client has requests in work on its whole share.
    Client,
}

/// The places.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    table: Mutex<Table>,
    closed: &'static AtomicU64,
}

struct Table {
    held: HashMap<u64, Held>,
    /// Of the next connection or wait.
    number: u64,
}

struct Held {
    client: Option<IpAddr>,
    /// The number of its wait for a request; none while one is in work.
    waits: Option<u64>,
    /// Dropped when the connection is to be closed.
    _close: oneshot::Sender<()>,
}

/// The place of one connection, free when this is dropped.
pub struct Place {
    shared: Arc<Shared>,
    key: u64,
}

impl Places {
    /// All of them, free; `closed` counts connections that are closed or refused by these bounds.
    pub fn new(bounds: Bounds, closed: &'static AtomicU64) -> Self {
        let table = Mutex::new(Table { held: HashMap::new(), number: 0 });
        Self(Arc::new(Shared { bounds, table, closed }))
    }

    /// A place for a connection, which waits for its first request, and what ends when it is wanted back. Perhaps it is that
    /// of another connection, which is closed. Waits while requests are in work on all of them, which are bounded in time;
    /// none for a client that has enough.
    pub async fn take(&self, client: Option<IpAddr>) -> Option<(Place, oneshot::Receiver<()>)> {
        loop {
            let (close, closed) = oneshot::channel();
            match self.try_take(client, close) {
                Ok(place) => return Some((place, closed)),
                Err(Refused::Client) => return None,
                Err(Refused::AllInWork) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// An error when nobody can give way.
    fn try_take(&self, client: Option<IpAddr>, close: oneshot::Sender<()>) -> Result<Place, Refused> {
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

    /// Waits until every place is free.
    pub async fn emptied(&self) {
        while !self.is_empty() {
            tokio::time::sleep(POLL).await;
        }
    }

    fn is_empty(&self) -> bool {
        self.0.table().held.is_empty()
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn longest(&self, among: impl Fn(&Held) -> bool) -> Option<u64> {
        let waiting = self.held.iter().filter(|(_, held)| among(held));
        waiting.filter_map(|(key, held)| Some((held.waits?, *key))).min().map(|(_, key)| key)
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl Place {
    /// A request is in work.
    pub fn works(&self) {
        self.set(|_| None);
    }

    /// The next request is waited for.
    pub fn waits(&self) {
        self.set(|table| Some(table.next_number()));
    }

    fn set(&self, waits: impl FnOnce(&mut Table) -> Option<u64>) {
        let mut table = self.shared.table();
        let waits = waits(&mut table);
        if let Some(held) = table.held.get_mut(&self.key) {
            held.waits = waits;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.table().held.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use oneshot::error::TryRecvError;

    fn places(all: usize, of_client: usize) -> (Places, &'static AtomicU64) {
        let closed = Box::leak(Box::default());
        (Places::new(Bounds { all, of_client }, closed), closed)
    }

    fn is_open(closed: &mut oneshot::Receiver<()>) -> bool {
        closed.try_recv() == Err(TryRecvError::Empty)
    }

    #[test]
    fn who_is_longest_without_a_request_gives_way_and_never_one_in_work() {
        let (places, closed) = places(3, 3);
        let (closes, mut opens): (Vec<_>, Vec<_>) = (0..6).map(|_| oneshot::channel()).unzip();
        let mut closes = closes.into_iter();
        let mut take = || places.try_take(None, closes.next().unwrap());
        let held = [(); 3].map(|()| take().unwrap());
        held[0].works();
        held[1].works();
        held[1].waits();
        let third = take().unwrap();
        assert_eq!([0, 1, 2, 3].map(|at| is_open(&mut opens[at])), [true, true, false, true], "2 waits longest");
        third.works();
        held[1].works();
        assert_eq!(take().err(), Some(Refused::AllInWork));
        assert_eq!(closed.load(Ordering::Relaxed), 1);
        drop(held);
        assert!(take().is_ok() && !places.is_empty());
        drop(third);
        assert!(places.is_empty());
    }

    #[test]
    fn a_client_closes_its_own_beyond_its_share_and_loopback_has_none() {
        let (places, closed) = places(100, 2);
        let (crowd, other): (IpAddr, IpAddr) = ("::ffff:192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let take = |client: IpAddr| {
            let (close, open) = oneshot::channel();
            (places.try_take(Some(client), close), open)
        };
        let other = take(other);
        let (held, mut opens): (Vec<_>, Vec<_>) = [crowd, crowd.to_canonical(), crowd].map(take).into_iter().unzip();
        assert_eq!(
            [0, 1, 2].map(|at| is_open(&mut opens[at])),
            [false, true, true],
            "not the other's, which waits longer"
        );
        held[1..].iter().for_each(|place| place.as_ref().unwrap().works());
        assert_eq!(take(crowd).0.err(), Some(Refused::Client));
        assert_eq!(closed.load(Ordering::Relaxed), 2);
        let loopback = [(); 10].map(|()| take("127.0.0.1".parse().unwrap()));
        assert!(loopback.iter().all(|(place, _)| place.is_ok()) && closed.load(Ordering::Relaxed) == 2);
        drop((held, other));
    }
}
