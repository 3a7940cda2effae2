//! Hosts: the claims of all objects on each, and what is compiled from them.

mod asked;
mod routes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::certificates::CertificateTable;
use super::claims;
use super::clusters::ClusterTable;
use super::few::Few;
use super::handshake;
use super::ids::Ids;
use super::index::Index;
use super::paths::{self, Findings, Patterns, Placed, Winner};
use super::store::Store;
use crate::diagnostics::Finding;
use crate::intent::{HostKind, HostName, HostRole, Intent};
use crate::model::ObjectKey;
use crate::options::Options;
use crate::settings::Globals;
use crate::snapshot::{AliasPattern, HostRoutes, HostTls, Hosts, PathKind, Route, RouteId, Search};
use routes::{RouteBuilder, RouteKey};

/// Expressions that are aliases.
const ALIAS_PATTERNS_MAX: usize = 256;

/// All hosts.
#[derive(Debug)]
pub(super) struct HostTable {
    known: HashMap<HostName, Host>,
    /// Host → its aliases, each with the object that says so.
    aliases: Index<HostName, (HostName, ObjectKey)>,
    stale: BTreeSet<HostName>,
    ids: Ids,
    patterns: Patterns,
    hosts: Hosts,
    changed: bool,
}

/// One host.
#[derive(Debug, Default)]
struct Host {
    /// Oldest first.
    claims: claims::Claims,
    placed: Vec<Placed>,
    root: Option<Arc<Route>>,
    is_regex: bool,
    tls: HostTls,
    /// `placed`, `root`, `is_regex` and `tls` are what the snapshot has.
    is_built: bool,
    ids: Few<RouteKey, RouteId>,
    /// Secrets that were looked at.
    secrets: BTreeSet<ObjectKey>,
    findings: Findings,
}

impl Host {
    /// Takes over the ids of its routes and gives back those that are no longer used.
    fn take_ids(&mut self, new: Few<RouteKey, RouteId>, ids: &mut Ids) {
        for (key, id) in self.ids.iter() {
            if new.get(key).is_none() {
                ids.give_back(id.0);
            }
        }
        self.ids = new;
    }

    /// True when they differ from those that the snapshot has.
    fn take_routes(&mut self, placed: Vec<Placed>, root: Option<Arc<Route>>, is_regex: bool, tls: HostTls) -> bool {
        let is_same = placed == self.placed && root == self.root && is_regex == self.is_regex && tls == self.tls;
        if self.is_built && is_same {
            return false;
        }
        (self.placed, self.root, self.is_regex, self.tls) = (placed, root, is_regex, tls);
        self.is_built = true;
        true
    }

    /// As the workers look them up, under the name of the host whose they are; none without a path.
    fn routes(&self, name: &Arc<str>, patterns: &mut Patterns) -> Option<Arc<HostRoutes>> {
        if self.placed.is_empty() {
            return None;
        }
        let paths = match self.is_regex {
            true => paths::patterns(&self.placed, patterns),
            false => paths::literals(&self.placed),
        };
        Some(Arc::new(HostRoutes { name: Arc::clone(name), root: self.root.clone(), paths, tls: self.tls.clone() }))
    }
}

/// What hosts are compiled against.
pub(super) struct Surroundings<'a> {
    pub(super) globals: &'a Globals,
    pub(super) options: &'a Options,
    pub(super) clusters: &'a ClusterTable,
}

impl HostTable {
    pub(super) fn new() -> Self {
        let catch_all = HostName::catch_all();
        Self {
            known: HashMap::from([(catch_all.clone(), Host::default())]),
            aliases: Index::default(),
            stale: [catch_all].into(),
            ids: Ids::default(),
            patterns: Patterns::default(),
            hosts: Hosts::default(),
            changed: false,
        }
    }

    /// Those that want something of a host.
    pub(super) fn intents(&self) -> impl Iterator<Item = &Arc<Intent>> {
        self.known.values().flat_map(|host| host.claims.values())
    }

    /// The Secrets that were looked at for the hosts of an intent.
    pub(super) fn secrets<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = &'a ObjectKey> {
        intent.hosts.iter().filter_map(|host| self.known.get(&host.host)).flat_map(|host| &host.secrets)
    }

    /// Adds the claims of an intent.
    pub(super) fn claim(&mut self, intent: &Arc<Intent>) {
        for host in &intent.hosts {
            let known = self.known.entry(host.host.clone()).or_default();
            known.claims.insert(intent.meta.clone(), Arc::clone(intent));
            if let HostRole::Alias { of, .. } = &host.role {
                of.iter().for_each(|of| self.aliases.insert(of.clone(), (host.host.clone(), intent.meta.key.clone())));
            }
            self.mark_with_aliases(&host.host);
        }
    }

    /// Takes the claims of an intent back.
    pub(super) fn withdraw(&mut self, intent: &Arc<Intent>) {
        for host in &intent.hosts {
            if let Some(known) = self.known.get_mut(&host.host) {
                known.claims.remove(&intent.meta);
            }
            self.mark_with_aliases(&host.host);
            if let HostRole::Alias { of, .. } = &host.role {
                of.iter().for_each(|of| self.aliases.remove(of, &(host.host.clone(), intent.meta.key.clone())));
            }
        }
    }

    fn mark_with_aliases(&mut self, host: &HostName) {
        self.stale.insert(host.clone());
        self.stale.extend(self.aliases.users(host).map(|(alias, _)| alias.clone()));
    }

    /// Hosts that have to be compiled again.
    pub(super) fn mark(&mut self, hosts: BTreeSet<HostName>) {
        self.stale.extend(hosts);
    }

    /// All hosts have to be compiled again.
    pub(super) fn mark_all(&mut self) {
        self.stale.extend(self.known.keys().cloned());
    }

    /// Compiles what is stale. Returns the Ingresses whose findings changed.
    pub(super) fn build(
        &mut self,
        around: &Surroundings<'_>,
        certificates: &mut CertificateTable,
        store: &Store,
    ) -> BTreeSet<ObjectKey> {
        let mut owners = BTreeSet::new();
        // Not all at once: one may make room for another.
        while let Some(name) = self.stale.pop_first() {
            let Some(mut host) = self.known.remove(&name) else { continue };
            let mut findings = Findings::new();
            self.build_paths(&name, &mut host, around, &mut findings);
            let (certificate, secrets) =
                handshake::certificate(&name, &host.claims, (certificates, store), &mut findings);
            certificates.set_host(&name, certificate, store);
            certificates.set_secrets(&name, &host.secrets, &secrets);
            host.secrets = secrets;
            if host.findings != findings {
                owners.extend(host.findings.into_keys().chain(findings.keys().cloned()));
                host.findings = findings;
            }
            if !host.claims.is_empty() || name.kind() == HostKind::CatchAll {
                self.known.insert(name, host);
            }
        }
        owners
    }

    /// The findings that the hosts of an intent have about it.
    pub(super) fn findings<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = &'a Finding> {
        let hosts = intent.hosts.iter().filter_map(|host| self.known.get(&host.host));
        hosts.filter_map(|host| host.findings.get(&intent.meta.key)).flatten()
    }

    /// All that is wanted of a host, oldest first.
    pub(super) fn claims(&self, host: &HostName) -> impl Iterator<Item = &Arc<Intent>> {
        self.known.get(host).into_iter().flat_map(|host| host.claims.values())
    }

    pub(super) fn snapshot(&self) -> &Hosts {
        &self.hosts
    }

    /// Whether the snapshot changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn build_paths(&mut self, name: &HostName, host: &mut Host, around: &Surroundings<'_>, findings: &mut Findings) {
        let served = claims::of(name, &host.claims, |of| self.known.get(of).map(|host| &host.claims), findings);
        let (name_of_claims, claims) = (served.name, &served.claims);
        let winners = paths::select(&name_of_claims, claims, findings);
        let is_regex = winners.iter().any(|winner| winner.route.regex);
        if !is_regex {
            paths::report_shared(name, &winners, findings);
        }
        let deny = claims.iter().find_map(|claim| claim.host.deny);
        let mut builder = RouteBuilder {
            name: &name_of_claims,
            around,
            is_regex,
            deny,
            client_auth: handshake::client_auth(name, claims, findings),
            upstream_tls: (!around.globals.proxy_ssl_location_only).then(|| handshake::upstream_tls(claims)).flatten(),
            canaries: claims::Canaries::new(&served.canaries),
            ids: &mut self.ids,
            old: &host.ids,
            new: Few::default(),
        };
        let mut placed = place(name, &winners, &mut builder, &mut self.patterns, findings);
        let root = claims.iter().find_map(|claim| {
            let winner = Winner { intent: claim.intent, route: claim.host.root.as_deref()? };
            Some(builder.root(winner))
        });
        if claims.is_empty() || (name.kind() == HostKind::CatchAll && !has_root(&placed)) {
            placed.extend(builder.built_in());
        }
        placed.extend(builder.health(&placed));
        builder.canaries.report(name, findings);
        let (ids, client_auth) = (builder.new, builder.client_auth);
        let (mut placed, root) =
            if self.bound_patterns(name, host, findings) { (Vec::new(), None) } else { (placed, root) };
        share(&mut placed, &host.placed);
        let own = if *name == name_of_claims { claims.as_slice() } else { &[] };
        let tls = handshake::of(name, own, &placed, client_auth, findings);
        host.take_ids(ids, &mut self.ids);
        if host.take_routes(placed, root, is_regex, tls) {
            let routes = host.routes(name_of_claims.text(), &mut self.patterns);
            self.put(name, routes, *name != name_of_claims);
        }
    }

    /// Takes the routes of an expression away when there are too many such aliases: each is a search for every host that
    /// has no name of its own.
    fn bound_patterns(&self, name: &HostName, host: &Host, findings: &mut Findings) -> bool {
        let HostKind::Pattern(text) = name.kind() else { return false };
        let patterns = &self.hosts.aliases.patterns;
        if patterns.len() < ALIAS_PATTERNS_MAX || patterns.iter().any(|known| known.search.text() == text) {
            return false;
        }
        for intent in host.claims.values() {
            let Some(HostRole::Alias { field, .. }) = intent.host(name).map(|host| &host.role) else { continue };
            let message = format!("{name} is left out: there are {ALIAS_PATTERNS_MAX} expressions as aliases already");
            paths::add(findings, intent, Finding::warning(&intent.source, field.as_str(), message));
        }
        true
    }

    fn put(&mut self, name: &HostName, routes: Option<Arc<HostRoutes>>, is_alias: bool) {
        self.changed = true;
        let speaks = |routes: Option<&Arc<HostRoutes>>| usize::from(routes.is_some_and(|r| !r.tls.is_empty()));
        self.hosts.with_tls += speaks(routes.as_ref());
        let (map, name) = match name.kind() {
            HostKind::CatchAll => {
                let routes = routes.unwrap_or_else(|| Arc::new(HostRoutes::empty(Arc::clone(name.text()))));
                let old = std::mem::replace(&mut self.hosts.catch_all, routes);
                self.hosts.with_tls -= speaks(Some(&old));
                return;
            }
            HostKind::Pattern(text) => {
                let search = routes.as_ref().and_then(|_| Search::new(text, true).ok()).map(Arc::new);
                let new = search.zip(routes).map(|(search, routes)| AliasPattern { search, routes });
                let old = self.hosts.aliases.set_pattern(text, new);
                self.hosts.with_tls -= speaks(old.as_ref());
                if old.is_some() && self.hosts.aliases.patterns.len() + 1 == ALIAS_PATTERNS_MAX {
                    // There is room for one that was left out.
                    let is_pattern = |host: &&HostName| matches!(host.kind(), HostKind::Pattern(_));
                    self.stale.extend(self.known.keys().filter(is_pattern).cloned());
                }
                return;
            }
            HostKind::Exact => (&mut self.hosts.exact, &**name.text()),
            HostKind::Above(start) => (&mut self.hosts.aliases.above, start),
            HostKind::Below(rest) => {
                let Hosts { wildcard, aliases, .. } = &mut self.hosts;
                let other = if is_alias { wildcard } else { &mut aliases.below };
                let other = other.remove(rest);
                self.hosts.with_tls -= speaks(other.as_ref());
                let map = if is_alias { &mut self.hosts.aliases.below } else { &mut self.hosts.wildcard };
                (map, rest)
            }
        };
        let old = match routes {
            Some(routes) => map.insert(name.into(), routes),
            None => map.remove(name),
        };
        self.hosts.with_tls -= speaks(old.as_ref());
    }
}

/// The routes of all winners. In regex mode a path that is no usable pattern is told.
fn place(
    name: &HostName,
    winners: &[Winner<'_>],
    builder: &mut RouteBuilder<'_>,
    patterns: &mut Patterns,
    findings: &mut Findings,
) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(winners.len());
    for winner in winners {
        let broken = builder.is_regex && patterns.get(&winner.route.path).is_err_and(|error| {
            let message = format!(
                "{error}; as host {name} is in regex mode, what starts like it and has no other path is answered 503"
            );
            let finding = Finding::error(&winner.intent.source, format!("{}.path", winner.route.field), message);
            paths::add(findings, winner.intent, finding);
            true
        });
        let route = builder.build(*winner, broken);
        placed.push(Placed { route, kind: winner.route.kind, regex: winner.route.regex, broken });
    }
    placed
}

fn has_root(placed: &[Placed]) -> bool {
    placed.iter().any(|p| p.kind == PathKind::Prefix && &*p.route.path == "/")
}

/// Takes over the routes that stayed the same, so that they stay the same objects.
fn share(new: &mut [Placed], old: &[Placed]) {
    let old: HashMap<RouteId, &Arc<Route>> = old.iter().map(|placed| (placed.route.id, &placed.route)).collect();
    for placed in new {
        if let Some(same) = old.get(&placed.route.id).filter(|old| ***old == placed.route) {
            placed.route = Arc::clone(same);
        }
    }
}
