//! Session tickets that are worth something only where the handshake would have been the same, and for a while.

use std::sync::Arc;
use std::time::Duration;

use ringress_config::snapshot::AuthContext;
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;

/// The ring of all cores, bound to a context: a session that was made without asking for a certificate, or by other
/// authorities, is not resumed where one is asked for.
#[derive(Debug)]
pub(super) struct BoundTickets {
    ring: Arc<dyn ProducesTickets>,
    context: AuthContext,
    /// How long a ticket is worth something.
    timeout: Duration,
}

impl BoundTickets {
    pub(super) fn new(ring: Arc<dyn ProducesTickets>, context: AuthContext, timeout: Duration) -> Self {
        Self { ring, context, timeout }
    }

    /// Seals a session of this second.
    fn seal(&self, plain: &[u8], now: UnixTime) -> Option<Vec<u8>> {
        self.ring.encrypt(&[&self.context, &now.as_secs().to_be_bytes()[..], plain].concat())
    }

    fn open(&self, cipher: &[u8], now: UnixTime) -> Option<Vec<u8>> {
        let mut sealed = self.ring.decrypt(cipher)?;
        let (made, session) = sealed.strip_prefix(&self.context)?.split_first_chunk::<8>()?;
        let age = now.as_secs().checked_sub(u64::from_be_bytes(*made))?;
        let session_at = sealed.len() - session.len();
        (age <= self.timeout.as_secs()).then(|| sealed.split_off(session_at))
    }
}

impl ProducesTickets for BoundTickets {
    fn enabled(&self) -> bool {
        self.ring.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.ring.lifetime().min(u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX))
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, UnixTime::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, UnixTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(600);

    #[test]
    fn a_ticket_is_worth_something_for_its_time() {
        let ring = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let tickets = BoundTickets::new(ring, [0; 32], TIMEOUT);
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let ticket = tickets.seal(b"session", at(1000)).unwrap();
        assert_eq!(tickets.open(&ticket, at(1600)).as_deref(), Some(&b"session"[..]));
        for wrong in [1601, 999] {
            assert_eq!(tickets.open(&ticket, at(wrong)), None, "{wrong}");
        }
        assert_eq!(tickets.lifetime(), 600);
    }

    #[test]
    fn a_ticket_counts_in_its_context_only() {
        let ring = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let [open, guarded] = [[0; 32], [1; 32]].map(|context| BoundTickets::new(Arc::clone(&ring), context, TIMEOUT));
        let ticket = open.encrypt(b"session").unwrap();
        assert_eq!(open.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(guarded.decrypt(&ticket), None);
        assert_eq!(
            BoundTickets::new(ring, [0; 32], TIMEOUT).decrypt(&ticket).as_deref(),
            Some(&b"session"[..]),
            "on any core"
        );
        assert_eq!(open.decrypt(b"junk"), None);
    }
}
