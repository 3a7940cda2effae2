//! Which Ingresses have another status than they should: kept up to date by what is seen and done, without a clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ringress_config::compile::Tenure;
use ringress_config::model::ObjectKey;

use super::addresses::Address;

/// How often the same addresses are written to one Ingress. Who changes them back as often wants it so.
const WRITES_MAX: u8 = 3;

/// What the status of an Ingress says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The version of the Ingress.
    pub(crate) version: Box<str>,
    /// Sorted.
    pub(crate) addresses: Box<[Address]>,
}

/// A status to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) key: ObjectKey,
    pub(crate) version: Box<str>,
    pub(crate) addresses: Arc<[Address]>,
    /// Nothing is written in place of anything but this.
    pub(crate) only_from: Option<Box<[Address]>>,
}

/// How a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The status is this now; `true` when it was written for that.
    Is(Published, bool),
    /// The Ingress is gone.
    Gone,
    /// It has to be tried again.
    Failed,
}

#[derive(Debug, Default)]
struct Entry {
    published: Option<Published>,
    served: bool,
    /// It has left, and what it shows may still be ours.
    left: bool,
    writing: bool,
    /// The status is either what is published here or what was written last: a write was cut short, or what was seen
    /// since may be older than it.
    unsure: bool,
    /// Of the addresses that are wanted now.
    writes: u8,
}

/// All Ingresses.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: HashMap<ObjectKey, Entry>,
    wanted: Option<Arc<[Address]>>,
    /// Those that differ and are not being written.
    open: BTreeSet<ObjectKey>,
}

impl Book {
    /// The status of an Ingress has been seen; `None` when the Ingress is gone.
    pub(crate) fn note(&mut self, key: ObjectKey, published: Option<Published>) {
        match published {
            None => {
                self.open.remove(&key);
                self.entries.remove(&key);
            }
            Some(published) => {
                let entry = self.entries.entry(key.clone()).or_default();
                // What comes after something else is its new owner's, though it may be the same.
                entry.left &= entry.published.as_ref().is_none_or(|old| old.addresses == published.addresses);
                entry.published = Some(published);
                self.look(&key);
            }
        }
    }

    /// An Ingress has begun or ceased to be served. From one that has left, what is ours is taken once; after that, and
    /// where a class is only gone for now, its status is nobody's business here.
    pub(crate) fn serve(&mut self, key: &ObjectKey, tenure: Tenure) {
        let served = tenure == Tenure::Begun;
        match self.entries.get_mut(key) {
            Some(entry) => {
                (entry.left, entry.served) = (entry.served && tenure == Tenure::Left, served);
            }
            None if served => drop(self.entries.insert(key.clone(), Entry { served, ..Entry::default() })),
            None => {}
        }
        self.look(key);
    }

    /// The addresses that every served Ingress should show.
    pub(crate) fn want(&mut self, addresses: Arc<[Address]>) {
        if self.wanted.as_ref() == Some(&addresses) {
            return;
        }
        self.wanted = Some(addresses);
        self.entries.values_mut().for_each(|entry| entry.writes = 0);
        let keys: Vec<ObjectKey> = self.entries.keys().cloned().collect();
        keys.iter().for_each(|key| self.look(key));
    }

    /// The next status to be written. It has to be told how that ended.
    pub(crate) fn next(&mut self) -> Option<Job> {
        loop {
            let key = self.open.pop_first()?;
            let (Some(entry), Some(addresses)) = (self.entries.get_mut(&key), &self.wanted) else { continue };
            let Some(published) = &entry.published else { continue };
            entry.writing = true;
            let addresses = if entry.left { Arc::default() } else { Arc::clone(addresses) };
            let only_from = entry.left.then(|| published.addresses.clone());
            return Some(Job { key, version: published.version.clone(), addresses, only_from });
        }
    }

    /// Whether there is nothing to be written or being written.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && !self.entries.values().any(|entry| entry.writing)
    }

    /// Nobody will tell how the jobs under way have ended, nor what is yet to be seen of those that have: each is done
    /// again, whatever its Ingress seems to show.
    pub(crate) fn abandon(&mut self) {
        let written = self.entries.iter_mut().filter(|(_, entry)| entry.writing || entry.writes > 0);
        let keys: Vec<ObjectKey> = written
            .map(|(key, entry)| {
                (entry.writing, entry.unsure) = (false, true);
                key.clone()
            })
            .collect();
        keys.iter().for_each(|key| self.look(key));
    }

    /// A job has ended. True when from now on the Ingress is left to somebody else who keeps changing it.
    pub(crate) fn done(&mut self, key: &ObjectKey, done: Done) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        entry.writing = false;
        let mut given_up = false;
        match done {
            Done::Is(published, written) => {
                entry.writes = entry.writes.saturating_add(u8::from(written));
                given_up = written && entry.writes == WRITES_MAX;
                entry.published = Some(published);
                (entry.unsure, entry.left) = (false, false);
            }
            Done::Gone => entry.published = None,
            Done::Failed => {}
        }
        self.look(key);
        given_up
    }

    fn look(&mut self, key: &ObjectKey) {
        let Some(entry) = self.entries.get(key) else { return };
        let (differs, is_ours) = match (&entry.published, &self.wanted) {
            (Some(published), Some(wanted)) => {
                let is_same = published.addresses[..] == wanted[..];
                (entry.unsure || !is_same, is_same && !wanted.is_empty())
            }
            (None, _) | (_, None) => (false, false),
        };
        let wrong = if entry.left { is_ours } else { differs && entry.served && entry.writes < WRITES_MAX };
        match wrong && !entry.writing {
            true => self.open.insert(key.clone()),
            false => self.open.remove(key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("n", name)
    }

    fn published(version: &str, addresses: &[&str]) -> Published {
        Published { version: version.into(), addresses: addresses.iter().map(|text| Address::parse(text)).collect() }
    }

    fn wanted(addresses: &[&str]) -> Arc<[Address]> {
        addresses.iter().map(|text| Address::parse(text)).collect()
    }

    /// One Ingress without a status, and addresses to be written.
    fn book() -> Book {
        let mut book = Book::default();
        book.note(key("a"), Some(published("1", &[])));
        book.serve(&key("a"), Tenure::Begun);
        book.want(wanted(&["1.1.1.1"]));
        book
    }

    #[test]
    fn a_difference_is_written_once() {
        let mut book = book();
        let job = book.next().expect("it differs");
        assert_eq!((&job.key, &*job.version), (&key("a"), "1"));
        assert_eq!(book.next(), None, "it is being written");
        assert!(!book.is_idle());
        assert!(!book.done(&key("a"), Done::Is(published("2", &["1.1.1.1"]), true)));
        book.note(key("a"), Some(published("2", &["1.1.1.1"])));
        book.serve(&key("a"), Tenure::Begun);
        book.want(wanted(&["1.1.1.1"]));
        assert!(book.next().is_none() && book.is_idle());
    }

    #[test]
    fn nothing_is_written_before_the_addresses_are_known_nor_to_what_is_not_served() {
        let mut book = Book::default();
        book.note(key("a"), Some(published("1", &[])));
        book.note(key("foreign"), Some(published("1", &["9.9.9.9"])));
        book.serve(&key("a"), Tenure::Begun);
        book.serve(&key("unseen"), Tenure::Begun);
        assert_eq!(book.next(), None);
        book.want(wanted(&["1.1.1.1"]));
        assert_eq!(book.next().map(|job| job.key), Some(key("a")));
        assert_eq!(book.next(), None);
        book.note(key("unseen"), Some(published("3", &[])));
        assert_eq!(book.next().map(|job| job.key), Some(key("unseen")));
        book.serve(&key("a"), Tenure::Left);
        book.done(&key("a"), Done::Failed);
        assert_eq!(book.next(), None, "it went to somebody else meanwhile");
    }

    #[test]
    fn a_failure_is_tried_again_and_an_ingress_that_is_gone_is_not() {
        let mut book = book();
        book.next().unwrap();
        book.done(&key("a"), Done::Failed);
        assert!(book.next().is_some());
        book.note(key("a"), None);
        book.done(&key("a"), Done::Failed);
        assert!(book.next().is_none() && book.is_idle());
    }

    #[test]
    fn what_was_written_is_taken_back_even_if_something_older_has_been_seen_since() {
        let mut book = book();
        book.next().expect("it differs");
        book.done(&key("a"), Done::Is(published("3", &["1.1.1.1"]), true));
        book.note(key("a"), Some(published("2", &[])));
        book.abandon();
        book.want(wanted(&[]));
        assert_eq!(book.next().map(|job| job.addresses.len()), Some(0));
        book.done(&key("a"), Done::Is(published("4", &[]), true));
        assert!(book.next().is_none() && book.is_idle());
    }

    #[test]
    fn what_is_ours_is_taken_once_from_an_ingress_that_left() {
        let mut book = book();
        book.next().unwrap();
        book.done(&key("a"), Done::Is(published("2", &["1.1.1.1"]), true));
        book.serve(&key("a"), Tenure::Left);
        let job = book.next().expect("it shows our address");
        assert!(job.addresses.is_empty() && job.only_from.as_deref() == Some(&*wanted(&["1.1.1.1"])));
        book.done(&key("a"), Done::Is(published("3", &[]), true));
        book.note(key("a"), Some(published("4", &["1.1.1.1"])));
        assert!(book.next().is_none() && book.is_idle(), "its new owner may say the same");
    }

    #[test]
    fn what_the_leader_took_is_taken_by_no_later_one() {
        let mut book = book();
        book.note(key("a"), Some(published("2", &["1.1.1.1"])));
        book.serve(&key("a"), Tenure::Left);
        book.note(key("a"), Some(published("3", &[])));
        book.note(key("a"), Some(published("4", &["1.1.1.1"])));
        assert_eq!(book.next(), None);
    }

    #[test]
    fn what_others_wrote_and_what_only_lapsed_is_left_alone() {
        for (shown, tenure) in [(&["9.9.9.9"][..], Tenure::Left), (&[], Tenure::Left), (&["1.1.1.1"], Tenure::Lapsed)] {
            let mut book = book();
            book.note(key("a"), Some(published("2", shown)));
            book.serve(&key("a"), tenure);
            assert_eq!(book.next(), None, "{shown:?}");
        }
    }

    #[test]
    fn a_write_that_was_cut_short_is_done_again_even_if_nothing_seems_to_differ() {
        let mut book = book();
        book.next().expect("it differs");
        book.abandon();
        book.want(wanted(&[]));
        let job = book.next().expect("the server may have got the first one");
        assert!(job.addresses.is_empty() && !book.is_idle());
        book.done(&key("a"), Done::Is(published("3", &[]), true));
        assert!(book.next().is_none() && book.is_idle());
    }

    #[test]
    fn who_keeps_changing_it_back_is_given_way_until_the_addresses_change() {
        let mut book = book();
        for round in 1..=WRITES_MAX {
            book.next().expect("it differs");
            let given_up = book.done(&key("a"), Done::Is(published("2", &["1.1.1.1"]), true));
            assert_eq!(given_up, round == WRITES_MAX);
            book.note(key("a"), Some(published("3", &["8.8.8.8"])));
        }
        assert_eq!(book.next(), None);
        book.want(wanted(&["2.2.2.2"]));
        assert!(book.next().is_some());
    }
}
