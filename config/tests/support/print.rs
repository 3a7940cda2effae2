//! A snapshot as text that a person can read and compare. Ids and identities are left out: they depend on history.

use std::fmt::Write as _;

use ringress_config::snapshot::{
    Backend, Cluster, HostRoutes, HttpsRedirect, PathKind, PathTable, Policies, Route, ServerCertificate, Settings,
    Snapshot,
};

/// The whole snapshot.
pub(crate) fn snapshot(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    let exact = snapshot.hosts.exact.iter().map(|(name, host)| (name.to_string(), host));
    let wildcard = snapshot.hosts.wildcard.iter().map(|(name, host)| (format!("*.{name}"), host));
    let mut hosts: Vec<_> = exact.chain(wildcard).collect();
    hosts.sort_by(|a, b| a.0.cmp(&b.0));
    hosts.push(("_".into(), &snapshot.hosts.catch_all));
    for (name, host) in hosts {
        let certificate = match name.strip_prefix("*.") {
            Some(rest) => snapshot.certificates.wildcard.get(rest),
            None => snapshot.certificates.exact.get(&*name),
        };
        print_host(&mut out, snapshot, &name, host, certificate);
    }
    let mut clusters: Vec<_> = snapshot.clusters.iter().collect();
    clusters.sort_by(|a, b| a.key.cmp(&b.key));
    clusters.iter().for_each(|cluster| print_cluster(&mut out, cluster));
    for service in snapshot.streams.iter() {
        let cluster = snapshot.clusters.get(service.cluster).expect("the cluster of a service exists");
        let _ = write!(out, "{} {} -> {}", service.transport, service.port, cluster.name);
        out.push_str(if service.receives_proxy { ", PROXY in" } else { "" });
        out.push_str(if service.sends_proxy { ", PROXY out\n" } else { "\n" });
    }
    let default = snapshot.certificates.default.secret.as_ref();
    let _ = writeln!(out, "default certificate: {}", default.map_or("built in".into(), ToString::to_string));
    if *snapshot.settings != Settings::default() {
        let _ = writeln!(out, "settings: {:#?}", snapshot.settings);
    }
    out
}

fn print_host(
    out: &mut String,
    snapshot: &Snapshot,
    name: &str,
    host: &HostRoutes,
    certificate: Option<&ServerCertificate>,
) {
    let certificate = match certificate {
        Some(ServerCertificate::Own(own)) => format!(" tls {}", own.secret.as_ref().expect("from a Secret")),
        Some(ServerCertificate::Both { preferred, fallback }) => {
            let [first, other] = [preferred, fallback].map(|own| own.secret.as_ref().expect("from a Secret"));
            format!(" tls {first} or {other}")
        }
        Some(ServerCertificate::Default) => " tls default".into(),
        None => String::new(),
    };
    let alias = if &*host.name == name { String::new() } else { format!(" as {}", host.name) };
    let asks = host.tls.client_auth.as_ref().map(|auth| format!(" asks {:?} {}", auth.verify, auth.depth));
    let passes = host.tls.passthrough.map(|_| " passed on");
    let offers =
        host.tls.ciphers.as_ref().map(|ciphers| format!(" offers {:?} {:?}", ciphers.suites, ciphers.prefer_own));
    let (asks, passes, offers) = (asks.unwrap_or_default(), passes.unwrap_or_default(), offers.unwrap_or_default());
    let _ = writeln!(out, "host {name}{alias}{certificate}{asks}{passes}{offers}");
    host.root.iter().for_each(|root| print_route(out, snapshot, root, Some("only /")));
    match &host.paths {
        PathTable::Literal(table) => {
            let mut routes: Vec<_> = table.routes().iter().collect();
            routes.sort_by_key(|route| (route.path.clone(), route.kind));
            routes.dedup_by(|a, b| a.id == b.id);
            routes.iter().for_each(|route| print_route(out, snapshot, route, None));
        }
        PathTable::Patterns(table) => {
            for (pattern, route) in table.patterns().iter().zip(table.routes()) {
                print_route(out, snapshot, route, Some(pattern.text()));
            }
        }
    }
}

fn print_route(out: &mut String, snapshot: &Snapshot, route: &Route, pattern: Option<&str>) {
    let kind = match route.kind {
        PathKind::Exact => "exact",
        PathKind::Prefix => "prefix",
        PathKind::Regex => "regex",
    };
    let backend = match &route.backend {
        Backend::Cluster(id) => snapshot.clusters.get(*id).expect("the cluster of a route exists").name.to_string(),
        Backend::Weighted(parts) => format!("{parts:?}"),
        Backend::Status(status) => format!("status {status}"),
    };
    let _ = write!(out, "  {kind} {} -> {backend}", pattern.unwrap_or(&route.path));
    match route.https_redirect {
        HttpsRedirect::Never => {}
        HttpsRedirect::IfCertificate(status) => out.push_str(&format!(", https {status} if certificate")),
        HttpsRedirect::Always(status) => out.push_str(&format!(", https {status} always")),
    }
    if route.redirect_keeps_slash {
        out.push_str(" keeping the slash");
    }
    if route.empty_status != 503 {
        let _ = write!(out, ", {} if empty", route.empty_status);
    }
    if let Some(protocol) = route.protocol {
        let _ = write!(out, ", {protocol:?}");
    }
    if let Some(tls) = &route.upstream_tls {
        let (verify, name) = (&tls.verify, &tls.server_name);
        let _ = write!(out, ", TLS {:?}, verify {verify:?}, server name {name:?}", tls.versions);
    }
    if route.timeouts != Default::default() {
        let _ = write!(out, ", {:?}", route.timeouts);
    }
    if route.body != Default::default() {
        let _ = write!(out, ", {:?}", route.body);
    }
    if route.retry != Default::default() {
        let _ = write!(out, ", {:?}", route.retry);
    }
    if let Some(policies) = &route.policies {
        print_policies(out, snapshot, policies);
    }
    let _ = writeln!(out, " [{} {}]", route.source, route.field);
}

fn print_policies(out: &mut String, snapshot: &Snapshot, policies: &Policies) {
    for canary in &policies.canaries {
        let cluster = snapshot.clusters.get(canary.cluster).expect("the cluster of a canary exists");
        let _ = write!(out, ", canary {} {} of {}", cluster.name, canary.weight, canary.total);
        let _ = write!(out, " {:?} {:?}", canary.header, canary.cookie);
    }
    let shown = [
        policies.redirect.as_ref().map(|redirect| format!("{redirect:?}")),
        policies.cors.as_ref().map(|cors| format!("{cors:?}")),
        policies.refuse.map(|status| format!("refuse {status}")),
        policies.rewrite.as_ref().map(|rewrite| {
            let prefix = rewrite.prefix.as_ref().map(|prefix| format!(" prefix {prefix:?}")).unwrap_or_default();
            format!("rewrite {} to {:?}{prefix}", rewrite.pattern.text(), rewrite.target)
        }),
        policies.limits.as_ref().map(|limits| format!("{limits:?}")),
        policies.affinity.as_ref().map(|affinity| format!("{affinity:?}")),
        policies.access.as_ref().map(|access| format!("{access:?}")),
        policies.upstream_host.as_ref().map(|host| format!("upstream host {host:?}")),
        (!policies.request_fields.is_empty()).then(|| format!("request {:?}", policies.request_fields)),
        (!policies.response_fields.is_empty()).then(|| format!("response {:?}", policies.response_fields)),
    ];
    for text in shown.into_iter().flatten() {
        let _ = write!(out, ", {text}");
    }
}

fn print_cluster(out: &mut String, cluster: &Cluster) {
    let _ = write!(out, "cluster {}:", cluster.name);
    cluster.endpoints.iter().for_each(|endpoint| out.push_str(&format!(" {}", endpoint.address)));
    if cluster.balancing != Default::default() {
        let _ = write!(out, ", {:?}", cluster.balancing);
    }
    out.push('\n');
}
