//! What ConfigMap keys do that a request and its answer show.

use serde_json::Value;

use super::bad_settings::set;
use super::effects::See::{Cookie, NotSaid, NotTold, Said, Status, Told};
use super::effects::{Pairs, Step, get, secure};
use super::world::{Ask, World};
use crate::support::certificates::opaque;
use crate::support::manifests::{file, ingress, options};
use crate::support::process::{Ringress, on_each_driver};

/// What a host does under these keys.
pub(super) struct Effect {
    pub(super) key: &'static str,
    with: Pairs,
    host: &'static str,
    steps: &'static [Step],
}

const fn on(key: &'static str, with: Pairs, host: &'static str, steps: &'static [Step]) -> Effect {
    Effect { key, with, host, steps }
}

const fn post(length: Pairs, sees: &'static [super::effects::See]) -> Step {
    Step::of(Ask { method: "POST", target: "/", fields: length, tls: false }, sees)
}

const PLAIN: &str = "plain.test";
const TLS: &str = "tls.test";
const TRUST: (&str, &str) = ("use-forwarded-headers", "true");
const YES: (&str, &str) = ("global-auth-url", "http://{yes}/");
const NO: (&str, &str) = ("global-auth-url", "http://{no}/");
const CLIENT: Pairs = &[("X-Forwarded-For", "192.0.2.7, 10.1.1.1"), ("X-Forwarded-Proto", "https")];
const HSTS: &str = "strict-transport-security";

#[rustfmt::skip]
pub(super) const EFFECTS: &[Effect] = &[
    on("add-headers", &[("add-headers", "default/more")], PLAIN, &[get("/", &[], &[Said("x-more", "1")]), get("/status/404", &[], &[Said("x-more", "1")])]),
    on("allow-backend-server-header", &[("allow-backend-server-header", "true")], PLAIN, &[get("/", &[], &[Said("server", "origin")])]),
    on("hide-headers", &[("hide-headers", "X-Other,x-hidden")], PLAIN, &[get("/", &[], &[Status(200), NotSaid("x-hidden")])]),
    on("allow-cross-namespace-resources", &[], "cross.test", &[get("/", &[], &[Status(503)])]),
    on("allow-cross-namespace-resources", &[("allow-cross-namespace-resources", "true")], "cross.test", &[get("/", &[], &[Status(401)])]),
    on("enable-underscores-in-headers", &[("enable-underscores-in-headers", "true")], PLAIN, &[get("/", &[("X_Under", "1")], &[Told("x_under", "1")])]),
    on("hsts", &[], TLS, &[secure("/", &[], &[Said(HSTS, "max-age=31536000; includeSubDomains")]), secure("/status/404", &[], &[Said(HSTS, "max-age=31536000; includeSubDomains")])]),
    on("hsts", &[("hsts", "false")], TLS, &[secure("/", &[], &[Status(200), NotSaid(HSTS)])]),
    on("hsts-include-subdomains", &[("hsts-include-subdomains", "false")], TLS, &[secure("/", &[], &[Said(HSTS, "max-age=31536000")])]),
    on("hsts-max-age", &[("hsts-max-age", "600")], TLS, &[secure("/", &[], &[Said(HSTS, "max-age=600; includeSubDomains")])]),
    on("hsts-preload", &[("hsts-preload", "true")], TLS, &[secure("/", &[], &[Said(HSTS, "max-age=31536000; includeSubDomains; preload")])]),
    on("proxy-real-ip-cidr", &[TRUST, ("proxy-real-ip-cidr", "10.0.0.0/8")], PLAIN, &[get("/", CLIENT, &[Told("x-real-ip", "127.0.0.1"), Told("x-forwarded-proto", "https")])]),
    on("proxy-real-ip-cidr", &[TRUST, ("proxy-real-ip-cidr", "127.0.0.1")], PLAIN, &[get("/", CLIENT, &[Told("x-real-ip", "10.1.1.1")])]),
    on("proxy-real-ip-cidr", &[TRUST, ("proxy-real-ip-cidr", "127.0.0.1,10.0.0.0/8")], PLAIN, &[get("/", CLIENT, &[Told("x-real-ip", "192.0.2.7")])]),
    on("use-forwarded-headers", &[TRUST], TLS, &[get("/", CLIENT, &[Status(200), Told("x-real-ip", "192.0.2.7"), Told("x-forwarded-proto", "https"), Told("x-original-forwarded-for", "192.0.2.7, 10.1.1.1")]), get("/", &[("X-Forwarded-Host", "one.test, two.test"), ("X-Forwarded-Proto", "https")], &[Told("x-forwarded-host", "one.test"), Told("host", "one.test")])]),
    on("enable-real-ip", &[("enable-real-ip", "true")], PLAIN, &[get("/", CLIENT, &[Told("x-real-ip", "192.0.2.7"), Told("x-forwarded-proto", "http")])]),
    on("proxy-set-headers", &[("proxy-set-headers", "default/ask")], PLAIN, &[get("/", &[("X-Ask", "forged")], &[Told("x-ask", "of {host}")])]),
    on("generate-request-id", &[("generate-request-id", "false")], PLAIN, &[get("/", &[], &[NotTold("x-request-id")])]),
    on("limit-req-status-code", &[("limit-req-status-code", "429")], "limited.test", &[get("/", &[], &[Status(200)]), get("/", &[], &[Status(429)])]),
    on("proxy-body-size", &[("proxy-body-size", "1k")], PLAIN, &[post(&[("Content-Length", "1025")], &[Status(413)])]),
    on("proxy-buffer-size", &[("proxy-buffer-size", "1k")], PLAIN, &[get("/long", &[], &[Status(502)]), get("/", &[], &[Status(200)])]),
    on("ssl-redirect", &[], TLS, &[get("/x/", &[], &[Status(308), Said("location", "https://{host}/x")])]),
    on("ssl-redirect", &[("ssl-redirect", "false")], TLS, &[get("/", &[], &[Status(200)])]),
    on("force-ssl-redirect", &[("force-ssl-redirect", "true")], PLAIN, &[get("/", &[], &[Status(308), Said("location", "https://{host}")])]),
    on("preserve-trailing-slash", &[("preserve-trailing-slash", "true")], TLS, &[get("/x/", &[], &[Said("location", "https://{host}/x/")])]),
    on("http-redirect-code", &[("http-redirect-code", "301")], TLS, &[get("/", &[], &[Status(301)])]),
    on("no-tls-redirect-locations", &[("no-tls-redirect-locations", "/other,/open")], TLS, &[get("/open", &[], &[Status(200)]), get("/", &[], &[Status(308)])]),
    on("denylist-source-range", &[("denylist-source-range", "127.0.0.0/8")], PLAIN, &[get("/", &[], &[Status(403)])]),
    on("whitelist-source-range", &[("whitelist-source-range", "10.0.0.0/8")], PLAIN, &[get("/", &[], &[Status(403)])]),
    on("whitelist-source-range", &[("whitelist-source-range", "10.0.0.0/8")], "listed.test", &[get("/", &[], &[Status(200)])]),
    on("global-allowed-response-headers", &[], "fields.test", &[get("/", &[], &[Status(503)])]),
    on("global-allowed-response-headers", &[("global-allowed-response-headers", "X-A,x-custom")], "fields.test", &[get("/", &[], &[Status(200), Said("x-custom", "a $x")])]),
    on("global-auth-url", &[NO], PLAIN, &[get("/", &[], &[Status(401)])]),
    on("global-auth-url", &[NO], "free.test", &[get("/", &[], &[Status(200)])]),
    on("global-auth-url", &[NO], "own-auth.test", &[get("/", &[], &[Status(200)])]),
    on("no-auth-locations", &[NO, ("no-auth-locations", "/open")], PLAIN, &[get("/open", &[], &[Status(200)]), get("/", &[], &[Status(401)])]),
    on("global-auth-method", &[YES, ("global-auth-method", "PUT"), ("global-auth-response-headers", "X-Seen-Method")], PLAIN, &[get("/", &[], &[Told("x-seen-method", "PUT")])]),
    on("global-auth-response-headers", &[YES, ("global-auth-response-headers", "X-Seen-Method")], PLAIN, &[get("/", &[("X-Seen-Method", "forged")], &[Told("x-seen-method", "GET")])]),
    on("global-auth-request-redirect", &[YES, ("global-auth-request-redirect", "https://r.test/"), ("global-auth-response-headers", "X-Seen-Redirect")], PLAIN, &[get("/", &[], &[Told("x-seen-redirect", "https://r.test/")])]),
    on("global-auth-always-set-cookie", &[YES, ("global-auth-always-set-cookie", "true")], PLAIN, &[get("/status/404", &[], &[Cookie("s=1")])]),
    on("global-auth-signin", &[NO, ("global-auth-signin", "http://s.test/in")], PLAIN, &[get("/x", &[], &[Status(302), Said("location", "http://s.test/in?rd=http://{host}%2Fx")])]),
    on("global-auth-signin-redirect-param", &[NO, ("global-auth-signin", "http://s.test/in"), ("global-auth-signin-redirect-param", "to")], PLAIN, &[get("/x", &[], &[Said("location", "http://s.test/in?to=http://{host}%2Fx")])]),
];

fn objects(world: &World) -> Vec<Value> {
    let mut users = opaque("users", &[("auth", "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")]);
    users["metadata"]["namespace"] = "elsewhere".into();
    let web = |name: &str| ingress(name).prefix(&format!("{name}.test"), "/", "main");
    let mut objects = world.objects();
    objects.extend([
        users,
        ingress("tls").tls(TLS, "cert").prefix(TLS, "/", "main").prefix(TLS, "/open", "main").build(),
        web("plain").prefix(PLAIN, "/open", "main").build(),
        web("cross").annotation("auth-type", "basic").annotation("auth-secret", "elsewhere/users").build(),
        web("limited").annotation("limit-rpm", "1").annotation("limit-burst-multiplier", "0").build(),
        web("listed").annotation("whitelist-source-range", "127.0.0.0/8").build(),
        web("fields").annotation("custom-headers", "fields").build(),
        web("free").annotation("enable-global-auth", "false").build(),
        web("own-auth").annotation("auth-url", &world.fill("http://{yes}/")).build(),
    ]);
    objects
}

#[test]
fn keys_do_what_those_of_ingress_nginx_do() {
    on_each_driver(|driver| {
        let world = World::new();
        let ringress = Ringress::on(driver)
            .manifest("all.json", file(objects(&world)))
            .manifest("options.json", file([options(&[])]))
            .flag("--configmap=default/options")
            .start();
        let mut faults = Vec::new();
        for effect in EFFECTS {
            set(&ringress, &world, effect.with);
            let unseen = effect.steps.iter().filter_map(|step| step.fault(&ringress, &world, effect.host));
            faults.extend(unseen.map(|fault| format!("{} {:?} {}: {fault}", effect.key, effect.with, effect.host)));
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    });
}
