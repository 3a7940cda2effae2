//! What a route does before an upstream is asked, in the order of the phases: pass on, or answer.

mod redirect;

use std::sync::Arc;

use ringress_config::snapshot::{Backend, ClusterId, Route, Snapshot};

use crate::http::edge::Scheme;
use crate::http::request::RequestHead;
use crate::route::Found;

/// An answer that the proxy makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Where to, for redirects.
    pub(crate) location: Option<Vec<u8>>,
}

impl Answer {
    /// An answer with nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, location: None }
    }
}

/// What is to be done with a request.
#[derive(Debug)]
pub(crate) enum Verdict<'s> {
    /// Ask an endpoint of this cluster.
    Forward(&'s Arc<Route>, ClusterId),
    /// Answer.
    Answer(Answer),
}

/// The request as policies see it.
pub(crate) struct Request<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) bytes: &'a [u8],
    /// The scheme that the client used, as far as it is believed.
    pub(crate) scheme: Scheme,
}

/// Runs the policies of what was found.
pub(crate) fn run<'s>(
    snapshot: &'s Snapshot,
    found: &Found<'s>,
    request: &Request<'_>,
    random: &mut fastrand::Rng,
) -> Verdict<'s> {
    let route = match found {
        Found::Route(route) => *route,
        Found::AddSlash(_) => return Verdict::Answer(redirect::add_slash(request)),
        Found::Nothing => return Verdict::Answer(Answer::status(404)),
    };
    if let Some(answer) = redirect::to_https(snapshot, route, request) {
        return Verdict::Answer(answer);
    }
    match &route.backend {
        Backend::Cluster(cluster) => Verdict::Forward(route, *cluster),
        Backend::Weighted(parts) => {
            let total: u64 = parts.iter().map(|p| u64::from(p.weight)).sum();
            let mut left = random.u64(..total.max(1));
            let chosen = parts.iter().find(|p| match left.checked_sub(u64::from(p.weight)) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            });
            chosen.map_or(Verdict::Answer(Answer::status(503)), |p| Verdict::Forward(route, p.cluster))
        }
        Backend::Status(status) => Verdict::Answer(Answer::status(*status)),
    }
}
