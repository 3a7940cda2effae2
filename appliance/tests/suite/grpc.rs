//! Errors of the proxy as clients of gRPC read them, and gRPC-Web, which passes as it is.

use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{Answer, DATA, END_STREAM, Frames, Seen, frame, headers, pseudo};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin, refusing_address};
use crate::support::process::{Ringress, on_each_driver};

/// A call of a method on `host`, with a message of ten bytes.
fn call(ringress: &Ringress, host: &'static str) -> Answer {
    let mut frames = Frames::open(ringress.https);
    let mut fields = pseudo("POST", "/test.Echo/Unary");
    fields.retain(|(name, _)| *name != ":authority");
    fields.extend([(":authority", host), ("content-type", "application/grpc"), ("te", "trailers")]);
    frames.send(&[headers(1, 0, &fields), frame(DATA, END_STREAM, 1, &[0; 10])].concat()).expect("send");
    match frames.outcome(1) {
        Seen::Answer(answer) => answer,
        other => panic!("{host}: {other:?}"),
    }
}

#[test]
fn what_the_proxy_refuses_is_a_status_of_grpc() {
    on_each_driver(|driver| {
        let silent = Origin::with(|_, peer| {
            peer.receive(&mut [0; 100])?;
            std::thread::park();
            Ok(Next::Close)
        });
        let origin = Origin::named("origin");
        let mut objects = service("silent", &[silent.address]);
        objects.extend(service("origin", &[origin.address]));
        objects.extend(service("down", &[refusing_address()]));
        let host = |name: &str, service, annotations: &[(&str, &str)]| {
            let with = ingress(name).prefix(&format!("{name}.test"), "/", service);
            annotations.iter().fold(with, |with, (name, value)| with.annotation(name, value)).build()
        };
        objects.extend([
            host("late", "silent", &[("proxy-read-timeout", "1"), ("proxy-next-upstream", "off")]),
            host("down", "down", &[("backend-protocol", "GRPC")]),
            host("large", "origin", &[("proxy-body-size", "5")]),
            host("denied", "origin", &[("denylist-source-range", "0.0.0.0/0,::/0")]),
            host("often", "origin", &[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]),
        ]);
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        let _allowed = call(&ringress, "often.test");
        let _burst = call(&ringress, "often.test");
        // gRPC's names: DEADLINE_EXCEEDED, UNAVAILABLE, RESOURCE_EXHAUSTED, PERMISSION_DENIED, UNAVAILABLE, UNIMPLEMENTED.
        for (host, expected) in [
            ("late.test", "4"),
            ("down.test", "14"),
            ("large.test", "8"),
            ("denied.test", "7"),
            ("often.test", "14"),
            ("unknown.test", "12"),
        ] {
            let answer = call(&ringress, host);
            assert_eq!((answer.status, answer.header("grpc-status")), (200, Some(expected)), "{host}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/grpc"), "{host}");
            assert!(answer.body.is_empty() && answer.header("grpc-message").is_some(), "{host}: {answer:?}");
        }
    });
}

#[test]
fn a_call_ends_when_its_client_waits_no_longer() {
    on_each_driver(|driver| {
        let silent = FrameOrigin::with(|_, _| Ok(()));
        let begun = FrameOrigin::with(|peer, stream| peer.send(&headers(stream, 0, &[(":status", "200")])));
        let mut objects = service("silent", &[silent.address]);
        objects.extend(service("begun", &[begun.address]));
        objects.extend(["silent", "begun"].map(|name| {
            let ingress = ingress(name).prefix(&format!("{name}.test"), "/", name);
            ingress.annotation("backend-protocol", "GRPC").build()
        }));
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        let call = |host: &'static str, timeout: &'static str| {
            let mut frames = Frames::open(ringress.https);
            let mut fields = pseudo("POST", "/test.Echo/Unary");
            fields.retain(|(name, _)| *name != ":authority");
            fields.extend([(":authority", host), ("content-type", "application/grpc"), ("te", "trailers")]);
            fields.push(("grpc-timeout", timeout));
            frames.send(&[headers(1, 0, &fields), frame(DATA, END_STREAM, 1, &[0; 10])].concat()).expect("send");
            let began = Instant::now();
            (frames.outcome(1), began.elapsed())
        };
        let (seen, took) = call("silent.test", "500m");
        let Seen::Answer(answer) = seen else { panic!("{seen:?}") };
        assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("4")), "{answer:?}");
        assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&took), "{took:?}");
        // An answer that has begun cannot be told otherwise.
        let (seen, took) = call("begun.test", "1S");
        assert!(matches!(seen, Seen::Reset(_)) && took >= Duration::from_secs(1), "{seen:?} {took:?}");
        assert_eq!(ringress.metric("ringress_refused_total"), 2.0);
    });
}

#[test]
fn grpc_web_passes_with_its_trailers_in_the_body() {
    const BODY: &[u8] = b"\0\0\0\0\x02hi\x80\0\0\0\x10grpc-status: 0\r\n";
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(200, &[("Content-Type", "application/grpc-web+proto")], BODY)?;
            Ok(Next::Keep)
        });
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let mut client = Connection::plain(ringress.http).expect("connect");
        let fields = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
        let answer =
            client.request("POST", "a.test", "/test.Echo/Unary", &fields, b"\0\0\0\0\x02hi").expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice()), (200, BODY));
        assert_eq!(answer.header("content-type"), Some("application/grpc-web+proto"));
        let received = origin.received();
        assert_eq!(
            (received[0].header("x-grpc-web"), received[0].body.as_slice()),
            (Some("1"), &b"\0\0\0\0\x02hi"[..])
        );
    });
}
