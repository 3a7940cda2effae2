//! Annotations: what each one is, how far it is honoured, and how its value is read.
//!
//! `table` has one row for each annotation that ingress-nginx knows or knew. Nothing is ignored silently: an
//! annotation without a row, or whose row says that it has no effect, is a finding on the Ingress that carries it.

mod access;
mod auth_basic;
mod auth_external;
mod auth_tls;
mod backend;
mod canary;
mod cors;
mod custom_errors;
mod fields;
mod headers;
mod health_check;
mod load_balance;
mod logging;
mod matching;
mod mirror;
mod paths;
mod proxy;
mod proxy_ssl;
mod rate_limit;
mod read;
mod redirect;
mod rewrite;
mod server;
mod session_affinity;
mod table;
mod telemetry;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub(crate) use auth_external::read_global as read_global_auth;
pub(crate) use headers::each_field_of;
pub(crate) use health_check::read as read_health_check;
pub(crate) use load_balance::{read as read_balancing, read_global as read_global_balancing};
pub(crate) use read::{Annotations, Objects, offered};
#[cfg(test)]
pub(crate) use read::{NoObjects, Outcome};
pub(crate) use rewrite::Rewrite;

use crate::intent::{CanaryRule, HostName, RoutePolicy};
use crate::settings::Globals;
use crate::snapshot::{Access, ClientAuth, HostCiphers, Redirect};
use crate::value::Source;

/// How dangerous an annotation can be; see the ConfigMap key `annotations-risk-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// Cannot harm others.
    Low,
    /// Can change how the host answers.
    Medium,
    /// Can send traffic elsewhere.
    High,
    /// Raw text that would reach the proxy's own configuration.
    Critical,
}

impl Risk {
    /// The class by its name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Low, Self::Medium, Self::High, Self::Critical];
        all.into_iter().find(|risk| risk.as_str().eq_ignore_ascii_case(text))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// What an annotation acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole Ingress, or its hosts.
    Ingress,
    /// Each path of the Ingress.
    Path,
}

/// How common an annotation is in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Everywhere.
    P0,
    /// Often.
    P1,
    /// Seldom.
    P2,
    /// Not to be had: refused, removed or without meaning.
    X,
}

impl Priority {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::X => "X",
        }
    }
}

/// How far an option is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Support {
    /// As in ingress-nginx.
    Honoured,
    /// As in ingress-nginx, except for these values; each is a finding where it is met.
    Except(&'static str),
    /// With this difference.
    Differs(&'static str),
    /// Accepted; it has no effect, for this reason.
    Ignored(&'static str),
    /// Not accepted; this is to be written instead.
    Refused(&'static str),
}

/// The end of every finding that says so; what is served in its place follows.
pub(crate) const NOT_LOADED: &str = "the Ingress is not loaded";

/// Effect of a value that cannot be read (reference 3.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadValue {
    /// The default acts; warning.
    Default,
    /// The routes of the Ingress answer 503.
    Deny,
    /// The host answers 403.
    DenyHost,
    /// The Ingress is not loaded; its last accepted version goes on serving.
    NotLoaded,
    /// The value is not read.
    Nothing,
}

impl BadValue {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default used",
            Self::Deny => "paths answer 503",
            Self::DenyHost => "host answers 403",
            Self::NotLoaded => "Ingress not loaded",
            Self::Nothing => "not read",
        }
    }
}

/// Annotations that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the annotations' own words")]
pub enum Group {
    Server,
    Rewrite,
    Redirect,
    Proxy,
    Backend,
    LoadBalance,
    SessionAffinity,
    Canary,
    Access,
    AuthBasic,
    AuthExternal,
    AuthTls,
    ProxySsl,
    RateLimit,
    Cors,
    Headers,
    CustomErrors,
    Mirror,
    Logging,
    Telemetry,
    Waf,
}

/// All that is known about one annotation.
#[derive(Debug)]
pub struct Row {
    /// Its name without the prefix; with a slash it is the whole name. A final `*` stands for any ending.
    pub name: &'static str,
    /// Where it belongs.
    pub group: Group,
    /// What a value looks like.
    pub value: &'static str,
    /// What acts when it is absent; empty for nothing.
    pub default: &'static str,
    /// What it acts on.
    pub scope: Scope,
    /// How dangerous it can be.
    pub risk: Risk,
    /// How common it is.
    pub priority: Priority,
    /// How far it is honoured.
    pub support: Support,
    /// Effect of a value that cannot be read.
    pub bad_value: BadValue,
    /// What it does.
    pub doc: &'static str,
}

/// Every row, in the order of the groups.
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// The row of an annotation by its name without prefix.
pub fn find(name: &str) -> Option<&'static Row> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Row>> =
        LazyLock::new(|| rows().iter().map(|row| (row.name, row)).collect());
    let by_ending =
        || rows().iter().find(|row| row.name.strip_suffix('*').is_some_and(|start| name.starts_with(start)));
    BY_NAME.get(name).copied().or_else(by_ending)
}

/// Reads what annotations and the ConfigMap name alike: what the ConfigMap says is the default of the annotation.
fn read_policy(source: &mut impl Source, policy: &mut RoutePolicy) {
    proxy::read(source, policy);
    redirect::read(source, policy);
    rate_limit::read_rate(source, policy);
}

/// Reads the defaults that only the ConfigMap sets.
pub(crate) fn read_global_policy(source: &mut impl Source, policy: &mut RoutePolicy) {
    read_policy(source, policy);
    rate_limit::read_statuses(source, policy);
    custom_errors::read_global(source, &mut policy.errors);
    change_access(policy, |access| access::read_global(source, access));
}

/// What the annotations of one Ingress say besides the policy of its routes.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) rewrite: Rewrite,
    /// Answer to exactly `/`.
    pub(crate) app_root: Option<Redirect>,
    /// The sibling host with or without `www.` is sent to the host.
    pub(crate) from_to_www: bool,
    /// Other names of its hosts.
    pub(crate) aliases: Vec<HostName>,
    /// Client certificates of its hosts.
    pub(crate) client_auth: Option<Arc<ClientAuth>>,
    /// Suites of its hosts.
    pub(crate) ciphers: Option<Arc<HostCiphers>>,
    /// TLS of its hosts is passed on.
    pub(crate) passthrough: bool,
}

/// Reads all that the annotations of one Ingress say about its routes.
pub(crate) fn read_all(annotations: &mut Annotations<'_>, globals: &Globals, policy: &mut RoutePolicy) -> Said {
    read_policy(annotations, policy);
    proxy::read_own(annotations, policy);
    backend::read(annotations, policy);
    policy.upstream_tls = proxy_ssl::read(annotations);
    policy.filters.affinity = session_affinity::read(annotations);
    policy.filters.redirect = redirect::read_target(annotations, redirect::place(policy));
    policy.filters.cors = cors::read(annotations);
    policy.filters.limits = rate_limit::read(annotations, policy.limit_statuses);
    headers::read(annotations, globals, &mut policy.filters);
    fields::read(annotations, &mut policy.filters);
    policy.filters.denied_paths = paths::read_denied(annotations);
    policy.filters.redirects = paths::read_redirects(annotations);
    policy.filters.refuse = paths::read_status(annotations);
    logging::read(annotations, &mut policy.filters);
    policy.filters.tracing = telemetry::read(annotations, globals.settings.tracing.is_some());
    policy.filters.mirror = mirror::read(annotations);
    custom_errors::read(annotations, &mut policy.errors);
    let place = redirect::place(policy);
    change_access(policy, |access| {
        access::read(annotations, access);
        auth_basic::read(annotations, access);
        auth_external::read(annotations, globals, place, access);
    });
    let rewrite = rewrite::read(annotations);
    if rewrite.uses_regex() && policy.filters.affinity.as_ref().is_some_and(|affinity| affinity.path.is_none()) {
        let message = "is needed beside use-regex: a pattern is no path that a client would send the cookie to";
        annotations.warn("session-cookie-path", message.into());
    }
    Said {
        rewrite,
        app_root: redirect::read_app_root(annotations),
        from_to_www: redirect::read_from_to_www(annotations),
        aliases: server::read_aliases(annotations),
        client_auth: auth_tls::read(annotations),
        ciphers: server::read_ciphers(annotations),
        passthrough: server::read_passthrough(annotations),
    }
}

/// The rule of a canary Ingress; `None` for any other. Of a canary's other annotations only those that say how its
/// clusters are balanced act.
pub(crate) fn read_canary(annotations: &mut Annotations<'_>) -> Option<CanaryRule> {
    let mut rule = canary::read(annotations)?;
    rule.sticky = session_affinity::read_canary(annotations);
    canary::report_idle(annotations);
    Some(rule)
}

fn change_access(policy: &mut RoutePolicy, change: impl FnOnce(&mut Access)) {
    let mut access = policy.filters.access.as_deref().cloned().unwrap_or_default();
    change(&mut access);
    policy.filters.access = (access != Access::default()).then(|| access.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_row() {
        let mut names: Vec<_> = rows().iter().map(|row| row.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(rows().is_sorted_by_key(|row| row.group));
    }

    #[test]
    fn names_and_endings_are_found() {
        assert_eq!(find("use-regex").map(|r| r.name), Some("use-regex"));
        assert_eq!(find("lua-resty-waf-debug").map(|r| r.name), Some("lua-resty-waf*"));
        assert!(find("use-regexp").is_none());
    }

    #[test]
    fn what_controls_access_never_lacks_its_effect_quietly() {
        let controls = ["auth-type", "auth-url", "allowlist-source-range", "denylist-source-range", "auth-tls-secret"];
        for name in controls.iter().chain(&["whitelist-source-range", "configuration-snippet", "server-snippet"]) {
            let row = find(name).unwrap();
            assert!(!matches!(row.support, Support::Ignored(_)), "{name}");
        }
    }

    #[test]
    fn raw_text_is_refused_and_nothing_else_is_critical() {
        for row in rows() {
            let refused = matches!(row.support, Support::Refused(_));
            assert!(refused || row.risk != Risk::Critical, "{}", row.name);
        }
    }
}
