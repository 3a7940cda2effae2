//! The keys of session tickets that all replicas share: one Secret that the leader keeps (`--ticket-secret`), and one
//! key that the ConfigMap may give. What cannot be used leaves what was used before, else every process its own keys.

use std::sync::Arc;

use super::report::Reports;
use super::store::Store;
use crate::diagnostics::Finding;
use crate::model::{Kind, ObjectKey, ObjectRef, Secret};
use crate::snapshot::{TICKET_KEYS_MAX, TicketKey, TicketKeys};

/// What the name of a value starts with; the second of the Unix epoch follows from which on the key seals.
pub const TICKET_KEY_PREFIX: &str = "key-";

/// The shared keys.
#[derive(Debug)]
pub(super) struct TicketTable {
    secret: Option<ObjectKey>,
    dirty: bool,
    /// As the Secret last had any.
    rotated: Box<[TicketKey]>,
    keys: Option<Arc<TicketKeys>>,
    /// Of the Secret, until they are told.
    unreported: Option<Vec<Finding>>,
}

impl TicketTable {
    pub(super) fn new(secret: Option<ObjectKey>) -> Self {
        Self { dirty: secret.is_some(), secret, rotated: Box::default(), keys: None, unreported: None }
    }

    /// A Secret has changed.
    pub(super) fn mark(&mut self, secret: &ObjectKey) {
        self.dirty |= self.secret.as_ref() == Some(secret);
    }

    /// Reads the Secret again if it has changed.
    pub(super) fn refresh(&mut self, store: &Store, given: Option<&TicketKey>) {
        if std::mem::take(&mut self.dirty)
            && let Some(key) = &self.secret
        {
            let object = ObjectRef { kind: Kind::Secret, key: key.clone() };
            let findings = match store.secrets.get(key) {
                Some(secret) => {
                    let Read { keys, mut findings } = read_ticket_keys(secret);
                    if keys.is_empty() {
                        let kept = if self.rotated.is_empty() {
                            "every process uses its own"
                        } else {
                            "those before are kept"
                        };
                        let message = format!("is the --ticket-secret and holds no key of session tickets; {kept}");
                        findings.push(Finding::warning(&object, "data", message));
                    } else {
                        self.rotated = keys;
                    }
                    findings
                }
                None => {
                    self.rotated = Box::default();
                    let message = "is the --ticket-secret and does not exist; every process uses keys of its own for \
                                   session tickets until the leader has made it";
                    vec![Finding::warning(&object, "", message)]
                }
            };
            self.unreported = Some(findings);
        }
        let keys = TicketKeys { given: given.cloned(), rotated: self.rotated.clone() };
        let keys = Some(keys).filter(|keys| keys.iter().next().is_some());
        if keys != self.keys.as_deref().cloned() {
            self.keys = keys.map(Arc::new);
        }
    }

    /// Tells the findings of the Secret if it has changed; after those of certificates, as any Secret may be one.
    pub(super) fn report(&mut self, reports: &mut Reports) {
        if let (Some(key), Some(findings)) = (&self.secret, self.unreported.take()) {
            reports.set(ObjectRef { kind: Kind::Secret, key: key.clone() }, findings);
        }
    }

    pub(super) fn keys(&self) -> Option<&Arc<TicketKeys>> {
        self.keys.as_ref()
    }
}

/// What a Secret of ticket keys holds.
#[derive(Debug, Default)]
pub struct Read {
    /// Usable keys, oldest first.
    pub keys: Box<[TicketKey]>,
    /// One for each value that is none. Values are never in a message.
    pub findings: Vec<Finding>,
}

/// Reads a Secret of ticket keys.
pub fn read_ticket_keys(secret: &Secret) -> Read {
    let object = ObjectRef { kind: Kind::Secret, key: secret.meta.key.clone() };
    let (mut keys, mut findings) = (Vec::new(), Vec::new());
    for (name, value) in &secret.data {
        let from = name.strip_prefix(TICKET_KEY_PREFIX).and_then(|from| from.parse().ok());
        let fault = match from.map(|from| TicketKey::new(from, value)) {
            Some(Some(key)) => {
                keys.push(key);
                continue;
            }
            Some(None) => format!("has {} bytes; a key of session tickets has 32, 48 or 80", value.len()),
            None => "is no key of session tickets: those are named key- and a second of the Unix epoch".to_owned(),
        };
        findings.push(Finding::warning(&object, format!("data.{name}"), format!("{fault}; it is not used")));
    }
    keys.sort_by_key(|key| key.from);
    if let Some(more) = keys.len().checked_sub(TICKET_KEYS_MAX).filter(|&more| more > 0) {
        keys.drain(..more);
        findings.push(Finding::warning(&object, "data", format!("the oldest {more} keys are not used")));
    }
    Read { keys: keys.into(), findings }
}
