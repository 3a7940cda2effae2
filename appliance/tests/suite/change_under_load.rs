//! Changes while clients are being served: no request fails, no connection is closed unannounced, and what an endpoint has
//! begun it may end.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::support::certificates::Certificate;
use crate::support::client::Connection;
use crate::support::frames::{DATA, END_STREAM, Frames, headers, pseudo};
use crate::support::load::{Kind, Load};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver};
use crate::support::tunnel;

const CHANGES: usize = 40;
/// Half of a download; much more than what is under way in buffers.
const HALF: usize = 1 << 20;
/// That many at a time.
const DOWNLOADS: usize = 3;

#[test]
fn a_storm_of_changes_fails_no_request_and_cuts_no_connection() {
    on_each_driver(|driver| {
        let origins = [Origin::named("first"), Origin::named("second"), Origin::named("third")];
        let sockets = tunnel::echo();
        let site = |turn: usize| {
            // The pair of endpoints moves round: one stays, one is replaced.
            let endpoints = [origins[turn % 3].address, origins[(turn + 1) % 3].address];
            let mut objects = service("origin", &endpoints);
            objects.extend(service("sockets", &[sockets.address]));
            let a = ingress("a").without_redirect().annotation("proxy-read-timeout", &(30 + turn).to_string());
            objects.push(
                a.tls("a.test", "cert").prefix("a.test", "/", "origin").prefix("a.test", "/ws", "sockets").build(),
            );
            objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
            if turn.is_multiple_of(2) {
                objects.push(ingress("b").prefix("b.test", "/", "origin").build());
            }
            file(objects)
        };
        let ringress = Ringress::on(driver).workers(2).manifest("site.json", site(0)).start();
        let mut tunnel = tunnel::open(ringress.http);
        let load = Load::start(&ringress, &[Kind::KeepAlive, Kind::KeepAlive, Kind::Tls]);
        for turn in 1..=CHANGES {
            ringress.apply("site.json", site(turn));
            tunnel::round_trip(&mut tunnel, b"still here").expect("the tunnel lives");
        }
        for (kind, requests) in load.stop() {
            assert!(requests > CHANGES, "{kind:?}: {requests} requests are no load");
        }
        for origin in &origins {
            assert!(!origin.received().is_empty(), "every endpoint had its turn");
        }
    });
}

/// Sends half of what it is asked for, and the rest when it is told to.
fn halting() -> (Origin, SyncSender<()>) {
    let (go_on, wait) = sync_channel(DOWNLOADS);
    let wait = Mutex::new(wait);
    let origin = Origin::with(move |_, peer| {
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * HALF).as_bytes())?;
        peer.send(&[b'1'; HALF])?;
        wait.lock().expect("no panic").recv().map_err(io::Error::other)?;
        peer.send(&[b'2'; HALF])?;
        Ok(Next::Keep)
    });
    (origin, go_on)
}

/// Begins a download and takes its first half.
fn begin_download(mut client: Connection) -> Connection {
    client.send(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
    assert_eq!(client.head().expect("a head").0, 200);
    let mut half = vec![0; HALF];
    client.read_exact(&mut half).expect("the first half");
    client
}

fn end_download(client: &mut Connection) {
    let mut half = vec![0; HALF];
    client.read_exact(&mut half).expect("the second half");
    assert!(half.iter().all(|byte| *byte == b'2'), "all of it, and nothing else");
}

#[test]
fn a_download_goes_on_to_its_end_when_its_endpoint_is_gone() {
    on_each_driver(|driver| {
        let (leaving, go_on) = halting();
        let staying = Origin::named("staying");
        let site = |endpoint: &Origin| {
            let mut objects = service("origin", &[endpoint.address]);
            objects.push(ingress("a").without_redirect().prefix("a.test", "/", "origin").build());
            file(objects)
        };
        let ringress = Ringress::on(driver).workers(1).manifest("site.json", site(&leaving)).start();
        let mut plain = begin_download(Connection::plain(ringress.http).expect("connect"));
        let mut secure = begin_download(Connection::tls(ringress.https, Some("a.test")).expect("a handshake"));
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, END_STREAM, &pseudo("GET", "/large"))).expect("send");
        let first = frames.wait(|frame| frame.kind == DATA).expect("its beginning");

        ringress.apply("site.json", site(&staying));
        let mut next = Connection::plain(ringress.http).expect("connect");
        let mut answered_by = || next.get("a.test", "/").expect("an answer").text();
        assert_eq!(answered_by(), "staying", "the endpoint gets no new requests");
        // Nor does it with the Ingress and the Service gone.
        ringress.apply("site.json", file(Vec::new()));
        ringress.apply("site.json", site(&staying));
        assert_eq!(answered_by(), "staying");

        (0..DOWNLOADS).for_each(|_| go_on.send(()).expect("the origin waits"));
        end_download(&mut plain);
        end_download(&mut secure);
        let rest = frames.answer(1);
        assert_eq!((rest.status, first.payload.len() + rest.body.len()), (200, 2 * HALF));
        for client in [&mut plain, &mut secure] {
            assert_eq!(client.get("a.test", "/").expect("an answer").text(), "staying", "the connection goes on");
        }
        assert_eq!(leaving.received().len(), DOWNLOADS);
    });
}
