//! What hosts and paths do that replacements of ingress-nginx get wrong, over sockets (reference 3).

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::client::{Connection, Response};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// A host, a path and annotations.
type Site<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Hosts that share one Service `one`, each with annotations of its own.
fn hosts(driver: Driver, origin: SocketAddr, hosts: &[Site<'_>]) -> Ringress {
    let mut all = service("one", &[origin]);
    all.extend(hosts.iter().map(one));
    Ringress::on(driver).manifest("all.json", file(all)).start()
}

fn one((host, path, annotations): &Site<'_>) -> Value {
    let name = host.replace(['.', '*'], "-") + &path.len().to_string();
    let rule = ingress(name.trim_matches('-')).prefix(host, path, "one");
    annotations.iter().fold(rule, |rule, (name, value)| rule.annotation(name, value)).build()
}

fn asked(ringress: &Ringress, text: &str) -> Response {
    let mut client = Connection::plain(ringress.http).unwrap();
    client.send(text.as_bytes()).unwrap();
    client.response(false).unwrap()
}

#[test]
fn an_alias_is_what_a_server_name_may_be() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let aliases = [("server-alias", "*.w.test, .d.test, www.p.*, ~^re[0-9]+[.]x$")];
        let ringress = hosts(driver, origin.address, &[("a.test", "/", &aliases), ("*.rule.w.test", "/x", &[])]);
        for host in ["b.w.test", "c.b.w.test", "x.rule.w.test", "d.test", "b.d.test", "www.p.test", "re7.x"] {
            assert_eq!(ringress.get(host, "/").status, 200, "{host}");
        }
        for host in ["w.test", "www.p", "re.x"] {
            assert_eq!(ringress.get(host, "/").status, 404, "{host}");
        }
    });
}

#[test]
fn a_rewritten_path_is_still_one_path() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let ringress = hosts(driver, origin.address, &[("a.test", "/r/(.*)", &[("rewrite-target", "/$1")])]);
        for (asked, got) in [
            ("/r/a%3Fb?c=1", "/a%3Fb?c=1"),
            ("/r/a%25b", "/a%25b"),
            ("/r/a%23b", "/a%23b"),
            ("/r/a%2Fb%20c", "/a/b%20c"),
            ("/r/a+b", "/a+b"),
        ] {
            assert_eq!(ringress.get("a.test", asked).status, 200);
            assert_eq!(origin.received().last().unwrap().target, got, "{asked}");
        }
    });
}

#[test]
fn a_refused_path_redirects_and_answers_preflights_as_ever_and_a_refused_host_does_not() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let broken = ("whitelist-source-range", "nonsense");
        let (moved, cors) = (("permanent-redirect", "https://x.test"), ("enable-cors", "true"));
        let guarded = [("auth-tls-secret", "default/none"), ("app-root", "/start")];
        let list: [Site<'_>; 5] = [
            ("a.test", "/", &[broken, moved]),
            ("d.test", "/", &[broken, ("force-ssl-redirect", "true"), ("rewrite-target", "/x")]),
            ("b.test", "/", &[broken, cors]),
            ("c.test", "/x/", &guarded),
            ("c.test", "/moved", &[moved]),
        ];
        let ringress = hosts(driver, origin.address, &list);
        assert_eq!(ringress.get("a.test", "/").header("location"), Some("https://x.test"));
        assert_eq!(
            asked(&ringress, "OPTIONS / HTTP/1.1\r\nHost: b.test\r\nOrigin: https://o.test\r\n\r\n").status,
            204
        );
        for host in ["b.test", "d.test"] {
            assert_eq!(ringress.get(host, "/").status, 503, "{host}");
        }
        for path in ["/", "/x", "/moved", "/other"] {
            assert_eq!(ringress.get("c.test", path).status, 403, "{path}");
        }
    });
}

#[test]
fn a_redirect_to_https_goes_to_the_host_that_is_believed() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let force: [Site<'_>; 1] = [("a.test", "/", &[("force-ssl-redirect", "true")])];
        let get = "GET /x HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Host: pub.test:99, b.test\r\n\r\n";
        let ringress = hosts(driver, origin.address, &force);
        assert_eq!(asked(&ringress, get).header("location"), Some("https://a.test/x"));
        let mut all = service("one", &[origin.address]);
        all.push(one(&force[0]));
        all.push(options(&[("use-forwarded-headers", "true")]));
        let ringress = Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(all)).start();
        assert_eq!(asked(&ringress, get).header("location"), Some("https://pub.test/x"));
    });
}

#[test]
fn cookies_of_the_authentication_service_come_with_success_and_the_way_to_sign_in() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            let status = request.target.trim_start_matches("/s/").parse().unwrap_or(200);
            peer.answer(status, &[], b"")?;
            Ok(Next::Keep)
        });
        let login = Origin::with(|request, peer| {
            let status = if request.target == "/no" { 401 } else { 200 };
            peer.answer(status, &[("Set-Cookie", "s=1")], b"")?;
            Ok(Next::Keep)
        });
        let url = |path: &str| format!("http://{}{path}", login.address);
        let (yes, no) = (url("/yes"), url("/no"));
        let list: [Site<'_>; 4] = [
            ("a.test", "/", &[("auth-url", &yes)]),
            ("b.test", "/", &[("auth-url", &yes), ("auth-always-set-cookie", "true")]),
            ("c.test", "/", &[("auth-url", &no), ("auth-signin", "https://l.test/in")]),
            ("d.test", "/", &[("auth-url", &no)]),
        ];
        let ringress = hosts(driver, origin.address, &list);
        for (host, path, status, cookie) in [
            ("a.test", "/", 200, Some("s=1")),
            ("a.test", "/s/500", 500, None),
            ("b.test", "/s/500", 500, Some("s=1")),
            ("c.test", "/", 302, Some("s=1")),
            ("d.test", "/", 401, None),
        ] {
            let answer = ringress.get(host, path);
            assert_eq!((answer.status, answer.header("set-cookie")), (status, cookie), "{host}{path}");
        }
    });
}

#[test]
fn load_balancers_are_answered_on_the_port_of_the_traffic() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(one(&("a.test", "/x", &[])));
        let ringress =
            Ringress::on(driver).flag("--health-check-path=/alive").manifest("all.json", file(all.clone())).start();
        assert_eq!((ringress.get("10.0.0.1", "/alive").status, ringress.get("10.0.0.1", "/").status), (200, 404));
        assert_eq!(ringress.get("a.test", "/alive").status, 404, "a host that a rule names");
        all.push(ingress("all").default_backend("one").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        assert_eq!(
            (ringress.get("10.0.0.1", "/healthz").text(), ringress.get("10.0.0.1", "/").text()),
            (String::new(), "one".into())
        );
    });
}

#[test]
fn the_404_of_unknown_hosts_has_the_headers_that_are_added_to_all() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(one(&("a.test", "/x", &[])));
        all.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"X-Frame-Options": "DENY"}}));
        all.push(options(&[("add-headers", "default/more")]));
        let ringress = Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(all)).start();
        for host in ["a.test", "unknown.test"] {
            let answer = ringress.get(host, "/");
            assert_eq!((answer.status, answer.header("x-frame-options")), (404, Some("DENY")), "{host}");
        }
    });
}

#[test]
fn a_header_that_comes_to_nothing_is_not_sent() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(one(&("a.test", "/", &[])));
        let sent = json!({"X-Empty": "", "X-Unknown": "$http_x_none", "X-Known": "$host"});
        all.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": sent}));
        all.push(options(&[("proxy-set-headers", "default/more")]));
        let ringress = Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(all)).start();
        asked(&ringress, "GET / HTTP/1.1\r\nHost: a.test\r\nX-Empty: a\r\nX-Unknown: b\r\nX-Known: c\r\n\r\n");
        let received = origin.received();
        let told = |name: &str| received[0].header(name);
        assert_eq!((told("x-empty"), told("x-unknown"), told("x-known")), (None, None, Some("a.test")));
    });
}

#[test]
fn a_bad_entry_of_the_fields_for_all_costs_the_others_nothing() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(one(&("a.test", "/", &[])));
        let sent = json!({"X-Bad": "$nothing", "X Bad": "1", "X-Empty": "", "X-Good": "$host"});
        all.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": sent}));
        all.push(options(&[("proxy-set-headers", "default/more"), ("add-headers", "default/more")]));
        let ringress = Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(all)).start();
        let answer = asked(&ringress, "GET / HTTP/1.1\r\nHost: a.test\r\nX-Empty: a\r\n\r\n");
        assert_eq!((answer.header("x-good"), answer.header("x-bad")), (Some("a.test"), None));
        let received = origin.received();
        let told = |name: &str| received[0].header(name);
        assert_eq!((told("x-good"), told("x-bad"), told("x-empty")), (Some("a.test"), None, None));
    });
}

#[test]
fn variables_know_cookies_and_arguments_in_any_case() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let vhost = [("upstream-vhost", "$cookie_Name.$arg_Id.test")];
        let ringress = hosts(driver, origin.address, &[("a.test", "/", &vhost)]);
        assert_eq!(asked(&ringress, "GET /?iD=2 HTTP/1.1\r\nHost: a.test\r\nCookie: x=y; NAME=1\r\n\r\n").status, 200);
        assert_eq!(origin.received().last().unwrap().header("host"), Some("1.2.test"));
    });
}
