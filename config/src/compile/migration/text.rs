//! An object's comparison as lines for people.

use std::fmt;

use super::{Entry, Migrated, Parity};

/// Letters of a value that are shown.
const VALUE_CHARS_MAX: usize = 60;

/// `namespace/name [hosts]: parity`, then what is the same in one line, then the rest with its remarks.
impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        if !self.hosts.is_empty() {
            write!(f, " [{}]", self.hosts.join(" "))?;
        }
        writeln!(f, ": {}", self.parity.as_str())?;
        let (plain, told): (Vec<&Entry>, Vec<&Entry>) =
            self.entries.iter().partition(|entry| entry.parity == Parity::Same && entry.remarks.is_empty());
        if !plain.is_empty() {
            let names: Vec<&str> = plain.iter().map(|entry| entry.name.as_str()).collect();
            writeln!(f, "  same     {}", names.join(", "))?;
        }
        for entry in told {
            writeln!(f, "  {:<8} {}: {}", entry.parity.as_str(), entry.name, shown(&entry.value))?;
            entry.remarks.iter().try_for_each(|remark| writeln!(f, "             {remark}"))?;
        }
        for remark in &self.remarks {
            let parity = if remark.parity == Parity::Same { "note" } else { remark.parity.as_str() };
            let field = if remark.field.is_empty() { "object" } else { &*remark.field };
            writeln!(f, "  {parity:<8} {field}: {}", remark.message)?;
        }
        Ok(())
    }
}

/// The start of the first line, without what a terminal would obey.
fn shown(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(VALUE_CHARS_MAX).filter(|letter| !letter.is_control()).collect();
    if shown.len() < value.trim_end().len() {
        shown.push('…');
    }
    shown
}
