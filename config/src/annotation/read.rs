//! Reading the annotations of one Ingress: values with findings, and the rows that have no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustls::CipherSuite;

use super::{BadValue, NOT_LOADED, Row, Support, find};
use crate::diagnostics::Finding;
use crate::model::{ConfigMap, Ingress, Kind, ObjectKey, ObjectRef, Secret};
use crate::snapshot::CipherList;
use crate::value::{self, Expected, Source};

/// What the annotations begin with that ingress-nginx does not have, whatever the prefix of the others is.
const OWN_PREFIX: &str = "ringress.io/";

/// The objects that annotations and ConfigMap keys may name.
pub(crate) trait Objects {
    fn secret(&self, key: &ObjectKey) -> Option<&Secret>;
    fn config_map(&self, key: &ObjectKey) -> Option<&ConfigMap>;

    /// The labels of a Namespace, if it is known.
    fn namespace_labels(&self, _: &Arc<str>) -> Option<&BTreeMap<Arc<str>, Arc<str>>> {
        None
    }
}

/// The suites of a list that can be offered, with findings about the rest; `None` for all.
pub(crate) fn offered(source: &mut impl Source, name: &str, list: CipherList) -> Option<Box<[CipherSuite]>> {
    if !list.unknown.is_empty() {
        source.warn(name, format!("{} cannot be offered", list.unknown.join(", ")));
    }
    if list.suites.as_deref().is_some_and(<[_]>::is_empty) {
        source.warn(name, "names nothing that can be offered; the default is used".into());
        return None;
    }
    list.suites
}

/// What ingress-nginx lets pass in names and plain values.
pub(super) fn is_basic(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte)
}

/// No objects at all.
pub(crate) struct NoObjects;

impl Objects for NoObjects {
    fn secret(&self, _: &ObjectKey) -> Option<&Secret> {
        None
    }

    fn config_map(&self, _: &ObjectKey) -> Option<&ConfigMap> {
        None
    }
}

/// The annotations of one Ingress, with the findings that reading them makes.
pub(crate) struct Annotations<'a> {
    /// Name without prefix and trimmed value, of the prefix and of those whose row has a whole name.
    known: Vec<(&'a str, &'a str, Option<&'static Row>)>,
    object: &'a ObjectRef,
    prefix: &'a str,
    objects: &'a dyn Objects,
    /// Objects of other namespaces may be named (`allow-cross-namespace-resources`).
    cross_namespace: bool,
    /// As `--enable-annotation-validation` says.
    validates: bool,
    references: BTreeSet<ObjectRef>,
    findings: Vec<Finding>,
    outcome: Outcome,
}

/// What values that could not be read lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The Ingress must not be loaded.
    pub(crate) refused: bool,
    /// Its paths must answer this.
    pub(crate) deny: Option<u16>,
    /// Its hosts must answer this.
    pub(crate) deny_host: Option<u16>,
}

impl Source for Annotations<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(find(name).is_some(), "{name} is read but has no row");
        let found = self.known.iter().find(|(known, ..)| *known == name);
        found.map(|(_, value, _)| *value).filter(|value| !value.is_empty())
    }

    fn warn(&mut self, name: &str, message: String) {
        self.findings.push(Finding::warning(self.object, self.field(name), message));
    }

    fn deny(&mut self, name: &str, message: String) {
        self.error(name, format!("{message}; the paths of this Ingress answer 503"));
        self.outcome.deny = Some(503);
    }

    /// A value that cannot be read has the effect that the row of the annotation names.
    fn get<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<T> {
        let text = self.text(name)?;
        let expected = match parse(text) {
            Ok(value) => return Some(value),
            Err(expected) => expected,
        };
        let message = value::is_not(text, expected);
        match find(name).map(|row| row.bad_value) {
            Some(BadValue::NotLoaded) => self.refuse(name, &message),
            Some(BadValue::Deny) => self.deny(name, message),
            Some(BadValue::DenyHost) => self.deny_host(name, message),
            Some(BadValue::Default | BadValue::Nothing) | None => {
                self.warn(name, format!("{message}; the default is used"));
            }
        }
        None
    }
}

impl<'a> Annotations<'a> {
    pub(crate) fn new(ingress: &'a Ingress, object: &'a ObjectRef, prefix: &'a str) -> Self {
        let known = ingress.annotations.iter().filter_map(|(name, value)| {
            let own = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
            match own {
                Some(short) => Some((short, value.trim(), find(short))),
                None if name.starts_with(OWN_PREFIX) => Some((&**name, value.trim(), find(name))),
                None => find(name).filter(|row| row.name.contains('/')).map(|row| (&**name, value.trim(), Some(row))),
            }
        });
        Self {
            known: known.collect(),
            object,
            prefix,
            objects: &NoObjects,
            cross_namespace: false,
            validates: true,
            references: BTreeSet::new(),
            findings: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// With the objects that values may name.
    pub(crate) fn with_objects(self, objects: &'a dyn Objects, cross_namespace: bool) -> Self {
        Self { objects, cross_namespace, ..self }
    }

    /// With `--enable-annotation-validation` as it is.
    pub(crate) fn validating(self, validates: bool) -> Self {
        Self { validates, ..self }
    }

    /// Whether values may hold only what ingress-nginx' validators let pass.
    pub(crate) fn validates(&self) -> bool {
        self.validates
    }

    /// Reports a value with which the Ingress is not loaded.
    fn refuse(&mut self, name: &str, message: &str) {
        self.outcome.refused = true;
        self.error(name, format!("{message}: {NOT_LOADED}"));
    }

    /// Whether a value holds but what ingress-nginx' validator lets pass, which knows no blanks. With another one the
    /// Ingress is not loaded, whatever else a value of this annotation that cannot be read leads to.
    pub(super) fn is_legal(&mut self, name: &str, is_legal: impl Fn(u8) -> bool, expected: Expected) -> bool {
        let Some(text) = self.text(name).filter(|_| self.validates) else { return true };
        let all = text.bytes().all(|b| b == b' ' || is_legal(b));
        if !all {
            let message = value::is_not(text, expected);
            self.refuse(name, &message);
        }
        all
    }

    /// The same for a value that names an object.
    pub(super) fn is_legal_name(&mut self, name: &str) -> bool {
        self.is_legal(name, is_basic, "namespace/name of letters, digits and - . _ ~ : /")
    }

    /// The Secret that an annotation names. One that cannot be had denies.
    pub(crate) fn secret(&mut self, name: &str) -> Option<&'a Secret> {
        self.find_secret(name).map_err(|fault| self.deny(name, fault)).ok()
    }

    /// The Secret that an annotation of the hosts names. One that cannot be had denies the hosts.
    pub(crate) fn host_secret(&mut self, name: &str) -> Option<&'a Secret> {
        self.find_secret(name).map_err(|fault| self.deny_host(name, fault)).ok()
    }

    /// Reports access control of the hosts that cannot be had; every path of the hosts is refused.
    pub(crate) fn deny_host(&mut self, name: &str, message: String) {
        self.error(name, format!("{message}; the hosts of this Ingress answer 403"));
        self.outcome.deny_host = Some(403);
    }

    fn find_secret(&mut self, name: &str) -> Result<&'a Secret, String> {
        let key = self.named(name, Kind::Secret)?;
        self.objects.secret(&key).ok_or_else(|| format!("Secret {key} does not exist"))
    }

    /// The ConfigMap that an annotation names. One that cannot be had denies.
    pub(crate) fn config_map(&mut self, name: &str) -> Option<&'a ConfigMap> {
        self.text(name)?;
        let key = self.named(name, Kind::ConfigMap).map_err(|fault| self.deny(name, fault)).ok()?;
        let found = self.objects.config_map(&key);
        if found.is_none() {
            self.deny(name, format!("ConfigMap {key} does not exist"));
        }
        found
    }

    /// `name` or `namespace/name`.
    fn named(&mut self, name: &str, kind: Kind) -> Result<ObjectKey, String> {
        let text = self.text(name).ok_or("names nothing")?;
        let own = Arc::clone(&self.object.key.namespace);
        let key = match text.split_once('/') {
            Some((_, object)) if object.contains('/') => return Err(format!("`{text}` is not namespace/name")),
            Some((namespace, object)) => ObjectKey::new(namespace, object),
            None => ObjectKey { namespace: Arc::clone(&own), name: text.into() },
        };
        if key.namespace != own && !self.cross_namespace {
            return Err(format!("{key} is in another namespace and allow-cross-namespace-resources is off"));
        }
        self.references.insert(ObjectRef { kind, key: key.clone() });
        Ok(key)
    }

    /// What the values read so far lead to.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The namespace and name of the Ingress.
    pub(crate) fn key(&self) -> &'a ObjectKey {
        &self.object.key
    }

    /// The field of an annotation, for findings.
    pub(crate) fn field_of(&self, name: &str) -> String {
        self.field(name)
    }

    /// The findings, and the objects that were looked at.
    pub(crate) fn into_parts(self) -> (Vec<Finding>, BTreeSet<ObjectRef>) {
        (self.findings, self.references)
    }

    /// Every annotation that has a row, and those of the prefix that have none.
    pub(crate) fn known(&self) -> Vec<(&'a str, &'a str, Option<&'static Row>)> {
        self.known.clone()
    }

    /// A finding for each annotation that does less than its author may expect.
    pub(crate) fn report(&mut self) {
        for (name, value, row) in self.known() {
            if value.is_empty() || row.is_some_and(|row| row.default == value) {
                continue;
            }
            let Some(row) = row else {
                let whose = if name.starts_with(OWN_PREFIX) { "ringress" } else { "ingress-nginx" };
                self.warn(name, format!("is no annotation of {whose}; it has no effect"));
                continue;
            };
            match row.support {
                Support::Honoured | Support::Except(_) | Support::Differs(_) => {}
                Support::Ignored(why) => self.warn(name, format!("has no effect: {why}")),
                Support::Refused(instead) => {
                    self.error(name, format!("is never inserted; served without it. Instead, {instead}"));
                }
            }
        }
    }

    /// What acts here as in ingress-nginx, and not as its author may expect.
    pub(super) fn note(&mut self, name: &str, message: &'static str) {
        self.findings.push(Finding::info(self.object, self.field(name), message));
    }

    pub(crate) fn error(&mut self, name: &str, message: impl Into<Arc<str>>) {
        self.findings.push(Finding::error(self.object, self.field(name), message));
    }

    #[cfg(test)]
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn field(&self, name: &str) -> String {
        match name.contains('/') {
            true => format!("metadata.annotations.{name}"),
            false => format!("metadata.annotations.{}/{name}", self.prefix),
        }
    }
}
