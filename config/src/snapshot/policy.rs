//! What a route does with a request besides forwarding it: typed filters, compiled once, carried out by the workers.
//!
//! Nothing here knows annotations. The fields stand in the order in which they run (reference 3.10): redirects,
//! preflights, refusals, rewrite, https redirect (on the route itself), limits, access, balancing, then what shapes the
//! exchange. A route without policies has none of this allocated and none of it checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::{ClientAuth, ClusterId, LogShare, RouteTracing, Search, Template};

/// All policies of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The host asks clients for a certificate.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// Paths that are answered 403, before anything else.
    pub denied_paths: Option<Arc<DeniedPaths>>,
    /// Answered with a redirect.
    pub redirect: Option<Redirect>,
    /// Paths that are redirected.
    pub redirects: Option<Arc<Redirects>>,
    /// `Location` of a path of the same host has neither scheme nor host (`relative-redirects`).
    pub relative_redirects: bool,
    /// The port that redirects to https name; `None` names none (`use-port-in-redirects`).
    pub https_port: Option<u16>,
    /// Cross-origin headers and preflights.
    pub cors: Option<Arc<Cors>>,
    /// Every request is answered with this status: access control that could not be compiled must not fail open, or
    /// that is what was asked for.
    pub refuse: Option<u16>,
    /// The target is replaced.
    pub rewrite: Option<Rewrite>,
    /// Rates and numbers of requests per client.
    pub limits: Option<Arc<Limits>>,
    /// Who may pass.
    pub access: Option<Arc<Access>>,
    /// Other clusters that take a share of the requests, asked in order.
    pub canaries: Box<[Canary]>,
    /// A client stays on one endpoint.
    pub affinity: Option<Arc<Affinity>>,
    /// Request fields toward the upstream.
    pub request_fields: FieldRules,
    /// `Host` toward the upstream.
    pub upstream_host: Option<Template>,
    /// Response fields toward the client.
    pub response_fields: FieldRules,
    /// Rewriting of what the upstream says about itself.
    pub upstream_words: Option<Arc<UpstreamWords>>,
    /// Answers with these statuses are replaced by another backend's.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// Every request is copied there.
    pub mirror: Option<Arc<Mirror>>,
    /// How the upstream's connection is spoken of.
    pub upstream_hop: UpstreamHop,
    /// The upstream is spoken to over TLS where the client's connection is (`AUTO_HTTP`).
    pub tls_as_client: bool,
    /// Bytes per second to one client, after the first so many.
    pub rate: Option<ResponseRate>,
    /// No line in the access log.
    pub unlogged: bool,
    /// How many of the requests have one, where it is not as everywhere.
    pub log_share: Option<LogShare>,
    /// Whether and how its requests are traced, where it is not as everywhere.
    pub tracing: Option<Arc<RouteTracing>>,
}

/// An answer with `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 300 to 308.
    pub status: u16,
    /// Where to.
    pub location: Template,
    /// One final slash of the text is cut.
    pub cut_slash: bool,
}

/// Paths that nobody may have. They are compared with the normalised path, so that encoding does not get around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedPaths {
    /// These and what is below them; without a final slash.
    pub prefixes: Box<[Box<str>]>,
    /// Those in which one of these is found.
    pub patterns: Box<[Arc<Search>]>,
}

impl DeniedPaths {
    /// Whether a path is among them.
    pub fn denies(&self, path: &[u8]) -> bool {
        let is_below = |prefix: &str| {
            path.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        self.prefixes.iter().any(|prefix| is_below(prefix))
            || self.patterns.iter().any(|pattern| pattern.is_found(path))
    }
}

/// Redirects of single paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    /// By the whole normalised path.
    pub by_path: BTreeMap<Box<[u8]>, Redirect>,
}

/// Cross-origin resource sharing, answered by the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Whose requests get the fields.
    pub origins: Origins,
    /// `Access-Control-Allow-Methods`.
    pub methods: Box<str>,
    /// `Access-Control-Allow-Headers`.
    pub headers: Box<str>,
    /// `Access-Control-Allow-Credentials: true`.
    pub credentials: bool,
    /// `Access-Control-Expose-Headers`; empty sends none.
    pub expose: Box<str>,
    /// `Access-Control-Max-Age`, seconds; below 0 nothing is kept.
    pub max_age: i32,
}

/// Origins of a [`Cors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any, told as a literal `*`.
    Any,
    /// These, echoed.
    List(Box<[OriginPattern]>),
}

/// One allowed origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// Scheme, host and port as given, compared without case.
    Exact(Box<str>),
    /// `before` + one label + `after`, from `https://*.example.com:8443`.
    OneLabel {
        /// Scheme and `//`.
        before: Box<str>,
        /// From the dot on.
        after: Box<str>,
    },
}

/// A replaced target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Its groups are what `$1` to `$9` of the target stand for; searched in the normalised path, not anchored.
    pub pattern: Arc<Search>,
    /// The new path, query kept; `http(s)://` answers 302 instead.
    pub target: Template,
    /// `X-Forwarded-Prefix`.
    pub prefix: Option<Template>,
}

/// Limits per client address, shared by all cores and by all routes with the same `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Names the table: the same key counts together (one per Ingress).
    pub key: Arc<str>,
    /// Requests in flight.
    pub in_flight: Option<u32>,
    /// Leaky buckets, all of which must have room.
    pub rates: Box<[Rate]>,
    /// Clients that are not counted.
    pub exempt: Box<[IpNet]>,
    /// Status over the rate.
    pub rate_status: u16,
    /// Status over the number in flight.
    pub in_flight_status: u16,
}

/// A leaky bucket without delay: `1 + burst` requests pass at once, then one for each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub requests: u32,
    /// In so much time.
    pub per: Duration,
    /// Beyond the first.
    pub burst: u32,
}

/// Who may pass: address lists, password, external service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// 403, before `allow`.
    pub deny: Box<[IpNet]>,
    /// Others get 403; `None` allows all.
    pub allow: Option<Box<[IpNet]>>,
    /// HTTP basic authentication.
    pub basic: Option<BasicAuth>,
    /// Ask another service.
    pub external: Option<ExternalAuth>,
    /// One of the checks is enough; without it all must pass.
    pub satisfy_any: bool,
}

impl Access {
    /// Whether the lists let an address pass; `None` when there are none.
    pub fn address_passes(&self, client: IpAddr) -> Option<bool> {
        if self.deny.is_empty() && self.allow.is_none() {
            return None;
        }
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&client));
        Some(!within(&self.deny) && self.allow.as_deref().is_none_or(within))
    }
}

/// Passwords of a route.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// Shown in the challenge.
    pub realm: Box<str>,
    /// User → password hash as htpasswd has it (apr1, SHA, bcrypt, crypt).
    pub users: Arc<[(Box<str>, Box<str>)]>,
}

/// Names only: hashes never reach a log.
impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("realm", &self.realm).field("users", &self.users.len()).finish()
    }
}

/// An external service that decides (reference 3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAuth {
    /// Where to ask: `http` or `https`, host, port, target.
    pub url: Template,
    /// Method of the question; `None` is GET.
    pub method: Option<Box<str>>,
    /// A 401 becomes a 302 to this.
    pub signin: Option<Signin>,
    /// Fields of its answer that replace the client's toward the upstream.
    pub response_fields: Box<[Box<str>]>,
    /// `X-Auth-Request-Redirect`; `None` is the request's target.
    pub request_redirect: Option<Template>,
    /// Its `Set-Cookie` goes to the client whatever the final status.
    pub always_set_cookie: bool,
    /// Fields set on the question.
    pub request_fields: Box<[(Box<str>, Template)]>,
    /// Answers kept: by this key, for these times by status.
    pub cache: Option<AuthCache>,
}

/// Where to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signin {
    /// The page.
    pub url: Template,
    /// Parameter with the original URL, appended unless the page has it.
    pub parameter: Box<str>,
}

/// Kept answers of an [`ExternalAuth`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthCache {
    /// What makes requests alike.
    pub key: Template,
    /// Status → how long.
    pub durations: Box<[(u16, Duration)]>,
}

/// A cluster that takes some of a route's requests (reference 3.17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Where they go.
    pub cluster: ClusterId,
    /// The requests that it is for; `None` is all.
    pub matches: Option<Arc<RequestMatch>>,
    /// By a request field.
    pub header: Option<(Box<str>, CanaryHeader)>,
    /// By a cookie that says `always` or `never`.
    pub cookie: Option<Box<str>>,
    /// So many of `total` requests, by chance.
    pub weight: u32,
    /// At least 100.
    pub total: u32,
    /// A client with an affinity cookie stays where it is.
    pub sticky: bool,
}

impl Canary {
    /// Whether it takes every request that it is for.
    pub fn takes_all(&self) -> bool {
        self.header.is_none() && self.cookie.is_none() && self.weight >= self.total
    }
}

/// Requests by what they say; all of it has to be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMatch {
    /// One of these; none is any.
    pub methods: Box<[Box<str>]>,
    /// Header fields.
    pub fields: Box<[(Box<str>, ValueMatch)]>,
    /// Arguments of the query, as sent.
    pub arguments: Box<[(Box<str>, ValueMatch)]>,
}

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// There is one.
    Any,
    /// This one.
    Exact(Box<str>),
    /// One that the pattern finds.
    Pattern(Arc<Search>),
}

impl ValueMatch {
    /// Whether a value is such.
    pub fn is_met(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => value == wanted.as_bytes(),
            Self::Pattern(pattern) => pattern.is_found(value),
        }
    }
}

/// Which value of the field sends a request to the canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanaryHeader {
    /// `always`; `never` sends it to the main cluster.
    Always,
    /// This one.
    Value(Box<str>),
    /// One that the pattern finds.
    Pattern(Arc<Search>),
    /// The pattern cannot be read: any sends it to the main cluster.
    Broken,
}

/// A cookie that names the endpoint (reference 3.17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Name of the cookie.
    pub cookie: Box<str>,
    /// The cookie names the endpoint itself instead of a place on the ring.
    pub persistent: bool,
    /// `Path`; `None` is the route's.
    pub path: Option<Box<str>>,
    /// `Domain`.
    pub domain: Option<Box<str>>,
    /// `Max-Age`, seconds.
    pub max_age: Option<i64>,
    /// `Expires`, seconds from now.
    pub expires: Option<i64>,
    /// `SameSite`.
    pub same_site: Option<Box<str>>,
    /// `SameSite=None` is left out for browsers that mishandle it.
    pub conditional_same_site_none: bool,
    /// `Secure` on plain http as well.
    pub secure: bool,
    /// After a failure another endpoint and a new cookie.
    pub change_on_failure: bool,
}

/// Changes to the fields of a head. The names are tokens (RFC 9110 5.6.2): who reads them has checked that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldRules {
    /// Written in place of those of the same name.
    pub set: Box<[(Box<str>, Template)]>,
    /// Written beside them.
    pub add: Box<[(Box<str>, Template)]>,
    /// Taken out.
    pub remove: Box<[Box<str>]>,
}

impl FieldRules {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Rewriting of `Location`, `Refresh` and `Set-Cookie` of the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamWords {
    /// Start of `Location` and `Refresh`.
    pub redirect: Option<Replacement>,
    /// `Domain` of cookies.
    pub cookie_domain: Option<Replacement>,
    /// `Path` of cookies.
    pub cookie_path: Option<Replacement>,
}

/// What is replaced, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// What an upstream says.
    pub from: Template,
    /// What the client is told.
    pub to: Template,
}

impl UpstreamWords {
    /// Whether what they say depends on the request.
    pub fn has_variables(&self) -> bool {
        let all = [&self.redirect, &self.cookie_domain, &self.cookie_path];
        let varies = |text: &Template| text.as_literal().is_none();
        all.into_iter().flatten().any(|pair| varies(&pair.from) || varies(&pair.to))
    }
}

/// Answers replaced by those of an error backend (reference 3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPages {
    /// Statuses, sorted.
    pub statuses: Box<[u16]>,
    /// Who is asked.
    pub cluster: ClusterId,
    /// Who is asked while that one has no endpoint.
    pub otherwise: Option<ClusterId>,
    /// Only for errors that the proxy makes itself.
    pub own_only: bool,
    /// It serves the route's requests while the route's own cluster has no endpoint.
    pub takes_over: bool,
}

/// A copy of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where to.
    pub url: Template,
    /// `Host` of the copy; `None` is that of `url`.
    pub host: Option<Template>,
    /// With the body.
    pub body: bool,
}

/// What requests say of the connection that they come on. HTTP/2 has neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamHop {
    /// `Connection` as written; `None` leaves it to the proxy, which upgrades and keeps alive.
    pub connection: Option<ConnectionWord>,
    /// HTTP/1.0: no chunked bodies, and a connection for each request.
    pub http_1_0: bool,
}

impl UpstreamHop {
    /// Whether requests to upgrade go on as such.
    pub fn passes_upgrades(self) -> bool {
        self == Self::default()
    }

    /// Whether a connection may serve another request.
    pub fn keeps_alive(self) -> bool {
        !self.http_1_0 && self.connection != Some(ConnectionWord::Close)
    }
}

/// A fixed `Connection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionWord {
    /// `close`
    Close,
    /// `keep-alive`
    KeepAlive,
}

impl ConnectionWord {
    /// As it stands in the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::KeepAlive => "keep-alive",
        }
    }
}

/// Bandwidth of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseRate {
    /// Bytes per second.
    pub bytes_per_second: u64,
    /// Bytes sent at full speed first.
    pub after_bytes: u64,
}
