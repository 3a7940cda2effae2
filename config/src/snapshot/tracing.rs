//! Tracing of requests: which ones get a span, and where spans go.

use std::sync::Arc;
use std::time::Duration;

use super::Template;

/// Tracing of a process whose operator named a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Requests of routes that do not say otherwise are traced (`enable-opentelemetry`).
    pub enabled: bool,
    /// A client's trace is joined (`opentelemetry-trust-incoming-span`); else each request begins one.
    pub trust: bool,
    /// Names of spans (`opentelemetry-operation-name`); `None` is the path of the rule.
    pub name: Option<Template>,
    /// Which traces that begin here are exported (`otel-sampler`, `otel-sampler-ratio`).
    pub sampler: Sampler,
    /// A trace that is joined is exported when its beginner said so (`otel-sampler-parent-based`).
    pub parent_based: bool,
    /// Where to, and how.
    pub export: Arc<SpanExport>,
}

/// Which traces are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share, by their ids, so that every service with the same ratio decides alike.
    Ratio(SampleRatio),
}

/// A share of all trace ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRatio {
    /// Of the 2⁶³ numbers that the last eight bytes of an id can be, less their last bit.
    bound: u64,
}

/// The way of spans to their collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanExport {
    /// Name or address (`otlp-collector-host`), an IPv6 one without brackets.
    pub host: Box<str>,
    /// `otlp-collector-port`.
    pub port: u16,
    /// `otlp-protocol`.
    pub protocol: SpanProtocol,
    /// `service.name` of the resource (`otel-service-name`).
    pub service: Box<str>,
    /// Spans of one core that may wait (`otel-max-queuesize`); further ones are dropped.
    pub queue_max: u32,
    /// Longest that a span waits for others (`otel-schedule-delay-millis`).
    pub delay: Duration,
    /// Spans of one message (`otel-max-export-batch-size`), at most `queue_max`.
    pub batch_max: u32,
}

/// What is spoken with the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanProtocol {
    /// OTLP over gRPC, in the clear.
    Grpc,
    /// OTLP over HTTP/1.1 with binary messages, in the clear.
    Http,
}

/// What a route says of tracing; `None` leaves it to [`Tracing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTracing {
    /// Its requests are traced.
    pub enabled: Option<bool>,
    /// A client's trace is joined.
    pub trust: Option<bool>,
    /// The name of its spans.
    pub name: Option<Template>,
}

impl SampleRatio {
    /// A ratio from 0 to 1; `None` for anything else.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "2⁶³ is a float exactly, and the product is within 0 and 2⁶³"
    )]
    pub fn new(ratio: f64) -> Option<Self> {
        (0.0..=1.0).contains(&ratio).then_some(Self { bound: (ratio * (1_u64 << 63) as f64) as u64 })
    }

    fn takes(self, trace_id: [u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g, h] = trace_id;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < self.bound
    }
}

impl Sampler {
    /// Whether the trace of an id is exported.
    pub fn takes(self, trace_id: [u8; 16]) -> bool {
        match self {
            Self::AlwaysOn => true,
            Self::AlwaysOff => false,
            Self::Ratio(ratio) => ratio.takes(trace_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(low: u64) -> [u8; 16] {
        (u128::from(u64::MAX) << 64 | u128::from(low)).to_be_bytes()
    }

    #[test]
    fn a_ratio_takes_its_share_of_the_ids_by_their_end() {
        let sampler = |ratio| Sampler::Ratio(SampleRatio::new(ratio).unwrap());
        assert!(sampler(1.0).takes(id(u64::MAX)) && !sampler(0.0).takes(id(0)));
        let quarter = sampler(0.25);
        assert!(quarter.takes(id((1 << 62) - 1)) && !quarter.takes(id(1 << 62)));
        assert!(Sampler::AlwaysOn.takes(id(u64::MAX)) && !Sampler::AlwaysOff.takes(id(0)));
    }

    #[test]
    fn a_ratio_is_from_0_to_1() {
        for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(SampleRatio::new(ratio), None, "{ratio}");
        }
    }
}
