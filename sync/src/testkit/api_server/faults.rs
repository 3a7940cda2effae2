//! What is wrong with the server.

use std::time::Duration;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// A collection.
    List,
    /// Its changes.
    Watch,
    /// One object.
    Get,
    /// Create, update, patch or delete.
    Write,
}

/// A way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status.
    Status(u16),
    /// Answers with status 429 and asks to be left alone for so many seconds.
    Busy(u32),
    /// Takes the request and never answers; a watch that has begun goes silent.
    Hang,
    /// Answers after a while.
    Slow(Duration),
    /// Answers with something that is not JSON.
    Garbage,
    /// Ends each watch right after its start.
    CloseAtOnce,
}

/// Which requests misbehave how.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `None` is every verb.
    pub verb: Option<Verb>,
    /// Plural name such as `ingresses`; `None` is every resource.
    pub resource: Option<&'static str>,
    /// What they do.
    pub fault: Fault,
}

impl Rule {
    /// Every request has the fault.
    pub fn always(fault: Fault) -> Self {
        Self { verb: None, resource: None, fault }
    }

    /// Requests of one verb have the fault.
    pub fn on(verb: Verb, fault: Fault) -> Self {
        Self { verb: Some(verb), resource: None, fault }
    }

    /// Only for one resource.
    pub fn of(self, resource: &'static str) -> Self {
        Self { resource: Some(resource), ..self }
    }

    pub(super) fn fits(&self, verb: Verb, resource: &str) -> bool {
        self.verb.is_none_or(|wanted| wanted == verb) && self.resource.is_none_or(|wanted| wanted == resource)
    }
}
