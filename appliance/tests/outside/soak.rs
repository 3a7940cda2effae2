//! Every kind of change and traffic for minutes: memory and descriptors stay flat once it is warm, and nothing panics.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::long;
use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::load::{Kind, Load};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};
use crate::support::services::{self, config_map, own_port, tcp_echo, udp_echo};
use crate::support::tunnel;

const CHANGE_INTERVAL: Duration = Duration::from_millis(50);
/// What memory may grow after it is warm: an allocator's breath, not a leak at hundreds of requests a second.
const GROWTH_BYTES_MAX: u64 = 12 << 20;
/// What descriptors may grow: where endpoints come and go, so do pooled connections.
const GROWTH_DESCRIPTORS_MAX: u64 = 16;

fn time() -> Duration {
    Duration::from_secs(if long() { 600 } else { 60 })
}

/// What the folder holds in a turn: Ingresses that come, change and go, endpoints that are replaced, a certificate that is
/// rotated, options, and ports of services that open and close.
fn site(turn: usize, origins: &[SocketAddr], sockets: SocketAddr, echoes: &Echoes) -> String {
    let mut objects = service("origin", &[origins[turn % 3], origins[(turn + 1) % 3]]);
    objects.extend(service("sockets", &[sockets]));
    objects.extend(services::service("tcp", "TCP", &[echoes.tcp]));
    objects.extend(services::service("udp", "UDP", &[echoes.udp]));
    let a = ingress("a").without_redirect().annotation("proxy-read-timeout", &(30 + turn % 60).to_string());
    let a = a.tls("a.test", "cert").prefix("a.test", "/", "origin").prefix("a.test", "/ws", "sockets");
    objects.push(a.build());
    objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
    objects.push(options(&[("proxy-body-size", if turn.is_multiple_of(2) { "1m" } else { "2m" })]));
    for other in 0..turn % 7 {
        let name = format!("other-{other}");
        objects.push(ingress(&name).prefix(&format!("{name}.test"), "/", "origin").build());
    }
    let ports: &[(u16, &str)] = &[(echoes.port, "default/tcp:7")];
    objects.push(config_map("tcp-services", if turn % 4 == 3 { &[] } else { ports }));
    objects.push(config_map("udp-services", &[(echoes.port, "default/udp:7")]));
    file(objects)
}

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
struct Resources {
    bytes: u64,
    descriptors: u64,
}

impl Resources {
    /// Keeps the most.
    fn take_in(&mut self, ringress: &Ringress) {
        let open = std::fs::read_dir(format!("/proc/{}/fd", ringress.pid())).expect("its descriptors").count();
        self.bytes = self.bytes.max(ringress.resident_bytes());
        self.descriptors = self.descriptors.max(open as u64);
    }
}

/// Behind the ports of services.
struct Echoes {
    tcp: SocketAddr,
    udp: SocketAddr,
    port: u16,
}

/// Traffic beside that of the clients that go on by themselves.
fn visit(ringress: &Ringress, echoes: &Echoes, socket: &UdpSocket, turn: usize) {
    let mut socket_client = tunnel::open(ringress.http);
    tunnel::round_trip(&mut socket_client, b"hello").expect("an echo");
    let mut poster = Connection::plain(ringress.http).expect("connect");
    let body = vec![b'x'; 1 + turn % 100_000];
    assert_eq!(poster.request("POST", "a.test", "/", &[], &body).expect("an answer").status, 200);
    let mut rude = TcpStream::connect(ringress.http).expect("connect");
    rude.write_all(b"NO REQUEST AT ALL\r\n\r\n").expect("send");
    drop(TcpStream::connect(ringress.https).expect("connect"));
    let at = SocketAddr::new(ringress.http.ip(), echoes.port);
    // The port is closed every now and then.
    if let Ok(mut stream) = TcpStream::connect(at) {
        let _may_be_cut = stream.write_all(b"hello").and_then(|()| stream.read(&mut [0; 5]));
    }
    socket.send_to(b"hello", at).expect("send");
    let _may_be_lost = socket.recv_from(&mut [0; 64]);
}

fn figure(ringress: &Ringress, name: &str) -> f64 {
    let page = client::once(ringress.health, "GET", "localhost", "/metrics").text();
    let values = page.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

#[test]
fn minutes_of_everything_leave_nothing_behind() {
    let origins = ["first", "second", "third"].map(Origin::named);
    let addresses = [&origins[0], &origins[1], &origins[2]].map(|origin| origin.address);
    let sockets = tunnel::echo();
    on_each_driver(|driver| {
        let echoes = Echoes { tcp: tcp_echo(b""), udp: udp_echo("udp"), port: own_port() };
        let site = |turn| site(turn, &addresses, sockets.address, &echoes);
        let builder = Ringress::on(driver).flag("--configmap=default/options");
        let builder = builder.flag("--tcp-services-configmap=default/tcp-services");
        let builder = builder.flag("--udp-services-configmap=default/udp-services");
        let mut ringress = builder.manifest("site.json", site(0)).start();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time limit");
        let load = Load::start(&ringress, &[Kind::KeepAlive, Kind::Fresh, Kind::Tls, Kind::Http2]);
        let (began, mut turn) = (Instant::now(), 0);
        // The most that there was in each third of the time; the first is for warming up.
        let mut most = [Resources::default(); 3];
        while began.elapsed() < time() {
            turn += 1;
            ringress.apply("site.json", site(turn));
            visit(&ringress, &echoes, &socket, turn);
            std::thread::sleep(CHANGE_INTERVAL);
            let third = (3 * began.elapsed().as_millis() / time().as_millis()).min(2) as usize;
            most[third].take_in(&ringress);
        }
        let [_, warm, end] = most;
        println!("{turn} changes; the most of the second third: {warm:?}, of the last: {end:?}");
        for (kind, requests) in load.stop() {
            println!("{kind:?}: {requests} requests");
        }
        assert!(end.bytes <= warm.bytes + GROWTH_BYTES_MAX, "memory grew: {warm:?}, {end:?}");
        assert!(end.descriptors <= warm.descriptors + GROWTH_DESCRIPTORS_MAX, "descriptors grew: {warm:?}, {end:?}");
        eventually("no client is left", || {
            figure(&ringress, "nginx_ingress_controller_nginx_process_connections{") == 0.0
        });
        assert!(figure(&ringress, "ringress_panics_total") == 0.0 && !ringress.log().contains("panicked"));
        ringress.assert_alive();
    });
}
