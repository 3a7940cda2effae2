//! What happens when origins fail: retries where they are safe, the right status where not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::client::Connection;
use crate::support::frames::{Frames, get};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin, refusing_address};
use crate::support::process::{Driver, Ringress, on_each_driver};

fn serving(driver: Driver, endpoints: &[SocketAddr], annotations: &[(&str, &str)]) -> Ringress {
    let mut objects = service("origin", endpoints);
    let mut a = ingress("a");
    for &(name, value) in annotations {
        a = a.annotation(name, value);
    }
    objects.push(a.prefix("a.test", "/", "origin").build());
    Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start()
}

#[test]
fn an_origin_that_refuses_is_502() {
    on_each_driver(|driver| {
        let ringress = serving(driver, &[refusing_address()], &[]);
        assert_eq!(ringress.get("a.test", "/").status, 502);
    });
}

#[test]
fn a_request_moves_on_from_a_refusing_endpoint() {
    on_each_driver(|driver| {
        let good = Origin::named("good");
        let ringress = serving(driver, &[refusing_address(), good.address], &[]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        for turn in 0..10 {
            let method = if turn % 2 == 0 { "GET" } else { "POST" };
            let answer = client.request(method, "a.test", "/", &[], b"nothing was sent yet").expect("an answer");
            assert_eq!((answer.status, answer.text().as_str()), (200, "good"), "{method} {turn}");
        }
    });
}

#[test]
fn a_request_moves_on_when_a_connection_ends_without_an_answer() {
    on_each_driver(|driver| {
        let bad = Origin::with(|_, _| Ok(Next::Close));
        let good = Origin::named("good");
        let ringress = serving(driver, &[bad.address, good.address], &[]);
        for _ in 0..6 {
            assert_eq!(ringress.get("a.test", "/").status, 200);
        }
        assert!(!bad.received().is_empty(), "the bad one was tried");
    });
}

#[test]
fn a_post_that_was_sent_is_not_sent_again() {
    on_each_driver(|driver| {
        let bad = Origin::with(|request, peer| {
            peer.read_body(request)?;
            Ok(Next::Close)
        });
        let ringress = serving(driver, &[bad.address], &[]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let answer = client.request("POST", "a.test", "/", &[], b"pay").expect("an answer");
        assert_eq!(answer.status, 502);
        assert_eq!(bad.received().len(), 1);
    });
}

#[test]
fn a_kept_connection_that_died_costs_no_request() {
    on_each_driver(|driver| {
        // Keeps the connection by its words, then closes it.
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(200, &[], b"once")?;
            Ok(Next::Close)
        });
        let ringress = serving(driver, &[origin.address], &[]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        for turn in 0..20 {
            let answer = client.get("a.test", "/").expect("an answer");
            assert_eq!((answer.status, answer.text().as_str()), (200, "once"), "request {turn}");
        }
    });
}

#[test]
fn a_silent_origin_is_504_after_its_time() {
    on_each_driver(|driver| {
        let asked = std::sync::Arc::new(AtomicUsize::new(0));
        let counter = std::sync::Arc::clone(&asked);
        let silent = Origin::with(move |_, peer| {
            counter.fetch_add(1, Ordering::SeqCst);
            let _until_the_proxy_gives_up = peer.receive(&mut [0; 16]);
            Ok(Next::Close)
        });
        let limits = [("proxy-read-timeout", "1"), ("proxy-next-upstream-tries", "1")];
        let ringress = serving(driver, &[silent.address], &limits);
        let started = Instant::now();
        assert_eq!(ringress.get("a.test", "/").status, 504);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_answer_that_is_no_http_is_502() {
    on_each_driver(|driver| {
        for garbage in [
            "nonsense\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        ] {
            let origin = Origin::with(|_, peer| peer.send(garbage.as_bytes()).map(|()| Next::Close));
            let ringress = serving(driver, &[origin.address], &[("proxy-next-upstream-tries", "1")]);
            assert_eq!(ringress.get("a.test", "/").status, 502, "{garbage:?}");
        }
    });
}

#[test]
fn an_early_refusal_does_not_wait_for_the_rest_of_the_request() {
    on_each_driver(|driver| {
        // Small segments and a small buffer: what is not read does not fit into the kernel, as on a real network.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.set_tcp_mss(536).expect("small segments");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("an address");
        socket.listen(8).expect("listen");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("its address");
        let (done, wait) = mpsc::channel::<()>();
        let refusing = std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut peer in listener.incoming().take(2).flatten() {
                let _start = peer.read(&mut [0; 1024]);
                let _told = peer.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
                held.push(peer);
            }
            let _the_test_is_over = wait.recv();
        });
        let ringress = serving(driver, &[address], &[]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let body = vec![b'x'; 1_000_000];
        let refused = client.request("POST", "a.test", "/", &[], &body).expect("an answer");
        assert_eq!((refused.status, refused.text().as_str()), (413, "no"));
        // By another connection of the proxy, as the first one is in the middle of a request.
        assert_eq!(client.get("a.test", "/").expect("an answer").text(), "no");
        drop(done);
        refusing.join().expect("two connections");
    });
}

#[test]
fn a_body_that_is_malformed_from_its_start_is_502() {
    on_each_driver(|driver| {
        let plain: &[_] = &[("proxy-request-buffering", "off")];
        for treatment in [&plain[..0], plain, &[("limit-rate", "100"), ("proxy-buffering", "on")]] {
            let origin = Origin::with(|request, peer| {
                peer.read_body(request)?;
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n")?;
                Ok(Next::Close)
            });
            let ringress = serving(driver, &[origin.address], treatment);
            for body in ["", "abc"] {
                let mut client = Connection::plain(ringress.http).expect("connect");
                let answer = client.request("POST", "a.test", "/", &[], body.as_bytes()).expect("an answer");
                assert_eq!((answer.status, answer.text().contains("hello")), (502, false), "{treatment:?} {body}");
            }
            let mut frames = Frames::open(ringress.https);
            frames.send(&get(1)).expect("send");
            assert_eq!(frames.answer(1).status, 502, "{treatment:?}");
        }
    });
}

#[test]
fn surplus_bytes_of_one_answer_never_become_another() {
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| {
            peer.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            )?;
            Ok(Next::Keep)
        });
        let ringress = serving(driver, &[origin.address], &[]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        for _ in 0..5 {
            assert_eq!(client.get("a.test", "/").expect("an answer").text(), "ok");
        }
    });
}
