//! Rates and numbers in flight per client, exact for the whole process.
//!
//! The only state that cores share on the request path, in shards by key, and only routes with limits touch it. A
//! shard's lock is held for a few hash operations.

#![expect(clippy::disallowed_types, reason = "the buckets of all cores need one clock")]

use std::collections::HashMap;
use std::net::IpAddr;
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

/// A counted request in flight; uncounted when dropped.
pub(crate) struct InFlight {
    table: Arc<LimitTable>,
    key: Key,
}

impl Default for LimitTable {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), start: Instant::now() }
    }
}

impl LimitTable {
    /// Counts a request in, or says with what it is refused.
    pub(crate) fn admit(self: &Arc<Self>, limits: &Limits, client: IpAddr) -> Result<Option<InFlight>, Answer> {
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
        Ok(Some(InFlight { table: Arc::clone(self), key }))
    }

    fn shard(&self, key: &Key) -> std::sync::MutexGuard<'_, HashMap<Key, Client>> {
        use std::hash::BuildHasher;
        let index = foldhash::fast::FixedState::default().hash_one(key) as usize % SHARDS;
        // Nothing that holds the lock can panic half-way through a change.
        self.shards[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(client) = self.table.shard(&self.key).get_mut(&self.key) {
            client.in_flight = client.in_flight.saturating_sub(1);
        }
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
        let table = Arc::new(LimitTable::default());
        let limits = Limits {
            key: "shop/web".into(),
            in_flight: Some(1),
            rates: Box::default(),
            exempt: Box::default(),
            rate_status: 503,
            in_flight_status: 429,
        };
        let client = IpAddr::from([10, 0, 0, 1]);
        let held = table.admit(&limits, client).unwrap();
        assert_eq!(table.admit(&limits, client).err(), Some(Answer::status(429)));
        assert!(table.admit(&limits, IpAddr::from([10, 0, 0, 2])).is_ok(), "another client has its own");
        drop(held);
        assert!(table.admit(&limits, client).is_ok());
    }
}
