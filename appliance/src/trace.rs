//! Tracing of requests: whose trace a request is part of, what its upstream is told of that, and the span that is
//! exported when it is over.
//!
//! A core makes a span as a plain value and puts it into a queue of its own ([`queue`]), which never waits: what has no
//! room is dropped and counted. The exporter ([`exporter`]) has a thread to itself; no request waits for a collector.
//! Requests of processes without a collector pay one branch, when they begin.

mod collector;
mod context;
mod exporter;
mod message;
mod queue;
mod span;

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringress_config::snapshot::{Part, Route, RouteTracing, Template, Tracing};

use crate::access_log::Entry;
use crate::http::field::FieldId;
use crate::http::forward::TraceFields;
use crate::http::request::RequestHead;
use crate::policy::render_variable;
use crate::worker::Core;
use context::{Parent, TRACEPARENT_BYTES, traceparent};
pub use exporter::SpanExporter;
pub(crate) use exporter::{spans_exported, spans_failed};
pub(crate) use queue::SpanOutlet;
pub use queue::{SpanInlet, SpanOutlets, channel};
use span::Span;

/// The part that a request has in a trace.
#[derive(Debug)]
pub(crate) struct Active {
    trace_id: [u8; 16],
    /// Of the request's own span.
    span_id: [u8; 8],
    /// The client's span.
    parent: Option<[u8; 8]>,
    /// The client's `tracestate`, which goes on as it came; empty for none.
    state: Vec<u8>,
    /// The span is exported.
    sampled: bool,
    /// `traceparent` as the upstream gets it: the request's span is the parent there.
    text: [u8; TRACEPARENT_BYTES],
    /// Since 1970.
    begun: Duration,
}

impl Active {
    /// The part that a request has, where its route is traced.
    pub(crate) fn begin(
        core: &Core,
        tracing: &Tracing,
        route: Option<&Route>,
        (head, bytes): (&RequestHead, &[u8]),
    ) -> Option<Rc<Self>> {
        let own = own_rule(route);
        if !own.and_then(|own| own.enabled).unwrap_or(tracing.enabled) {
            return None;
        }
        let trusts = own.and_then(|own| own.trust).unwrap_or(tracing.trust);
        let parent = trusts.then(|| Parent::read(head.find_all(bytes, FieldId::TraceParent))).flatten();
        let random = &mut core.random.borrow_mut();
        let trace_id = parent.map_or_else(|| some(|| random.u128(..)).to_be_bytes(), |parent| parent.trace_id);
        let sampled = match parent {
            Some(parent) if tracing.parent_based => parent.sampled,
            Some(_) | None => tracing.sampler.takes(trace_id),
        };
        let state = parent.and_then(|_| context::state(head.find_all(bytes, FieldId::TraceState)));
        let span_id = some(|| random.u64(..)).to_be_bytes();
        Some(Rc::new(Self {
            trace_id,
            span_id,
            parent: parent.map(|parent| parent.span_id),
            state: state.unwrap_or_default(),
            sampled,
            text: traceparent(trace_id, span_id, sampled),
            begun: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }))
    }

    /// What the upstream is told.
    pub(crate) fn fields(&self) -> TraceFields<'_> {
        TraceFields { parent: &self.text, state: &self.state }
    }

    /// The trace's id as hex digits.
    pub(crate) fn trace_id(&self) -> &[u8] {
        &self.text[3..35]
    }

    /// The id of the request's span as hex digits.
    pub(crate) fn span_id(&self) -> &[u8] {
        &self.text[36..52]
    }

    /// Whether the span is exported.
    pub(crate) fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The request is over: its span goes to the exporter.
    pub(crate) fn finish(&self, core: &Core, tracing: &Tracing, route: Option<&Route>, entry: &Entry<'_>) {
        if !self.sampled {
            return;
        }
        let mut name = Vec::new();
        let template = name_of(tracing, route);
        template.iter().for_each(|template| render(template, entry, &mut name));
        if name.is_empty() {
            // nginx' module takes the name of the location.
            name.extend_from_slice(entry.labels.map_or("/", |labels| &labels.path).as_bytes());
        }
        let span = Box::new(Span::new(self, &name, entry));
        if core.spans.push(span, &tracing.export).is_err() {
            core.metrics.spans_dropped.increment();
        }
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
        let span_id = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
        Self {
            trace_id,
            span_id,
            text: traceparent(trace_id, span_id, true),
            parent: None,
            state: b"a=1".to_vec(),
            sampled: true,
            begun: Duration::from_secs(1),
        }
    }
}

/// Whether the name of the span is made of what [has to be noted](Template::is_noted).
pub(crate) fn names_noted(tracing: &Tracing, route: Option<&Route>) -> bool {
    name_of(tracing, route).is_some_and(Template::is_noted)
}

/// What the name of the span is made of.
fn name_of<'a>(tracing: &'a Tracing, route: Option<&'a Route>) -> Option<&'a Template> {
    own_rule(route).and_then(|own| own.name.as_ref()).or(tracing.name.as_ref())
}

/// What the route says of tracing.
fn own_rule(route: Option<&Route>) -> Option<&RouteTracing> {
    route?.policies.as_ref()?.tracing.as_deref()
}

fn render(template: &Template, entry: &Entry<'_>, out: &mut Vec<u8>) {
    let Ok(request) = entry.request else { return };
    for part in template.parts() {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Variable(variable) => render_variable(variable, request, &entry.of_rule(), None, out),
        }
    }
}

/// Ids must not be all zeros.
fn some<T: Default + PartialEq>(mut random: impl FnMut() -> T) -> T {
    loop {
        let id = random();
        if id != T::default() {
            return id;
        }
    }
}
