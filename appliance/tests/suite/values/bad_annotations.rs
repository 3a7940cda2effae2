//! A value that cannot be read, for each annotation that people use: it is named, it has the effect that the row of the
//! annotation says, and it harms nobody else.

use serde_json::Value;

use ringress_config::annotation::{self, BadValue};

use super::world::{Ask, World};
use crate::support::manifests::{file, ingress};
use crate::support::process::{self, Ringress, on_each_driver};

/// A value that cannot be read, and the annotations that it needs beside it to mean anything.
pub(super) struct Bad {
    pub(super) row: &'static str,
    value: &'static str,
    beside: &'static [(&'static str, &'static str)],
    /// It holds what ingress-nginx lets nobody write: the Ingress is not loaded, whatever the row says of other values.
    is_illegal: bool,
}

const fn illegal(row: &'static str, value: &'static str) -> Bad {
    Bad { is_illegal: true, ..bad(row, value, &[]) }
}

const fn bad(row: &'static str, value: &'static str, beside: &'static [(&'static str, &'static str)]) -> Bad {
    Bad { row, value, beside, is_illegal: false }
}

/// By the order of the table of annotations. `{yes}` and `{no}` are services that let everybody or nobody pass.
#[rustfmt::skip]
pub(super) const BAD: &[Bad] = &[
    bad("server-alias", "a b", &[]),
    bad("ssl-ciphers", "ECDHE;drop", &[]),
    bad("ssl-passthrough", "maybe", &[]),
    bad("kubernetes.io/ingress.class", "other", &[]),
    bad("rewrite-target", "/x?y=1", &[]),
    bad("use-regex", "maybe", &[]),
    bad("x-forwarded-prefix", "no path;", &[("rewrite-target", "/x")]),
    bad("from-to-www-redirect", "maybe", &[]),
    bad("permanent-redirect", "https://w.test/$request_uri", &[]),
    bad("permanent-redirect-code", "x", &[("permanent-redirect", "https://w.test/")]),
    bad("temporal-redirect", "https://w.test/$uri", &[]),
    bad("temporal-redirect-code", "x", &[("temporal-redirect", "https://w.test/")]),
    bad("app-root", "no path", &[]),
    bad("force-ssl-redirect", "maybe", &[]),
    bad("ssl-redirect", "maybe", &[]),
    bad("preserve-trailing-slash", "maybe", &[]),
    bad("ringress.io/redirects", "no path", &[]),
    bad("ringress.io/return-status", "301", &[]),
    bad("proxy-body-size", "1x", &[]),
    bad("proxy-buffer-size", "x", &[]),
    bad("proxy-buffers-number", "x", &[]),
    bad("proxy-buffering", "maybe", &[]),
    bad("proxy-request-buffering", "maybe", &[]),
    bad("proxy-connect-timeout", "5s", &[]),
    bad("proxy-send-timeout", "1m", &[]),
    bad("proxy-read-timeout", "-1", &[]),
    bad("proxy-next-upstream", "off error bogus", &[]),
    bad("proxy-next-upstream-tries", "x", &[]),
    bad("proxy-next-upstream-timeout", "x", &[]),
    bad("ringress.io/per-try-timeout", "x", &[]),
    bad("ringress.io/hedge-after", "x", &[]),
    bad("proxy-cookie-domain", "one", &[]),
    bad("proxy-cookie-path", "one", &[]),
    bad("proxy-redirect-from", "$nothing", &[("proxy-redirect-to", "/")]),
    bad("proxy-redirect-to", "$nothing", &[("proxy-redirect-from", "http://in.test/")]),
    bad("backend-protocol", "HTTP3", &[]),
    bad("service-upstream", "maybe", &[]),
    bad("ringress.io/upstream-address", "nodes", &[]),
    bad("load-balance", "fastest", &[]),
    bad("upstream-hash-by", "$nothing", &[]),
    bad("ringress.io/load-balance", "fastest", &[]),
    bad("ringress.io/max-fails", "x", &[]),
    bad("ringress.io/fail-timeout", "x", &[]),
    bad("ringress.io/panic-threshold", "x", &[]),
    bad("ringress.io/retry-budget", "x", &[]),
    bad("ringress.io/max-requests", "0", &[]),
    bad("ringress.io/max-pending-requests", "0", &[]),
    bad("ringress.io/max-connections", "0", &[]),
    bad("ringress.io/health-check", "icmp", &[]),
    bad("ringress.io/health-check-path", "no path", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-status", "999", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-service", "a b", &[("ringress.io/health-check", "grpc")]),
    bad("ringress.io/health-check-host", "a b", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-port", "x", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-interval", "0", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-timeout", "0", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-healthy-threshold", "0", &[("ringress.io/health-check", "http")]),
    bad("ringress.io/health-check-unhealthy-threshold", "0", &[("ringress.io/health-check", "http")]),
    bad("affinity", "ip", &[]),
    bad("affinity-mode", "x", &[("affinity", "cookie")]),
    bad("affinity-canary-behavior", "x", &[("canary", "true"), ("canary-weight", "100")]),
    bad("session-cookie-name", "a b", &[("affinity", "cookie")]),
    bad("session-cookie-expires", "x", &[("affinity", "cookie")]),
    bad("session-cookie-max-age", "x", &[("affinity", "cookie")]),
    bad("session-cookie-path", "no path;", &[("affinity", "cookie")]),
    bad("session-cookie-domain", "a;b", &[("affinity", "cookie")]),
    bad("session-cookie-secure", "maybe", &[("affinity", "cookie")]),
    bad("session-cookie-samesite", "Loose", &[("affinity", "cookie")]),
    bad("session-cookie-change-on-failure", "maybe", &[("affinity", "cookie")]),
    bad("canary", "maybe", &[]),
    bad("canary-weight", "half", &[("canary", "true")]),
    bad("canary-weight-total", "x", &[("canary", "true"), ("canary-weight", "100")]),
    bad("canary-by-header", "a b", &[("canary", "true"), ("canary-weight", "100")]),
    bad("canary-by-header-value", "yes", &[("canary", "true")]),
    bad("canary-by-header-pattern", "(", &[("canary", "true"), ("canary-by-header", "X-Kind")]),
    bad("canary-by-cookie", "a b", &[("canary", "true")]),
    bad("ringress.io/canary-order", "x", &[("canary", "true"), ("canary-weight", "100")]),
    bad("ringress.io/match-header", "~(", &[("canary", "true")]),
    bad("ringress.io/match-query", "=~(", &[("canary", "true")]),
    bad("ringress.io/match-method", "G T", &[("canary", "true")]),
    bad("allowlist-source-range", "10.0.0.0/33", &[]),
    bad("whitelist-source-range", "here", &[]),
    bad("denylist-source-range", "10.0.0.0/33", &[]),
    bad("satisfy", "some", &[("allowlist-source-range", "10.0.0.0/8"), ("auth-url", "http://{yes}/")]),
    bad("ringress.io/deny-paths", "~(", &[]),
    bad("auth-type", "kerberos", &[]),
    bad("auth-secret", "missing", &[("auth-type", "basic")]),
    bad("auth-secret-type", "auth-db", &[("auth-type", "basic"), ("auth-secret", "users")]),
    bad("auth-realm", "a;b\"", &[("auth-type", "basic"), ("auth-secret", "users")]),
    bad("auth-url", "nowhere", &[]),
    bad("auth-method", "G T", &[("auth-url", "http://{yes}/")]),
    bad("auth-signin", "no url;", &[("auth-url", "http://{no}/")]),
    bad("auth-signin-redirect-param", "a b", &[("auth-url", "http://{no}/"), ("auth-signin", "http://s.test/")]),
    bad("auth-response-headers", "a b", &[("auth-url", "http://{yes}/")]),
    bad("auth-request-redirect", "no url", &[("auth-url", "http://{yes}/"), ("auth-response-headers", "X-Seen-Redirect")]),
    bad("auth-always-set-cookie", "maybe", &[("auth-url", "http://{yes}/")]),
    bad("auth-cache-key", "$nothing;", &[("auth-url", "http://{yes}/")]),
    bad("auth-cache-duration", "200 x", &[("auth-url", "http://{yes}/"), ("auth-cache-key", "$remote_user")]),
    bad("auth-proxy-set-headers", "missing", &[("auth-url", "http://{yes}/")]),
    bad("enable-global-auth", "maybe", &[]),
    bad("auth-tls-secret", "default/missing", &[]),
    bad("auth-tls-verify-client", "maybe", &[("auth-tls-secret", "default/ca")]),
    bad("auth-tls-verify-depth", "x", &[("auth-tls-secret", "default/ca")]),
    bad("auth-tls-error-page", "a b;", &[("auth-tls-secret", "default/ca")]),
    bad("auth-tls-pass-certificate-to-upstream", "maybe", &[("auth-tls-secret", "default/ca")]),
    bad("auth-tls-match-cn", "O=x", &[("auth-tls-secret", "default/ca")]),
    bad("proxy-ssl-secret", "default/missing", &[]),
    bad("proxy-ssl-protocols", "SSLv2", &[("proxy-ssl-secret", "default/ca")]),
    bad("proxy-ssl-name", "a b;", &[("proxy-ssl-secret", "default/ca")]),
    bad("proxy-ssl-verify", "maybe", &[("proxy-ssl-secret", "default/ca")]),
    bad("proxy-ssl-verify-depth", "x", &[("proxy-ssl-secret", "default/ca")]),
    bad("proxy-ssl-server-name", "maybe", &[("proxy-ssl-secret", "default/ca")]),
    bad("limit-rps", "x", &[]),
    bad("limit-rpm", "x", &[]),
    bad("limit-burst-multiplier", "x", &[("limit-rpm", "1")]),
    bad("limit-connections", "x", &[]),
    bad("limit-rate", "1m", &[]),
    bad("limit-rate-after", "1m", &[("limit-rate", "100")]),
    bad("limit-allowlist", "10.0.0.0/33", &[("limit-rpm", "100")]),
    bad("limit-whitelist", "10.0.0.0/33", &[("limit-rpm", "100")]),
    bad("enable-cors", "maybe", &[]),
    bad("cors-allow-origin", "no origin;", &[("enable-cors", "true")]),
    bad("cors-allow-methods", "G;T", &[("enable-cors", "true")]),
    bad("cors-allow-headers", "a;b", &[("enable-cors", "true")]),
    bad("cors-allow-credentials", "maybe", &[("enable-cors", "true")]),
    bad("cors-expose-headers", "a;b", &[("enable-cors", "true")]),
    bad("cors-max-age", "1h", &[("enable-cors", "true")]),
    bad("connection-proxy-header", "upgrade", &[]),
    bad("custom-headers", "missing", &[]),
    bad("upstream-vhost", "a b;", &[]),
    bad("ringress.io/request-headers-set", "no field", &[]),
    bad("ringress.io/request-headers-add", "no field", &[]),
    bad("ringress.io/request-headers-remove", "a b", &[]),
    bad("ringress.io/response-headers-set", "no field", &[]),
    bad("ringress.io/response-headers-add", "no field", &[]),
    bad("ringress.io/response-headers-remove", "a b", &[]),
    bad("custom-http-errors", "200", &[]),
    bad("default-backend", "A_B", &[]),
    bad("mirror-target", "nowhere", &[]),
    bad("mirror-request-body", "maybe", &[("mirror-target", "http://{yes}/")]),
    bad("mirror-host", "a b;", &[("mirror-target", "http://{yes}/")]),
    bad("enable-access-log", "maybe", &[]),
    bad("ringress.io/access-log-sampling", "all", &[]),
    bad("enable-opentelemetry", "maybe", &[]),
    bad("opentelemetry-trust-incoming-span", "maybe", &[]),
    bad("client-body-buffer-size", "8x", &[]),
    bad("fastcgi-index", "index.php;", &[]),
    bad("fastcgi-params-configmap", "default/{fields}", &[]),
    illegal("upstream-hash-by", "a;{}"),
    illegal("auth-url", "http://{yes}/\"<>`"),
    illegal("auth-tls-secret", "default/ca;"),
    illegal("proxy-ssl-secret", "default/\"ca\""),
];

const CLASS: &str = "kubernetes.io/ingress.class";

impl Bad {
    /// The row's name as a part of names of hosts and objects.
    fn name(&self) -> String {
        let name = self.row.replace(['/', '.'], "-");
        if self.is_illegal { name + "-illegal" } else { name }
    }

    fn host(&self) -> String {
        format!("{}.test", self.name())
    }

    /// A host without the annotation, but with those beside it.
    fn other_host(&self) -> String {
        format!("without-{}.test", self.name())
    }

    fn is_canary(&self) -> bool {
        self.beside.contains(&("canary", "true"))
    }

    /// The Ingress with the value, or the one without it.
    fn ingress(&self, world: &World, with: bool) -> Value {
        let (name, host) = match with {
            true => (format!("bad-{}", self.name()), self.host()),
            false => (format!("without-{}", self.name()), self.other_host()),
        };
        self.built(world, &name, &host, with)
    }

    fn built(&self, world: &World, name: &str, host: &str, with: bool) -> Value {
        let mut built = ingress(name);
        for (name, value) in self.beside {
            built = built.annotation(name, &world.fill(value));
        }
        if with {
            built = built.annotation(self.row, self.value);
        }
        let mut built =
            built.tls(host, "cert").prefix(host, "/", if self.is_canary() { "other" } else { "main" }).build();
        if self.row == CLASS {
            built["spec"].as_object_mut().expect("a spec").remove("ingressClassName");
        }
        built
    }

    /// What else the hosts have: a path of another Ingress, and what the canary is a canary of.
    fn neighbours(&self) -> Vec<Value> {
        let mut all = vec![ingress(&format!("beside-{}", self.name())).prefix(&self.host(), "/beside", "main").build()];
        if self.is_canary() {
            for host in [self.host(), self.other_host()] {
                all.push(ingress(&format!("main-of-{host}")).tls(&host, "cert").prefix(&host, "/", "main").build());
            }
        }
        all
    }

    fn effect(&self) -> BadValue {
        if self.is_illegal {
            return BadValue::NotLoaded;
        }
        annotation::find(self.row).unwrap_or_else(|| panic!("{} has no row", self.row)).bad_value
    }

    /// What is not as the table says.
    fn faults(&self, ringress: &Ringress, world: &World) -> Vec<String> {
        let (row, host) = (self.row, self.host());
        let status = |target| {
            let ask = Ask { method: "GET", target, fields: &[], tls: target != "/" };
            world.ask(ringress, &host, &ask).expect("an answer").0.status
        };
        let mut faults = Vec::new();
        let mut expect = |target, expected| {
            let status = status(target);
            if status != expected {
                faults.push(format!("{row}: {target} answers {status}, not {expected}"));
            }
        };
        match self.effect() {
            // The Ingress of another controller, or none.
            _ if row == CLASS => expect("/", 404),
            BadValue::NotLoaded if !self.is_canary() => expect("/", 404),
            BadValue::Deny => expect("/", 503),
            BadValue::DenyHost => {
                expect("/", 403);
                expect("/beside", 403);
                return faults;
            }
            BadValue::Default | BadValue::Nothing | BadValue::NotLoaded => {
                let other =
                    if self.effect() == BadValue::NotLoaded { "main-only.test".into() } else { self.other_host() };
                let (looks, without) = (world.look(ringress, &host), world.look(ringress, &other));
                if looks != without {
                    return vec![format!("{row}: {looks:#?}\nwithout: {without:#?}")];
                }
                if looks[1].starts_with("400") {
                    // Client certificates are asked for on the whole host.
                    return Vec::new();
                }
            }
        }
        expect("/beside", 200);
        faults
    }

    /// Whether a list of findings names the Ingress and the annotation, as severely as it is.
    fn is_named_in(&self, findings: &Value) -> bool {
        let object = format!("Ingress default/bad-{}", self.name());
        let severity = match self.effect() {
            BadValue::Default | BadValue::Nothing => "warning",
            BadValue::Deny | BadValue::DenyHost | BadValue::NotLoaded => "error",
        };
        findings.as_array().expect("a list").iter().any(|finding| {
            let field = finding["field"].as_str().unwrap_or_default();
            let names = field.strip_prefix("metadata.annotations.").is_some_and(|field| field.ends_with(self.row));
            finding["object"] == *object && names && finding["severity"] == severity
        })
    }
}

/// An annotation of another controller is none of ours.
fn is_reported(bad: &Bad) -> bool {
    bad.row != CLASS
}

#[test]
fn a_bad_value_is_named_has_its_effect_and_harms_nobody_else() {
    on_each_driver(|driver| {
        let world = World::new();
        let mut all = world.objects();
        all.push(ingress("main-only").tls("main-only.test", "cert").prefix("main-only.test", "/", "main").build());
        all.extend(BAD.iter().flat_map(Bad::neighbours));
        all.extend(BAD.iter().map(|bad| bad.ingress(&world, false)));
        let bad = || BAD.iter().map(|bad| bad.ingress(&world, true));
        let ringress = Ringress::on(driver)
            .manifest("all.json", file(all))
            .manifest("bad.json", file(bad()))
            .flag("--enable-ssl-passthrough")
            .start();
        let faults: Vec<_> = BAD.iter().flat_map(|bad| bad.faults(&ringress, &world)).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let rejected = &ringress.status()["rejected"];
        let missing: Vec<_> = BAD.iter().filter(|bad| is_reported(bad) && !bad.is_named_in(rejected)).collect();
        assert!(missing.is_empty(), "{:?} in {rejected:#}", missing.iter().map(|bad| bad.row).collect::<Vec<_>>());
        let (_, output, _) =
            process::run(["check".as_ref(), ringress.manifests().as_os_str(), "--output=json".as_ref()]);
        let said: Value = serde_json::from_str(&output).expect("JSON");
        let unsaid: Vec<_> = BAD.iter().filter(|bad| is_reported(bad) && !bad.is_named_in(&said["findings"])).collect();
        assert!(unsaid.is_empty(), "check: {:?}", unsaid.iter().map(|bad| bad.row).collect::<Vec<_>>());
        keeps_the_last_good(&ringress, &world);
    });
}

/// An Ingress that was served before its value became bad goes on as it was, where it would not be loaded.
fn keeps_the_last_good(ringress: &Ringress, world: &World) {
    let refused: Vec<_> = BAD.iter().filter(|bad| bad.effect() == BadValue::NotLoaded).collect();
    assert!(refused.len() > 30, "{}", refused.len());
    let all = |with| {
        let name = |bad: &Bad| format!("bad-{}", bad.name());
        file(refused.iter().map(|bad| bad.built(world, &name(bad), &bad.host(), with)))
    };
    ringress.apply("bad.json", all(false));
    let before: Vec<_> = refused.iter().map(|bad| world.look(ringress, &bad.host())).collect();
    ringress.apply("bad.json", all(true));
    for (bad, before) in refused.iter().zip(before) {
        assert!(!before[0].starts_with("404"), "{}: {before:?}", bad.row);
        assert_eq!(world.look(ringress, &bad.host()), before, "{}: the last good one", bad.row);
    }
    let rejected = &ringress.status()["rejected"];
    assert!(refused.iter().all(|bad| bad.is_named_in(rejected)), "{rejected:#}");
}
