//! Events on objects that are refused, or not served as they are written: each finding once, at a bounded rate.
//!
//! An event's name follows from what it says and of which object, so that another replica, or this one after a
//! restart, finds it there and does not repeat it.

use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringress_config::diagnostics::{Finding, Severity};
use ringress_config::model::Kind;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use super::api::{Api, Failure, Resource};
use super::leader::Lead;

/// Events that may be written at once…
const BURST: u32 = 25;

/// …and then one in each of these.
const INTERVAL: Duration = Duration::from_secs(1);

/// A finding that goes and comes back is not told again sooner than after this.
const SILENCE: Duration = Duration::from_secs(600);

/// How long a namespace is left alone in which the server said that this account may not.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);

/// Refusals in a row after which the pause between them grows no more.
const REFUSALS_MAX: u32 = 8;

/// Pause after another failure, and after a refusal at first.
const FAILED_PAUSE: Duration = Duration::from_secs(5);

/// Longest message that the API takes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Longest part of an object's name in the name of an event.
const NAME_BYTES_MAX: usize = 230;

/// Which findings are to be told and which have been.
#[derive(Debug, Default)]
pub(crate) struct Book {
    findings: Arc<[Finding]>,
    /// Where the search for the next goes on: first all errors, then all warnings.
    at: (usize, usize),
    /// By digest, when it was told.
    told: HashMap<u64, Instant>,
    /// Namespaces in which nothing may be written, and since when.
    refused: HashMap<Arc<str>, Instant>,
}

impl Book {
    /// All findings as they are now.
    pub(crate) fn findings(&mut self, findings: &Arc<[Finding]>, now: Instant) {
        if Arc::ptr_eq(findings, &self.findings) {
            return;
        }
        self.findings = Arc::clone(findings);
        self.at = (0, 0);
        let current: std::collections::HashSet<u64> = findings.iter().map(digest).collect();
        self.told.retain(|digest, told| current.contains(digest) || now.saturating_duration_since(*told) < SILENCE);
    }

    /// The next finding that nobody has been told of. It counts as told from now on.
    fn next(&mut self, now: Instant) -> Option<Finding> {
        let refused = self.refused.len();
        self.refused.retain(|_, since| now.saturating_duration_since(*since) < REFUSED_PAUSE);
        if self.refused.len() < refused {
            self.at = (0, 0);
        }
        loop {
            let (pass, index) = self.at;
            let Some(finding) = self.findings.get(index) else {
                if pass == 1 {
                    return None;
                }
                self.at = (1, 0);
                continue;
            };
            self.at = (pass, index + 1);
            let wanted = if pass == 0 { Severity::Error } else { Severity::Warning };
            // `*` is a whole kind that may not be read.
            let is_object = resource(finding.object.kind).is_some() && &*finding.object.key.name != "*";
            if finding.severity == wanted
                && is_object
                && !self.refused.contains_key(event_namespace(finding))
                && let Entry::Vacant(untold) = self.told.entry(digest(finding))
            {
                untold.insert(now);
                return Some(finding.clone());
            }
        }
    }

    /// Others need not wait for a namespace in which this account may not write.
    fn refuse(&mut self, finding: &Finding, now: Instant) {
        self.told.remove(&digest(finding));
        self.refused.insert(event_namespace(finding).into(), now);
    }

    /// It could not be told: once more.
    fn put_back(&mut self, finding: &Finding) {
        self.told.remove(&digest(finding));
        self.at = (0, 0);
    }
}

/// FNV-1a: the same in every build, as names on the server follow from it.
fn digest(finding: &Finding) -> u64 {
    let object = &finding.object;
    let parts = [object.kind.as_str(), &object.key.namespace, &object.key.name, &finding.field, &finding.message];
    hash(&parts)
}

fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Where objects of a kind are read by name; `None` for what is no object, or nobody's that could be told.
fn resource(kind: Kind) -> Option<Resource> {
    match kind {
        Kind::Ingress => Some(Resource::Ingress),
        Kind::IngressClass => Some(Resource::IngressClass),
        Kind::Service => Some(Resource::Service),
        Kind::Secret => Some(Resource::Secret),
        Kind::ConfigMap => Some(Resource::ConfigMap),
        Kind::EndpointSlice | Kind::Endpoints | Kind::Namespace | Kind::Node | Kind::Flag | Kind::File => None,
    }
}

/// The book, shared by the control thread and the teller.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    book: Arc<Mutex<Book>>,
    news: Arc<Notify>,
}

impl Desk {
    pub(crate) fn findings(&self, findings: &Arc<[Finding]>) {
        self.open().findings(findings, Instant::now());
        self.news.notify_one();
    }

    fn open(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events that may be written now, and when more may.
struct Rate {
    left: u32,
    filled: Instant,
}

impl Rate {
    /// Takes one; otherwise how long to wait.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled);
        let new = u32::try_from(passed.as_nanos() / INTERVAL.as_nanos()).unwrap_or(u32::MAX);
        if new > 0 {
            self.left = self.left.saturating_add(new).min(BURST);
            self.filled = if self.left == BURST { now } else { self.filled + INTERVAL * new };
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(INTERVAL.saturating_sub(now.saturating_duration_since(self.filled))),
        }
    }
}

/// Writes events while this process leads, until the lead's sender is gone. `me` names the process.
pub(crate) async fn run(api: Api, desk: Desk, mut lead: watch::Receiver<Lead>, me: String) {
    let mut rate = Rate { left: BURST, filled: Instant::now() };
    let mut refusals = 0;
    loop {
        if lead.wait_for(|lead| lead.is_some_and(|until| Instant::now() < until)).await.is_err() {
            return;
        }
        if let Err(pause) = rate.take(Instant::now()) {
            tokio::time::sleep(pause).await;
            continue;
        }
        let next = desk.open().next(Instant::now());
        let Some(finding) = next else {
            rate.left += 1;
            // A right may have been given meanwhile.
            let _news = tokio::time::timeout(REFUSED_PAUSE, desk.news.notified()).await;
            continue;
        };
        let Some(until) = *lead.borrow() else { continue };
        let telling = tokio::time::timeout_at(until.into(), tell(&api, &finding, &me));
        let pause = match telling.await {
            Ok(Ok(())) => {
                refusals = 0;
                continue;
            }
            Ok(Err(Failure::Refused(message))) => {
                if refusals == 0 {
                    warn!("events cannot be written: {message}");
                }
                desk.open().refuse(&finding, Instant::now());
                // It may be so in every namespace.
                tokio::time::sleep(REFUSED_PAUSE.min(FAILED_PAUSE.saturating_mul(1 << refusals))).await;
                refusals = (refusals + 1).min(REFUSALS_MAX);
                continue;
            }
            Ok(Err(failure)) => {
                debug!("an event cannot be written: {failure}");
                FAILED_PAUSE
            }
            Err(_) => Duration::ZERO,
        };
        desk.open().put_back(&finding);
        tokio::time::sleep(pause).await;
    }
}

/// Writes one event, unless the object is gone or the event is there.
async fn tell(api: &Api, finding: &Finding, me: &str) -> Result<(), Failure> {
    let key = &finding.object.key;
    let Some(resource) = resource(finding.object.kind) else { return Ok(()) };
    let metadata = match api.metadata(resource, &key.namespace, &key.name).await {
        Ok(metadata) => metadata,
        // Nothing can be said of it; the log has it all the same.
        Err(Failure::NotFound | Failure::Refused(_)) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let event = event(finding, metadata["uid"].as_str().unwrap_or_default(), me, &jiff::Timestamp::now().to_string());
    match api.create(Resource::Event, event_namespace(finding), &event).await {
        Ok(_) | Err(Failure::Conflict | Failure::NotFound | Failure::Ending) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Events of objects without a namespace are in `default`.
fn event_namespace(finding: &Finding) -> &str {
    let namespace = &*finding.object.key.namespace;
    if namespace.is_empty() { "default" } else { namespace }
}

fn event(finding: &Finding, uid: &str, me: &str, now: &str) -> Value {
    let (object, field) = (&finding.object, &*finding.field);
    let api_version = match object.kind {
        Kind::Ingress | Kind::IngressClass => "networking.k8s.io/v1",
        _ => "v1",
    };
    let is_annotation = field.starts_with("metadata.annotations.");
    let reason = match (finding.severity, is_annotation) {
        // ingress-nginx' word, which alerts look for.
        (Severity::Error, true) => "AnnotationParsingFailed",
        (Severity::Error, false) => "Rejected",
        (Severity::Warning | Severity::Info, _) => "Ignored",
    };
    let separator = if field.is_empty() { "" } else { ": " };
    let message = format!("{field}{separator}{}", finding.message);
    let hash = hash(&[uid, field, &finding.message]);
    let namespace = event_namespace(finding);
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{}.{hash:016x}", cut(&object.key.name, NAME_BYTES_MAX)), "namespace": namespace},
        "involvedObject": {
            "apiVersion": api_version, "kind": object.kind.as_str(), "name": object.key.name,
            "namespace": object.key.namespace, "uid": uid,
        },
        "type": "Warning", "reason": reason, "message": cut(&message, MESSAGE_BYTES_MAX), "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": "ringress"}, "reportingComponent": "ringress", "reportingInstance": me,
    })
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringress_config::model::{ObjectKey, ObjectRef};

    fn finding(severity: Severity, name: &str, message: &str) -> Finding {
        let object = ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("n", name) };
        let field = "metadata.annotations.p/x";
        match severity {
            Severity::Error => Finding::error(&object, field, message),
            Severity::Warning | Severity::Info => Finding { severity, ..Finding::warning(&object, field, message) },
        }
    }

    fn told(book: &mut Book, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| book.next(now)).map(|finding| finding.message.to_string()).collect()
    }

    #[test]
    fn errors_come_first_and_each_finding_is_told_once() {
        let now = Instant::now();
        let mut book = Book::default();
        let info = finding(Severity::Info, "a", "by the way");
        let findings: Arc<[Finding]> =
            [finding(Severity::Warning, "a", "w"), info, finding(Severity::Error, "b", "e")].into();
        book.findings(&findings, now);
        assert_eq!(told(&mut book, now), ["e", "w"]);
        let more: Arc<[Finding]> = findings.iter().cloned().chain([finding(Severity::Error, "c", "new")]).collect();
        book.findings(&more, now);
        assert_eq!(told(&mut book, now), ["new"]);
        book.put_back(&more[0]);
        assert_eq!(told(&mut book, now), ["w"]);
    }

    #[test]
    fn a_namespace_in_which_nothing_may_be_written_holds_up_no_other() {
        let now = Instant::now();
        let mut book = Book::default();
        let mut other = finding(Severity::Error, "b", "other");
        other.object.key.namespace = "other".into();
        book.findings(&[finding(Severity::Error, "a", "one"), finding(Severity::Error, "c", "two"), other].into(), now);
        let first = book.next(now).expect("an untold one");
        book.refuse(&first, now);
        assert_eq!(told(&mut book, now), ["other"]);
        assert_eq!(told(&mut book, now + REFUSED_PAUSE), ["one", "two"], "it is tried again");
    }

    #[test]
    fn a_finding_that_comes_and_goes_is_not_told_each_time() {
        let mut now = Instant::now();
        let mut book = Book::default();
        let (there, gone): (Arc<[Finding]>, Arc<[Finding]>) = ([finding(Severity::Error, "a", "e")].into(), [].into());
        let mut count = 0;
        for _ in 0..100 {
            book.findings(&there, now);
            count += told(&mut book, now).len();
            book.findings(&gone, now);
            now += SILENCE / 50;
        }
        assert!((2..=3).contains(&count), "{count}");
        assert!(book.told.len() <= 1);
    }

    #[test]
    fn the_rate_is_a_burst_and_then_one_a_second() {
        let start = Instant::now();
        let mut rate = Rate { left: BURST, filled: start };
        let mut taken = 0;
        for millisecond in 0..100_000 {
            taken += u32::from(rate.take(start + Duration::from_millis(millisecond)).is_ok());
        }
        assert!((BURST + 98..=BURST + 100).contains(&taken), "{taken}");
    }

    #[test]
    fn an_event_has_the_same_name_whoever_writes_it_and_fits_the_api() {
        let finding = finding(Severity::Error, &"n".repeat(253), &"ä".repeat(2000));
        let one = event(&finding, "uid", "me", "2026-01-01T00:00:00Z");
        let other = event(&finding, "uid", "another", "2027-01-01T00:00:00Z");
        assert_eq!(one["metadata"], other["metadata"]);
        assert!(one["metadata"]["name"].as_str().unwrap().len() <= 253);
        assert!(one["message"].as_str().unwrap().len() <= MESSAGE_BYTES_MAX);
        assert_eq!(one["reason"], "AnnotationParsingFailed");
        let later = event(&finding, "another object of that name", "me", "2026-01-01T00:00:00Z");
        assert_ne!(one["metadata"]["name"], later["metadata"]["name"]);
    }
}
