//! The end of the process: what runs is finished, what waits is told, and it does not take for ever.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{self, Connection};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};
use crate::support::{PATIENCE, eventually, within};

/// Answers `/slow` only when told to, everything else at once.
fn held() -> (Origin, std::sync::mpsc::SyncSender<()>) {
    let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::with(move |request, peer| {
        if request.target == "/slow" {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")?;
            wait.lock().expect("one slow request").recv().map_err(io::Error::other)?;
            peer.send(b"ow")?;
        } else {
            peer.answer(200, &[], b"fast")?;
        }
        Ok(Next::Keep)
    });
    (origin, go_on)
}

/// Sends half of an answer whose length nobody knows, and no more.
fn halves() -> Origin {
    Origin::with(|request, peer| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.send(format!("{head}4\r\nhalf\r\n").as_bytes())?;
        if request.target == "/whole" {
            peer.send(b"0\r\n\r\n")?;
            return Ok(Next::Keep);
        }
        within(PATIENCE, || false);
        Ok(Next::Close)
    })
}

fn in_front_of(driver: Driver, origin: &Origin, flags: &[&str]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").annotation("proxy-body-size", "0").prefix("a.test", "/", "origin").build());
    let builder = Ringress::on(driver).manifest("all.json", file(objects));
    flags.iter().fold(builder, |builder, &flag| builder.flag(flag)).start()
}

#[test]
fn a_drain_finishes_what_runs_and_ends_with_success() {
    on_each_driver(|driver| {
        let (origin, go_on) = held();
        let mut ringress = in_front_of(driver, &origin, &["--drain-timeout=30s"]);
        let mut running = Connection::plain(ringress.http).expect("connect");
        let mut idle = Connection::plain(ringress.http).expect("connect");
        assert_eq!(idle.get("a.test", "/").expect("an answer").status, 200);
        running.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(running.head().expect("a head").0, 200);
        ringress.signal(Signal::TERM);
        eventually("idle connections are closed", || idle.is_closed());
        assert!(ringress.ended().is_none(), "a request still runs");
        go_on.send(()).expect("the origin waits");
        let mut body = [0; 4];
        running.read_exact(&mut body).expect("the whole answer");
        assert_eq!(&body, b"slow");
        eventually("the process ends", || ringress.ended().is_some());
        assert_eq!(ringress.ended().and_then(|status| status.code()), Some(0), "{}", ringress.log());
        assert!(!ringress.log().contains("WARN"), "nothing went wrong:\n{}", ringress.log());
    });
}

#[test]
fn a_draining_instance_is_not_ready_and_takes_no_new_connections() {
    on_each_driver(|driver| {
        let (origin, go_on) = held();
        let ringress = in_front_of(driver, &origin, &["--drain-timeout=30s"]);
        let mut running = Connection::plain(ringress.http).expect("connect");
        running.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        assert_eq!(running.head().expect("a head").0, 200);
        ringress.signal(Signal::TERM);
        eventually("/readyz is 503", || {
            client::try_once(ringress.health, "GET", "localhost", "/readyz").is_ok_and(|answer| answer.status == 503)
        });
        eventually("new connections are refused", || Connection::plain(ringress.http).is_err());
        go_on.send(()).expect("the origin waits");
    });
}

#[test]
fn a_drain_is_bounded_and_a_second_signal_ends_it_at_once() {
    on_each_driver(|driver| {
        for (flag, signals) in [("--drain-timeout=1s", 1), ("--drain-timeout=60s", 2)] {
            let (origin, _never) = held();
            let mut ringress = in_front_of(driver, &origin, &[flag]);
            let mut running = Connection::plain(ringress.http).expect("connect");
            running.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
            assert_eq!(running.head().expect("a head").0, 200);
            let started = Instant::now();
            for _ in 0..signals {
                ringress.signal(Signal::TERM);
                // Two signals at the same moment are one.
                within(Duration::from_millis(200), || false);
            }
            eventually("the process ends", || ringress.ended().is_some());
            assert!(started.elapsed() < Duration::from_secs(5), "{flag}: {:?}", started.elapsed());
        }
    });
}

/// The end of the connection is the end of such a client's body, also where the process ends it.
#[test]
fn an_answer_to_an_http_1_0_client_that_a_drain_cuts_off_ends_with_a_reset() {
    on_each_driver(|driver| {
        let origin = halves();
        let mut ringress = in_front_of(driver, &origin, &["--drain-timeout=1s"]);
        // Beyond what is kept of a body, it is streamed.
        for body in [0, 3 << 20] {
            let mut whole = asks_as_http_1_0(&ringress, "/whole", body);
            let mut answer = Vec::new();
            whole.read_to_end(&mut answer).expect("a proper end");
            assert!(answer.ends_with(b"\r\n\r\nhalf"));
        }
        let mut clients = [0, 3 << 20].map(|body| asks_as_http_1_0(&ringress, "/half", body));
        for client in &mut clients {
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\nhalf") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("the half that comes");
                answer.extend(byte);
            }
        }
        ringress.signal(Signal::TERM);
        for mut client in clients {
            let ended = client.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
        }
        eventually("the process ends", || ringress.ended().is_some());
    });
}

fn asks_as_http_1_0(ringress: &Ringress, target: &str, body: usize) -> TcpStream {
    let mut client = client::connect(ringress.http).expect("connect");
    let head = format!("POST {target} HTTP/1.0\r\nHost: a.test\r\nContent-Length: {body}\r\n\r\n");
    client.write_all(&[head.as_bytes(), &vec![b'x'; body]].concat()).expect("send");
    client
}
