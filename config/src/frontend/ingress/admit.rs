//! Which Ingresses count: class, namespace, exclusions by option, refusals by annotation (reference 3.1, 3.14).

use super::Context;
use crate::annotation::{Annotations, NOT_LOADED, Risk, Row, Support};
use crate::diagnostics::Finding;
use crate::model::{Ingress, ObjectRef};
use crate::options::Options;
use crate::settings::Globals;
use crate::value::Source as _;

/// Whether namespace and class are ours. The class field wins over the annotation.
pub(super) fn is_ours(ingress: &Ingress, annotations: &Annotations<'_>, context: Context<'_>) -> bool {
    let options = context.options;
    if options.watch_namespace.as_ref().is_some_and(|namespace| *namespace != ingress.meta.key.namespace) {
        return false;
    }
    let labels = || context.objects.namespace_labels(&ingress.meta.key.namespace);
    if options.namespace_selector.as_ref().is_some_and(|wanted| !labels().is_some_and(|labels| wanted.matches(labels)))
    {
        return false;
    }
    match (&ingress.class, annotations.text("kubernetes.io/ingress.class")) {
        (Some(class), _) => context.classes.contains(class),
        (None, Some(class)) => *class == *options.ingress_class,
        (None, None) => options.watch_ingress_without_class,
    }
}

/// Why an option keeps the Ingress out.
pub(super) fn excluded(ingress: &Ingress, object: &ObjectRef, options: &Options) -> Option<Finding> {
    if options.disable_catch_all && ingress.default_backend.is_some() {
        let message = "default backends are switched off (--disable-catch-all); the Ingress is not loaded";
        return Some(Finding::error(object, "spec.defaultBackend", message));
    }
    let field = if options.deep_inspect { dangerous(ingress)? } else { return None };
    let message = "holds a fragment that --deep-inspect does not let pass; the Ingress is not loaded";
    Some(Finding::error(object, field, message))
}

/// The first field that holds text which would have been dangerous in a configuration file.
fn dangerous(ingress: &Ingress) -> Option<String> {
    const FRAGMENTS: [&str; 5] =
        ["/etc/nginx", "/etc/passwd", "/etc/ingress-controller", "/var/run/secrets", "_by_lua"];
    let bad = |text: &str| {
        let text = text.to_ascii_lowercase();
        let directive = text.contains(';') && ["alias ", "root "].iter().any(|word| text.contains(word));
        directive || FRAGMENTS.iter().any(|fragment| text.contains(fragment))
    };
    for (index, rule) in ingress.rules.iter().enumerate() {
        if rule.host.as_deref().is_some_and(bad) {
            return Some(format!("spec.rules[{index}].host"));
        }
        if let Some(path) = rule.paths.iter().position(|path| bad(&path.path)) {
            return Some(format!("spec.rules[{index}].http.paths[{path}].path"));
        }
    }
    None
}

/// Whether an annotation keeps the Ingress from being loaded; the findings say which.
pub(super) fn is_refused(annotations: &mut Annotations<'_>, globals: &Globals) -> bool {
    let mut refused = false;
    let validates = annotations.validates();
    for (name, value, row) in annotations.known() {
        if value.is_empty() {
            continue;
        }
        let Some(reason) = refusal(value, row, globals, validates) else { continue };
        annotations.error(name, format!("{reason}: {NOT_LOADED}"));
        refused = true;
    }
    refused
}

fn refusal(value: &str, row: Option<&Row>, globals: &Globals, validates: bool) -> Option<String> {
    if let Some(word) = globals.blocked_words.iter().find(|word| value.contains(&***word)) {
        return Some(format!("holds `{word}` of annotation-value-word-blocklist"));
    }
    let (row, limit) = (row?, globals.risk_max);
    match row.support {
        Support::Refused(instead) if limit != Risk::Critical => Some(format!("is never inserted ({instead} instead)")),
        _ if validates && row.risk > limit => {
            Some(format!("is of risk {}, above the annotations-risk-level {}", row.risk.as_str(), limit.as_str()))
        }
        _ => None,
    }
}
