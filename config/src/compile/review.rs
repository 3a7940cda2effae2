//! What would become of an Ingress if it were written now: the webhook's question, answered by the same translation
//! that serves, against the state as it is compiled. Nothing changes by asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::store::Store;
use super::{Compiler, outlook};
use crate::annotation::{Annotations, Objects, Support};
use crate::diagnostics::{Finding, Severity};
use crate::frontend::ingress::{self, Context};
use crate::intent::{HostIntent, HostRole, Intent, RouteIntent, Verdict};
use crate::model::{ConfigMap, Ingress, IngressPathKind, Kind, Object, ObjectKey, ObjectRef, Secret};
use crate::options::Options;
use crate::snapshot::Pattern;

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Why it must not be written; empty when it may.
    pub refused: Vec<Finding>,
    /// What its author should know.
    pub warnings: Vec<Finding>,
}

/// What is known, and what was read for this question alone.
struct Known<'a> {
    store: &'a Store,
    read: &'a [Object],
}

impl Known<'_> {
    fn has(&self, object: &ObjectRef) -> bool {
        match object.kind {
            Kind::Secret => self.secret(&object.key).is_some(),
            Kind::ConfigMap => self.config_map(&object.key).is_some(),
            _ => true,
        }
    }
}

impl Objects for Known<'_> {
    fn secret(&self, key: &ObjectKey) -> Option<&Secret> {
        let read = || {
            self.read.iter().find_map(|object| match object {
                Object::Secret(secret) if secret.meta.key == *key => Some(&**secret),
                _ => None,
            })
        };
        self.store.secret(key).or_else(read)
    }

    fn config_map(&self, key: &ObjectKey) -> Option<&ConfigMap> {
        let read = || {
            self.read.iter().find_map(|object| match object {
                Object::ConfigMap(map) if map.meta.key == *key => Some(&**map),
                _ => None,
            })
        };
        self.store.config_map(key).or_else(read)
    }

    fn namespace_labels(&self, namespace: &Arc<str>) -> Option<&BTreeMap<Arc<str>, Arc<str>>> {
        self.store.namespace_labels(namespace)
    }
}

impl Compiler {
    /// The Secrets and ConfigMaps that an Ingress which is about to be written names and that are not known: it does not exist, or nobody
    /// has asked for it yet.
    pub fn unread(&self, new: &Ingress) -> Vec<ObjectRef> {
        let (options, globals, classes) = (&self.options, self.globals_of(new), &self.classes);
        let known = Known { store: &self.store, read: &[] };
        let translation = ingress::translate(new, Context { options, globals, classes, objects: &known });
        let mut named = translation.references;
        if let Verdict::Accepted(intent) = &translation.verdict {
            named.extend(outlook::tls_references(intent));
        }
        named.into_iter().filter(|object| !known.has(object)).collect()
    }

    /// Reviews an Ingress that is about to be created or changed. `read` are objects beside those that are known.
    pub fn review(&self, new: &Ingress, read: &[Object]) -> Review {
        let object = ObjectRef { kind: Kind::Ingress, key: new.meta.key.clone() };
        let (options, globals, classes) = (&self.options, self.globals_of(new), &self.classes);
        let known = Known { store: &self.store, read };
        let translation = ingress::translate(new, Context { options, globals, classes, objects: &known });
        let mut review = Review::default();
        let is_accepted = matches!(translation.verdict, Verdict::Accepted(_));
        for finding in translation.findings {
            match is_refusal(&finding, new, is_accepted, self) {
                true => review.refused.push(finding),
                false => review.warnings.push(finding),
            }
        }
        if let Verdict::Foreign = translation.verdict {
            return review;
        }
        review.refused.extend(foreign_prefix(new, &object, options));
        if globals.strict_path_types {
            review.refused.extend(loose_paths(new, &object));
        }
        if let Verdict::Accepted(intent) = &translation.verdict {
            review.refused.extend(broken_patterns(intent));
            review.refused.extend(self.overlaps(intent));
            // What is missing may come in the same `kubectl apply`, so nothing of this is a reason to refuse.
            if review.refused.is_empty() {
                review.warnings.extend(self.outlook(intent, globals, read));
            }
        }
        outlook::each_once(&mut review.warnings);
        review
    }

    /// Paths that another Ingress of ours has, of whichever type, as ingress-nginx compares them (reference 3.2). Those that
    /// this Ingress has already are not held against it: whatever else is wrong with it must stay repairable.
    fn overlaps(&self, new: &Intent) -> Vec<Finding> {
        let old = self.ingresses.get(&new.meta.key).and_then(|known| known.intent.as_ref());
        let mut findings = Vec::new();
        for host in &new.hosts {
            let before = old.and_then(|old| old.host(&host.host)).filter(|before| is_canary(before) == is_canary(host));
            for route in &host.routes {
                if before.is_some_and(|before| has(before, route)) {
                    continue;
                }
                let others = self.hosts.claims(&host.host).filter(|other| other.meta.key != new.meta.key);
                let mut rivals = others.filter(|other| {
                    other.host(&host.host).is_some_and(|known| is_rival(known, host) && has(known, route))
                });
                if let Some(rival) = rivals.next() {
                    let what = if is_canary(host) { "a canary of" } else { "served by" };
                    let message = format!("host {}, path {} is already {what} {}", host.host, route.path, rival.source);
                    findings.push(Finding::error(&new.source, route.field.as_str(), message));
                }
            }
        }
        findings
    }
}

/// Whether a finding keeps the Ingress out. Annotations that can be read but not carried out at the moment, such as
/// one that names a Secret which comes later, are a warning.
fn is_refusal(finding: &Finding, ingress: &Ingress, is_accepted: bool, compiler: &Compiler) -> bool {
    let Some(annotation) = finding.field.strip_prefix("metadata.annotations.") else {
        return finding.severity == Severity::Error;
    };
    let is_snippet = || {
        let object = &finding.object;
        let annotations = Annotations::new(ingress, object, &compiler.options.annotations_prefix);
        let field = |name: &str| annotations.field_of(name);
        let mut known = annotations.known().into_iter();
        known.any(|(name, _, row)| {
            row.is_some_and(|row| matches!(row.support, Support::Refused(_)))
                && field(name).strip_prefix("metadata.annotations.") == Some(annotation)
        })
    };
    finding.severity == Severity::Error && (!is_accepted || (!compiler.globals.snippets_admitted && is_snippet()))
}

fn is_canary(host: &HostIntent) -> bool {
    matches!(host.role, HostRole::Canary(_))
}

/// Rules stand against rules, canaries against canaries; aliases and siblings give way by themselves.
fn is_rival(one: &HostIntent, other: &HostIntent) -> bool {
    match (&one.role, &other.role) {
        (HostRole::Rule, HostRole::Rule) => true,
        // Those that have an order stand beside each other.
        (HostRole::Canary(one), HostRole::Canary(other)) => one.order.is_none() && other.order.is_none(),
        (HostRole::Rule | HostRole::Alias { .. } | HostRole::Sibling | HostRole::Canary(_), _) => false,
    }
}

fn has(host: &HostIntent, route: &RouteIntent) -> bool {
    host.routes.iter().any(|known| known.path == route.path)
}

/// With a prefix of its own, an annotation of the usual one is a mistake that would show only in its absence.
fn foreign_prefix(ingress: &Ingress, object: &ObjectRef, options: &Options) -> Option<Finding> {
    let usual = Options::default().annotations_prefix;
    if options.annotations_prefix == usual {
        return None;
    }
    let is_usual = |name: &str| name.strip_prefix(&*usual).is_some_and(|rest| rest.starts_with('/'));
    let (name, _) = ingress.annotations.iter().find(|(name, _)| is_usual(name))?;
    let message = format!("this controller reads annotations of the prefix {}", options.annotations_prefix);
    Some(Finding::error(object, format!("metadata.annotations.{name}"), message))
}

/// `strict-validate-path-type`: literal paths without characters that only a pattern would need.
fn loose_paths(ingress: &Ingress, object: &ObjectRef) -> Vec<Finding> {
    let is_plain = |path: &str| path.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    let mut findings = Vec::new();
    for (rule, of_rule) in ingress.rules.iter().enumerate() {
        for (index, path) in of_rule.paths.iter().enumerate() {
            if path.kind != IngressPathKind::ImplementationSpecific && !is_plain(&path.path) {
                let field = format!("spec.rules[{rule}].http.paths[{index}].path");
                let message = format!(
                    "`{}` holds more than letters, digits and . _ - /, which strict-validate-path-type allows to \
                     ImplementationSpecific paths only",
                    path.path
                );
                findings.push(Finding::error(object, field, message));
            }
        }
    }
    findings
}

fn broken_patterns(intent: &Intent) -> Vec<Finding> {
    let routes = intent.hosts.iter().flat_map(|host| &host.routes).filter(|route| route.regex);
    let broken = routes.filter_map(|route| {
        let error = Pattern::new(&route.path).err()?;
        Some(Finding::error(&intent.source, format!("{}.path", route.field), error.to_string()))
    });
    broken.collect()
}
