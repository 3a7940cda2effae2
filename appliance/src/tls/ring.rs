//! Session tickets by keys that other processes have as well. What is sealed carries the name of its key; the keys of
//! the process itself open what was sealed before there were shared ones.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use ringress_config::snapshot::{TicketKey, TicketKeys};
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// What all that is derived is bound to.
const SALT: &[u8] = b"ringress session tickets 1";
/// Of the name of a key, which is in every ticket.
const NAME_BYTES: usize = 16;
/// Of a key of AES-256.
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Longest life of a ticket: the leader keeps a key for as long after its last use.
const LIFETIME_SECONDS: u32 = 12 * 3600;

/// The shared keys.
pub(super) struct SharedRing {
    keys: Arc<TicketKeys>,
    /// What follows from each of the keys, in their order.
    derived: Vec<Derived>,
    own: Arc<dyn ProducesTickets>,
}

struct Derived {
    name: [u8; NAME_BYTES],
    /// Nonces are drawn at random by processes that do not know each other: one that came twice must not give the key
    /// away, which is what SIV is for.
    key: RandomizedNonceKey,
}

/// Bytes of what is derived.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Derived {
    fn new(key: &TicketKey) -> Option<Self> {
        let source = Salt::new(HKDF_SHA256, SALT).extract(key.secret());
        let (mut name, mut bytes) = ([0; NAME_BYTES], Zeroizing::new([0; KEY_BYTES]));
        source.expand(&[b"name"], Length(NAME_BYTES)).and_then(|derived| derived.fill(&mut name)).ok()?;
        source.expand(&[b"key"], Length(KEY_BYTES)).and_then(|derived| derived.fill(&mut bytes[..])).ok()?;
        Some(Self { name, key: RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes[..]).ok()? })
    }
}

impl SharedRing {
    /// `own` opens what none of the keys has sealed. `None` when the keys cannot be used.
    pub(super) fn new(keys: Arc<TicketKeys>, own: Arc<dyn ProducesTickets>) -> Option<Self> {
        let derived = keys.iter().map(Derived::new).collect::<Option<Vec<_>>>()?;
        Some(Self { keys, derived, own })
    }

    /// The keys that this is of.
    pub(super) fn keys(&self) -> &Arc<TicketKeys> {
        &self.keys
    }

    fn seal(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let Derived { name, key } = self.derived.get(self.keys.sealing(now)?)?;
        let mut content = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(name), &mut content).ok()?;
        Some([&name[..], nonce.as_ref(), &content].concat())
    }

    /// `None` for what none of the keys has sealed; `Some(None)` for what only looks like it.
    fn open(&self, ticket: &[u8]) -> Option<Option<Vec<u8>>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let Derived { key, .. } = self.derived.iter().find(|derived| derived.name == *name)?;
        let opened = || {
            let (nonce, content) = rest.split_first_chunk::<NONCE_BYTES>()?;
            let mut content = content.to_vec();
            let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name), &mut content).ok()?;
            let bytes = plain.len();
            content.truncate(bytes);
            Some(content)
        };
        Some(opened())
    }
}

impl ProducesTickets for SharedRing {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, UnixTime::now().as_secs())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket).unwrap_or_else(|| self.own.decrypt(ticket))
    }
}

/// Keys are never printed.
impl fmt::Debug for SharedRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRing").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(from: u64, byte: u8) -> TicketKey {
        TicketKey::new(from, &[byte; 32]).unwrap()
    }

    fn ring(rotated: &[TicketKey]) -> SharedRing {
        let keys = TicketKeys { given: None, rotated: rotated.into() };
        SharedRing::new(Arc::new(keys), rustls::crypto::aws_lc_rs::Ticketer::new().unwrap()).unwrap()
    }

    #[test]
    fn another_process_with_the_same_keys_opens_a_ticket_and_one_with_others_does_not() {
        let [one, other] = [ring(&[key(0, 1)]), ring(&[key(0, 1)])];
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(other.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(ring(&[key(0, 2)]).decrypt(&ticket), None);
        assert!(!ticket.windows(7).any(|bytes| bytes == b"session"));
        assert_ne!(one.encrypt(b"session").unwrap(), ticket, "no two are alike");
    }

    #[test]
    fn a_process_that_sees_a_rotation_late_loses_no_ticket() {
        let (old, new) = (key(0, 1), key(1000, 2));
        let [late, early] = [ring(std::slice::from_ref(&old)), ring(&[old.clone(), new.clone()])];
        for now in [0, 999] {
            assert!(
                late.decrypt(&early.seal(b"s", now).unwrap()).is_some(),
                "the new key does not seal before its time"
            );
        }
        let later = early.seal(b"s", 1000).unwrap();
        assert!(late.decrypt(&later).is_none());
        assert!(early.decrypt(&late.seal(b"s", 2000).unwrap()).is_some(), "and the old one is still known");
        assert!(ring(&[new]).decrypt(&later).is_some());
    }

    #[test]
    fn what_the_process_sealed_by_itself_before_is_opened_too() {
        let own = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let keys = Arc::new(TicketKeys { given: Some(key(0, 9)), rotated: Box::default() });
        let ring = SharedRing::new(keys, Arc::clone(&own)).unwrap();
        assert_eq!(ring.decrypt(&own.encrypt(b"before").unwrap()).as_deref(), Some(&b"before"[..]));
    }

    #[test]
    fn damaged_tickets_are_refused() {
        let ring = ring(&[key(0, 1)]);
        let ticket = ring.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert_eq!(ring.decrypt(&damaged), None, "at {at}");
            assert_eq!(ring.decrypt(&ticket[..at]), None, "cut at {at}");
        }
    }
}
