//! The access log of TCP and UDP services: a line at the end of each session.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;

use serde_json::Value;

use crate::support::manifests::{file, options};
use crate::support::origin::refusing_address;
use crate::support::process::{Builder, Driver, Ringress, on_each_driver};
use crate::support::services::{config_map, own_port, service, tcp_echo, udp_echo};
use crate::support::{PATIENCE, within};

/// An instance with these keys and a service of each transport on its own port; `tcp` is the endpoint of the one.
fn instance(driver: Driver, data: &[(&str, &str)], ports: [(u16, &str); 2], tcp: SocketAddr) -> Builder {
    let [tcp_entry, udp_entry] = ports;
    let mut all = service("echo", "TCP", &[tcp]);
    all.extend(service("dns", "UDP", &[udp_echo("one")]));
    all.extend([config_map("tcp", &[tcp_entry]), config_map("udp", &[udp_entry]), options(data)]);
    Ringress::on(driver)
        .flag("--configmap=default/options")
        .flag("--tcp-services-configmap=default/tcp")
        .flag("--udp-services-configmap=default/udp")
        .manifest("all.json", file(all))
}

fn at(ringress: &Ringress, port: u16) -> SocketAddr {
    SocketAddr::new(ringress.http.ip(), port)
}

/// Sends bytes and reads all that comes back; the own address.
fn tcp_session(to: SocketAddr, bytes: &[u8]) -> (SocketAddr, Vec<u8>) {
    let mut client = TcpStream::connect(to).expect("connect");
    let own = client.local_addr().expect("its address");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(bytes).expect("send");
    // The other side may have cut it by now, and has said all that it will then.
    let _cut = client.shutdown(Shutdown::Write);
    let mut echo = Vec::new();
    let _cut = client.read_to_end(&mut echo);
    (own, echo)
}

fn udp_session(to: SocketAddr, bytes: &[u8]) -> usize {
    let client = UdpSocket::bind((to.ip(), 0)).expect("bind");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.send_to(bytes, to).expect("send");
    client.recv(&mut [0; 100]).expect("an answer")
}

/// The lines of a file, once there are so many.
fn lines(path: &Path, number: usize) -> Vec<String> {
    let read = || fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(within(PATIENCE, || read().len() >= number), "{number} lines in {:?}", read());
    read()
}

#[test]
fn sessions_of_both_transports_have_a_line_in_their_own_file_and_form() {
    on_each_driver(|driver| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("streams");
        let [tcp, udp] = [(); 2].map(|()| own_port());
        let echo = tcp_echo(b"hi ");
        let form = "$protocol $status $bytes_sent $bytes_received $remote_addr:$remote_port $server_port \
                    $proxy_upstream_name $upstream_addr $session_time";
        let keys = [("stream-access-log-path", path.to_str().unwrap()), ("log-format-stream", form)];
        let ports = [(tcp, "default/echo:7::PROXY"), (udp, "default/dns:7")];
        let ringress = instance(driver, &keys, ports, echo).start();
        let (own, _) = tcp_session(at(&ringress, tcp), b"hello");
        let line = lines(&path, 1).remove(0);
        // The echo of the PROXY header that the endpoint gets is sent to the client, and is none of its own bytes.
        let header = format!("PROXY TCP4 {} {} {} {tcp}\r\n", own.ip(), ringress.http.ip(), own.port());
        let start = format!("TCP 200 {} 5 {own} {tcp} tcp-default-echo-7 {echo} ", 3 + header.len() + 5);
        assert!(line.starts_with(&start) && line.ends_with(|c: char| c.is_ascii_digit()), "{line}, not {start}");
        let answered = udp_session(at(&ringress, udp), b"question");
        let line = lines(&path, 2).remove(1);
        assert!(line.starts_with(&format!("UDP 200 {answered} 8 ")), "{line}");
        assert!(line.contains(&format!(" {udp} udp-default-dns-7 ")), "{line}");
        assert!(!ringress.log().contains("TCP 200"), "only there");
    });
}

#[test]
fn what_reached_no_endpoint_has_a_line_that_says_so() {
    on_each_driver(|driver| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("streams");
        let [tcp, udp] = [(); 2].map(|()| own_port());
        let dead = refusing_address();
        let keys = [
            ("access-log-path", path.to_str().unwrap()),
            ("log-format-stream", "$protocol $status $bytes_sent $upstream_addr"),
            ("proxy-stream-next-upstream-tries", "1"),
        ];
        let ringress = instance(driver, &keys, [(tcp, "default/echo:7"), (udp, "default/dns:7")], dead).start();
        assert_eq!(tcp_session(at(&ringress, tcp), b"x").1, b"");
        assert_eq!(lines(&path, 1), [format!("TCP 502 0 {dead}")]);
        // One that does not say where it comes from, where that is due.
        drop(ringress);
        let ringress = instance(driver, &keys, [(tcp, "default/echo:7:PROXY"), (udp, "default/dns:7")], dead).start();
        assert_eq!(tcp_session(at(&ringress, tcp), b"no header\r\n").1, b"");
        assert_eq!(lines(&path, 2)[1], "TCP 400 0 -");
    });
}

#[test]
fn the_default_is_a_line_on_standard_output_and_a_key_switches_it_off() {
    on_each_driver(|driver| {
        let [tcp, udp] = [(); 2].map(|()| own_port());
        let ports = [(tcp, "default/echo:7"), (udp, "default/dns:7")];
        let ringress = instance(driver, &[], ports, tcp_echo(b"")).start();
        let (own, _) = tcp_session(at(&ringress, tcp), b"hello");
        let start = format!("[{}] [", own.ip());
        let is_line = |line: &str| line.starts_with(&start) && line.contains("] TCP 200 5 5 ");
        assert!(within(PATIENCE, || ringress.log().lines().any(is_line)), "{}", ringress.log());
        drop(ringress);
        let off = instance(driver, &[("disable-stream-access-log", "true")], ports, tcp_echo(b"")).start();
        tcp_session(at(&off, tcp), b"hello");
        udp_session(at(&off, udp), b"last");
        assert!(!off.log().contains("TCP 200") && !off.log().contains("UDP 200"), "{}", off.log());
    });
}

#[test]
fn a_flag_asks_for_json_of_sessions_too_and_bad_values_are_findings() {
    on_each_driver(|driver| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all");
        let [tcp, udp] = [(); 2].map(|()| own_port());
        let bad = [
            ("log-format-stream", "$request_uri"),
            ("disable-stream-access-log", "yes"),
            ("stream-access-log-path", "syslog:server=a"),
        ];
        let ringress = instance(driver, &bad, [(tcp, "default/echo:7"), (udp, "default/dns:7")], tcp_echo(b""))
            .flag(format!("--access-log={}", path.display()))
            .flag("--access-log-format=json")
            .start();
        udp_session(at(&ringress, udp), b"question");
        let entry: Value = serde_json::from_str(&lines(&path, 1)[0]).expect("JSON");
        assert_eq!(
            (&entry["protocol"], &entry["status"], &entry["bytes_received"]),
            (&"UDP".into(), &200.into(), &8.into())
        );
        assert_eq!(
            (entry["upstream"].as_str(), entry["server_port"].as_u64()),
            (Some("udp-default-dns-7"), Some(udp.into()))
        );
        let status = ringress.status();
        let rejected = status["rejected"].as_array().expect("a list");
        for (key, _) in bad {
            let field = format!("data.{key}");
            assert!(rejected.iter().any(|finding| finding["field"] == field.as_str()), "{key}: {rejected:#?}");
        }
    });
}
