//! Hosts: the claims of all objects on each, and what is compiled from them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::certificates::CertificateTable;
use super::claims;
use super::clusters::ClusterTable;
use super::few::Few;
use super::handshake;
use super::ids::Ids;
use super::index::Index;
use super::paths::{self, Findings, Patterns, Placed, Winner};
use super::store::Store;
use crate::diagnostics::Finding;
use crate::intent::{
    BackendIntent, CanaryRule, ErrorIntent, HostKind, HostName, HostRole, HttpsPolicy, Intent, RouteIntent,
};
use crate::model::{Kind, ObjectKey, ObjectRef};
use crate::options::Options;
use crate::settings::Globals;
use crate::snapshot::{
    AliasPattern, Backend, Canary, ClientAuth, ErrorPages, HostRoutes, HostTls, Hosts, HttpsRedirect, PathKind,
    Policies, PortKey, Route, RouteId, RouteLabels, Search, UpstreamProtocol, UpstreamTls,
};

/// Expressions that are aliases.
const ALIAS_PATTERNS_MAX: usize = 256;

/// All hosts.
#[derive(Debug)]
pub(super) struct HostTable {
    known: HashMap<HostName, Host>,
    /// Host → its aliases, each with the object that says so.
    aliases: Index<HostName, (HostName, ObjectKey)>,
    stale: BTreeSet<HostName>,
    ids: Ids,
    patterns: Patterns,
    hosts: Hosts,
    changed: bool,
}

/// One host.
#[derive(Debug, Default)]
struct Host {
    /// Oldest first.
    claims: claims::Claims,
    placed: Vec<Placed>,
    root: Option<Arc<Route>>,
    is_regex: bool,
    tls: HostTls,
    /// `placed`, `root`, `is_regex` and `tls` are what the snapshot has.
    is_built: bool,
    ids: Few<RouteKey, RouteId>,
    /// Secrets that were looked at.
    secrets: BTreeSet<ObjectKey>,
    findings: Findings,
}

/// What a route's id stays with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RouteKey {
    object: ObjectRef,
    kind: PathKind,
    path: Arc<str>,
}

/// What hosts are compiled against.
pub(super) struct Surroundings<'a> {
    pub(super) globals: &'a Globals,
    pub(super) options: &'a Options,
    pub(super) clusters: &'a ClusterTable,
}

impl HostTable {
    pub(super) fn new() -> Self {
        let catch_all = HostName::catch_all();
        Self {
            known: HashMap::from([(catch_all.clone(), Host::default())]),
            aliases: Index::default(),
            stale: [catch_all].into(),
            ids: Ids::default(),
            patterns: Patterns::default(),
            hosts: Hosts::default(),
            changed: false,
        }
    }

    /// Adds the claims of an intent.
    pub(super) fn claim(&mut self, intent: &Arc<Intent>) {
        for host in &intent.hosts {
            let known = self.known.entry(host.host.clone()).or_default();
            known.claims.insert(intent.meta.clone(), Arc::clone(intent));
            if let HostRole::Alias { of, .. } = &host.role {
                of.iter().for_each(|of| self.aliases.insert(of.clone(), (host.host.clone(), intent.meta.key.clone())));
            }
            self.mark_with_aliases(&host.host);
        }
    }

    /// Takes the claims of an intent back.
    pub(super) fn withdraw(&mut self, intent: &Arc<Intent>) {
        for host in &intent.hosts {
            if let Some(known) = self.known.get_mut(&host.host) {
                known.claims.remove(&intent.meta);
            }
            self.mark_with_aliases(&host.host);
            if let HostRole::Alias { of, .. } = &host.role {
                of.iter().for_each(|of| self.aliases.remove(of, &(host.host.clone(), intent.meta.key.clone())));
            }
        }
    }

    fn mark_with_aliases(&mut self, host: &HostName) {
        self.stale.insert(host.clone());
        self.stale.extend(self.aliases.users(host).map(|(alias, _)| alias.clone()));
    }

    /// Hosts that have to be compiled again.
    pub(super) fn mark(&mut self, hosts: BTreeSet<HostName>) {
        self.stale.extend(hosts);
    }

    /// All hosts have to be compiled again.
    pub(super) fn mark_all(&mut self) {
        self.stale.extend(self.known.keys().cloned());
    }

    /// Compiles what is stale. Returns the Ingresses whose findings changed.
    pub(super) fn build(
        &mut self,
        around: &Surroundings<'_>,
        certificates: &mut CertificateTable,
        store: &Store,
    ) -> BTreeSet<ObjectKey> {
        let mut owners = BTreeSet::new();
        for name in std::mem::take(&mut self.stale) {
            let Some(mut host) = self.known.remove(&name) else { continue };
            let mut findings = Findings::new();
            self.build_paths(&name, &mut host, around, &mut findings);
            let (certificate, secrets) =
                handshake::certificate(&name, &host.claims, (certificates, store), &mut findings);
            certificates.set_host(&name, certificate, store);
            certificates.set_secrets(&name, &host.secrets, &secrets);
            host.secrets = secrets;
            if host.findings != findings {
                owners.extend(host.findings.into_keys().chain(findings.keys().cloned()));
                host.findings = findings;
            }
            if !host.claims.is_empty() || name.kind() == HostKind::CatchAll {
                self.known.insert(name, host);
            }
        }
        owners
    }

    /// The findings that the hosts of an intent have about it.
    pub(super) fn findings<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = &'a Finding> {
        let hosts = intent.hosts.iter().filter_map(|host| self.known.get(&host.host));
        hosts.filter_map(|host| host.findings.get(&intent.meta.key)).flatten()
    }

    /// All that is wanted of a host, oldest first.
    pub(super) fn claims(&self, host: &HostName) -> impl Iterator<Item = &Arc<Intent>> {
        self.known.get(host).into_iter().flat_map(|host| host.claims.values())
    }

    pub(super) fn snapshot(&self) -> &Hosts {
        &self.hosts
    }

    /// Whether the snapshot changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn build_paths(&mut self, name: &HostName, host: &mut Host, around: &Surroundings<'_>, findings: &mut Findings) {
        let served = claims::of(name, &host.claims, |of| self.known.get(of).map(|host| &host.claims), findings);
        let (name_of_claims, claims) = (served.name, &served.claims);
        let winners = paths::select(&name_of_claims, claims, findings);
        let is_regex = winners.iter().any(|winner| winner.route.regex);
        if !is_regex {
            paths::report_shared(name, &winners, findings);
        }
        let deny = claims.iter().find_map(|claim| claim.host.deny);
        let mut builder = RouteBuilder {
            name: &name_of_claims,
            around,
            is_regex,
            deny,
            client_auth: handshake::client_auth(name, claims, findings),
            upstream_tls: (!around.globals.proxy_ssl_location_only).then(|| handshake::upstream_tls(claims)).flatten(),
            canaries: claims::Canaries::new(&served.canaries),
            ids: &mut self.ids,
            old: &host.ids,
            new: Few::default(),
        };
        let mut placed = place(name, &winners, &mut builder, &mut self.patterns, findings);
        let root = claims.iter().find_map(|claim| {
            let winner = Winner { intent: claim.intent, route: claim.host.root.as_deref()? };
            Some(builder.root(winner))
        });
        if claims.is_empty() || (name.kind() == HostKind::CatchAll && !has_root(&placed)) {
            placed.extend(builder.built_in());
        }
        placed.extend(builder.health(&placed));
        builder.canaries.report(name, findings);
        let (ids, client_auth) = (builder.new, builder.client_auth);
        for (key, id) in host.ids.iter() {
            if ids.get(key).is_none() {
                self.ids.give_back(id.0);
            }
        }
        host.ids = ids;
        let root = if self.bound_patterns(name, host, findings) {
            placed.clear();
            None
        } else {
            root
        };
        share(&mut placed, &host.placed);
        let own = if *name == name_of_claims { claims.as_slice() } else { &[] };
        let tls = handshake::of(name, own, &placed, client_auth, findings);
        let is_same = placed == host.placed && root == host.root && is_regex == host.is_regex && tls == host.tls;
        if host.is_built && is_same {
            return;
        }
        let is_gone = placed.is_empty();
        (host.placed, host.root, host.is_regex, host.tls) = (placed, root, is_regex, tls);
        host.is_built = true;
        let routes = (!is_gone).then(|| {
            let paths = match is_regex {
                true => paths::patterns(&host.placed, &mut self.patterns),
                false => paths::literals(&host.placed),
            };
            let (name, root, tls) = (Arc::clone(name_of_claims.text()), host.root.clone(), host.tls.clone());
            Arc::new(HostRoutes { name, root, paths, tls })
        });
        self.put(name, routes, *name != name_of_claims);
    }

    /// Takes the routes of an expression away when there are too many such aliases: each is a search for every host that
    /// has no name of its own.
    fn bound_patterns(&self, name: &HostName, host: &Host, findings: &mut Findings) -> bool {
        let HostKind::Pattern(text) = name.kind() else { return false };
        let patterns = &self.hosts.aliases.patterns;
        if patterns.len() < ALIAS_PATTERNS_MAX || patterns.iter().any(|known| known.search.text() == text) {
            return false;
        }
        for intent in host.claims.values() {
            let Some(HostRole::Alias { field, .. }) = intent.host(name).map(|host| &host.role) else { continue };
            let message = format!("{name} is left out: there are {ALIAS_PATTERNS_MAX} expressions as aliases already");
            paths::add(findings, intent, Finding::warning(&intent.source, field.as_str(), message));
        }
        true
    }

    fn put(&mut self, name: &HostName, routes: Option<Arc<HostRoutes>>, is_alias: bool) {
        self.changed = true;
        let speaks = |routes: Option<&Arc<HostRoutes>>| usize::from(routes.is_some_and(|r| !r.tls.is_empty()));
        self.hosts.with_tls += speaks(routes.as_ref());
        let (map, name) = match name.kind() {
            HostKind::CatchAll => {
                let routes = routes.unwrap_or_else(|| Arc::new(HostRoutes::empty(Arc::clone(name.text()))));
                let old = std::mem::replace(&mut self.hosts.catch_all, routes);
                self.hosts.with_tls -= speaks(Some(&old));
                return;
            }
            HostKind::Pattern(text) => {
                let search = routes.as_ref().and_then(|_| Search::new(text, true).ok()).map(Arc::new);
                let new = search.zip(routes).map(|(search, routes)| AliasPattern { search, routes });
                let old = self.hosts.aliases.set_pattern(text, new);
                self.hosts.with_tls -= speaks(old.as_ref());
                return;
            }
            HostKind::Exact => (&mut self.hosts.exact, &**name.text()),
            HostKind::Above(start) => (&mut self.hosts.aliases.above, start),
            HostKind::Below(rest) => {
                let Hosts { wildcard, aliases, .. } = &mut self.hosts;
                let other = if is_alias { wildcard } else { &mut aliases.below };
                let other = other.remove(rest);
                self.hosts.with_tls -= speaks(other.as_ref());
                let map = if is_alias { &mut self.hosts.aliases.below } else { &mut self.hosts.wildcard };
                (map, rest)
            }
        };
        let old = match routes {
            Some(routes) => map.insert(name.into(), routes),
            None => map.remove(name),
        };
        self.hosts.with_tls -= speaks(old.as_ref());
    }
}

/// The routes of all winners. In regex mode a path that is no usable pattern is told.
fn place(
    name: &HostName,
    winners: &[Winner<'_>],
    builder: &mut RouteBuilder<'_>,
    patterns: &mut Patterns,
    findings: &mut Findings,
) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(winners.len());
    for winner in winners {
        let broken = builder.is_regex && patterns.get(&winner.route.path).is_err_and(|error| {
            let message = format!(
                "{error}; as host {name} is in regex mode, what starts like it and has no other path is answered 503"
            );
            let finding = Finding::error(&winner.intent.source, format!("{}.path", winner.route.field), message);
            paths::add(findings, winner.intent, finding);
            true
        });
        let route = builder.build(*winner, broken);
        placed.push(Placed { route, kind: winner.route.kind, regex: winner.route.regex, broken });
    }
    placed
}

fn has_root(placed: &[Placed]) -> bool {
    placed.iter().any(|p| p.kind == PathKind::Prefix && &*p.route.path == "/")
}

/// What stays of a route's policies where it answers nothing but a refusal: neither redirects nor preflights are made
/// before it (`nginx.tmpl`, isLocationAllowed).
fn refusing(status: u16, policies: Option<&Policies>) -> Policies {
    let (denied_paths, redirect, redirects, cors, rewrite) = (None, None, None, None, None);
    let policies = policies.cloned().unwrap_or_default();
    Policies { denied_paths, redirect, redirects, cors, rewrite, refuse: Some(status), ..policies }
}

/// Takes over the routes that stayed the same, so that they stay the same objects.
fn share(new: &mut [Placed], old: &[Placed]) {
    let old: HashMap<RouteId, &Arc<Route>> = old.iter().map(|placed| (placed.route.id, &placed.route)).collect();
    for placed in new {
        if let Some(same) = old.get(&placed.route.id).filter(|old| ***old == placed.route) {
            placed.route = Arc::clone(same);
        }
    }
}

/// Makes the routes of one host.
struct RouteBuilder<'a> {
    name: &'a HostName,
    around: &'a Surroundings<'a>,
    is_regex: bool,
    /// Every route answers this.
    deny: Option<u16>,
    client_auth: Option<Arc<ClientAuth>>,
    /// Where a path says nothing about TLS toward the pods.
    upstream_tls: Option<Arc<UpstreamTls>>,
    canaries: claims::Canaries<'a>,
    ids: &'a mut Ids,
    old: &'a Few<RouteKey, RouteId>,
    new: Few<RouteKey, RouteId>,
}

impl RouteBuilder<'_> {
    fn build(&mut self, winner: Winner<'_>, broken: bool) -> Arc<Route> {
        let id = self.id(&winner.intent.source, winner.route.kind, &winner.route.path);
        Arc::new(self.route(id, winner, broken))
    }

    /// The route of exactly `/`. Not a pattern, even among patterns; an id of its own, beside that of a rule's `/`.
    fn root(&mut self, winner: Winner<'_>) -> Arc<Route> {
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
        let policies = match (deny, policies) {
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
            protocol: policy.protocol,
            upstream_tls: match policy.protocol {
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
        let cluster = clusters.id(key).filter(|_| takes_over || !statuses.is_empty())?;
        let (statuses, own_only) = (statuses.clone(), *own_only);
        Some(Arc::new(ErrorPages { statuses, cluster, own_only, takes_over }))
    }

    /// The route of hosts that no rule names, when there is a default backend service and no other claim, or something to
    /// be said on the 404. Without either there is no route at all, and the workers answer 404.
    fn built_in(&mut self) -> Option<Placed> {
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
    fn health(&mut self, placed: &[Placed]) -> Option<Placed> {
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
