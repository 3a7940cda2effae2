//! The part of the hosts that an Ingress touches, with it in its place: to ask what would become of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Host, HostTable};
use crate::intent::{HostKind, HostName, HostRole, Intent};

impl HostTable {
    /// The hosts of an intent as if it were in the place of `old`, which its object has now: to be compiled beside what
    /// others want of them.
    pub(in super::super) fn with_instead(&self, old: Option<&Arc<Intent>>, new: &Arc<Intent>) -> Self {
        let mut table = Self { known: HashMap::new(), stale: BTreeSet::new(), ..Self::new() };
        let hosts: BTreeSet<_> = new.hosts.iter().map(|host| host.host.clone()).collect();
        hosts.iter().for_each(|host| self.copy_claims(host, (old, new), &mut table));
        // An alias serves what the host that it stands for does.
        let wanted = table.intents().flat_map(|intent| &intent.hosts).filter(|host| hosts.contains(&host.host));
        let stood_for: BTreeSet<_> = wanted
            .filter_map(|host| match &host.role {
                HostRole::Alias { of, .. } => Some(Arc::clone(of)),
                HostRole::Rule | HostRole::Sibling | HostRole::Canary(_) => None,
            })
            .collect();
        for of in stood_for.iter().flat_map(|of| of.iter()).filter(|of| !hosts.contains(of)) {
            self.copy_claims(of, (old, new), &mut table);
        }
        table.stale = hosts;
        let has_regex = |intent: &Arc<Intent>| intent.hosts.iter().any(|host| host.routes.iter().any(|r| r.regex));
        if table.intents().any(has_regex) {
            table.patterns = self.patterns.clone();
        }
        self.copy_alias_patterns(old, new, &mut table);
        table
    }

    /// What is wanted of a host, with the new intent in place of the old one.
    fn copy_claims(&self, host: &HostName, (old, new): (Option<&Arc<Intent>>, &Arc<Intent>), to: &mut Self) {
        let mut claims = self.known.get(host).map(|known| known.claims.clone()).unwrap_or_default();
        if let Some(old) = old {
            claims.remove(&old.meta);
        }
        if new.host(host).is_some() {
            claims.insert(new.meta.clone(), Arc::clone(new));
        }
        to.known.insert(host.clone(), Host { claims, ..Host::default() });
    }

    /// The expressions that are aliases, of which there is a limited number, without those that only the old intent has.
    fn copy_alias_patterns(&self, old: Option<&Arc<Intent>>, new: &Intent, to: &mut Self) {
        let is_pattern = |host: &HostName| matches!(host.kind(), HostKind::Pattern(_));
        if !new.hosts.iter().any(|host| is_pattern(&host.host)) {
            return;
        }
        to.hosts.aliases.patterns = self.hosts.aliases.patterns.clone();
        for host in old.iter().flat_map(|old| &old.hosts) {
            if let HostKind::Pattern(text) = host.host.kind()
                && self.claims(&host.host).all(|intent| intent.meta.key == new.meta.key)
            {
                to.hosts.aliases.set_pattern(text, None);
            }
        }
    }
}
