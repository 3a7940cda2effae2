//! OCSP stapling (ConfigMap `enable-ocsp`): a thread asks the responders of the certificates that the newest snapshot
//! presents, and workers send along what it has. No handshake ever waits for a responder: without an answer there is none.

#![expect(clippy::disallowed_types, reason = "a thread of its own, beside the cores")]

mod answer;
mod fetch;
mod staples;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use ringress_config::snapshot::{Certificate, ServerCertificate, Snapshot};
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;
use tokio::task::JoinSet;

use self::answer::{Question, Unaskable, Verdict};
pub(crate) use self::staples::Outcome;
use self::staples::Stapled;
pub use self::staples::Staples;
use crate::admin::ControlPlane;

/// How often the snapshot and the times are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Responders that are asked at a time.
const ASKED_MAX: usize = 4;
/// Certificates that are asked about; those beyond it go without an answer.
const CERTIFICATES_MAX: usize = 4096;
/// An answer is asked for anew at half of its time, and after this as in ingress-nginx…
const KEPT_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
/// …but never sooner.
const KEPT_MIN: Duration = Duration::from_secs(60);
/// From a failure to the next try; doubled with each one…
const RETRY_MIN: Duration = Duration::from_secs(10);
/// …up to this. Also from word that a certificate is revoked or unknown to the next question.
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// Starts the thread; it ends with the process. `local` lets it ask responders on this machine and its link.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(control: Arc<dyn ControlPlane>, staples: Staples, local: bool) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // Name look-ups, which cannot be ended.
    let runtime = runtime.enable_all().max_blocking_threads(ASKED_MAX).build()?;
    let mut stapler = Stapler { staples, local, ..Stapler::default() };
    let run = move || runtime.block_on(async move { stapler.run(&*control).await });
    std::thread::Builder::new().name("ocsp".to_owned()).spawn(run).map(drop)
}

/// All that the thread knows.
#[derive(Default)]
struct Stapler {
    staples: Staples,
    local: bool,
    /// The generation that was looked at, while stapling is on.
    generation: Option<u64>,
    /// Certificates in use, by fingerprint: the same one may be in several Secrets.
    known: HashMap<String, Known>,
    /// There are more of them than are asked about.
    crowded: bool,
    asking: JoinSet<(String, Result<Bytes, fetch::FetchError>)>,
}

/// One certificate.
struct Known {
    /// It as the snapshot has it, once for each Secret.
    keys: Vec<Arc<CertifiedKey>>,
    question: Result<Arc<Question>, Unaskable>,
    answer: Option<Answer>,
    /// The keys with the answer.
    stapled: Vec<Stapled>,
    /// When to ask next; `None` while an answer is waited for, or nothing can be asked.
    due: Option<Instant>,
    failures: u32,
}

/// An answer that may be sent.
struct Answer {
    bytes: Bytes,
    /// Seconds since 1970.
    until: u64,
}

impl Stapler {
    async fn run(&mut self, control: &dyn ControlPlane) {
        loop {
            if let Some(snapshot) = control.snapshot() {
                self.follow(&snapshot);
            }
            self.ask(Instant::now());
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Some(asked) = self.asking.join_next() => match asked {
                    Ok((fingerprint, answer)) => self.take(&fingerprint, answer),
                    Err(_) => self.forget_asked(),
                },
            }
        }
    }

    /// Looks at a snapshot that was not looked at.
    fn follow(&mut self, snapshot: &Snapshot) {
        if !snapshot.settings.tls.ocsp {
            if self.generation.take().is_some() {
                self.asking.abort_all();
                self.known.clear();
                self.publish();
            }
            return;
        }
        if self.generation.replace(snapshot.generation) == Some(snapshot.generation) {
            return;
        }
        let mut before = std::mem::take(&mut self.known);
        let was_crowded = std::mem::take(&mut self.crowded);
        for certificate in certificates(snapshot) {
            if let Some(known) = self.known.get_mut(&certificate.fingerprint) {
                if known.keys.iter().all(|key| !Arc::ptr_eq(key, &certificate.key)) {
                    known.keys.push(Arc::clone(&certificate.key));
                    known.staple();
                }
                continue;
            }
            if self.known.len() == CERTIFICATES_MAX {
                self.crowded = true;
                if !was_crowded {
                    tracing::warn!(most = CERTIFICATES_MAX, "OCSP: too many certificates; some go without an answer");
                }
                break;
            }
            let known = match before.remove(&certificate.fingerprint) {
                Some(mut known) if known.question.is_ok() || known.is_of(certificate) => {
                    known.keys = vec![Arc::clone(&certificate.key)];
                    known.staple();
                    known
                }
                // The chain may be whole now.
                _ => Known::new(certificate),
            };
            self.known.insert(certificate.fingerprint.clone(), known);
        }
        self.publish();
    }

    /// Asks what is due, as far as there is room.
    fn ask(&mut self, now: Instant) {
        let local = self.local;
        for (fingerprint, known) in &mut self.known {
            if self.asking.len() >= ASKED_MAX {
                return;
            }
            let Ok(question) = &known.question else { continue };
            if known.due.is_none_or(|due| now < due) {
                continue;
            }
            known.due = None;
            let (fingerprint, question) = (fingerprint.clone(), Arc::clone(question));
            self.asking.spawn(async move {
                let answer = fetch::post(&question.url, question.request.clone(), local).await;
                (fingerprint, answer)
            });
        }
    }

    /// A question was broken off, and it cannot be told which: all that are open are asked again.
    fn forget_asked(&mut self) {
        let again = Instant::now() + RETRY_MIN;
        for known in self.known.values_mut().filter(|known| known.question.is_ok()) {
            known.due.get_or_insert(again);
        }
    }

    /// Takes in what a responder said. It may be about a certificate that is gone.
    fn take(&mut self, fingerprint: &str, fetched: Result<Bytes, fetch::FetchError>) {
        let Some(known) = self.known.get_mut(fingerprint) else { return };
        let Ok(question) = &known.question else { return };
        let now = UnixTime::now();
        let fetched = fetched.map_err(|error| (Outcome::Failed, error.to_string()));
        let judged = fetched.and_then(|bytes| {
            let verdict = question.judge(&bytes, now).map_err(|error| (Outcome::Refused, error.to_string()))?;
            Ok((verdict, bytes))
        });
        let (outcome, pause) = match judged {
            Ok((Verdict::Good { until }, bytes)) => {
                known.answer = Some(Answer { bytes, until });
                let half = Duration::from_secs(until.saturating_sub(now.as_secs()) / 2);
                (Outcome::Good, half.clamp(KEPT_MIN, KEPT_MAX))
            }
            Ok((bad, _)) => {
                known.answer = None;
                let revoked = bad == Verdict::Revoked;
                let word = if revoked { "revoked" } else { "unknown to it" };
                tracing::error!(responder = question.url, fingerprint, "OCSP: the certificate is {word}");
                (if revoked { Outcome::Revoked } else { Outcome::Unknown }, RETRY_MAX)
            }
            // What there is goes on being sent until its own end.
            Err((outcome, error)) => {
                tracing::warn!(responder = question.url, fingerprint, "OCSP: {error}");
                (outcome, RETRY_MIN.saturating_mul(1 << known.failures.min(16)).min(RETRY_MAX))
            }
        };
        let failed = matches!(outcome, Outcome::Refused | Outcome::Failed);
        known.staple();
        known.failures = if failed { known.failures + 1 } else { 0 };
        // Many certificates of one start do not stay in step.
        known.due = Some(Instant::now() + pause.mul_f64(0.9 + 0.1 * fastrand::f64()));
        self.staples.note(outcome);
        self.publish();
    }

    /// Hands the workers what there is.
    fn publish(&self) {
        self.staples.replace(self.known.values().flat_map(|known| &known.stapled).cloned());
    }
}

impl Known {
    fn new(certificate: &Certificate) -> Self {
        let question = Question::about(&certificate.key.cert).map(Arc::new);
        if let Err(reason) = &question {
            let secret = certificate.secret.as_ref().map(ToString::to_string).unwrap_or_default();
            match reason {
                // Many authorities have given responders up.
                Unaskable::NoResponder => tracing::debug!(secret, "OCSP: {reason}"),
                Unaskable::NoIssuer | Unaskable::Unreadable => tracing::warn!(secret, "OCSP: {reason}"),
            }
        }
        let (keys, due) = (vec![Arc::clone(&certificate.key)], question.is_ok().then(Instant::now));
        Self { keys, question, answer: None, stapled: Vec::new(), due, failures: 0 }
    }

    /// Whether the question, or that there is none, comes from this very object.
    fn is_of(&self, certificate: &Certificate) -> bool {
        self.keys.first().is_some_and(|key| Arc::ptr_eq(key, &certificate.key))
    }

    /// Puts the answer to the keys.
    fn staple(&mut self) {
        let stapled = |answer: &Answer| {
            let with = |bare: &Arc<CertifiedKey>| {
                let with = CertifiedKey { ocsp: Some(answer.bytes.to_vec()), ..CertifiedKey::clone(bare) };
                Stapled { bare: Arc::clone(bare), with: Arc::new(with), until: answer.until }
            };
            self.keys.iter().map(with).collect()
        };
        self.stapled = self.answer.as_ref().map(stapled).unwrap_or_default();
    }
}

/// Every certificate that is presented to somebody.
fn certificates(snapshot: &Snapshot) -> impl Iterator<Item = &Certificate> {
    let all = &snapshot.certificates;
    let shown = all.exact.iter().chain(all.wildcard.iter()).map(|(_, shown)| shown);
    let own = shown.flat_map(|shown| match shown {
        ServerCertificate::Own(own) => [Some(own), None],
        ServerCertificate::Both { preferred, fallback } => [Some(preferred), Some(fallback)],
        ServerCertificate::Default => [None, None],
    });
    own.flatten().chain([&all.default]).map(|certificate| &**certificate)
}
