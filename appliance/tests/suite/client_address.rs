//! One address of a client, however it is written: in access lists, and in what upstreams are told.

use std::net::TcpListener;

use crate::support::client::{self, Connection};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

/// Only this client is let in.
fn site(origin: &Origin, range: &str) -> Vec<serde_json::Value> {
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").annotation("whitelist-source-range", range).prefix("a.test", "/", "origin").build());
    objects
}

fn told(origin: &Origin) -> Vec<Option<String>> {
    let requests = origin.received();
    let last = requests.last().expect("a request");
    ["x-real-ip", "x-forwarded-for"].map(|name| last.header(name).map(str::to_owned)).to_vec()
}

/// Version 2, TCP over IPv6, from `::ffff:9.9.9.9`.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\
    \0\0\0\0\0\0\0\0\0\0\xff\xff\x09\x09\x09\x09\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01\x03\xe8\x00\x50";

#[test]
fn an_ipv4_client_behind_a_hop_of_both_families_is_one_of_ipv4_everywhere() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut objects = site(&origin, "9.9.9.9/32");
        objects.push(options(&[("use-proxy-protocol", "true")]));
        let ringress = Ringress::on(driver).manifest("all.json", file(objects));
        let ringress = ringress.flag("--configmap=default/options").start();
        for header in [&b"PROXY TCP6 ::ffff:9.9.9.9 ::ffff:10.0.0.1 1000 80\r\n"[..], BINARY] {
            let mut connection = Connection::plain(ringress.http).expect("connect");
            connection.send(header).expect("a header");
            assert_eq!(connection.get("a.test", "/").expect("an answer").status, 200);
            assert_eq!(told(&origin), [Some("9.9.9.9".to_owned()), Some("9.9.9.9".to_owned())]);
        }
        let mut other = Connection::plain(ringress.http).expect("connect");
        other.send(b"PROXY TCP6 ::ffff:9.9.9.8 ::ffff:10.0.0.1 1000 80\r\n").expect("a header");
        assert_eq!(other.get("a.test", "/").expect("an answer").status, 403);
    });
}

#[test]
fn an_ipv4_client_of_a_passed_socket_of_both_families_is_one_of_ipv4_everywhere() {
    on_each_driver(|driver| {
        let listener = TcpListener::bind("[::]:0").expect("a socket of both families");
        let port = listener.local_addr().expect("its address").port();
        let origin = Origin::named("origin");
        let builder = Ringress::on(driver).passing(&listener, "http");
        let ringress = builder.manifest("all.json", file(site(&origin, "127.0.0.1/32"))).start();
        let answer = client::once(([127, 0, 0, 1], port).into(), "GET", "a.test", "/");
        assert_eq!(answer.status, 200);
        assert_eq!(told(&origin), [Some("127.0.0.1".to_owned()), Some("127.0.0.1".to_owned())]);
        drop(ringress);
    });
}
