//! Keys of TLS session tickets that several processes share, as they were given: what is sealed with them is derived
//! where it is used. Never printed, and overwritten when they are dropped.

use std::fmt;

use zeroize::Zeroizing;

/// Sizes that a key may have, bytes: what ringress makes, and what nginx takes.
pub const TICKET_KEY_BYTES: [usize; 3] = [32, 48, 80];

/// Keys that one Secret may hold.
pub const TICKET_KEYS_MAX: usize = 16;

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey {
    /// Tickets are sealed with it from this second of the Unix epoch on, until a newer key's time has come.
    pub from: u64,
    secret: Zeroizing<Vec<u8>>,
}

impl TicketKey {
    /// A key, if it has one of the [sizes](TICKET_KEY_BYTES).
    pub fn new(from: u64, secret: &[u8]) -> Option<Self> {
        TICKET_KEY_BYTES.contains(&secret.len()).then(|| Self { from, secret: Zeroizing::new(secret.to_vec()) })
    }

    /// The bytes that all is derived from.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey").field("from", &self.from).finish_non_exhaustive()
    }
}

/// All shared keys. Each opens tickets; one seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketKeys {
    /// Of the operator (`ssl-session-ticket-key`): seals whatever the time is.
    pub given: Option<TicketKey>,
    /// Of the Secret (`--ticket-secret`), oldest first.
    pub rotated: Box<[TicketKey]>,
}

impl TicketKeys {
    /// All of them, in the order in which they are looked through.
    pub fn iter(&self) -> impl Iterator<Item = &TicketKey> {
        self.given.iter().chain(self.rotated.iter().rev())
    }

    /// The place in [`iter`](Self::iter) of the key that seals at a second of the Unix epoch: the newest whose time
    /// has come. Where the clock is so far behind that none has, the oldest, which every other process knows as well.
    pub fn sealing(&self, now: u64) -> Option<usize> {
        let keys = self.iter().count();
        match self.given {
            Some(_) => Some(0),
            None => self.iter().position(|key| key.from <= now).or(keys.checked_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(from: u64) -> TicketKey {
        TicketKey::new(from, &[7; 32]).expect("a size of a key")
    }

    #[test]
    fn the_newest_key_whose_time_has_come_seals() {
        let keys = TicketKeys { given: None, rotated: [key(100), key(200), key(300)].into() };
        let sealing = |now| keys.iter().nth(keys.sealing(now).expect("a key")).expect("it is there").from;
        assert_eq!([50, 100, 199, 200, 299, 300, 9000].map(sealing), [100, 100, 100, 200, 200, 300, 300]);
        let given = TicketKeys { given: Some(key(0)), ..keys };
        assert_eq!(given.sealing(9000), Some(0));
        assert_eq!(TicketKeys { given: None, rotated: Box::default() }.sealing(0), None);
    }

    #[test]
    fn sizes_are_checked_and_content_is_never_printed() {
        for size in [0, 31, 33, 47, 79, 81] {
            assert!(TicketKey::new(0, &vec![1; size]).is_none(), "{size}");
        }
        assert_eq!(format!("{:?}", key(5)), "TicketKey { from: 5, .. }");
    }
}
