//! What the thread of OCSP hands to the workers and to the metrics.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

/// Certificates with an answer that is sent along. Workers read; one thread replaces the whole table.
#[derive(Clone, Debug, Default)]
pub struct Staples(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By the address of the certificate as snapshots have it, which an entry keeps alive.
    table: ArcSwap<HashMap<usize, Stapled, foldhash::fast::FixedState>>,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

/// One certificate.
#[derive(Clone, Debug)]
pub(super) struct Stapled {
    /// As snapshots have it.
    pub(super) bare: Arc<CertifiedKey>,
    /// The same with the answer.
    pub(super) with: Arc<CertifiedKey>,
    /// End of the answer, seconds since 1970.
    pub(super) until: u64,
}

/// What asking a responder came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Stapled from now on.
    Good,
    /// Not stapled: the certificate is revoked.
    Revoked,
    /// Not stapled: the responder does not know the certificate.
    Unknown,
    /// There was an answer that cannot be trusted.
    Refused,
    /// There was none.
    Failed,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Good, Self::Revoked, Self::Unknown, Self::Refused, Self::Failed];

    /// Its name in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Staples {
    /// The certificate with an answer that is valid now.
    pub(crate) fn find(&self, bare: &Arc<CertifiedKey>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.table.load();
        let stapled = table.get(&address(bare))?;
        (UnixTime::now().as_secs() < stapled.until).then(|| Arc::clone(&stapled.with))
    }

    /// Certificates with a valid answer.
    pub(crate) fn valid(&self) -> usize {
        let now = UnixTime::now().as_secs();
        self.0.table.load().values().filter(|stapled| now < stapled.until).count()
    }

    /// How often asking came to this.
    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.0.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, outcome: Outcome) {
        self.0.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn replace(&self, all: impl IntoIterator<Item = Stapled>) {
        let table = all.into_iter().map(|stapled| (address(&stapled.bare), stapled)).collect();
        self.0.table.store(Arc::new(table));
    }
}

fn address(key: &Arc<CertifiedKey>) -> usize {
    Arc::as_ptr(key).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_not_sent_after_its_end() {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let certificate =
            ringress_config::snapshot::Certificate::from_pem(pem.as_bytes(), key.as_bytes(), None).unwrap();
        let stapled = |until| {
            let mut with = CertifiedKey::clone(&certificate.key);
            with.ocsp = Some(vec![1]);
            Stapled { bare: Arc::clone(&certificate.key), with: Arc::new(with), until }
        };
        let (staples, now) = (Staples::default(), UnixTime::now().as_secs());
        assert!(staples.find(&certificate.key).is_none());
        staples.replace([stapled(now + 1000)]);
        assert_eq!(staples.find(&certificate.key).unwrap().ocsp.as_deref(), Some(&[1][..]));
        assert_eq!(staples.valid(), 1);
        let copy = Arc::new(CertifiedKey::clone(&certificate.key));
        assert!(staples.find(&copy).is_none());
        staples.replace([stapled(now)]);
        assert!(staples.find(&certificate.key).is_none() && staples.valid() == 0);
    }
}
