//! A process is replaced by another one: no request is lost, what lasts goes on, and a new one that does not serve changes
//! nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde_json::json;

use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::load::{Kind, Load};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Builder, Driver, Ringress, ask_for_upgrade, on_each_driver};
use crate::support::services::{self, config_map, own_port, tcp_echo, udp_echo};
use crate::support::{PATIENCE, eventually, tunnel};

/// Upgrades in a row under load.
fn rounds() -> usize {
    if std::env::var_os("RINGRESS_LONG").is_some() { 20 } else { 3 }
}

/// Requests of every client between two upgrades.
const REQUESTS: usize = 20;

fn site(driver: Driver, origin: &Origin) -> Builder {
    let mut objects = service("origin", &[origin.address]);
    objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
    let a = ingress("a").without_redirect().tls("a.test", "cert");
    objects.push(a.prefix("a.test", "/", "origin").build());
    Ringress::on(driver).manifest("all.json", file(objects))
}

fn serves(ringress: &Ringress) {
    assert_eq!(ringress.get("a.test", "/").status, 200);
}

#[test]
fn upgrades_under_load_lose_nothing_and_websockets_live_on() {
    on_each_driver(|driver| {
        let origin = tunnel::echo();
        let mut ringress = site(driver, &origin).flag("--drain-timeout=60s").start();
        let load = Load::start(&ringress, &[Kind::KeepAlive, Kind::Fresh, Kind::Tls, Kind::Http2]);
        let mut tunnels = Vec::new();
        for round in 0..rounds() {
            load.wait(REQUESTS);
            tunnels.push(tunnel::open(ringress.http));
            let before = ringress.pid();
            ringress.upgrade().unwrap_or_else(|why| panic!("round {round}: {why}"));
            assert_ne!(ringress.pid(), before);
            for tunnel in &mut tunnels {
                tunnel::round_trip(tunnel, b"still here").expect("the tunnel lives");
            }
        }
        load.wait(REQUESTS);
        load.stop();
        assert_eq!(ringress.status()["ready"], json!(true), "the admin listener is the new one's");
        assert!(ringress.ended().is_none(), "the first process waits for its tunnel");
        tunnels.clear();
        eventually("the first process ends once its tunnel has", || ringress.ended().is_some());
        assert_eq!(ringress.ended().and_then(|status| status.code()), Some(0), "{}", ringress.log());
        assert!(!ringress.log().contains("panicked"), "{}", ringress.log());
        serves(&ringress);
    });
}

#[test]
fn a_silent_connection_is_told_with_its_next_answer_and_a_websocket_lives_until_the_bound() {
    on_each_driver(|driver| {
        let origin = tunnel::echo();
        let mut ringress = site(driver, &origin).flag("--drain-timeout=3s").start();
        let mut tunnel = tunnel::open(ringress.http);
        let mut silent = Connection::plain(ringress.http).expect("connect");
        assert!(!silent.get("a.test", "/").expect("an answer").closes());
        ringress.upgrade().expect("an upgrade");
        let began = Instant::now();
        tunnel::round_trip(&mut tunnel, b"still here").expect("the tunnel lives");
        let mut told = || {
            let answer = silent.get("a.test", "/").expect("the old process still answers");
            assert_eq!(answer.status, 200);
            answer.closes()
        };
        eventually("an answer says that it is the last", &mut told);
        assert!(tunnel.is_closed(), "the bound of the drain ends it");
        assert!(began.elapsed() >= Duration::from_secs(2), "not before: {:?}", began.elapsed());
        eventually("the old process ends", || ringress.ended().is_some());
        serves(&ringress);
    });
}

#[test]
fn sigusr2_upgrades_as_well() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut ringress = site(driver, &origin).start();
        // A second upgrade by the command makes the number known; the first one leaves a successor that serves.
        ringress.signal(Signal::USR2);
        eventually("the first process ends", || ringress.ended().is_some());
        serves(&ringress);
        ringress.upgrade().expect("the successor can be replaced as well");
        serves(&ringress);
    });
}

#[test]
fn a_new_program_that_does_not_serve_changes_nothing() {
    on_each_driver(|driver| {
        let origin = tunnel::echo();
        let builder = site(driver, &origin).own_copy().config("workers: 2\n").flag("--upgrade-timeout=30s");
        let mut ringress = builder.start();
        let load = Load::start(&ringress, &[Kind::KeepAlive, Kind::Fresh, Kind::Http2]);
        let mut tunnel = tunnel::open(ringress.http);
        ringress.install(Some("#!/bin/sh\nexit 3\n"));
        let why = ringress.upgrade().expect_err("it ends at once");
        assert!(why.contains("goes on") && why.contains("exit status: 3"), "{why}");
        ringress.install(Some("#!/no/such/interpreter\n"));
        let why = ringress.upgrade().expect_err("it cannot be started");
        assert!(why.contains("cannot start") && why.contains("ringress"), "{why}");
        ringress.install(None);
        ringress.configure("workers: 2\nno-such-option: 1\n");
        let why = ringress.upgrade().expect_err("its configuration is wrong");
        assert!(why.contains("no-such-option"), "{why}");
        ringress.configure("workers: 2\n");
        let metrics = ringress.metrics();
        assert!(metrics.contains("\nringress_upgrades_failed_total 3\n"), "{metrics}");
        load.wait(REQUESTS);
        load.stop();
        tunnel::round_trip(&mut tunnel, b"all the while").expect("the tunnel lives");
        ringress.assert_alive();
        let first = ringress.pid();
        ringress.upgrade().expect("what is installed now serves");
        assert_ne!(ringress.pid(), first);
        serves(&ringress);
    });
}

#[test]
fn a_new_program_that_is_never_ready_is_ended_and_a_second_upgrade_is_refused_meanwhile() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut ringress = site(driver, &origin).own_copy().flag("--upgrade-timeout=3s").start();
        ringress.install(Some("#!/bin/sh\nexec sleep 600\n"));
        let socket = ringress.control_socket();
        let first = std::thread::spawn(move || ask_for_upgrade(&socket));
        ringress.wait_logged("the new process is started");
        let (code, _, why) = ask_for_upgrade(&ringress.control_socket());
        assert!(code == Some(1) && why.contains("under way"), "{why}");
        let (code, _, why) = first.join().expect("the first");
        assert!(code == Some(1) && why.contains("not ready within 3s"), "{why}");
        serves(&ringress);
        ringress.assert_alive();
    });
}

/// Hangs in a child of its own, whose number it writes down, started by these words.
fn hanging_program(launcher: &str) -> String {
    let note = "echo $! > \"$0.part\"\nmv \"$0.part\" \"$0.child\"";
    format!("#!/bin/sh\nexec 3<&0\n{launcher} sleep 600 <&3 &\n{note}\nwait\n")
}

#[test]
fn a_new_program_whose_child_hangs_leaves_neither_it_nor_a_socket_behind() {
    for (launcher, leaves_group) in [("", false), ("setsid", true)] {
        let origin = Origin::named("origin");
        let mut ringress = site(Driver::Epoll, &origin).own_copy().flag("--upgrade-timeout=3s").start();
        ringress.install(Some(&hanging_program(launcher)));
        let why = ringress.upgrade().expect_err("it hangs");
        assert!(why.contains("not ready within 3s"), "{why}");
        let child = ringress.control_socket().with_file_name("ringress.child");
        let child = std::fs::read_to_string(child).expect("the program has run");
        let child = Pid::from_raw(child.trim().parse().expect("a number")).expect("a process");
        let state = || std::fs::read_to_string(format!("/proc/{}/status", child.as_raw_nonzero())).unwrap_or_default();
        let lives = || state().contains("Name:\tsleep") && !state().contains("State:\tZ");
        if leaves_group {
            assert!(lives(), "it is in a session of its own: {}", state());
        } else {
            eventually("the child of the program is ended", || !lives());
        }
        serves(&ringress);
        ringress.signal(Signal::TERM);
        eventually("the process ends", || ringress.ended().is_some());
        for address in [ringress.http, ringress.https, ringress.health, ringress.admin] {
            assert!(TcpStream::connect(address).is_err(), "somebody still listens at {address}");
            TcpListener::bind(address).unwrap_or_else(|error| panic!("{address} cannot be listened on: {error}"));
        }
        let _already_ended = kill_process(child, Signal::KILL);
    }
}

#[test]
fn a_successor_is_in_the_process_group_of_the_first_process() {
    let origin = Origin::named("origin");
    let ringress = site(Driver::Epoll, &origin).start();
    let group = || getpgid(Pid::from_raw(ringress.pid().cast_signed())).expect("its group");
    let before = group();
    for _ in 0..2 {
        ringress.upgrade().expect("an upgrade");
        assert_eq!(group(), before, "signals of a terminal reach it");
    }
}

#[test]
fn a_service_of_another_size_accepts_on_every_socket() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin).config("workers: 3\n").start();
        for workers in [1, 4] {
            ringress.configure(&format!("workers: {workers}\n"));
            ringress.upgrade().expect("an upgrade");
            // The old process answers what it has accepted by then.
            eventually("the new size is in effect", || ringress.status()["workers"] == json!(workers));
            // The kernel spreads them over all three sockets.
            for _ in 0..60 {
                serves(&ringress);
            }
        }
    });
}

#[test]
fn a_listener_that_is_no_longer_wanted_is_closed_and_a_new_one_opened() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin).config("workers: 2\n").flag("--drain-timeout=60s").start();
        let _keeps_the_old_process = Connection::plain(ringress.http).expect("connect");
        ringress.configure("workers: 2\nhttps-port: 0\n");
        ringress.upgrade().expect("an upgrade");
        eventually("nobody listens for https", || TcpStream::connect(ringress.https).is_err());
        serves(&ringress);
        ringress.configure("workers: 2\n");
        ringress.upgrade().expect("an upgrade");
        assert_eq!(client::get_tls(ringress.https, "a.test", "/").status, 200);
    });
}

#[test]
fn ports_of_services_go_along() {
    on_each_driver(|driver| {
        let [tcp, udp] = [(); 2].map(|()| own_port());
        let mut objects = services::service("echo", "TCP", &[tcp_echo(b"")]);
        objects.extend(services::service("dns", "UDP", &[udp_echo("one")]));
        objects.push(config_map("tcp", &[(tcp, "default/echo:7")]));
        objects.push(config_map("udp", &[(udp, "default/dns:7")]));
        let builder = Ringress::on(driver).flag("--tcp-services-configmap=default/tcp");
        let builder = builder.flag("--udp-services-configmap=default/udp").flag("--drain-timeout=60s");
        let mut ringress = builder.manifest("services.json", file(objects)).start();
        let at = |port| SocketAddr::new(ringress.http.ip(), port);
        let (tcp, udp) = (at(tcp), at(udp));
        let asks = |socket: &UdpSocket| {
            socket.send_to(b"hello", udp).expect("send");
            let mut answer = [0; 64];
            let (bytes, from) = socket.recv_from(&mut answer).expect("an answer");
            assert!(from == udp && answer[..bytes].ends_with(b"hello"));
        };
        let echo = |stream: &mut TcpStream, text: &[u8]| {
            stream.write_all(text).expect("send");
            let mut echoed = vec![0; text.len()];
            stream.read_exact(&mut echoed).expect("an echo");
            assert_eq!(echoed, text);
        };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let mut lasting = TcpStream::connect(tcp).expect("the port is open");
        lasting.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        for _ in 0..rounds() {
            echo(&mut lasting, b"before");
            asks(&socket);
            ringress.upgrade().expect("an upgrade");
            echo(&mut lasting, b"after");
            echo(&mut TcpStream::connect(tcp).expect("the port stays open"), b"new");
            asks(&socket);
        }
        ringress.apply("services.json", file([config_map("tcp", &[])]));
        assert!(TcpStream::connect(tcp).is_err(), "the new process closes what it took over");
        drop(lasting);
        eventually("the first process ends", || ringress.ended().is_some());
    });
}

/// A service manager as far as the process sees it.
struct Manager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        Self { folder, socket }
    }

    /// Waits for a line that begins so; what is told before it must not hold `never`.
    fn told(&self, start: &str, never: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let bytes = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("never told {start}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
            if let Some(line) = text.lines().find(|line| line.starts_with(start)) {
                return line.to_owned();
            }
            assert!(never.is_empty() || !text.contains(never), "{text}");
        }
    }
}

#[test]
fn a_service_manager_keeps_the_socket_and_follows_the_main_process() {
    on_each_driver(|driver| {
        let manager = Manager::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = listener.local_addr().expect("its address");
        let origin = Origin::named("origin");
        let start = || {
            let builder = site(driver, &origin).passing(&listener, "http").env("WATCHDOG_USEC", "200000");
            builder.env("NOTIFY_SOCKET", manager.folder.path().join("notify")).start()
        };
        let asked = || client::once(address, "GET", "a.test", "/").status;
        let mut ringress = start();
        manager.told("READY=1", "");
        manager.told("WATCHDOG=1", "");
        assert_eq!(asked(), 200, "the passed socket is served");
        assert!(TcpStream::connect(ringress.http).is_err(), "and no other one in its place");
        ringress.upgrade().expect("an upgrade");
        manager.told("RELOADING=1", "");
        assert_eq!(manager.told("MAINPID=", "STOPPING"), format!("MAINPID={}", ringress.pid()));
        manager.told("READY=1", "STOPPING");
        eventually("the first process ends", || ringress.ended().is_some());
        manager.told("WATCHDOG=1", "STOPPING");
        assert_eq!(asked(), 200);
        ringress.signal(Signal::TERM);
        manager.told("STOPPING=1", "");
        drop(ringress);
        let mut waiting = Connection::plain(address).expect("the manager listens");
        waiting.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        let _again = start();
        assert_eq!(waiting.response(false).expect("an answer").status, 200, "who waited is served by the next process");
    });
}

#[test]
fn a_passed_socket_of_an_unknown_name_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let origin = Origin::named("origin");
    let builder = site(Driver::Epoll, &origin).passing(&listener, "metrics");
    let mut ringress = builder.launch();
    eventually("it does not start", || ringress.ended().is_some());
    ringress.wait_logged("expected http or https");
}
