//! TCP and UDP services: ports that come and go with their ConfigMap and lead to a Service as it is.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

use crate::support::manifests::file;
use crate::support::origin::refusing_address;
use crate::support::process::{Builder, Driver, Ringress, on_each_driver};
use crate::support::services::{config_map, own_port, service, tcp_echo, udp_echo};
use crate::support::{PATIENCE, eventually};

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let sent = bytes.to_vec();
    let sending = std::thread::spawn(move || writer.write_all(&sent));
    let mut received = vec![0; bytes.len()];
    stream.read_exact(&mut received)?;
    assert!(received == bytes, "what comes back is what was sent");
    sending.join().expect("the sender")
}

fn instance(driver: Driver) -> Builder {
    Ringress::on(driver).flag("--tcp-services-configmap=default/tcp").flag("--udp-services-configmap=default/udp")
}

fn at(ringress: &Ringress, port: u16) -> SocketAddr {
    SocketAddr::new(ringress.http.ip(), port)
}

#[test]
fn a_tcp_port_comes_and_goes_and_cuts_no_connection() {
    on_each_driver(|driver| {
        let port = own_port();
        let objects = service("echo", "TCP", &[tcp_echo(b"")]);
        let ringress = instance(driver).manifest("services.json", file(objects)).start();
        let to = at(&ringress, port);
        assert!(connect(to).is_err(), "nobody listens yet");
        ringress.apply("tcp.json", file([config_map("tcp", &[(port, "default/echo:7")])]));
        let mut client = connect(to).expect("the port is open once the change is served");
        round_trip(&mut client, &vec![7; 3 << 20]).expect("an echo");
        ringress.apply("tcp.json", file([config_map("tcp", &[])]));
        assert!(connect(to).is_err(), "the port is closed");
        round_trip(&mut client, b"still here").expect("the connection lives on");
        client.shutdown(Shutdown::Write).expect("end the own side");
        assert_eq!(client.read(&mut [0; 1]).expect("the end"), 0, "the end of one side reaches the other and back");
        ringress.apply("tcp.json", file([config_map("tcp", &[(port, "default/echo:7")])]));
        eventually("the port is open again", || connect(to).is_ok_and(|mut c| round_trip(&mut c, b"again").is_ok()));
    });
}

#[test]
fn a_dead_endpoint_is_passed_over_and_a_port_without_any_is_closed() {
    on_each_driver(|driver| {
        let port = own_port();
        let dead = refusing_address();
        let ringress = instance(driver)
            .manifest("services.json", file(service("echo", "TCP", &[dead, tcp_echo(b"")])))
            .manifest("tcp.json", file([config_map("tcp", &[(port, "default/echo:7")])]))
            .start();
        for _ in 0..10 {
            round_trip(&mut connect(at(&ringress, port)).expect("connect"), b"hello").expect("an echo");
        }
        ringress.apply("services.json", file(service("echo", "TCP", &[])));
        assert!(connect(at(&ringress, port)).is_err(), "no endpoint, no port");
        let metrics = ringress.metrics();
        assert!(metrics.contains("ringress_tcp_sessions_total"), "{metrics}");
    });
}

#[test]
fn proxy_headers_are_read_and_written() {
    on_each_driver(|driver| {
        let [plain, out, both] = [(); 3].map(|()| own_port());
        let entries = [(out, "default/echo:7::PROXY"), (both, "default/echo:7:PROXY:PROXY"), (plain, "default/echo:7")];
        let ringress = instance(driver)
            .manifest("services.json", file(service("echo", "TCP", &[tcp_echo(b"")])))
            .manifest("tcp.json", file([config_map("tcp", &entries)]))
            .start();
        let ip = ringress.http.ip();
        let echoed = |to: u16, sent: &[u8], expected: &str| {
            let mut client = connect(at(&ringress, to)).expect("connect");
            let own = client.local_addr().expect("its address");
            client.write_all(sent).expect("send");
            client.shutdown(Shutdown::Write).expect("end the own side");
            let mut echo = String::new();
            client.read_to_string(&mut echo).expect("an echo");
            assert_eq!(echo, expected.replace("OWN", &own.port().to_string()).replace("SELF", &own.ip().to_string()));
        };
        echoed(plain, b"x", "x");
        echoed(out, b"x", &format!("PROXY TCP4 SELF {ip} OWN {out}\r\nx"));
        echoed(
            both,
            b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 22\r\nx",
            &format!("PROXY TCP4 192.0.2.7 {ip} 1111 {both}\r\nx"),
        );
        let second = |command: u8, rest: &[u8]| {
            let length = u8::try_from(rest.len()).expect("a short header");
            [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, if command == 0 { 0 } else { 0x11 }, 0, length][..], rest]
                .concat()
        };
        // LOCAL: a check of the hop itself, whatever else it says. PROXY with a TLV behind the addresses.
        let told = format!("PROXY TCP4 SELF {ip} OWN {both}\r\nx");
        echoed(both, &[&second(0, &[])[..], b"x"].concat(), &told);
        echoed(both, &[&second(0, &[1, 2, 3])[..], b"x"].concat(), &told);
        let addresses = [192, 0, 2, 7, 192, 0, 2, 8, 0x04, 0x57, 0, 22, 0x02, 0, 6, b'a', b'.', b't', b'e', b's', b't'];
        let told = format!("PROXY TCP4 192.0.2.7 {ip} 1111 {both}\r\nx");
        echoed(both, &[&second(1, &addresses)[..], b"x"].concat(), &told);
        echoed(both, b"no header\r\n", "");
    });
}

#[test]
fn a_port_that_cannot_be_had_is_told_and_harms_no_other() {
    on_each_driver(|driver| {
        let port = own_port();
        let ringress =
            instance(driver).manifest("services.json", file(service("echo", "TCP", &[tcp_echo(b"")]))).start();
        let taken = TcpListener::bind((ringress.http.ip(), 0)).expect("listen");
        let taken_port = taken.local_addr().expect("its address").port();
        let entries = [
            (taken_port, "default/echo:7"),
            (port, "default/echo:7"),
            (ringress.http.port(), "default/echo:7"),
            (7, "default/nobody:7"),
        ];
        ringress.apply("tcp.json", file([config_map("tcp", &entries)]));
        round_trip(&mut connect(at(&ringress, port)).expect("connect"), b"served").expect("an echo");
        let status = ringress.status();
        let shown =
            |port: u16| status["streams"].as_array().expect("a list").iter().find(|s| s["port"] == port).cloned();
        assert_eq!(shown(port).expect("listed")["listening"], true);
        let failed = shown(taken_port).expect("listed");
        assert!(failed["listening"] == false && failed["error"].is_string(), "{failed}");
        let rejected = status["rejected"].to_string();
        for field in [format!("data.{}", ringress.http.port()), "data.7".to_owned()] {
            assert!(rejected.contains(&field), "{field} in {rejected}");
        }
        drop(taken);
        eventually("the port is taken once it is free", || {
            connect(at(&ringress, taken_port)).is_ok_and(|mut client| round_trip(&mut client, b"late").is_ok())
        });
    });
}

fn ask(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) -> Option<String> {
    socket.send_to(datagram, to).expect("send");
    let mut buffer = vec![0; 65_536];
    let (bytes, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(from, to, "the answer comes from where the question went");
    Some(String::from_utf8_lossy(&buffer[..bytes]).into_owned())
}

fn udp_client(patience: std::time::Duration) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.set_read_timeout(Some(patience)).expect("set a time limit");
    socket
}

#[test]
fn datagrams_are_answered_and_the_port_goes_with_its_entry() {
    on_each_driver(|driver| {
        let port = own_port();
        let ringress = instance(driver)
            .manifest("services.json", file(service("dns", "UDP", &[udp_echo("one"), udp_echo("two")])))
            .manifest("udp.json", file([config_map("udp", &[(port, "default/dns:a")])]))
            .start();
        let to = at(&ringress, port);
        let mut answered = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let answer = ask(&udp_client(PATIENCE), to, b"hello").expect("an answer");
            assert!(answer.ends_with(" hello"), "{answer}");
            answered.insert(answer);
        }
        assert_eq!(answered.len(), 2, "both endpoints are used: {answered:?}");
        let long = vec![b'x'; 40_000];
        assert!(ask(&udp_client(PATIENCE), to, &long).expect("an answer").len() > long.len());
        let open = || {
            let metrics = ringress.metrics();
            let lines = metrics.lines().filter(|line| line.starts_with("ringress_udp_sessions{"));
            lines.map(|line| line.rsplit_once(' ').map_or(0.0, |(_, n)| n.parse().expect("a number"))).sum::<f64>()
        };
        eventually("an answered session is over", || open() == 0.0);
        ringress.apply("udp.json", file([config_map("udp", &[])]));
        let client = udp_client(std::time::Duration::from_millis(300));
        assert_eq!(ask(&client, to, b"hello"), None, "the port is closed");
        eventually("the port can be bound by others", || UdpSocket::bind(to).is_ok());
    });
}

#[test]
fn a_udp_session_stays_with_its_endpoint_and_ends_when_idle() {
    on_each_driver(|driver| {
        let port = own_port();
        let options = [("proxy-stream-responses", "1000"), ("proxy-stream-timeout", "1s")];
        let mut objects = service("dns", "UDP", &[udp_echo("one"), udp_echo("two")]);
        objects.push(crate::support::manifests::options(&options));
        let ringress = instance(driver)
            .flag("--configmap=default/options")
            .manifest("services.json", file(objects))
            .manifest("udp.json", file([config_map("udp", &[(port, "default/dns:7")])]))
            .start();
        let to = at(&ringress, port);
        let client = udp_client(PATIENCE);
        let first = ask(&client, to, b"hello").expect("an answer");
        for _ in 0..10 {
            assert_eq!(ask(&client, to, b"hello").expect("an answer"), first);
        }
        let open = || {
            let metrics = ringress.metrics();
            metrics.lines().any(|line| line.starts_with("ringress_udp_sessions{") && line.ends_with(" 1"))
        };
        assert!(open(), "one session is open");
        eventually("it ends when idle", || !open());
        assert!(ask(&client, to, b"hello").is_some(), "a new session begins");
    });
}
