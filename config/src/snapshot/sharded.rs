//! A hash map that shares structure between versions: changing one key copies one shard, not the map.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::FixedState;

/// Number of shards: at 40,000 keys a change copies about 160 entries and the list of shards.
const SHARDS: usize = 256;

type Shard<K, V> = HashMap<K, V, FixedState>;

/// An immutable-by-sharing hash map. Cloning costs one `Arc`; [`Sharded::insert`] and [`Sharded::remove`] copy only
/// the shard they touch when another version still uses it.
///
/// Keys are chosen by operators, not by clients, so a fixed hash state is safe and keeps compilation deterministic.
#[derive(Debug)]
pub struct Sharded<K, V> {
    shards: Arc<[Arc<Shard<K, V>>]>,
    len: usize,
}

impl<K, V> Clone for Sharded<K, V> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards), len: self.len }
    }
}

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self { shards: (0..SHARDS).map(|_| Arc::clone(&empty)).collect(), len: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Sharded<K, V> {
    /// The value of a key.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        if self.len == 0 {
            return None;
        }
        self.shards[shard_of(key)].get(key)
    }

    /// Sets a key; the old value is returned.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = self.shard_mut(shard_of(&key)).insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes a key; its value is returned.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.get(key)?;
        let old = self.shard_mut(shard_of(key)).remove(key);
        self.len -= usize::from(old.is_some());
        old
    }

    /// Whether both are the same version: equal without comparing entries.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|s| s.iter())
    }

    fn shard_mut(&mut self, index: usize) -> &mut Shard<K, V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[index])
    }
}

/// The top bits choose the shard; the map inside uses the low ones.
#[inline]
fn shard_of<Q: Hash + ?Sized>(key: &Q) -> usize {
    (FixedState::default().hash_one(key) >> 56) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_keeps_its_content_when_the_next_one_changes() {
        let mut a = Sharded::default();
        for i in 0..1000 {
            a.insert(i, i);
        }
        let b = a.clone();
        a.insert(7, 70);
        a.remove(&8);
        assert_eq!((a.get(&7), a.get(&8), a.len()), (Some(&70), None, 999));
        assert_eq!((b.get(&7), b.get(&8), b.len()), (Some(&7), Some(&8), 1000));
    }

    #[test]
    fn a_change_shares_the_other_shards() {
        let mut a = Sharded::default();
        for i in 0..1000 {
            a.insert(i, i);
        }
        let b = a.clone();
        a.insert(7, 70);
        let shared = a.shards.iter().zip(b.shards.iter()).filter(|(x, y)| Arc::ptr_eq(x, y)).count();
        assert_eq!(shared, SHARDS - 1);
    }
}
