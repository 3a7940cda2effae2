//! HTTP/2 in the clear: from clients where it is switched on, and to upstreams whose Service port says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{self, Connection};
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{DATA, END_STREAM, Frames, frame, get, headers};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Builder, Driver, Ringress, on_each_driver};
use crate::support::raw;

const PRIOR_KNOWLEDGE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn instance(driver: Driver, objects: Vec<Value>) -> Builder {
    Ringress::on(driver).workers(1).flag("--configmap=default/options").manifest("all.json", file(objects))
}

fn in_front_of(driver: Driver, origin: &Origin, keys: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    objects.push(options(keys));
    instance(driver, objects).start()
}

#[test]
fn a_client_that_knows_it_speaks_http2_in_the_clear_where_that_is_switched_on() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = in_front_of(driver, &origin, &[("use-h2c", "true")]);
        let mut frames = Frames::in_the_clear(ringress.http, Duration::ZERO).expect("a connection");
        for stream in [1, 3] {
            frames.send(&get(stream)).expect("send");
            assert_eq!(frames.answer(stream).text(), "origin");
        }
        assert_eq!(origin.received()[0].header("x-forwarded-proto"), Some("http"));
        // Byte by byte, as a slow network would have it.
        let mut slow = Frames::in_the_clear(ringress.http, Duration::from_millis(2)).expect("a connection");
        slow.send(&get(1)).expect("send");
        assert_eq!(slow.answer(1).text(), "origin");
        // HTTP/1.1 goes on beside it, with methods that begin alike, and HTTP/2 is no second language of a connection.
        assert_eq!(ringress.get("a.test", "/").text(), "origin");
        assert_eq!(client::once(ringress.http, "PRINT", "a.test", "/").text(), "origin");
        let get = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let outcome = raw::exchange(ringress.http, &[get, PRIOR_KNOWLEDGE].concat());
        // The body before it has no line end of its own.
        let text = String::from_utf8_lossy(&outcome.bytes).into_owned();
        assert!(outcome.closed && text.contains("originHTTP/1.1 505 "), "{text}");
    });
}

#[test]
fn without_the_key_or_with_a_bad_value_a_preface_is_a_bad_request() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        for keys in [&[][..], &[("use-h2c", "perhaps")]] {
            let ringress = in_front_of(driver, &origin, keys);
            let outcome = raw::exchange(ringress.http, PRIOR_KNOWLEDGE);
            assert!(outcome.closed && outcome.statuses().iter().all(|status| *status >= 400), "{keys:?}");
            let findings = ringress.status()["rejected"].to_string();
            assert_eq!(findings.contains("use-h2c"), !keys.is_empty(), "{findings}");
        }
        assert_eq!(origin.received().len(), 0);
    });
}

/// A Service whose port says this of itself.
fn saying(name: &str, origin: std::net::SocketAddr, said: &str) -> Vec<Value> {
    let mut objects = service(name, &[origin]);
    objects[0]["spec"]["ports"][0]["appProtocol"] = json!(said);
    objects
}

#[test]
fn a_service_port_says_how_it_is_spoken_to() {
    on_each_driver(|driver| {
        let h2 = FrameOrigin::with(|peer, stream| {
            peer.send(&headers(stream, 0, &[(":status", "200")]))?;
            peer.send(&frame(DATA, END_STREAM, stream, b"h2c"))
        });
        let origin = Origin::named("h1");
        let mut objects = saying("h2c", h2.address, "kubernetes.io/h2c");
        objects.extend(saying("ws", origin.address, "kubernetes.io/ws"));
        objects.extend(saying("other", origin.address, "example.org/mine"));
        objects.extend(saying("overruled", origin.address, "kubernetes.io/h2c"));
        objects.extend(saying("wss", origin.address, "kubernetes.io/wss"));
        for name in ["h2c", "ws", "other", "wss"] {
            objects.push(ingress(name).prefix(&format!("{name}.test"), "/", name).build());
        }
        let overruled = ingress("overruled").annotation("backend-protocol", "HTTP");
        objects.push(overruled.prefix("overruled.test", "/", "overruled").build());
        objects.push(options(&[]));
        let ringress = instance(driver, objects).start();
        let mut client = Connection::plain(ringress.http).expect("connect");
        for _ in 0..2 {
            assert_eq!(client.get("h2c.test", "/").expect("an answer").text(), "h2c");
        }
        assert_eq!(h2.connections(), 1, "requests share a connection");
        for host in ["ws.test", "other.test", "overruled.test"] {
            assert_eq!(ringress.get(host, "/").text(), "h1", "{host}");
        }
        assert_eq!(ringress.get("wss.test", "/").status, 502, "an origin in the clear makes no TLS handshake");
        // The port changes its mind, and nothing else does.
        ringress.apply(
            "all.json",
            file({
                let mut objects = saying("h2c", origin.address, "");
                objects.push(ingress("h2c").prefix("h2c.test", "/", "h2c").build());
                objects
            }),
        );
        assert_eq!(ringress.get("h2c.test", "/").text(), "h1");
    });
}

#[test]
fn interim_responses_of_an_http2_upstream_reach_the_client() {
    on_each_driver(|driver| {
        let h2 = FrameOrigin::with(|peer, stream| {
            peer.send(&headers(stream, 0, &[(":status", "103"), ("link", "</a.css>")]))?;
            peer.send(&headers(stream, 0, &[(":status", "103"), ("link", "</b.css>")]))?;
            peer.send(&headers(stream, END_STREAM, &[(":status", "204")]))
        });
        let switching = FrameOrigin::with(|peer, stream| peer.send(&headers(stream, 0, &[(":status", "101")])));
        let mut objects = saying("h2c", h2.address, "kubernetes.io/h2c");
        objects.extend(saying("bad", switching.address, "kubernetes.io/h2c"));
        objects.push(ingress("a").prefix("a.test", "/", "h2c").prefix("a.test", "/bad", "bad").build());
        objects.push(options(&[]));
        let ringress = instance(driver, objects).start();
        let mut client = Connection::plain(ringress.http).expect("connect");
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        for link in ["</a.css>", "</b.css>"] {
            let (status, fields) = client.head().expect("a hint");
            assert_eq!(status, 103);
            assert!(fields.contains(&("link".to_owned(), link.to_owned())), "{fields:?}");
        }
        assert_eq!(client.response(false).expect("an answer").status, 204);
        let upgrade = crate::support::tunnel::UPGRADE.replace("/ws", "/bad");
        client.send(upgrade.as_bytes()).expect("send");
        assert_eq!(client.response(false).expect("an answer").status, 502, "HTTP/2 switches no protocols");
    });
}
