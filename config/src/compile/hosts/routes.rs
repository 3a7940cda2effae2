//! The routes of one host: what the rules say of a path, what the host and the process add, as the workers take it.

use std::sync::Arc;

use super::super::claims;
use super::super::few::Few;
use super::super::ids::Ids;
use super::super::paths::{Placed, Winner};
use super::Surroundings;
use crate::intent::{BackendIntent, CanaryRule, ErrorIntent, HostKind, HostName, HttpsPolicy, Intent, RouteIntent};
use crate::model::{Kind, ObjectKey, ObjectRef};
use crate::snapshot::{
    Backend, Canary, ClientAuth, ErrorPages, HttpsRedirect, PathKind, Policies, PortKey, Route, RouteId, RouteLabels,
    UpstreamProtocol, UpstreamTls,
};

/// What a route's id stays with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteKey {
    object: ObjectRef,
    kind: PathKind,
    path: Arc<str>,
}

/// Makes the routes of one host.
pub(super) struct RouteBuilder<'a> {
    pub(super) name: &'a HostName,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) is_regex: bool,
    /// Every route answers this.
    pub(super) deny: Option<u16>,
    pub(super) client_auth: Option<Arc<ClientAuth>>,
    /// Where a path says nothing about TLS toward the pods.
    pub(super) upstream_tls: Option<Arc<UpstreamTls>>,
    pub(super) canaries: claims::Canaries<'a>,
    pub(super) ids: &'a mut Ids,
    pub(super) old: &'a Few<RouteKey, RouteId>,
    pub(super) new: Few<RouteKey, RouteId>,
}

impl RouteBuilder<'_> {
    pub(super) fn build(&mut self, winner: Winner<'_>, broken: bool) -> Arc<Route> {
        let id = self.id(&winner.intent.source, winner.route.kind, &winner.route.path);
        Arc::new(self.route(id, winner, broken))
    }

    /// The route of exactly `/`. Not a pattern, even among patterns; an id of its own, beside that of a rule's `/`.
    pub(super) fn root(&mut self, winner: Winner<'_>) -> Arc<Route> {
        let id = self.id(&winner.intent.source, PathKind::Exact, &"".into());
        Arc::new(Route { kind: PathKind::Exact, ..self.route(id, winner, false) })
    }

    fn route(&mut self, id: RouteId, winner: Winner<'_>, broken: bool) -> Route {
        let Winner { intent, route } = winner;
        let policy = &route.policy;
        let unmatchable = broken.then_some(503);
        let deny = self.deny.or(policy.deny).or(unmatchable);
        let backend = match (deny, &route.backend) {
            (Some(status), _) => Backend::Status(status),
            (None, BackendIntent::Status(status)) => Backend::Status(*status),
            (None, BackendIntent::Default) => self.default_backend(),
            (None, BackendIntent::Service(key)) => {
                self.around.clusters.id(key).map_or(Backend::Status(503), Backend::Cluster)
            }
        };
        let redirects = route.redirects && deny.is_none();
        let is_default = route.backend == BackendIntent::Default;
        let policies = self.policies(winner);
        let policies = self.guarded(policies);
        let policies = if is_default { policies.map(in_the_clear) } else { policies };
        // Where annotations deny, `refuse` says so among the policies.
        let policies = match (self.deny.or(unmatchable), policies) {
            (Some(status), policies) => Some(Arc::new(refusing(status, policies.as_deref()))),
            (None, policies) => policies,
        };
        Route {
            id,
            source: intent.source.clone(),
            field: route.field.clone(),
            kind: if self.is_regex { PathKind::Regex } else { route.kind },
            path: Arc::clone(&route.path),
            labels: Arc::new(self.labels(intent, &route.backend, &route.path)),
            https_redirect: self.https_redirect(&policy.https, redirects),
            redirect_keeps_slash: policy.https.keep_slash,
            backend,
            empty_status: if is_default { 404 } else { 503 },
            // The default backend is no Ingress' own: it speaks plain HTTP whatever theirs do.
            protocol: if is_default { Some(UpstreamProtocol::Http) } else { policy.protocol },
            upstream_tls: match policy.protocol {
                _ if is_default => None,
                Some(UpstreamProtocol::Http | UpstreamProtocol::Grpc) if !policy.filters.tls_as_client => None,
                // Without a word of the route the port may say TLS.
                _ => policy.upstream_tls.clone().or_else(|| self.upstream_tls.clone()),
            },
            timeouts: policy.timeouts,
            body: policy.body,
            retry: policy.retry(),
            policies,
        }
    }

    /// With the client certificates of the host.
    fn guarded(&self, policies: Option<Arc<Policies>>) -> Option<Arc<Policies>> {
        let Some(auth) = &self.client_auth else { return policies };
        let policies = policies.as_deref().cloned().unwrap_or_default();
        Some(Arc::new(Policies { client_auth: Some(Arc::clone(auth)), ..policies }))
    }

    /// What the route does besides forwarding, with what names clusters: the canaries that take a share of its
    /// requests, and the error backend.
    fn policies(&mut self, winner: Winner<'_>) -> Option<Arc<Policies>> {
        let filters = &winner.route.filters;
        let canary = |(rule, key): (&CanaryRule, _)| {
            let cluster = self.around.clusters.id(key)?;
            let (matches, header, cookie) = (rule.matches.clone(), rule.header.clone(), rule.cookie.clone());
            let (weight, total, sticky) = (rule.weight, rule.total, rule.sticky);
            Some(Canary { cluster, matches, header, cookie, weight, total, sticky })
        };
        let canaries: Box<[Canary]> = self.canaries.of(winner.route).into_iter().filter_map(canary).collect();
        let error_pages = self.error_pages(winner.route);
        if canaries.is_empty() && error_pages.is_none() {
            return filters.clone();
        }
        let filters = filters.as_deref().cloned().unwrap_or_default();
        Some(Arc::new(Policies { canaries, error_pages, ..filters }))
    }

    /// Whose answers are replaced by an error backend's; without one there is nothing to replace them with.
    fn error_pages(&self, route: &RouteIntent) -> Option<Arc<ErrorPages>> {
        let ErrorIntent { statuses, backend, own_only } = &route.policy.errors;
        let clusters = self.around.clusters;
        let (key, takes_over) = match backend {
            Some((_, key)) => (key, true),
            // What the default backend answers needs no second opinion of its own.
            None if route.backend == BackendIntent::Default => return None,
            None => (clusters.default_backend()?, false),
        };
        if statuses.is_empty() && !takes_over {
            return None;
        }
        let global = || clusters.default_backend().and_then(|key| clusters.id(key));
        // A Service that is missing or has no endpoint is as none.
        let (cluster, otherwise, takes_over) = match clusters.id(key) {
            Some(own) => (own, global().filter(|global| *global != own), takes_over),
            None => (global()?, None, false),
        };
        let (statuses, own_only) = (statuses.clone(), *own_only);
        Some(Arc::new(ErrorPages { statuses, cluster, otherwise, own_only, takes_over }))
    }

    /// The route of hosts that no rule names, when there is a default backend service and no other claim, or something to
    /// be said on the 404. Without either there is no route at all, and the workers answer 404.
    pub(super) fn built_in(&mut self) -> Option<Placed> {
        if self.name.kind() != HostKind::CatchAll {
            return None;
        }
        let globals = self.around.globals;
        let Some(service) = self.around.clusters.default_backend().map(|key| key.service.clone()) else {
            let response_fields = globals.policy.filters.response_fields.clone();
            let policies = Policies { response_fields, ..Policies::default() };
            let says = policies != Policies::default();
            let key = self.around.options.configmap.clone().filter(|_| says)?;
            return Some(self.own_route("/", Backend::Status(404), (Kind::ConfigMap, key), Some(policies)));
        };
        let backend = globals.missing.map_or_else(|| self.default_backend(), Backend::Status);
        let filters = &globals.policy.filters;
        let policies = (*filters != Policies::default()).then(|| filters.clone());
        Some(self.own_route("/", backend, (Kind::Service, service), policies))
    }

    /// What load balancers ask on the traffic's own port: 200 for a host that no rule names, while no rule has the path.
    pub(super) fn health(&mut self, placed: &[Placed]) -> Option<Placed> {
        let path = Arc::clone(&self.around.options.health_path);
        if self.name.kind() != HostKind::CatchAll || placed.iter().any(|placed| placed.route.path == path) {
            return None;
        }
        let policies = Policies { unlogged: true, ..Policies::default() };
        let flag = ObjectKey { namespace: "".into(), name: "health-check-path".into() };
        Some(self.own_route(&path, Backend::Status(200), (Kind::Flag, flag), Some(policies)))
    }

    /// A route that no rule asked for.
    fn own_route(
        &mut self,
        path: &str,
        backend: Backend,
        (kind, key): (Kind, ObjectKey),
        policies: Option<Policies>,
    ) -> Placed {
        let source = ObjectRef { kind, key };
        let path: Arc<str> = path.into();
        let policy = &self.around.globals.policy;
        let labels = RouteLabels {
            namespace: "".into(),
            ingress: "".into(),
            service: "".into(),
            service_port: "".into(),
            host: Arc::clone(self.name.text()),
            path: Arc::clone(&path),
        };
        let route = Route {
            id: self.id(&source, PathKind::Prefix, &path),
            source,
            field: String::new(),
            kind: if self.is_regex { PathKind::Regex } else { PathKind::Prefix },
            path,
            labels: Arc::new(labels),
            https_redirect: HttpsRedirect::Never,
            redirect_keeps_slash: false,
            backend,
            empty_status: 404,
            protocol: policy.protocol,
            upstream_tls: None,
            timeouts: policy.timeouts,
            body: policy.body,
            retry: policy.retry(),
            policies: policies.map(Arc::new),
        };
        Placed { route: Arc::new(route), kind: PathKind::Prefix, regex: false, broken: false }
    }

    fn default_backend(&self) -> Backend {
        let default = self.around.clusters.default_backend().and_then(|key| self.around.clusters.id(key));
        default.map_or(Backend::Status(404), Backend::Cluster)
    }

    fn https_redirect(&self, https: &HttpsPolicy, redirects: bool) -> HttpsRedirect {
        let status = self.around.globals.redirect_status;
        match (redirects, https.force, https.redirect) {
            (true, true, _) => HttpsRedirect::Always(status),
            (true, false, true) => HttpsRedirect::IfCertificate(status),
            (true, false, false) | (false, _, _) => HttpsRedirect::Never,
        }
    }

    fn labels(&self, intent: &Intent, backend: &BackendIntent, path: &Arc<str>) -> RouteLabels {
        let (service, service_port): (Arc<str>, Arc<str>) = match backend {
            BackendIntent::Service(key) => (
                Arc::clone(&key.service.name),
                match &key.port {
                    PortKey::Name(name) => Arc::clone(name),
                    port @ (PortKey::Number(_) | PortKey::First) => port.to_string().into(),
                },
            ),
            BackendIntent::Default | BackendIntent::Status(_) => ("".into(), "".into()),
        };
        RouteLabels {
            namespace: Arc::clone(&intent.meta.key.namespace),
            ingress: Arc::clone(&intent.meta.key.name),
            service,
            service_port,
            host: Arc::clone(self.name.text()),
            path: Arc::clone(path),
        }
    }

    /// The id that the route had, or a new one.
    fn id(&mut self, object: &ObjectRef, kind: PathKind, path: &Arc<str>) -> RouteId {
        let key = RouteKey { object: object.clone(), kind, path: Arc::clone(path) };
        let id = self.old.get(&key).copied().unwrap_or_else(|| RouteId(self.ids.take()));
        self.new.insert(key, id);
        id
    }
}

/// The same for a backend that is never spoken to over TLS.
fn in_the_clear(policies: Arc<Policies>) -> Arc<Policies> {
    if policies.tls_as_client { Arc::new(Policies { tls_as_client: false, ..(*policies).clone() }) } else { policies }
}

/// What stays of a route's policies where the whole host is refused, or the path cannot be matched: neither redirects nor
/// preflights are made before it.
fn refusing(status: u16, policies: Option<&Policies>) -> Policies {
    let (denied_paths, redirect, redirects, cors, rewrite) = (None, None, None, None, None);
    let policies = policies.cloned().unwrap_or_default();
    Policies { denied_paths, redirect, redirects, cors, rewrite, refuse: Some(status), ..policies }
}
