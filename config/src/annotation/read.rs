//! Reading the annotations of one Ingress: values with findings, and the rows that have no effect.

use std::sync::Arc;

use super::{Meanwhile, Row, Support, find};
use crate::diagnostics::Finding;
use crate::model::{Ingress, ObjectRef};
use crate::value::Source;

/// The annotations of one Ingress, with the findings that reading them makes.
pub(crate) struct Annotations<'a> {
    /// Name without prefix and trimmed value, of the prefix and of those whose row has a whole name.
    known: Vec<(&'a str, &'a str, Option<&'static Row>)>,
    object: &'a ObjectRef,
    prefix: &'a str,
    findings: Vec<Finding>,
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
}

impl<'a> Annotations<'a> {
    pub(crate) fn new(ingress: &'a Ingress, object: &'a ObjectRef, prefix: &'a str) -> Self {
        let known = ingress.annotations.iter().filter_map(|(name, value)| {
            let own = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
            match own {
                Some(short) => Some((short, value.trim(), find(short))),
                None => find(name).filter(|row| row.name.contains('/')).map(|row| (&**name, value.trim(), Some(row))),
            }
        });
        Self { known: known.collect(), object, prefix, findings: Vec::new() }
    }

    /// Every annotation that has a row, and those of the prefix that have none.
    pub(crate) fn known(&self) -> Vec<(&'a str, &'a str, Option<&'static Row>)> {
        self.known.clone()
    }

    /// A finding for each annotation that does less than its author may expect, and the status that the routes and
    /// the hosts have to answer because access control is missing.
    pub(crate) fn report(&mut self) -> Missing {
        let mut missing = Missing::default();
        for (name, value, row) in self.known() {
            if value.is_empty() || row.is_some_and(|row| row.default == value) {
                continue;
            }
            let Some(row) = row else {
                self.warn(name, "is no annotation of ingress-nginx; it has no effect".into());
                continue;
            };
            match row.support {
                Support::Honoured | Support::Differs(_) => {}
                Support::Ignored(why) => self.warn(name, format!("has no effect: {why}")),
                Support::Refused(instead) => {
                    self.error(name, format!("is never inserted; served without it. Instead, {instead}"));
                }
                Support::Pending(Meanwhile::NoEffect) => self.warn(name, "is accepted and has no effect yet".into()),
                Support::Pending(Meanwhile::Answers503) => {
                    missing.route = Some(503);
                    self.error(name, "has no effect yet; as it controls access, the paths of this Ingress answer 503");
                }
                Support::Pending(Meanwhile::Answers403) => {
                    missing.host = Some(403);
                    self.error(name, "has no effect yet; as it controls access, the hosts of this Ingress answer 403");
                }
            }
        }
        missing
    }

    pub(crate) fn error(&mut self, name: &str, message: impl Into<Arc<str>>) {
        self.findings.push(Finding::error(self.object, self.field(name), message));
    }

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

/// What has to be answered in place of access control that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// By the paths of the Ingress.
    pub(crate) route: Option<u16>,
    /// By every path of its hosts.
    pub(crate) host: Option<u16>,
}
