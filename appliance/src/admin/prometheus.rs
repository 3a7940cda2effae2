//! `/metrics`: what the cores count, and what is known of sources, snapshots and certificates.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use ringress_config::diagnostics::Severity;
use ringress_config::snapshot::{Backend, Snapshot};
use rustls::SignatureAlgorithm;

use super::api::{self, Shown};
use super::serve;
use super::sources::{ControlStatus, Reviews, Sources};
use crate::limits::{CHECKED_CLUSTERS_SHOWN_MAX, ORPHANS_SHOWN_MAX};
use crate::metrics::{Labels, Page, RequestMetricsSettings, float};
use crate::ocsp::{Outcome, Staples};

/// The content type of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Streams the page part by part; between two parts the thread may do something else.
pub(super) async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    let mut page = Page::default();
    write_process(&mut page, &sources);
    write_control(&mut page, &sources, &sources.control.status());
    if let Some(snapshot) = sources.control.snapshot() {
        write_certificates(&mut page, &snapshot, sources.metrics.settings());
        write_orphans(&mut page, &snapshot, sources.metrics.settings());
        write_staples(&mut page, &sources.staples);
        write_health(&mut page, &snapshot);
        let shared = snapshot.tickets.as_ref().map_or(0, |keys| keys.iter().count());
        page.gauge("ringress_tls_shared_ticket_keys", "Keys of session tickets that replicas share", count(shared));
    }
    let parts = sources.metrics.scrape(page.into_text());
    let body = stream::unfold(parts, |mut parts| async move {
        tokio::task::yield_now().await;
        let part = parts.next()?;
        Some((Ok::<_, std::convert::Infallible>(part), parts))
    });
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], Body::from_stream(body)).into_response()
}

fn write_process(page: &mut Page, sources: &Sources) {
    let driver = sources.workers.driver();
    let build = vec![("driver", driver.as_str()), ("version", env!("CARGO_PKG_VERSION"))];
    page.gauges("ringress_build_info", "Version and driver, as labels", [(build, 1.0)]);
    page.gauge("ringress_workers", "Worker cores", count(sources.metrics.counters().len()));
    let dropped = float(crate::logging::lines_dropped());
    page.counters("ringress_log_dropped_total", "Lines of the own log dropped", [(vec![], dropped)]);
    let lost = float(crate::access_log::lines_lost());
    page.counters("ringress_access_log_lost_total", "Access log lines that could not be written", [(vec![], lost)]);
    let exported = float(crate::trace::spans_exported());
    page.counters("ringress_spans_exported_total", "Spans that the collector has taken", [(vec![], exported)]);
    let failed = float(crate::trace::spans_failed());
    let help = "Spans that the collector refused or that did not reach it";
    page.counters("ringress_spans_failed_total", help, [(vec![], failed)]);
    let failed = float(crate::lifecycle::upgrades_failed());
    let help = "Upgrades after which this process went on serving";
    page.counters("ringress_upgrades_failed_total", help, [(vec![], failed)]);
    let rereads = crate::lifecycle::rereads().map(|(result, number)| (vec![("result", result)], float(number)));
    page.counters("ringress_config_rereads_total", "Configurations read anew for SIGHUP, or refused", rereads);
    page.gauge("ringress_ready", "1 when /readyz is 200", flag(sources.unready().is_none()));
}

fn write_control(page: &mut Page, sources: &Sources, status: &ControlStatus) {
    let settings = sources.metrics.settings();
    page.gauge("ringress_source_reachable", "1 when objects can be read", flag(status.source_reachable));
    page.gauge("ringress_last_known_good", "1 while the saved state serves", flag(status.last_known_good));
    page.gauge("ringress_generation", "Generation of the newest snapshot", float(status.generation));
    page.counters("ringress_snapshots_total", "Snapshots published", [(vec![], float(status.builds))]);
    page.counters("ringress_compile_seconds_total", "Time spent compiling", [(vec![], seconds(status.build_time))]);
    if let Some(propagation) = status.propagation {
        let help = "From the notice of the newest change to its adoption by the last worker";
        page.gauge("ringress_propagation_seconds", help, seconds(propagation));
    }
    let objects = status.objects.iter().map(|(kind, number)| (vec![("kind", *kind)], count(*number)));
    page.gauges("ringress_objects", "Objects by kind", objects);
    let uncarried = sources.workers.findings();
    let findings = [Severity::Error, Severity::Warning, Severity::Info].map(|severity| {
        let all = status.findings.iter().chain(&uncarried);
        let number = all.filter(|finding| finding.severity == severity).count();
        (vec![("severity", severity.as_str())], count(number))
    });
    page.gauges("ringress_findings", "Objects refused, changed or remarked on", findings);

    let controller = settings.controller();
    let version =
        vec![("build", option_env!("RINGRESS_COMMIT").unwrap_or("unknown")), ("release", env!("CARGO_PKG_VERSION"))];
    let build = controller.iter().copied().chain(version).chain([("repository", env!("CARGO_PKG_REPOSITORY"))]);
    page.gauges("nginx_ingress_controller_build_info", "Version, as labels", [(build.collect(), 1.0)]);
    // Dashboards find controllers by this name; a generation stands for a configuration.
    page.gauges(
        "nginx_ingress_controller_config_hash",
        "Generation of the newest snapshot",
        [(controller.clone(), float(status.generation))],
    );
    page.counters(
        "nginx_ingress_controller_errors",
        "Changes that could not be served as a whole, which does not happen: see ringress_findings",
        [(controller.clone(), 0.0)],
    );
    // Alerts of ingress-nginx users fire when this is 0: a reload was refused. Nothing is reloaded here; what comes
    // nearest is a source that cannot be read.
    page.gauges(
        "nginx_ingress_controller_config_last_reload_successful",
        "1 while changes can be read and served",
        [(controller.clone(), flag(status.source_reachable))],
    );
    if let Some(time) = status.last_change.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()) {
        page.gauges(
            "nginx_ingress_controller_config_last_reload_successful_timestamp_seconds",
            "When the newest snapshot was published",
            [(controller.clone(), seconds(time))],
        );
        page.gauge("ringress_last_change_timestamp_seconds", "When the newest snapshot was published", seconds(time));
    }
    if let Some((lease, leads)) = &status.lease {
        let labels = controller.iter().copied().chain([("name", &**lease)]).collect();
        page.gauges(
            "nginx_ingress_controller_leader_election_status",
            "1 while this replica leads",
            [(labels, flag(*leads))],
        );
    }
    write_reviews(page, status, &controller);
    page.counters("nginx_ingress_controller_success", "Changes served", [(controller, float(status.builds))]);
}

/// The webhook's. One question compiles one Ingress and renders nothing, so there are no `admission_render_*` and no
/// `admission_config_size`; `check_*` have no labels for Ingresses, of which anybody may name any number.
fn write_reviews(page: &mut Page, status: &ControlStatus, controller: &Labels<'_>) {
    let Reviews { accepted, refused, took, connections_closed } = status.reviews;
    let rows = |value| [(controller.clone(), value)];
    let help = "Ingresses that the webhook accepted";
    page.counters("nginx_ingress_controller_check_success", help, rows(float(accepted)));
    let help = "Ingresses that the webhook refused";
    page.counters("nginx_ingress_controller_check_errors", help, rows(float(refused)));
    let tested = flag(accepted + refused > 0);
    let help = "Ingresses compiled for the last question to the webhook";
    page.gauges("nginx_ingress_controller_admission_tested_ingresses", help, rows(tested));
    let help = "Seconds that this took";
    page.gauges("nginx_ingress_controller_admission_tested_duration", help, rows(seconds(took)));
    let closed = serve::closed().into_iter().chain([("webhook", connections_closed)]);
    let closed = closed.map(|(listener, number)| (vec![("listener", listener)], float(number)));
    let help = "Connections beside the traffic that gave way to others";
    page.counters("ringress_admin_connections_reclaimed_total", help, closed);
}

fn write_certificates(page: &mut Page, snapshot: &Snapshot, settings: &RequestMetricsSettings) {
    let shown: Vec<Shown<'_>> = api::certificates(snapshot).collect();
    let rows = shown.iter().map(|shown| {
        let secret = shown.certificate.secret.as_ref();
        let labels = vec![
            ("class", settings.controller_class.as_str()),
            ("host", shown.host.as_str()),
            ("identifier", shown.certificate.fingerprint.as_str()),
            ("namespace", secret.map_or("", |key| &*key.namespace)),
            ("secret_name", secret.map_or("", |key| &*key.name)),
        ];
        #[expect(clippy::cast_precision_loss, reason = "a point in time")]
        let expiry = shown.certificate.not_after as f64;
        (labels, expiry)
    });
    page.gauges("nginx_ingress_controller_ssl_expire_time_seconds", "When the certificate of a host expires", rows);
    let rows = shown.iter().map(|shown| {
        let certificate = shown.certificate;
        let labels = vec![
            ("class", settings.controller_class.as_str()),
            ("host", shown.host.as_str()),
            ("identifier", certificate.fingerprint.as_str()),
            ("issuer_common_name", &*certificate.origin.common_name),
            ("issuer_organization", &*certificate.origin.organization),
            ("namespace", certificate.secret.as_ref().map_or("", |key| &*key.namespace)),
            ("public_key_algorithm", algorithm(certificate.algorithm())),
            ("secret_name", certificate.secret.as_ref().map_or("", |key| &*key.name)),
            ("serial_number", &*certificate.origin.serial),
        ];
        (labels, 1.0)
    });
    page.gauges("nginx_ingress_controller_ssl_certificate_info", "The certificate of a host, as labels", rows);
}

fn algorithm(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::RSA => "RSA",
        SignatureAlgorithm::ECDSA => "ECDSA",
        SignatureAlgorithm::ED25519 => "Ed25519",
        _ => "other",
    }
}

/// Ingresses of which a path leads nowhere, the first ones.
fn write_orphans(page: &mut Page, snapshot: &Snapshot, settings: &RequestMetricsSettings) {
    let mut orphans = BTreeSet::new();
    for route in api::routes(snapshot).filter(|route| !route.labels.ingress.is_empty()) {
        let parts = match &route.backend {
            Backend::Cluster(id) => std::slice::from_ref(id).to_vec(),
            Backend::Weighted(parts) => parts.iter().map(|part| part.cluster).collect(),
            Backend::Status(_) => Vec::new(),
        };
        for cluster in parts.into_iter().filter_map(|id| snapshot.clusters.get(id)) {
            if cluster.endpoints.is_empty() && orphans.len() < ORPHANS_SHOWN_MAX {
                let kind = if cluster.missing { "no-service" } else { "no-endpoint" };
                orphans.insert((&*route.labels.namespace, &*route.labels.ingress, kind));
            }
        }
    }
    let rows = orphans.into_iter().map(|(namespace, ingress, kind)| {
        let own = [("ingress", ingress), ("namespace", namespace), ("type", kind)];
        (settings.controller().into_iter().chain(own).collect(), 1.0)
    });
    page.gauges(
        "nginx_ingress_controller_orphan_ingress",
        "Ingresses without a Service, or one without endpoints",
        rows,
    );
}

fn write_staples(page: &mut Page, staples: &Staples) {
    let asked = Outcome::ALL.map(|outcome| (vec![("outcome", outcome.as_str())], float(staples.count(outcome))));
    page.counters("ringress_ocsp_questions_total", "Responders of certificates asked, by what came of it", asked);
    page.gauge("ringress_ocsp_stapled", "Certificates with a valid answer that is sent along", count(staples.valid()));
}

/// What health checks found, of the first clusters that have any.
fn write_health(page: &mut Page, snapshot: &Snapshot) {
    let checked = snapshot.clusters.iter().filter_map(|cluster| Some((cluster, cluster.vitals()?)));
    let checked: Vec<_> = checked.take(CHECKED_CLUSTERS_SHOWN_MAX).collect();
    let rows = checked.iter().flat_map(|(cluster, vitals)| {
        let all = cluster.endpoints.len();
        let failing = (0..all).filter(|at| vitals.endpoint(*at).is_failing()).count();
        let row = |state, number| (vec![("cluster", &*cluster.name), ("state", state)], count(number));
        [row("healthy", all - failing), row("failing", failing)]
    });
    page.gauges("ringress_checked_endpoints", "Endpoints with health checks, by what these found", rows);
    let rows = checked.iter().flat_map(|(cluster, vitals)| {
        let (passed, failed) = vitals.totals().counts();
        let row = |result, number| (vec![("cluster", &*cluster.name), ("result", result)], float(number));
        [row("passed", passed), row("failed", failed)]
    });
    page.counters("ringress_health_checks_total", "Health checks of endpoints", rows);
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn count(number: usize) -> f64 {
    float(number as u64)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
