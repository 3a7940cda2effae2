//! Reading the ConfigMap. A value that cannot be read leaves the default, with a warning.

use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{CipherSuite, NamedGroup};
use zeroize::Zeroizing;

use super::{access_log, blocks, compression, find, listen, tracing};
use crate::annotation::{self, Objects, Risk, Support};
use crate::diagnostics::Finding;
use crate::intent::{BalancingWish, RoutePolicy};
use crate::model::{ConfigMap, Kind, ObjectKey, ObjectRef};
use crate::options::Options;
use crate::snapshot::{
    CipherList, ClientSettings, ExternalAuth, FieldSettings, ForwardedSettings, OwnLogLevel, Settings, StreamSettings,
    Template, TicketKey, TlsSettings, TlsVersions, Tries, UpstreamSettings, parse_groups,
};
use crate::value::{self, Expected, Source};

/// What the ConfigMap says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Globals {
    /// For the workers.
    pub(crate) settings: Arc<Settings>,
    /// Defaults of the annotations of the same names.
    pub(crate) policy: RoutePolicy,
    /// The same for how clusters are balanced.
    pub(crate) balancing: Arc<BalancingWish>,
    /// The highest risk that an annotation may have.
    pub(crate) risk_max: Risk,
    /// Words that no annotation value may hold.
    pub(crate) blocked_words: Box<[Box<str>]>,
    /// The webhook lets annotations with snippets pass, though they are never inserted.
    pub(crate) snippets_admitted: bool,
    /// The webhook refuses literal paths with characters of patterns.
    pub(crate) strict_path_types: bool,
    /// Status of https redirects.
    pub(crate) redirect_status: u16,
    /// Paths that start so are not redirected to https.
    pub(crate) no_redirect_paths: Box<[Box<str>]>,
    /// Every route answers this, because access control that is set globally is missing.
    pub(crate) missing: Option<u16>,
    /// External authentication of every Ingress that does not say otherwise.
    pub(crate) external_auth: Option<ExternalAuth>,
    /// Paths that start so need neither password nor external authentication.
    pub(crate) no_auth_paths: Box<[Box<str>]>,
    /// Fields that `custom-headers` may set.
    pub(crate) allowed_response_fields: Box<[Box<str>]>,
    /// Annotations may name objects of other namespaces.
    pub(crate) cross_namespace: bool,
    /// TLS toward the pods is as the Ingress of the path says, not as the oldest of its host.
    pub(crate) proxy_ssl_location_only: bool,
    /// A key of session tickets that the operator gave.
    pub(crate) ticket_key: Option<TicketKey>,
    /// ConfigMaps that were looked at.
    pub(crate) config_maps: Box<[ObjectKey]>,
}

impl Globals {
    /// Parses a ConfigMap.
    pub(crate) fn read(config_map: &ConfigMap, options: &Options, objects: &dyn Objects) -> (Self, Vec<Finding>) {
        let object = ObjectRef { kind: Kind::ConfigMap, key: config_map.meta.key.clone() };
        let mut keys = Keys { config_map, object, findings: Vec::new(), denied: false };
        keys.report();
        let defaults = Self::default();
        let settings = Settings {
            client: client(&mut keys),
            upstream: upstream(&mut keys),
            tls: tls(&mut keys),
            forwarded: forwarded(&mut keys),
            fields: field_settings(&mut keys),
            access_log: access_log::read(&mut keys),
            stream_log: access_log::read_streams(&mut keys),
            own_log: keys.get("error-log-level", own_log_level).unwrap_or_default(),
            tracing: tracing::read(&mut keys),
            compression: compression::read(&mut keys),
            blocks: blocks::read(&mut keys),
            streams: streams(&mut keys),
            listen: listen::read(&mut keys, options),
            drain_timeout: keys.get("worker-shutdown-timeout", value::time),
        };
        report_uncounted(&mut keys, &settings);
        let words = keys.text("annotation-value-word-blocklist");
        let words = words.map(|text| value::list(text).map(Box::from).collect());
        let snippets_admitted = keys.get("allow-snippet-annotations", value::bool) == Some(true);
        if snippets_admitted {
            keys.warn("allow-snippet-annotations", "snippets are never inserted, whatever this says".into());
        }
        let mut policy = policy(&mut keys);
        if !policy.errors.statuses.is_empty() && options.default_backend_service.is_none() {
            let message = "acts only on Ingresses with the annotation default-backend, as there is no \
                           --default-backend-service to ask";
            keys.warn("custom-http-errors", message.into());
        }
        let config_maps = fields(&mut keys, objects, &mut policy);
        let external_auth = annotation::read_global_auth(&mut keys);
        let allowed = keys.parts("global-allowed-response-headers", value::field_name);
        let globals = Self {
            settings: Arc::new(settings),
            policy,
            balancing: Arc::new(annotation::read_global_balancing(&mut keys, options.upstream_address)),
            risk_max: keys.get("annotations-risk-level", risk).unwrap_or(defaults.risk_max),
            blocked_words: words.unwrap_or_default(),
            snippets_admitted,
            strict_path_types: keys.get("strict-validate-path-type", value::bool).unwrap_or(true),
            redirect_status: keys.get("http-redirect-code", redirect_status).unwrap_or(defaults.redirect_status),
            no_redirect_paths: keys
                .parts_if_set("no-tls-redirect-locations", path)
                .unwrap_or(defaults.no_redirect_paths),
            missing: keys.denied.then_some(503),
            external_auth,
            no_auth_paths: keys.parts_if_set("no-auth-locations", path).unwrap_or(defaults.no_auth_paths),
            allowed_response_fields: allowed.unwrap_or_default(),
            cross_namespace: keys.get("allow-cross-namespace-resources", value::bool).unwrap_or(false),
            proxy_ssl_location_only: keys.get("proxy-ssl-location-only", value::bool).unwrap_or(false),
            ticket_key: ticket_key(&mut keys),
            config_maps,
        };
        (globals, keys.findings)
    }
}

fn client(keys: &mut Keys<'_>) -> ClientSettings {
    let default = ClientSettings::default();
    let (number, line) = keys.get("large-client-header-buffers", value::buffers).unwrap_or((4, 8 << 10));
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    ClientSettings {
        keep_alive: keys.get("keep-alive", value::seconds).unwrap_or(default.keep_alive),
        keep_alive_requests: keys.get("keep-alive-requests", value::natural).unwrap_or(default.keep_alive_requests),
        header_timeout: keys.get("client-header-timeout", value::seconds).unwrap_or(default.header_timeout),
        body_timeout: keys.get("client-body-timeout", value::seconds).unwrap_or(default.body_timeout),
        connections_max: keys
            .get("max-worker-connections", value::natural)
            .map_or(default.connections_max, NonZeroU32::new),
        connections_per_client_max: keys.get("client-connections-max", value::natural).and_then(NonZeroU32::new),
        header_line_bytes_max: line,
        header_bytes_max: line.saturating_mul(number as usize),
        http2: keys.get("use-http2", value::bool).unwrap_or(default.http2),
        h2c: keys.get("use-h2c", value::bool).unwrap_or(default.h2c),
        http2_streams_max: keys
            .get("http2-max-concurrent-streams", value::natural)
            .unwrap_or(default.http2_streams_max),
    }
}

/// A bound that nobody is held to.
fn report_uncounted(keys: &mut Keys<'_>, settings: &Settings) {
    if settings.client.connections_per_client_max.is_some() && settings.forwarded.believes_everybody() {
        let why =
            "counts nobody while proxy-real-ip-cidr lets every address speak for clients; name your proxies there";
        keys.warn("client-connections-max", why.into());
    }
}

fn field_settings(keys: &mut Keys<'_>) -> FieldSettings {
    let mut flag = |name, default| keys.get(name, value::bool).unwrap_or(default);
    FieldSettings {
        underscores: flag("enable-underscores-in-headers", false),
        unusual_names: !flag("ignore-invalid-headers", true),
        server: flag("allow-backend-server-header", false),
        own_server: flag("server-tokens", false),
        original_uri: flag("proxy-add-original-uri-header", false),
        request_id: flag("generate-request-id", true),
    }
}

fn forwarded(keys: &mut Keys<'_>) -> ForwardedSettings {
    let default = ForwardedSettings::default();
    let flag = |keys: &mut Keys<'_>, name| keys.get(name, value::bool).unwrap_or(false);
    let other_than = |known: &str, name: Option<Box<str>>| name.filter(|name| !name.eq_ignore_ascii_case(known));
    let trust = flag(keys, "use-forwarded-headers");
    ForwardedSettings {
        trust,
        real_ip: flag(keys, "enable-real-ip"),
        // A list of slips trusts nobody: the default would be everybody.
        trusted: keys.parts_if_set("proxy-real-ip-cidr", value::network).unwrap_or(default.trusted),
        proxy_protocol: flag(keys, "use-proxy-protocol"),
        address_field: other_than("X-Forwarded-For", keys.get("forwarded-for-header", value::field_name)),
        host_field: other_than("X-Forwarded-Host", keys.get("forwarded-host-header", value::field_name)),
        whole_chain: flag(keys, "compute-full-forwarded-for") && trust,
    }
}

fn upstream(keys: &mut Keys<'_>) -> UpstreamSettings {
    let default = UpstreamSettings::default();
    let idle = keys.get("upstream-keepalive-connections", value::natural);
    UpstreamSettings {
        idle_max: idle.map_or(default.idle_max, |n| n as usize),
        idle_timeout: keys.get("upstream-keepalive-timeout", value::seconds).unwrap_or(default.idle_timeout),
        requests_max: keys.get("upstream-keepalive-requests", value::natural).unwrap_or(default.requests_max),
        age_max: keys.get("upstream-keepalive-time", value::time).unwrap_or(default.age_max),
    }
}

fn streams(keys: &mut Keys<'_>) -> StreamSettings {
    let default = StreamSettings::default();
    let tries = keys.get("proxy-stream-next-upstream-tries", value::natural).map_or(default.tries, Tries::new);
    let next = keys.get("proxy-stream-next-upstream", value::bool).unwrap_or(true);
    let tries_timeout = keys.get("proxy-stream-next-upstream-timeout", value::time);
    StreamSettings {
        idle_timeout: keys.get("proxy-stream-timeout", value::time).unwrap_or(default.idle_timeout),
        tries: if next { tries } else { Tries::new(1) },
        tries_timeout: tries_timeout.unwrap_or(default.tries_timeout),
        responses: keys.get("proxy-stream-responses", value::natural).unwrap_or(default.responses),
    }
}

fn tls(keys: &mut Keys<'_>) -> TlsSettings {
    let default = TlsSettings::default();
    let mut versions = default.versions;
    if let Some(text) = keys.text("ssl-protocols") {
        let words: Vec<_> = text.split_ascii_whitespace().map(str::to_owned).collect();
        let has = |version: &str| words.iter().any(|w| w == version);
        versions = TlsVersions { tls12: has("TLSv1.2"), tls13: has("TLSv1.3") };
        for word in words.iter().filter(|w| !matches!(w.as_str(), "TLSv1.2" | "TLSv1.3")) {
            keys.warn("ssl-protocols", format!("{word} cannot be offered"));
        }
        if !versions.tls12 && !versions.tls13 {
            keys.warn("ssl-protocols", "names no version that can be offered; the default is used".into());
            versions = default.versions;
        }
    }
    let max_age = keys.get("hsts-max-age", value::natural).unwrap_or(31_536_000);
    let flag = |keys: &mut Keys<'_>, name, default| keys.get(name, value::bool).unwrap_or(default);
    let mut hsts = format!("max-age={max_age}");
    if flag(keys, "hsts-include-subdomains", true) {
        hsts.push_str("; includeSubDomains");
    }
    if flag(keys, "hsts-preload", false) {
        hsts.push_str("; preload");
    }
    // Each is read whatever the other says: a value that cannot be read is a finding.
    let (cache, tickets) = (flag(keys, "ssl-session-cache", true), flag(keys, "ssl-session-tickets", false));
    let (suites, groups) = (suites(keys), groups(keys));
    TlsSettings {
        versions,
        suites,
        groups,
        resume: cache || tickets,
        session_timeout: keys.get("ssl-session-timeout", value::time).unwrap_or(default.session_timeout),
        record_bytes_max: keys.get("ssl-buffer-size", record_bytes).unwrap_or(default.record_bytes_max),
        ocsp: flag(keys, "enable-ocsp", default.ocsp),
        reject_unknown: flag(keys, "ssl-reject-handshake", default.reject_unknown),
        hsts: flag(keys, "hsts", true).then_some(hsts),
    }
}

/// A key of session tickets. What it is read from is never in a message.
fn ticket_key(keys: &mut Keys<'_>) -> Option<TicketKey> {
    const NAME: &str = "ssl-session-ticket-key";
    let bytes = Zeroizing::new(STANDARD.decode(keys.text(NAME)?).unwrap_or_default());
    let key = Some(bytes).filter(|bytes| matches!(bytes.len(), 48 | 80)).and_then(|bytes| TicketKey::new(0, &bytes));
    if key.is_none() {
        keys.warn(NAME, "is not 48 or 80 bytes in base64; it is not used".into());
    }
    key
}

/// What a TLS record may be asked to hold.
fn record_bytes(text: &str) -> Result<u16, Expected> {
    const RECORD_BYTES: std::ops::RangeInclusive<u64> = 512..=16 << 10;
    let size = value::size(text)?;
    match u16::try_from(size) {
        Ok(bytes) if RECORD_BYTES.contains(&size) => Ok(bytes),
        Ok(_) | Err(_) => Err("a size from 512 to 16k"),
    }
}

/// Suites of TLS 1.2. ingress-nginx' own list names some that cannot be offered, which is no news.
fn suites(keys: &mut Keys<'_>) -> Option<Box<[CipherSuite]>> {
    const NAME: &str = "ssl-ciphers";
    let text = keys.text(NAME).filter(|text| find(NAME).is_none_or(|row| row.default != *text))?;
    let list = CipherList::parse(text);
    annotation::offered(keys, NAME, list)
}

fn groups(keys: &mut Keys<'_>) -> Option<Box<[NamedGroup]>> {
    const NAME: &str = "ssl-ecdh-curve";
    let (groups, unknown) = parse_groups(keys.text(NAME)?);
    if !unknown.is_empty() {
        keys.warn(NAME, format!("{} cannot be offered", unknown.join(", ")));
    }
    groups
}

/// The defaults of annotations. They are read by the same code that reads the annotations.
fn policy(keys: &mut Keys<'_>) -> RoutePolicy {
    let mut policy = RoutePolicy::default();
    annotation::read_global_policy(keys, &mut policy);
    policy.always_retry = keys.get("retry-non-idempotent", value::bool).unwrap_or(false);
    policy
}

/// Fields toward upstreams and clients on every route. Returns the ConfigMaps that list them.
fn fields(keys: &mut Keys<'_>, objects: &dyn Objects, policy: &mut RoutePolicy) -> Box<[ObjectKey]> {
    let mut named = Vec::new();
    let filters = &mut policy.filters;
    for (name, fields) in
        [("proxy-set-headers", &mut filters.request_fields.set), ("add-headers", &mut filters.response_fields.set)]
    {
        let Some(key) = keys.get(name, object_key) else { continue };
        match objects.config_map(&key) {
            Some(config_map) => *fields = listed(keys, name, config_map),
            None => keys.warn(name, format!("ConfigMap {key} does not exist")),
        }
        named.push(key);
    }
    if let Some(hidden) = keys.parts("hide-headers", value::field_name) {
        filters.response_fields.remove = hidden;
    }
    named.into()
}

/// The fields that a ConfigMap lists for a key. One that cannot be read costs the others nothing.
fn listed(keys: &mut Keys<'_>, name: &str, config_map: &ConfigMap) -> Box<[(Box<str>, Template)]> {
    let mut fields = Vec::new();
    for field in annotation::each_field_of(config_map, value::template) {
        match field {
            Ok(field) => fields.push(field),
            Err(fault) => keys.warn(name, format!("{fault}; this field is not set, the others are")),
        }
    }
    fields.into()
}

fn object_key(text: &str) -> Result<ObjectKey, Expected> {
    let (namespace, name) = text.split_once('/').ok_or("namespace/name of a ConfigMap")?;
    Ok(ObjectKey::new(namespace, name))
}

fn risk(text: &str) -> Result<Risk, Expected> {
    Risk::parse(text).ok_or("Low, Medium, High or Critical")
}

/// A level of nginx' error log.
fn own_log_level(text: &str) -> Result<OwnLogLevel, Expected> {
    match text {
        "debug" => Ok(OwnLogLevel::Debug),
        "info" | "notice" => Ok(OwnLogLevel::Info),
        "warn" => Ok(OwnLogLevel::Warn),
        "error" | "crit" | "alert" | "emerg" => Ok(OwnLogLevel::Error),
        _ => Err("debug, info, notice, warn, error, crit, alert or emerg"),
    }
}

/// The start of a path.
fn path(text: &str) -> Result<Box<str>, Expected> {
    if text.starts_with('/') { Ok(text.into()) } else { Err("a path that begins with a slash") }
}

fn redirect_status(text: &str) -> Result<u16, Expected> {
    match text {
        "301" => Ok(301),
        "302" => Ok(302),
        "307" => Ok(307),
        "308" => Ok(308),
        _ => Err("301, 302, 307 or 308"),
    }
}

struct Keys<'a> {
    config_map: &'a ConfigMap,
    object: ObjectRef,
    findings: Vec<Finding>,
    /// Access control that is set globally cannot be had.
    denied: bool,
}

impl Source for Keys<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(find(name).is_some(), "{name} is read but has no row");
        self.config_map.data.get(name).map(|v| v.trim()).filter(|v| !v.is_empty())
    }

    fn warn(&mut self, name: &str, message: String) {
        self.findings.push(Finding::warning(&self.object, format!("data.{name}"), message));
    }

    fn deny(&mut self, name: &str, message: String) {
        self.denied = true;
        let message = format!("{message}; as it controls access, every path answers 503");
        self.findings.push(Finding::error(&self.object, format!("data.{name}"), message));
    }
}

impl Keys<'_> {
    /// The parts of a list whose default opens something: set to nothing, it opens nothing.
    fn parts_if_set<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<Box<[T]>> {
        let is_empty = self.config_map.data.get(name).is_some_and(|text| text.trim().is_empty());
        if is_empty { Some(Box::default()) } else { self.parts(name, parse) }
    }

    /// A finding for each key that does less than its author may expect.
    fn report(&mut self) {
        for (name, value) in &self.config_map.data {
            let (value, field) = (value.trim(), format!("data.{name}"));
            let row = find(name);
            if value.is_empty() || row.is_some_and(|row| row.default == value) {
                continue;
            }
            let message = match row.map(|row| row.support) {
                Some(Support::Honoured | Support::Except(_) | Support::Differs(_)) => continue,
                None => "is no option of ingress-nginx; it has no effect".into(),
                Some(Support::Ignored(why)) => format!("has no effect: {why}"),
                Some(Support::Refused(instead)) => format!("is never inserted; instead, {instead}"),
            };
            let is_error = matches!(row.map(|row| row.support), Some(Support::Refused(_)));
            let finding = if is_error { Finding::error } else { Finding::warning };
            self.findings.push(finding(&self.object, field, message));
        }
    }
}
