//! The keys of tracing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::snapshot::{SampleRatio, Sampler, SpanExport, SpanProtocol, Tracing};
use crate::value::{self, Expected, Source};

/// What `otel-sampler-ratio` is when nothing is said.
const RATIO: f64 = 0.01;

/// `None` when no collector is named. Values are looked at all the same.
pub(super) fn read(keys: &mut impl Source) -> Option<Box<Tracing>> {
    let host = keys.get("otlp-collector-host", host);
    let queue_max = keys.get("otel-max-queuesize", queue).unwrap_or(2048);
    let batch_max = keys.get("otel-max-export-batch-size", batch).unwrap_or(512).min(queue_max);
    let export = SpanExport {
        port: keys.get("otlp-collector-port", port).unwrap_or(4317),
        protocol: keys.get("otlp-protocol", protocol).unwrap_or(SpanProtocol::Grpc),
        service: keys.get("otel-service-name", service).unwrap_or_else(|| "nginx".into()),
        queue_max,
        delay: keys.get("otel-schedule-delay-millis", delay).unwrap_or(Duration::from_secs(5)),
        batch_max,
        host: host.clone().unwrap_or_default(),
    };
    let ratio = keys.get("otel-sampler-ratio", ratio).or(SampleRatio::new(RATIO));
    let sampler = match keys.get("otel-sampler", sampler).zip(ratio) {
        Some((SamplerName::Ratio, ratio)) => Sampler::Ratio(ratio),
        Some((SamplerName::Off, _)) => Sampler::AlwaysOff,
        Some((SamplerName::On, _)) | None => Sampler::AlwaysOn,
    };
    let enabled = keys.get("enable-opentelemetry", value::bool).unwrap_or(false);
    let tracing = Tracing {
        enabled,
        trust: keys.get("opentelemetry-trust-incoming-span", value::bool).unwrap_or(true),
        name: keys.get("opentelemetry-operation-name", value::template),
        sampler,
        parent_based: keys.get("otel-sampler-parent-based", value::bool).unwrap_or(true),
        export: Arc::new(export),
    };
    if enabled && host.is_none() {
        keys.warn("enable-opentelemetry", "has no effect: otlp-collector-host names no collector".into());
    }
    host.map(|_| Box::new(tracing))
}

#[derive(Clone, Copy)]
enum SamplerName {
    On,
    Off,
    Ratio,
}

fn sampler(text: &str) -> Result<SamplerName, Expected> {
    match text {
        "AlwaysOn" => Ok(SamplerName::On),
        "AlwaysOff" => Ok(SamplerName::Off),
        "TraceIdRatioBased" => Ok(SamplerName::Ratio),
        _ => Err("AlwaysOn, AlwaysOff or TraceIdRatioBased"),
    }
}

fn ratio(text: &str) -> Result<SampleRatio, Expected> {
    text.parse().ok().and_then(SampleRatio::new).ok_or("a number from 0 to 1")
}

fn protocol(text: &str) -> Result<SpanProtocol, Expected> {
    match text {
        "grpc" => Ok(SpanProtocol::Grpc),
        "http/protobuf" => Ok(SpanProtocol::Http),
        _ => Err("grpc or http/protobuf"),
    }
}

/// A name or an address, an IPv6 one with or without brackets.
fn host(text: &str) -> Result<Box<str>, Expected> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // A final dot keeps the resolver from trying search domains.
    let is_name = || bare.len() <= 253 && bare.strip_suffix('.').unwrap_or(bare).split('.').all(is_label);
    let is_host = bare.parse::<IpAddr>().is_ok() || (bare == text && is_name());
    if is_host { Ok(bare.into()) } else { Err("the name or address of a host, without port and scheme") }
}

fn port(text: &str) -> Result<u16, Expected> {
    text.parse().ok().filter(|port| *port > 0).ok_or("a port")
}

fn service(text: &str) -> Result<Box<str>, Expected> {
    let is_fit = text.len() <= 256 && !text.chars().any(char::is_control);
    if is_fit { Ok(text.into()) } else { Err("visible text of 256 bytes at most") }
}

/// A waiting span is a kilobyte or two.
fn queue(text: &str) -> Result<u32, Expected> {
    within(text, 1..=65_536).ok_or("a number from 1 to 65536")
}

/// Collectors take messages of 4 MiB.
fn batch(text: &str) -> Result<u32, Expected> {
    within(text, 1..=4096).ok_or("a number from 1 to 4096")
}

fn delay(text: &str) -> Result<Duration, Expected> {
    const EXPECTED: Expected = "milliseconds, from 1 to 600000";
    within(text, 1..=600_000).map(|ms| Duration::from_millis(ms.into())).ok_or(EXPECTED)
}

fn within(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    value::natural(text).ok().filter(|number| range.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Keys;

    #[test]
    fn without_a_collector_nothing_is_traced_and_that_is_told() {
        assert_eq!((read(&mut Keys::of(&[])), Keys::of(&[]).warnings()), (None, 0));
        let mut keys = Keys::of(&[("enable-opentelemetry", "true"), ("otel-sampler", "AlwaysOff")]);
        assert_eq!((read(&mut keys), keys.warnings()), (None, 1));
    }

    #[test]
    fn the_defaults_are_those_of_the_table() {
        let mut keys = Keys::of(&[("otlp-collector-host", "otel.svc")]);
        let tracing = read(&mut keys).unwrap();
        assert!(!tracing.enabled && tracing.trust && tracing.parent_based && tracing.name.is_none());
        assert_eq!(tracing.sampler, Sampler::AlwaysOn);
        let export = SpanExport {
            host: "otel.svc".into(),
            port: 4317,
            protocol: SpanProtocol::Grpc,
            service: "nginx".into(),
            queue_max: 2048,
            delay: Duration::from_secs(5),
            batch_max: 512,
        };
        assert_eq!((&*tracing.export, keys.warnings()), (&export, 0));
    }

    #[test]
    fn every_key_acts() {
        let mut keys = Keys::of(&[
            ("otlp-collector-host", "[::1]"),
            ("otlp-collector-port", "4318"),
            ("otlp-protocol", "http/protobuf"),
            ("otel-max-queuesize", "100"),
            ("otel-schedule-delay-millis", "20"),
            ("otel-max-export-batch-size", "500"),
            ("otel-service-name", "edge"),
            ("otel-sampler", "TraceIdRatioBased"),
            ("otel-sampler-ratio", "0.5"),
            ("otel-sampler-parent-based", "false"),
            ("enable-opentelemetry", "true"),
            ("opentelemetry-trust-incoming-span", "false"),
            ("opentelemetry-operation-name", "$request_method $service_name"),
        ]);
        let tracing = read(&mut keys).unwrap();
        assert!(tracing.enabled && !tracing.trust && !tracing.parent_based && tracing.name.is_some());
        assert_eq!(tracing.sampler, Sampler::Ratio(SampleRatio::new(0.5).unwrap()));
        let SpanExport { host, port, protocol, service, queue_max, delay, batch_max } = &*tracing.export;
        assert_eq!((&**host, *port, *protocol, &**service), ("::1", 4318, SpanProtocol::Http, "edge"));
        // A batch is never larger than what may wait.
        assert_eq!((*queue_max, *delay, *batch_max), (100, Duration::from_millis(20), 100));
        assert_eq!(keys.warnings(), 0);
    }

    #[test]
    fn values_that_cannot_be_read_are_told_and_leave_the_default() {
        for (name, text) in [
            ("otlp-collector-port", "0"),
            ("otlp-collector-port", "65536"),
            ("otlp-protocol", "http/json"),
            ("otel-max-queuesize", "0"),
            ("otel-schedule-delay-millis", "5s"),
            ("otel-max-export-batch-size", "100000"),
            ("otel-service-name", "a\u{7}"),
            ("otel-sampler", "always_on"),
            ("otel-sampler-ratio", "50%"),
            ("otel-sampler-ratio", "1.5"),
            ("otel-sampler-parent-based", "yes"),
            ("enable-opentelemetry", "on"),
            ("opentelemetry-trust-incoming-span", "on"),
            ("opentelemetry-operation-name", "$nothing"),
        ] {
            let mut keys = Keys::of(&[("otlp-collector-host", "a"), (name, text)]);
            let default = read(&mut Keys::of(&[("otlp-collector-host", "a")]));
            assert_eq!((read(&mut keys), keys.warnings()), (default, 1), "{name}: {text}");
        }
        for text in ["http://a", "a:4317", "a b", "a..b", ".", "[a]", &"a".repeat(300)] {
            let mut keys = Keys::of(&[("otlp-collector-host", text)]);
            assert_eq!((read(&mut keys), keys.warnings()), (None, 1), "{text}");
        }
    }
}
