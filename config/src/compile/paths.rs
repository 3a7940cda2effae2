//! The paths of one host: who wins each, and the table of the winners (reference 3.2, 3.4, 3.5).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::diagnostics::Finding;
use crate::intent::{BackendIntent, HostIntent, HostKind, HostName, Intent, RouteIntent};
use crate::model::ObjectKey;
use crate::snapshot::{Literal, LiteralTable, PathKind, PathTable, Pattern, PatternError, PatternTable, Route};

/// What one object wants of the host at hand.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) intent: &'a Intent,
    pub(super) host: &'a HostIntent,
}

/// A path that its object won.
#[derive(Clone, Copy)]
pub(super) struct Winner<'a> {
    pub(super) intent: &'a Intent,
    pub(super) route: &'a RouteIntent,
}

/// Findings of one host, by the object that they are about.
pub(super) type Findings = BTreeMap<ObjectKey, Vec<Finding>>;

pub(super) fn add(findings: &mut Findings, intent: &Intent, finding: Finding) {
    findings.entry(intent.meta.key.clone()).or_default().push(finding);
}

/// The winner of each path and path type: the first claim, as claims come oldest first. Losers get a finding.
pub(super) fn select<'a>(name: &HostName, claims: &[Claim<'a>], findings: &mut Findings) -> Vec<Winner<'a>> {
    let mut taken: HashMap<(PathKind, &str), &Intent> = HashMap::new();
    let mut winners = Vec::new();
    let root = claims.iter().find(|claim| claim.host.claims_root);
    if let Some(root) = root {
        taken.insert((PathKind::Prefix, "/"), root.intent);
        winners.push(Winner { intent: root.intent, route: &root.host.fallback });
    }
    for claim in claims {
        for route in &claim.host.routes {
            match taken.get(&(route.kind, &*route.path)) {
                None => {
                    taken.insert((route.kind, &route.path), claim.intent);
                    winners.push(Winner { intent: claim.intent, route });
                }
                Some(winner) => add(findings, claim.intent, lost(name, claim.intent, route, winner)),
            }
        }
    }
    let fallback = (!taken.contains_key(&(PathKind::Prefix, "/"))).then(|| fallback(name, claims)).flatten();
    winners.extend(fallback);
    for claim in claims {
        let Some(winner) = unused_fallback(claim, &winners) else { continue };
        let message = format!("not used for host {name}: its path / is served by {}", winner.intent.source);
        add(findings, claim.intent, Finding::warning(&claim.intent.source, "spec.defaultBackend", message));
    }
    winners
}

/// Who serves the paths that no rule has: the default backend of the oldest object of the host, whatever it is. For
/// hosts that no rule names, only one that was asked for.
fn fallback<'a>(name: &HostName, claims: &[Claim<'a>]) -> Option<Winner<'a>> {
    let claim = match name.kind() {
        HostKind::CatchAll => claims.iter().find(|claim| claim.host.fallback.backend != BackendIntent::Default),
        HostKind::Exact | HostKind::Below(_) | HostKind::Above(_) | HostKind::Pattern(_) => claims.first(),
    };
    claim.map(|claim| Winner { intent: claim.intent, route: &claim.host.fallback })
}

/// The winner of `/`, if the claim has a default backend of its own that lost against another object.
fn unused_fallback<'a>(claim: &Claim<'a>, winners: &[Winner<'a>]) -> Option<Winner<'a>> {
    if claim.host.fallback.backend == BackendIntent::Default {
        return None;
    }
    let root = winners.iter().find(|w| w.route.kind == PathKind::Prefix && &*w.route.path == "/")?;
    (!std::ptr::eq(root.intent, claim.intent)).then_some(*root)
}

fn lost(name: &HostName, loser: &Intent, route: &RouteIntent, winner: &Intent) -> Finding {
    let kind = if route.kind == PathKind::Exact { "Exact" } else { "Prefix" };
    let by = if std::ptr::eq(loser, winner) {
        "an earlier rule of the same object".to_owned()
    } else if route.path.as_ref() == "/" && winner.meta > loser.meta {
        format!("{}, a default backend without rules", winner.source)
    } else {
        format!("{}, which is older", winner.source)
    };
    let message = format!("host {name}, {kind} path {} is already served by {by}", route.path);
    Finding::warning(&loser.source, route.field.as_str(), message)
}

/// Prefixes that are written once with and once without a final slash: the older one has what is below, and the other
/// one, which has its own path only, is told.
pub(super) fn report_shared(name: &HostName, winners: &[Winner<'_>], findings: &mut Findings) {
    let mut below: HashMap<&str, &Intent> = HashMap::new();
    for Winner { intent, route } in winners.iter().filter(|winner| winner.route.kind == PathKind::Prefix) {
        let path = route.path.strip_suffix('/').unwrap_or(&route.path);
        match below.get(path) {
            None => drop(below.insert(path, intent)),
            Some(first) => {
                let message = format!("host {name}: what is below {path}/ is already served by {}", first.source);
                add(findings, intent, Finding::warning(&intent.source, route.field.as_str(), message));
            }
        }
    }
}

/// A winner's route with what is needed to place it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) route: Arc<Route>,
    /// As the rule has it, whatever the mode of the host.
    pub(super) kind: PathKind,
    /// The rule itself asked for a regular expression: it takes one place, not two.
    pub(super) regex: bool,
    /// Its path is no usable pattern.
    pub(super) broken: bool,
}

impl Placed {
    fn path(&self) -> &Arc<str> {
        &self.route.path
    }

    /// The places it takes: what it is, and for a prefix `/foo` the two of `/foo/` and exactly `/foo`.
    fn places(&self) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let path = self.path();
        if self.kind == PathKind::Exact {
            return (Some(Arc::clone(path)), None);
        }
        match path.ends_with('/') {
            true => (None, Some(Arc::clone(path))),
            false => (Some(Arc::clone(path)), Some(format!("{path}/").into())),
        }
    }
}

/// The table of a host without regular expressions. Where a prefix is written with and without a final slash, the
/// older one takes what is below; the other one keeps its own path.
pub(super) fn literals(placed: &[Placed]) -> PathTable {
    let exact: BTreeSet<&str> = placed.iter().filter(|p| p.kind == PathKind::Exact).map(|p| &**p.path()).collect();
    let mut below = BTreeSet::new();
    let mut places: Vec<(bool, Arc<str>, &Placed)> = Vec::new();
    for place in placed {
        let (own, under) = place.places();
        let is_twin = place.kind == PathKind::Prefix;
        if let Some(path) = own.filter(|path| !is_twin || !exact.contains(&**path)) {
            places.push((false, path, place));
        }
        if let Some(path) = under.filter(|path| below.insert(Arc::clone(path))) {
            places.push((true, path, place));
        }
    }
    PathTable::Literal(LiteralTable::new(places.iter().map(|(is_below, path, place)| {
        let literal = if *is_below { Literal::Below(path) } else { Literal::Exact(path) };
        (literal, Arc::clone(&place.route))
    })))
}

/// Compiled patterns by text, shared by all hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    known: HashMap<Arc<str>, Arc<Pattern>>,
    /// Size at which unused ones are thrown away.
    sweep_at: usize,
}

impl Patterns {
    /// The pattern of a text.
    pub(super) fn get(&mut self, text: &Arc<str>) -> Result<Arc<Pattern>, PatternError> {
        if let Some(known) = self.known.get(text) {
            return Ok(Arc::clone(known));
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, pattern| Arc::strong_count(pattern) > 1);
            self.sweep_at = 1024.max(2 * self.known.len());
        }
        let pattern = Arc::new(Pattern::new(text)?);
        self.known.insert(Arc::clone(text), Arc::clone(&pattern));
        Ok(pattern)
    }
}

/// The table of a host in regex mode: by length of the path as it is written, longest first, then by its text, descending,
/// and of the two places of a prefix the one below it first (reference 3.3). A path that is no usable pattern comes last, before `/`: it stands for its literal part and takes nothing from others.
pub(super) fn patterns(placed: &[Placed], patterns: &mut Patterns) -> PathTable {
    let mut entries: Vec<(bool, Arc<str>, &Placed)> = Vec::new();
    let exact: BTreeSet<&str> = placed.iter().filter(|p| p.kind == PathKind::Exact).map(|p| &**p.path()).collect();
    for place in placed {
        let path = place.path();
        if place.regex || place.broken || &**path == "/" {
            entries.push((place.broken, Arc::clone(path), place));
            continue;
        }
        let (own, under) = place.places();
        let is_twin = place.kind == PathKind::Prefix;
        let own = own.filter(|path| !is_twin || !exact.contains(&**path));
        entries.extend(own.into_iter().chain(under).map(|text| (false, text, place)));
    }
    entries.sort_by_key(|(broken, text, place)| {
        let (path, is_root) = (place.path(), &**text == "/");
        (is_root, *broken, Reverse(path.len()), Reverse(Arc::clone(path)), Reverse(text.len()))
    });
    PathTable::Patterns(PatternTable::new(entries.into_iter().map(|(broken, text, place)| {
        let usable = if broken { None } else { patterns.get(&text).ok() };
        let pattern = usable.unwrap_or_else(|| Arc::new(Pattern::literal_part(&text)));
        (pattern, Arc::clone(&place.route))
    })))
}
