//! What a request asks of the balancer of its cluster (reference 3.17).

use std::sync::Arc;

use ringress_config::snapshot::{Affinity, Cluster, Route};

use super::{Request, template};
use crate::http::edge::Scheme;
use crate::http::field::FieldId;
use crate::upstream::{self, Hint, Session};

/// The cookies that hold the clients of a route with this cluster of its own, and whether the route issues them itself.
#[inline]
pub(super) fn affinity<'s>(route: &'s Route, main: Option<&'s Arc<Cluster>>) -> Option<(&'s Affinity, bool)> {
    let own = route.policies.as_ref().and_then(|policies| policies.affinity.as_deref());
    let shared = || main?.balancing.affinity.as_deref();
    own.map(|own| (own, true)).or_else(|| Some((shared()?, false)))
}

/// For a request that `chosen` serves, with the cookies that hold its client there.
#[inline]
pub(super) fn of<'s>(
    chosen: &'s Cluster,
    route: &'s Route,
    affinity: Option<(&'s Affinity, bool)>,
    request: &Request<'_>,
) -> Hint<'s> {
    let by = upstream::hash_by(&chosen.balancing.balancer);
    if by.is_none() && affinity.is_none() {
        return Hint::default();
    }
    let key = by.map(|by| {
        let mut key = Vec::new();
        template::render(&by.key, request, route, None, &mut key);
        key
    });
    let session = affinity.map(|(affinity, issues)| {
        let session = Session::new(affinity, request.cookie(&affinity.cookie));
        let agent = request.head.find(request.bytes, FieldId::UserAgent);
        match issues {
            true => session.issuing(chosen, &route.path, request.scheme == Scheme::Https, agent),
            false => session,
        }
    });
    Hint::new(key.as_deref(), session)
}
