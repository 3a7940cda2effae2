//! The neutral middle between front ends and compilation: what an object wants, with no word of the dialect it was
//! written in.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnostics::Finding;
use crate::model::{Meta, ObjectKey, ObjectRef};
use crate::options::UpstreamAddress;
use crate::snapshot::{
    Affinity, Balancer, BodyPolicy, CanaryHeader, CircuitLimits, ClientAuth, ClusterKey, HealthCheck, HostCiphers,
    PathKind, Policies, RequestMatch, Resilience, ResponseRate, RetryPolicy, Timeouts, UpstreamProtocol, UpstreamTls,
};

/// Everything that one object wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    /// The object.
    pub(crate) source: ObjectRef,
    /// Its key and age: the older one wins.
    pub(crate) meta: Meta,
    /// By host, each host once, in the order of the object.
    pub(crate) hosts: Vec<HostIntent>,
    /// What it wants of the clusters that its routes need.
    pub(crate) balancing: Arc<BalancingWish>,
}

/// What an object wants of its clusters, which it may share: the oldest object decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BalancingWish {
    /// How endpoints are chosen.
    pub(crate) balancer: Balancer,
    /// What is done about endpoints that fail.
    pub(crate) resilience: Resilience,
    /// How much they are given at most.
    pub(crate) limits: CircuitLimits,
    /// What endpoints are asked now and then.
    pub(crate) health_check: Option<Arc<HealthCheck>>,
    /// What stands for its endpoints.
    pub(crate) address: UpstreamAddress,
    /// Its routes issue cookies. The oldest object with this decides, whatever older ones say.
    pub(crate) affinity: Option<Arc<Affinity>>,
    /// Cookies of another cluster's routes may name the endpoints of its clusters.
    pub(crate) shares_sessions: bool,
    /// The field that asks for something else than the defaults.
    pub(crate) field: Option<String>,
}

impl Intent {
    /// What it wants of a host.
    pub(crate) fn host(&self, host: &HostName) -> Option<&HostIntent> {
        self.hosts.iter().find(|h| h.host == *host)
    }

    /// The clusters that its routes need, with the fields that name them.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = (&str, &ClusterKey)> {
        let routes = self.hosts.iter().flat_map(|h| h.routes.iter().chain([&h.fallback]));
        routes.flat_map(|route| {
            let own = match &route.backend {
                BackendIntent::Service(key) => Some((route.backend_field.as_str(), key)),
                BackendIntent::Default | BackendIntent::Status(_) => None,
            };
            own.into_iter().chain(route.policy.errors.backend.iter().map(|(field, key)| (field.as_str(), key)))
        })
    }
}

/// What an object wants of one host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostIntent {
    /// The host.
    pub(crate) host: HostName,
    /// In what way the object speaks of it.
    pub(crate) role: HostRole,
    /// Serves exactly `/`, before all paths.
    pub(crate) root: Option<Box<RouteIntent>>,
    /// The paths, in the order of the object.
    pub(crate) routes: Vec<RouteIntent>,
    /// Serves the path `/` of the host when no route does.
    pub(crate) fallback: RouteIntent,
    /// The fallback was asked for on purpose, for every path of every unknown host: it beats a `/` of others.
    pub(crate) claims_root: bool,
    /// TLS of the host.
    pub(crate) tls: TlsIntent,
    /// Every path of the host has to answer this.
    pub(crate) deny: Option<u16>,
    /// Clients are asked for a certificate.
    pub(crate) client_auth: Option<Arc<ClientAuth>>,
    /// Suites of the host.
    pub(crate) ciphers: Option<Arc<HostCiphers>>,
    /// TLS is passed on to the service behind `/`.
    pub(crate) passthrough: bool,
}

/// In what way an object speaks of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostRole {
    /// Its rules name it.
    Rule,
    /// Another name of a host of its rules, unless other rules name it.
    Alias {
        /// The hosts of its rules, sorted.
        of: Arc<[HostName]>,
        /// The field that names the alias.
        field: String,
    },
    /// With or without `www.`: served by the object's redirect, unless rules or aliases name it.
    Sibling,
    /// Its rules name paths of others, of which it takes a share of the requests.
    Canary(Arc<CanaryRule>),
}

/// Which requests a canary takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CanaryRule {
    pub(crate) header: Option<(Box<str>, CanaryHeader)>,
    pub(crate) cookie: Option<Box<str>>,
    /// Of `total`.
    pub(crate) weight: u32,
    /// At least 100.
    pub(crate) total: u32,
    pub(crate) sticky: bool,
    /// The requests that it is for; `None` is all.
    pub(crate) matches: Option<Arc<RequestMatch>>,
    /// Its place among several; without one it is the only one or has no effect.
    pub(crate) order: Option<u32>,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteIntent {
    /// The field it comes from.
    pub(crate) field: String,
    /// The field that names the backend.
    pub(crate) backend_field: String,
    /// `Exact` or `Prefix`.
    pub(crate) kind: PathKind,
    /// Starts with `/`.
    pub(crate) path: Arc<str>,
    /// Makes every path of the host a regular expression.
    pub(crate) regex: bool,
    /// Where requests go.
    pub(crate) backend: BackendIntent,
    /// What is done on the way.
    pub(crate) policy: Arc<RoutePolicy>,
    /// It is subject to redirects to https.
    pub(crate) redirects: bool,
    /// What is done besides forwarding; canaries are added where hosts are compiled.
    pub(crate) filters: Option<Arc<Policies>>,
}

/// Where requests of a route go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BackendIntent {
    /// A port of a Service.
    Service(ClusterKey),
    /// The default backend.
    Default,
    /// No backend can be had: this status.
    Status(u16),
}

/// What is done with requests of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoutePolicy {
    pub(crate) https: HttpsPolicy,
    pub(crate) protocol: Option<UpstreamProtocol>,
    pub(crate) upstream_tls: Option<Arc<UpstreamTls>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) body: BodyPolicy,
    pub(crate) retry: RetryPolicy,
    /// Methods that are not idempotent are retried whatever `retry` says.
    pub(crate) always_retry: bool,
    /// Every request is answered this: access control is missing.
    pub(crate) deny: Option<u16>,
    /// Statuses over a rate and over a number of requests in flight.
    pub(crate) limit_statuses: LimitStatuses,
    /// How fast responses go out, where `bytes_per_second` is not zero.
    pub(crate) rate: ResponseRate,
    /// Whose answers are replaced.
    pub(crate) errors: ErrorIntent,
    /// What is done besides forwarding, without what depends on the path.
    pub(crate) filters: Policies,
}

/// Answers that an error backend gives in place of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorIntent {
    /// Sorted.
    pub(crate) statuses: Box<[u16]>,
    /// The field that names it, and the backend; `None` is the default backend.
    pub(crate) backend: Option<(String, ClusterKey)>,
    /// Answers of upstreams are left alone.
    pub(crate) own_only: bool,
}

/// Answers to clients over their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitStatuses {
    pub(crate) rate: u16,
    pub(crate) in_flight: u16,
}

impl Default for LimitStatuses {
    fn default() -> Self {
        Self { rate: 503, in_flight: 503 }
    }
}

/// Plain http to https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpsPolicy {
    /// Where there is a certificate.
    pub(crate) redirect: bool,
    /// Everywhere.
    pub(crate) force: bool,
    /// The final slash of the path is not cut.
    pub(crate) keep_slash: bool,
    /// The port is named.
    pub(crate) with_port: bool,
}

impl RoutePolicy {
    /// When and how often another attempt is made.
    pub(crate) fn retry(&self) -> RetryPolicy {
        RetryPolicy { non_idempotent: self.retry.non_idempotent || self.always_retry, ..self.retry }
    }
}

impl Default for HttpsPolicy {
    fn default() -> Self {
        Self { redirect: true, force: false, keep_slash: false, with_port: false }
    }
}

/// Which certificates a host may have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum TlsIntent {
    /// The object says nothing about TLS.
    #[default]
    None,
    /// This Secret, or the default certificate when it names none.
    Listed {
        /// The Secret.
        secret: Option<ObjectKey>,
        /// Those of later entries that list the host too.
        others: Vec<ObjectKey>,
        /// The field that names it.
        field: String,
    },
    /// The first of these whose certificate covers the host.
    AnyOf(Vec<ObjectKey>),
}

/// A host as rules name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostName(Arc<str>);

/// The kinds of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostKind<'a> {
    /// This name.
    Exact,
    /// Below this name: by one label where a rule says so, by any number where an alias does.
    Below(&'a str),
    /// This name and more behind it; aliases only.
    Above(&'a str),
    /// Every name in which this expression is found; aliases only.
    Pattern(&'a str),
    /// Every name that nothing else has.
    CatchAll,
}

impl HostName {
    /// The host of rules without one.
    pub(crate) fn catch_all() -> Self {
        Self("_".into())
    }

    /// A host of a rule; letters become lower case. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        if text.len() > 253 {
            return Err("is longer than 253 letters");
        }
        if name.parse::<IpAddr>().is_ok() {
            return Err("is an address, not a name");
        }
        let is_label = |label: &str| {
            let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        if name == "_" || !name.split('.').all(is_label) {
            return Err("is not a host name; it is letters, digits and `-` between dots, or `*.` and such a name");
        }
        Ok(Self(lower.into()))
    }

    /// The hosts of an alias, which may be what a rule may and `.name` (the name and all below), `name.*` or an
    /// expression behind a `~`. The error says what is wrong with it.
    pub(crate) fn parse_alias(text: &str) -> Result<Vec<Self>, &'static str> {
        if text.len() > 253 {
            return Err("is longer than 253 letters");
        }
        if text.starts_with('~') {
            return Ok(vec![Self(text.into())]);
        }
        if let Some(name) = text.strip_prefix('.') {
            return Ok(vec![Self::parse(name)?, Self::parse(&format!("*.{name}"))?]);
        }
        match text.strip_suffix(".*") {
            Some(name) if !name.starts_with('*') => {
                Self::parse(name).map(|name| vec![Self(format!("{name}.*").into())])
            }
            _ => Self::parse(text).map(|name| vec![name]),
        }
    }

    /// The name with `www.` before it, or without.
    pub(crate) fn sibling(&self) -> Option<Self> {
        let name = match self.kind() {
            HostKind::Exact => self.0.strip_prefix("www.").map_or_else(|| format!("www.{}", self.0), str::to_owned),
            HostKind::Below(_) | HostKind::Above(_) | HostKind::Pattern(_) | HostKind::CatchAll => return None,
        };
        Self::parse(&name).ok()
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> HostKind<'_> {
        if let Some(expression) = self.0.strip_prefix('~') {
            HostKind::Pattern(expression)
        } else if let Some(rest) = self.0.strip_prefix("*.") {
            HostKind::Below(rest)
        } else if let Some(start) = self.0.strip_suffix(".*") {
            HostKind::Above(start)
        } else if &*self.0 == "_" {
            HostKind::CatchAll
        } else {
            HostKind::Exact
        }
    }

    /// Its text: a name, `*.` and a name, a name and `.*`, `~` and an expression, or `_`.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a front end made of an object.
#[derive(Debug)]
pub(crate) struct Translation {
    /// What follows from it.
    pub(crate) verdict: Verdict,
    /// Remarks.
    pub(crate) findings: Vec<Finding>,
    /// Secrets and ConfigMaps that were looked at: when one changes, the object has to be translated again.
    pub(crate) references: BTreeSet<ObjectRef>,
}

/// What follows from an object.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is for someone else, or excluded by an option.
    Foreign,
    /// It must not be loaded. Its last accepted version goes on serving.
    Refused,
    /// It wants this.
    Accepted(Arc<Intent>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_wildcards_or_nothing() {
        for (text, kind) in [
            ("a.test", HostKind::Exact),
            ("A.Test", HostKind::Exact),
            ("localhost", HostKind::Exact),
            ("my_svc.test", HostKind::Exact),
            ("*.a.test", HostKind::Below("a.test")),
        ] {
            assert_eq!(HostName::parse(text).unwrap().kind(), kind, "{text}");
        }
        assert_eq!(HostName::parse("A.Test").unwrap().to_string(), "a.test");
        assert_eq!(HostName::catch_all().kind(), HostKind::CatchAll);
        let long = "a.".repeat(130) + "b";
        let label = "a".repeat(64);
        for text in [
            "",
            "_",
            "*",
            "*.",
            "a..b",
            "a.test.",
            ".a",
            "a.*.b",
            "-a.b",
            "a-.b",
            "a b",
            "a/b",
            "a.test:80",
            "10.0.0.1",
            "::1",
            "*.10.0.0.1",
            "é.test",
            &long,
            &label,
        ] {
            assert!(HostName::parse(text).is_err(), "{text}");
        }
    }
}
