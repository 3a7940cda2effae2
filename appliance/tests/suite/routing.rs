//! Which service a request reaches. Fine points of the rules are property-tested in `config`; here they meet sockets.

use serde_json::Value;

use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

/// Origins `one` and `two`, the services of these names, and an instance that serves them by `objects`.
fn serving(driver: Driver, objects: Vec<Value>) -> (Ringress, [Origin; 2]) {
    let origins = [Origin::named("one"), Origin::named("two")];
    let mut all = [service("one", &[origins[0].address]), service("two", &[origins[1].address])].concat();
    all.extend(objects);
    (Ringress::on(driver).manifest("all.json", file(all)).start(), origins)
}

#[test]
fn host_and_longest_path_choose_the_service() {
    on_each_driver(|driver| {
        let objects = vec![
            ingress("a").prefix("a.test", "/", "one").prefix("a.test", "/deep/er", "two").build(),
            ingress("b").path("b.test", "Exact", "/only", "two").build(),
        ];
        let (ringress, _origins) = serving(driver, objects);
        for (host, target, service) in [
            ("a.test", "/", "one"),
            ("a.test", "/deep", "one"),
            ("a.test", "/deep/er", "two"),
            ("a.test", "/deep/er/x?y=/deep", "two"),
            ("a.test", "/deep/erx", "one"),
            ("A.TEST", "/deep/er", "two"),
            ("a.test:8080", "/deep/er", "two"),
            ("b.test", "/only", "two"),
        ] {
            let answer = ringress.get(host, target);
            assert_eq!((answer.status, answer.text().as_str()), (200, service), "{host}{target}");
        }
        for (host, target) in [("b.test", "/only/"), ("b.test", "/"), ("c.test", "/"), ("x.a.test", "/")] {
            assert_eq!(ringress.get(host, target).status, 404, "{host}{target}");
        }
    });
}

#[test]
fn wildcard_takes_one_label_and_yields_to_the_exact_name() {
    on_each_driver(|driver| {
        let objects = vec![ingress("w").prefix("*.w.test", "/", "one").prefix("exact.w.test", "/", "two").build()];
        let (ringress, _origins) = serving(driver, objects);
        assert_eq!(ringress.get("any.w.test", "/").text(), "one");
        assert_eq!(ringress.get("exact.w.test", "/").text(), "two");
        assert_eq!(ringress.get("a.b.w.test", "/").status, 404);
        assert_eq!(ringress.get("w.test", "/").status, 404);
    });
}

#[test]
fn a_default_backend_takes_what_no_rule_takes() {
    on_each_driver(|driver| {
        let objects =
            vec![ingress("a").prefix("a.test", "/x", "one").build(), ingress("rest").default_backend("two").build()];
        let (ringress, _origins) = serving(driver, objects);
        assert_eq!(ringress.get("a.test", "/x").text(), "one");
        assert_eq!(ringress.get("other.test", "/x").text(), "two");
    });
}

#[test]
fn regex_mode_holds_for_the_whole_host_and_ignores_case() {
    on_each_driver(|driver| {
        let regex = ingress("re")
            .annotation("use-regex", "true")
            .path("r.test", "ImplementationSpecific", "/img/[0-9]+", "two")
            .build();
        let plain = ingress("plain").prefix("r.test", "/", "one").build();
        let (ringress, _origins) = serving(driver, vec![regex, plain]);
        assert_eq!(ringress.get("r.test", "/img/12").text(), "two");
        assert_eq!(ringress.get("r.test", "/IMG/7/more").text(), "two");
        assert_eq!(ringress.get("r.test", "/img/x").text(), "one");
    });
}

#[test]
fn the_origin_gets_the_target_as_the_client_wrote_it() {
    on_each_driver(|driver| {
        let (ringress, [origin, _two]) = serving(driver, vec![ingress("a").prefix("a.test", "/", "one").build()]);
        for target in ["/a//b/../c%20d?q=%2F&r", "/%7Euser", "/a;b=c", "/?"] {
            assert_eq!(ringress.get("a.test", target).status, 200, "{target}");
            assert_eq!(origin.received().last().expect("a request").target, target);
        }
    });
}

#[test]
fn requests_spread_over_all_endpoints() {
    on_each_driver(|driver| {
        let origins = [Origin::named("first"), Origin::named("second")];
        let mut objects = service("pair", &[origins[0].address, origins[1].address]);
        objects.push(ingress("pair").prefix("p.test", "/", "pair").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        for _ in 0..20 {
            assert_eq!(ringress.get("p.test", "/").status, 200);
        }
        let counts = origins.each_ref().map(|origin| origin.received().len());
        assert!(counts[0] >= 5 && counts[1] >= 5, "20 requests went {counts:?}");
    });
}

#[test]
fn no_service_or_no_endpoint_is_503_and_no_rule_404() {
    on_each_driver(|driver| {
        let mut objects = service("empty", &[]);
        objects.push(ingress("empty").prefix("e.test", "/", "empty").prefix("e.test", "/gone", "absent").build());
        let (ringress, _origins) = serving(driver, objects);
        assert_eq!(ringress.get("e.test", "/").status, 503);
        assert_eq!(ringress.get("e.test", "/gone").status, 503);
        assert_eq!(ringress.get("nobody.test", "/").status, 404);
    });
}
