//! A report for a terminal.

use std::fmt::Write as _;

use super::Comparison;

pub(super) fn page(comparison: &Comparison) -> String {
    let mut out = String::new();
    for ingress in &comparison.migration.ingresses {
        let _ = write!(out, "Ingress {ingress}");
    }
    if let Some(config_map) = &comparison.migration.config_map {
        let guess = if comparison.guessed { " (by its name)" } else { "" };
        let _ = write!(out, "ConfigMap{guess} {config_map}");
    }
    if !comparison.flags.is_empty() {
        out.push_str("flags\n");
    }
    for flag in &comparison.flags {
        let why = flag.remark.map(|remark| format!(": {remark}")).unwrap_or_default();
        let _ = writeln!(out, "  {:<8} --{}={}{why}", flag.parity.as_str(), flag.name, flag.value);
    }
    for finding in &comparison.others {
        let _ = writeln!(out, "{finding}");
    }
    let totals = comparison.totals();
    let _ = write!(
        out,
        "{} Ingresses: {} same, {} differ, {} refused",
        comparison.migration.ingresses.len(),
        totals.same,
        totals.differs,
        totals.refused
    );
    match comparison.migration.foreign.len() {
        0 => out.push('\n'),
        others => drop(writeln!(out, "; {others} of other classes are left alone")),
    }
    out
}
