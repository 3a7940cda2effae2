//! Which of two things that configuration says at once holds, and which phase answers first, as in ingress-nginx.

use std::net::SocketAddr;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::client::{Connection, Response, get_tls};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// A Service of the name, a path, and annotations; hosts are `a.test`.
type Site<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

struct World {
    objects: Vec<Value>,
    flags: Vec<&'static str>,
}

impl World {
    /// These Services, of which those without an address have no endpoint, and these keys of the ConfigMap.
    fn new(services: &[(&str, Option<SocketAddr>)], keys: &[(&str, &str)]) -> Self {
        let mut objects = vec![options(keys)];
        for (name, address) in services {
            objects.extend(service(name, address.as_slice()));
        }
        // User `ann`, password `secret`.
        objects.push(secret("users", "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nstray\n"));
        objects.push(list("one", &[("Access-Control-Allow-Origin", "https://fixed.test"), ("X-One", "1")]));
        let fields = [("Strict-Transport-Security", "max-age=1"), ("Content-Type", "text/plain")];
        objects.push(list("all", &fields));
        Self { objects, flags: vec!["--configmap=default/options"] }
    }

    fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    fn start(mut self, driver: Driver, sites: &[Site<'_>]) -> Ringress {
        for (number, (service, path, annotations)) in sites.iter().enumerate() {
            let rule = ingress(&format!("i{number}")).prefix("a.test", path, service);
            self.objects
                .push(annotations.iter().fold(rule, |rule, (name, value)| rule.annotation(name, value)).build());
        }
        let builder = Ringress::on(driver).manifest("all.json", file(self.objects));
        self.flags.into_iter().fold(builder, crate::support::process::Builder::flag).start()
    }
}

fn secret(name: &str, auth: &str) -> Value {
    let auth = base64::engine::general_purpose::STANDARD.encode(auth);
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"auth": auth}})
}

fn list(name: &str, fields: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<_, _> = fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn asked(ringress: &Ringress, text: &str) -> Response {
    let mut client = Connection::plain(ringress.http).unwrap();
    client.send(text.as_bytes()).unwrap();
    client.response(false).unwrap()
}

fn values<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let same = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
    response.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
}

/// Answers its name, and the status that the path ends with.
fn statuses(name: &'static str) -> Origin {
    Origin::with(move |request, peer| {
        peer.read_body(request)?;
        let status = request.target.rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or(200);
        peer.answer(status, &[], name.as_bytes())?;
        Ok(Next::Keep)
    })
}

const PASSWORD: [(&str, &str); 2] = [("auth-type", "basic"), ("auth-secret", "users")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&PASSWORD[..], more].concat()
}

#[test]
fn a_field_of_a_response_is_said_once() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let keys = [
            ("add-headers", "default/all"),
            ("global-allowed-response-headers", "Access-Control-Allow-Origin, bad name, X-One"),
        ];
        let shared = [("enable-cors", "true"), ("custom-headers", "default/one"), ("ssl-redirect", "false")];
        let world = World::new(&[("one", Some(origin.address)), ("none", None)], &keys);
        let ringress = world.start(driver, &[("one", "/", &shared), ("none", "/none", &shared)]);
        for (path, status) in [("/", 200), ("/none", 503)] {
            let answer = get_tls(ringress.https, "a.test", path);
            assert_eq!(answer.status, status);
            for (name, value) in [
                ("Strict-Transport-Security", "max-age=1"),
                ("Content-Type", "text/plain"),
                // What CORS says for this request is set behind what every request is told.
                ("Access-Control-Allow-Origin", "*"),
                ("X-One", "1"),
            ] {
                assert_eq!(values(&answer, name), [value], "{name} of {path}");
            }
            assert_eq!(values(&answer, "Date").len(), 1);
        }
    });
}

#[test]
fn the_default_backend_is_spoken_to_in_the_clear_whatever_the_host_s_backends_are() {
    on_each_driver(|driver| {
        let (one, errors) = (Origin::named("one"), Origin::named("errors"));
        let services = [("one", Some(one.address)), ("errors", Some(errors.address))];
        for protocol in ["HTTPS", "GRPC", "AUTO_HTTP"] {
            let world = World::new(&services, &[]).flag("--default-backend-service=default/errors");
            let annotations = [("backend-protocol", protocol), ("ssl-redirect", "false")];
            let ringress = world.start(driver, &[("one", "/a", &annotations)]);
            assert_eq!(ringress.get("a.test", "/other").text(), "errors", "{protocol}");
            assert_eq!(get_tls(ringress.https, "a.test", "/other").text(), "errors", "{protocol} over TLS");
        }
    });
}

#[test]
fn an_error_backend_that_nobody_serves_leaves_errors_to_the_default_backend() {
    on_each_driver(|driver| {
        let (one, errors) = (statuses("one"), Origin::named("errors"));
        let services = [("one", Some(one.address)), ("empty", None), ("errors", Some(errors.address))];
        for named in ["missing", "empty"] {
            let pages = [("custom-http-errors", "404"), ("default-backend", named)];
            let world = World::new(&services, &[]).flag("--default-backend-service=default/errors");
            let ringress = world.start(driver, &[("one", "/", &pages), ("empty", "/empty", &pages)]);
            assert_eq!(ringress.get("a.test", "/404").text(), "errors", "{named}");
            assert_eq!(ringress.get("a.test", "/empty").status, 503, "the default backend takes nothing over");
            let ringress = World::new(&services, &[]).start(driver, &[("one", "/", &pages)]);
            assert_eq!(ringress.get("a.test", "/404").text(), "one", "{named}: nobody else has a page");
        }
    });
}

#[test]
fn without_endpoints_nobody_is_asked_who_they_are() {
    on_each_driver(|driver| {
        let guard = statuses("guard");
        let url = format!("http://{}/401", guard.address);
        let copies = format!("http://{}", guard.address);
        let external = [("auth-url", &*url), ("auth-signin", "https://l.test")];
        let world = World::new(&[("none", None)], &[]);
        let ringress = world.start(
            driver,
            &[
                ("none", "/basic", &PASSWORD),
                ("none", "/list", &[("whitelist-source-range", "192.0.2.1")]),
                ("none", "/external", &external),
                ("missing", "/missing", &with(&external)),
                ("none", "/mirror", &[("mirror-target", &copies)]),
            ],
        );
        for path in ["/basic", "/list", "/external", "/missing", "/mirror"] {
            assert_eq!(ringress.get("a.test", path).status, 503, "{path}");
        }
        assert!(guard.received().is_empty());
    });
}

#[test]
fn a_list_of_the_configmap_keeps_what_stands_beside_a_slip_and_set_to_nothing_opens_nothing() {
    on_each_driver(|driver| {
        let (one, errors) = (statuses("one"), Origin::named("errors"));
        let services = [("one", Some(one.address)), ("errors", Some(errors.address))];
        let keys = [
            ("custom-http-errors", "404,abc,299"),
            ("no-auth-locations", ""),
            ("no-tls-redirect-locations", ""),
            ("use-forwarded-headers", "true"),
            ("proxy-real-ip-cidr", "192.0.2.0/24,junk"),
        ];
        let list = [("whitelist-source-range", "192.0.2.1")];
        let world = World::new(&services, &keys).flag("--default-backend-service=default/errors");
        let force = [("force-ssl-redirect", "true")];
        let sites: [Site<'_>; 4] = [
            ("one", "/open", &[]),
            ("one", "/list", &list),
            ("one", "/.well-known/acme-challenge/a", &PASSWORD),
            ("one", "/.well-known/acme-challenge/b", &force),
        ];
        let ringress = world.start(driver, &sites);
        assert_eq!(ringress.get("a.test", "/open/404").text(), "errors");
        assert_eq!(ringress.get("a.test", "/.well-known/acme-challenge/a").status, 401);
        assert_eq!(ringress.get("a.test", "/.well-known/acme-challenge/b").status, 308);
        let forged = "GET /list HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        assert_eq!(asked(&ringress, forged).status, 403);
        for trusted in ["", "junk"] {
            let keys = [("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", trusted)];
            let ringress = World::new(&services, &keys).start(driver, &[("one", "/list", &list)]);
            assert_eq!(asked(&ringress, forged).status, 403, "{trusted:?} trusts nobody");
        }
    });
}

#[test]
fn origins_that_are_none_allow_nobody() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let cors = [("enable-cors", "true"), ("cors-allow-origin", "one.test, *.two.test")];
        let ringress = World::new(&[("one", Some(origin.address))], &[]).start(driver, &[("one", "/", &cors)]);
        let request = |method| format!("{method} / HTTP/1.1\r\nHost: a.test\r\nOrigin: https://evil.test\r\n\r\n");
        for method in ["GET", "OPTIONS"] {
            let answer = asked(&ringress, &request(method));
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None), "{method}");
        }
    });
}

#[test]
fn a_body_that_is_too_large_is_refused_before_anything_else() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let small = ("proxy-body-size", "5");
        let ringress = World::new(&[("one", Some(origin.address))], &[]).start(
            driver,
            &[
                ("one", "/https", &[small, ("force-ssl-redirect", "true")]),
                ("one", "/basic", &with(&[small])),
                ("one", "/list", &[small, ("whitelist-source-range", "192.0.2.1")]),
                ("one", "/moved", &[small, ("permanent-redirect", "https://x.test")]),
                ("one", "/plain", &[small]),
            ],
        );
        for (path, small) in [("https", 308), ("basic", 401), ("list", 403), ("moved", 301), ("plain", 200)] {
            let post = |body| {
                let length = str::len(body);
                format!("POST /{path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{body}")
            };
            assert_eq!(asked(&ringress, &post("sixsix")).status, 413, "{path}");
            assert_eq!(asked(&ringress, &post("five5")).status, small, "{path}");
        }
        assert_eq!(ringress.metric("ringress_refused_total{reason=\"body_too_large\"}"), 5.0);
    });
}

#[test]
fn paths_of_a_host_of_patterns_are_tried_by_their_length_as_written() {
    on_each_driver(|driver| {
        let (prefix, pattern) = (Origin::named("prefix"), Origin::named("pattern"));
        let mut objects = service("prefix", &[prefix.address]);
        objects.extend(service("pattern", &[pattern.address]));
        objects.push(ingress("a").prefix("a.test", "/foo", "prefix").build());
        let rule = ingress("b").path("a.test", "ImplementationSpecific", "/fo..", "pattern");
        objects.push(rule.annotation("use-regex", "true").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        for path in ["/foo/x", "/foos"] {
            assert_eq!(ringress.get("a.test", path).text(), "pattern", "{path}");
        }
        assert_eq!(ringress.get("a.test", "/foo").text(), "prefix");
    });
}

#[test]
fn a_challenge_stays_beside_another_refusal_and_leads_to_the_page_to_sign_in_at() {
    on_each_driver(|driver| {
        let (origin, guard) = (Origin::named("one"), statuses("guard"));
        let forbidden = format!("http://{}/403", guard.address);
        let any = with(&[("satisfy", "any"), ("auth-url", &forbidden)]);
        let passes = format!("http://{}/200", guard.address);
        let signin = with(&[("auth-url", &passes), ("auth-signin", "/login")]);
        let world = World::new(&[("one", Some(origin.address))], &[]);
        let ringress = world.start(driver, &[("one", "/any", &any), ("one", "/in", &signin)]);
        let answer = ringress.get("a.test", "/any");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"\"")));
        let answer = ringress.get("a.test", "/in");
        assert_eq!(answer.header("location"), Some("http://a.test/login?rd=http://a.test%2Fin"));
        assert_eq!(answer.status, 302);
        // The line of the file without a colon costs nobody their way in.
        let known = "GET /any HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n\r\n";
        assert_eq!(asked(&ringress, known).status, 200);
    });
}

#[test]
fn a_rewrite_to_a_url_sends_the_client_to_a_url() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let away = [("rewrite-target", "https://n.test/$1"), ("use-regex", "true")];
        let mut objects = service("one", &[origin.address]);
        let rule = ingress("a").path("a.test", "ImplementationSpecific", "/p/(.*)", "one");
        objects.push(away.iter().fold(rule, |rule, (name, value)| rule.annotation(name, value)).build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let answer = ringress.get("a.test", "/p/a%20b%C3%A9%22c-d?e=%20");
        let there = Some("https://n.test/a%20b%C3%A9%22c-d?e=%20");
        assert_eq!((answer.status, answer.header("location")), (302, there));
    });
}
