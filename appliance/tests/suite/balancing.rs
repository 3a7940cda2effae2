//! Which endpoint serves whom: session cookies, hashed keys, algorithms, the Service's own address.

use std::collections::BTreeSet;
use std::time::Duration;

use md5::{Digest as _, Md5};
use serde_json::json;

use crate::support::client::{Connection, Response};
use crate::support::manifests::{Ingress, file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

fn origins(count: usize) -> Vec<Origin> {
    NAMES[..count].iter().map(|name| Origin::named(name)).collect()
}

fn addresses(origins: &[Origin]) -> Vec<std::net::SocketAddr> {
    origins.iter().map(|origin| origin.address).collect()
}

/// The Service `web` with these endpoints behind `a.test`.
fn serving(driver: Driver, origins: &[Origin], annotations: &[(&str, &str)]) -> Ringress {
    let mut objects = service("web", &addresses(origins));
    objects.push(annotated("a", annotations).prefix("a.test", "/", "web").build());
    Ringress::on(driver).manifest("all.json", file(objects)).start()
}

fn annotated(name: &str, annotations: &[(&str, &str)]) -> Ingress {
    annotations.iter().fold(ingress(name), |ingress, (name, value)| ingress.annotation(name, value))
}

/// A GET on a connection of its own, so that both workers are asked.
fn get(ringress: &Ringress, host: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let mut client = Connection::plain(ringress.http).expect("connect");
    client.request("GET", host, target, headers, b"").expect("an answer")
}

/// `name=value` of the cookie that an answer sets.
fn cookie(answer: &Response) -> Option<String> {
    Some(answer.header("set-cookie")?.split(';').next()?.to_owned())
}

#[test]
fn a_session_cookie_holds_a_client_on_one_endpoint_whichever_worker_serves_it() {
    on_each_driver(|driver| {
        let origins = origins(4);
        for mode in ["balanced", "persistent"] {
            let ringress = serving(driver, &origins, &[("affinity", "cookie"), ("affinity-mode", mode)]);
            let first = ringress.get("a.test", "/");
            let cookie = cookie(&first).expect("a cookie");
            assert!(cookie.starts_with("INGRESSCOOKIE="), "{cookie}");
            for turn in 0..20 {
                let answer = get(&ringress, "a.test", "/x", &[("Cookie", &format!("x=y; {cookie}"))]);
                assert_eq!((answer.text(), answer.header("set-cookie")), (first.text(), None), "{mode} {turn}");
            }
            let others: BTreeSet<_> = (0..40).map(|_| ringress.get("a.test", "/").text()).collect();
            assert!(others.len() > 1, "{mode}: {others:?}");
        }
    });
}

#[test]
fn a_cookie_that_ingress_nginx_issued_leads_to_its_endpoint() {
    on_each_driver(|driver| {
        let origins = origins(4);
        let ringress = serving(driver, &origins, &[("affinity", "cookie"), ("affinity-mode", "persistent")]);
        let name = "default-web-80";
        for (origin, expected) in origins.iter().zip(NAMES) {
            let key: [u8; 16] = Md5::digest(format!("{name}{}", origin.address)).into();
            let value = format!("INGRESSCOOKIE={:032x}|whatever", u128::from_be_bytes(key));
            let answer = get(&ringress, "a.test", "/", &[("Cookie", &value)]);
            assert_eq!((answer.text().as_str(), answer.header("set-cookie")), (expected, None));
        }
    });
}

#[test]
fn a_pinned_client_gets_502_or_another_endpoint_as_was_asked_for() {
    on_each_driver(|driver| {
        for (changes, persistent) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut origins = origins(2);
            let mode = if persistent { "persistent" } else { "balanced" };
            let change = if changes { "true" } else { "false" };
            let annotations =
                [("affinity", "cookie"), ("affinity-mode", mode), ("session-cookie-change-on-failure", change)];
            let ringress = serving(driver, &origins, &annotations);
            let first = ringress.get("a.test", "/");
            let old = cookie(&first).expect("a cookie");
            // Its endpoint refuses connections from now on, and none is kept.
            let at = NAMES.iter().position(|name| *name == first.text()).expect("its name");
            let refusing = crate::support::origin::refusing_address();
            let left = origins.remove(1 - at);
            let mut objects = service("web", &[refusing, left.address]);
            objects.push(annotated("a", &annotations).prefix("a.test", "/", "web").build());
            ringress.apply("all.json", file(objects));
            if persistent {
                // The old endpoint is gone from the list: a new cookie for the one that is left or for the dead one.
                let key: [u8; 16] = Md5::digest(format!("default-web-80{refusing}")).into();
                let value = format!("INGRESSCOOKIE={:032x}|x", u128::from_be_bytes(key));
                let answer = get(&ringress, "a.test", "/", &[("Cookie", &value)]);
                assert_eq!(answer.status, if changes { 200 } else { 502 });
                assert_eq!(answer.header("set-cookie").is_some(), changes);
                continue;
            }
            // Among some places on the ring there are those of the dead endpoint.
            let mut statuses = BTreeSet::new();
            for turn in 0..40 {
                let value = format!("INGRESSCOOKIE=place-{turn}|x");
                let answer = get(&ringress, "a.test", "/", &[("Cookie", &value)]);
                statuses.insert((answer.status, answer.header("set-cookie").is_some()));
            }
            let expected = if changes { [(200, false), (200, true)] } else { [(200, false), (502, false)] };
            assert_eq!(statuses, BTreeSet::from(expected), "{old}");
        }
    });
}

#[test]
fn an_ingress_of_the_same_service_obeys_the_cookie_and_issues_none() {
    on_each_driver(|driver| {
        let origins = origins(4);
        let mut objects = service("web", &addresses(&origins));
        objects.push(annotated("a", &[("affinity", "cookie")]).prefix("a.test", "/", "web").build());
        objects.push(ingress("b").prefix("b.test", "/", "web").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        assert_eq!(ringress.get("b.test", "/").header("set-cookie"), None);
        let first = ringress.get("a.test", "/");
        let cookie = cookie(&first).expect("a cookie");
        for _ in 0..12 {
            assert_eq!(get(&ringress, "b.test", "/", &[("Cookie", &cookie)]).text(), first.text());
        }
    });
}

#[test]
fn a_client_stays_on_the_side_of_a_canary_that_issued_its_cookie() {
    on_each_driver(|driver| {
        let sides = [Origin::named("main"), Origin::named("canary")];
        for behaviour in ["sticky", "legacy"] {
            let mut objects = [service("main", &[sides[0].address]), service("canary", &[sides[1].address])].concat();
            objects.push(annotated("a", &[("affinity", "cookie")]).prefix("a.test", "/", "main").build());
            let rules = [("canary", "true"), ("canary-by-header", "X-C"), ("affinity-canary-behavior", behaviour)];
            objects.push(annotated("c", &rules).prefix("a.test", "/", "canary").build());
            let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
            let ask = |side: &str, cookie: &str| get(&ringress, "a.test", "/", &[("X-C", side), ("Cookie", cookie)]);
            let main = cookie(&ask("never", "")).expect("a cookie of the main side");
            assert_eq!(ask("always", &main).text(), "main", "{behaviour}: held by the main side");
            let on_canary = ask("always", "");
            assert_eq!(on_canary.text(), "canary");
            match cookie(&on_canary) {
                Some(held) if behaviour == "sticky" => assert_eq!(ask("never", &held).text(), "canary"),
                None if behaviour == "legacy" => {}
                other => panic!("{behaviour}: {other:?}"),
            }
        }
    });
}

#[test]
fn equal_keys_go_to_one_endpoint_and_few_move_when_one_is_added() {
    on_each_driver(|driver| {
        let origins = origins(4);
        let all = addresses(&origins);
        let manifest = |addresses: &[std::net::SocketAddr]| {
            let mut objects = service("web", addresses);
            objects.push(
                annotated("a", &[("upstream-hash-by", "$http_x_user$arg_n")]).prefix("a.test", "/", "web").build(),
            );
            file(objects)
        };
        let ringress = Ringress::on(driver).manifest("all.json", manifest(&all[..3])).start();
        let served = |n: usize| get(&ringress, "a.test", &format!("/p{n}?n={n}"), &[("X-User", "u")]).text();
        let before: Vec<_> = (0..60).map(served).collect();
        assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3);
        assert_eq!((0..60).map(served).collect::<Vec<_>>(), before, "the same on every worker");
        ringress.apply("all.json", manifest(&all));
        let moved = (0..60).filter(|n| served(*n) != before[*n]).count();
        assert!((1..30).contains(&moved), "{moved} of 60 moved");
    });
}

#[test]
fn ewma_and_least_request_spare_an_endpoint_that_is_slow() {
    on_each_driver(|driver| {
        let quick = Origin::named("quick");
        let slow = Origin::with(|request, peer| {
            peer.read_body(request)?;
            std::thread::sleep(Duration::from_millis(100));
            peer.answer(200, &[], b"slow")?;
            Ok(Next::Keep)
        });
        for (name, value) in [("load-balance", "ewma"), ("ringress.io/load-balance", "least_request")] {
            let mut objects = service("web", &[quick.address, slow.address]);
            let mut a = ingress("a").prefix("a.test", "/", "web").build();
            let full = if name.contains('/') { name.into() } else { format!("nginx.ingress.kubernetes.io/{name}") };
            a["metadata"]["annotations"][full] = json!(value);
            objects.push(a);
            let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
            let before = slow.received().len();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let mut client = Connection::plain(ringress.http).expect("connect");
                        (0..30).for_each(|_| assert_eq!(client.get("a.test", "/").expect("an answer").status, 200));
                    });
                }
            });
            let served = slow.received().len() - before;
            assert!(served < 40, "{value}: {served} of 120 went to the slow one");
        }
    });
}

#[test]
fn the_oldest_ingress_decides_and_the_others_are_told() {
    on_each_driver(|driver| {
        let origins = origins(1);
        let mut objects = service("web", &addresses(&origins));
        for (name, balancer, year) in [("old", "ewma", 2024), ("young", "round_robin", 2025)] {
            let mut rule =
                annotated(name, &[("load-balance", balancer)]).prefix(&format!("{name}.test"), "/", "web").build();
            rule["metadata"]["creationTimestamp"] = json!(format!("{year}-01-01T00:00:00Z"));
            objects.push(rule);
        }
        objects.push(options(&[("load-balance", "ewma")]));
        let ringress =
            Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(objects)).start();
        let status = ringress.status().to_string();
        assert!(status.contains("Ingress default/old is older and decides"), "{status}");
        let clusters = ringress.api("/api/clusters").to_string();
        assert!(clusters.contains(r#""balancer":"ewma""#), "{clusters}");
    });
}

#[test]
fn service_upstream_asks_the_address_of_the_service() {
    on_each_driver(|driver| {
        let [pod, own] = [Origin::named("pod"), Origin::named("service")];
        let with = |value: &str, address: &str| {
            let mut objects = service("web", &[pod.address]);
            objects[0]["spec"]["clusterIP"] = json!(address);
            objects[0]["spec"]["ports"][0]["port"] = json!(own.address.port());
            let mut a = annotated("a", &[("service-upstream", value)]).prefix("a.test", "/", "web").build();
            a["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = json!({"name": "http"});
            objects.push(a);
            file(objects)
        };
        let address = own.address.ip().to_string();
        let ringress = Ringress::on(driver).manifest("all.json", with("true", &address)).start();
        assert_eq!(ringress.get("a.test", "/").text(), "service");
        ringress.apply("all.json", with("true", "None"));
        assert_eq!(ringress.get("a.test", "/").text(), "pod", "a headless Service has no address");
        ringress.apply("all.json", with("false", &address));
        assert_eq!(ringress.get("a.test", "/").text(), "pod");
    });
}
