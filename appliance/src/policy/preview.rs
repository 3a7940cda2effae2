//! What becomes of a request, for explanations: the phases as they are for a client, without asking anybody who it is, and
//! every way that chance may take.

use ringress_config::snapshot::{Access, Backend, ClusterId, Policies, Route, Snapshot};

use super::{Answer, Phase, Request, Shaping, add_slash, at, by_request, canary, is_blocked, is_too_large};
use super::{open_to_all, serviceable, stand_in, to_https};
use crate::route::Found;

/// A cluster that a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) cluster: ClusterId,
    /// Of the sum of all.
    pub(crate) weight: u32,
}

/// Where a request that passes goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Preview {
    pub(crate) shares: Vec<Share>,
    /// The target that the upstream gets, where it is another one.
    pub(crate) target: Option<Vec<u8>>,
    /// What happens to it besides, for people.
    pub(crate) policies: Vec<&'static str>,
}

/// What [`super::at_once`] and [`super::run`] answer before who the client is has to be asked, or where the request goes.
/// `is_known` says whether the client's address is its own.
pub(crate) fn preview(
    snapshot: &Snapshot,
    found: &Found<'_>,
    (request, is_known): (&Request<'_>, bool),
) -> Result<Preview, (Phase, Answer)> {
    let route: &Route = match found {
        Found::Route(route) => route,
        Found::AddSlash(route) => return Err((Phase::Slash, add_slash(request, route))),
        Found::Nothing => return Err((Phase::Rule, Answer::status(404))),
    };
    let refusal = is_blocked(snapshot, request).then(|| Answer::status(403));
    let length = is_too_large(route, request).then(|| Answer::status(413));
    let Some(policies) = route.policies.as_deref() else {
        at(Phase::Blocked, refusal)?;
        at(Phase::Length, length)?;
        at(Phase::Https, to_https(snapshot, route, request))?;
        let shares = served(snapshot, route, main(route)?)?;
        return Ok(Preview { shares, ..Preview::default() });
    };
    let mut shaping = Shaping::default();
    if refusal.is_some() {
        open_to_all((route, policies), request, &mut shaping)?;
        at(Phase::Blocked, refusal)?;
    }
    at(Phase::Length, length)?;
    by_request(snapshot, (route, policies), request, &mut shaping)?;
    if let Err(answer) = serviceable(snapshot, route, policies) {
        return Err(main(route).err().unwrap_or((Phase::Unserved, answer)));
    }
    if let Some(access) = policies.access.as_deref().filter(|_| is_known) {
        at(Phase::Address, (!may_pass(access, request)).then(|| Answer::status(403)))?;
    }
    let shares = served(snapshot, route, shares(snapshot, (route, policies), request)?)?;
    Ok(Preview { shares, target: shaping.target, policies: named(policies) })
}

/// Whether the address alone does not keep the client out.
fn may_pass(access: &Access, request: &Request<'_>) -> bool {
    let has_others = access.basic.is_some() || access.external.is_some();
    access.address_passes(request.client) != Some(false) || (access.satisfy_any && has_others)
}

fn shares(
    snapshot: &Snapshot,
    (route, policies): (&Route, &Policies),
    request: &Request<'_>,
) -> Result<Vec<Share>, (Phase, Answer)> {
    let mut shares = main(route)?;
    let [main] = &mut shares[..] else { return Ok(shares) };
    if !snapshot.clusters.is_served(main.cluster) {
        main.cluster = stand_in(snapshot, policies).unwrap_or(main.cluster);
        return Ok(shares);
    }
    let canaries: Vec<_> = canary::shares((snapshot, &policies.canaries), request).collect();
    if canaries.is_empty() {
        return Ok(shares);
    }
    main.weight = canary::ALL - canaries.iter().map(|(_, weight)| weight).sum::<u32>();
    shares.extend(canaries.into_iter().map(|(cluster, weight)| Share { cluster, weight }));
    shares.retain(|share| share.weight > 0);
    let divisor = shares.iter().fold(0, |divisor, share| common_divisor(share.weight, divisor));
    shares.iter_mut().for_each(|share| share.weight /= divisor);
    Ok(shares)
}

/// The greatest; of a number and 0 that is the number.
fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Those, unless nobody stands behind any of them.
fn served(snapshot: &Snapshot, route: &Route, shares: Vec<Share>) -> Result<Vec<Share>, (Phase, Answer)> {
    let is_unserved = !shares.iter().any(|share| snapshot.clusters.is_served(share.cluster));
    at(Phase::Unserved, is_unserved.then(|| Answer::status(route.empty_status)))?;
    Ok(shares)
}

/// The route's own.
fn main(route: &Route) -> Result<Vec<Share>, (Phase, Answer)> {
    let share = |cluster, weight| Share { cluster, weight };
    match &route.backend {
        Backend::Cluster(cluster) => Ok(vec![share(*cluster, 1)]),
        Backend::Weighted(parts) => Ok(parts.iter().map(|part| share(part.cluster, part.weight)).collect()),
        Backend::Status(status) => Err((Phase::Backend, Answer::status(*status))),
    }
}

/// What else a request of the route meets.
fn named(policies: &Policies) -> Vec<&'static str> {
    let access = policies.access.as_deref();
    let has = [
        (policies.client_auth.is_some(), "a client certificate is asked for"),
        (policies.limits.is_some(), "limits by client"),
        (access.is_some_and(|access| access.address_passes([127, 0, 0, 1].into()).is_some()), "lists of addresses"),
        (access.is_some_and(|access| access.basic.is_some()), "a password is asked for"),
        (access.is_some_and(|access| access.external.is_some()), "a service is asked who the client is"),
        (access.is_some_and(|access| access.satisfy_any), "one of these is enough (satisfy: any)"),
        (policies.affinity.is_some(), "the client stays on an endpoint (affinity)"),
        (policies.cors.is_some(), "fields of CORS"),
        (policies.error_pages.is_some(), "pages of an error backend"),
        (policies.mirror.is_some(), "a copy goes to the mirror"),
    ];
    has.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
}
