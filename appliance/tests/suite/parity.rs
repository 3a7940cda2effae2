//! Where this is held to what ingress-nginx does, and where it says that it does otherwise.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::certificates::Certificate;
use crate::support::client::{Connection, Response};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver, run};

fn asked(ringress: &Ringress, host: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let mut client = Connection::plain(ringress.http).expect("connect");
    client.request("GET", host, target, headers, b"").expect("an answer")
}

#[test]
fn redirects_name_the_scheme_of_the_connection_unless_the_reference_has_the_believed_one() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(options(&[("use-forwarded-headers", "true"), ("proxy-set-headers", "default/more")]));
        all.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", "namespace": "default"},
            "data": {"X-Own": "$scheme", "X-Believed": "$pass_access_scheme"}}));
        let a = ingress("a").prefix("a.test", "/app/", "one").prefix("a.test", "/", "one").without_redirect();
        all.push(a.annotation("app-root", "/app/").annotation("from-to-www-redirect", "true").build());
        let moved = ingress("m").prefix("m.test", "/", "one").annotation("permanent-redirect", "/new");
        all.push(moved.build());
        let ringress = Ringress::on(driver).flag("--configmap=default/options").manifest("all.json", file(all)).start();
        let ended_before = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")];
        let location = |host: &str, target: &str| {
            let answer = asked(&ringress, host, target, &ended_before);
            (answer.status, answer.header("location").unwrap_or_default().to_owned())
        };
        assert_eq!(location("a.test:8080", "/"), (302, "http://a.test:8080/app/".into()));
        assert_eq!(location("a.test:8080", "/app?q"), (301, "http://a.test/app/?q".into()));
        assert_eq!(location("m.test:8080", "/x"), (301, "http://m.test/new".into()));
        assert_eq!(location("www.a.test", "/x/"), (308, "https://a.test:443/x".into()));
        assert_eq!(asked(&ringress, "a.test", "/x", &ended_before).status, 200);
        let received = origin.received();
        let told = |name: &str| received.last().and_then(|request| request.header(name).map(str::to_owned));
        assert_eq!((told("x-own"), told("x-believed")), (Some("http".into()), Some("https".into())));
    });
}

/// Answers, but ends the connection of the second request that comes with the same path without a word, once.
fn ending_once() -> Origin {
    let ended = Mutex::new(HashSet::new());
    Origin::with(move |request, peer| {
        peer.read_body(request)?;
        if request.target != "/first" && ended.lock().expect("no test panics here").insert(request.target.clone()) {
            return Ok(Next::Close);
        }
        peer.answer(200, &[], b"answered")?;
        Ok(Next::Keep)
    })
}

#[test]
fn a_kept_connection_that_has_ended_is_no_try_and_a_post_is_never_sent_again() {
    on_each_driver(|driver| {
        let origin = ending_once();
        let mut all = service("one", &[origin.address]);
        all.push(ingress("web").prefix("a.test", "/", "one").annotation("proxy-next-upstream", "off").build());
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(all)).start();
        let mut client = Connection::plain(ringress.http).expect("connect");
        let mut ask = |method: &str, target: &str, body: &[u8]| {
            client.request(method, "a.test", target, &[], body).expect("an answer").status
        };
        let count = |target: &str| origin.received().iter().filter(|request| request.target == target).count();
        assert_eq!(ask("GET", "/first", b""), 200);
        assert_eq!((ask("GET", "/get", b""), count("/get"), origin.connections()), (200, 2, 2));
        assert_eq!((ask("POST", "/post", b"once"), count("/post")), (502, 1));
        // Nothing is kept now: on a fresh connection `off` means what it says.
        assert_eq!((ask("GET", "/fresh", b""), count("/fresh")), (502, 1));
    });
}

/// The messages about a field of an object in `/api/status`, with their severities.
fn findings<'s>(status: &'s Value, name: &str, field: &str) -> Vec<(&'s str, &'s str)> {
    let all = status["rejected"].as_array().expect("a list").iter();
    let of = all.filter(|f| {
        f["object"] == format!("Ingress default/{name}") && f["field"].as_str().is_some_and(|f| f.ends_with(field))
    });
    of.map(|f| (f["severity"].as_str().unwrap_or(""), f["message"].as_str().unwrap_or(""))).collect()
}

#[test]
fn what_a_canary_says_beside_its_rules_has_no_effect_and_is_told() {
    on_each_driver(|driver| {
        let origins = [Origin::named("main"), Origin::named("canary")];
        let mut all = [service("main", &[origins[0].address]), service("canary", &[origins[1].address])].concat();
        all.push(ingress("main").prefix("a.test", "/", "main").annotation("app-root", "/start").build());
        let canary = ingress("canary").prefix("a.test", "/", "canary").tls("a.test", "none");
        let canary = canary.annotation("canary", "true").annotation("canary-weight", "100");
        let canary = canary.annotation("permanent-redirect", "/gone").annotation("load-balance", "ewma");
        all.push(canary.annotation("denylist-source-range", "0.0.0.0/0").default_backend("canary").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let answer = ringress.get("a.test", "/x");
        assert_eq!((answer.status, answer.text()), (200, "canary".into()));
        assert_eq!(ringress.get("a.test", "/").status, 302);
        let status = ringress.status();
        for (field, severity) in [
            ("/permanent-redirect", "info"),
            ("/denylist-source-range", "info"),
            ("spec.tls", "info"),
            ("spec.defaultBackend", "warning"),
        ] {
            let told = findings(&status, "canary", field);
            assert!(matches!(told[..], [(s, m)] if s == severity && m.contains("canary")), "{field}: {told:?}");
        }
        for acting in ["/canary-weight", "/load-balance"] {
            assert_eq!(findings(&status, "canary", acting), []);
        }
    });
}

#[test]
fn a_host_that_no_entry_of_its_tls_names_stays_plain_and_is_told() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.push(Certificate::for_names(&["a.test", "also.test"]).secret("cert"));
        let web = ingress("web").tls("a.test", "cert");
        all.push(["a.test", "also.test", "b.test"].iter().fold(web, |web, host| web.prefix(host, "/", "one")).build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all.clone())).start();
        let status = |host: &str| ringress.get(host, "/x").status;
        assert_eq!((status("a.test"), status("also.test"), status("b.test")), (308, 308, 200));
        let told = ringress.status();
        let told = findings(&told, "web", "spec.tls");
        assert!(
            matches!(told[..], [("warning", m)] if m.contains("b.test") && m.contains("in ingress-nginx")),
            "{told:?}"
        );
        let (code, report, _) = run([Path::new("report"), ringress.manifests()]);
        assert_eq!(code, Some(0));
        assert!(report.contains("also.test b.test]: differs"), "{report}");
    });
}
