//! What becomes of what was written for ingress-nginx: object by object what acts the same, what differs and what is
//! refused. Every sentence is that of a table row or of a finding that the compiler made; nothing is said twice.

mod text;

use std::sync::Arc;

use serde::Serialize;

use super::Compiler;
use crate::annotation::{Annotations, Priority, Support};
use crate::diagnostics::{Finding, Severity};
use crate::frontend::ingress::{self, Context};
use crate::intent::Verdict;
use crate::model::{Ingress, Kind, ObjectKey, ObjectRef};
use crate::settings;

/// How something fares here beside ingress-nginx, from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// As there.
    #[default]
    Same,
    /// Accepted; not all of it acts as there.
    Differs,
    /// Not accepted, or not served as written.
    Refused,
}

impl Parity {
    /// Its name in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Refused => "refused",
        }
    }

    /// Of an option that is set to something else than its default.
    fn of(support: Support, priority: Priority) -> Self {
        match support {
            // A value that is an exception has a finding.
            Support::Honoured | Support::Except(_) => Self::Same,
            // What ingress-nginx itself has dropped acts in neither.
            Support::Ignored(_) if priority == Priority::X => Self::Same,
            Support::Differs(_) | Support::Ignored(_) => Self::Differs,
            Support::Refused(_) => Self::Refused,
        }
    }
}

/// One annotation or key as it is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its whole name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// How it fares.
    pub parity: Parity,
    /// Why, a sentence each.
    pub remarks: Vec<String>,
}

/// A remark on another field than an annotation or key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The field; empty for the object as a whole.
    pub field: Arc<str>,
    /// How it fares.
    pub parity: Parity,
    /// Why.
    pub message: Arc<str>,
}

/// One Ingress of ours, or the ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The worst of what follows.
    pub parity: Parity,
    /// Hosts of its rules; `_` is every host.
    pub hosts: Vec<Arc<str>>,
    /// What is set in it, in the order of the names.
    pub entries: Vec<Entry>,
    /// What else is to be known.
    pub remarks: Vec<Remark>,
}

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// The Ingresses of this controller's classes, by namespace and name.
    pub ingresses: Vec<Migrated>,
    /// The ConfigMap of the options, if there is one.
    pub config_map: Option<Migrated>,
    /// Ingresses of other classes, which are left alone.
    pub foreign: Vec<ObjectKey>,
    /// Findings on other objects.
    pub others: Vec<Finding>,
}

impl Migration {
    /// The worst of all.
    pub fn parity(&self) -> Parity {
        let all = self.ingresses.iter().chain(&self.config_map);
        all.map(|object| object.parity).max().unwrap_or_default()
    }
}

impl Compiler {
    /// Compares what the objects as they are now say with what becomes of it.
    pub fn migration(&mut self) -> Migration {
        let findings = self.compile().findings;
        let mut migration = Migration::default();
        for (key, object) in &self.store.ingresses {
            let source = ObjectRef { kind: Kind::Ingress, key: key.clone() };
            match self.migrated(object, &source) {
                Some(ingress) => migration.ingresses.push(ingress),
                None => migration.foreign.push(key.clone()),
            }
        }
        let config_map = self.options.configmap.as_ref().and_then(|key| self.store.config_maps.get(key));
        if let Some(config_map) = config_map {
            let source = ObjectRef { kind: Kind::ConfigMap, key: config_map.meta.key.clone() };
            let mut about = About::new(&source, self.reports.of(&source));
            for (name, value) in config_map.data.iter().filter(|(_, value)| !value.trim().is_empty()) {
                let row = settings::find(name).map(|row| (row.support, row.priority, row.default));
                about.entry(name, value.trim(), &format!("data.{name}"), row);
            }
            migration.config_map = Some(about.done(Vec::new()));
        }
        let is_told = |object: &ObjectRef| match object.kind {
            Kind::Ingress => true,
            Kind::ConfigMap => config_map.is_some_and(|config_map| config_map.meta.key == object.key),
            _ => false,
        };
        migration.others = findings.iter().filter(|finding| !is_told(&finding.object)).cloned().collect();
        migration
    }

    /// `None` for an Ingress of another class.
    fn migrated(&self, ingress: &Ingress, source: &ObjectRef) -> Option<Migrated> {
        let findings = self.reports.of(source);
        let (options, globals, classes) = (&self.options, &self.globals, &self.classes);
        let context = Context { options, globals, classes, objects: &self.store };
        let verdict = ingress::translate(ingress, context).verdict;
        if matches!(verdict, Verdict::Foreign) && findings.is_empty() {
            return None;
        }
        let mut about = About::new(source, findings);
        let annotations = Annotations::new(ingress, source, &options.annotations_prefix);
        let mut known = annotations.known();
        known.sort_by_key(|(name, ..)| *name);
        for (name, value, row) in known.into_iter().filter(|(_, value, _)| !value.is_empty()) {
            let field = annotations.field_of(name);
            let whole = field.strip_prefix("metadata.annotations.").unwrap_or(&field).to_owned();
            about.entry(&whole, value, &field, row.map(|row| (row.support, row.priority, row.default)));
        }
        let mut hosts: Vec<Arc<str>> =
            ingress.rules.iter().map(|rule| rule.host.clone().unwrap_or_else(|| "_".into())).collect();
        if hosts.is_empty() && ingress.default_backend.is_some() {
            hosts.push("_".into());
        }
        hosts.dedup();
        let mut migrated = about.done(hosts);
        if !matches!(verdict, Verdict::Accepted(_)) {
            migrated.parity = Parity::Refused;
        }
        Some(migrated)
    }
}

/// An object that is being looked at.
struct About<'a> {
    object: &'a ObjectRef,
    /// Those that no entry has taken yet.
    findings: Vec<&'a Finding>,
    entries: Vec<Entry>,
}

impl<'a> About<'a> {
    fn new(object: &'a ObjectRef, findings: &'a [Finding]) -> Self {
        Self { object, findings: findings.iter().collect(), entries: Vec::new() }
    }

    /// An option with support, priority and default of its row, if it has one.
    fn entry(&mut self, name: &str, value: &str, field: &str, row: Option<(Support, Priority, &str)>) {
        let mut entry =
            Entry { name: name.to_owned(), value: value.to_owned(), parity: Parity::Same, remarks: Vec::new() };
        let is_default = row.is_some_and(|(.., default)| default == value);
        if let Some((support, priority, _)) = row.filter(|_| !is_default) {
            entry.parity = Parity::of(support, priority);
            // The other kinds of support have findings, which say the same sentence.
            if let Support::Differs(how) = support {
                entry.remarks.push(how.to_owned());
            }
        }
        // A value that cannot be read acts there as here, mostly; somebody should look at it all the same.
        let values_are_read = row.is_some_and(|(support, ..)| {
            matches!(support, Support::Honoured | Support::Except(_) | Support::Differs(_))
        });
        let (own, rest): (Vec<&Finding>, _) =
            std::mem::take(&mut self.findings).into_iter().partition(|finding| &*finding.field == field);
        self.findings = rest;
        for finding in own {
            let found = match finding.severity {
                Severity::Error => Parity::Refused,
                Severity::Warning if values_are_read => Parity::Differs,
                Severity::Warning | Severity::Info => Parity::Same,
            };
            entry.parity = entry.parity.max(found);
            entry.remarks.push(finding.message.to_string());
        }
        self.entries.push(entry);
    }

    fn done(self, hosts: Vec<Arc<str>>) -> Migrated {
        let remark = |finding: &&Finding| Remark {
            field: Arc::clone(&finding.field),
            // A warning on the routes, such as a Service that is missing, is the same there unless it says what is not.
            parity: match finding.severity {
                Severity::Error => Parity::Refused,
                Severity::Warning if finding.message.contains("in ingress-nginx") => Parity::Differs,
                Severity::Warning | Severity::Info => Parity::Same,
            },
            message: Arc::clone(&finding.message),
        };
        let remarks: Vec<Remark> = self.findings.iter().map(remark).collect();
        let parities = self.entries.iter().map(|entry| entry.parity).chain(remarks.iter().map(|remark| remark.parity));
        let parity = parities.max().unwrap_or_default();
        let ObjectKey { namespace, name } = self.object.key.clone();
        Migrated { namespace, name, parity, hosts, entries: self.entries, remarks }
    }
}
