//! One row of the flag tables: what a flag is called, holds, and is worth here.

use ringress_config::compile::Parity;

use super::value::{Value, ValueType};

/// How far a flag of ingress-nginx is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// Same meaning.
    Honoured,
    /// Carried out, with this difference.
    Differs(&'static str),
    /// Has no meaning here, for this reason. Accepted with a warning.
    NoMeaning(&'static str),
    /// Would have a meaning, but this version does not carry it out. Accepted with a warning.
    NotYet(&'static str),
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Name without dashes; also the key in the `--config` file.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) value: ValueType,
    /// Its default as text; empty when there is none.
    pub(crate) default: &'static str,
    /// How far it is carried out.
    pub(crate) support: Support,
    /// Whether `RINGRESS_…` sets it too.
    pub(crate) env: bool,
    /// What it does, in one sentence.
    pub(crate) doc: &'static str,
}

impl Flag {
    /// The environment variable, for flags that have one.
    pub(crate) fn env_name(&self) -> Option<String> {
        self.env.then(|| format!("RINGRESS_{}", self.name.to_ascii_uppercase().replace('-', "_")))
    }

    /// The parsed default, `None` when the flag has none.
    pub(crate) fn default_value(&self) -> Option<Value> {
        if self.default.is_empty() {
            return None;
        }
        Some(self.value.parse(self.default).expect("the tables' defaults parse; a test reads them all"))
    }

    /// How it fares beside ingress-nginx when it is set to `value`, and why.
    pub(crate) fn parity(&self, value: &Value) -> (Parity, Option<&'static str>) {
        match self.support {
            _ if self.default_value().as_ref() == Some(value) => (Parity::Same, None),
            Support::Honoured => (Parity::Same, None),
            Support::Differs(why) | Support::NotYet(why) => (Parity::Differs, Some(why)),
            // Nothing that a client could notice.
            Support::NoMeaning(why) => (Parity::Same, Some(why)),
        }
    }

    /// What to tell a user who set the flag to `value`.
    pub(crate) fn warning(&self, value: &Value) -> Option<String> {
        match self.support {
            Support::Honoured | Support::Differs(_) => None,
            Support::NoMeaning(why) => Some(format!("--{} has no meaning here: {why}", self.name)),
            Support::NotYet(_) if self.default_value().as_ref() == Some(value) => None,
            Support::NotYet(what) => Some(format!("--{} is not carried out by this version: {what}", self.name)),
        }
    }
}
