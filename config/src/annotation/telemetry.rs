//! Group telemetry: which paths are traced, and how.

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::{RouteTracing, Template};
use crate::value::{self, Expected, Source as _};

/// `None` when nothing is said. `has_collector`: the ConfigMap names one.
pub(super) fn read(annotations: &mut Annotations<'_>, has_collector: bool) -> Option<Arc<RouteTracing>> {
    let tracing = RouteTracing {
        enabled: annotations.get("enable-opentelemetry", value::bool),
        trust: annotations.get("opentelemetry-trust-incoming-span", value::bool),
        name: annotations.get("opentelemetry-operation-name", name),
    };
    if tracing.enabled == Some(true) && !has_collector {
        let message = "has no effect: the ConfigMap names no otlp-collector-host";
        annotations.warn("enable-opentelemetry", message.into());
    }
    (tracing != RouteTracing::default()).then(|| Arc::new(tracing))
}

/// ingress-nginx loads no Ingress with another one.
fn name(text: &str) -> Result<Template, Expected> {
    let is_fit = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_fit { Ok(Template::literal(text)) } else { Err("letters, digits, `_` and `-`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::Outcome;
    use crate::testing::{annotated, reference};

    /// What is said, the findings, and whether the Ingress is not loaded.
    fn tracing(pairs: &[(&str, &str)], has_collector: bool) -> (Option<RouteTracing>, usize, bool) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let tracing = read(&mut annotations, has_collector).as_deref().cloned();
        let Outcome { refused, .. } = annotations.outcome();
        (tracing, annotations.into_findings().len(), refused)
    }

    #[test]
    fn annotation_enable_opentelemetry_with_its_companions() {
        assert_eq!(tracing(&[], false), (None, 0, false));
        let all = [
            ("enable-opentelemetry", "true"),
            ("opentelemetry-trust-incoming-span", "false"),
            ("opentelemetry-operation-name", "Shop_cart-1"),
        ];
        let said =
            RouteTracing { enabled: Some(true), trust: Some(false), name: Some(Template::literal("Shop_cart-1")) };
        assert_eq!(tracing(&all, true), (Some(said.clone()), 0, false));
        // Nothing is traced then, and that is told.
        assert_eq!(tracing(&all, false), (Some(said), 1, false));
        let off = RouteTracing { enabled: Some(false), ..RouteTracing::default() };
        assert_eq!(tracing(&[("enable-opentelemetry", "false")], false), (Some(off), 0, false));
    }

    #[test]
    fn annotation_opentelemetry_values_that_cannot_be_read_are_named() {
        for name in ["enable-opentelemetry", "opentelemetry-trust-incoming-span"] {
            assert_eq!(tracing(&[(name, "on")], true), (None, 1, false), "{name}");
        }
        for name in ["two words", "$request_uri", "a/b", "é"] {
            assert_eq!(tracing(&[("opentelemetry-operation-name", name)], true), (None, 1, true), "{name}");
        }
    }
}
