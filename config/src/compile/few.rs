//! A map that has one entry most of the time, and so takes no more room than that: a tree would for eleven, a hash table
//! for three. There are several of them for each Ingress.

use std::collections::BTreeMap;

/// An ordered map.
#[derive(Clone, Debug, Default)]
pub(super) enum Few<K, V> {
    #[default]
    None,
    One(Box<(K, V)>),
    Many(BTreeMap<K, V>),
}

impl<K: Ord, V> Few<K, V> {
    /// Sets a key; the old value is returned.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Self::None => *self = Self::One(Box::new((key, value))),
            Self::One(entry) if entry.0 == key => return Some(std::mem::replace(&mut entry.1, value)),
            Self::One(_) => {
                let mut many = std::mem::take(self).into_tree();
                many.insert(key, value);
                *self = Self::Many(many);
            }
            Self::Many(many) => return many.insert(key, value),
        }
        None
    }

    /// Removes a key; its value is returned.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::One(entry) if entry.0 == *key => match std::mem::take(self) {
                Self::One(entry) => Some(entry.1),
                Self::None | Self::Many(_) => None,
            },
            Self::None | Self::One(_) => None,
            Self::Many(many) => {
                let removed = many.remove(key);
                if many.len() == 1 {
                    *self = many.pop_first().map_or(Self::None, |last| Self::One(Box::new(last)));
                }
                removed
            }
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::None => None,
            Self::One(entry) => (entry.0 == *key).then_some(&entry.1),
            Self::Many(many) => many.get(key),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// All entries, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(entry) => (Some((&entry.0, &entry.1)), None),
            Self::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    fn into_tree(self) -> BTreeMap<K, V> {
        match self {
            Self::None => BTreeMap::new(),
            Self::One(entry) => BTreeMap::from([*entry]),
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the tree that it stands for.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0_u8..4, 0_u8..2, any::<u8>()), 0..40)) {
            let (mut few, mut tree) = (Few::default(), BTreeMap::new());
            for (key, kind, value) in steps {
                match kind {
                    0 => prop_assert_eq!(few.insert(key, value), tree.insert(key, value)),
                    _ => prop_assert_eq!(few.remove(&key), tree.remove(&key)),
                }
                prop_assert_eq!(few.iter().collect::<Vec<_>>(), tree.iter().collect::<Vec<_>>());
                prop_assert_eq!((few.is_empty(), few.get(&key)), (tree.is_empty(), tree.get(&key)));
                prop_assert_eq!(matches!(few, Few::Many(_)), tree.len() > 1);
            }
        }
    }
}
