//! Asking a snapshot.

use std::sync::Arc;

use ringress_config::snapshot::{Backend, HostRoutes, PathKind, Route, Snapshot};

use super::answer::{Answer, Explanation, Rule, Target};
use super::question::Question;
use crate::policy::{self, Phase, Request, Share};
use crate::route::{self, Found};

/// Routes of the host that are listed beside the one that serves.
const OTHERS_MAX: usize = 100;

/// Why a Service that nobody stands behind answers.
pub(crate) const NO_ENDPOINTS: &str = "the service has no endpoints";

/// Says what a snapshot does with a request.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Explanation {
    let mut explanation = Explanation { generation: snapshot.generation, ..Explanation::new(question.line()) };
    let head = match question.parse() {
        Ok(head) => head,
        Err(error) => {
            explanation.answer = Answer::Refused { status: error.status(), reason: error.to_string() };
            return explanation;
        }
    };
    let name = head.host().name();
    let host = snapshot.hosts.find(name);
    explanation.host = host.name.to_string();
    explanation.host_match = host_match(name, host).to_owned();
    if question.scheme() == crate::http::edge::Scheme::Https {
        explanation.certificate = Some(certificate(snapshot, name));
    }
    let mut scratch = Vec::new();
    let (found, path) = match route::find(snapshot, &head, question.bytes(), &mut scratch) {
        Ok(found) => found,
        Err(error) => {
            explanation.answer = Answer::Refused { status: 400, reason: error.to_string() };
            return explanation;
        }
    };
    explanation.normalised_path = String::from_utf8_lossy(path).into_owned();
    let request = Request {
        head: &head,
        bytes: question.bytes(),
        path,
        scheme: question.scheme(),
        over_tls: question.scheme() == crate::http::edge::Scheme::Https,
        client: question.client().unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
        client_port: 0,
        forwarded_for: b"",
        port: if question.scheme() == crate::http::edge::Scheme::Https { 443 } else { 80 },
        host: head.authority(question.bytes()),
        request_id: b"",
        secured: &crate::tls::Secured::Not,
        suite: crate::tls::Suite::default(),
        trace: None,
    };
    match policy::preview(snapshot, &found, (&request, question.client().is_some())) {
        Ok(preview) => {
            explanation.answer = proxied(snapshot, &preview.shares);
            explanation.target = preview.target.map(|target| String::from_utf8_lossy(&target).into_owned());
            explanation.policies = preview.policies.into_iter().map(str::to_owned).collect();
        }
        Err((phase, answer)) => explanation.answer = answered(phase, answer),
    }
    let chosen = match &found {
        Found::Route(route) | Found::AddSlash(route) => Some(*route),
        Found::Nothing => None,
    };
    explanation.backends = chosen.map(|route| backends(snapshot, route)).unwrap_or_default();
    explanation.rule = chosen.map(|route| rule(route, chosen_why(route).into()));
    explanation.others = others(host, chosen, path);
    explanation
}

fn host_match(asked: &str, host: &HostRoutes) -> &'static str {
    match &*host.name {
        "_" => "no rule names this host, so the catch-all serves it",
        name if name == asked => "exact",
        name if name.starts_with("*.") => "wildcard",
        _ => "alias",
    }
}

/// What the proxy says itself.
fn answered(phase: Phase, answer: policy::Answer) -> Answer {
    let (status, reason) = (answer.status, why_answered(phase).to_owned());
    match answer.location {
        Some(location) => {
            let location = String::from_utf8_lossy(&location).into_owned();
            Answer::Redirect { status, location, reason }
        }
        None => Answer::Status { status, reason },
    }
}

fn why_answered(phase: Phase) -> &'static str {
    match phase {
        Phase::Rule => "no rule of this host has a matching path",
        Phase::Slash => "the rule's path has a final slash",
        Phase::Denied => "the path is denied",
        Phase::Redirect => "the rule redirects",
        Phase::Preflight => "it is a CORS preflight",
        Phase::Refusal => "the rule says so, or access control that it asks for cannot be had",
        Phase::Rewrite => "the rule rewrites to another URL",
        Phase::Https => "https is asked for",
        Phase::Unserved => NO_ENDPOINTS,
        Phase::Backend => "the rule has no usable backend",
        Phase::Blocked => "the operator refuses this client on every host",
        Phase::Length => "the body is larger than the rule takes",
        Phase::Address => "the address of the client may not pass",
    }
}

fn proxied(snapshot: &Snapshot, shares: &[Share]) -> Answer {
    let target = |share: &Share| {
        let cluster = snapshot.clusters.get(share.cluster)?;
        let endpoints = cluster.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
        Some(Target { cluster: cluster.name.to_string(), weight: share.weight, endpoints })
    };
    Answer::Proxied { clusters: shares.iter().filter_map(target).collect() }
}

/// The names of the clusters of a route, those of its canaries too.
fn backends(snapshot: &Snapshot, route: &Route) -> Vec<String> {
    let own: Vec<_> = match &route.backend {
        Backend::Cluster(id) => vec![*id],
        Backend::Weighted(parts) => parts.iter().map(|part| part.cluster).collect(),
        Backend::Status(_) => Vec::new(),
    };
    let canaries = route.policies.iter().flat_map(|policies| policies.canaries.iter().map(|canary| canary.cluster));
    let named = own.into_iter().chain(canaries).filter_map(|id| snapshot.clusters.get(id));
    named.map(|cluster| cluster.name.to_string()).collect()
}

fn certificate(snapshot: &Snapshot, host: &str) -> String {
    let certificate = snapshot.certificates.present(Some(host));
    match &certificate.secret {
        Some(secret) => format!("Secret {secret} for {}", certificate.names.join(", ")),
        None => "the built-in self-signed one".to_owned(),
    }
}

/// The word for a kind of path.
pub(crate) fn kind_name(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Exact => "exact",
        PathKind::Prefix => "prefix",
        PathKind::Regex => "regex",
    }
}

fn rule(route: &Route, why: String) -> Rule {
    Rule {
        object: route.source.to_string(),
        field: route.field.clone(),
        path: route.path.to_string(),
        kind: kind_name(route.kind).to_owned(),
        why,
    }
}

fn chosen_why(route: &Route) -> &'static str {
    match route.kind {
        PathKind::Exact => "the path is equal",
        PathKind::Prefix => "the longest prefix of the path",
        PathKind::Regex => "the first pattern that matches, longest text first",
    }
}

fn others(host: &HostRoutes, chosen: Option<&Arc<Route>>, path: &[u8]) -> Vec<Rule> {
    let routes = host.paths.routes();
    let place = chosen.and_then(|chosen| routes.iter().position(|route| Arc::ptr_eq(route, chosen)));
    let others = routes.iter().enumerate().filter(|(index, _)| Some(*index) != place);
    others.take(OTHERS_MAX).map(|(index, route)| rule(route, why_not(route, path, place, index).into())).collect()
}

/// `routes()` is in the order in which patterns are tried, so of patterns only the place has to be known.
fn why_not(route: &Route, path: &[u8], chosen: Option<usize>, index: usize) -> &'static str {
    let rest = path.strip_prefix(route.path.trim_end_matches('/').as_bytes());
    match route.kind {
        PathKind::Regex if chosen.is_some_and(|chosen| chosen < index) => "comes after the one that matched",
        PathKind::Regex => "the pattern does not match",
        PathKind::Exact => "the path is not equal",
        PathKind::Prefix if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) => {
            "a longer or exact path matched"
        }
        PathKind::Prefix => "not a prefix of the path",
    }
}
