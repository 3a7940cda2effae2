//! Answers of external authentication that are kept.

use std::io;

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// Answers with the status that Authorization names, and says how often it was asked.
fn authority() -> Origin {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Origin::with(move |request, peer| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string();
        let wanted = request.header("authorization").unwrap_or("200").to_owned();
        let status = wanted.get(..3).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut fields = vec![("X-Number", number.as_str())];
        match wanted.get(4..) {
            Some("cookie") => fields.push(("Set-Cookie", "a=1")),
            Some("private") => fields.push(("Cache-Control", "private, max-age=60")),
            _ => {}
        }
        peer.answer(status, &fields, b"")?;
        Ok(Next::Close)
    })
}

struct Site {
    ringress: Ringress,
    origin: Origin,
}

impl Site {
    fn new(driver: Driver, annotations: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        Self::of_workers(driver, 1, annotations, settings)
    }

    fn of_workers(driver: Driver, workers: usize, annotations: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        let origin = Origin::named("one");
        let web = annotations.iter().fold(ingress("web"), |web, (name, value)| web.annotation(name, value));
        let mut all = service("one", &[origin.address]);
        all.extend([web.prefix("a.test", "/", "one").prefix("b.test", "/", "one").build(), options(settings)]);
        let ringress = Ringress::on(driver).workers(workers).manifest("all.json", file(all));
        let ringress = ringress.flag("--configmap=default/options").start();
        Self { ringress, origin }
    }

    fn status(&self, host: &str, authorization: &str) -> u16 {
        let mut connection = Connection::plain(self.ringress.http).expect("connect");
        let fields = [("Authorization", authorization)];
        connection.request("GET", host, "/", &fields, b"").expect("an answer").status
    }

    /// Which answer of the authority the last request of the upstream came with.
    fn number(&self) -> Option<String> {
        self.origin.received().last()?.header("x-number").map(str::to_owned)
    }
}

#[test]
fn a_kept_answer_decides_alike_requests_of_the_same_host_only() {
    on_each_driver(|driver| {
        let authority = authority();
        let url = format!("http://{}/check", authority.address);
        let key = ("auth-cache-key", "$http_authorization");
        let site = Site::new(driver, &[("auth-url", &url), key, ("auth-response-headers", "X-Number")], &[]);
        for _ in 0..3 {
            assert_eq!(site.status("a.test", "200 ann"), 200);
            assert_eq!(site.number().as_deref(), Some("0"), "what a kept answer says goes on as well");
        }
        assert_eq!(authority.received().len(), 1);
        assert_eq!(site.status("a.test", "200 bob"), 200);
        assert_eq!(site.number().as_deref(), Some("1"));
        assert_eq!(site.status("b.test", "200 ann"), 200);
        assert_eq!(authority.received().len(), 3);
        // Refusals: 401 is kept where nothing is said, 403 is not.
        let asked = |authorization: &str, expected: u16| {
            let before = authority.received().len();
            assert_eq!([(); 2].map(|()| site.status("a.test", authorization)), [expected; 2]);
            authority.received().len() - before
        };
        assert_eq!((asked("401", 401), asked("403", 403)), (1, 2));
        // Neither is what is one client's, nor what failed.
        assert_eq!((asked("200 cookie", 200), asked("200 private", 200), asked("500", 500)), (2, 2, 2));
    });
}

#[test]
fn what_one_core_was_told_holds_for_all() {
    on_each_driver(|driver| {
        let authority = authority();
        let url = format!("http://{}/check", authority.address);
        let annotations = [("auth-url", url.as_str()), ("auth-cache-key", "$http_authorization")];
        let site = Site::of_workers(driver, 3, &annotations, &[]);
        // Connections go to any core: 30 miss one of three once in 200,000 times.
        for status in [200, 401] {
            for _ in 0..30 {
                assert_eq!(site.status("a.test", &status.to_string()), status);
            }
        }
        assert_eq!(authority.received().len(), 2);
    });
}

#[test]
fn an_answer_is_kept_for_its_time() {
    on_each_driver(|driver| {
        let authority = authority();
        let url = format!("http://{}/check", authority.address);
        let duration = ("auth-cache-duration", "403 1h, 200 1s");
        let site = Site::new(driver, &[("auth-url", &url), ("auth-cache-key", "$http_authorization"), duration], &[]);
        assert_eq!([(); 2].map(|()| site.status("a.test", "403")), [403; 2]);
        assert_eq!(authority.received().len(), 1);
        assert_eq!(site.status("a.test", "200"), 200);
        eventually("the service is asked again", || {
            assert_eq!(site.status("a.test", "200"), 200);
            authority.received().len() > 2
        });
    });
}

#[test]
fn the_keys_of_the_config_map_act_on_the_global_service() {
    on_each_driver(|driver| {
        let authority = authority();
        let url = format!("http://{}/check", authority.address);
        let keys = [("global-auth-url", url.as_str()), ("global-auth-cache-key", "$remote_addr")];
        let site = Site::new(driver, &[], &keys);
        assert_eq!([site.status("a.test", "200"), site.status("a.test", "401")], [200, 200]);
        assert_eq!(authority.received().len(), 1);
        let bad = [keys[0], keys[1], ("global-auth-cache-duration", "200 5x")];
        assert_eq!(Site::new(driver, &[], &bad).status("a.test", "200"), 503);
    });
}

#[test]
fn a_failure_to_ask_is_not_kept() {
    on_each_driver(|driver| {
        // The service breaks off without an answer at first.
        let is_first = std::sync::atomic::AtomicBool::new(true);
        let authority = Origin::with(move |_, peer| {
            if !is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                peer.answer(200, &[], b"")?;
            }
            Ok(Next::Close)
        });
        let url = format!("http://{}/check", authority.address);
        let annotations = [("auth-url", url.as_str()), ("auth-cache-key", "x"), ("auth-cache-duration", "any 1h")];
        let site = Site::new(driver, &annotations, &[]);
        assert_eq!([site.status("a.test", "x"), site.status("a.test", "x")], [500, 200]);
    });
}

#[test]
fn a_duration_that_cannot_be_read_refuses_and_a_key_that_cannot_be_read_keeps_nothing() {
    on_each_driver(|driver| {
        let authority = authority();
        let url = format!("http://{}/check", authority.address);
        let bad = [("auth-url", url.as_str()), ("auth-cache-key", "$nothing")];
        let site = Site::new(driver, &bad, &[]);
        assert_eq!([site.status("a.test", "200"), site.status("a.test", "200")], [200; 2]);
        assert_eq!(authority.received().len(), 2);
        let status = site.ringress.status();
        let named =
            |finding: &serde_json::Value| finding["field"].as_str().is_some_and(|f| f.contains("auth-cache-key"));
        assert!(status["rejected"].as_array().expect("a list").iter().any(named));
        let bad = [("auth-url", url.as_str()), ("auth-cache-duration", "200 5x")];
        assert_eq!(Site::new(driver, &bad, &[]).status("a.test", "200"), 503);
    });
}
