//! What external services said, kept for all cores for the times that the operator gives (`auth-cache-key`), as in
//! nginx' zone.
//!
//! In shards by key, like the limits: only routes with a cache touch it, and a shard's lock is held for a few hash
//! operations.

#![expect(clippy::disallowed_types, reason = "the answers of all cores need one clock")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest::{Context, SHA256};
use ringress_config::snapshot::{AuthCache, ExternalAuth, Route};

use super::super::super::{Request, template};
use super::{Decision, Url};
use crate::limits::{AUTH_ANSWER_BYTES_MAX, AUTH_ANSWERS_BYTES_MAX, AUTH_ANSWERS_MAX};

/// What makes questions alike.
pub(super) type Key = [u8; 32];

/// Shards of the answers; each has its part of the bounds.
const SHARDS: usize = 16;

#[expect(clippy::disallowed_types, reason = "answers hold across cores: a shared table, in shards")]
type Lock = std::sync::Mutex<Shard>;

/// The answers that the process keeps.
pub(crate) struct AuthAnswers {
    shards: [Lock; SHARDS],
    start: Instant,
}

#[derive(Default)]
struct Shard {
    kept: HashMap<Key, Kept, foldhash::fast::RandomState>,
    bytes: usize,
}

struct Kept {
    decision: Arc<Decision>,
    /// On the clock of the answers.
    until_ms: u64,
}

impl Default for AuthAnswers {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Lock::default()), start: Instant::now() }
    }
}

impl AuthAnswers {
    /// The time that answers are kept by.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What was said, if it still holds.
    pub(super) fn find(&self, key: &Key, now_ms: u64) -> Option<Arc<Decision>> {
        let shard = self.shard(key);
        shard.kept.get(key).filter(|kept| kept.until_ms > now_ms).map(|kept| Arc::clone(&kept.decision))
    }

    /// Keeps an answer for `ms`. At the bound what is over goes, and then everything: answers are short-lived.
    pub(super) fn keep(&self, key: Key, decision: Arc<Decision>, (now_ms, ms): (u64, u64)) {
        let bytes = decision.bytes();
        if ms > 0 && bytes <= AUTH_ANSWER_BYTES_MAX {
            self.shard(&key).keep(key, Kept { decision, until_ms: now_ms.saturating_add(ms) }, bytes, now_ms);
        }
    }

    fn shard(&self, key: &Key) -> std::sync::MutexGuard<'_, Shard> {
        // A part of a digest is as good as any hash. Nothing that holds the lock can panic half-way through a change.
        self.shards[usize::from(key[0]) % SHARDS].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Shard {
    fn keep(&mut self, key: Key, kept: Kept, bytes: usize, now_ms: u64) {
        let is_full = |shard: &Self| {
            shard.kept.len() >= AUTH_ANSWERS_MAX / SHARDS || shard.bytes + bytes > AUTH_ANSWERS_BYTES_MAX / SHARDS
        };
        if is_full(self) {
            self.kept.retain(|_, kept| kept.until_ms > now_ms);
            self.bytes = self.kept.values().map(|kept| kept.decision.bytes()).sum();
        }
        if is_full(self) {
            (self.kept, self.bytes) = (HashMap::default(), 0);
        }
        let before = self.kept.insert(key, kept);
        self.bytes = self.bytes + bytes - before.map_or(0, |kept| kept.decision.bytes());
    }
}

/// The digest of all that the answer may depend on: the rule, the question, what is wanted of the answer, and the key.
pub(super) fn key(auth: &ExternalAuth, cache: &AuthCache, url: &Url, route: &Route, request: &Request<'_>) -> Key {
    let mut text = Vec::new();
    template::render(&cache.key, request, route, None, &mut text);
    let mut digest = Context::new(&SHA256);
    let source = &route.source.key;
    let asked: [&[u8]; 8] = [
        source.namespace.as_bytes(),
        source.name.as_bytes(),
        route.labels.host.as_bytes(),
        route.path.as_bytes(),
        url.authority.as_bytes(),
        url.target.as_bytes(),
        auth.method.as_deref().unwrap_or_default().as_bytes(),
        &text,
    ];
    let wanted = auth.response_fields.iter().map(|name| name.as_bytes());
    for part in asked.into_iter().chain(wanted) {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut key = [0; 32];
    key.copy_from_slice(digest.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(bytes: usize) -> Arc<Decision> {
        Arc::new(Decision { fields: vec![Some(vec![b'x'; bytes])], ..Decision::of_status(200) })
    }

    #[test]
    fn an_answer_holds_for_its_time() {
        let answers = AuthAnswers::default();
        answers.keep([1; 32], decision(1), (1000, 50));
        assert!(answers.find(&[1; 32], 1049).is_some() && answers.find(&[1; 32], 1050).is_none());
        answers.keep([2; 32], decision(1), (1000, 0));
        answers.keep([3; 32], decision(AUTH_ANSWER_BYTES_MAX + 1), (1000, 50));
        assert!(answers.find(&[2; 32], 1000).is_none() && answers.find(&[3; 32], 1000).is_none());
    }

    #[test]
    fn entries_and_bytes_are_bounded() {
        let answers = AuthAnswers::default();
        // All in the first shard.
        let key = |n: u32| {
            let mut key = [0; 32];
            key[1..5].copy_from_slice(&n.to_le_bytes());
            key
        };
        for n in 0..10_000 {
            answers.keep(key(n), decision(1), (u64::from(n), 5));
            assert!(answers.shard(&[0; 32]).kept.len() <= AUTH_ANSWERS_MAX / SHARDS);
        }
        // Those that hold are kept when those that do not make room.
        assert!(answers.find(&key(9_999), 9_999).is_some() && answers.find(&key(9_996), 9_999).is_some());
        for n in 0..2_000 {
            answers.keep(key(n), decision(AUTH_ANSWER_BYTES_MAX / 2), (20_000, 1000));
            let shard = answers.shard(&[0; 32]);
            assert!(shard.bytes <= AUTH_ANSWERS_BYTES_MAX / SHARDS);
            assert_eq!(shard.bytes, shard.kept.values().map(|kept| kept.decision.bytes()).sum::<usize>());
        }
    }
}
