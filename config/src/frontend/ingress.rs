//! Ingress to intents: class, refusals, hosts, paths, backends, TLS (reference 3.1 to 3.9).

mod admit;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::annotation::{self, Annotations, Objects, Said};
use crate::diagnostics::Finding;
use crate::intent::{BackendIntent, HostIntent, HostName, HostRole, Intent, RouteIntent, RoutePolicy, TlsIntent};
use crate::intent::{Translation, Verdict};
use crate::model::{Ingress, IngressBackend, IngressPath, IngressPathKind, Kind, ObjectKey, ObjectRef, Transport};
use crate::options::Options;
use crate::settings::Globals;
use crate::snapshot::{Access, ClusterKey, PathKind, Policies, Redirect, Template};
use crate::value::Source as _;

/// Longest path of a rule, bytes.
const PATH_BYTES_MAX: usize = 4 << 10;

/// What an Ingress is translated against.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options,
    pub(crate) globals: &'a Globals,
    /// Names of the IngressClasses that are served here.
    pub(crate) classes: &'a BTreeSet<Arc<str>>,
    /// What annotations may name.
    pub(crate) objects: &'a dyn Objects,
}

/// Whether an Ingress is for somebody else, by its class or its namespace.
pub(crate) fn is_foreign(ingress: &Ingress, context: Context<'_>) -> bool {
    let object = ObjectRef { kind: Kind::Ingress, key: ingress.meta.key.clone() };
    let annotations = Annotations::new(ingress, &object, &context.options.annotations_prefix);
    !admit::is_ours(ingress, &annotations, context)
}

/// Translates one Ingress. The outcome depends on nothing but the arguments.
pub(crate) fn translate(ingress: &Ingress, context: Context<'_>) -> Translation {
    let object = ObjectRef { kind: Kind::Ingress, key: ingress.meta.key.clone() };
    let (globals, prefix) = (context.globals, &context.options.annotations_prefix);
    let annotations = Annotations::new(ingress, &object, prefix).validating(context.options.validate_annotations);
    let mut annotations = annotations.with_objects(context.objects, globals.cross_namespace);
    let alone = |verdict, findings| Translation { verdict, findings, references: BTreeSet::new() };
    if !admit::is_ours(ingress, &annotations, context) {
        return alone(Verdict::Foreign, Vec::new());
    }
    if let Some(finding) = admit::excluded(ingress, &object, context.options) {
        return alone(Verdict::Foreign, vec![finding]);
    }
    if admit::is_refused(&mut annotations, globals) {
        return alone(Verdict::Refused, annotations.into_parts().0);
    }
    annotations.report();
    let mut policy = globals.policy.clone();
    let canary = annotation::read_canary(&mut annotations);
    let said = match canary {
        Some(_) => Said::default(),
        None => annotation::read_all(&mut annotations, globals, &mut policy),
    };
    policy.filters.https_port = context.options.https_port.filter(|_| policy.https.with_port);
    let passes = said.passthrough && !context.options.enable_ssl_passthrough;
    if passes {
        annotations
            .warn("ssl-passthrough", "TLS is ended here, not passed on, without --enable-ssl-passthrough".into());
    }
    let said = Said { passthrough: said.passthrough && !passes, ..said };
    let has_error_backend = policy.errors.backend.is_some() || context.options.default_backend_service.is_some();
    if canary.is_none() && annotations.text("custom-http-errors").is_some() && !has_error_backend {
        let message = "has no effect: there is neither a default-backend nor a --default-backend-service to ask";
        annotations.warn("custom-http-errors", message.into());
    }
    let mut balancing = annotation::read_balancing(&mut annotations, globals);
    balancing.affinity = policy.filters.affinity.clone();
    balancing.health_check = annotation::read_health_check(&mut annotations, &policy);
    if balancing.health_check.is_some() && balancing.field.is_none() {
        balancing.field = Some(annotations.field_of("ringress.io/health-check"));
    }
    balancing.shares_sessions = canary.as_ref().is_some_and(|rule| rule.sticky);
    // Most say nothing about it.
    let balancing = if balancing == *globals.balancing { Arc::clone(&globals.balancing) } else { Arc::new(balancing) };
    let outcome = annotations.outcome();
    policy.deny = globals.missing.or(policy.deny).or(outcome.deny);
    policy.filters.refuse = policy.deny.or(policy.filters.refuse);
    let alias_field = annotations.field_of("server-alias");
    let (findings, references) = annotations.into_parts();
    if outcome.refused {
        return Translation { verdict: Verdict::Refused, findings, references };
    }
    let filters = (policy.filters != Policies::default()).then(|| Arc::new(policy.filters.clone()));
    let policy = Arc::new(policy);
    let deny = outcome.deny_host;
    let mut translator = Translator { ingress, object: &object, globals, said, policy, filters, deny, findings };
    let mut hosts = translator.hosts();
    match canary {
        Some(rule) => {
            translator.report_canary();
            canaries(&mut hosts, HostRole::Canary(Arc::new(rule)));
        }
        None => translator.more_names(&mut hosts, &alias_field),
    }
    let findings = translator.findings;
    let intent = Intent { source: object, meta: ingress.meta.clone(), hosts, balancing };
    Translation { verdict: Verdict::Accepted(Arc::new(intent)), findings, references }
}

/// A canary has paths and nothing else; without rules its default backend stands beside that of all hosts.
fn canaries(hosts: &mut [HostIntent], role: HostRole) {
    for host in hosts {
        if host.claims_root {
            host.routes.push(host.fallback.clone());
        }
        host.role = role.clone();
        (host.claims_root, host.tls, host.deny) = (false, TlsIntent::None, None);
        (host.client_auth, host.ciphers, host.passthrough) = (None, None, false);
    }
}

struct Translator<'a> {
    ingress: &'a Ingress,
    object: &'a ObjectRef,
    globals: &'a Globals,
    said: Said,
    policy: Arc<RoutePolicy>,
    /// What routes do besides forwarding, unless their path says otherwise.
    filters: Option<Arc<Policies>>,
    /// What every path of its hosts answers, as access control is missing.
    deny: Option<u16>,
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
                    let deny = self.deny;
                    let (role, root) = (HostRole::Rule, self.root(&field));
                    let (client_auth, passthrough) = (self.said.client_auth.clone(), self.said.passthrough);
                    hosts.push(HostIntent {
                        host,
                        role,
                        root,
                        routes,
                        fallback,
                        claims_root: false,
                        tls,
                        deny,
                        client_auth,
                        ciphers: self.said.ciphers.clone(),
                        passthrough,
                    });
                }
            }
        }
        if self.ingress.rules.is_empty() && self.ingress.default_backend.is_some() {
            hosts.push(self.catch_all(fallback));
        }
        // A list grows by four, and there is one for each Ingress.
        hosts.shrink_to_fit();
        hosts
    }

    /// A default backend without rules serves every unknown host. Redirects and rewrites do not act there.
    fn catch_all(&self, backend: BackendIntent) -> HostIntent {
        let mut fallback = self.fallback("spec.defaultBackend", backend);
        (fallback.regex, fallback.redirects) = (false, false);
        if let Some(filters) = fallback.filters.as_mut().filter(|f| f.redirect.is_some() || f.rewrite.is_some()) {
            *filters = Arc::new(Policies { redirect: None, rewrite: None, ..Policies::clone(filters) });
        }
        HostIntent {
            host: HostName::catch_all(),
            role: HostRole::Rule,
            root: None,
            routes: Vec::new(),
            fallback,
            claims_root: true,
            tls: TlsIntent::None,
            deny: self.deny,
            client_auth: self.said.client_auth.clone(),
            ciphers: self.said.ciphers.clone(),
            passthrough: false,
        }
    }

    /// Aliases of the hosts of the rules, and their siblings with or without `www.`.
    fn more_names(&self, hosts: &mut Vec<HostIntent>, alias_field: &str) {
        let named: Vec<_> = hosts.iter().map(|host| host.host.clone()).collect();
        let add = |hosts: &mut Vec<HostIntent>, host: HostName, role, route: RouteIntent| {
            if hosts.iter().all(|known| known.host != host) {
                let (tls, deny) = (self.tls(&host), self.deny);
                let (root, routes, claims_root) = (None, vec![route.clone()], false);
                let (client_auth, passthrough) = (None, false);
                hosts.push(HostIntent {
                    host,
                    role,
                    root,
                    routes,
                    fallback: route,
                    claims_root,
                    tls,
                    deny,
                    client_auth,
                    ciphers: self.said.ciphers.clone(),
                    passthrough,
                });
            }
        };
        let of: Arc<[HostName]> = named.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        for alias in self.said.aliases.iter().filter(|_| !of.is_empty()) {
            let role = HostRole::Alias { of: of.clone(), field: alias_field.to_owned() };
            add(hosts, alias.clone(), role, self.redirect(String::new(), PathKind::Prefix, None));
        }
        for host in named.iter().filter(|_| self.said.from_to_www) {
            let Some(sibling) = host.sibling() else { continue };
            let text = format!("$pass_access_scheme://{host}:$server_port$request_uri");
            let Ok(location) = Template::parse(&text) else { continue };
            let redirect = Redirect { status: self.globals.redirect_status, location, cut_slash: true };
            let route = self.redirect(String::new(), PathKind::Prefix, Some(redirect));
            add(hosts, sibling, HostRole::Sibling, route);
        }
    }

    /// Exactly `/`, when it is redirected to the application's start page.
    fn root(&self, field: &str) -> Option<Box<RouteIntent>> {
        let redirect = self.said.app_root.clone()?;
        Some(Box::new(self.redirect(field.to_owned(), PathKind::Exact, Some(redirect))))
    }

    /// A path `/` that only redirects.
    fn redirect(&self, field: String, kind: PathKind, redirect: Option<Redirect>) -> RouteIntent {
        RouteIntent {
            backend_field: field.clone(),
            field,
            kind,
            path: "/".into(),
            regex: false,
            backend: BackendIntent::Status(404),
            policy: Arc::new(RoutePolicy::default()),
            redirects: false,
            filters: Some(Arc::new(Policies { redirect, ..Policies::default() })),
        }
    }

    /// What a route of a path does besides forwarding.
    fn filters(&self, path: &str) -> Option<Arc<Policies>> {
        let rewrite = self.said.rewrite.of(path);
        let guards = |access: &Arc<Access>| access.basic.is_some() || access.external.is_some();
        let is_guarded = self.filters.as_ref().and_then(|filters| filters.access.as_ref()).is_some_and(guards);
        let is_open = is_guarded && self.globals.no_auth_paths.iter().any(|start| path.starts_with(&**start));
        if rewrite.is_none() && !is_open {
            return self.filters.clone();
        }
        let mut filters = self.filters.as_deref().cloned().unwrap_or_default();
        filters.rewrite = rewrite;
        if is_open {
            let access = filters.access.as_deref().cloned().unwrap_or_default();
            filters.access = Some(Arc::new(Access { basic: None, external: None, ..access }));
        }
        Some(Arc::new(filters))
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
            regex: self.said.rewrite.asks_for_regex(&path),
            filters: self.filters(&path),
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
                BackendIntent::Service(ClusterKey { service, port: port.clone(), transport: Transport::Tcp })
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
        let mut listing = self.ingress.tls.iter().enumerate().filter(|(_, tls)| tls.hosts.iter().any(lists));
        if let Some((index, tls)) = listing.next() {
            let field = format!("spec.tls[{index}].secretName");
            let others = listing.filter_map(|(_, tls)| tls.secret.as_ref().map(secret)).collect();
            return TlsIntent::Listed { secret: tls.secret.as_ref().map(secret), others, field };
        }
        let secrets: Vec<_> = self.ingress.tls.iter().filter_map(|tls| tls.secret.as_ref().map(secret)).collect();
        if secrets.is_empty() { TlsIntent::None } else { TlsIntent::AnyOf(secrets) }
    }

    /// What a canary says besides its paths.
    fn report_canary(&mut self) {
        if !self.ingress.tls.is_empty() {
            let message = "has no effect on a canary: certificates are those of its main Ingress";
            self.findings.push(Finding::info(self.object, "spec.tls", message));
        }
        if self.ingress.default_backend.is_some() && !self.ingress.rules.is_empty() {
            let message = "has no effect beside the rules of a canary; in ingress-nginx it takes a share of the catch-all \
                           host, too";
            self.findings.push(Finding::warning(self.object, "spec.defaultBackend", message));
        }
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
