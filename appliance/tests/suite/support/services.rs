//! TCP and UDP services: their objects, and who answers behind them.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Map, Value, json};

/// The first port below what systems give out by themselves (Linux: from 32768), as an instance asks for its own.
const FIRST: u16 = 20_000;
/// How many there are.
const PORTS: u16 = 12_000;

/// A port for both transports that no other test is given, and that no instance may get as its own.
///
/// Not tried out: a socket that another test's child has a copy of for a moment keeps its port, see `process::HeldPort`.
pub(crate) fn own_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS
}

pub(crate) fn config_map(name: &str, entries: &[(u16, &str)]) -> Value {
    let data: Map<String, Value> = entries.iter().map(|(port, to)| (port.to_string(), json!(to))).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn service(name: &str, protocol: &str, endpoints: &[SocketAddr]) -> Vec<Value> {
    let port = |number: u16| json!([{"name": "a", "port": number, "protocol": protocol}]);
    let slice = |(index, at): (usize, &SocketAddr)| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{name}-{index}"), "labels": {"kubernetes.io/service-name": name}},
            "ports": port(at.port()), "endpoints": [{"addresses": [at.ip().to_string()]}]})
    };
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": port(7)}});
    std::iter::once(service).chain(endpoints.iter().enumerate().map(slice)).collect()
}

/// Sends back what it receives, with `greeting` before it, until the client ends its side.
pub(crate) fn tcp_echo(greeting: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                stream.write_all(greeting)?;
                let mut reader = stream.try_clone()?;
                std::io::copy(&mut reader, &mut stream)?;
                stream.shutdown(Shutdown::Write)
            });
        }
    });
    address
}

/// Answers each datagram with its name, the client that it sees, and the datagram.
pub(crate) fn udp_echo(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("its address");
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            let answer = [name.as_bytes(), b" ", &buffer[..bytes]].concat();
            // What is too long with the name in front goes back as it came.
            let _sent = socket.send_to(&answer, from).or_else(|_| socket.send_to(&buffer[..bytes], from));
        }
    });
    address
}
