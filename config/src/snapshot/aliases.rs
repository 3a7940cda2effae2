//! Names of hosts that only aliases can be (`server-alias`; reference 3.3): what nginx' `server_name` takes besides exact
//! names. Unlike the `*.example.com` of a rule, a wildcard takes any number of labels here.

use std::sync::Arc;

use super::{HostRoutes, Search, Sharded};

/// Aliases that are no exact names.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    /// `*.example.com` under the key `example.com`.
    pub below: Sharded<Arc<str>, Arc<HostRoutes>>,
    /// `www.example.*` under the key `www.example`.
    pub above: Sharded<Arc<str>, Arc<HostRoutes>>,
    /// `~expression`, in the order in which they are tried: by the host that they stand for, then by their text.
    pub patterns: Vec<AliasPattern>,
}

/// An alias that is a regular expression.
#[derive(Clone, Debug)]
pub struct AliasPattern {
    /// What is searched in names, blind to case.
    pub search: Arc<Search>,
    /// What its names serve.
    pub routes: Arc<HostRoutes>,
}

impl AliasPattern {
    fn place(&self) -> (&str, &str) {
        (&self.routes.name, self.search.text())
    }
}

impl Aliases {
    /// The longest wildcard that takes a host: those that begin with `*` before those that end with it.
    pub(super) fn wildcard(&self, host: &str) -> Option<&Arc<HostRoutes>> {
        let dots = || host.match_indices('.').map(|(at, _)| at);
        let below = || dots().filter(|at| *at > 0).find_map(|at| self.below.get(&host[at + 1..]));
        let above = || dots().rev().filter(|at| at + 1 < host.len()).find_map(|at| self.above.get(&host[..at]));
        let below = if self.below.is_empty() { None } else { below() };
        below.or_else(|| if self.above.is_empty() { None } else { above() })
    }

    /// The first expression that is found in a host.
    pub(super) fn pattern(&self, host: &str) -> Option<&Arc<HostRoutes>> {
        self.patterns.iter().find(|pattern| pattern.search.is_found(host.as_bytes())).map(|pattern| &pattern.routes)
    }

    /// Puts an expression at its place, or takes it out. Returns what its names served.
    pub(crate) fn set_pattern(&mut self, text: &str, new: Option<AliasPattern>) -> Option<Arc<HostRoutes>> {
        let old = self.patterns.iter().position(|pattern| pattern.search.text() == text);
        let old = old.map(|at| self.patterns.remove(at).routes);
        if let Some(new) = new {
            let at = self.patterns.partition_point(|pattern| pattern.place() < new.place());
            self.patterns.insert(at, new);
        }
        old
    }

    /// What they serve.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<HostRoutes>> {
        let wildcards = self.below.iter().chain(self.above.iter()).map(|(_, host)| host);
        wildcards.chain(self.patterns.iter().map(|pattern| &pattern.routes))
    }
}
