#![expect(clippy::disallowed_types, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::model::{Kind, ObjectKey, ObjectRef, Transport};
use ringress_config::snapshot::{
    Backend, BodyPolicy, ClusterKey, HttpsRedirect, PathKind, PortKey, RetryPolicy, Route, RouteId, RouteLabels,
    Timeouts,
};

use super::*;

fn settings() -> RequestMetricsSettings {
    RequestMetricsSettings {
        recorded: RequestMetrics::all(),
        per_host: true,
        undefined_hosts: false,
        status_classes: false,
        time_buckets: vec![0.005, 0.01, 0.1, 1.0],
        length_buckets: vec![10.0, 100.0],
        size_buckets: vec![10.0, 1000.0],
        controller_class: "k8s.io/ingress-nginx".into(),
        controller_namespace: "ingress-nginx".into(),
        controller_pod: "pod-0".into(),
    }
}

fn route(id: u32, ingress: &str, path: &str) -> Route {
    let labels = RouteLabels {
        namespace: "shop".into(),
        ingress: ingress.into(),
        service: "web".into(),
        service_port: "80".into(),
        host: if ingress.is_empty() { "_".into() } else { "shop.example".into() },
        path: path.into(),
    };
    Route {
        id: RouteId(id),
        source: ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("shop", ingress) },
        field: "spec.rules[0].http.paths[0]".into(),
        kind: PathKind::Prefix,
        path: path.into(),
        labels: Arc::new(labels),
        https_redirect: HttpsRedirect::Never,
        backend: Backend::Status(503),
        redirect_keeps_slash: false,
        empty_status: 503,
        upstream_tls: None,
        protocol: None,
        timeouts: Timeouts::default(),
        body: BodyPolicy::default(),
        retry: RetryPolicy::default(),
        policies: None,
    }
}

fn outcome(status: u16) -> Outcome<'static> {
    Outcome {
        method: Method::Get,
        status,
        canary: None,
        duration: Duration::from_millis(7),
        connect: Some(Duration::ZERO),
        header: Some(Duration::from_millis(5)),
        response: Some(Duration::from_millis(6)),
        bytes_received: 80,
        bytes_sent: 300,
    }
}

fn page(reader: &Arc<Reader>) -> String {
    reader.scrape(String::new()).collect()
}

/// The value of the only sample whose line starts with `name` and holds all of `labels`.
fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let matches = |line: &&str| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
    };
    let lines: Vec<&str> = page.lines().filter(matches).collect();
    assert_eq!(lines.len(), 1, "{name} {labels:?}: {lines:?}");
    lines[0].rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn requests_of_all_cores_add_up_by_route_method_and_status() {
    let (source, reader) = channel(&settings(), 2);
    let (reader, web) = (Arc::new(reader), route(3, "web", "/shop"));
    let (a, b) = (source.core(0), source.core(1));
    for _ in 0..3 {
        a.record(Some(&web), &outcome(200));
    }
    b.record(Some(&web), &outcome(200));
    b.record(Some(&web), &Outcome { method: Method::of(b"POST"), ..outcome(418) });
    b.record(None, &outcome(400));
    let canary =
        ClusterKey { service: ObjectKey::new("shop", "new"), port: PortKey::Number(80), transport: Transport::Tcp };
    b.record(Some(&web), &Outcome { canary: Some(&canary), ..outcome(200) });
    let page = page(&reader);
    let requests = "nginx_ingress_controller_requests";
    let all = ["ingress=\"web\"", "path=\"/shop\"", "host=\"shop.example\"", "canary=\"\"", "service=\"web\""];
    assert_eq!(value(&page, requests, &[&all[..], &["method=\"GET\"", "status=\"200\""]].concat()), 4.0);
    assert_eq!(value(&page, requests, &["method=\"POST\"", "status=\"418\"", "controller_pod=\"pod-0\""]), 1.0);
    assert_eq!(value(&page, requests, &["status=\"418\"", "controller_class=\"k8s.io/ingress-nginx\""]), 1.0);
    assert_eq!(value(&page, requests, &["canary=\"shop-new-80\"", "service=\"web\"", "status=\"200\""]), 1.0);
}

#[test]
fn histograms_are_cumulative_and_in_seconds_or_bytes() {
    let (source, reader) = channel(&settings(), 1);
    let (reader, core) = (Arc::new(reader), source.core(0));
    core.record(Some(&route(0, "web", "/")), &outcome(200));
    core.record(
        Some(&route(0, "web", "/")),
        &Outcome { duration: Duration::from_secs(2), connect: None, ..outcome(200) },
    );
    let page = page(&reader);
    let name = |name: &str| format!("nginx_ingress_controller_{name}");
    let bucket = |metric: &str, le: &str| value(&page, &name(&format!("{metric}_bucket")), &[&format!("le=\"{le}\"")]);
    assert_eq!(bucket("request_duration_seconds", "0.005"), 0.0);
    assert_eq!(bucket("request_duration_seconds", "0.01"), 1.0);
    assert_eq!(bucket("request_duration_seconds", "1"), 1.0);
    assert_eq!(bucket("request_duration_seconds", "+Inf"), 2.0);
    assert!((value(&page, &name("request_duration_seconds_sum"), &[]) - 2.007).abs() < 1e-9);
    assert_eq!(bucket("header_duration_seconds", "0.005"), 2.0, "a bound belongs to its bucket");
    assert_eq!(value(&page, &name("connect_duration_seconds_count"), &[]), 1.0);
    assert_eq!(bucket("request_size", "100"), 2.0);
    assert_eq!(bucket("response_size", "100"), 0.0);
    assert_eq!(value(&page, &name("bytes_sent_sum"), &[]), 600.0);
}

#[test]
fn traffic_is_summed_by_host_and_ingress_over_routes_statuses_and_cores() {
    let (source, reader) = channel(&settings(), 2);
    let cores = [source.core(0), source.core(1)];
    cores[0].record(Some(&route(0, "web", "/")), &outcome(200));
    cores[1].record(Some(&route(0, "web", "/")), &outcome(404));
    cores[1].record(Some(&route(1, "web", "/api")), &outcome(503));
    cores[0].record(Some(&route(2, "quiet", "/")), &outcome(200));
    let traffic = serde_json::to_value(reader.traffic()).unwrap();
    let rows = traffic["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{traffic}");
    assert_eq!((&rows[0]["ingress"], &rows[0]["requests"]), (&"web".into(), &3.into()), "the busiest comes first");
    assert_eq!((&rows[0]["client_errors"], &rows[0]["server_errors"]), (&1.into(), &1.into()));
    let durations = rows[0]["durations"].as_array().unwrap();
    assert_eq!(durations.len(), traffic["bounds"].as_array().unwrap().len() + 1);
    assert_eq!(durations.iter().filter_map(serde_json::Value::as_u64).sum::<u64>(), 3);
    assert_eq!((traffic["workers"].as_array().unwrap().len(), &traffic["rows_left_off"]), (2, &0.into()));
    assert_eq!((&traffic["requests"], &traffic["server_errors"]), (&4.into(), &1.into()));
}

#[test]
fn switches_change_what_is_recorded_and_how_it_is_labelled() {
    let mut recorded = RequestMetrics::all();
    recorded.remove(RequestMetric::from_name("nginx_ingress_controller_bytes_sent").unwrap());
    recorded.remove(RequestMetric::from_name("request_size").unwrap());
    let settings = RequestMetricsSettings { recorded, per_host: false, status_classes: true, ..settings() };
    let (source, reader) = channel(&settings, 1);
    let (reader, core) = (Arc::new(reader), source.core(0));
    core.record(Some(&route(0, "web", "/")), &outcome(200));
    core.record(Some(&route(0, "web", "/")), &outcome(204));
    let page = page(&reader);
    assert_eq!(value(&page, "nginx_ingress_controller_requests", &["status=\"2xx\""]), 2.0);
    assert!(!page.contains("bytes_sent_sum") && !page.contains("controller_request_size") && !page.contains("host="));
    assert!(page.contains("controller_response_size_sum"));
}

#[test]
fn nothing_is_counted_by_route_when_metrics_are_off_or_no_ingress_is_meant() {
    let off = RequestMetricsSettings { recorded: RequestMetrics::none(), ..settings() };
    for (settings, ingress) in [(off, "web"), (settings(), "")] {
        let (source, reader) = channel(&settings, 1);
        source.core(0).record(Some(&route(0, ingress, "/")), &outcome(404));
        assert!(!page(&Arc::new(reader)).contains("nginx_ingress_controller_requests"), "{ingress}");
    }
    let (source, reader) = channel(&RequestMetricsSettings { undefined_hosts: true, ..settings() }, 1);
    source.core(0).record(Some(&route(0, "", "/")), &outcome(404));
    assert_eq!(value(&page(&Arc::new(reader)), "nginx_ingress_controller_requests", &["host=\"_\""]), 1.0);
}

#[test]
fn a_route_id_that_was_given_to_another_route_does_not_mix_their_counts() {
    let (source, reader) = channel(&settings(), 1);
    let (reader, core) = (Arc::new(reader), source.core(0));
    core.record(Some(&route(0, "old", "/")), &outcome(200));
    core.record(Some(&route(0, "new", "/")), &outcome(200));
    core.record(Some(&route(0, "new", "/")), &outcome(200));
    let page = page(&reader);
    assert_eq!(value(&page, "nginx_ingress_controller_requests", &["ingress=\"old\""]), 1.0);
    assert_eq!(value(&page, "nginx_ingress_controller_requests", &["ingress=\"new\""]), 2.0);
}

#[test]
fn series_of_removed_routes_are_forgotten_on_both_sides() {
    let (source, reader) = channel(&settings(), 1);
    let (reader, core) = (Arc::new(reader), source.core(0));
    core.record(Some(&route(0, "web", "/")), &outcome(200));
    reader.gather();
    reader.retire([Arc::new(route(0, "other", "/"))].iter());
    assert!(!page(&reader).contains("nginx_ingress_controller_requests"));
    core.tick();
    assert_eq!(core.series(), 0, "the core let go of it");
    core.record(Some(&route(0, "web", "/")), &outcome(200));
    assert_eq!(value(&page(&reader), "nginx_ingress_controller_requests", &[]), 1.0, "counts start anew");
}

#[test]
fn announcements_that_do_not_fit_come_with_a_later_tick() {
    let (source, reader) = channel(&settings(), 1);
    let (reader, core) = (Arc::new(reader), source.core(0));
    let routes = u32::try_from(ANNOUNCEMENTS_MAX).unwrap() + 10;
    for id in 0..routes {
        core.record(Some(&route(id, &format!("i{id}"), "/")), &outcome(200));
    }
    let series = |page: &str| page.lines().filter(|l| l.starts_with("nginx_ingress_controller_requests{")).count();
    assert_eq!(series(&page(&reader)), ANNOUNCEMENTS_MAX);
    core.tick();
    let page = page(&reader);
    assert_eq!(series(&page), routes as usize);
    let types = page.lines().filter(|l| *l == "# TYPE nginx_ingress_controller_requests counter").count();
    assert_eq!(types, 1, "one header over all parts of the page");
}

#[test]
fn series_of_one_route_are_bounded() {
    let (source, reader) = channel(&settings(), 1);
    let core = source.core(0);
    for status in 200..400 {
        core.record(Some(&route(0, "web", "/")), &outcome(status));
    }
    assert_eq!(core.series_dropped.get(), 200 - 64);
    let page = page(&Arc::new(reader));
    assert_eq!(value(&page, "ringress_metrics_dropped_series", &["worker=\"0\""]), 136.0);
}

#[test]
fn totals_are_handed_over_by_ticks_and_counters_are_read_in_place() {
    let (source, reader) = channel(&settings(), 2);
    let (reader, core) = (Arc::new(reader), source.core(1));
    core.record(None, &outcome(400));
    core.accepted.increment();
    core.refuse(Refused::BadRequest);
    core.tick();
    let page = page(&reader);
    assert_eq!(value(&page, "ringress_request_duration_seconds_count", &[]), 1.0);
    assert_eq!(value(&page, "ringress_connections_accepted_total", &["worker=\"1\""]), 1.0);
    assert_eq!(value(&page, "ringress_connections_accepted_total", &["worker=\"0\""]), 0.0);
    assert_eq!(value(&page, "ringress_refused_total", &["reason=\"bad_request\""]), 1.0);
    assert!(core.heartbeat_age() < Duration::from_secs(5));
}

/// A rough guard, far above what it takes, so that a quadratic mistake is seen and a busy machine is not.
#[test]
fn recording_is_cheap() {
    let (source, _reader) = channel(&settings(), 1);
    let (core, web) = (source.core(0), route(0, "web", "/"));
    let started = Instant::now();
    for _ in 0..100_000 {
        core.record(Some(&web), &outcome(200));
    }
    let each = started.elapsed() / 100_000;
    assert!(each < Duration::from_micros(20), "{each:?}");
}
