//! What annotations do that a request and its answer show. Those that need more than one host, time or several objects
//! have tests of their own, see [`super::proofs`].

use serde_json::Value;

use self::See::{Cookie, From, NotSaid, NotTold, Said, Status, Target, Told};
use super::world::{Ask, World};
use crate::support::client::Response;
use crate::support::manifests::{file, ingress, options};
use crate::support::origin::Received;
use crate::support::process::{Ringress, on_each_driver};

/// What has to be seen. `{host}` stands for the host.
#[derive(Debug)]
pub(super) enum See {
    Status(u16),
    /// A field of the answer.
    Said(&'static str, &'static str),
    NotSaid(&'static str),
    /// A part of the cookie that the proxy issues.
    Cookie(&'static str),
    /// A field that the upstream got.
    Told(&'static str, &'static str),
    NotTold(&'static str),
    /// The target that the upstream got.
    Target(&'static str),
    /// The service that answered.
    From(&'static str),
}

impl See {
    pub(super) fn is_seen(&self, host: &str, response: &Response, upstream: Option<&Received>) -> bool {
        let says =
            |name: &str, part: &str| response.headers.iter().any(|(known, value)| known == name && value == part);
        let told = |name: &str| upstream.map(|request| request.header(name));
        match self {
            Status(status) => response.status == *status,
            Said(name, value) => says(name, &value.replace("{host}", host)),
            NotSaid(name) => !response.headers.iter().any(|(known, _)| known == name),
            Cookie(part) => {
                let issued =
                    response.headers.iter().filter(|(name, value)| name == "set-cookie" && !value.starts_with("a="));
                issued
                    .map(|(_, value)| value)
                    .any(|value| value.split("; ").any(|attribute| attribute.starts_with(part)))
            }
            Told(name, value) => told(name) == Some(Some(&*value.replace("{host}", host))),
            NotTold(name) => told(name) == Some(None),
            Target(target) => upstream.is_some_and(|request| request.target == *target),
            From(service) => response.status == 200 && response.text().split(' ').next() == Some(service),
        }
    }
}

pub(super) type Pairs = &'static [(&'static str, &'static str)];

/// A request and what has to be seen.
pub(super) struct Step {
    ask: Ask<'static>,
    sees: &'static [See],
}

impl Step {
    pub(super) const fn of(ask: Ask<'static>, sees: &'static [See]) -> Self {
        Self { ask, sees }
    }

    /// What is not seen, in words; nothing when all is.
    pub(super) fn fault(&self, ringress: &Ringress, world: &World, host: &str) -> Option<String> {
        let (response, upstream) = world.ask(ringress, host, &self.ask).expect("an answer");
        let upstream = upstream.as_ref();
        let unseen = self.sees.iter().filter(|see| !see.is_seen(host, &response, upstream)).collect::<Vec<_>>();
        let (method, target, status, fields) = (self.ask.method, self.ask.target, response.status, &response.headers);
        (!unseen.is_empty())
            .then(|| format!("{method} {target}: not seen: {unseen:?} in {status} {fields:?}; upstream: {upstream:?}"))
    }
}

/// What an Ingress with these annotations does.
pub(super) struct Effect {
    pub(super) row: &'static str,
    path: &'static str,
    with: Pairs,
    steps: &'static [Step],
}

const fn on(row: &'static str, with: Pairs, steps: &'static [Step]) -> Effect {
    Effect { row, path: "/", with, steps }
}

/// On a path that is a pattern.
const fn at(row: &'static str, path: &'static str, with: Pairs, steps: &'static [Step]) -> Effect {
    Effect { row, path, with, steps }
}

pub(super) const fn get(target: &'static str, fields: Pairs, sees: &'static [See]) -> Step {
    Step { ask: Ask { method: "GET", target, fields, tls: false }, sees }
}

pub(super) const fn secure(target: &'static str, fields: Pairs, sees: &'static [See]) -> Step {
    Step { ask: Ask { method: "GET", target, fields, tls: true }, sees }
}

pub(super) const fn preflight(fields: Pairs, sees: &'static [See]) -> Step {
    Step { ask: Ask { method: "OPTIONS", target: "/", fields, tls: false }, sees }
}

const ANN: (&str, &str) = ("Authorization", "Basic YW5uOnNlY3JldA==");
const EVE: (&str, &str) = ("Authorization", "Basic ZXZlOnNlY3JldA==");
const YES: (&str, &str) = ("auth-url", "http://{yes}/");
const NO: (&str, &str) = ("auth-url", "http://{no}/");
const BASIC: (&str, &str) = ("auth-type", "basic");
const USERS: (&str, &str) = ("auth-secret", "users");
const COOKIE: (&str, &str) = ("affinity", "cookie");
const CANARY: (&str, &str) = ("canary", "true");
const CORS: (&str, &str) = ("enable-cors", "true");
const ORIGIN: Pairs = &[("Origin", "https://o.test")];
const PERMANENT: (&str, &str) = ("permanent-redirect", "https://w.test/n");
const TEMPORAL: (&str, &str) = ("temporal-redirect", "https://t.test/n");

#[rustfmt::skip]
pub(super) const EFFECTS: &[Effect] = &[
    // Rewrite.
    at("rewrite-target", "/app(/|$)(.*)", &[("rewrite-target", "/$2")], &[
        get("/app/x%20y/?q=1", &[], &[Target("/x%20y/?q=1"), NotTold("x-forwarded-prefix")]),
        get("/APP", &[], &[Target("/")]),
        get("/apple", &[], &[Status(404)]),
    ]),
    at("rewrite-target", "/to/(.*)", &[("rewrite-target", "https://w.test/$1")], &[get("/to/x", &[], &[Status(302), Said("location", "https://w.test/x")])]),
    at("x-forwarded-prefix", "/(v[0-9])(/|$)(.*)", &[("rewrite-target", "/$3"), ("x-forwarded-prefix", "/$1")], &[get("/v2/x", &[("X-Forwarded-Prefix", "/forged")], &[Target("/x"), Told("x-forwarded-prefix", "/v2")])]),
    on("x-forwarded-prefix", &[("x-forwarded-prefix", "/p")], &[get("/x", &[], &[Status(200), NotTold("x-forwarded-prefix")])]),
    at("use-regex", "/id/[0-9]+", &[("use-regex", "true")], &[get("/ID/7a", &[], &[Status(200), Target("/ID/7a")]), get("/id/x", &[], &[Status(404)])]),
    // Redirect.
    on("permanent-redirect", &[PERMANENT], &[get("/x?y", &[], &[Status(301), Said("location", "https://w.test/n")])]),
    on("permanent-redirect", &[PERMANENT, ("whitelist-source-range", "10.0.0.0/8"), NO, ("ssl-redirect", "true")], &[get("/", &[], &[Status(301)])]),
    on("permanent-redirect-code", &[PERMANENT, ("permanent-redirect-code", "308")], &[get("/", &[], &[Status(308)])]),
    on("permanent-redirect-code", &[PERMANENT, ("permanent-redirect-code", "399")], &[get("/", &[], &[Status(301)])]),
    on("permanent-redirect-code", &[PERMANENT, ("permanent-redirect-code", "-1")], &[get("/", &[], &[Status(301)])]),
    on("temporal-redirect", &[TEMPORAL, PERMANENT], &[get("/x?y", &[], &[Status(302), Said("location", "https://t.test/n")])]),
    on("temporal-redirect", &[("temporal-redirect", "/only/a/path"), PERMANENT], &[get("/", &[], &[Status(200)])]),
    on("temporal-redirect-code", &[TEMPORAL, ("temporal-redirect-code", "307")], &[get("/", &[], &[Status(307)])]),
    on("temporal-redirect-code", &[TEMPORAL, ("temporal-redirect-code", "308")], &[get("/", &[], &[Status(302)])]),
    on("app-root", &[("app-root", "/start")], &[get("/", &[], &[Status(302), Said("location", "http://{host}/start")]), secure("/", &[], &[Said("location", "https://{host}/start")]), get("/other", &[], &[Status(200)])]),
    on("ssl-redirect", &[("ssl-redirect", "true")], &[get("/x/?y=/", &[], &[Status(308), Said("location", "https://{host}/x/?y=")]), get("/x/", &[], &[Said("location", "https://{host}/x")]), get("/", &[], &[Said("location", "https://{host}")])]),
    on("ssl-redirect", &[("ssl-redirect", "false")], &[get("/", &[], &[Status(200)])]),
    on("force-ssl-redirect", &[("force-ssl-redirect", "true")], &[get("/x", &[], &[Status(308), Said("location", "https://{host}/x")])]),
    on("preserve-trailing-slash", &[("ssl-redirect", "true"), ("preserve-trailing-slash", "true")], &[get("/x/", &[], &[Said("location", "https://{host}/x/")])]),
    // Cookies of affinity.
    on("session-cookie-name", &[COOKIE, ("session-cookie-name", "SERVERID")], &[get("/", &[], &[Cookie("SERVERID="), Cookie("HttpOnly"), Cookie("Path=/")])]),
    on("session-cookie-path", &[COOKIE, ("session-cookie-path", "/some")], &[get("/", &[], &[Cookie("Path=/some")])]),
    on("session-cookie-domain", &[COOKIE, ("session-cookie-domain", "a.test")], &[get("/", &[], &[Cookie("Domain=a.test")])]),
    on("session-cookie-max-age", &[COOKIE, ("session-cookie-max-age", "60")], &[get("/", &[], &[Cookie("Max-Age=60")])]),
    on("session-cookie-expires", &[COOKIE, ("session-cookie-expires", "60")], &[get("/", &[], &[Cookie("Expires=")])]),
    on("session-cookie-samesite", &[COOKIE, ("session-cookie-samesite", "Strict")], &[get("/", &[], &[Cookie("SameSite=Strict")])]),
    on("session-cookie-secure", &[COOKIE, ("session-cookie-secure", "true")], &[get("/", &[], &[Cookie("Secure")])]),
    // Canaries: `other` beside `main`.
    on("canary-weight", &[CANARY, ("canary-weight", "100")], &[get("/", &[], &[From("other")])]),
    on("canary-weight", &[CANARY, ("canary-weight", "0")], &[get("/", &[], &[From("main")])]),
    on("canary-weight-total", &[CANARY, ("canary-weight", "100"), ("canary-weight-total", "50")], &[get("/", &[], &[From("other")])]),
    on("canary-weight-total", &[CANARY, ("canary-weight", "1"), ("canary-weight-total", "1000000000")], &[get("/", &[], &[From("main")])]),
    on("canary-by-header", &[CANARY, ("canary-by-header", "X-C")], &[get("/", &[("X-C", "always")], &[From("other")]), get("/", &[("X-C", "never")], &[From("main")]), get("/", &[("X-C", "x")], &[From("main")])]),
    on("canary-by-header-value", &[CANARY, ("canary-by-header", "X-C"), ("canary-by-header-value", "yes")], &[get("/", &[("X-C", "yes")], &[From("other")]), get("/", &[("X-C", "always")], &[From("main")])]),
    on("canary-by-header-pattern", &[CANARY, ("canary-by-header", "X-C"), ("canary-by-header-pattern", "^v[0-9]$")], &[get("/", &[("X-C", "v7")], &[From("other")]), get("/", &[("X-C", "xv7")], &[From("main")]), get("/", &[("X-C", "always")], &[From("main")])]),
    on("canary-by-header-pattern", &[CANARY, ("canary-by-header", "X-C"), ("canary-by-header-pattern", "a"), ("canary-by-header-value", "b")], &[get("/", &[("X-C", "a")], &[From("main")]), get("/", &[("X-C", "b")], &[From("other")])]),
    on("canary-by-header-pattern", &[CANARY, ("canary-by-header", "X-C"), ("canary-by-header-pattern", "("), ("canary-weight", "100")], &[get("/", &[("X-C", "a")], &[From("main")]), get("/", &[], &[From("other")])]),
    on("canary-by-cookie", &[CANARY, ("canary-by-cookie", "side"), ("canary-weight", "100")], &[get("/", &[("Cookie", "a=b; side=never")], &[From("main")]), get("/", &[("Cookie", "side=x")], &[From("other")])]),
    on("canary-by-cookie", &[CANARY, ("canary-by-cookie", "side"), ("canary-by-header", "X-C")], &[get("/", &[("Cookie", "side=always")], &[From("other")]), get("/", &[("Cookie", "side=always"), ("X-C", "never")], &[From("main")])]),
    // Access.
    on("allowlist-source-range", &[("allowlist-source-range", "10.0.0.0/8, 127.0.0.0/8"), ("whitelist-source-range", "10.0.0.0/8")], &[get("/", &[], &[Status(200)])]),
    on("allowlist-source-range", &[("allowlist-source-range", "10.0.0.0/8")], &[get("/", &[("X-Forwarded-For", "10.0.0.1")], &[Status(403)])]),
    on("whitelist-source-range", &[("whitelist-source-range", "10.0.0.0/8")], &[get("/", &[], &[Status(403)])]),
    on("denylist-source-range", &[("denylist-source-range", "127.0.0.1"), ("whitelist-source-range", "127.0.0.0/8")], &[get("/", &[], &[Status(403)])]),
    on("denylist-source-range", &[("denylist-source-range", "10.0.0.1")], &[get("/", &[], &[Status(200)])]),
    on("satisfy", &[("satisfy", "any"), ("whitelist-source-range", "10.0.0.0/8"), BASIC, USERS], &[get("/", &[], &[Status(401)]), get("/", &[ANN], &[Status(200)])]),
    on("satisfy", &[("satisfy", "any"), ("whitelist-source-range", "127.0.0.0/8"), BASIC, USERS, NO], &[get("/", &[], &[Status(200)])]),
    on("satisfy", &[("satisfy", "any"), ("denylist-source-range", "127.0.0.0/8"), YES], &[get("/", &[], &[Status(200)])]),
    on("satisfy", &[("satisfy", "all"), ("whitelist-source-range", "127.0.0.0/8"), BASIC, USERS, NO], &[get("/", &[ANN], &[Status(401)])]),
    on("auth-type", &[BASIC, USERS], &[get("/", &[], &[Status(401)]), get("/", &[EVE], &[Status(401)]), get("/", &[ANN], &[Status(200), NotTold("authorization")])]),
    on("auth-secret", &[USERS], &[get("/", &[], &[Status(200)])]),
    on("auth-secret", &[BASIC, ("auth-secret", "default/users")], &[get("/", &[ANN], &[Status(200)]), get("/", &[], &[Status(401), Said("www-authenticate", "Basic realm=\"\"")])]),
    on("auth-secret-type", &[BASIC, ("auth-secret", "map"), ("auth-secret-type", "auth-map")], &[get("/", &[], &[Status(401)]), get("/", &[ANN], &[Status(200)])]),
    on("auth-realm", &[BASIC, USERS, ("auth-realm", "the realm")], &[get("/", &[], &[Said("www-authenticate", "Basic realm=\"the realm\"")])]),
    on("auth-url", &[NO], &[get("/", &[], &[Status(401)])]),
    on("auth-method", &[YES, ("auth-method", "POST"), ("auth-response-headers", "X-Seen-Method")], &[get("/", &[], &[Told("x-seen-method", "POST")])]),
    on("auth-response-headers", &[YES, ("auth-response-headers", "X-Seen-Method, X-None")], &[get("/", &[("X-None", "forged"), ("X-Seen-Method", "forged")], &[Told("x-seen-method", "GET"), NotTold("x-none")])]),
    on("auth-request-redirect", &[YES, ("auth-request-redirect", "https://r.test/$host"), ("auth-response-headers", "X-Seen-Redirect")], &[get("/x?y", &[], &[Told("x-seen-redirect", "https://r.test/{host}")])]),
    on("auth-request-redirect", &[YES, ("auth-response-headers", "X-Seen-Redirect")], &[get("/x?y", &[], &[Told("x-seen-redirect", "/x?y")])]),
    on("auth-always-set-cookie", &[YES, ("auth-always-set-cookie", "true")], &[get("/status/404", &[], &[Status(404), Cookie("s=1")])]),
    on("auth-always-set-cookie", &[YES], &[get("/", &[], &[Cookie("s=1")])]),
    on("auth-proxy-set-headers", &[YES, ("auth-proxy-set-headers", "default/ask"), ("auth-response-headers", "X-Seen-Ask")], &[get("/", &[], &[Told("x-seen-ask", "of {host}"), NotTold("x-ask")])]),
    on("auth-signin", &[NO, ("auth-signin", "http://s.test/in")], &[get("/?a=b&c=d", &[], &[Status(302), Said("location", "http://s.test/in?rd=http://{host}%2F%3Fa%3Db%26c%3Dd")])]),
    on("auth-signin", &[NO, ("auth-signin", "http://s.test/in?x=1")], &[get("/", &[], &[Said("location", "http://s.test/in?x=1&rd=http://{host}%2F")])]),
    on("auth-signin", &[NO, ("auth-signin", "http://s.test/in?rd=$request_uri")], &[get("/x", &[], &[Said("location", "http://s.test/in?rd=/x")])]),
    on("auth-signin-redirect-param", &[NO, ("auth-signin", "http://s.test/in"), ("auth-signin-redirect-param", "to")], &[get("/", &[], &[Said("location", "http://s.test/in?to=http://{host}%2F")])]),
    // Limits. Every client counts for itself.
    on("limit-rpm", &[("limit-rpm", "1"), ("limit-burst-multiplier", "1")], &[get("/", &[], &[Status(200)]), get("/", &[], &[Status(200)]), get("/", &[], &[Status(503)])]),
    on("limit-burst-multiplier", &[("limit-rpm", "1"), ("limit-burst-multiplier", "2")], &[get("/", &[], &[Status(200)]), get("/", &[], &[Status(200)]), get("/", &[], &[Status(200)]), get("/", &[], &[Status(503)])]),
    on("limit-allowlist", &[("limit-rpm", "1"), ("limit-burst-multiplier", "0"), ("limit-allowlist", "127.0.0.0/8")], &[get("/", &[], &[Status(200)]), get("/", &[], &[Status(200)])]),
    on("limit-whitelist", &[("limit-rpm", "1"), ("limit-burst-multiplier", "0"), ("limit-whitelist", "127.0.0.0/8")], &[get("/", &[], &[Status(200)]), get("/", &[], &[Status(200)])]),
    on("limit-rpm", &[("limit-rpm", "1"), ("limit-burst-multiplier", "0"), BASIC, USERS], &[get("/", &[ANN], &[Status(200)]), get("/", &[], &[Status(503)])]),
    // CORS.
    on("enable-cors", &[CORS, BASIC, USERS], &[preflight(ORIGIN, &[Status(204), Said("access-control-allow-origin", "*"), Said("access-control-allow-credentials", "true"), Said("access-control-max-age", "1728000")]), get("/", &[], &[Status(401), Said("access-control-allow-origin", "*")])]),
    on("cors-allow-origin", &[CORS, ("cors-allow-origin", "https://o.test, https://*.two.test:8443")], &[get("/", ORIGIN, &[Said("access-control-allow-origin", "https://o.test")]), get("/", &[("Origin", "https://x.two.test:8443")], &[Said("access-control-allow-origin", "https://x.two.test:8443")]), get("/", &[("Origin", "https://x.two.test")], &[Status(200), NotSaid("access-control-allow-origin")]), preflight(&[("Origin", "http://o.test")], &[Status(200), NotSaid("access-control-allow-methods")])]),
    on("cors-allow-methods", &[CORS, ("cors-allow-methods", "GET, PUT")], &[get("/", ORIGIN, &[Said("access-control-allow-methods", "GET, PUT")])]),
    on("cors-allow-headers", &[CORS, ("cors-allow-headers", "X-A,X-B")], &[get("/", ORIGIN, &[Said("access-control-allow-headers", "X-A,X-B")])]),
    on("cors-allow-credentials", &[CORS, ("cors-allow-credentials", "false")], &[get("/", ORIGIN, &[Status(200), NotSaid("access-control-allow-credentials")])]),
    on("cors-expose-headers", &[CORS, ("cors-expose-headers", "X-A, *")], &[get("/", ORIGIN, &[Said("access-control-expose-headers", "X-A, *")])]),
    on("cors-max-age", &[CORS, ("cors-max-age", "600")], &[get("/", ORIGIN, &[Said("access-control-max-age", "600")])]),
    on("cors-max-age", &[CORS, ("cors-max-age", "-1")], &[preflight(ORIGIN, &[Said("access-control-max-age", "-1")])]),
    // Fields.
    on("custom-headers", &[("custom-headers", "fields")], &[get("/", &[], &[Status(200), Said("x-custom", "a $x")]), get("/status/500", &[], &[Said("x-custom", "a $x")])]),
    on("custom-headers", &[("custom-headers", "default/more")], &[get("/", &[], &[Status(503)])]),
    on("upstream-vhost", &[("upstream-vhost", "up.$host")], &[get("/", &[], &[Told("host", "up.{host}"), Told("x-forwarded-host", "{host}")])]),
    on("upstream-vhost", &[("upstream-vhost", "forbidden.test")], &[get("/", &[], &[Status(404)])]),
    on("connection-proxy-header", &[("connection-proxy-header", "close")], &[get("/", &[], &[Told("connection", "close")])]),
    on("proxy-cookie-path", &[("proxy-cookie-path", "/ /app/")], &[get("/", &[], &[Said("set-cookie", "a=1; Path=/app/; Domain=in.test")])]),
    on("proxy-cookie-domain", &[("proxy-cookie-domain", "in.test out.test")], &[get("/", &[], &[Said("set-cookie", "a=1; Path=/; Domain=out.test")])]),
    on("proxy-redirect-from", &[("proxy-redirect-from", "http://in.test/"), ("proxy-redirect-to", "https://out.test/")], &[get("/", &[], &[Said("location", "https://out.test/x")])]),
    on("proxy-redirect-to", &[("proxy-redirect-from", "http://in.test/"), ("proxy-redirect-to", "off")], &[get("/", &[], &[Said("location", "http://in.test/x")])]),
    on("proxy-redirect-to", &[("proxy-redirect-from", "http://in.test/"), ("proxy-redirect-to", "$scheme://$host/$service_name/")], &[get("/", &[], &[Said("location", "http://{host}/main/x")]), secure("/", &[], &[Said("location", "https://{host}/main/x")])]),
    on("proxy-redirect-from", &[("proxy-redirect-from", "$scheme://$arg_in/"), ("proxy-redirect-to", "/")], &[get("/?in=in.test", &[], &[Said("location", "/x")]), get("/?in=on.test", &[], &[Said("location", "http://in.test/x")])]),
    on("proxy-cookie-domain", &[("proxy-cookie-domain", "in.test $host")], &[get("/", &[], &[Said("set-cookie", "a=1; Path=/; Domain={host}")])]),
    on("proxy-cookie-path", &[("proxy-cookie-path", "/ /$service_name/")], &[get("/", &[], &[Said("set-cookie", "a=1; Path=/main/; Domain=in.test")])]),
    on("backend-protocol", &[("backend-protocol", "http")], &[get("/", &[], &[From("main")])]),
    on("backend-protocol", &[("backend-protocol", "FCGI")], &[get("/", &[], &[Status(503)])]),
];

impl Effect {
    fn host(index: usize) -> String {
        format!("e{index}.test")
    }

    fn objects(&self, index: usize, world: &World) -> Vec<Value> {
        let host = Self::host(index);
        let is_canary = self.with.contains(&CANARY);
        let redirects =
            ["ssl-redirect", "force-ssl-redirect"].iter().any(|name| self.with.iter().any(|(known, _)| known == name));
        let main = |built: crate::support::manifests::Ingress| if redirects { built } else { built.without_redirect() };
        let path_type = if self.path == "/" { "Prefix" } else { "ImplementationSpecific" };
        let mut built = main(ingress(&format!("e{index}")).tls(&host, "cert"));
        for (name, value) in self.with {
            built = built.annotation(name, &world.fill(value));
        }
        let service = if is_canary { "other" } else { "main" };
        let mut objects = vec![built.path(&host, path_type, self.path, service).build()];
        if is_canary {
            objects.push(main(ingress(&format!("m{index}")).tls(&host, "cert")).prefix(&host, "/", "main").build());
        }
        objects
    }

    fn faults(&self, index: usize, ringress: &Ringress, world: &World) -> Vec<String> {
        let host = Self::host(index);
        let faults = self.steps.iter().filter_map(|step| step.fault(ringress, world, &host));
        faults.map(|fault| format!("{} {:?}: {fault}", self.row, self.with)).collect()
    }
}

#[test]
fn annotations_do_what_ingress_nginx_does() {
    on_each_driver(|driver| {
        let world = World::new();
        let mut all = world.objects();
        let keys = [("global-allowed-response-headers", "X-Custom"), ("annotation-value-word-blocklist", "forbidden")];
        all.push(options(&keys));
        all.extend(EFFECTS.iter().enumerate().flat_map(|(index, effect)| effect.objects(index, &world)));
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag("--configmap=default/options").start();
        let each = EFFECTS.iter().enumerate();
        let faults: Vec<_> = each.flat_map(|(index, effect)| effect.faults(index, &ringress, &world)).collect();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    });
}
