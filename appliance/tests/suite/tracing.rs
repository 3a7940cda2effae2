//! Tracing: spans reach a collector over both protocols, upstreams are told of the trace, and nobody ever waits for it.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::Connection;
use crate::support::collector::{Collector, Manner};
use crate::support::frames::{CANCEL, END_STREAM, Frames, headers, pseudo, reset};
use crate::support::manifests::{Ingress, file, ingress, options, service};
use crate::support::origin::{Next, Origin, Received, refusing_address};
use crate::support::process::{Driver, Ringress, on_each_driver, own_address};
use crate::support::{PATIENCE, eventually, within};

const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// The keys that send spans to a collector soon; later ones win.
fn keys(collector: SocketAddr, more: &[(&str, &str)]) -> serde_json::Value {
    let (host, port) = (collector.ip().to_string(), collector.port().to_string());
    let usual = [
        ("enable-opentelemetry", "true"),
        ("otlp-collector-host", host.as_str()),
        ("otlp-collector-port", port.as_str()),
        ("otel-schedule-delay-millis", "10"),
    ];
    options(&[&usual, more].concat())
}

/// An instance with one origin on host a.test, and further Ingresses.
fn instance(
    driver: Driver,
    origin: &Origin,
    options: serde_json::Value,
    more: impl IntoIterator<Item = Ingress>,
) -> Ringress {
    let mut all = service("one", &[origin.address]);
    all.push(ingress("web").prefix("a.test", "/", "one").build());
    all.extend(more.into_iter().map(Ingress::build));
    Ringress::on(driver)
        .manifest("all.json", file(all))
        .manifest("options.json", file([options]))
        .flag("--configmap=default/options")
        .start()
}

fn ask(ringress: &Ringress, target: &str, fields: &[(&str, &str)]) -> u16 {
    let mut connection = Connection::plain(ringress.http).expect("connect");
    connection.request("GET", "a.test", target, fields, b"").expect("an answer").status
}

/// The request as the origin got it.
fn received(origin: &Origin, target: &str) -> Received {
    let received = origin.received();
    received.iter().find(|request| request.target == target).unwrap_or_else(|| panic!("no {target}")).clone()
}

/// Trace, span and flags of a `traceparent`.
fn parts(request: &Received) -> (String, String, String) {
    let all: Vec<_> = request.headers.iter().filter(|(name, _)| name == "traceparent").collect();
    let [(_, value)] = &all[..] else { panic!("one traceparent is due: {:?}", request.headers) };
    let [version, trace, span, flags] = value.split('-').collect::<Vec<_>>()[..] else { panic!("{value}") };
    assert_eq!((version, trace.len(), span.len()), ("00", 32, 16), "{value}");
    (trace.to_owned(), span.to_owned(), flags.to_owned())
}

#[test]
fn a_span_tells_of_its_request_and_the_upstream_is_told_of_the_span() {
    on_each_driver(|driver| {
        for protocol in ["grpc", "http/protobuf"] {
            let (collector, path, kind) = match protocol {
                "grpc" => {
                    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
                    (Collector::grpc(Manner::Takes), path, "application/grpc")
                }
                _ => (Collector::http(), "/v1/traces", "application/x-protobuf"),
            };
            let origin = Origin::named("hello");
            let more = [
                ("otlp-protocol", protocol),
                ("otel-service-name", "edge"),
                ("opentelemetry-operation-name", "HTTP $request_method $service_name $uri"),
                ("log-format-upstream", "$request_uri $opentelemetry_trace_id $opentelemetry_span_id"),
            ];
            let ringress = instance(driver, &origin, keys(collector.address, &more), []);
            let fields = [("traceparent", CLIENT), ("tracestate", "a=1,b=2"), ("User-Agent", "test")];
            assert_eq!(ask(&ringress, "/shop?id=1", &fields), 200);
            let span = collector.span("/shop?id=1");
            let request = received(&origin, "/shop?id=1");
            assert_eq!(parts(&request), (TRACE_ID.into(), span.span_id.clone(), "01".into()));
            assert_eq!(request.header("tracestate"), Some("a=1,b=2"));
            assert_eq!((&*span.trace_id, &*span.parent, &*span.state), (TRACE_ID, "b7ad6b7169203331", "a=1,b=2"));
            assert_eq!((&*span.name, span.kind, span.status), ("HTTP GET one /shop", 2, 0));
            assert!((1..10_000_000_000).contains(&span.nanoseconds), "{}", span.nanoseconds);
            assert_eq!(span.resource["service.name"], "edge");
            for (name, value) in [
                ("http.request.method", "GET"),
                ("url.scheme", "http"),
                ("url.path", "/shop"),
                ("url.query", "id=1"),
                ("http.route", "/"),
                ("http.response.status_code", "200"),
                ("http.response.body.size", "5"),
                ("server.address", "a.test"),
                ("network.protocol.version", "1.1"),
                ("user_agent.original", "test"),
                ("http.method", "GET"),
                ("http.status_code", "200"),
                ("http.server_name", "a.test"),
                ("ingress.namespace", "default"),
                ("ingress.name", "web"),
                ("ingress.service_name", "one"),
                ("ingress.upstream", "default-one-80"),
                ("upstream.address", &origin.address.to_string()),
            ] {
                assert_eq!(span.attribute(name), value, "{name} of {:?}", span.attributes);
            }
            assert_eq!(collector.calls()[0], (path.to_owned(), kind.to_owned()));
            let line = format!("/shop?id=1 {TRACE_ID} {}", span.span_id);
            ringress.wait_logged(&line);
            eventually("it is counted", || ringress.metric("ringress_spans_exported_total") >= 1.0);
        }
    });
}

#[test]
fn what_the_proxy_answers_itself_has_a_span_too() {
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| {
            peer.receive(&mut [0])?;
            Ok(Next::Close)
        });
        let collector = Collector::grpc(Manner::Takes);
        let empty = service("empty", &[]);
        let ringress = instance(
            driver,
            &origin,
            keys(collector.address, &[]),
            [ingress("none").prefix("a.test", "/none", "empty")],
        );
        ringress.apply("empty.json", file(empty));
        assert_eq!(ask(&ringress, "/none/x", &[]), 503);
        let span = collector.span("/none/x");
        assert_eq!((&*span.name, span.status, span.attribute("error.type")), ("/none", 2, "503"));
        assert_eq!(ringress.get("unknown.test", "/unknown").status, 404);
        let span = collector.span("/unknown");
        assert_eq!((span.status, span.attribute("http.response.status_code")), (0, "404"));
        // A stream of HTTP/2 that its client takes back: the upstream was told of a span, so there has to be one.
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, END_STREAM, &pseudo("GET", "/silent"))).expect("send");
        assert!(within(PATIENCE, || origin.received().len() == 1));
        frames.send(&reset(1, CANCEL)).expect("send");
        let span = collector.span("/silent");
        assert_eq!(span.attribute("http.response.status_code"), "499");
        assert_eq!(span.attribute("network.protocol.version"), "2");
        assert_eq!(parts(&received(&origin, "/silent")).1, span.span_id);
    });
}

#[test]
fn what_a_client_says_of_its_trace_is_believed_only_when_it_is_right_and_trusted() {
    on_each_driver(|driver| {
        let (origin, collector) = (Origin::named("hello"), Collector::grpc(Manner::Takes));
        let aloof =
            ingress("aloof").prefix("a.test", "/aloof", "one").annotation("opentelemetry-trust-incoming-span", "false");
        let named =
            ingress("named").prefix("a.test", "/named", "one").annotation("opentelemetry-operation-name", "cart");
        let off = ingress("off").prefix("a.test", "/off", "one").annotation("enable-opentelemetry", "false");
        let ringress = instance(driver, &origin, keys(collector.address, &[]), [aloof, named, off]);
        let bad = CLIENT.to_uppercase();
        for (target, traceparent) in [("/bad", bad.as_str()), ("/aloof", CLIENT)] {
            assert_eq!(ask(&ringress, target, &[("traceparent", traceparent), ("tracestate", "a=1")]), 200);
            let (trace, span, flags) = parts(&received(&origin, target));
            assert_ne!(trace, TRACE_ID);
            assert_eq!((flags.as_str(), received(&origin, target).header("tracestate")), ("01", None));
            let seen = collector.span(target);
            assert_eq!((seen.trace_id, seen.span_id, seen.parent), (trace, span, String::new()));
        }
        // One that is wrong beside one that is right, too.
        assert_eq!(ask(&ringress, "/twice", &[("traceparent", CLIENT), ("traceparent", CLIENT)]), 200);
        assert_ne!(parts(&received(&origin, "/twice")).0, TRACE_ID);
        // Without tracing the client's words go on as they are.
        assert_eq!(ask(&ringress, "/off", &[("traceparent", &bad), ("tracestate", "a=1")]), 200);
        let untouched = received(&origin, "/off");
        assert_eq!(
            (untouched.header("traceparent"), untouched.header("tracestate")),
            (Some(bad.as_str()), Some("a=1"))
        );
        // A sampled request that comes later, and no span of the other one with it.
        assert_eq!(ask(&ringress, "/named", &[]), 200);
        assert_eq!(collector.span("/named").name, "cart");
        assert!(collector.spans().iter().all(|span| span.attribute("http.target") != "/off"));
    });
}

#[test]
fn the_sampler_decides_unless_the_client_has() {
    let unsampled = CLIENT.replace("-01", "-00");
    on_each_driver(|driver| {
        let (origin, collector) = (Origin::named("hello"), Collector::grpc(Manner::Takes));
        let never = [("otel-sampler", "AlwaysOff")];
        let all = ("otel-sampler-ratio", "1");
        let ratio = [("otel-sampler", "TraceIdRatioBased"), all];
        let alone = [never[0], ("otel-sampler-parent-based", "false")];
        let ringress = instance(driver, &origin, keys(collector.address, &never), []);
        for (number, (keys_of, traceparent, sampled)) in [
            (&never[..], None, false),
            (&never, Some(CLIENT), true),
            (&never, Some(&*unsampled), false),
            (&alone, Some(CLIENT), false),
            (&ratio, None, true),
            (&ratio, Some(&*unsampled), false),
        ]
        .into_iter()
        .enumerate()
        {
            ringress.apply("options.json", file([keys(collector.address, keys_of)]));
            let target = format!("/{number}");
            let fields: Vec<_> = traceparent.map(|value| ("traceparent", value)).into_iter().collect();
            assert_eq!(ask(&ringress, &target, &fields), 200);
            let (trace, _, flags) = parts(&received(&origin, &target));
            assert_eq!(trace == TRACE_ID, traceparent.is_some(), "{number}");
            assert_eq!(flags, if sampled { "01" } else { "00" }, "{number}");
            if sampled {
                collector.span(&target);
            }
        }
        assert_eq!(collector.spans().len(), 2, "those that are not sampled are not exported");
    });
}

#[test]
fn one_ingress_is_traced_where_others_are_not_and_the_collector_may_change() {
    on_each_driver(|driver| {
        let origin = Origin::named("hello");
        let [first, second] = [(); 2].map(|()| Collector::grpc(Manner::Takes));
        let on = ingress("on").prefix("a.test", "/on", "one").annotation("enable-opentelemetry", "true");
        let off = [("enable-opentelemetry", "false")];
        let ringress = instance(driver, &origin, keys(first.address, &off), [on]);
        assert_eq!((ask(&ringress, "/plain", &[]), ask(&ringress, "/on", &[])), (200, 200));
        first.span("/on");
        assert_eq!(received(&origin, "/plain").header("traceparent"), None);
        ringress.apply("options.json", file([keys(second.address, &off)]));
        assert_eq!(ask(&ringress, "/on/2", &[]), 200);
        second.span("/on/2");
        assert_eq!((first.spans().len(), second.spans().len()), (1, 1));
        // Without a collector nothing is traced, and that is told.
        ringress.apply("options.json", file([options(&[("enable-opentelemetry", "true")])]));
        assert_eq!(ask(&ringress, "/on/3", &[]), 200);
        assert_eq!(received(&origin, "/on/3").header("traceparent"), None);
        let rejected = ringress.status()["rejected"].to_string();
        assert!(rejected.contains("data.enable-opentelemetry") && rejected.contains("names no otlp-collector-host"));
    });
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_request() {
    on_each_driver(|driver| {
        let origin = Origin::named("hello");
        let ringress = instance(driver, &origin, keys(refusing_address(), &[]), []);
        assert_eq!(ask(&ringress, "/lost", &[]), 200);
        eventually("the span is given up", || ringress.metric("ringress_spans_failed_total") >= 1.0);
        ringress.wait_logged("spans are lost");
        // It is back.
        let collector = Collector::grpc(Manner::BusyAtFirst(2));
        ringress.apply("options.json", file([keys(collector.address, &[])]));
        assert_eq!(ask(&ringress, "/kept", &[]), 200);
        collector.span("/kept");
        assert_eq!(collector.calls().len(), 3, "the same message, until it was taken");
        ringress.wait_logged("takes spans again");
    });
}

#[test]
fn a_collector_that_hangs_or_refuses_costs_spans_and_no_request() {
    on_each_driver(|driver| {
        let (origin, silent) = (Origin::named("hello"), Collector::grpc(Manner::Silent));
        let small = [("otel-max-queuesize", "2"), ("otel-max-export-batch-size", "1")];
        let mut ringress = instance(driver, &origin, keys(silent.address, &small), []);
        eventually("spans are dropped", || {
            assert_eq!(ask(&ringress, "/", &[]), 200);
            ringress.metric("ringress_spans_dropped_total") >= 3.0
        });
        assert_eq!(silent.calls().len(), 1, "one message is under way");
        // The end of the process does not wait for it either, longer than for what could still be taken.
        ringress.signal(Signal::TERM);
        assert!(within(Duration::from_secs(8), || ringress.ended().is_some()), "its try alone may take 10 s");
        let refusing = Collector::grpc(Manner::RefusesOf(1));
        let ringress = instance(driver, &origin, keys(refusing.address, &[]), []);
        assert_eq!(ask(&ringress, "/", &[]), 200);
        eventually("it is counted", || ringress.metric("ringress_spans_failed_total") >= 1.0);
        assert_eq!(ringress.metric("ringress_spans_exported_total"), 0.0);
    });
}

#[test]
fn spans_that_wait_are_exported_at_the_end_of_the_process() {
    on_each_driver(|driver| {
        let (origin, collector) = (Origin::named("hello"), Collector::grpc(Manner::Takes));
        let late = [("otel-schedule-delay-millis", "600000")];
        let mut ringress = instance(driver, &origin, keys(collector.address, &late), []);
        assert_eq!(ask(&ringress, "/last", &[]), 200);
        assert!(collector.spans().is_empty());
        ringress.signal(Signal::TERM);
        assert!(within(PATIENCE, || ringress.ended().is_some()));
        assert_eq!(collector.span("/last").name, "/");
    });
}

#[test]
fn a_full_batch_is_exported_before_its_time() {
    on_each_driver(|driver| {
        let (origin, collector) = (Origin::named("hello"), Collector::grpc(Manner::Takes));
        let late = [("otel-schedule-delay-millis", "600000"), ("otel-max-export-batch-size", "3")];
        let ringress = instance(driver, &origin, keys(collector.address, &late), []);
        let mut connection = Connection::plain(ringress.http).expect("connect");
        for _ in 0..3 {
            // On one connection, as each core has its own queue.
            assert_eq!(connection.get("a.test", "/").expect("an answer").status, 200);
        }
        eventually("all three at once", || collector.spans().len() == 3);
        assert_eq!(collector.calls().len(), 1);
    });
}

#[test]
fn values_that_cannot_be_read_are_findings_and_the_defaults_act() {
    on_each_driver(|driver| {
        let (origin, collector) = (Origin::named("hello"), Collector::grpc(Manner::Takes));
        let bad = [("otel-sampler", "always"), ("otel-sampler-ratio", "2"), ("otlp-protocol", "thrift")];
        let odd = ingress("odd").prefix("b.test", "/", "one").annotation("opentelemetry-operation-name", "a b");
        let ringress = instance(driver, &origin, keys(collector.address, &bad), [odd]);
        assert_eq!(ask(&ringress, "/", &[]), 200);
        collector.span("/");
        assert_eq!(ringress.get("b.test", "/").status, 404, "the Ingress is not loaded");
        let status = ringress.status();
        let rejected = status["rejected"].as_array().expect("a list");
        let fields = ["data.otel-sampler", "data.otel-sampler-ratio", "data.otlp-protocol"];
        let annotation = "metadata.annotations.nginx.ingress.kubernetes.io/opentelemetry-operation-name";
        for field in fields.into_iter().chain([annotation]) {
            assert!(rejected.iter().any(|finding| finding["field"] == field), "{field}: {rejected:#?}");
        }
    });
}

#[test]
fn external_authentication_is_asked_within_the_own_span_of_the_request() {
    on_each_driver(|driver| {
        let (collector, origin, guard) = (Collector::grpc(Manner::Takes), Origin::named("one"), Origin::named("guard"));
        let url = format!("http://{}/check", guard.address);
        let guarded = ingress("guarded").annotation("auth-url", &url).prefix("g.test", "/", "one");
        let ringress = instance(driver, &origin, keys(collector.address, &[]), [guarded]);
        let fields = [("traceparent", CLIENT), ("tracestate", "a=1")];
        let mut connection = Connection::plain(ringress.http).expect("connect");
        assert_eq!(connection.request("GET", "g.test", "/x", &fields, b"").expect("an answer").status, 200);
        let asked = received(&guard, "/check");
        assert_eq!(parts(&asked), parts(&received(&origin, "/x")), "the upstream and the guard have one parent");
        assert_eq!((parts(&asked).0.as_str(), asked.header("tracestate")), (TRACE_ID, Some("a=1")));
    });
}

#[test]
fn spans_that_wait_for_a_collector_that_hangs_go_to_the_one_that_is_named_next() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        // It takes connections and says nothing.
        let hangs = std::net::TcpListener::bind((own_address(), 0)).expect("listen");
        let http = [("otlp-protocol", "http/protobuf")];
        let collector = Collector::http();
        let ringress = instance(driver, &origin, keys(hangs.local_addr().expect("an address"), &http), []);
        assert_eq!(ask(&ringress, "/waits", &[]), 200);
        let (_asked, _) = hangs.accept().expect("the exporter comes");
        ringress.apply("options.json", file([keys(collector.address, &http)]));
        // Less than one try may take.
        assert!(within(Duration::from_secs(5), || !collector.spans().is_empty()), "the span comes");
    });
}
