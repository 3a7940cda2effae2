//! What every object has: its key and its place in the order of age.

use std::cmp::Ordering;
use std::sync::Arc;

use super::ObjectKey;

/// Where in a folder an object was read. Orders objects that carry no creation time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Path below the source folder.
    pub path: Arc<str>,
    /// Number of the document in the file, from 0.
    pub document: u32,
    /// Number of the item in a `kind: List`, from 0.
    pub item: u32,
}

/// How old an object is. Orders as declared: stamped before unstamped, then by place in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Age {
    /// `metadata.creationTimestamp`, seconds since 1970.
    Created(i64),
    /// No creation time: the place in the folder.
    Read(Origin),
    /// Neither.
    #[default]
    Unknown,
}

/// Key and age.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Age.
    pub age: Age,
}

impl Meta {
    /// Whether this and an earlier version are of one object, not of two that had the name one after the other. An object
    /// without a creation time is the one that its file defines, wherever in the file it stands.
    pub fn is_of_same(&self, earlier: &Self) -> bool {
        let is_of_age = match (&self.age, &earlier.age) {
            (Age::Read(here), Age::Read(there)) => here.path == there.path,
            (age, earlier) => age == earlier,
        };
        self.key == earlier.key && is_of_age
    }
}

/// The order in which objects claim hosts and paths: the oldest first; at equal age by `namespace/name`, descending
/// (reference 3.2).
impl Ord for Meta {
    fn cmp(&self, other: &Self) -> Ordering {
        self.age.cmp(&other.age).then_with(|| qualified(&other.key).cmp(qualified(&self.key)))
    }
}

impl PartialOrd for Meta {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The bytes of `namespace/name`. Not the order of the pair: `a-b/x` comes before `a/x`.
fn qualified(key: &ObjectKey) -> impl Iterator<Item = u8> {
    key.namespace.bytes().chain(std::iter::once(b'/')).chain(key.name.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(age: Age, namespace: &str, name: &str) -> Meta {
        Meta { key: ObjectKey::new(namespace, name), age }
    }

    fn read(path: &str, document: u32) -> Age {
        Age::Read(Origin { path: path.into(), document, item: 0 })
    }

    #[test]
    fn the_oldest_comes_first_and_stamped_before_unstamped() {
        let mut all = [
            meta(read("a.yaml", 1), "n", "d"),
            meta(read("a.yaml", 0), "n", "c"),
            meta(Age::Created(20), "n", "b"),
            meta(Age::Created(10), "n", "a"),
        ];
        all.sort();
        assert_eq!(all.map(|m| m.key.name.to_string()), ["a", "b", "c", "d"]);
    }

    #[test]
    fn equal_stamps_order_by_qualified_name_descending() {
        let mut all = [("a", "x"), ("a-b", "a"), ("b", "a"), ("a", "y")].map(|(ns, n)| meta(Age::Created(1), ns, n));
        all.sort();
        assert_eq!(all.map(|m| m.key.to_string()), ["b/a", "a/y", "a/x", "a-b/a"]);
    }
}
