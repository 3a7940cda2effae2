//! What a route does before an upstream is asked, in the order of the phases (reference 3.10): pass on, or answer.

mod access;
mod canary;
mod client_certificate;
mod cors;
mod hint;
mod limit;
mod mirror;
mod preview;
mod redirect;
mod rewrite;
mod shaping;
mod template;
mod url;
mod words;

use std::net::IpAddr;
use std::rc::Rc;

use ringress_config::snapshot::{Access, Backend, ClusterId, HttpsRedirect, Policies, Route, Snapshot};

use crate::http::edge::Scheme;
use crate::http::field::FieldId;
use crate::http::forward::TraceFields;
use crate::http::framing::BodyFraming;
use crate::http::request::RequestHead;
use crate::metrics::Refused;
use crate::route::Found;
use crate::tls::{Secured, Suite};
use crate::upstream::Hint;
use crate::worker::Core;
pub(crate) use access::external::AuthAnswers;
pub(crate) use access::password::Verified;
pub(crate) use limit::{InFlight, LimitTable, Places};
pub(crate) use mirror::MirrorTarget;
pub(crate) use preview::{Share, preview};
pub(crate) use shaping::{Answer, Shaping};
pub(crate) use template::{OfRule, render_variable};
pub(crate) use url::Url;
pub(crate) use words::{Rewritten, Words};

/// The request as policies see it.
pub(crate) struct Request<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) bytes: &'a [u8],
    /// The normalised path.
    pub(crate) path: &'a [u8],
    /// The scheme that the client used, as far as it is believed.
    pub(crate) scheme: Scheme,
    /// Of its own connection, whatever is believed.
    pub(crate) over_tls: bool,
    /// The client's address, as far as it is believed.
    pub(crate) client: IpAddr,
    pub(crate) client_port: u16,
    /// What upstreams are told as `X-Forwarded-For`.
    pub(crate) forwarded_for: &'a [u8],
    /// The listener's port.
    pub(crate) port: u16,
    /// The host that the client asked for with its port, as far as it is believed.
    pub(crate) host: &'a [u8],
    pub(crate) request_id: &'a [u8],
    /// What TLS told of the client.
    pub(crate) secured: &'a Secured,
    pub(crate) suite: Suite,
    /// What others are told of the request's part in a trace.
    pub(crate) trace: Option<TraceFields<'a>>,
}

impl Request<'_> {
    /// The scheme of the client's own connection: nginx' `$scheme`.
    pub(crate) fn own_scheme(&self) -> Scheme {
        if self.over_tls { Scheme::Https } else { Scheme::Http }
    }
}

/// What is to be done with a request.
pub(crate) struct Plan<'s> {
    /// An answer, or the cluster to ask.
    pub(crate) verdict: Result<ClusterId, Answer>,
    /// What is asked of the cluster's balancer.
    pub(crate) hint: Hint<'s>,
    /// Counted in while the request runs.
    pub(crate) in_flight: Option<InFlight>,
}

impl Plan<'_> {
    /// Answers, and changes nothing.
    pub(crate) fn answer(answer: Answer) -> Self {
        Self { verdict: Err(answer), hint: Hint::default(), in_flight: None }
    }
}

/// What answers in place of an upstream, in the order of the phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No rule has the path.
    Rule,
    /// The operator refuses the client on every host.
    Blocked,
    /// The body is larger than the route takes.
    Length,
    /// A slash is missing behind the path.
    Slash,
    /// A path is denied.
    Denied,
    /// The whole route is redirected, or this path.
    Redirect,
    /// A CORS preflight.
    Preflight,
    /// The route answers nothing else.
    Refusal,
    /// A rewrite to another host.
    Rewrite,
    /// From http to https.
    Https,
    /// There is no cluster to ask.
    Backend,
    /// Nobody serves the clusters.
    Unserved,
    /// The address of the client is not one that may pass.
    Address,
}

/// A route with policies one of which, who may pass, may have to wait for somebody.
pub(crate) type Guarded<'s> = (&'s Route, &'s Policies, &'s Access);

/// Decides what is done with a request, where nothing is waited for. What is changed on the way there and back is put into
/// `shaping`, where it stays.
///
/// # Errors
/// The route, when somebody may have to be waited for: [`run`] decides.
#[inline]
pub(crate) fn at_once<'s>(
    core: &Core,
    snapshot: &'s Snapshot,
    found: &Found<'s>,
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<Plan<'s>, Guarded<'s>> {
    let route: &'s Route = match found {
        Found::Route(route) => route,
        Found::AddSlash(route) => {
            let policies = route.policies.as_deref();
            let checked = policies.map_or(Ok(()), |policies| check_certificate(core, policies, request, route));
            return Ok(Plan::answer(checked.err().unwrap_or_else(|| add_slash(request, route))));
        }
        Found::Nothing => return Ok(Plan::answer(Answer::status(404))),
    };
    if let Some(policies) = route.policies.as_deref() {
        return match policies.access.as_deref() {
            Some(access) => Err((route, policies, access)),
            None => Ok(unguarded(core, snapshot, (route, policies), request, shaping)),
        };
    }
    let verdict = fits(core, route, request).and_then(|()| match to_https(snapshot, route, request) {
        Some(answer) => Err(answer),
        None => backend(route, &mut core.random.borrow_mut()),
    });
    let hint = match &verdict {
        Ok(main) => hint_of(snapshot, route, *main, request),
        Err(_) => Hint::default(),
    };
    Ok(Plan { verdict, hint, in_flight: None })
}

/// What is answered to a client that the operator refuses on every host: nothing but what everybody is told.
#[cold]
pub(crate) fn blocked<'s>(
    core: &Core,
    found: &Found<'s>,
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Plan<'s> {
    if let Found::Route(route) = found
        && let Some(policies) = route.policies.as_deref()
    {
        let route: &'s Route = route;
        let told = check_certificate(core, policies, request, route)
            .and_then(|()| open_to_all((route, policies), request, shaping).map_err(|(_, answer)| answer));
        if let Err(answer) = told {
            shaping.render(policies, request, route);
            return Plan::answer(answer);
        }
    }
    core.metrics.refuse(Refused::Blocked);
    Plan::answer(Answer::status(403))
}

/// Whether the operator refuses this client on every host.
#[inline]
pub(crate) fn is_blocked(snapshot: &Snapshot, request: &Request<'_>) -> bool {
    let Some(blocks) = &snapshot.settings.blocks else { return false };
    let field = |id| request.head.find(request.bytes, id).unwrap_or_default();
    blocks.refuse(request.client, field(FieldId::UserAgent), field(FieldId::Referer))
}

/// A slash is missing behind the path of a route that may itself be refused.
fn add_slash(request: &Request<'_>, route: &Route) -> Answer {
    let refused = route.policies.as_ref().and_then(|policies| policies.refuse);
    refused.map_or_else(|| redirect::add_slash(request, route), Answer::status)
}

/// Decides what is done with a request of a route that asks who the client is.
pub(crate) async fn run<'s>(
    core: &Rc<Core>,
    snapshot: &'s Snapshot,
    (route, policies, access): Guarded<'s>,
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Plan<'s> {
    let mut admitted = admit(core, snapshot, (route, policies), request, shaping);
    if admitted.is_ok()
        && let Err(answer) = access::run(core, access, route, request, shaping).await
    {
        admitted = Err(answer);
    }
    conclude(core, snapshot, (route, policies), (request, admitted), shaping)
}

/// The same where nobody is asked.
fn unguarded<'s>(
    core: &Core,
    snapshot: &'s Snapshot,
    policed: (&'s Route, &'s Policies),
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Plan<'s> {
    let admitted = admit(core, snapshot, policed, request, shaping);
    conclude(core, snapshot, policed, (request, admitted), shaping)
}

/// What comes before the question who the client is. What is returned counts the request in.
#[inline]
fn admit<'s>(
    core: &Core,
    snapshot: &'s Snapshot,
    (route, policies): (&'s Route, &'s Policies),
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<Option<InFlight>, Answer> {
    if request.secured.is_tls() {
        check_certificate(core, policies, request, route)?;
    }
    fits(core, route, request)?;
    by_request(snapshot, (route, policies), request, shaping).map_err(|(_, answer)| answer)?;
    if policies.access.is_some() || policies.limits.is_some() || policies.mirror.is_some() {
        serviceable(snapshot, route, policies)?;
    }
    let in_flight = match &policies.limits {
        Some(limits) => core.limits.admit(limits, request.client)?,
        None => None,
    };
    if let Some(auth) = &policies.client_auth {
        // In the clear nobody shows a certificate; redirects to https come first.
        if !request.secured.is_tls() {
            check_certificate(core, policies, request, route)?;
        }
        client_certificate::tell(auth, request, |name, value| shaping.request.set(name, value));
    }
    Ok(in_flight)
}

/// What comes after it: where the request goes, and what the route says of both heads.
#[inline]
fn conclude<'s>(
    core: &Core,
    snapshot: &'s Snapshot,
    (route, policies): (&'s Route, &'s Policies),
    (request, admitted): (&Request<'_>, Result<Option<InFlight>, Answer>),
    shaping: &mut Shaping<'s>,
) -> Plan<'s> {
    let chosen =
        admitted.and_then(|in_flight| Ok((in_flight, choose(core, snapshot, (route, policies), request, shaping)?)));
    shaping.render(policies, request, route);
    match chosen {
        Ok((in_flight, (cluster, hint))) => {
            let mirror = policies.mirror.as_ref().and_then(|mirror| mirror::target(mirror, request, route));
            shaping.mirror = mirror.map(Box::new);
            Plan { verdict: Ok(cluster), hint, in_flight }
        }
        Err(answer) => Plan::answer(answer),
    }
}

/// The phases that look at the request alone, whoever sends it.
fn by_request<'s>(
    snapshot: &Snapshot,
    (route, policies): (&'s Route, &'s Policies),
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<(), (Phase, Answer)> {
    open_to_all((route, policies), request, shaping)?;
    at(Phase::Refusal, policies.refuse.map(Answer::status))?;
    if let Some(rewrite) = &policies.rewrite {
        rewrite::run(rewrite, request, route, shaping).map_err(|answer| (Phase::Rewrite, answer))?;
    }
    at(Phase::Https, to_https(snapshot, route, request))
}

/// Those of them that come before anybody is refused: what they say is no secret.
#[inline]
fn open_to_all<'s>(
    (route, policies): (&'s Route, &'s Policies),
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<(), (Phase, Answer)> {
    let denied = policies.denied_paths.as_ref().filter(|denied| denied.denies(request.path));
    at(Phase::Denied, denied.map(|_| Answer::status(403)))?;
    let single = || policies.redirects.as_ref()?.by_path.get(request.path);
    let redirect = policies.redirect.as_ref().or_else(single);
    at(Phase::Redirect, redirect.map(|redirect| redirect::to(redirect, request, route)))?;
    at(Phase::Preflight, policies.cors.as_ref().and_then(|cors| cors::run(cors, request, shaping)))
}

/// What a phase answers, if anything.
fn at(phase: Phase, answer: Option<Answer>) -> Result<(), (Phase, Answer)> {
    answer.map_or(Ok(()), |answer| Err((phase, answer)))
}

/// A body that is said to be larger than the route takes is refused before anything else, as nginx does where it has found
/// the location.
#[inline]
fn fits(core: &Core, route: &Route, request: &Request<'_>) -> Result<(), Answer> {
    if is_too_large(route, request) {
        core.metrics.refuse(Refused::BodyTooLarge);
        return Err(Answer::status(413));
    }
    Ok(())
}

#[inline]
fn is_too_large(route: &Route, request: &Request<'_>) -> bool {
    matches!((request.head.framing, route.body.bytes_max), (BodyFraming::Length(bytes), Some(max)) if bytes > max)
}

/// Whether anybody can serve the route. Asked before limits, access and copies, none of which such a request is worth; where
/// the route has none of them, the attempt to forward it finds the same, and says so in log and metrics.
fn serviceable(snapshot: &Snapshot, route: &Route, policies: &Policies) -> Result<(), Answer> {
    // A default backend without endpoints answers 404 in its own turn.
    if route.empty_status != 503 {
        return Ok(());
    }
    let is_main_served = match &route.backend {
        Backend::Cluster(main) => snapshot.clusters.is_served(*main),
        Backend::Weighted(parts) => parts.iter().any(|part| snapshot.clusters.is_served(part.cluster)),
        Backend::Status(status) => *status != 503,
    };
    if is_main_served || stand_in(snapshot, policies).is_some() { Ok(()) } else { Err(Answer::status(503)) }
}

/// The error backend, where it serves requests in place of a cluster that nobody serves.
fn stand_in(snapshot: &Snapshot, policies: &Policies) -> Option<ClusterId> {
    let pages = policies.error_pages.as_ref().filter(|pages| pages.takes_over)?;
    Some(pages.cluster).filter(|cluster| snapshot.clusters.is_served(*cluster))
}

/// The cluster that is asked: the route's own, a canary's, or that of its error pages.
fn choose<'s>(
    core: &Core,
    snapshot: &'s Snapshot,
    (route, policies): (&'s Route, &'s Policies),
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<(ClusterId, Hint<'s>), Answer> {
    let main = backend(route, &mut core.random.borrow_mut())?;
    let is_main_served = snapshot.clusters.is_served(main);
    if !is_main_served && let Some(cluster) = stand_in(snapshot, policies) {
        shaping.ask_for_page(route, request, 503);
        return Ok((cluster, Hint::default()));
    }
    // Without endpoints of its own a route answers 503 whatever its canaries have.
    if policies.canaries.is_empty() || !is_main_served {
        return Ok((main, hint_of(snapshot, route, main, request)));
    }
    let affinity = hint::affinity(route, snapshot.clusters.get(main));
    let cookie = affinity.and_then(|(affinity, _)| request.cookie(&affinity.cookie));
    let random = &mut core.random.borrow_mut();
    let canary = canary::choose((snapshot, main), &policies.canaries, request, cookie, random);
    let canary = canary.filter(|canary| snapshot.clusters.is_served(canary.cluster));
    let cluster = canary.map_or(main, |canary| canary.cluster);
    let affinity = affinity.filter(|_| canary.is_none_or(|canary| canary.sticky));
    let chosen = snapshot.clusters.get(cluster);
    let hint = chosen.map(|chosen| hint::of(chosen, route, affinity, request)).unwrap_or_default();
    Ok((cluster, hint))
}

/// What a request asks of the balancer of the route's own cluster.
#[inline]
fn hint_of<'s>(snapshot: &'s Snapshot, route: &'s Route, main: ClusterId, request: &Request<'_>) -> Hint<'s> {
    let chosen = snapshot.clusters.get(main);
    let affinity = hint::affinity(route, chosen);
    chosen.map(|chosen| hint::of(chosen, route, affinity, request)).unwrap_or_default()
}

/// Whether the client's certificate lets it in, where the host asks for one.
fn check_certificate(core: &Core, policies: &Policies, request: &Request<'_>, route: &Route) -> Result<(), Answer> {
    let Some(auth) = &policies.client_auth else { return Ok(()) };
    client_certificate::check(auth, request, route).inspect_err(|answer| {
        core.metrics.refuse(if answer.status == 421 { Refused::Misdirected } else { Refused::ClientCertificate });
    })
}

fn to_https(snapshot: &Snapshot, route: &Route, request: &Request<'_>) -> Option<Answer> {
    (route.https_redirect != HttpsRedirect::Never).then(|| redirect::to_https(snapshot, route, request)).flatten()
}

/// Where the route's own backend sends a request.
fn backend(route: &Route, random: &mut fastrand::Rng) -> Result<ClusterId, Answer> {
    match &route.backend {
        Backend::Cluster(cluster) => Ok(*cluster),
        Backend::Status(status) => Err(Answer::status(*status)),
        Backend::Weighted(parts) => {
            let total: u64 = parts.iter().map(|p| u64::from(p.weight)).sum();
            let mut left = random.u64(..total.max(1));
            for part in parts {
                match left.checked_sub(u64::from(part.weight)) {
                    Some(rest) => left = rest,
                    None => return Ok(part.cluster),
                }
            }
            Err(Answer::status(503))
        }
    }
}
