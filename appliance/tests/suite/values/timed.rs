//! Options of time, tries and connections: by annotation and by the key of the same name.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::effects::Pairs;
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::frames::{Frames, SETTINGS};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{BlackHole, Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver, own_address};

const HOST: &str = "a.test";

/// One worker in front of this address, under these annotations and keys.
fn serving(driver: Driver, to: SocketAddr, annotations: &[(&str, &str)], keys: &[(&str, &str)]) -> Ringress {
    let web = annotations.iter().fold(ingress("web"), |web, (name, value)| web.annotation(name, value));
    let mut all = service("one", &[to]);
    all.extend([web.prefix(HOST, "/", "one").build(), options(keys)]);
    Ringress::on(driver).workers(1).manifest("all.json", file(all)).flag("--configmap=default/options").start()
}

/// Runs a check under the options as annotations and as keys, side by side.
fn either_way(driver: Driver, to: SocketAddr, with: Pairs, check: impl Fn(&Ringress) + Sync) {
    thread::scope(|scope| {
        scope.spawn(|| check(&serving(driver, to, with, &[])));
        scope.spawn(|| check(&serving(driver, to, &[], with)));
    });
}

/// Status of a request and how long it took.
fn timed(ringress: &Ringress, method: &str) -> (u16, Duration) {
    let start = Instant::now();
    let answer = client::once(ringress.http, method, HOST, "/");
    (answer.status, start.elapsed())
}

/// The longest that a test allows where an option says one second and the default is at least five.
const BELOW_DEFAULT: Duration = Duration::from_millis(4500);
const ONCE: (&str, &str) = ("proxy-next-upstream-tries", "1");

/// Takes requests and never answers.
fn silent() -> Origin {
    Origin::with(|_, peer| {
        peer.receive(&mut [0])?;
        Ok(Next::Close)
    })
}

/// Takes requests and ends their connections.
fn closing() -> Origin {
    Origin::with(|request, peer| {
        peer.read_body(request)?;
        Ok(Next::Close)
    })
}

#[test]
fn a_connection_that_is_not_made_in_time_is_504() {
    on_each_driver(|driver| {
        let hole = BlackHole::new();
        either_way(driver, hole.address, &[ONCE, ("proxy-connect-timeout", "1")], |ringress| {
            let (status, took) = timed(ringress, "GET");
            assert!(status == 504 && took < BELOW_DEFAULT, "{status} after {took:?}");
        });
    });
}

#[test]
fn an_answer_that_does_not_begin_in_time_is_504() {
    on_each_driver(|driver| {
        let origin = silent();
        either_way(driver, origin.address, &[ONCE, ("proxy-read-timeout", "1")], |ringress| {
            let (status, took) = timed(ringress, "GET");
            assert!(status == 504 && took < BELOW_DEFAULT, "{status} after {took:?}");
        });
        // All tries together have a time too.
        let with: Pairs =
            &[("proxy-next-upstream-tries", "20"), ("proxy-read-timeout", "1"), ("proxy-next-upstream-timeout", "2")];
        either_way(driver, origin.address, with, |ringress| {
            let (status, took) = timed(ringress, "GET");
            assert!(
                status == 504 && took > Duration::from_millis(1500) && took < BELOW_DEFAULT,
                "{status} after {took:?}"
            );
        });
    });
}

#[test]
fn an_upstream_that_stops_reading_is_504() {
    on_each_driver(|driver| {
        let listener = TcpListener::bind((own_address(), 0)).expect("listen");
        let with: Pairs =
            &[ONCE, ("proxy-send-timeout", "1"), ("proxy-request-buffering", "off"), ("proxy-body-size", "0")];
        either_way(driver, listener.local_addr().expect("its address"), with, |ringress| {
            let start = Instant::now();
            let mut reading = Connection::plain(ringress.http).expect("connect");
            let mut writing = reading.socket().try_clone().expect("a second handle");
            let sender = thread::spawn(move || {
                let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30);
                writing.write_all(head.as_bytes())?;
                // More than the buffers of all sockets on the way.
                (0..64).try_for_each(|_| writing.write_all(&[b'x'; 1 << 20]))
            });
            let status = reading.response(false).expect("an answer").status;
            assert!(status == 504 && start.elapsed() < Duration::from_secs(9), "{status} after {:?}", start.elapsed());
            drop(reading);
            // It is cut off, which is what is wanted.
            let _cut: io::Result<()> = sender.join().expect("no panic");
        });
    });
}

/// Requests that reached the origin for one that failed.
fn attempts(driver: Driver, method: &str, with: Pairs, keys: Pairs) -> usize {
    let origin = closing();
    let ringress = serving(driver, origin.address, with, keys);
    assert_eq!(timed(&ringress, method).0, 502);
    origin.received().len()
}

#[test]
fn failures_are_tried_again_as_often_as_is_said() {
    on_each_driver(|driver| {
        assert_eq!(attempts(driver, "GET", &[], &[]), 3);
        assert_eq!(attempts(driver, "POST", &[], &[]), 1);
        for with in [&[("proxy-next-upstream", "off")], &[("proxy-next-upstream", "timeout")], &[ONCE]] {
            assert_eq!((attempts(driver, "GET", with, &[]), attempts(driver, "GET", &[], with)), (1, 1), "{with:?}");
        }
        let twice: Pairs = &[("proxy-next-upstream-tries", "2")];
        assert_eq!((attempts(driver, "GET", twice, &[]), attempts(driver, "GET", &[], twice)), (2, 2));
        // Of one endpoint alone, no request takes what is there for all to be tried again.
        let endless: Pairs = &[("proxy-next-upstream-tries", "0")];
        assert_eq!((attempts(driver, "GET", endless, &[]), attempts(driver, "GET", &[], endless)), (3, 3));
        assert_eq!(attempts(driver, "POST", &[], &[("retry-non-idempotent", "true")]), 3);
        assert_eq!(attempts(driver, "POST", &[("proxy-next-upstream", "error non_idempotent")], &[]), 3);
    });
}

/// Who answers first answers this; everybody else after it, `good`.
fn once_bad(answer: &'static [u8]) -> [Origin; 2] {
    let asked = Arc::new(AtomicBool::new(false));
    [(); 2].map(|()| {
        let asked = Arc::clone(&asked);
        Origin::with(move |request, peer| {
            peer.read_body(request)?;
            match asked.swap(true, Ordering::SeqCst) {
                true => peer.answer(200, &[], b"good")?,
                false => peer.send(answer)?,
            }
            Ok(Next::Keep)
        })
    })
}

#[test]
fn answers_are_tried_again_where_their_kind_is_named() {
    const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    on_each_driver(|driver| {
        let asked = |answer, method: &str, conditions: &str| {
            let origins = once_bad(answer);
            let mut all = service("one", &origins.each_ref().map(|origin| origin.address));
            let web = ingress("web").annotation("proxy-next-upstream", conditions);
            all.push(web.prefix(HOST, "/", "one").build());
            let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(all)).start();
            let answer = client::once(ringress.http, method, HOST, "/");
            (answer.status, answer.text(), origins.iter().map(|origin| origin.received().len()).max())
        };
        let good = (200, "good".to_owned(), Some(1));
        assert_eq!(asked(BUSY, "GET", "error http_503"), good, "by the other endpoint");
        assert_eq!(asked(BUSY, "POST", "error http_503 non_idempotent"), good);
        let busy = (503, "busy".to_owned(), Some(1));
        for (method, conditions) in [("GET", "error timeout"), ("GET", "error http_502"), ("POST", "http_503")] {
            assert_eq!(asked(BUSY, method, conditions), busy, "{method} {conditions}");
        }
        assert_eq!(asked(b"nonsense\r\n\r\n", "GET", "invalid_header"), good);
        assert_eq!(asked(b"nonsense\r\n\r\n", "GET", "error timeout").0, 502);
        // The last one is relayed as it is.
        let origin = Origin::with(|_, peer| {
            peer.answer(503, &[("X-Own", "1")], b"busy")?;
            Ok(Next::Keep)
        });
        let ringress = serving(driver, origin.address, &[("proxy-next-upstream", "http_503")], &[]);
        let answer = ringress.get(HOST, "/");
        assert_eq!((answer.status, answer.header("x-own"), origin.received().len()), (503, Some("1"), 3));
    });
}

/// How many connections two requests of one client need.
fn upstream_connections(driver: Driver, keys: Pairs) -> usize {
    let origin = Origin::named("one");
    let ringress = serving(driver, origin.address, &[], keys);
    let mut client = Connection::plain(ringress.http).expect("connect");
    for _ in 0..2 {
        assert_eq!(client.get(HOST, "/").expect("an answer").status, 200);
    }
    origin.connections()
}

#[test]
fn upstream_connections_are_kept_as_the_keys_say() {
    on_each_driver(|driver| {
        assert_eq!(upstream_connections(driver, &[]), 1);
        assert_eq!(upstream_connections(driver, &[("upstream-keepalive-connections", "0")]), 2);
        assert_eq!(upstream_connections(driver, &[("upstream-keepalive-requests", "1")]), 2);
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let origin = Origin::with(move |_, peer| {
            peer.answer(200, &[], b"")?;
            seen.store(peer.is_closed_within(Duration::from_secs(8))?, Ordering::SeqCst);
            Ok(Next::Close)
        });
        let ringress = serving(driver, origin.address, &[], &[("upstream-keepalive-timeout", "1")]);
        assert_eq!(ringress.get(HOST, "/").status, 200);
        eventually("an idle connection ends", || ended.load(Ordering::SeqCst));
    });
}

/// Status of a request with these bytes behind the request line, or of that line.
fn status_of(ringress: &Ringress, head: &str) -> u16 {
    let mut client = Connection::plain(ringress.http).expect("connect");
    client.send(head.as_bytes()).expect("send");
    client.response(false).expect("an answer").status
}

#[test]
fn clients_are_held_to_what_the_keys_say() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let with = |keys| serving(driver, origin.address, &[("limit-connections", "1")], keys);
        let long = "x".repeat(1500);
        let (line, field) = (
            format!("GET /{long} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {long}\r\n\r\n"),
        );
        let ringress = with(&[]);
        assert_eq!((status_of(&ringress, &line), status_of(&ringress, &field)), (200, 200));
        let ringress = with(&[
            ("large-client-header-buffers", "2 1k"),
            ("client-header-timeout", "1"),
            ("keep-alive", "0"),
            ("limit-conn-status-code", "429"),
            ("http2-max-concurrent-streams", "7"),
        ]);
        assert_eq!((status_of(&ringress, &line), status_of(&ringress, &field)), (414, 431));
        let mut client = Connection::plain(ringress.http).expect("connect");
        assert!(client.get(HOST, "/").expect("an answer").closes(), "keep-alive is off");
        let mut slow = Connection::plain(ringress.http).expect("connect");
        let (start, head) = (Instant::now(), format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n"));
        slow.send(head.as_bytes()).expect("send");
        let ended = slow.response(false).map_or(true, |answer| answer.status == 408);
        assert!(ended && start.elapsed() < Duration::from_secs(9), "after {:?}", start.elapsed());
        // One request is on its way while its body is waited for; another is one too many.
        let mut first = Connection::plain(ringress.http).expect("connect");
        let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\n\r\n");
        first.send(head.as_bytes()).expect("send");
        eventually("a second request is refused", || ringress.get(HOST, "/").status == 429);
        first.send(b"x").expect("send");
        assert_eq!(first.response(false).expect("an answer").status, 200);
        let mut frames = Frames::open(ringress.https);
        let settings = frames.wait(|frame| frame.kind == SETTINGS).expect("SETTINGS");
        assert!(settings.payload.chunks(6).any(|pair| *pair == [0, 3, 0, 0, 0, 7]), "{settings:?}");
    });
}

#[test]
fn protocols_of_clients_are_those_of_the_keys() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let offered = |keys| {
            let ringress = serving(driver, origin.address, &[], keys);
            client::h2_session(ringress.https).is_ok_and(|session| session.conn.alpn_protocol() == Some(b"h2"))
        };
        assert!(offered(&[]) && !offered(&[("use-http2", "false")]));
        let resumed = |keys| {
            let ringress = serving(driver, origin.address, &[], keys);
            let config = client::tls_config_that_resumes(&[&rustls::version::TLS12]);
            let connect = || {
                let mut connection =
                    Connection::tls_by(ringress.https, Some(HOST), config.clone()).expect("a handshake");
                assert_eq!(connection.get(HOST, "/").expect("an answer").status, 200);
                connection.is_resumed()
            };
            !connect() && connect()
        };
        assert!(resumed(&[("ssl-session-cache", "false"), ("ssl-session-tickets", "true")]));
        assert!(!resumed(&[("ssl-session-cache", "false")]));
    });
}

#[test]
fn a_drain_takes_no_longer_than_the_key_says() {
    on_each_driver(|driver| {
        let origin = silent();
        let mut ringress = serving(driver, origin.address, &[], &[("worker-shutdown-timeout", "1s")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).expect("send");
        eventually("a request runs", || !origin.received().is_empty());
        ringress.signal(Signal::TERM);
        eventually("the process ends", || ringress.ended().is_some());
    });
}

#[test]
fn lines_of_requests_are_written_as_the_keys_say() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let log = |keys: Pairs| {
            let ringress = serving(driver, origin.address, &[], keys);
            assert_eq!(ringress.get("missing.test", "/unmatched").status, 404);
            assert_eq!(ringress.get(HOST, "/a\"b").status, 200);
            assert_eq!(ringress.get(HOST, "/last").status, 200);
            let quiet = keys.iter().any(|(key, _)| key.starts_with("disable"));
            eventually("a line", || quiet || ringress.log().contains("/last"));
            ringress.log()
        };
        let written = log(&[]);
        assert!(written.contains("GET /a\\x22b") && !written.contains("/unmatched"), "{written}");
        let written = log(&[("enable-access-log-for-default-backend", "true"), ("log-format-escape-json", "true")]);
        assert!(written.contains("GET /a\\\"b") && written.contains("/unmatched"), "{written}");
        for off in ["disable-access-log", "disable-http-access-log"] {
            let keys: &[_] = if off == "disable-access-log" {
                &[("disable-access-log", "true")]
            } else {
                &[("disable-http-access-log", "true")]
            };
            assert!(!log(keys).contains("/last"), "{off}");
        }
    });
}

#[test]
fn with_too_few_healthy_endpoints_all_are_asked() {
    on_each_driver(|driver| {
        let (good, ill) = (Origin::named("good"), Origin::named("ill"));
        // Where the checks go: a port of its own, on which the address of one of them refuses.
        let checked = TcpListener::bind((good.address.ip(), 0)).expect("listen");
        let port = checked.local_addr().expect("its address").port().to_string();
        let web = |threshold: &str| {
            let web = ingress("web").annotation("ringress.io/panic-threshold", threshold);
            let web =
                web.annotation("ringress.io/health-check", "tcp").annotation("ringress.io/health-check-port", &port);
            let web = web.annotation("ringress.io/health-check-interval", "1");
            web.annotation("ringress.io/health-check-unhealthy-threshold", "1").prefix(HOST, "/", "one").build()
        };
        let mut all = service("one", &[good.address, ill.address]);
        all.push(web("0"));
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(all.clone())).start();
        let asked = || (0..8).any(|_| ringress.get(HOST, "/").text() == "ill");
        eventually("the one whose check fails is passed over", || !asked());
        all.pop();
        all.push(web("60"));
        ringress.apply("all.json", file(all));
        eventually("half is too few: all are asked", asked);
    });
}
