//! `ringress report`: what becomes of everything that was written for ingress-nginx, by the router's own compiler.

mod html;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use ringress_config::compile::{Migrated, Migration, Parity};
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Object, ObjectKey};
use serde_json::{Value, json};

use crate::admin::Rejected;
use crate::check;
use crate::cli::{FlagUse, Kube, Report, ReportOutput, ReportSource};

/// What was read of a cluster.
pub struct Read {
    /// The objects.
    pub objects: Vec<Object>,
    /// What is wrong with them before they get to a compiler.
    pub findings: Vec<Finding>,
}

/// Runs the command. `cluster` reads an API server.
pub fn run(report: &Report, cluster: impl FnOnce(&Kube) -> Result<Read, String>) -> ExitCode {
    let (read, unreadable) = match &report.source {
        ReportSource::Paths(paths) => from_paths(paths),
        ReportSource::Kube(kube) => match cluster(kube) {
            Ok(read) => (read, Vec::new()),
            Err(error) => return fail(&[error]),
        },
    };
    let comparison = match Comparison::new(report, read) {
        Ok(comparison) => comparison,
        Err(error) => return fail(&[format!("the default certificate: {error}")]),
    };
    let page = match report.output {
        ReportOutput::Text => text::page(&comparison),
        ReportOutput::Json => format!("{:#}\n", comparison.json()),
        ReportOutput::Html => html::page(&comparison),
    };
    // A reader that has gone, such as `head`, has seen what it wanted.
    let _ = io::stdout().write_all(page.as_bytes());
    match comparison.parity() {
        _ if !unreadable.is_empty() => fail(&unreadable),
        Parity::Refused => ExitCode::from(1),
        Parity::Same | Parity::Differs => ExitCode::SUCCESS,
    }
}

fn fail(errors: &[String]) -> ExitCode {
    for error in errors {
        // Standard error may be closed; there is nobody else to tell.
        let _ = writeln!(io::stderr(), "ringress: {error}");
    }
    ExitCode::from(2)
}

fn from_paths(paths: &[PathBuf]) -> (Read, Vec<String>) {
    let check::Manifests { findings, unreadable, objects } = check::manifests(paths);
    let unreadable = unreadable.iter().map(|(path, error)| format!("{}: {error}", path.display()));
    (Read { objects, findings }, unreadable.collect())
}

/// All that a report says.
pub(crate) struct Comparison {
    migration: Migration,
    flags: Vec<FlagUse>,
    /// The ConfigMap was found by its name, not named by a flag.
    guessed: bool,
    /// Findings on files and on other objects.
    others: Vec<Finding>,
}

/// How many Ingresses fare how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    same: usize,
    differs: usize,
    refused: usize,
}

impl Comparison {
    pub(crate) fn new(report: &Report, read: Read) -> io::Result<Self> {
        let mut options = report.options.clone();
        let guess = options.configmap.is_none().then(|| usual_config_map(&read.objects)).flatten();
        let guessed = guess.is_some();
        options.configmap = options.configmap.or(guess);
        let migration = check::compiler(options, read.objects)?.migration();
        let others = read.findings.into_iter().chain(migration.others.iter().cloned()).collect();
        Ok(Self { migration, flags: report.flags.clone(), guessed, others })
    }

    fn parity(&self) -> Parity {
        let flags = self.flags.iter().map(|flag| flag.parity);
        flags.chain([self.migration.parity()]).max().unwrap_or_default()
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for ingress in &self.migration.ingresses {
            *match ingress.parity {
                Parity::Same => &mut totals.same,
                Parity::Differs => &mut totals.differs,
                Parity::Refused => &mut totals.refused,
            } += 1;
        }
        totals
    }

    /// The worst first, otherwise by name.
    fn by_parity(&self) -> Vec<&Migrated> {
        let mut ingresses: Vec<_> = self.migration.ingresses.iter().collect();
        ingresses.sort_by_key(|ingress| std::cmp::Reverse(ingress.parity));
        ingresses
    }

    fn json(&self) -> Value {
        let totals = self.totals();
        let flags = self.flags.iter().map(|flag| {
            let remarks: Vec<_> = flag.remark.into_iter().collect();
            json!({ "name": flag.name, "value": flag.value, "parity": flag.parity, "remarks": remarks })
        });
        let others: Vec<_> = self.others.iter().map(Rejected::new).collect();
        json!({
            "parity": self.parity(),
            "totals": {
                "ingresses": self.migration.ingresses.len(),
                "same": totals.same,
                "differs": totals.differs,
                "refused": totals.refused,
                "other_classes": self.migration.foreign.len(),
            },
            "ingresses": self.migration.ingresses,
            "config_map": self.migration.config_map,
            "config_map_guessed": self.guessed,
            "flags": flags.collect::<Vec<_>>(),
            "other_classes": self.migration.foreign.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "other_findings": others,
        })
    }
}

/// The one ConfigMap that has the name which the chart of ingress-nginx gives it.
fn usual_config_map(objects: &[Object]) -> Option<ObjectKey> {
    let mut found = objects.iter().filter_map(|object| match object {
        Object::ConfigMap(config_map) => Some(&config_map.meta.key).filter(|key| {
            let name = &*key.name;
            name == "ingress-nginx-controller" || name.ends_with("-ingress-nginx-controller")
        }),
        _ => None,
    });
    found.next().filter(|_| found.next().is_none()).cloned()
}

#[cfg(test)]
mod tests;
