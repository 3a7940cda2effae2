//! Ingress to intents: class, refusals, hosts, paths, backends, TLS (reference 3.1 to 3.9).

mod admit;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::annotation::{self, Annotations, Missing, Rewrite};
use crate::diagnostics::Finding;
use crate::intent::{BackendIntent, HostIntent, HostName, Intent, RouteIntent, RoutePolicy, TlsIntent};
use crate::intent::{Translation, Verdict};
use crate::model::{Ingress, IngressBackend, IngressPath, IngressPathKind, Kind, ObjectKey, ObjectRef};
use crate::options::Options;
use crate::settings::Globals;
use crate::snapshot::{ClusterKey, PathKind};
use crate::value::{self, Source as _};

/// Longest path of a rule, bytes.
const PATH_BYTES_MAX: usize = 4 << 10;

/// What an Ingress is translated against.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options,
    pub(crate) globals: &'a Globals,
    /// Names of the IngressClasses that are served here.
    pub(crate) classes: &'a BTreeSet<Arc<str>>,
}

/// Translates one Ingress. The outcome depends on nothing but the arguments.
pub(crate) fn translate(ingress: &Ingress, context: Context<'_>) -> Translation {
    let object = ObjectRef { kind: Kind::Ingress, key: ingress.meta.key.clone() };
    let mut annotations = Annotations::new(ingress, &object, &context.options.annotations_prefix);
    if !admit::is_ours(ingress, &annotations, context) {
        return Translation { verdict: Verdict::Foreign, findings: Vec::new() };
    }
    if let Some(finding) = admit::excluded(ingress, &object, context.options) {
        return Translation { verdict: Verdict::Foreign, findings: vec![finding] };
    }
    if admit::is_refused(&mut annotations, context.globals) {
        return Translation { verdict: Verdict::Refused, findings: annotations.into_findings() };
    }
    let is_canary = annotations.get("canary", value::bool).unwrap_or(false);
    let missing = annotations.report();
    let mut policy = context.globals.policy.clone();
    let rewrite = annotation::read_all(&mut annotations, &mut policy);
    policy.deny = missing.route.or(context.globals.missing).or(policy.deny);
    let mut translator = Translator {
        ingress,
        object: &object,
        globals: context.globals,
        rewrite,
        policy: Arc::new(policy),
        missing,
        findings: annotations.into_findings(),
    };
    let hosts = if is_canary { Vec::new() } else { translator.hosts() };
    let findings = translator.findings;
    let intent = Intent { source: object, meta: ingress.meta.clone(), hosts };
    Translation { verdict: Verdict::Accepted(Arc::new(intent)), findings }
}

struct Translator<'a> {
    ingress: &'a Ingress,
    object: &'a ObjectRef,
    globals: &'a Globals,
    rewrite: Rewrite,
    policy: Arc<RoutePolicy>,
    missing: Missing,
    findings: Vec<Finding>,
}

impl Translator<'_> {
    fn hosts(&mut self) -> Vec<HostIntent> {
        let fallback = match &self.ingress.default_backend {
            Some(backend) => self.backend(backend, "spec.defaultBackend"),
            None => BackendIntent::Default,
        };
        let mut hosts: Vec<HostIntent> = Vec::new();
        for (index, rule) in self.ingress.rules.iter().enumerate() {
            let field = format!("spec.rules[{index}]");
            let host = match rule.host.as_deref().map(HostName::parse) {
                None => HostName::catch_all(),
                Some(Ok(host)) => host,
                Some(Err(fault)) => {
                    let host = rule.host.as_deref().unwrap_or_default();
                    self.error(format!("{field}.host"), format!("`{host}` {fault}; the rule is left out"));
                    continue;
                }
            };
            let routes = self.routes(&rule.paths, &field);
            match hosts.iter_mut().find(|h| h.host == host) {
                Some(known) => known.routes.extend(routes),
                None => {
                    let fallback = self.fallback(&field, fallback.clone());
                    let tls = self.tls(&host);
                    let deny = self.missing.host;
                    hosts.push(HostIntent { host, routes, fallback, claims_root: false, tls, deny });
                }
            }
        }
        if self.ingress.rules.is_empty() && self.ingress.default_backend.is_some() {
            hosts.push(self.catch_all(fallback));
        }
        hosts
    }

    /// A default backend without rules serves every unknown host. Redirects and rewrites do not act there.
    fn catch_all(&self, backend: BackendIntent) -> HostIntent {
        let mut fallback = self.fallback("spec.defaultBackend", backend);
        (fallback.regex, fallback.redirects) = (false, false);
        HostIntent {
            host: HostName::catch_all(),
            routes: Vec::new(),
            fallback,
            claims_root: true,
            tls: TlsIntent::None,
            deny: self.missing.host,
        }
    }

    fn fallback(&self, field: &str, backend: BackendIntent) -> RouteIntent {
        self.route(field.to_owned(), "spec.defaultBackend".into(), PathKind::Prefix, "/".into(), backend)
    }

    fn routes(&mut self, paths: &[IngressPath], rule: &str) -> Vec<RouteIntent> {
        let mut routes = Vec::with_capacity(paths.len());
        for (index, path) in paths.iter().enumerate() {
            let field = format!("{rule}.http.paths[{index}]");
            let text: Arc<str> = if path.path.is_empty() { "/".into() } else { Arc::clone(&path.path) };
            if let Some(fault) = path_fault(&text, path.kind) {
                self.error(format!("{field}.path"), format!("{fault}; the path is left out"));
                continue;
            }
            let kind = match path.kind {
                IngressPathKind::Exact => PathKind::Exact,
                IngressPathKind::Prefix | IngressPathKind::ImplementationSpecific => PathKind::Prefix,
            };
            let backend_field = format!("{field}.backend");
            let backend = self.backend(&path.backend, &backend_field);
            routes.push(self.route(field, backend_field, kind, text, backend));
        }
        routes
    }

    fn route(
        &self,
        field: String,
        backend_field: String,
        kind: PathKind,
        path: Arc<str>,
        backend: BackendIntent,
    ) -> RouteIntent {
        let exempt = self.globals.no_redirect_paths.iter().any(|start| path.starts_with(&**start));
        RouteIntent {
            field,
            backend_field,
            kind,
            regex: self.rewrite.asks_for_regex(&path),
            path,
            backend,
            policy: Arc::clone(&self.policy),
            redirects: !exempt,
        }
    }

    fn backend(&mut self, backend: &IngressBackend, field: &str) -> BackendIntent {
        match backend {
            IngressBackend::Service { name, port: Some(port) } if !name.is_empty() => {
                let service = ObjectKey { namespace: Arc::clone(&self.object.key.namespace), name: Arc::clone(name) };
                BackendIntent::Service(ClusterKey { service, port: port.clone() })
            }
            IngressBackend::Service { name, .. } => {
                let missing = if name.is_empty() { "name" } else { "port" };
                self.error(format!("{field}.service.{missing}"), "missing; requests are answered 503");
                BackendIntent::Status(503)
            }
            IngressBackend::Resource(resource) => {
                let message = format!("{resource} cannot be served; the default backend answers");
                self.error(format!("{field}.resource"), message);
                BackendIntent::Default
            }
            IngressBackend::Missing => {
                self.error(field, "names no service; the default backend answers");
                BackendIntent::Default
            }
        }
    }

    fn tls(&self, host: &HostName) -> TlsIntent {
        let secret =
            |name: &Arc<str>| ObjectKey { namespace: Arc::clone(&self.object.key.namespace), name: Arc::clone(name) };
        let lists = |listed: &Arc<str>| {
            let listed = listed.to_ascii_lowercase();
            let below = listed.strip_prefix("*.").zip(host.text().split_once('.'));
            *listed == **host.text() || below.is_some_and(|(listed, (_, tail))| listed == tail)
        };
        for (index, tls) in self.ingress.tls.iter().enumerate() {
            if tls.hosts.iter().any(lists) {
                let field = format!("spec.tls[{index}].secretName");
                return TlsIntent::Listed { secret: tls.secret.as_ref().map(secret), field };
            }
        }
        let secrets: Vec<_> = self.ingress.tls.iter().filter_map(|tls| tls.secret.as_ref().map(secret)).collect();
        if secrets.is_empty() { TlsIntent::None } else { TlsIntent::AnyOf(secrets) }
    }

    fn error(&mut self, field: impl Into<Arc<str>>, message: impl Into<Arc<str>>) {
        self.findings.push(Finding::error(self.object, field, message));
    }
}

/// What is wrong with a path. The API server refuses the same; a folder has no API server in front.
fn path_fault(path: &str, kind: IngressPathKind) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("does not start with `/`");
    }
    if path.len() > PATH_BYTES_MAX {
        return Some("is longer than 4096 bytes");
    }
    let is_literal = kind != IngressPathKind::ImplementationSpecific;
    let odd = |segment: &str| matches!(segment, "." | "..");
    if is_literal && (path.contains("//") || path.split('/').any(odd)) {
        return Some("holds `//`, `/./` or `/../`, which requests are matched without");
    }
    None
}

#[cfg(test)]
mod tests;
