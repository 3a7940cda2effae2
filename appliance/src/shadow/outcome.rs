//! What came out of a comparison.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// Requests that are listed; all are counted.
const LISTED_MAX: usize = 1000;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// `status`, `location`, `backend`, `cookies`, or the name of a field.
    pub(super) what: String,
    /// With the old controller.
    pub(super) old: String,
    /// With the new one.
    pub(super) new: String,
}

impl Difference {
    pub(super) fn new(what: &str, old: impl Into<String>, new: impl Into<String>) -> Self {
        Self { what: what.to_owned(), old: old.into(), new: new.into() }
    }
}

/// A request that fares differently.
#[derive(Debug, Serialize)]
struct Differing {
    request: String,
    differences: Vec<Difference>,
}

/// The whole.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Requests that were held against both.
    pub(super) compared: u64,
    /// Those that differ.
    pub(super) differ: u64,
    listed: Vec<Differing>,
    /// Differences that were not there a second time.
    pub(super) unsteady: u64,
    /// Seen before.
    pub(super) repeated: u64,
    /// Not sent, as their methods are not safe.
    pub(super) unsafe_methods: u64,
    /// Lines that hold no request, or none with a host.
    pub(super) unread: u64,
    /// Neither controller gave an answer.
    pub(super) unanswered: u64,
    /// The time was up before the input.
    pub(super) cut: bool,
}

impl Outcome {
    /// Takes in a comparison.
    pub(super) fn add(&mut self, request: String, differences: Vec<Difference>) {
        self.compared += 1;
        if differences.is_empty() {
            return;
        }
        self.differ += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Differing { request, differences });
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "compared": self.compared,
            "same": self.compared - self.differ,
            "differ": self.differ,
            "unsteady": self.unsteady,
            "repeated": self.repeated,
            "unsafe": self.unsafe_methods,
            "unread": self.unread,
            "unanswered": self.unanswered,
            "time_is_up": self.cut,
            "differences": self.listed,
        })
    }
}

/// Each request with its differences, then the counts.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for differing in &self.listed {
            writeln!(f, "{}", differing.request)?;
            for Difference { what, old, new } in &differing.differences {
                writeln!(f, "  {what}: {old} -> {new}")?;
            }
        }
        let more = self.differ - self.listed.len() as u64;
        if more > 0 {
            writeln!(f, "and {more} more that differ")?;
        }
        write!(f, "{} compared, {} same, {} differ", self.compared, self.compared - self.differ, self.differ)?;
        for (count, words) in [
            (self.unsteady, "differed once only"),
            (self.repeated, "repeated"),
            (self.unsafe_methods, "not sent, as their methods may change something"),
            (self.unread, "lines without a request or host"),
            (self.unanswered, "answered by neither"),
        ] {
            if count > 0 {
                write!(f, "; {count} {words}")?;
            }
        }
        f.write_str(if self.cut { "; the time was up before the input\n" } else { "\n" })
    }
}
