//! Which endpoints a core passes over, for people who ask. A core tells it when it tidies up, once a second, and only where
//! it has changed: no request waits for it or touches it.

use std::net::SocketAddr;

use arc_swap::ArcSwapOption;

/// Endpoints that were ejected and have not been seen well since, by identity of their cluster and address.
#[derive(Debug, Default)]
pub struct Ejected(ArcSwapOption<Vec<(u64, SocketAddr)>>);

impl Ejected {
    /// They are these from now on.
    pub(crate) fn tell(&self, ejected: Vec<(u64, SocketAddr)>) {
        let known = self.0.load();
        if known.as_deref().map_or(&[][..], |known| known) != ejected {
            self.0.store((!ejected.is_empty()).then(|| ejected.into()));
        }
    }

    /// What was told last.
    pub fn list(&self) -> Vec<(u64, SocketAddr)> {
        self.0.load().as_deref().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_is_known() {
        let (ejected, one) = (Ejected::default(), (7, SocketAddr::from(([192, 0, 2, 1], 80))));
        for told in [vec![], vec![one], vec![one, (8, one.1)], vec![]] {
            ejected.tell(told.clone());
            assert_eq!(ejected.list(), told);
        }
    }
}
