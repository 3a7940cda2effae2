//! Who of several replicas leads: the rules, without clock, server or task.
//!
//! A Lease names its holder. Whoever else wants it waits until the record has not changed for as long as the record
//! itself says, measured by the own clock from the moment the own eyes saw it: the times in the Lease are never
//! compared with a clock, so clocks may differ as they like. The holder believes in its lead only for half of that
//! time, counted from before it asked for it. Between the two lies the margin in which nobody leads and nobody
//! writes, wide enough for clocks of which one runs twice as fast.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest time that a foreign record is waited for, whatever it says.
const DURATION_MAX: Duration = Duration::from_secs(3600);

/// What a Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Empty when it was given back.
    holder: String,
    duration: Duration,
    /// Compared for equality only.
    renewed: String,
    acquired: String,
    transitions: u64,
}

/// A Lease as it was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    record: Record,
    version: String,
}

impl Lease {
    /// From the API's object.
    pub(crate) fn read(object: &Value) -> Self {
        let spec = &object["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seconds = spec["leaseDurationSeconds"].as_u64().unwrap_or(0);
        let record = Record {
            holder: text(&spec["holderIdentity"]),
            duration: Duration::from_secs(seconds).min(DURATION_MAX),
            renewed: text(&spec["renewTime"]),
            acquired: text(&spec["acquireTime"]),
            transitions: spec["leaseTransitions"].as_u64().unwrap_or(0),
        };
        Self { record, version: text(&object["metadata"]["resourceVersion"]) }
    }
}

/// What is known of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// It has to be read.
    Nothing,
    /// There is none.
    Absent,
    /// Unchanged since then, by the own clock.
    Lease(Lease, Instant),
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the Lease.
    Look,
    /// Create it with this spec.
    Create(Value),
    /// Replace this version by this spec.
    Replace(Value, String),
    /// Somebody else leads.
    Wait,
}

/// One candidate.
#[derive(Debug)]
pub(crate) struct Election {
    me: String,
    ttl: Duration,
    seen: Seen,
    leads_until: Option<Instant>,
}

impl Election {
    /// `me` must be no other's name, not even that of the same Pod before a restart.
    pub(crate) fn new(me: String, ttl: Duration) -> Self {
        Self { me, ttl, seen: Seen::Nothing, leads_until: None }
    }

    /// How often the holder renews and the others look.
    pub(crate) fn period(&self) -> Duration {
        self.ttl / 4
    }

    /// Until when this one leads, if it does now.
    pub(crate) fn leads(&self, now: Instant) -> Option<Instant> {
        self.leads_until.filter(|&until| now < until)
    }

    /// What to do now. `wall` is the time of day for the record, RFC 3339 with microseconds.
    pub(crate) fn step(&self, now: Instant, wall: &str) -> Step {
        match &self.seen {
            Seen::Nothing => Step::Look,
            Seen::Absent => Step::Create(self.spec(wall, wall, 0)),
            Seen::Lease(lease, _) if lease.record.holder == self.me => {
                let record = &lease.record;
                Step::Replace(self.spec(&record.acquired, wall, record.transitions), lease.version.clone())
            }
            Seen::Lease(lease, since) => {
                let record = &lease.record;
                let is_free = record.holder.is_empty() || now.saturating_duration_since(*since) >= record.duration;
                match is_free {
                    true => Step::Replace(self.spec(wall, wall, record.transitions + 1), lease.version.clone()),
                    false => Step::Wait,
                }
            }
        }
    }

    /// The Lease has been read. `now` is from after the answer: a record can only be older than it looks.
    pub(crate) fn saw(&mut self, lease: Option<Lease>, now: Instant) {
        self.seen = match (lease, &self.seen) {
            (None, _) => Seen::Absent,
            (Some(lease), Seen::Lease(known, since)) if known.record == lease.record => Seen::Lease(lease, *since),
            (Some(lease), _) => Seen::Lease(lease, now),
        };
    }

    /// The Lease has been written as a [`Step`] said. `asked` is from before the request: others count from later.
    pub(crate) fn won(&mut self, lease: Lease, asked: Instant, now: Instant) {
        self.leads_until = (lease.record.holder == self.me).then(|| asked + self.ttl / 2);
        self.seen = Seen::Lease(lease, now);
    }

    /// Somebody else wrote, or removed the Lease: nothing is believed any more.
    pub(crate) fn lost(&mut self) {
        self.leads_until = None;
        self.seen = Seen::Nothing;
    }

    /// How the lead is given back, if this one has it; and it no longer leads.
    pub(crate) fn give_back(&mut self, wall: &str) -> Option<(Value, String)> {
        self.leads_until = None;
        let Seen::Lease(lease, _) = &self.seen else { return None };
        let record = &lease.record;
        (record.holder == self.me).then(|| {
            let mut spec = self.spec(&record.acquired, wall, record.transitions);
            spec["holderIdentity"] = json!("");
            spec["leaseDurationSeconds"] = json!(1);
            (spec, lease.version.clone())
        })
    }

    fn spec(&self, acquired: &str, renewed: &str, transitions: u64) -> Value {
        json!({
            "holderIdentity": self.me,
            "leaseDurationSeconds": self.ttl.as_secs(),
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": transitions,
        })
    }
}

#[cfg(test)]
mod tests;
