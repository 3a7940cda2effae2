//! A second try beside a late first one, and the bound of each try.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{END_STREAM, headers};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

fn serving(driver: Driver, endpoints: &[SocketAddr], own: &[(&str, &str)]) -> Ringress {
    let mut objects = service("web", endpoints);
    let mut rule = ingress("a").prefix("a.test", "/", "web").build();
    for (name, value) in own {
        let name = if name.contains('/') { (*name).to_owned() } else { format!("ringress.io/{name}") };
        rule["metadata"]["annotations"][name] = json!(value);
    }
    objects.push(rule);
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

/// Says nothing for so long, then its name, unless the connection is closed before, which it counts.
fn slow(name: &'static str, after: Duration, cancelled: &Arc<AtomicUsize>) -> Origin {
    let cancelled = Arc::clone(cancelled);
    Origin::with(move |request, peer| {
        peer.read_body(request)?;
        if peer.is_closed_within(after)? {
            cancelled.fetch_add(1, Ordering::SeqCst);
            return Ok(Next::Close);
        }
        peer.answer(200, &[], name.as_bytes())?;
        Ok(Next::Keep)
    })
}

#[test]
fn a_late_endpoint_is_outrun_by_another_and_its_connection_is_closed() {
    on_each_driver(|driver| {
        let cancelled = Arc::<AtomicUsize>::default();
        let (slow, quick) = (slow("slow", Duration::from_secs(9), &cancelled), Origin::named("quick"));
        let ringress = serving(driver, &[slow.address, quick.address], &[("hedge-after", "1s")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        for turn in 0..10 {
            let method = if turn % 2 == 0 { "GET" } else { "OPTIONS" };
            let began = Instant::now();
            let answer = client.request(method, "a.test", "/", &[], b"").expect("an answer");
            assert_eq!((answer.status, answer.text().as_str()), (200, "quick"), "{turn}");
            assert!(began.elapsed() < Duration::from_secs(8), "{turn}: {:?}", began.elapsed());
        }
        let late = slow.received().len();
        eventually("they are cancelled", || cancelled.load(Ordering::SeqCst) == late);
        let [hedges, won] = ["ringress_hedges_total", "ringress_hedges_won_total"].map(|name| ringress.metric(name));
        // On a busy machine the quick one may be late as well.
        assert!(won >= 4.0 && won <= hedges && hedges == late as f64, "{won} of {hedges} won, {late} were late");
    });
}

#[test]
fn a_status_that_asks_for_another_try_does_so_beside_hedging() {
    on_each_driver(|driver| {
        let failing = Origin::with(|_, peer| peer.answer(503, &[], b"").map(|()| Next::Keep));
        let sound = Origin::named("sound");
        let conditions = ("nginx.ingress.kubernetes.io/proxy-next-upstream", "http_503");
        let ringress = serving(driver, &[failing.address, sound.address], &[("hedge-after", "30s"), conditions]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        for _ in 0..4 {
            assert_eq!(client.get("a.test", "/").expect("an answer").text(), "sound");
        }
        assert!(!failing.received().is_empty(), "it was asked first at times");
    });
}

#[test]
fn a_client_that_leaves_ends_both_tries() {
    on_each_driver(|driver| {
        let cancelled = Arc::<AtomicUsize>::default();
        let origins = ["one", "two"].map(|name| slow(name, Duration::from_secs(8), &cancelled));
        let addresses = origins.each_ref().map(|origin| origin.address);
        let ringress = serving(driver, &addresses, &[("hedge-after", "50ms")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        eventually("both are asked", || origins.iter().all(|origin| origin.received().len() == 1));
        drop(client);
        eventually("both are cancelled", || cancelled.load(Ordering::SeqCst) == 2);
    });
}

#[test]
fn what_may_not_be_asked_twice_is_not() {
    on_each_driver(|driver| {
        let cancelled = Arc::<AtomicUsize>::default();
        let origins = ["one", "two"].map(|name| slow(name, Duration::from_millis(300), &cancelled));
        let addresses = origins.each_ref().map(|origin| origin.address);
        let ringress = serving(driver, &addresses, &[("hedge-after", "20ms")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let asked = [("POST", &b"pay"[..]), ("DELETE", b""), ("GET", b"body"), ("PUT", b"")];
        for (method, body) in asked {
            assert_eq!(client.request(method, "a.test", "/", &[], body).expect("an answer").status, 200, "{method}");
        }
        let received: usize = origins.iter().map(|origin| origin.received().len()).sum();
        assert_eq!((received, cancelled.load(Ordering::SeqCst)), (asked.len(), 0));
        // A cookie holds its client, and one that is new is given to the endpoint that answers.
        let affinity = ("nginx.ingress.kubernetes.io/affinity", "cookie");
        let ringress = serving(driver, &addresses, &[("hedge-after", "20ms"), affinity]);
        assert_eq!(ringress.get("a.test", "/").status, 200);
        assert_eq!(cancelled.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn when_the_first_fails_the_second_is_waited_for_and_when_both_do_it_goes_on_as_ever() {
    on_each_driver(|driver| {
        let failing = || {
            Origin::with(|_, peer| {
                let _closed = peer.is_closed_within(Duration::from_millis(300))?;
                Ok(Next::Close)
            })
        };
        let (bad, good) = (failing(), slow("good", Duration::from_millis(600), &Arc::default()));
        let ringress = serving(driver, &[bad.address, good.address], &[("hedge-after", "50ms")]);
        for turn in 0..6 {
            assert_eq!(ringress.get("a.test", "/").text(), "good", "{turn}");
        }
        let (one, two) = (failing(), failing());
        let ringress = serving(driver, &[one.address, two.address], &[("hedge-after", "50ms")]);
        assert_eq!(ringress.get("a.test", "/").status, 502);
        let received = one.received().len() + two.received().len();
        assert!((3..=4).contains(&received), "three attempts, and a second beside one: {received}");
    });
}

#[test]
fn second_tries_do_not_double_an_outage() {
    on_each_driver(|driver| {
        let late = Duration::from_millis(150);
        let origins = ["one", "two"].map(|name| slow(name, late, &Arc::default()));
        let addresses = origins.each_ref().map(|origin| origin.address);
        let ringress = serving(driver, &addresses, &[("hedge-after", "20ms"), ("retry-budget", "0")]);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let mut client = Connection::plain(ringress.http).expect("connect");
                    (0..15).for_each(|_| assert_eq!(client.get("a.test", "/").expect("an answer").status, 200));
                });
            }
        });
        let received: usize = origins.iter().map(|origin| origin.received().len()).sum();
        // The requests, the reserve and what came back to it.
        let allowed = 300 + 10 + 10 * (began.elapsed().as_secs() as usize + 1);
        assert!((310..=allowed).contains(&received), "{received} attempts, {allowed} allowed");
        assert!(ringress.metric("ringress_retries_unpaid_total") > 0.0);
    });
}

#[test]
fn a_try_ends_after_its_time_however_often_its_endpoint_says_a_little() {
    on_each_driver(|driver| {
        let dribbling = Origin::with(|_, peer| {
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: ".iter().chain(std::iter::repeat_n(&b'x', 100)) {
                peer.send(&[*byte])?;
                if peer.is_closed_within(Duration::from_millis(100))? {
                    break;
                }
            }
            Ok(Next::Close)
        });
        let good = Origin::named("good");
        let ringress = serving(driver, &[dribbling.address, good.address], &[("per-try-timeout", "500ms")]);
        for turn in 0..4 {
            let began = Instant::now();
            assert_eq!(ringress.get("a.test", "/").text(), "good", "{turn}");
            assert!(began.elapsed() < Duration::from_secs(8), "{turn}: {:?}", began.elapsed());
        }
        assert!(!dribbling.received().is_empty());
        let ringress = serving(driver, &[dribbling.address], &[("per-try-timeout", "500ms"), ("retry-budget", "0")]);
        let began = Instant::now();
        assert_eq!(ringress.get("a.test", "/").status, 504, "tried three times, each for its time");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1400) && took < Duration::from_secs(6), "{took:?}");
    });
}

#[test]
fn a_try_that_failed_does_not_keep_its_connection_from_the_next() {
    on_each_driver(|driver| {
        let turns = AtomicUsize::default();
        let origin = Origin::with(move |request, peer| {
            peer.read_body(request)?;
            if turns.fetch_add(1, Ordering::SeqCst) == 0 {
                return Ok(Next::Close);
            }
            peer.answer(200, &[], b"second")?;
            Ok(Next::Keep)
        });
        let ringress = serving(driver, &[origin.address], &[("hedge-after", "5s"), ("max-connections", "1")]);
        assert_eq!(ringress.get("a.test", "/").text(), "second");
    });
}

#[test]
fn an_endpoint_that_hangs_is_ejected_though_others_outrun_it() {
    on_each_driver(|driver| {
        let cancelled = Arc::<AtomicUsize>::default();
        let (hung, quick) = (slow("hung", Duration::from_secs(60), &cancelled), Origin::named("quick"));
        let own = [("hedge-after", "100ms"), ("max-fails", "2")];
        let ringress = serving(driver, &[hung.address, quick.address], &own);
        for turn in 0..20 {
            assert_eq!(ringress.get("a.test", "/").text(), "quick", "{turn}");
        }
        assert_eq!(ringress.metric("ringress_endpoint_ejections_total"), 1.0);
        eventually("all that it was asked is there", || hung.received().len() >= 4);
        let asked = hung.received().len();
        assert!(asked <= 6, "{asked} of 20: four eject it, and few come as second tries after that");
    });
}

#[test]
fn a_try_whose_body_is_streamed_has_its_time_from_the_end_of_the_body() {
    on_each_driver(|driver| {
        let silent = Origin::with(|request, peer| {
            peer.read_body(request)?;
            let _closed = peer.is_closed_within(Duration::from_secs(20))?;
            Ok(Next::Close)
        });
        let streamed = ("nginx.ingress.kubernetes.io/proxy-request-buffering", "off");
        let ringress = serving(driver, &[silent.address], &[("per-try-timeout", "500ms"), streamed]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let began = Instant::now();
        let answer = client.request("POST", "a.test", "/", &[], &vec![b'x'; 500_000]).expect("an answer");
        let took = began.elapsed();
        assert_eq!(answer.status, 504);
        assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(6), "{took:?}");
    });
}

#[test]
fn a_try_that_is_late_ends_a_shared_session_only_when_nothing_was_heard_on_it() {
    on_each_driver(|driver| {
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        // On each connection the first stream and the fourth are never answered.
        let h2 = FrameOrigin::with(move |peer, stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            match stream {
                1 | 7 => Ok(()),
                _ => peer.send(&headers(stream, END_STREAM, &[(":status", "204")])),
            }
        });
        let own = [
            ("per-try-timeout", "1s"),
            ("nginx.ingress.kubernetes.io/backend-protocol", "GRPC"),
            ("nginx.ingress.kubernetes.io/proxy-next-upstream", "off"),
        ];
        let ringress = serving(driver, &[h2.address], &own);
        let http = ringress.http;
        let get = || Connection::plain(http).expect("connect").get("a.test", "/").expect("an answer").status;
        std::thread::scope(|scope| {
            let late = scope.spawn(get);
            eventually("the first is asked", || asked.load(Ordering::SeqCst) == 1);
            assert_eq!(get(), 204);
            assert_eq!(late.join().expect("a client"), 504);
        });
        assert_eq!((get(), h2.connections()), (204, 1), "others were answered on it");
        assert_eq!((get(), h2.connections()), (504, 1));
        assert_eq!((get(), h2.connections()), (504, 2), "a session on which nothing was heard is not used again");
    });
}
