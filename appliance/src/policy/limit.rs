//! Rates and numbers in flight per client, exact for the whole process.
//!
//! The only state that cores share on the request path, in shards by key, and only routes with limits touch it. A
//! shard's lock is held for a few hash operations.

#![expect(clippy::disallowed_types, reason = "the buckets of all cores need one clock")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ringress_config::snapshot::{Limits, Rate};

use super::Answer;

/// Shards of the table.
const SHARDS: usize = 64;
/// Clients kept per shard; beyond that the quiet ones go, and with none of them a new client is refused (nginx' zones
/// hold about 80,000 in all).
const CLIENTS_PER_SHARD_MAX: usize = 4096;
/// A client is forgotten after so much silence: what a bucket of the slowest kind leaks in one interval.
const QUIET_MS: u64 = 60_000;

#[expect(clippy::disallowed_types, reason = "limits hold across cores: this is the one shared table, in shards")]
type Shard = std::sync::Mutex<HashMap<Key, Client>>;

type Key = (Arc<str>, IpAddr);

/// Counts of all clients of routes with limits; one for the process.
pub(crate) struct LimitTable {
    shards: Box<[Shard]>,
    start: Instant,
}

#[derive(Default)]
struct Client {
    in_flight: u32,
    /// Per rate: excess in thousandths of a request, and when it was last looked at (milliseconds).
    buckets: Vec<(u64, u64)>,
}

/// The table as one core sees it, and what its requests have of it.
pub(crate) struct Places {
    table: Arc<LimitTable>,
    /// By numbers that are the core's own.
    held: RefCell<HashMap<u64, Key, foldhash::fast::FixedState>>,
    next: Cell<u64>,
}

/// A counted request in flight; uncounted when dropped.
pub(crate) struct InFlight {
    places: Rc<Places>,
    number: u64,
}

impl Default for LimitTable {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), start: Instant::now() }
    }
}

impl LimitTable {
    /// Counts a request in, or says with what it is refused; the key of its place, if it has one.
    fn admit(&self, limits: &Limits, client: IpAddr) -> Result<Option<Key>, Answer> {
        if limits.exempt.iter().any(|net| net.contains(&client)) {
            return Ok(None);
        }
        let key = (Arc::clone(&limits.key), client);
        let mut shard = self.shard(&key);
        // Read under the lock, so that the times of one shard rise.
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if shard.len() >= CLIENTS_PER_SHARD_MAX && !shard.contains_key(&key) {
            let is_recent = |at: u64| now_ms.saturating_sub(at) < QUIET_MS;
            shard.retain(|_, c| c.in_flight > 0 || c.buckets.iter().any(|(_, at)| is_recent(*at)));
            if shard.len() >= CLIENTS_PER_SHARD_MAX {
                return Err(Answer::status(limits.rate_status));
            }
        }
        let state = shard.entry(key.clone()).or_default();
        if limits.in_flight.is_some_and(|max| state.in_flight >= max) {
            return Err(Answer::status(limits.in_flight_status));
        }
        state.buckets.resize(limits.rates.len(), (0, now_ms));
        let mut after = state.buckets.clone();
        for (bucket, rate) in after.iter_mut().zip(&limits.rates) {
            *bucket = pour(*bucket, rate, now_ms).ok_or_else(|| Answer::status(limits.rate_status))?;
        }
        state.buckets = after;
        if limits.in_flight.is_none() {
            return Ok(None);
        }
        state.in_flight += 1;
        drop(shard);
        Ok(Some(key))
    }

    fn give_back(&self, key: &Key) {
        if let Some(client) = self.shard(key).get_mut(key) {
            client.in_flight = client.in_flight.saturating_sub(1);
        }
    }

    fn shard(&self, key: &Key) -> std::sync::MutexGuard<'_, HashMap<Key, Client>> {
        use std::hash::BuildHasher;
        let index = foldhash::fast::FixedState::default().hash_one(key) as usize % SHARDS;
        // Nothing that holds the lock can panic half-way through a change.
        self.shards[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Places {
    /// None are taken.
    pub(crate) fn new(table: Arc<LimitTable>) -> Rc<Self> {
        Rc::new(Self { table, held: RefCell::default(), next: Cell::new(0) })
    }

    /// Counts a request in, or says with what it is refused.
    pub(crate) fn admit(self: &Rc<Self>, limits: &Limits, client: IpAddr) -> Result<Option<InFlight>, Answer> {
        let Some(key) = self.table.admit(limits, client)? else { return Ok(None) };
        let number = self.next.replace(self.next.get() + 1);
        self.held.borrow_mut().insert(number, key);
        Ok(Some(InFlight { places: Rc::clone(self), number }))
    }

    /// Gives everything back: tasks that do not end before their thread does are never dropped.
    pub(crate) fn release(&self) {
        self.held.take().values().for_each(|key| self.table.give_back(key));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let held = self.places.held.borrow_mut().remove(&self.number);
        held.iter().for_each(|key| self.places.table.give_back(key));
    }
}

/// nginx' leaky bucket: one request more, less what leaked since; over the burst it is refused and not counted.
fn pour((excess, at_ms): (u64, u64), rate: &Rate, now_ms: u64) -> Option<(u64, u64)> {
    let leaked = now_ms.saturating_sub(at_ms).saturating_mul(u64::from(rate.requests) * 1000)
        / (rate.per.as_millis().max(1) as u64);
    let excess = excess.saturating_sub(leaked);
    let after = excess + 1000;
    // The first request fills nothing: `1 + burst` pass at once.
    (after <= (u64::from(rate.burst) + 1) * 1000).then_some((after, now_ms))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { requests: 1, per: Duration::from_secs(1), burst: 5 };

    #[test]
    fn one_and_the_burst_pass_at_once_then_one_a_second() {
        let mut bucket = (0, 0);
        for _ in 0..6 {
            bucket = pour(bucket, &RATE, 0).expect("within the burst");
        }
        assert_eq!(pour(bucket, &RATE, 999), None);
        bucket = pour(bucket, &RATE, 1000).expect("a second later");
        assert_eq!(pour(bucket, &RATE, 1000), None);
        assert!(pour(bucket, &RATE, 60_000).is_some());
    }

    #[test]
    fn requests_in_flight_are_given_back() {
        let table = Arc::<LimitTable>::default();
        let (places, others) = (Places::new(Arc::clone(&table)), Places::new(table));
        let limits = Limits {
            key: "shop/web".into(),
            in_flight: Some(1),
            rates: Box::default(),
            exempt: Box::default(),
            rate_status: 503,
            in_flight_status: 429,
        };
        let client = IpAddr::from([10, 0, 0, 1]);
        let held = places.admit(&limits, client).unwrap();
        assert_eq!(others.admit(&limits, client).err(), Some(Answer::status(429)), "whichever core it comes to");
        assert!(others.admit(&limits, IpAddr::from([10, 0, 0, 2])).is_ok(), "another client has its own");
        drop(held);
        let late = places.admit(&limits, client).unwrap();
        places.release();
        let again = others.admit(&limits, client).unwrap();
        drop(late);
        assert!(places.admit(&limits, client).is_err(), "what was given back is not given back twice");
        drop(again);
        assert!(places.admit(&limits, client).is_ok());
    }
}
