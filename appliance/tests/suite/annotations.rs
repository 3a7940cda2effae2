//! Annotations whose effect needs several objects, over sockets. How values are read is tested in `config`.

use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver};

#[test]
fn a_canary_takes_requests_only_while_both_sides_have_endpoints() {
    on_each_driver(|driver| {
        let origins = [Origin::named("main"), Origin::named("canary")];
        let rule = |name: &str, host: &str, to: &str| ingress(name).prefix(host, "/", to);
        let canary = |name: &str, host: &str, to: &str| {
            rule(name, host, to).annotation("canary", "true").annotation("canary-weight", "100").build()
        };
        let mut all = [service("main", &[origins[0].address]), service("canary", &[origins[1].address])].concat();
        all.extend(service("empty", &[]));
        all.extend([
            rule("a", "both.test", "main").build(),
            canary("a-canary", "both.test", "canary"),
            rule("b", "no-canary.test", "main").build(),
            canary("b-canary", "no-canary.test", "empty"),
            rule("c", "no-main.test", "empty").build(),
            canary("c-canary", "no-main.test", "canary"),
            canary("d-canary", "alone.test", "canary"),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        assert_eq!(ringress.get("both.test", "/").text(), "canary");
        assert_eq!(ringress.get("no-canary.test", "/").text(), "main");
        assert_eq!(ringress.get("no-main.test", "/").status, 503);
        assert_eq!(ringress.get("alone.test", "/").status, 404);
    });
}

#[test]
fn the_start_page_and_the_sibling_host_are_redirects_and_an_alias_is_not() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        let start = ingress("a").prefix("a.test", "/", "one").annotation("app-root", "/start");
        all.push(start.annotation("from-to-www-redirect", "true").annotation("server-alias", "b.test").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let start = ringress.get("a.test", "/");
        assert_eq!((start.status, start.header("location")), (302, Some("http://a.test/start")));
        let sibling = ringress.get("www.a.test", "/x/");
        let location = sibling.header("location").unwrap_or_default();
        assert_eq!(sibling.status, 308);
        assert!(location.starts_with("http://a.test:") && location.ends_with("/x"), "{location}");
        assert_eq!(ringress.get("a.test", "/x").text(), "one");
        assert_eq!(ringress.get("b.test", "/x").text(), "one");
    });
}

#[test]
fn what_an_upstream_says_of_itself_is_rewritten_for_the_client() {
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| {
            let headers = [
                ("Location", "http://in.test/x"),
                ("Refresh", "5; url=http://in.test/y"),
                ("Set-Cookie", "a=1; Path=/; Domain=in.test"),
                ("Set-Cookie", "b=2"),
            ];
            peer.answer(302, &headers, b"")?;
            Ok(Next::Keep)
        });
        let mut all = service("one", &[origin.address]);
        let web = ingress("web").prefix("a.test", "/", "one").annotation("proxy-redirect-from", "http://in.test/");
        let web = web.annotation("proxy-redirect-to", "/app/").annotation("proxy-cookie-path", "/ /app/");
        all.push(web.annotation("proxy-cookie-domain", "in.test out.test").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let answer = ringress.get("a.test", "/");
        let of = |name: &str| {
            let same = answer.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            same.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!((of("location"), of("refresh")), (vec!["/app/x".into()], vec!["5; url=/app/y".into()]));
        assert_eq!(of("set-cookie"), ["a=1; Path=/app/; Domain=out.test", "b=2"]);
    });
}
