//! Findings: what was refused, changed or ignored, on which object and field, and why.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::model::ObjectRef;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Accepted, with a remark.
    Info,
    /// Accepted, but not all of it has the effect that the author may expect.
    Warning,
    /// Something is not served as written.
    Error,
}

impl Severity {
    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One remark on one field of one object. Cheap to clone: there may be tens of thousands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The object at fault.
    pub object: ObjectRef,
    /// Path of the field, as `kubectl explain` writes it; empty for the object as a whole.
    pub field: Arc<str>,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong and what follows from it, in one sentence.
    pub message: Arc<str>,
}

impl Finding {
    /// A finding of severity error.
    pub fn error(object: &ObjectRef, field: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self::new(Severity::Error, object, field, message)
    }

    /// A finding of severity warning.
    pub fn warning(object: &ObjectRef, field: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self::new(Severity::Warning, object, field, message)
    }

    /// A finding of severity info.
    pub fn info(object: &ObjectRef, field: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self::new(Severity::Info, object, field, message)
    }

    fn new(severity: Severity, object: &ObjectRef, field: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        let (field, message) = (on_one_line(field.into()), on_one_line(message.into()));
        Self { object: object.clone(), field, severity, message }
    }
}

/// A text with what would begin a line or steer a terminal written out: values of objects stand in findings, and whoever
/// reads these should not see what no check has said.
fn on_one_line(text: Arc<str>) -> Arc<str> {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut written = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter.is_control() {
            true => written.extend(letter.escape_default()),
            false => written.push(letter),
        }
    }
    written.into()
}

/// `severity object field: message`, the line of `ringress check`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity.as_str(), self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, ObjectKey};

    #[test]
    fn a_finding_is_one_line_whatever_is_in_the_value_at_fault() {
        let object = ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("n", "a") };
        let message = "`x\r\nerror Ingress n/b: \u{1b}[2J\u{9b}é` is no path";
        let finding = Finding::warning(&object, "metadata.annotations.a\n", message);
        let wanted =
            "warning Ingress n/a metadata.annotations.a\\n: `x\\r\\nerror Ingress n/b: \\u{1b}[2J\\u{9b}é` is no path";
        assert_eq!(finding.to_string(), wanted);
    }
}
