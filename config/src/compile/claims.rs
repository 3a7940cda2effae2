//! Whose claims a host serves: those of rules; without any those of the host that it is an alias of; without that the
//! redirect of a sibling. Beside them the canaries.

use std::sync::Arc;

use super::few::Few;
use super::paths::{self, Claim, Findings};
use crate::diagnostics::Finding;
use crate::intent::{BackendIntent, CanaryRule, HostIntent, HostName, HostRole, Intent, RouteIntent};
use crate::model::Meta;
use crate::snapshot::ClusterKey;

/// Canaries of one path.
const CANARIES_MAX: usize = 16;

/// All that objects want of a host, oldest first.
pub(super) type Claims = Few<Meta, Arc<Intent>>;

/// What a host serves.
pub(super) struct Served<'a> {
    /// The host whose claims these are.
    pub(super) name: HostName,
    pub(super) claims: Vec<Claim<'a>>,
    pub(super) canaries: Vec<Claim<'a>>,
}

/// Chooses. An alias that loses gets a finding.
pub(super) fn of<'a>(
    name: &HostName,
    own: &'a Claims,
    other: impl Fn(&HostName) -> Option<&'a Claims>,
    findings: &mut Findings,
) -> Served<'a> {
    let served = with_roles(name, own);
    let aliases = || own.values().filter_map(|intent| Some((intent, intent.host(name)?)));
    if !served.claims.is_empty() {
        for (intent, host) in aliases() {
            if let HostRole::Alias { field, .. } = &host.role {
                let message = format!("{name} is a host of its own and stays that");
                paths::add(findings, intent, Finding::warning(&intent.source, field.as_str(), message));
            }
        }
        return served;
    }
    if let Some(of) = aliased(aliases(), &other, findings)
        && let Some(claims) = other(of)
    {
        return with_roles(of, claims);
    }
    let sibling = claims_of(name, own).find(|claim| claim.host.role == HostRole::Sibling);
    Served { claims: sibling.into_iter().collect(), ..served }
}

/// The host that an alias stands for. The aliases of a host are those of the oldest object that names any for it; of
/// several hosts with the same alias the first one by name has it, as nginx takes the first of its servers.
fn aliased<'i, 'a>(
    aliases: impl Iterator<Item = (&'i Arc<Intent>, &'i HostIntent)>,
    other: &impl Fn(&HostName) -> Option<&'a Claims>,
    findings: &mut Findings,
) -> Option<&'i HostName> {
    let mut first: Option<&HostName> = None;
    for (intent, host) in aliases {
        let HostRole::Alias { of, field } = &host.role else { continue };
        let mut owned = of.iter().filter(|of| namer(other(of), of).is_some_and(|namer| Arc::ptr_eq(namer, intent)));
        match owned.next() {
            Some(of) => first = Some(first.map_or(of, |first| first.min(of))),
            None => {
                let message =
                    format!("{} is left out: the aliases of its host are those of an older object", host.host);
                paths::add(findings, intent, Finding::warning(&intent.source, field.as_str(), message));
            }
        }
    }
    first
}

/// The object whose aliases a host has.
fn namer<'a>(claims: Option<&'a Claims>, host: &HostName) -> Option<&'a Arc<Intent>> {
    let rules = claims?.values().filter(|intent| intent.host(host).is_some_and(|host| host.role == HostRole::Rule));
    let mut namers = rules.filter(|intent| intent.hosts.iter().any(|host| matches!(host.role, HostRole::Alias { .. })));
    namers.next()
}

fn with_roles<'a>(name: &HostName, claims: &'a Claims) -> Served<'a> {
    let (mut rules, mut canaries) = (Vec::new(), Vec::new());
    for claim in claims_of(name, claims) {
        match claim.host.role {
            HostRole::Rule => rules.push(claim),
            HostRole::Canary(_) => canaries.push(claim),
            HostRole::Alias { .. } | HostRole::Sibling => {}
        }
    }
    Served { name: name.clone(), claims: rules, canaries }
}

fn claims_of<'a>(name: &HostName, claims: &'a Claims) -> impl Iterator<Item = Claim<'a>> {
    claims.values().filter_map(move |intent| Some(Claim { intent, host: intent.host(name)? }))
}

/// The canaries of a host, and which of them found a path to take a share of.
pub(super) struct Canaries<'a> {
    paths: Vec<CanaryPath<'a>>,
}

struct CanaryPath<'a> {
    intent: &'a Intent,
    rule: &'a CanaryRule,
    route: &'a RouteIntent,
    /// The path has another object's route.
    has_main: bool,
    /// Older canaries have the path.
    is_late: bool,
}

impl<'a> Canaries<'a> {
    pub(super) fn new(claims: &[Claim<'a>]) -> Self {
        let mut paths: Vec<CanaryPath<'a>> = Vec::new();
        for claim in claims {
            let HostRole::Canary(rule) = &claim.host.role else { continue };
            for route in &claim.host.routes {
                let others = paths.iter().filter(|known| is_same(known.route, route));
                let is_late = match rule.order {
                    // As in ingress-nginx there is one, unless several say in which order they stand.
                    None => others.clone().any(|known| known.rule.order.is_none()),
                    Some(_) => false,
                } || others.count() >= CANARIES_MAX;
                paths.push(CanaryPath { intent: claim.intent, rule, route, has_main: false, is_late });
            }
        }
        Self { paths }
    }

    /// The canaries of a route in the order in which they are asked, with their clusters.
    pub(super) fn of(&mut self, route: &RouteIntent) -> Vec<(&'a CanaryRule, &'a ClusterKey)> {
        self.paths.iter_mut().filter(|path| is_same(path.route, route)).for_each(|path| path.has_main = true);
        let own = self.paths.iter().filter(|path| !path.is_late && is_same(path.route, route));
        let mut own: Vec<_> = own
            .filter_map(|path| match &path.route.backend {
                BackendIntent::Service(key) => Some((path.rule, key)),
                BackendIntent::Default | BackendIntent::Status(_) => None,
            })
            .collect();
        own.sort_by_key(|(rule, _)| rule.order.unwrap_or(0));
        own
    }

    /// Tells which canaries have no effect, or less than they ask for.
    pub(super) fn report(&self, name: &HostName, findings: &mut Findings) {
        for (at, path) in self.paths.iter().enumerate() {
            let fault = match (path.has_main, path.is_late) {
                (false, _) => "has no effect, because no Ingress that is no canary has it",
                (true, true) if path.rule.order.is_none() => {
                    "has no effect, because an older canary has it (see ringress.io/canary-order)"
                }
                (true, true) => "has no effect, because sixteen older canaries have it",
                (true, false) if path.share() > 0 && self.weights_before(at) + path.share() > ALL => {
                    "gets less than its weight, because those before it leave less (see ringress.io/canary-order)"
                }
                (true, false) => continue,
            };
            let message = format!("host {name}, path {}: the canary {fault}", path.route.path);
            let finding = Finding::warning(&path.intent.source, path.route.field.as_str(), message);
            paths::add(findings, path.intent, finding);
        }
    }

    /// What those that are asked before this one take of all requests.
    fn weights_before(&self, at: usize) -> u64 {
        // Of one order the older is asked first.
        let place = |(at, path): &(usize, &CanaryPath<'_>)| (path.rule.order.unwrap_or(0), *at);
        let own = (at, &self.paths[at]);
        let is_asked = |(_, path): &(usize, &CanaryPath<'_>)| !path.is_late && is_same(path.route, own.1.route);
        let before = self.paths.iter().enumerate().filter(|other| is_asked(other) && place(other) < place(&own));
        before.map(|(_, path)| path.share()).sum()
    }
}

/// All requests, in thousandths of a per cent.
const ALL: u64 = 100_000;

impl CanaryPath<'_> {
    /// What it takes of all requests by its weight; one that is for some of them only leaves the others what they are.
    fn share(&self) -> u64 {
        let share = u64::from(self.rule.weight) * ALL / u64::from(self.rule.total.max(1));
        let is_for_all = self.rule.matches.is_none() && matches!(self.route.backend, BackendIntent::Service(_));
        if is_for_all { share.min(ALL) } else { 0 }
    }
}

fn is_same(one: &RouteIntent, other: &RouteIntent) -> bool {
    (one.kind, &one.path) == (other.kind, &other.path)
}
