//! What a host has to say in the TLS handshake: client certificates (reference 3.11), passing TLS on (3.12).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::certificates::{CertificateTable, Lookup};
use super::claims::Claims;
use super::paths::{self, Claim, Findings, Placed};
use super::store::Store;
use crate::diagnostics::Finding;
use crate::intent::{HostIntent, HostKind, HostName, HostRole, Intent, TlsIntent};
use crate::model::ObjectKey;
use crate::snapshot::{
    Backend, Certificate, ClientAuth, HostCiphers, HostTls, PathKind, ServerCertificate, UpstreamTls,
};

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

/// Suites of the host: each word about them is that of the oldest object that says it.
fn ciphers(claims: &[Claim<'_>]) -> Option<Arc<HostCiphers>> {
    let mut speaking = claims.iter().filter_map(|claim| claim.host.ciphers.as_ref());
    let first = speaking.next()?;
    let mut all = HostCiphers::clone(first);
    for other in speaking {
        all.suites = all.suites.or_else(|| other.suites.clone());
        all.prefer_own = all.prefer_own.or(other.prefer_own);
    }
    Some(if all == **first { Arc::clone(first) } else { Arc::new(all) })
}

/// All of it. TLS is passed on to the service behind `/`, for names that are no wildcards.
pub(super) fn of(
    name: &HostName,
    claims: &[Claim<'_>],
    placed: &[Placed],
    client_auth: Option<Arc<ClientAuth>>,
    findings: &mut Findings,
) -> HostTls {
    let mut tls = HostTls { client_auth, passthrough: None, ciphers: ciphers(claims) };
    let Some(claim) = claims.iter().find(|claim| claim.host.passthrough) else { return tls };
    let root = placed.iter().find(|p| p.kind == PathKind::Prefix && &*p.route.path == "/");
    let fault = match (name.kind(), root.map(|placed| &placed.route.backend)) {
        (HostKind::Exact, Some(Backend::Cluster(cluster))) => {
            tls.passthrough = Some(*cluster);
            return tls;
        }
        (HostKind::Exact, _) => "no service is behind its path /",
        (_, _) => "it is no exact name",
    };
    let message = format!("host {name}: TLS is ended here, not passed on, because {fault}");
    paths::add(findings, claim.intent, Finding::warning(&claim.intent.source, "metadata.annotations", message));
    tls
}

/// What a host presents: as its oldest object says that speaks of TLS. Also the Secrets that were looked at.
pub(super) fn certificate(
    name: &HostName,
    claims: &Claims,
    (certificates, store): (&mut CertificateTable, &Store),
    findings: &mut Findings,
) -> (Option<ServerCertificate>, BTreeSet<ObjectKey>) {
    let mut secrets = BTreeSet::new();
    if matches!(name.kind(), HostKind::CatchAll | HostKind::Above(_) | HostKind::Pattern(_)) {
        return (None, secrets);
    }
    let mut look_up = |secret: &ObjectKey| {
        secrets.insert(secret.clone());
        match certificates.look_up(secret, store) {
            Lookup::Usable(found) | Lookup::Kept(found, ..) if found.covers(name.text()) => Ok(found),
            Lookup::Usable(_) | Lookup::Kept(..) => {
                Err(format!("the certificate of Secret {secret} is not valid for host {name}"))
            }
            Lookup::Missing => Err(format!("Secret {secret} does not exist")),
            Lookup::Broken(field, _) => Err(format!("{field} of Secret {secret} cannot be used")),
        }
    };
    let mut unlisted = Vec::new();
    let presented = claims.values().find_map(|intent| match &intent.host(name)?.tls {
        TlsIntent::None => None,
        TlsIntent::Listed { secret: None, .. } => Some(ServerCertificate::Default),
        TlsIntent::Listed { secret: Some(secret), others, field } => {
            let mut warn = |message| {
                paths::add(findings, intent, Finding::warning(&intent.source, field.as_str(), message));
            };
            let found = match look_up(secret) {
                Ok(found) => found,
                Err(fault) => {
                    warn(format!("{fault}; the default certificate is presented"));
                    return Some(ServerCertificate::Default);
                }
            };
            let mut beside: Option<Arc<Certificate>> = None;
            for other in others.iter().filter(|other| *other != secret) {
                match look_up(other) {
                    Ok(other) if beside.is_none() && other.algorithm() != found.algorithm() => beside = Some(other),
                    Ok(_) => warn(format!(
                        "host {name}: Secret {other} is not presented, as its key is of the same kind as another one's"
                    )),
                    Err(fault) => warn(format!("{fault}; it is not presented beside that of {secret}")),
                }
            }
            Some(ServerCertificate::own(found, beside))
        }
        TlsIntent::AnyOf(all) => {
            let mut usable = all.iter().filter_map(|secret| look_up(secret).ok());
            let Some(found) = usable.next() else {
                unlisted.push(intent);
                return None;
            };
            let beside = usable.find(|other| other.algorithm() != found.algorithm());
            Some(ServerCertificate::own(found, beside))
        }
    });
    if presented.is_none() {
        unlisted.into_iter().for_each(|intent| report_unlisted(name, intent, findings));
    }
    (presented, secrets)
}

/// The rule of an Ingress with TLS that names neither this host nor a certificate for it, where that would be redirected.
fn report_unlisted(name: &HostName, intent: &Intent, findings: &mut Findings) {
    let is_redirected = |host: &HostIntent| host.role == HostRole::Rule && host.fallback.policy.https.redirect;
    if intent.host(name).is_some_and(is_redirected) {
        let message = format!(
            "no entry lists host {name} and no certificate there is valid for it: it is redirected to https only where \
             another certificate is; in ingress-nginx always, to the default certificate"
        );
        paths::add(findings, intent, Finding::warning(&intent.source, "spec.tls", message));
    }
}
