//! Limits of a Service: what is beyond is refused at once, and what is within is not touched.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::{Connection, Response};
use crate::support::eventually;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{END_STREAM, headers};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{BlackHole, Next, Origin};
use crate::support::process::{Ringress, on_each_driver};
use crate::support::web::serving;

/// Answers each request once it is told to.
fn held() -> (Origin, SyncSender<()>) {
    let (go_on, wait): (_, Receiver<()>) = sync_channel(0);
    let wait = Arc::new(Mutex::new(wait));
    let origin = Origin::with(move |request, peer| {
        peer.read_body(request)?;
        wait.lock().expect("no panic").recv().map_err(std::io::Error::other)?;
        peer.answer(200, &[], b"held")?;
        Ok(Next::Keep)
    });
    (origin, go_on)
}

fn get(http: SocketAddr) -> Response {
    let mut client = Connection::plain(http).expect("connect");
    client.get("a.test", "/").expect("an answer")
}

#[test]
fn requests_beyond_the_limit_are_refused_at_once_and_those_within_are_served() {
    on_each_driver(|driver| {
        for (name, overflow) in [
            ("max-requests", "ringress_overflow_requests_total"),
            ("max-connections", "ringress_overflow_connections_total"),
        ] {
            let (origin, go_on) = held();
            let ringress = serving(driver, 1, &[origin.address], &[(name, "2")]);
            std::thread::scope(|scope| {
                let within: Vec<_> = (0..2).map(|_| scope.spawn(|| get(ringress.http).status)).collect();
                eventually("both are there", || origin.received().len() == 2);
                let began = Instant::now();
                assert_eq!(get(ringress.http).status, 503, "{name}");
                assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
                (0..2).for_each(|_| go_on.send(()).expect("a request that waits"));
                for request in within {
                    assert_eq!(request.join().expect("a client"), 200, "{name}");
                }
            });
            assert_eq!((origin.received().len(), ringress.metric(overflow)), (2, 1.0), "{name}");
            std::thread::scope(|scope| {
                let after = scope.spawn(|| get(ringress.http).status);
                go_on.send(()).expect("a request that waits");
                assert_eq!(after.join().expect("a client"), 200, "{name}: there is room again");
            });
        }
    });
}

#[test]
fn a_kept_connection_makes_room_for_one_to_another_endpoint() {
    on_each_driver(|driver| {
        let origins = [Origin::named("one"), Origin::named("two")];
        let addresses = origins.each_ref().map(|origin| origin.address);
        let ringress = serving(driver, 1, &addresses, &[("max-connections", "1")]);
        let names: Vec<_> = (0..10).map(|_| get(ringress.http).text()).collect();
        assert!(names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()), "{names:?}");
        assert_eq!(ringress.metric("ringress_overflow_connections_total"), 0.0);
    });
}

#[test]
fn requests_that_wait_for_a_connection_are_bounded() {
    on_each_driver(|driver| {
        let hole = BlackHole::new();
        let ringress = serving(driver, 1, &[hole.address], &[("max-pending-requests", "1"), ("retry-budget", "0")]);
        let statuses = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| get(ringress.http).status)).collect();
            let mut statuses: Vec<_> = asked.into_iter().map(|client| client.join().expect("a client")).collect();
            statuses.sort_unstable();
            statuses
        });
        assert_eq!(statuses, [503, 503, 503, 504]);
        assert_eq!(ringress.metric("ringress_overflow_pending_total"), 3.0);
    });
}

#[test]
fn a_lowered_limit_closes_as_many_kept_connections_as_it_takes() {
    on_each_driver(|driver| {
        let together = Barrier::new(4);
        let origin = Origin::with(move |request, peer| {
            if request.target == "/together" {
                together.wait();
            }
            peer.answer(200, &[], b"origin").map(|()| Next::Keep)
        });
        let other = Origin::named("other");
        let objects = |endpoints: &[SocketAddr], limit: &str| {
            let mut rule = ingress("a").prefix("a.test", "/", "web").build();
            rule["metadata"]["annotations"]["ringress.io/max-connections"] = json!(limit);
            file(service("web", endpoints).into_iter().chain([rule]))
        };
        let first = objects(&[origin.address], "4");
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", first).start();
        std::thread::scope(|scope| {
            let ask = || {
                let mut client = Connection::plain(ringress.http).expect("connect");
                assert_eq!(client.get("a.test", "/together").expect("an answer").status, 200);
            };
            (0..4).for_each(|_| drop(scope.spawn(ask)));
        });
        eventually("all are kept", || ringress.metric("ringress_upstream_idle") == 4.0);
        ringress.apply("all.json", objects(&[origin.address, other.address], "1"));
        let mut texts: Vec<_> = (0..2).map(|_| get(ringress.http).text()).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["origin", "other"]);
        assert_eq!(ringress.metric("ringress_overflow_connections_total"), 0.0);
    });
}

#[test]
fn what_a_live_http2_session_carries_neither_waits_nor_counts_as_a_connection() {
    on_each_driver(|driver| {
        let h2 = FrameOrigin::with(|peer, stream| peer.send(&headers(stream, END_STREAM, &[(":status", "204")])));
        let hole = BlackHole::new();
        let mut objects = service("web", &[h2.address, hole.address]);
        let rule = ingress("a").annotation("backend-protocol", "GRPC").annotation("proxy-next-upstream", "off");
        let mut rule = rule.annotation("proxy-connect-timeout", "1").prefix("a.test", "/", "web").build();
        for name in ["max-connections", "max-pending-requests"] {
            rule["metadata"]["annotations"][format!("ringress.io/{name}")] = json!("1");
        }
        objects.push(rule);
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        eventually("a session is there", || get(ringress.http).status == 204);
        let mut statuses = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| get(ringress.http).status)).collect();
            asked.into_iter().map(|client| client.join().expect("a client")).collect::<Vec<_>>()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 204, 204, 503, 503, 504]);
        assert_eq!((h2.connections(), ringress.metric("ringress_overflow_connections_total")), (1, 0.0));
    });
}

#[test]
fn an_error_backend_is_within_its_limits_too() {
    on_each_driver(|driver| {
        let (origin, (errors, go_on)) =
            (Origin::with(|_, peer| peer.answer(404, &[], b"own").map(|()| Next::Keep)), held());
        let mut objects = [service("web", &[origin.address]), service("errors", &[errors.address])].concat();
        let rule = ingress("a").annotation("default-backend", "errors").annotation("custom-http-errors", "404");
        let mut rule = rule.prefix("a.test", "/", "web").build();
        rule["metadata"]["annotations"]["ringress.io/max-connections"] = json!("1");
        let mut page = ingress("page").prefix("page.test", "/", "errors").build();
        page["metadata"]["annotations"]["ringress.io/max-connections"] = json!("1");
        objects.extend([rule, page]);
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| get(ringress.http).text());
            eventually("the page is asked for", || errors.received().len() == 1);
            let second = get(ringress.http);
            assert!(second.status == 404 && second.text() != "held", "the built-in page: {}", second.text());
            go_on.send(()).expect("a request that waits");
            assert_eq!(first.join().expect("a client"), "held");
        });
        assert_eq!((errors.received().len(), ringress.metric("ringress_overflow_connections_total")), (1, 1.0));
    });
}
