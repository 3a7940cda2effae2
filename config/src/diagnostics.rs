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

    fn new(severity: Severity, object: &ObjectRef, field: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self { object: object.clone(), field: field.into(), severity, message: message.into() }
    }
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
