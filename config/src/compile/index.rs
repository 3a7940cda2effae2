//! Reverse indexes: who uses a thing.

use std::collections::HashMap;
use std::hash::Hash;

use super::few::Few;

/// For each thing, its users.
#[derive(Debug)]
pub(super) struct Index<K, V> {
    users: HashMap<K, Few<V, ()>>,
}

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self { users: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Ord> Index<K, V> {
    pub(super) fn insert(&mut self, thing: K, user: V) {
        self.users.entry(thing).or_default().insert(user, ());
    }

    pub(super) fn remove(&mut self, thing: &K, user: &V) {
        if let Some(users) = self.users.get_mut(thing) {
            users.remove(user);
            if users.is_empty() {
                self.users.remove(thing);
            }
        }
    }

    pub(super) fn users(&self, thing: &K) -> impl Iterator<Item = &V> {
        self.users.get(thing).into_iter().flat_map(Few::keys)
    }

    /// All that are used.
    pub(super) fn things(&self) -> impl Iterator<Item = &K> {
        self.users.keys()
    }

    pub(super) fn is_used(&self, thing: &K) -> bool {
        self.users.contains_key(thing)
    }
}
