//! What external services said, kept by each core for the times that the operator gives (`auth-cache-key`).

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use ringress_config::snapshot::{AuthCache, ExternalAuth, Route};

use super::super::super::{Request, template};
use super::{Decision, Url};
use crate::limits::{AUTH_ANSWER_BYTES_MAX, AUTH_ANSWERS_BYTES_MAX, AUTH_ANSWERS_MAX};

/// What makes questions alike.
pub(super) type Key = [u8; 32];

/// The answers that a core keeps.
#[derive(Default)]
pub(crate) struct AuthAnswers {
    kept: HashMap<Key, Kept, foldhash::fast::RandomState>,
    bytes: usize,
}

struct Kept {
    decision: Decision,
    /// On the core's clock.
    until_ms: u64,
}

impl AuthAnswers {
    /// What was said, if it still holds.
    pub(super) fn find(&self, key: &Key, now_ms: u64) -> Option<&Decision> {
        self.kept.get(key).filter(|kept| kept.until_ms > now_ms).map(|kept| &kept.decision)
    }

    /// Keeps an answer for `ms`. At the bound what is over goes, and then everything: answers are short-lived.
    pub(super) fn keep(&mut self, key: Key, decision: Decision, (now_ms, ms): (u64, u64)) {
        let bytes = decision.bytes();
        if ms == 0 || bytes > AUTH_ANSWER_BYTES_MAX {
            return;
        }
        let is_full =
            |answers: &Self| answers.kept.len() >= AUTH_ANSWERS_MAX || answers.bytes + bytes > AUTH_ANSWERS_BYTES_MAX;
        if is_full(self) {
            self.kept.retain(|_, kept| kept.until_ms > now_ms);
            self.bytes = self.kept.values().map(|kept| kept.decision.bytes()).sum();
        }
        if is_full(self) {
            (self.kept, self.bytes) = (HashMap::default(), 0);
        }
        let before = self.kept.insert(key, Kept { decision, until_ms: now_ms.saturating_add(ms) });
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

    fn decision(bytes: usize) -> Decision {
        Decision { fields: vec![Some(vec![b'x'; bytes])], ..Decision::of_status(200) }
    }

    #[test]
    fn an_answer_holds_for_its_time() {
        let mut answers = AuthAnswers::default();
        answers.keep([1; 32], decision(1), (1000, 50));
        assert!(answers.find(&[1; 32], 1049).is_some() && answers.find(&[1; 32], 1050).is_none());
        answers.keep([2; 32], decision(1), (1000, 0));
        answers.keep([3; 32], decision(AUTH_ANSWER_BYTES_MAX + 1), (1000, 50));
        assert!(answers.find(&[2; 32], 1000).is_none() && answers.find(&[3; 32], 1000).is_none());
    }

    #[test]
    fn entries_and_bytes_are_bounded() {
        let mut answers = AuthAnswers::default();
        let key = |n: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_le_bytes());
            key
        };
        for n in 0..10_000 {
            answers.keep(key(n), decision(1), (u64::from(n), 5));
            assert!(answers.kept.len() <= AUTH_ANSWERS_MAX);
        }
        // Those that hold are kept when those that do not make room.
        assert!(answers.find(&key(9_999), 9_999).is_some() && answers.find(&key(9_996), 9_999).is_some());
        for n in 0..2_000 {
            answers.keep(key(n), decision(AUTH_ANSWER_BYTES_MAX / 2), (20_000, 1000));
            assert!(answers.bytes <= AUTH_ANSWERS_BYTES_MAX);
            assert_eq!(answers.bytes, answers.kept.values().map(|kept| kept.decision.bytes()).sum::<usize>());
        }
    }
}
