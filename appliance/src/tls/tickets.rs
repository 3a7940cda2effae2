//! Session tickets that are worth something only where the handshake would have been the same.

use std::sync::Arc;

use ringress_config::snapshot::AuthContext;
use rustls::server::ProducesTickets;

/// The ring of all cores, bound to a context: a session that was made without asking for a certificate, or by other
/// authorities, is not resumed where one is asked for.
#[derive(Debug)]
pub(super) struct BoundTickets {
    ring: Arc<dyn ProducesTickets>,
    context: AuthContext,
}

impl BoundTickets {
    pub(super) fn new(ring: Arc<dyn ProducesTickets>, context: AuthContext) -> Self {
        Self { ring, context }
    }
}

impl ProducesTickets for BoundTickets {
    fn enabled(&self) -> bool {
        self.ring.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.ring.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.ring.encrypt(&[&self.context, plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut bound = self.ring.decrypt(cipher)?;
        bound.starts_with(&self.context).then(|| bound.split_off(self.context.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_counts_in_its_context_only() {
        let ring = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let [open, guarded] = [[0; 32], [1; 32]].map(|context| BoundTickets::new(Arc::clone(&ring), context));
        let ticket = open.encrypt(b"session").unwrap();
        assert_eq!(open.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(guarded.decrypt(&ticket), None);
        assert_eq!(BoundTickets::new(ring, [0; 32]).decrypt(&ticket).as_deref(), Some(&b"session"[..]), "on any core");
        assert_eq!(open.decrypt(b"junk"), None);
    }
}
