//! What a host has to say in the TLS handshake: client certificates (reference 3.11), passing TLS on (3.12).

use std::sync::Arc;

use super::paths::{self, Claim, Findings, Placed};
use crate::diagnostics::Finding;
use crate::intent::{HostKind, HostName};
use crate::snapshot::{Backend, ClientAuth, HostTls, PathKind, UpstreamTls};

/// Who may connect: as the oldest object says that speaks of it. Others that say something else are told.
pub(super) fn client_auth(name: &HostName, claims: &[Claim<'_>], findings: &mut Findings) -> Option<Arc<ClientAuth>> {
    let mut speaking = claims.iter().filter_map(|claim| Some((claim.intent, claim.host.client_auth.as_ref()?)));
    let (first, chosen) = speaking.next()?;
    for (intent, _) in speaking.filter(|(_, other)| *other != chosen) {
        let message = format!("host {name}: client certificates are already asked for as {} says", first.source);
        paths::add(findings, intent, Finding::warning(&intent.source, "metadata.annotations", message));
    }
    Some(Arc::clone(chosen))
}

/// TLS toward the pods where a path says nothing about it: as the oldest object says.
pub(super) fn upstream_tls(claims: &[Claim<'_>]) -> Option<Arc<UpstreamTls>> {
    claims.iter().find_map(|claim| claim.host.fallback.policy.upstream_tls.clone())
}

/// All of it. TLS is passed on to the service behind `/`, for names that are no wildcards.
pub(super) fn of(
    name: &HostName,
    claims: &[Claim<'_>],
    placed: &[Placed],
    client_auth: Option<Arc<ClientAuth>>,
    findings: &mut Findings,
) -> HostTls {
    let mut tls = HostTls { client_auth, passthrough: None };
    let Some(claim) = claims.iter().find(|claim| claim.host.passthrough) else { return tls };
    let root = placed.iter().find(|p| p.kind == PathKind::Prefix && &*p.route.path == "/");
    let fault = match (name.kind(), root.map(|placed| &placed.route.backend)) {
        (HostKind::Exact, Some(Backend::Cluster(cluster))) => {
            tls.passthrough = Some(*cluster);
            return tls;
        }
        (HostKind::Exact, _) => "no service is behind its path /",
        (HostKind::Below(_) | HostKind::CatchAll, _) => "it is no exact name",
    };
    let message = format!("host {name}: TLS is ended here, not passed on, because {fault}");
    paths::add(findings, claim.intent, Finding::warning(&claim.intent.source, "metadata.annotations", message));
    tls
}
