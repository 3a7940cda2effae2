//! The access log: a line for each request, where and how the ConfigMap and the flags say, at nobody's cost.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::client::Connection;
use crate::support::frames::{CANCEL, DATA, END_STREAM, Frames, headers, pseudo, reset};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Builder, Driver, Ringress, on_each_driver};
use crate::support::{PATIENCE, within};

const CONFIG_MAP: &str = "--configmap=default/options";

/// An instance with one origin on host a.test and these options.
fn instance(driver: Driver, origin: &Origin, data: &[(&str, &str)]) -> Builder {
    let mut all = service("one", &[origin.address]);
    all.push(ingress("web").prefix("a.test", "/", "one").build());
    all.push(ingress("quiet").prefix("a.test", "/quiet", "one").annotation("enable-access-log", "false").build());
    all.push(options(data));
    Ringress::on(driver).manifest("all.json", file(all))
}

fn lines(path: &Path, mark: &str) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}

/// The only line with this mark, once it is written.
fn line(path: &Path, mark: &str) -> String {
    assert!(within(PATIENCE, || !lines(path, mark).is_empty()), "no line with {mark} in {}", path.display());
    let mut found = lines(path, mark);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_config_map_means_lines_on_standard_output_but_for_what_is_left_out() {
    on_each_driver(|driver| {
        let origin = Origin::named("hello");
        let data = [("skip-access-log-urls", "/skipped?a=1,/other")];
        // One worker: its last line is the proof that the others were written or left out.
        let ringress = instance(driver, &origin, &data).flag(CONFIG_MAP).workers(1).start();
        for target in ["/quiet/mark", "/skipped?a=1", "/mark?x=1", "/skipped?a=2"] {
            assert_eq!(ringress.get("a.test", target).status, 200);
        }
        assert_eq!(ringress.get("unknown.test", "/unmatched").status, 404);
        ringress.wait_logged("/skipped?a=2");
        let log = ringress.log();
        let of = |mark: &str| log.lines().filter(|line| line.contains(mark)).collect::<Vec<_>>();
        let [line] = of("/mark?x=1")[..] else { panic!("{log}") };
        let end = format!("[default-one-80] [] {} 5 ", origin.address);
        assert!(line.contains(" - - [") && line.contains("\"GET /mark?x=1 HTTP/1.1\" 200 5 \"-\" \"-\" "), "{line}");
        assert!(line.contains(&end), "{line}");
        for mark in ["/quiet", "/skipped?a=1", "/unmatched"] {
            assert_eq!(of(mark), Vec::<&str>::new(), "{mark}");
        }
    });
}

#[test]
fn the_file_of_the_config_map_is_made_anew_on_sigusr1_and_written_at_the_end() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("hello"), tempfile::tempdir().unwrap());
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let data = [("access-log-path", path.to_str().unwrap()), ("log-format-upstream", "$request_uri $status")];
        let mut ringress = instance(driver, &origin, &data).flag(CONFIG_MAP).start();
        assert_eq!(ringress.get("a.test", "/before").status, 200);
        assert_eq!(line(&path, "/before"), "/before 200");
        fs::rename(&path, &moved).unwrap();
        ringress.signal(Signal::USR1);
        ringress.wait_logged("opened anew");
        assert_eq!(ringress.get("a.test", "/after").status, 200);
        assert_eq!(line(&path, "/after"), "/after 200");
        assert_eq!(ringress.get("a.test", "/last").status, 200);
        ringress.signal(Signal::TERM);
        assert!(within(PATIENCE, || ringress.ended().is_some()));
        assert_eq!(lines(&path, "/last").len(), 1);
    });
}

#[test]
fn a_folder_without_config_map_has_no_log_unless_a_flag_names_a_file() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("hello"), tempfile::tempdir().unwrap());
        let path = folder.path().join("log");
        let ringress = instance(driver, &origin, &[]).start();
        assert_eq!(ringress.get("a.test", "/mark").status, 200);
        let flags = [format!("--access-log={}", path.display()), "--access-log-format=json".into()];
        let [file, form] = flags;
        let logging = instance(driver, &origin, &[]).flag(file).flag(form).start();
        let mut client = Connection::plain(logging.http).unwrap();
        client
            .send(b"POST /json HTTP/1.1\r\nHost: a.test\r\nUser-Agent: \"q\"\r\nContent-Length: 3\r\n\r\nabc")
            .unwrap();
        assert_eq!(client.response(false).unwrap().status, 200);
        let entry: Value = serde_json::from_str(&line(&path, "/json")).unwrap();
        assert_eq!((&entry["status"], &entry["body_bytes_sent"]), (&200.into(), &5.into()));
        assert_eq!((entry["user_agent"].as_str(), entry["ingress"].as_str()), (Some("\"q\""), Some("web")));
        client.send(b"no request\r\n\r\n").unwrap();
        assert_eq!(client.response(false).unwrap().status, 400);
        let refused: Value = serde_json::from_str(&line(&path, "\"status\":400")).unwrap();
        assert_eq!(refused["request_uri"], "");
        assert!(!ringress.log().contains("/mark"));
    });
}

#[test]
fn every_endpoint_that_was_asked_is_in_the_line() {
    on_each_driver(|driver| {
        let (origin, broken) = (Origin::named("hello"), Origin::with(|_, _| Ok(Next::Close)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut all = service("two", &[broken.address, origin.address]);
        all.push(ingress("web").prefix("a.test", "/", "two").build());
        all.push(options(&[("log-format-upstream", "$request_uri|$upstream_addr|$upstream_status")]));
        let file_flag = format!("--access-log={}", path.display());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag(CONFIG_MAP).flag(file_flag).start();
        let both = format!("{}, {}|502, 200", broken.address, origin.address);
        let met = within(PATIENCE, || {
            assert_eq!(ringress.get("a.test", "/").status, 200);
            fs::read_to_string(&path).unwrap_or_default().contains(&both)
        });
        assert!(met, "{}", fs::read_to_string(&path).unwrap_or_default());
    });
}

#[test]
fn a_share_of_the_requests_has_lines_and_every_failure_has_one() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(if request.target.starts_with("/broken") { 503 } else { 404 }, &[], b"")?;
            Ok(Next::Keep)
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut all = service("one", &[origin.address]);
        for (host, share) in [("all.test", Some("100")), ("none.test", Some("0")), ("some.test", None)] {
            let web = ingress(&host.replace('.', "-")).prefix(host, "/", "one");
            all.push(match share {
                Some(share) => web.annotation("ringress.io/access-log-sampling", share).build(),
                None => web.build(),
            });
        }
        let log = ("access-log-path", path.to_str().unwrap());
        all.push(options(&[
            ("access-log-sampling", "50.0"),
            ("log-format-upstream", "$host$request_uri $status"),
            log,
        ]));
        // One worker: its last line is the proof that the others were written or left out.
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(all)).flag(CONFIG_MAP).start();
        let mut client = Connection::plain(ringress.http).unwrap();
        for _ in 0..200 {
            for host in ["all.test", "none.test", "some.test"] {
                assert_eq!(client.get(host, "/").unwrap().status, 404);
            }
        }
        for host in ["none.test", "some.test"] {
            assert_eq!(client.get(host, "/broken").unwrap().status, 503);
        }
        assert_eq!(client.get("all.test", "/last").unwrap().status, 404);
        line(&path, "all.test/last");
        let of = |mark: &str| lines(&path, mark).len();
        assert_eq!(
            (of("all.test/ "), of("none.test/ "), of("none.test/broken"), of("some.test/broken")),
            (200, 0, 1, 1)
        );
        // That chance takes fewer or more happens once in 10^15 runs.
        let drawn = of("some.test/ ");
        assert!((45..=155).contains(&drawn), "{drawn} of 200");
        let left_out = ringress.metric("ringress_access_log_sampled_out_total");
        assert_eq!(left_out + drawn as f64, 400.0);
    });
}

#[test]
fn a_line_knows_the_connection_and_both_heads_where_it_asks() {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(200, &[("X-One", "1"), ("X-One", "2"), ("Server", "origin")], b"hello")?;
            Ok(Next::Keep)
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let format = "$uri|$proxy_add_x_forwarded_for|$connection|$pipe|$upstream_http_x_one|$upstream_http_server|\
                      $sent_http_content_length|$sent_http_server|$ssl_protocol|$ssl_cipher|";
        let path_of_log = ("access-log-path", path.to_str().unwrap());
        let data = [("log-format-upstream", format), path_of_log, ("compute-full-forwarded-for", "true")];
        let trusting = [&data[..], &[("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", "127.0.0.1")]].concat();
        let ringress = instance(driver, &origin, &trusting).flag(CONFIG_MAP).start();
        let mut plain = Connection::plain(ringress.http).unwrap();
        let head =
            |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
        plain.send([head("/first"), head("/second")].concat().as_bytes()).unwrap();
        plain.send(b"GET /own HTTP/1.1\r\nHost: unknown.test\r\n\r\n").unwrap();
        for status in [200, 200, 404] {
            assert_eq!(plain.response(false).unwrap().status, status);
        }
        let mut secured = Connection::tls(ringress.https, Some("a.test")).unwrap();
        assert_eq!(secured.get("a.test", "/tls").unwrap().status, 200);
        let values = |mark: &str| line(&path, mark).split('|').map(str::to_owned).collect::<Vec<_>>();
        let (first, second, tls) = (values("/first"), values("/second"), values("/tls"));
        assert_eq!(first[1], "192.0.2.7, 127.0.0.1");
        assert_eq!((&*first[3], &*second[3]), (".", "p"));
        assert!(first[2] == second[2] && first[2] != tls[2] && first[2].parse::<u32>().is_ok(), "{first:?} {tls:?}");
        assert_eq!(first[4..10], ["1, 2", "origin", "5", "-", "-", "-"]);
        assert_eq!(tls[8..10], ["TLSv1.3", "TLS_AES_256_GCM_SHA384"]);
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, END_STREAM, &pseudo("GET", "/two"))).unwrap();
        let two = values("/two");
        assert_eq!((&two[4..6], &two[8..9]), (&["1, 2".to_owned(), "origin".into()][..], &["TLSv1.3".to_owned()][..]));
        assert_ne!(two[2], tls[2]);
    });
}

#[test]
fn a_stream_of_http2_that_its_client_takes_back_has_a_line() {
    on_each_driver(|driver| {
        // Says nothing, or begins an answer without an end.
        let origin = Origin::with(|request, peer| {
            if request.target == "/begun" {
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun")?;
            }
            peer.receive(&mut [0])?;
            Ok(Next::Close)
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let format = "$request_uri $status $server_protocol $ingress_name";
        let ringress = instance(driver, &origin, &[("log-format-upstream", format)])
            .flag(CONFIG_MAP)
            .flag(format!("--access-log={}", path.display()))
            .start();
        let mut frames = Frames::open(ringress.https);
        frames.send(&headers(1, END_STREAM, &pseudo("GET", "/silent"))).expect("send");
        frames.send(&headers(3, END_STREAM, &pseudo("GET", "/begun"))).expect("send");
        frames.wait(|frame| frame.kind == DATA && frame.stream == 3).expect("the beginning of an answer");
        assert!(within(PATIENCE, || origin.received().len() == 2));
        frames.send(&[reset(1, CANCEL), reset(3, CANCEL)].concat()).expect("send");
        assert_eq!(line(&path, "/silent"), "/silent 499 HTTP/2.0 web");
        assert_eq!(line(&path, "/begun"), "/begun 200 HTTP/2.0 web");
        assert!(frames.is_alive());
    });
}

#[test]
fn a_log_that_nobody_reads_holds_no_request_up_and_lines_are_counted_as_dropped() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("hello"), tempfile::tempdir().unwrap());
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Opening it waits for a reader, for ever.
        let flag = format!("--access-log={}", pipe.display());
        let ringress = instance(driver, &origin, &[]).workers(1).flag(flag).start();
        let target = format!("/{}", "x".repeat(7 << 10));
        let mut client = Connection::plain(ringress.http).unwrap();
        let dropped = || {
            let page = ringress.metrics();
            page.lines().any(|line| line.starts_with("ringress_access_log_dropped_total") && !line.ends_with(" 0"))
        };
        let met = within(PATIENCE, || {
            for _ in 0..200 {
                if client.get("a.test", &target).is_err() {
                    client = Connection::plain(ringress.http).unwrap();
                }
            }
            dropped()
        });
        assert!(met, "nothing was dropped");
        assert_eq!(ringress.get("a.test", "/").status, 200);
    });
}

#[test]
fn an_endpoint_is_in_no_line_for_what_the_proxy_refuses_and_without_a_status_for_a_client_that_leaves() {
    on_each_driver(|driver| {
        for limit in ["ringress.io/max-requests", "ringress.io/max-connections"] {
            let origin = Origin::with(|_, peer| {
                peer.receive(&mut [0])?;
                Ok(Next::Close)
            });
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("access.log");
            let mut all = service("one", &[origin.address]);
            all.push(ingress("web").prefix("a.test", "/", "one").annotation(limit, "1").build());
            let form = "$request_uri $status $upstream_addr $upstream_status $upstream_response_length";
            all.push(options(&[("log-format-upstream", form)]));
            let ringress = Ringress::on(driver)
                .workers(1)
                .manifest("all.json", file(all))
                .flag(CONFIG_MAP)
                .flag(format!("--access-log={}", path.display()))
                .start();
            let mut leaving = Connection::plain(ringress.http).unwrap();
            leaving.send(b"GET /left HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
            assert!(within(PATIENCE, || origin.received().len() == 1));
            assert_eq!(ringress.get("a.test", "/beyond").status, 503, "{limit}");
            assert_eq!(line(&path, "/beyond"), "/beyond 503 - - -", "{limit}");
            drop(leaving);
            assert_eq!(line(&path, "/left"), format!("/left 499 {} - 0", origin.address), "{limit}");
        }
    });
}

#[test]
fn a_line_says_which_request_of_its_connection_it_is_over_both_versions() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("hello"), tempfile::tempdir().unwrap());
        let path = folder.path().join("access.log");
        let ringress = instance(driver, &origin, &[("log-format-upstream", "$request_uri $connection_requests")])
            .flag(CONFIG_MAP)
            .flag(format!("--access-log={}", path.display()))
            .start();
        let (mut plain, mut frames) = (Connection::plain(ringress.http).unwrap(), Frames::open(ringress.https));
        for (number, (one, two)) in [("/a1", "/b1"), ("/a2", "/b2"), ("/a3", "/b3")].into_iter().enumerate() {
            assert_eq!(plain.get("a.test", one).unwrap().status, 200);
            frames.request(2 * number as u32 + 1, &pseudo("GET", two));
            for target in [one, two] {
                assert_eq!(line(&path, target), format!("{target} {}", number + 1));
            }
        }
    });
}
