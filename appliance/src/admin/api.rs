//! The JSON API. Field names are part of the outside contract; see `docs/api.md`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ringress_config::diagnostics::Finding;
use ringress_config::snapshot::{Backend, Certificate, Cluster, Route, ServerCertificate, Snapshot};
use serde::Serialize;
use serde_json::{Value, json};

use super::dashboard;
use super::sources::Sources;
use crate::worker::{ListenerStatus, StreamStatus};

/// Bound of `POST /api/sync`.
const SYNC_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn router(sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/", get(dashboard::page))
        .route("/api/status", get(status))
        .route("/api/traffic", get(traffic))
        .route("/api/routes", get(routes_page))
        .route("/api/clusters", get(clusters))
        .route("/api/certificates", get(certificates_page))
        .route("/api/explain", get(explain))
        .route("/api/sync", post(sync))
        .with_state(sources)
}

/// What was served, by worker, host and Ingress.
async fn traffic(State(sources): State<Arc<Sources>>) -> Response {
    Json(sources.metrics.traffic()).into_response()
}

/// `/api/status`.
#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    driver: String,
    workers: usize,
    source: &'a str,
    source_reachable: bool,
    last_known_good: bool,
    ready: bool,
    draining: bool,
    generation: u64,
    adopted: Vec<u64>,
    connections: Vec<u64>,
    objects: &'a std::collections::BTreeMap<&'static str, usize>,
    listeners: Vec<Listener>,
    streams: Vec<Stream>,
    rejected: Vec<Rejected<'a>>,
    last_change: Option<String>,
    last_change_objects: &'a [String],
    last_change_more: usize,
}

/// An address of http or https.
#[derive(Serialize)]
struct Listener {
    protocol: String,
    address: String,
    listening: bool,
    error: Option<String>,
}

impl Listener {
    fn new(status: ListenerStatus) -> Self {
        let ListenerStatus { kind, address, error } = status;
        let (protocol, address) = (kind.to_string(), address.to_string());
        Self { protocol, address, listening: error.is_none(), error }
    }
}

/// A port of a TCP or UDP service.
#[derive(Serialize)]
struct Stream {
    protocol: &'static str,
    port: u16,
    listening: bool,
    error: Option<String>,
}

impl Stream {
    fn new(status: StreamStatus) -> Self {
        let StreamStatus { transport, port, error } = status;
        Self { protocol: transport.as_str(), port, listening: error.is_none(), error }
    }
}

/// A finding with its object as text.
#[derive(Serialize)]
pub(crate) struct Rejected<'a> {
    object: String,
    field: &'a str,
    severity: &'static str,
    message: &'a str,
}

impl<'a> Rejected<'a> {
    /// The form of a finding in every JSON output.
    pub(crate) fn new(finding: &'a Finding) -> Self {
        Self {
            object: finding.object.to_string(),
            field: &finding.field,
            severity: finding.severity.as_str(),
            message: &finding.message,
        }
    }
}

async fn status(State(sources): State<Arc<Sources>>) -> Response {
    let control = sources.control.status();
    let cores = sources.metrics.counters();
    let uncarried = sources.workers.findings();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        driver: sources.workers.driver(),
        workers: cores.len(),
        source: &control.source,
        source_reachable: control.source_reachable,
        last_known_good: control.last_known_good,
        ready: sources.unready().is_none(),
        draining: sources.phase.is_draining(),
        generation: control.generation,
        adopted: cores.iter().map(|core| core.generation.get()).collect(),
        connections: cores.iter().map(|core| core.connections.get()).collect(),
        objects: &control.objects,
        listeners: sources.workers.listeners().into_iter().map(Listener::new).collect(),
        streams: sources.workers.streams().into_iter().map(Stream::new).collect(),
        rejected: control.findings.iter().chain(&uncarried).map(Rejected::new).collect(),
        last_change: control.last_change.and_then(timestamp),
        last_change_objects: &control.changed,
        last_change_more: control.changed_more,
    };
    Json(status).into_response()
}

/// RFC 3339 in UTC.
fn timestamp(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| time.to_string())
}

/// The newest snapshot, or 503 before the first.
fn snapshot(sources: &Sources) -> Result<Arc<Snapshot>, (StatusCode, Json<Value>)> {
    let missing = || failure(StatusCode::SERVICE_UNAVAILABLE, "no complete snapshot yet");
    sources.control.snapshot().ok_or_else(missing)
}

fn failure(status: StatusCode, message: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "error": message })))
}

/// Every route of a snapshot.
pub(super) fn routes(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Route>> {
    let hosts = &snapshot.hosts;
    hosts.named().chain([&hosts.catch_all]).flat_map(|host| host.routes())
}

/// All hosts by name, the catch-all last.
fn hosts(snapshot: &Snapshot) -> Vec<&ringress_config::snapshot::HostRoutes> {
    let hosts = &snapshot.hosts;
    let mut named: Vec<_> = hosts.named().map(|host| &**host).collect();
    named.sort_by(|a, b| a.name.cmp(&b.name));
    named.push(&hosts.catch_all);
    named
}

async fn routes_page(State(sources): State<Arc<Sources>>) -> Response {
    let snapshot = match snapshot(&sources) {
        Ok(snapshot) => snapshot,
        Err(missing) => return missing.into_response(),
    };
    let hosts: Vec<Value> = hosts(&snapshot)
        .into_iter()
        .map(|host| {
            let routes: Vec<Value> = host.routes().map(|route| route_json(&snapshot, route)).collect();
            json!({ "host": &*host.name, "routes": routes })
        })
        .collect();
    Json(json!({ "generation": snapshot.generation, "hosts": hosts })).into_response()
}

/// A route as the API shows it.
pub(crate) fn route_json(snapshot: &Snapshot, route: &Route) -> Value {
    json!({
        "path": &*route.path,
        "kind": crate::explain::kind_name(route.kind),
        "object": route.source.to_string(),
        "field": route.field,
        "namespace": &*route.labels.namespace,
        "ingress": &*route.labels.ingress,
        "service": &*route.labels.service,
        "port": &*route.labels.service_port,
        "backend": backend_json(snapshot, &route.backend),
    })
}

fn backend_json(snapshot: &Snapshot, backend: &Backend) -> Value {
    let name = |id| snapshot.clusters.get(id).map_or("", |cluster| &*cluster.name);
    match backend {
        Backend::Cluster(id) => json!({ "cluster": name(*id) }),
        Backend::Status(status) => json!({ "status": status }),
        Backend::Weighted(parts) => {
            let parts = parts.iter().map(|part| json!({ "cluster": name(part.cluster), "weight": part.weight }));
            json!({ "weighted": parts.collect::<Vec<_>>() })
        }
    }
}

async fn clusters(State(sources): State<Arc<Sources>>) -> Response {
    let snapshot = match snapshot(&sources) {
        Ok(snapshot) => snapshot,
        Err(missing) => return missing.into_response(),
    };
    let mut clusters: Vec<&Arc<Cluster>> = snapshot.clusters.iter().collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    let ejected: HashSet<_> = sources.metrics.counters().iter().flat_map(|core| core.ejected.list()).collect();
    let clusters = clusters.into_iter().map(|cluster| {
        json!({
            "name": &*cluster.name,
            "service": cluster.key.service.to_string(),
            "port": cluster.key.port.to_string(),
            "balancer": cluster.balancing.balancer.as_str(),
            "sessions": cluster.balancing.has_sessions,
            "endpoints": cluster.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect::<Vec<_>>(),
            "health_check": cluster.balancing.health_check.as_ref().map(|check| check.kind.as_str()),
            "failing": failing(cluster),
            "ejected": passed_over(cluster, &ejected),
        })
    });
    Json(json!({ "generation": snapshot.generation, "clusters": clusters.collect::<Vec<_>>() })).into_response()
}

/// The endpoints that fail their health checks.
fn failing(cluster: &Cluster) -> Vec<String> {
    let Some(vitals) = cluster.vitals() else { return Vec::new() };
    let endpoints = cluster.endpoints.iter().enumerate();
    let failing = endpoints.filter(|(at, _)| vitals.endpoint(*at).is_failing());
    failing.map(|(_, endpoint)| endpoint.address.to_string()).collect()
}

/// The endpoints that some core passes over, by what it has seen of them itself.
fn passed_over(cluster: &Cluster, ejected: &HashSet<(u64, SocketAddr)>) -> Vec<String> {
    let endpoints = cluster.endpoints.iter().map(|endpoint| endpoint.address);
    let ejected = endpoints.filter(|address| ejected.contains(&(cluster.identity, *address)));
    ejected.map(|address| address.to_string()).collect()
}

/// A server name and what it is shown.
pub(super) struct Shown<'a> {
    /// The name, `*.` with wildcards; empty for all others.
    pub(super) host: String,
    pub(super) certificate: &'a Arc<Certificate>,
    /// Whether it is the default certificate.
    pub(super) default: bool,
}

/// Server names with their certificates, the default one last.
pub(super) fn certificates(snapshot: &Snapshot) -> impl Iterator<Item = Shown<'_>> {
    let certificates = &snapshot.certificates;
    let exact = certificates.exact.iter().map(|(name, shown)| (name.to_string(), shown));
    let wildcard = certificates.wildcard.iter().map(|(name, shown)| (format!("*.{name}"), shown));
    let named = exact.chain(wildcard).flat_map(|(host, shown)| {
        let (certificate, other, default) = match shown {
            ServerCertificate::Own(certificate) => (certificate, None, false),
            ServerCertificate::Both { preferred, fallback } => (preferred, Some(fallback), false),
            ServerCertificate::Default => (&certificates.default, None, true),
        };
        let other = other.map(|certificate| Shown { host: host.clone(), certificate, default });
        std::iter::once(Shown { host, certificate, default }).chain(other)
    });
    named.chain([Shown { host: String::new(), certificate: &certificates.default, default: true }])
}

async fn certificates_page(State(sources): State<Arc<Sources>>) -> Response {
    let snapshot = match snapshot(&sources) {
        Ok(snapshot) => snapshot,
        Err(missing) => return missing.into_response(),
    };
    let mut shown: Vec<Shown<'_>> = certificates(&snapshot).collect();
    shown.sort_by(|a, b| (a.host.is_empty(), &a.host).cmp(&(b.host.is_empty(), &b.host)));
    let rows = shown.into_iter().map(|shown| {
        let certificate = shown.certificate;
        json!({
            "host": shown.host,
            "default": shown.default,
            "secret": certificate.secret.as_ref().map(ToString::to_string),
            "names": certificate.names,
            "expires": jiff::Timestamp::from_second(certificate.not_after).ok().map(|time| time.to_string()),
            "fingerprint": certificate.fingerprint,
        })
    });
    Json(json!({ "generation": snapshot.generation, "certificates": rows.collect::<Vec<_>>() })).into_response()
}

/// `method=&url=&header=&client_ip=`, `header` any number of times.
async fn explain(State(sources): State<Arc<Sources>>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let snapshot = match snapshot(&sources) {
        Ok(snapshot) => snapshot,
        Err(missing) => return missing.into_response(),
    };
    match crate::explain::Question::from_query(&query) {
        Ok(question) => Json(crate::explain::explain(&snapshot, &question)).into_response(),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()).into_response(),
    }
}

/// Answers when all that is visible at the source now is served by every worker. The request's body is not looked at.
async fn sync(State(sources): State<Arc<Sources>>) -> Response {
    match tokio::time::timeout(SYNC_TIMEOUT, sources.control.sync()).await {
        Ok(Ok(generation)) => Json(json!({ "generation": generation })).into_response(),
        Ok(Err(message)) => failure(StatusCode::SERVICE_UNAVAILABLE, &message).into_response(),
        Err(_) => failure(StatusCode::GATEWAY_TIMEOUT, "not served by every worker within 60 s").into_response(),
    }
}

#[cfg(test)]
mod tests;
