//! The annotations under `ringress.io/`, over sockets. How values are read is tested in `config`.

use serde_json::Value;

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// Origins `one` and `two`, the services of these names, and an instance that serves them by `objects`.
fn serving(driver: Driver, objects: impl IntoIterator<Item = Value>) -> (Ringress, [Origin; 2]) {
    let origins = [Origin::named("one"), Origin::named("two")];
    let mut all = [service("one", &[origins[0].address]), service("two", &[origins[1].address])].concat();
    all.extend(objects);
    (Ringress::on(driver).manifest("all.json", file(all)).start(), origins)
}

/// The body of a request with this method, target and fields.
fn ask(ringress: &Ringress, method: &str, target: &str, fields: &[(&str, &str)]) -> String {
    let mut connection = Connection::plain(ringress.http).unwrap();
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n{fields}\r\n");
    connection.send(head.as_bytes()).unwrap();
    connection.response(method == "HEAD").unwrap().text()
}

#[test]
fn fields_are_set_added_and_removed_on_both_ways() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            let own = [("X-Powered-By", "php"), ("X-Frame", "old"), ("Vary", "Origin"), ("X-Kept", "1")];
            peer.answer(200, &own, b"")?;
            Ok(Next::Keep)
        });
        let mut all = service("one", &[origin.address]);
        let web = ingress("web").prefix("a.test", "/", "one");
        let web = web.annotation("ringress.io/request-headers-set", "X-Tenant: $host-$arg_t\nX-Client: set");
        let web = web.annotation("ringress.io/request-headers-add", "X-Tag: b");
        let web = web.annotation("ringress.io/request-headers-remove", "X-Secret");
        let web = web.annotation("ringress.io/response-headers-set", "X-Frame: DENY\nX-Path: $uri");
        let web = web.annotation("ringress.io/response-headers-add", "Vary: Accept");
        all.push(web.annotation("ringress.io/response-headers-remove", "x-powered-by").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let mut connection = Connection::plain(ringress.http).unwrap();
        let fields = "X-Client: mine\r\nX-Tag: a\r\nX-Secret: s\r\n";
        connection.send(format!("GET /p?t=7 HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n").as_bytes()).unwrap();
        let answer = connection.response(false).unwrap();
        let of = |name: &str| {
            let same = answer.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            same.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (of("x-frame"), of("x-path"), of("x-kept")),
            (vec!["DENY".into()], vec!["/p".into()], vec!["1".into()])
        );
        assert_eq!((of("vary"), of("x-powered-by")), (vec!["Origin".into(), "Accept".into()], Vec::<String>::new()));
        let received = origin.received();
        let sent = |name: &str| {
            let same = received[0].headers.iter().filter(|(known, _)| known == name);
            same.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!((sent("x-tenant"), sent("x-client")), (vec!["a.test-7".to_owned()], vec!["set".to_owned()]));
        assert_eq!((sent("x-tag"), sent("x-secret")), (vec!["a".into(), "b".into()], Vec::<String>::new()));
    });
}

#[test]
fn denied_paths_cannot_be_had_by_other_spellings_either() {
    on_each_driver(|driver| {
        let web = ingress("web").prefix("a.test", "/", "one");
        let web = web.annotation("ringress.io/deny-paths", "/admin\n~* \\.bak$").build();
        let (ringress, [one, _]) = serving(driver, [web]);
        for target in ["/admin", "/admin/x?y", "/%61dmin", "//admin", "/x/../admin/", "/./admin", "/a/x.BAK"] {
            assert_eq!(ringress.get("a.test", target).status, 403, "{target}");
        }
        assert!(one.received().is_empty());
        for target in ["/", "/administration", "/x?p=/admin", "/x.bak/y"] {
            assert_eq!(ringress.get("a.test", target).status, 200, "{target}");
        }
    });
}

#[test]
fn single_paths_are_redirected_and_an_ingress_may_answer_by_itself() {
    on_each_driver(|driver| {
        let map = "/old https://n.test/new?from=$escaped_request_uri\n/.well-known/carddav /remote.php/dav 308";
        let web = ingress("web").prefix("a.test", "/", "one").annotation("ringress.io/redirects", map).build();
        let closed =
            ingress("closed").prefix("a.test", "/closed", "one").annotation("ringress.io/return-status", "410");
        let (ringress, [one, _]) = serving(driver, [web, closed.build()]);
        let location = |target: &str| {
            let answer = ringress.get("a.test", target);
            (answer.status, answer.header("location").map(str::to_owned))
        };
        assert_eq!(location("/old?a=b"), (301, Some("https://n.test/new?from=%2Fold%3Fa%3Db".into())));
        assert_eq!(location("/.well-known/carddav"), (308, Some("http://a.test/remote.php/dav".into())));
        assert_eq!(location("/closed/x"), (410, None));
        assert!(one.received().is_empty());
        assert_eq!(location("/old/x"), (200, None));
    });
}

#[test]
fn a_canary_may_be_for_requests_that_say_something() {
    on_each_driver(|driver| {
        let canary = ingress("web-two").prefix("a.test", "/", "two").annotation("canary", "true");
        let canary = canary.annotation("ringress.io/match-method", "GET, POST");
        let canary = canary.annotation("ringress.io/match-header", "X-Version: ~^2\\.");
        let canary = canary.annotation("ringress.io/match-query", "beta").build();
        let main = ingress("web").prefix("a.test", "/", "one").build();
        let (ringress, _origins) = serving(driver, [main, canary]);
        let two = [("X-Version", "2.1")];
        for (method, target, fields, service) in [
            ("GET", "/?beta=1", &two[..], "two"),
            ("POST", "/x?a&beta=", &two, "two"),
            ("PUT", "/?beta=1", &two, "one"),
            ("GET", "/", &two, "one"),
            ("GET", "/?beta=1", &[("X-Version", "1.2.1")], "one"),
            ("GET", "/?beta=1", &[], "one"),
        ] {
            assert_eq!(ask(&ringress, method, target, fields), service, "{method} {target} {fields:?}");
        }
    });
}

#[test]
fn several_canaries_stand_beside_each_other_in_their_order() {
    on_each_driver(|driver| {
        let third = Origin::named("three");
        let canary = |name: &str, to: &str, order: &str, version: &str| {
            let canary = ingress(name).prefix("a.test", "/", to).annotation("canary", "true");
            let canary = canary.annotation("ringress.io/canary-order", order).annotation("canary-by-header", "X-V");
            canary.annotation("canary-by-header-value", version).build()
        };
        let mut objects = service("three", &[third.address]);
        objects.push(ingress("web").prefix("a.test", "/", "one").build());
        // Both take the value `both`; the smaller number is asked first, whatever the names.
        objects.extend([canary("web-a", "two", "2", "two"), canary("web-b", "three", "1", "three")]);
        let weighted = |name: &str, to: &str, order: &str| {
            let canary = ingress(name).prefix("a.test", "/half", to).annotation("canary", "true");
            canary.annotation("ringress.io/canary-order", order).annotation("canary-weight", "50").build()
        };
        objects.push(ingress("half").prefix("a.test", "/half", "one").build());
        objects.extend([weighted("half-a", "two", "1"), weighted("half-b", "three", "2")]);
        let (ringress, _origins) = serving(driver, objects);
        for version in ["two", "three"] {
            assert_eq!(ask(&ringress, "GET", "/", &[("X-V", version)]), version);
        }
        assert_eq!(ask(&ringress, "GET", "/", &[]), "one");
        // Two halves are all: nothing is left for the main one, and each has its share (a chance of 1 in 10^18 to fail).
        let answers: Vec<_> = (0..60).map(|_| ask(&ringress, "GET", "/half", &[])).collect();
        let count = |name: &str| answers.iter().filter(|answer| *answer == name).count();
        assert_eq!((count("one"), count("two") + count("three")), (0, 60));
        assert!(count("two") > 0 && count("three") > 0, "{answers:?}");
    });
}

#[test]
fn bad_values_are_findings_and_access_does_not_open() {
    on_each_driver(|driver| {
        let rule = |name: &str, host: &str| ingress(name).prefix(host, "/", "one");
        let (ringress, _origins) = serving(
            driver,
            [
                rule("deny", "deny.test").annotation("ringress.io/deny-paths", "~ (").build(),
                rule("set", "set.test").annotation("ringress.io/response-headers-set", "no colon").build(),
                rule("map", "map.test").annotation("ringress.io/redirects", "/a").build(),
                rule("status", "status.test").annotation("ringress.io/return-status", "301").build(),
                rule("match", "match.test")
                    .annotation("canary", "true")
                    .annotation("ringress.io/match-query", "=")
                    .build(),
                rule("good", "good.test").build(),
            ],
        );
        assert_eq!(ringress.get("deny.test", "/").status, 503);
        for host in ["set.test", "map.test", "status.test", "match.test"] {
            assert_eq!(ringress.get(host, "/").status, 404, "{host} is not loaded");
        }
        assert_eq!(ringress.get("good.test", "/").status, 200);
        let status = ringress.status();
        let rejected = status["rejected"].as_array().unwrap();
        for (object, field) in [
            ("deny", "ringress.io/deny-paths"),
            ("set", "ringress.io/response-headers-set"),
            ("map", "ringress.io/redirects"),
            ("status", "ringress.io/return-status"),
            ("match", "ringress.io/match-query"),
        ] {
            let (object, field) = (format!("Ingress default/{object}"), format!("metadata.annotations.{field}"));
            let found = rejected.iter().find(|finding| finding["object"] == *object && finding["field"] == *field);
            assert_eq!(found.map(|finding| &finding["severity"]), Some(&Value::from("error")), "{object} {field}");
        }
    });
}
