//! Annotations whose effect needs several objects, over sockets. How values are read is tested in `config`.

use std::io::{self, BufRead, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::client::{self, Connection};
use crate::support::frames::{Frames, Seen, pseudo};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver, own_address};

/// The host `a.test` in front of an origin, under these annotations.
fn annotated(driver: Driver, origin: std::net::SocketAddr, annotations: &[(&str, &str)]) -> Ringress {
    let web = annotations.iter().fold(ingress("web"), |web, (name, value)| web.annotation(name, value));
    let mut all = service("one", &[origin]);
    all.push(web.prefix("a.test", "/", "one").build());
    Ringress::on(driver).workers(1).manifest("all.json", file(all)).start()
}

#[test]
fn a_canary_takes_requests_only_while_both_sides_have_endpoints() {
    on_each_driver(|driver| {
        let origins = [Origin::named("main"), Origin::named("canary")];
        let rule = |name: &str, host: &str, to: &str| ingress(name).prefix(host, "/", to);
        let canary = |name: &str, host: &str, to: &str| {
            rule(name, host, to).annotation("canary", "true").annotation("canary-weight", "100").build()
        };
        let mut all = [service("main", &[origins[0].address]), service("canary", &[origins[1].address])].concat();
        all.extend(service("empty", &[]));
        all.extend([
            rule("a", "both.test", "main").build(),
            canary("a-canary", "both.test", "canary"),
            rule("b", "no-canary.test", "main").build(),
            canary("b-canary", "no-canary.test", "empty"),
            rule("c", "no-main.test", "empty").build(),
            canary("c-canary", "no-main.test", "canary"),
            canary("d-canary", "alone.test", "canary"),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        assert_eq!(ringress.get("both.test", "/").text(), "canary");
        assert_eq!(ringress.get("no-canary.test", "/").text(), "main");
        assert_eq!(ringress.get("no-main.test", "/").status, 503);
        assert_eq!(ringress.get("alone.test", "/").status, 404);
    });
}

#[test]
fn the_start_page_and_the_sibling_host_are_redirects_and_an_alias_is_not() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        let start = ingress("a").prefix("a.test", "/", "one").annotation("app-root", "/start");
        all.push(start.annotation("from-to-www-redirect", "true").annotation("server-alias", "b.test").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let start = ringress.get("a.test", "/");
        assert_eq!((start.status, start.header("location")), (302, Some("http://a.test/start")));
        let sibling = ringress.get("www.a.test", "/x/");
        let location = sibling.header("location").unwrap_or_default();
        assert_eq!(sibling.status, 308);
        assert!(location.starts_with("http://a.test:") && location.ends_with("/x"), "{location}");
        assert_eq!(ringress.get("a.test", "/x").text(), "one");
        assert_eq!(ringress.get("b.test", "/x").text(), "one");
    });
}

#[test]
fn what_an_upstream_says_of_itself_is_rewritten_for_the_client() {
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| {
            let headers = [
                ("Location", "http://in.test/x"),
                ("Refresh", "5; url=http://in.test/y"),
                ("Set-Cookie", "a=1; Path=/; Domain=in.test"),
                ("Set-Cookie", "b=2"),
            ];
            peer.answer(302, &headers, b"")?;
            Ok(Next::Keep)
        });
        let mut all = service("one", &[origin.address]);
        let web = ingress("web").prefix("a.test", "/", "one").annotation("proxy-redirect-from", "http://in.test/");
        let web = web.annotation("proxy-redirect-to", "/app/").annotation("proxy-cookie-path", "/ /app/");
        all.push(web.annotation("proxy-cookie-domain", "in.test out.test").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let answer = ringress.get("a.test", "/");
        let of = |name: &str| {
            let same = answer.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            same.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!((of("location"), of("refresh")), (vec!["/app/x".into()], vec!["5; url=/app/y".into()]));
        assert_eq!(of("set-cookie"), ["a=1; Path=/app/; Domain=out.test", "b=2"]);
    });
}

#[test]
fn a_response_goes_out_at_its_rate() {
    on_each_driver(|driver| {
        static BODY: [u8; 24 << 10] = [b'x'; 24 << 10];
        let origin = Origin::with(|_, peer| {
            peer.answer(200, &[], &BODY)?;
            Ok(Next::Keep)
        });
        let ringress = annotated(driver, origin.address, &[("limit-rate", "8"), ("limit-rate-after", "8")]);
        // The first 8 KiB are free; the last piece of a quarter of a second is not waited for.
        let least = Duration::from_millis(1600);
        let began = Instant::now();
        let answer = ringress.get("a.test", "/");
        assert!(answer.body == BODY && began.elapsed() >= least, "{:?}", began.elapsed());
        let mut frames = Frames::open(ringress.https);
        let began = Instant::now();
        let Seen::Answer(answer) = frames.request(1, &pseudo("GET", "/")) else { panic!("no answer") };
        assert!(answer.body == BODY && began.elapsed() >= least, "{:?}", began.elapsed());
    });
}

#[test]
fn others_of_the_core_do_not_wait_for_a_paced_response() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            let body = if request.target == "/big" { vec![b'x'; 1 << 20] } else { b"small".to_vec() };
            peer.answer(200, &[], &body)?;
            Ok(Next::Keep)
        });
        let ringress = annotated(driver, origin.address, &[("limit-rate", "1"), ("limit-rate-after", "1")]);
        let mut slow = Connection::plain(ringress.http).expect("connect");
        slow.send(b"GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        slow.head().expect("a head");
        // It would take a quarter of an hour.
        assert_eq!(ringress.get("a.test", "/").text(), "small");
    });
}

#[test]
fn a_response_head_over_the_buffer_is_a_bad_gateway() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            let bytes = request.target.trim_start_matches('/').parse().map_err(io::Error::other)?;
            peer.answer(200, &[("X-Long", &"x".repeat(bytes))], b"")?;
            Ok(Next::Keep)
        });
        let status = |ringress: &Ringress, target: &str| ringress.get("a.test", target).status;
        let ringress = annotated(driver, origin.address, &[]);
        assert_eq!((status(&ringress, "/3900"), status(&ringress, "/4100")), (200, 502));
        let ringress = annotated(driver, origin.address, &[("proxy-buffer-size", "8k")]);
        assert_eq!((status(&ringress, "/8000"), status(&ringress, "/8200")), (200, 502));
        let ringress = annotated(driver, origin.address, &[("proxy-buffer-size", "128k")]);
        assert_eq!((status(&ringress, "/120000"), status(&ringress, "/140000")), (200, 502));
        let mut frames = Frames::open(ringress.https);
        let Seen::Answer(answer) = frames.request(1, &pseudo("GET", "/9000")) else { panic!("no answer") };
        assert_eq!((answer.status, answer.header("x-long").map(str::len)), (200, Some(9000)));
    });
}

#[test]
fn a_fixed_connection_field_goes_up_and_is_kept_to() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let upgrade = [("Connection", "upgrade"), ("Upgrade", "websocket")];
        for (word, connections) in [("close", 2), ("keep-alive", 1)] {
            let ringress = annotated(driver, origin.address, &[("connection-proxy-header", word)]);
            let before = origin.connections();
            let mut client = Connection::plain(ringress.http).expect("connect");
            for _ in 0..2 {
                let answer = client.request("GET", "a.test", "/", &upgrade, b"").expect("an answer");
                assert_eq!(answer.text(), "one");
            }
            let asked = origin.received().last().cloned().expect("a request");
            assert_eq!((asked.header("connection"), asked.header("upgrade")), (Some(word), None));
            assert_eq!(origin.connections() - before, connections, "{word}");
        }
    });
}

#[test]
fn an_upstream_of_http_1_0_is_spoken_to_as_one() {
    on_each_driver(|driver| {
        let listener = TcpListener::bind((own_address(), 0)).expect("listen");
        let address = listener.local_addr().expect("own address");
        // Answers with the request's own head, and closes.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = io::BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|read| read > 0) {}
                let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{head}");
                let _gone = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        let ringress = annotated(driver, address, &[("proxy-http-version", "1.0")]);
        let mut client = Connection::plain(ringress.http).expect("connect");
        let chunks = b"POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        client.send(chunks).expect("send");
        let head = client.response(false).expect("an answer").text();
        assert!(head.starts_with("POST /x HTTP/1.0\r\n") && head.contains("Content-Length: 3\r\n"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    });
}

#[test]
fn redirects_name_a_port_no_host_or_a_final_slash_as_they_are_told() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let location = |annotations: &[(&str, &str)], path: &str, target: &str| {
            let web = annotations.iter().fold(ingress("web"), |web, (name, value)| web.annotation(name, value));
            let mut all = service("one", &[origin.address]);
            all.push(web.prefix("a.test", path, "one").build());
            let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(all)).start();
            let answer = ringress.get("a.test:8080", target);
            let location =
                answer.header("location").unwrap_or_default().replace(&ringress.https.port().to_string(), "PORT");
            (answer.status, location)
        };
        let to_https = ("force-ssl-redirect", "true");
        assert_eq!(location(&[to_https], "/", "/x/"), (308, "https://a.test/x".into()));
        let with_port = [to_https, ("use-port-in-redirects", "true")];
        assert_eq!(location(&with_port, "/", "/x?q"), (308, "https://a.test:PORT/x?q".into()));
        let with_slash = [to_https, ("preserve-trailing-slash", "true")];
        assert_eq!(location(&with_slash, "/", "/x/"), (308, "https://a.test/x/".into()));
        let relative = ("relative-redirects", "true");
        assert_eq!(location(&[relative], "/app/", "/app?q"), (301, "/app/?q".into()));
        assert_eq!(location(&[], "/app/", "/app?q"), (301, "http://a.test/app/?q".into()));
        let named = [("use-port-in-redirects", "true")];
        assert_eq!(location(&named, "/app/", "/app"), (301, "http://a.test:8080/app/".into()));
        assert_eq!(location(&[relative, ("permanent-redirect", "/new")], "/", "/x"), (301, "/new".into()));
        assert!(location(&[("permanent-redirect", "/new")], "/", "/x").1.starts_with("http://a.test"));
    });
}

/// Values that cannot be read, and whether the Ingress is served all the same.
const BAD: &[(&str, &str, bool)] = &[
    ("limit-rate", "1m", true),
    ("use-port-in-redirects", "x", true),
    ("relative-redirects", "on", false),
    ("mirror-request-body", "yes", true),
    ("limit-rate-after", "x", true),
    ("proxy-buffer-size", "4kb", true),
    ("proxy-buffering", "yes", true),
    ("proxy-http-version", "3", true),
    ("connection-proxy-header", "upgrade", false),
];

#[test]
fn a_value_that_cannot_be_read_is_named_and_does_what_the_reference_says() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        for (name, value, _) in BAD {
            all.push(ingress(name).annotation(name, value).prefix(&format!("{name}.test"), "/", "one").build());
        }
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        let status = ringress.status();
        let rejected = status["rejected"].as_array().expect("a list");
        for (name, _, is_served) in BAD {
            let expected = if *is_served { 200 } else { 404 };
            let answer = client::once(ringress.http, "GET", &format!("{name}.test"), "/");
            assert_eq!(answer.status, expected, "{name}");
            let names =
                |finding: &serde_json::Value| finding["field"].as_str().is_some_and(|field| field.contains(name));
            assert!(rejected.iter().any(names), "{name}: {rejected:#?}");
        }
    });
}
