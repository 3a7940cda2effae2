//! Which cluster takes a request when canaries stand beside the route's own (reference 3.17).

use ringress_config::snapshot::{Canary, CanaryHeader, ClusterId, Snapshot};

use super::Request;
use crate::upstream;

/// The first canary that takes the request; `None` leaves it to the route's own backend. A client whose affinity cookie
/// was issued by one side stays there.
pub(super) fn choose<'s>(
    (snapshot, main): (&Snapshot, ClusterId),
    canaries: &'s [Canary],
    request: &Request<'_>,
    cookie: Option<&[u8]>,
    random: &mut fastrand::Rng,
) -> Option<&'s Canary> {
    if let Some(cookie) = cookie {
        let sessions = |cluster| snapshot.clusters.get(cluster)?.places().sessions.as_ref();
        let issued = |cluster| sessions(cluster).is_some_and(|sessions| upstream::is_of(cookie, sessions));
        if issued(main) {
            return None;
        }
        if let Some(held) = canaries.iter().find(|canary| canary.sticky && issued(canary.cluster)) {
            return Some(held);
        }
    }
    canaries.iter().find(|canary| takes(canary, request, random))
}

/// Header, then cookie, then weight; the first that says yes or no decides.
fn takes(canary: &Canary, request: &Request<'_>, random: &mut fastrand::Rng) -> bool {
    let by_header = canary.header.as_ref().and_then(|(name, rule)| {
        let value = request.field(name)?;
        match rule {
            CanaryHeader::Always => always_or_never(value),
            CanaryHeader::Value(wanted) => (value == wanted.as_bytes()).then_some(true),
            CanaryHeader::Pattern(pattern) => pattern.is_found(value).then_some(true),
        }
    });
    let by_cookie = || canary.cookie.as_ref().and_then(|name| always_or_never(request.cookie(name)?));
    by_header.or_else(by_cookie).unwrap_or_else(|| random.u32(..canary.total.max(1)) < canary.weight)
}

fn always_or_never(value: &[u8]) -> Option<bool> {
    match value {
        b"always" => Some(true),
        b"never" => Some(false),
        _ => None,
    }
}
