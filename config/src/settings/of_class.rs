//! Settings of one IngressClass: those of all, with some keys overridden.

use std::sync::Arc;

use super::{Globals, find};
use crate::annotation::{Objects, Support};
use crate::diagnostics::Finding;
use crate::model::{ConfigMap, Kind, Meta, ObjectRef};
use crate::options::Options;

/// The keys that say what an Ingress does unless it says otherwise. All others are of the process, its listeners or
/// whole hosts, which classes share, or guard the controller against authors of Ingresses.
#[rustfmt::skip]
pub(super) const KEYS: [&str; 47] = [
    "add-headers", "custom-http-errors", "denylist-source-range", "disable-proxy-intercept-errors", "force-ssl-redirect",
    "global-allowed-response-headers", "global-auth-always-set-cookie", "global-auth-cache-duration",
    "global-auth-cache-key", "global-auth-method", "global-auth-request-redirect", "global-auth-response-headers",
    "global-auth-signin", "global-auth-signin-redirect-param", "global-auth-url", "hide-headers",
    "limit-conn-status-code", "limit-rate", "limit-rate-after", "limit-req-status-code", "load-balance",
    "no-auth-locations", "no-tls-redirect-locations", "preserve-trailing-slash", "proxy-body-size", "proxy-buffer-size",
    "proxy-buffering", "proxy-buffers-number", "proxy-connect-timeout", "proxy-cookie-domain", "proxy-cookie-path", "proxy-http-version",
    "proxy-next-upstream", "proxy-next-upstream-timeout", "proxy-next-upstream-tries", "proxy-read-timeout",
    "proxy-redirect-from", "proxy-redirect-to", "proxy-request-buffering", "proxy-send-timeout", "proxy-set-headers",
    "relative-redirects", "retry-non-idempotent", "service-upstream", "ssl-redirect",
    "use-port-in-redirects", "whitelist-source-range",
];

impl Globals {
    /// Parses the ConfigMap of a class over that of all. The findings are on the former alone.
    pub(crate) fn of_class(
        &self,
        all: Option<&ConfigMap>,
        own: &ConfigMap,
        options: &Options,
        objects: &dyn Objects,
    ) -> (Self, Vec<Finding>) {
        let object = ObjectRef { kind: Kind::ConfigMap, key: own.meta.key.clone() };
        let mut data = all.map(|all| all.data.clone()).unwrap_or_default();
        let mut findings = Vec::new();
        for (name, value) in &own.data {
            let acts = find(name)
                .is_some_and(|row| matches!(row.support, Support::Honoured | Support::Except(_) | Support::Differs(_)));
            if acts && !KEYS.contains(&&**name) {
                let message =
                    "has no effect in the ConfigMap of a class: it is for all of them, in that of --configmap";
                findings.push(Finding::warning(&object, format!("data.{name}"), message));
            } else {
                data.insert(Arc::clone(name), Arc::clone(value));
            }
        }
        let merged = ConfigMap { meta: Meta { key: own.meta.key.clone(), age: own.meta.age.clone() }, data };
        let (globals, read) = Self::read(&merged, options, objects);
        let is_own =
            |finding: &Finding| finding.field.strip_prefix("data.").is_some_and(|key| own.data.contains_key(key));
        findings.extend(read.into_iter().filter(is_own));
        (Self { settings: Arc::clone(&self.settings), ..globals }, findings)
    }
}
