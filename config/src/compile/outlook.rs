//! What the compiled whole would say of an Ingress that is not in it yet: its hosts beside what others want of them, the
//! clusters and the certificates that it names. Made anew from the parts that it touches, whatever else exists; nothing
//! here is kept.

use std::collections::BTreeSet;

use super::clusters::ClusterTable;
use super::endpoints::Known;
use super::hosts::{HostTable, Surroundings};
use super::report::Reports;
use super::{Arc, Compiler};
use crate::diagnostics::Finding;
use crate::intent::{Intent, TlsIntent};
use crate::model::{Kind, Object, ObjectKey, ObjectRef};
use crate::settings::Globals;

impl Compiler {
    /// What there is to say of an intent in the place of the one that its object has now, apart from the translation.
    /// `read` are Secrets beside those that are known.
    pub(super) fn outlook(&self, new: &Arc<Intent>, globals: &Globals, read: &[Object]) -> Vec<Finding> {
        let old = self.ingresses.get(&new.meta.key).and_then(|known| known.intent.as_ref());
        let mut hosts = self.hosts.with_instead(old, new);
        let mut clusters = self.clusters.with_instead(hosts.intents(), new);
        let known = Known { store: &self.store, options: &self.options, here: &self.here };
        clusters.refresh(known, &globals.balancing, &mut Reports::default());
        let looked_up = self.hosts.secrets(new).chain(tls_secrets(new));
        let mut certificates = self.certificates.with_read(looked_up, read);
        let around = Surroundings { globals: &self.globals, options: &self.options, clusters: &clusters };
        hosts.build(&around, &mut certificates, &self.store);
        findings(new, &clusters, &hosts)
    }
}

/// What is to be said of an intent, apart from its translation.
pub(super) fn findings(intent: &Intent, clusters: &ClusterTable, hosts: &HostTable) -> Vec<Finding> {
    let problems = intent.clusters().filter_map(|(field, cluster)| {
        let problem = clusters.problem(cluster)?;
        Some(Finding::warning(&intent.source, field, format!("{problem}; requests are answered 503")))
    });
    let notes = intent
        .clusters()
        .filter_map(|(field, cluster)| Some(Finding::warning(&intent.source, field, clusters.note(cluster)?)));
    let overruled = intent.clusters().filter_map(|(_, cluster)| {
        let (field, message) = clusters.overruled(cluster, intent)?;
        Some(Finding::warning(&intent.source, field, message))
    });
    problems.chain(notes).chain(overruled).chain(hosts.findings(intent).cloned()).collect()
}

/// Each remark once: several routes of an object may have the same fault.
pub(super) fn each_once(findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    findings.retain(|finding| seen.insert((finding.field.clone(), finding.message.clone())));
}

/// The Secrets whose certificates an intent wants to present.
pub(super) fn tls_secrets(intent: &Intent) -> impl Iterator<Item = &ObjectKey> {
    intent.hosts.iter().flat_map(|host| {
        let (one, more) = match &host.tls {
            TlsIntent::None => (None, &[][..]),
            TlsIntent::Listed { secret, others, .. } => (secret.as_ref(), others.as_slice()),
            TlsIntent::AnyOf(all) => (None, all.as_slice()),
        };
        one.into_iter().chain(more)
    })
}

/// The same as objects.
pub(super) fn tls_references(intent: &Intent) -> impl Iterator<Item = ObjectRef> {
    tls_secrets(intent).map(|key| ObjectRef { kind: Kind::Secret, key: key.clone() })
}
