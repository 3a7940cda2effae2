//! One client with many connections: a bound of its own, and it is the first to give way when a core is full.

use std::net::{Ipv4Addr, SocketAddr};

use crate::support::client::Connection;
use crate::support::frames::{Frames, get};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Builder, Driver, Ringress, on_each_driver, own_address};
use crate::support::services::{self, config_map, own_port, tcp_echo};
use crate::support::{PATIENCE, eventually, within};

const MAX: usize = 3;

fn serving(driver: Driver, origin: &Origin, keys: &[(&str, &str)]) -> Ringress {
    builder(driver, origin, keys).start()
}

fn builder(driver: Driver, origin: &Origin, keys: &[(&str, &str)]) -> Builder {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    objects.push(options(keys));
    let builder = Ringress::on(driver).flag("--configmap=default/options").flag("--tcp-services-configmap=default/tcp");
    builder.manifest("all.json", file(objects))
}

/// A client's connection that was answered.
fn served(source: Ipv4Addr, ringress: &Ringress, header: &str) -> Connection {
    let mut connection = Connection::from(source, ringress.http).expect("connect");
    connection.send(header.as_bytes()).expect("send");
    assert_eq!(connection.get("a.test", "/").expect("an answer").status, 200);
    connection
}

fn is_refused(source: Ipv4Addr, ringress: &Ringress, header: &str) -> bool {
    let mut connection = Connection::from(source, ringress.http).expect("the system's queue takes it");
    let _may_be_closed = connection.send(format!("{header}GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes());
    !matches!(connection.response(false), Ok(answer) if answer.status == 200)
}

fn refusals(ringress: &Ringress) -> usize {
    let metrics = ringress.metrics();
    let line = metrics.lines().find(|line| line.contains(r#"reason="client_connection_limit""#)).expect("the metric");
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[test]
fn a_client_has_no_more_connections_than_allowed_however_many_cores_there_are() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = serving(driver, &origin, &[("client-connections-max", "3")]);
        let (one, other) = (own_address(), own_address());
        let mut held: Vec<_> = (0..MAX).map(|_| served(one, &ringress, "")).collect();
        assert!((0..8).all(|_| is_refused(one, &ringress, "")), "on whichever core");
        assert_eq!(refusals(&ringress), 8);
        ringress.wait_logged("client-connections-max allows");
        let lines = ringress.log().matches("client-connections-max allows").count();
        assert!((1..=2).contains(&lines), "one line a core, not one a connection: {lines}");
        drop(served(other, &ringress, ""));
        for connection in &mut held {
            assert_eq!(connection.get("a.test", "/").expect("those it has go on").status, 200);
        }
        held.pop();
        eventually("a place is given back", || !is_refused(one, &ringress, ""));
    });
}

#[test]
fn behind_a_proxy_header_the_client_in_it_counts_and_the_hop_does_not() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = serving(driver, &origin, &[("client-connections-max", "3"), ("use-proxy-protocol", "true")]);
        let hop = own_address();
        let header = |client: usize| format!("PROXY TCP4 192.0.2.{client} 192.0.2.200 1000 80\r\n");
        let _many: Vec<_> = (1..=4).map(|client| served(hop, &ringress, &header(client))).collect();
        let _more: Vec<_> = (1..MAX).map(|_| served(hop, &ringress, &header(1))).collect();
        assert!(is_refused(hop, &ringress, &header(1)));
        assert!(!is_refused(hop, &ringress, &header(2)));
        let _own: Vec<_> = (0..=MAX).map(|_| served(hop, &ringress, "PROXY UNKNOWN\r\n")).collect();
        assert_eq!(refusals(&ringress), 1);
    });
}

#[test]
fn hops_that_speak_for_their_clients_are_not_counted() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let (hop, client) = (own_address(), own_address());
        let trusted = format!("{hop}/32");
        let keys =
            [("client-connections-max", "3"), ("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", &trusted)];
        let ringress = serving(driver, &origin, &keys);
        let _hop: Vec<_> = (0..=MAX).map(|_| served(hop, &ringress, "")).collect();
        let _client: Vec<_> = (0..MAX).map(|_| served(client, &ringress, "")).collect();
        assert!(is_refused(client, &ringress, ""));
    });
}

#[test]
fn connections_to_tcp_services_count_as_well() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = serving(driver, &origin, &[("client-connections-max", "3")]);
        let port = own_port();
        let mut objects = services::service("echo", "TCP", &[tcp_echo(b"")]);
        objects.push(config_map("tcp", &[(port, "default/echo:7")]));
        ringress.apply("tcp.json", file(objects));
        let (client, tcp) = (own_address(), SocketAddr::new(ringress.http.ip(), port));
        let echoes = || {
            let mut connection = Connection::from(client, tcp).expect("the system's queue takes it");
            let mut echo = [0; 1];
            let echoed = connection.send(b"x").and_then(|()| connection.read_exact(&mut echo)).is_ok();
            echoed.then_some(connection)
        };
        let held: Vec<_> = (1..MAX).map(|_| echoes().expect("an echo")).collect();
        let _web = served(client, &ringress, "");
        assert!(echoes().is_none() && is_refused(client, &ringress, ""));
        drop(held);
        eventually("a place is given back", || echoes().is_some());
    });
}

#[test]
fn the_line_of_a_session_over_the_bound_says_503_behind_a_proxy_header_too() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sessions");
        let keys = [
            ("client-connections-max", "1"),
            ("stream-access-log-path", path.to_str().expect("its name")),
            ("log-format-stream", "$status $remote_addr"),
        ];
        let ringress = serving(driver, &origin, &keys);
        let [plain, behind] = [(); 2].map(|()| own_port());
        let mut objects = services::service("echo", "TCP", &[tcp_echo(b"")]);
        objects.push(config_map("tcp", &[(plain, "default/echo:7"), (behind, "default/echo:7:PROXY")]));
        ringress.apply("tcp.json", file(objects));
        let (hop, web) = (own_address(), own_address());
        for (port, client, header) in [
            (plain, web.to_string(), String::new()),
            (behind, "192.0.2.7".to_owned(), "PROXY TCP4 192.0.2.7 192.0.2.200 1000 80\r\n".to_owned()),
        ] {
            let source = if port == plain { web } else { hop };
            let at = SocketAddr::new(ringress.http.ip(), port);
            let open = || {
                let mut connection = Connection::from(source, at).expect("the system's queue takes it");
                let mut echo = [0; 1];
                let sent = connection.send(format!("{header}x").as_bytes());
                let is_served = sent.and_then(|()| connection.read_exact(&mut echo)).is_ok();
                is_served.then_some(connection)
            };
            let _first = open().expect("an echo");
            assert!(open().is_none());
            let line = format!("503 {client}");
            let read = || std::fs::read_to_string(&path).unwrap_or_default();
            assert!(within(PATIENCE, || read().lines().any(|written| written == line)), "{line} in {}", read());
        }
    });
}

/// More than a browser's, and as many as there may be beside one.
const CROWD: usize = 20;

#[test]
fn idle_connections_of_who_has_many_give_way_before_one_that_waits_longer() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ceiling = (CROWD + 1).to_string();
        let ringress = builder(driver, &origin, &[("max-worker-connections", &ceiling)]).workers(1).start();
        let (lone, crowd, new) = (own_address(), own_address(), own_address());
        let mut first = served(lone, &ringress, "");
        eventually("it is parked", || ringress.metric("ringress_connections_idle") == 1.0);
        let _crowd: Vec<_> = (0..CROWD).map(|_| served(crowd, &ringress, "")).collect();
        eventually("all are parked", || ringress.metric("ringress_connections_idle") == (CROWD + 1) as f64);
        let _new: Vec<_> = (0..3).map(|_| served(new, &ringress, "")).collect();
        assert_eq!(ringress.metric("ringress_connections_reclaimed_total"), 3.0);
        assert_eq!(first.get("a.test", "/").expect("it was left alone").status, 200);
    });
}

#[test]
fn nobody_makes_room_for_a_connection_that_its_client_may_not_have() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let keys = [("max-worker-connections", "2"), ("client-connections-max", "1")];
        let ringress = builder(driver, &origin, &keys).workers(1).start();
        let (lone, greedy) = (own_address(), own_address());
        let mut first = served(lone, &ringress, "");
        eventually("it is parked", || ringress.metric("ringress_connections_idle") == 1.0);
        let _own = served(greedy, &ringress, "");
        eventually("both are parked", || ringress.metric("ringress_connections_idle") == 2.0);
        assert!((0..3).all(|_| is_refused(greedy, &ringress, "")));
        assert_eq!(first.get("a.test", "/").expect("it was left alone").status, 200);
        assert_eq!(ringress.metric("ringress_connections_reclaimed_total"), 0.0);
        assert_eq!((refusals(&ringress), ringress.metric("ringress_connections")), (3, 2.0));
    });
}

#[test]
fn an_idle_http2_connection_gives_way_and_a_busy_one_does_not() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = builder(driver, &origin, &[("max-worker-connections", "2")]).workers(1).start();
        let mut idle: Vec<_> = (0..2).map(|_| Frames::open(ringress.https)).collect();
        for connection in &mut idle {
            connection.send(&get(1)).expect("send");
            assert_eq!(connection.answer(1).status, 200);
        }
        eventually("both are idle", || ringress.metric("ringress_connections_idle") == 2.0);
        assert_eq!(ringress.get("a.test", "/").status, 200, "room was made");
        assert_eq!(ringress.metric("ringress_connections_reclaimed_total"), 1.0);
        eventually("the other one is idle", || ringress.metric("ringress_connections_idle") == 1.0);
        assert!(idle[1].is_alive(), "the longest idle one went");
        drop(idle);
        eventually("nothing is left", || ringress.metric("ringress_connections") == 0.0);
        assert_eq!(ringress.metric("ringress_connections_idle"), 0.0);
    });
}
