//! A value that cannot be read, for each ConfigMap key that people use: it is named, and the default acts; where the key
//! controls access, every path is refused.

use std::collections::HashMap;

use serde_json::Value;

use self::Effect::{Default, Deny, Empty};
use super::world::World;
use crate::support::manifests::{file, ingress, options};
use crate::support::process::{Ringress, on_each_driver};

/// What becomes of a value that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// As without the key.
    Default,
    /// As with the key set to nothing.
    Empty,
    /// Every path answers 503.
    Deny,
}

/// A value that cannot be read, and the keys that it needs beside it to mean anything.
pub(super) struct Bad {
    pub(super) key: &'static str,
    value: &'static str,
    beside: &'static [(&'static str, &'static str)],
    effect: Effect,
}

const fn bad(
    key: &'static str,
    value: &'static str,
    beside: &'static [(&'static str, &'static str)],
    effect: Effect,
) -> Bad {
    Bad { key, value, beside, effect }
}

/// By the order of the table of keys. `{yes}` and `{no}` are services that let everybody or nobody pass.
#[rustfmt::skip]
pub(super) const BAD: &[Bad] = &[
    bad("add-headers", "nowhere", &[], Default),
    bad("allow-backend-server-header", "maybe", &[], Default),
    bad("allow-cross-namespace-resources", "maybe", &[], Default),
    bad("allow-snippet-annotations", "maybe", &[], Default),
    bad("annotations-risk-level", "Extreme", &[], Default),
    bad("hide-headers", "a b", &[], Default),
    bad("access-log-path", "syslog:server=x", &[], Default),
    bad("access-log-sampling", "101", &[], Default),
    bad("enable-access-log-for-default-backend", "maybe", &[], Default),
    bad("client-header-timeout", "60s", &[], Default),
    bad("client-body-timeout", "1m", &[], Default),
    bad("disable-access-log", "maybe", &[], Default),
    bad("disable-http-access-log", "maybe", &[], Default),
    bad("disable-stream-access-log", "maybe", &[], Default),
    bad("disable-ipv6", "maybe", &[], Default),
    bad("enable-underscores-in-headers", "maybe", &[], Default),
    bad("ignore-invalid-headers", "maybe", &[], Default),
    bad("retry-non-idempotent", "maybe", &[], Default),
    bad("error-log-level", "loud", &[], Default),
    bad("http2-max-concurrent-streams", "many", &[], Default),
    bad("hsts", "maybe", &[], Default),
    bad("hsts-include-subdomains", "maybe", &[], Default),
    bad("hsts-max-age", "1y", &[], Default),
    bad("hsts-preload", "maybe", &[], Default),
    bad("keep-alive", "75s", &[], Default),
    bad("keep-alive-requests", "many", &[], Default),
    bad("large-client-header-buffers", "4", &[], Default),
    bad("log-format-escape-json", "maybe", &[], Default),
    bad("log-format-upstream", "$nothing", &[], Default),
    bad("log-format-stream", "$nothing", &[], Default),
    bad("max-worker-connections", "many", &[], Default),
    bad("proxy-real-ip-cidr", "10.0.0.0/33", &[("use-forwarded-headers", "true")], Empty),
    bad("proxy-set-headers", "nowhere", &[], Default),
    bad("reuse-port", "maybe", &[], Default),
    bad("server-tokens", "maybe", &[], Default),
    bad("ssl-ciphers", "RC4-SHA", &[], Default),
    bad("ssl-protocols", "SSLv3", &[], Default),
    bad("ssl-session-cache", "maybe", &[], Default),
    bad("ssl-session-tickets", "maybe", &[], Default),
    bad("use-proxy-protocol", "maybe", &[], Default),
    bad("use-gzip", "maybe", &[], Default),
    bad("enable-brotli", "maybe", &[], Default),
    bad("use-http2", "maybe", &[], Default),
    bad("gzip-level", "10", &[("use-gzip", "true")], Default),
    bad("gzip-min-length", "1k", &[("use-gzip", "true")], Default),
    bad("gzip-types", "json", &[("use-gzip", "true")], Default),
    bad("worker-processes", "many", &[], Default),
    bad("worker-shutdown-timeout", "long", &[], Default),
    bad("load-balance", "fastest", &[], Default),
    bad("upstream-keepalive-connections", "many", &[], Default),
    bad("upstream-keepalive-timeout", "1m", &[], Default),
    bad("upstream-keepalive-requests", "many", &[], Default),
    bad("limit-req-status-code", "200", &[], Default),
    bad("limit-conn-status-code", "200", &[], Default),
    bad("proxy-stream-timeout", "long", &[], Default),
    bad("proxy-stream-responses", "many", &[], Default),
    bad("bind-address", "localhost", &[], Default),
    bad("use-forwarded-headers", "maybe", &[], Default),
    bad("enable-real-ip", "maybe", &[], Default),
    bad("forwarded-for-header", "two words", &[("use-forwarded-headers", "true")], Default),
    bad("compute-full-forwarded-for", "maybe", &[("use-forwarded-headers", "true")], Default),
    bad("proxy-add-original-uri-header", "maybe", &[], Default),
    bad("generate-request-id", "maybe", &[], Default),
    bad("enable-opentelemetry", "maybe", &[], Default),
    bad("opentelemetry-trust-incoming-span", "maybe", &[("otlp-collector-host", "127.0.0.1"), ("enable-opentelemetry", "true")], Default),
    bad("otlp-collector-host", "two words", &[("enable-opentelemetry", "true")], Default),
    bad("otlp-collector-port", "0", &[("otlp-collector-host", "127.0.0.1"), ("enable-opentelemetry", "true")], Default),
    bad("otel-sampler", "Sometimes", &[("otlp-collector-host", "127.0.0.1"), ("enable-opentelemetry", "true")], Default),
    bad("otel-sampler-parent-based", "maybe", &[("otlp-collector-host", "127.0.0.1"), ("enable-opentelemetry", "true")], Default),
    bad("otel-sampler-ratio", "2", &[("otlp-collector-host", "127.0.0.1"), ("enable-opentelemetry", "true"), ("otel-sampler", "TraceIdRatioBased")], Default),
    bad("custom-http-errors", "200", &[], Default),
    bad("proxy-body-size", "1x", &[], Default),
    bad("proxy-connect-timeout", "5s", &[], Default),
    bad("proxy-read-timeout", "60s", &[], Default),
    bad("proxy-send-timeout", "60s", &[], Default),
    bad("proxy-buffers-number", "1", &[], Default),
    bad("proxy-buffer-size", "0", &[], Default),
    bad("proxy-next-upstream", "errors", &[], Default),
    bad("proxy-next-upstream-timeout", "1s", &[], Default),
    bad("proxy-next-upstream-tries", "many", &[], Default),
    bad("proxy-request-buffering", "maybe", &[], Default),
    bad("proxy-buffering", "maybe", &[], Default),
    bad("ssl-redirect", "maybe", &[], Default),
    bad("force-ssl-redirect", "maybe", &[], Default),
    bad("preserve-trailing-slash", "maybe", &[], Default),
    bad("denylist-source-range", "10.0.0.0/33", &[], Deny),
    bad("whitelist-source-range", "here", &[], Deny),
    bad("http-redirect-code", "200", &[], Default),
    bad("no-tls-redirect-locations", "x", &[], Default),
    bad("global-allowed-response-headers", "a b", &[], Default),
    bad("global-auth-url", "nowhere", &[], Deny),
    bad("global-auth-method", "G T", &[("global-auth-url", "http://{yes}/")], Deny),
    bad("global-auth-signin", "no url", &[("global-auth-url", "http://{no}/")], Default),
    bad("global-auth-signin-redirect-param", "a b", &[("global-auth-url", "http://{no}/"), ("global-auth-signin", "http://s.test/")], Default),
    bad("global-auth-response-headers", "a b", &[("global-auth-url", "http://{yes}/")], Deny),
    bad("global-auth-request-redirect", "no url", &[("global-auth-url", "http://{yes}/")], Deny),
    bad("global-auth-cache-key", "$nothing", &[("global-auth-url", "http://{yes}/")], Default),
    bad("global-auth-cache-duration", "200 x", &[("global-auth-url", "http://{yes}/"), ("global-auth-cache-key", "$remote_user")], Deny),
    bad("global-auth-always-set-cookie", "maybe", &[("global-auth-url", "http://{yes}/")], Deny),
    bad("no-auth-locations", "x", &[("global-auth-url", "http://{no}/")], Default),
    bad("block-cidrs", "10.0.0.0/33", &[], Deny),
    bad("block-user-agents", "~(", &[], Deny),
    bad("block-referers", "~*[", &[], Deny),
    bad("service-upstream", "maybe", &[], Default),
    bad("ssl-reject-handshake", "maybe", &[], Default),
    bad("strict-validate-path-type", "maybe", &[], Default),
];

/// Keys for which every text is a value.
pub(super) const ANY_TEXT: &[(&str, &str)] =
    &[("annotation-value-word-blocklist", "\\,;("), ("otel-service-name", "a b;"), ("skip-access-log-urls", "no path")];

/// Serves the sites under these keys.
pub(super) fn set(ringress: &Ringress, world: &World, keys: &[(&str, &str)]) {
    let filled: Vec<_> = keys.iter().map(|(key, value)| (*key, world.fill(value))).collect();
    let filled: Vec<_> = filled.iter().map(|(key, value)| (*key, &**value)).collect();
    ringress.apply("options.json", file([options(&filled)]));
}

/// How both hosts look: one with TLS and one without.
fn look(ringress: &Ringress, world: &World) -> Vec<String> {
    [world.look(ringress, "tls.test"), world.look(ringress, "plain.test")].concat()
}

fn names(findings: &Value, key: &str) -> bool {
    let field = format!("data.{key}");
    findings
        .as_array()
        .expect("a list")
        .iter()
        .any(|finding| finding["object"] == "ConfigMap default/options" && finding["field"] == *field)
}

#[test]
fn a_bad_key_is_named_and_the_default_acts_or_nobody_is_let_in() {
    on_each_driver(|driver| {
        let world = World::new();
        let mut all = world.objects();
        all.push(ingress("tls").tls("tls.test", "cert").prefix("tls.test", "/", "main").build());
        all.push(ingress("plain").prefix("plain.test", "/", "main").build());
        let ringress = Ringress::on(driver)
            .manifest("all.json", file(all))
            .manifest("options.json", file([options(&[])]))
            .flag("--configmap=default/options")
            .start();
        let (mut without, mut faults) = (HashMap::new(), Vec::new());
        for bad in BAD {
            let beside = match bad.effect {
                Empty => [bad.beside, &[(bad.key, "")]].concat(),
                Default | Deny => bad.beside.to_vec(),
            };
            let expected = &*without.entry(beside).or_insert_with_key(|beside| {
                set(&ringress, &world, beside);
                look(&ringress, &world)
            });
            set(&ringress, &world, &[bad.beside, &[(bad.key, bad.value)]].concat());
            let rejected = &ringress.status()["rejected"];
            if !names(rejected, bad.key) {
                faults.push(format!("{} = {:?}: not named in {rejected}", bad.key, bad.value));
            }
            let looks = look(&ringress, &world);
            match bad.effect {
                Default | Empty if &looks == expected => {}
                // A body that is too large is refused before anybody is asked.
                Deny if looks.iter().all(|line| line.starts_with("503") || line.starts_with("413")) => {}
                Default | Empty | Deny => faults.push(format!("{}: {looks:#?}\nwithout: {expected:#?}", bad.key)),
            }
        }
        for (key, value) in ANY_TEXT {
            set(&ringress, &world, &[(key, value)]);
            assert_eq!(ringress.status()["rejected"].to_string(), "[]", "{key}");
            assert_eq!(Some(&look(&ringress, &world)), without.get(&Vec::new()), "{key}");
        }
        set(&ringress, &world, &[]);
        assert_eq!(ringress.status()["rejected"].to_string(), "[]");
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    });
}
