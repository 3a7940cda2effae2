//! Which cluster takes a request when canaries stand beside the route's own (reference 3.17).

use ringress_config::snapshot::{Canary, CanaryHeader, ClusterId, RequestMatch, Snapshot, ValueMatch};

use super::Request;
use crate::upstream;

/// The first canary that takes the request; `None` leaves it to the route's own backend. A client whose affinity cookie
/// was issued by one side stays there, unless a canary takes all requests that say what this one says.
pub(super) fn choose<'s>(
    (snapshot, main): (&Snapshot, ClusterId),
    canaries: &'s [Canary],
    request: &Request<'_>,
    cookie: Option<&[u8]>,
    random: &mut fastrand::Rng,
) -> Option<&'s Canary> {
    let is_for = |canary: &&Canary| is_for(canary, request);
    let decided = |canary: &&'s Canary| canary.matches.is_some() && canary.takes_all() && is_for(canary);
    if let Some(canary) = canaries.iter().find(decided) {
        return Some(canary);
    }
    if let Some(cookie) = cookie {
        let sessions = |cluster| snapshot.clusters.get(cluster)?.places().sessions.as_ref();
        let issued = |cluster| sessions(cluster).is_some_and(|sessions| upstream::is_of(cookie, sessions));
        if issued(main) {
            return None;
        }
        if let Some(held) = canaries.iter().find(|canary| canary.sticky && is_for(canary) && issued(canary.cluster)) {
            return Some(held);
        }
    }
    let mut draw = Draw { point: random.u32(..), below: 0 };
    canaries.iter().filter(is_for).find(|canary| takes(canary, request, &mut draw))
}

/// Which canaries may take the request and what share of the requests each does, in thousandths of a per cent; one that the
/// request itself asks for takes all that is left. For explanations: affinity is left out.
pub(super) fn shares<'s>(
    (snapshot, canaries): (&'s Snapshot, &'s [Canary]),
    request: &'s Request<'_>,
) -> impl Iterator<Item = (ClusterId, u32)> + 's {
    let decided =
        canaries.iter().find(|canary| canary.matches.is_some() && canary.takes_all() && is_for(canary, request));
    let candidates = decided.map_or(canaries, std::slice::from_ref);
    let mut left = ALL;
    candidates.iter().filter_map(move |canary| {
        let share = match says(canary, request) {
            Some(true) => left,
            Some(false) => 0,
            None => part(canary.weight, canary.total).min(left),
        };
        let is_asked = share > 0 && is_for(canary, request);
        let taken = is_asked.then_some(share)?;
        left -= taken;
        snapshot.clusters.is_served(canary.cluster).then_some((canary.cluster, taken))
    })
}

/// All requests, in thousandths of a per cent.
pub(super) const ALL: u32 = 100_000;

fn part(weight: u32, total: u32) -> u32 {
    let part = u64::from(weight) * u64::from(ALL) / u64::from(total.max(1));
    u32::try_from(part).map_or(ALL, |part| part.min(ALL))
}

fn is_for(canary: &Canary, request: &Request<'_>) -> bool {
    canary.matches.as_ref().is_none_or(|matches| is_met(matches, request))
}

/// One lot for all canaries, so that each weight is a share of all requests.
struct Draw {
    point: u32,
    /// The shares of those that were asked before; all is 2^32.
    below: u64,
}

impl Draw {
    fn falls_on(&mut self, weight: u32, total: u32) -> bool {
        self.below += (u64::from(weight) << 32) / u64::from(total.max(1));
        u64::from(self.point) < self.below
    }
}

/// Whether a request says all of that.
fn is_met(matches: &RequestMatch, request: &Request<'_>) -> bool {
    let method = request.head.method_bytes(request.bytes);
    let has_method = || matches.methods.is_empty() || matches.methods.iter().any(|name| name.as_bytes() == method);
    let has = |value: Option<&[u8]>, wanted: &ValueMatch| value.is_some_and(|value| wanted.is_met(value));
    has_method()
        && matches.fields.iter().all(|(name, wanted)| has(request.field(name), wanted))
        && matches.arguments.iter().all(|(name, wanted)| has(request.argument(name), wanted))
}

/// What the request says decides, else chance by weight.
fn takes(canary: &Canary, request: &Request<'_>, draw: &mut Draw) -> bool {
    says(canary, request).unwrap_or_else(|| draw.falls_on(canary.weight, canary.total))
}

/// Header, then cookie; the first that says yes or no decides.
fn says(canary: &Canary, request: &Request<'_>) -> Option<bool> {
    let by_header = canary.header.as_ref().and_then(|(name, rule)| {
        let value = request.field(name)?;
        match rule {
            CanaryHeader::Always => always_or_never(value),
            CanaryHeader::Value(wanted) => (value == wanted.as_bytes()).then_some(true),
            CanaryHeader::Pattern(pattern) => pattern.is_found(value).then_some(true),
            CanaryHeader::Broken => Some(false),
        }
    });
    let by_cookie = || canary.cookie.as_ref().and_then(|name| always_or_never(request.cookie_of_any_case(name)?));
    by_header.or_else(by_cookie)
}

fn always_or_never(value: &[u8]) -> Option<bool> {
    match value {
        b"always" => Some(true),
        b"never" => Some(false),
        _ => None,
    }
}
