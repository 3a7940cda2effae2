//! Where clients are accepted, and by how many workers: keys of the ConfigMap that act while connections live.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::Origin;
use crate::support::process::{Builder, Driver, Ringress, on_each_driver, own_address};
use crate::support::services::{self, config_map, own_port, tcp_echo};
use crate::support::{PATIENCE, eventually};

/// What a client that is turned away waits for; those of loopback that are let in are so at once.
const SOON: Duration = Duration::from_millis(250);

/// Longer than a listener takes to go.
const CHANGE: Duration = Duration::from_millis(700);

fn site(driver: Driver, origin: &Origin, keys: &[(&str, &str)]) -> Builder {
    let mut objects = service("origin", &[origin.address]);
    objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
    objects.push(ingress("a").without_redirect().tls("a.test", "cert").prefix("a.test", "/", "origin").build());
    let builder = Ringress::on(driver).manifest("all.json", file(objects));
    builder.manifest("options.json", file([options(keys)])).flag("--configmap=default/options")
}

fn set(ringress: &Ringress, keys: &[(&str, &str)]) {
    ringress.apply("options.json", file([options(keys)]));
}

fn at(ip: impl Into<IpAddr>, port_of: SocketAddr) -> SocketAddr {
    SocketAddr::new(ip.into(), port_of.port())
}

fn connects(to: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&to, SOON)
}

fn asks(mut stream: TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn serves(address: SocketAddr) {
    assert_eq!(client::once(address, "GET", "a.test", "/").status, 200, "{address}");
}

/// Addresses of http that are listened on.
fn listening(ringress: &Ringress) -> Vec<String> {
    let status = ringress.status();
    let open = status["listeners"].as_array().expect("a list").iter().filter(|own| own["protocol"] == "http");
    let open = open.filter(|own| own["listening"] == true);
    open.map(|own| own["address"].as_str().expect("an address").to_owned()).collect()
}

/// What is said of a key.
fn said(ringress: &Ringress, key: &str) -> String {
    let (status, field) = (ringress.status(), format!("data.{key}"));
    let of_key = |finding: &&Value| finding["object"] == "ConfigMap default/options" && finding["field"] == *field;
    let findings = status["rejected"].as_array().expect("a list").iter().filter(of_key);
    findings.map(|finding| finding["message"].as_str().expect("a message")).collect::<Vec<_>>().join("\n")
}

/// Clients that come to an address again and again. Who is let in must be answered; others may be turned away.
struct Visitors {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<String>>,
}

impl Visitors {
    fn of(address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (until, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            let mut faults = Vec::new();
            while !until.load(Ordering::SeqCst) {
                let Ok(stream) = connects(address) else { continue };
                match asks(stream) {
                    Ok(answer) if answer.starts_with("HTTP/1.1 200") => drop(count.fetch_add(1, Ordering::SeqCst)),
                    other => faults.push(format!("{address}: {other:?}")),
                }
            }
            faults
        });
        Self { stop, answered, thread }
    }

    /// Ends them; how many were answered.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        assert_eq!(self.thread.join().expect("the visitors"), [""; 0]);
        self.answered.load(Ordering::SeqCst)
    }
}

#[test]
fn the_addresses_of_the_config_map_are_listened_on_and_no_others_and_nobody_who_is_let_in_is_lost() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[]).start();
        let (first, second) = (ringress.http, at(own_address(), ringress.http));
        let mut lasting = Connection::plain(first).expect("connect");
        assert_eq!(lasting.get("a.test", "/").expect("an answer").status, 200);
        let visitors = [Visitors::of(first), Visitors::of(second)];
        for _ in 0..3 {
            set(&ringress, &[("bind-address", &second.ip().to_string())]);
            // Other visitors may be on their way out of the queue: nobody new is let in.
            assert!(connects(first).is_err(), "{first} is closed once the change is served");
            serves(second);
            assert_eq!(client::get_tls(at(second.ip(), ringress.https), "a.test", "/").status, 200);
            assert_eq!(listening(&ringress), [second.to_string()]);
            std::thread::sleep(CHANGE);
            assert_eq!(connects(first).expect_err("closed").kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(lasting.get("a.test", "/").expect("a connection lives on").status, 200);
            set(&ringress, &[]);
            assert!(connects(second).is_err(), "{second} is closed");
            serves(first);
            std::thread::sleep(CHANGE);
        }
        for visitors in visitors {
            assert!(visitors.stop() > 20, "no load");
        }
        assert!(!ringress.log().contains("panicked"), "{}", ringress.log());
    });
}

#[test]
fn an_address_that_the_config_map_excludes_is_never_open() {
    on_each_driver(|driver| {
        let (origin, own) = (Origin::named("origin"), own_address());
        let ringress = site(driver, &origin, &[("bind-address", &own.to_string())]).launch();
        let ready = || client::try_once(ringress.health, "GET", "localhost", "/readyz").is_ok_and(|r| r.status == 200);
        eventually("it is ready", || {
            assert!(connects(ringress.http).is_err() && connects(ringress.https).is_err(), "open before it is known");
            ready()
        });
        serves(at(own, ringress.http));
        assert_eq!(listening(&ringress), [at(own, ringress.http).to_string()]);
    });
}

#[test]
fn an_address_that_cannot_be_had_is_named_and_tried_again_and_what_was_there_stays_without_any() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[]).start();
        let other = at(own_address(), ringress.http);
        set(&ringress, &[("bind-address", "192.0.2.1")]);
        serves(ringress.http);
        let why = said(&ringress, "bind-address");
        for part in
            ["http on 192.0.2.1:", "https on 192.0.2.1:", "no address of this host", "the addresses before stay"]
        {
            assert!(why.contains(part), "{part} in {why}");
        }
        assert_eq!(ringress.status()["ready"], json!(true));
        let taken = TcpListener::bind(other).expect("listen");
        let both = format!("{}, {}", other.ip(), ringress.http.ip());
        set(&ringress, &[("bind-address", &both)]);
        serves(ringress.http);
        let why = said(&ringress, "bind-address");
        assert!(why.contains(&other.to_string()) && why.contains("the others are listened on"), "{why}");
        drop(taken);
        eventually("it is taken once it is free", || said(&ringress, "bind-address").is_empty());
        serves(other);
        set(&ringress, &[("bind-address", &format!("localhost,{}", other.ip()))]);
        assert!(said(&ringress, "bind-address").contains("`localhost` is not an address"));
        assert_eq!(listening(&ringress), [other.to_string()], "what can be read acts");
    });
}

#[test]
fn without_any_address_a_process_does_not_become_ready_and_says_why() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[("bind-address", "192.0.2.1")]).launch();
        eventually("it says why", || {
            let answer = client::try_once(ringress.health, "GET", "localhost", "/readyz");
            answer.is_ok_and(|answer| answer.status == 503 && answer.text().contains("192.0.2.1"))
        });
        assert!(connects(ringress.http).is_err());
        ringress.write("options.json", file([options(&[])]));
        ringress.wait_ready();
        serves(ringress.http);
    });
}

#[test]
fn addresses_of_ipv6_go_with_disable_ipv6_and_nothing_else_does() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("there is no IPv6 here");
        return;
    }
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[]).flag("--listen-address=::1").start();
        let six = at(Ipv6Addr::LOCALHOST, ringress.http);
        let mut lasting = Connection::plain(six).expect("connect");
        set(&ringress, &[("disable-ipv6", "true")]);
        assert!(connects(six).is_err());
        serves(ringress.http);
        assert_eq!(lasting.get("a.test", "/").expect("a connection lives on").status, 200);
        set(&ringress, &[("disable-ipv6", "true"), ("bind-address", &format!("[::1],{}", ringress.http.ip()))]);
        assert_eq!(listening(&ringress), [ringress.http.to_string()]);
        set(&ringress, &[("bind-address", "[::1]")]);
        serves(six);
        assert!(connects(ringress.http).is_err());
        set(&ringress, &[("disable-ipv6", "true"), ("bind-address", "[::1]")]);
        assert!(said(&ringress, "disable-ipv6").contains("has no effect"));
        serves(six);
    });
}

/// Sockets of a port of IPv4 that listen, as the kernel has them.
fn sockets(at: SocketAddr) -> usize {
    const LISTEN: &str = "0A";
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let own = match at.ip() {
        IpAddr::V4(ip) => format!("{:08X}:{:04X}", u32::from_le_bytes(ip.octets()), at.port()),
        IpAddr::V6(_) => panic!("an address of IPv4"),
    };
    let is_own = |line: &&str| line.split_whitespace().nth(1) == Some(&own);
    table.lines().filter(is_own).filter(|line| line.split_whitespace().nth(3) == Some(LISTEN)).count()
}

#[test]
fn all_workers_share_a_socket_or_have_one_each_as_reuse_port_says() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[]).workers(3).start();
        assert_eq!(sockets(ringress.http), 3);
        let visitors = [Visitors::of(ringress.http), Visitors::of(ringress.http)];
        for _ in 0..2 {
            set(&ringress, &[("reuse-port", "false")]);
            eventually("there is one socket", || sockets(ringress.http) == 1);
            // All of them accept from it: one may be quick to take all that come at once, not all that come.
            let mut held = Vec::new();
            eventually("every worker has some", || {
                held.push(connects(ringress.http).expect("connect"));
                connections(&ringress).iter().all(|count| *count != 0)
            });
            drop(held);
            set(&ringress, &[("reuse-port", "true")]);
            assert_eq!(sockets(ringress.http), 3);
        }
        for visitors in visitors {
            assert!(visitors.stop() > 20, "no load");
        }
        let ringress = site(driver, &origin, &[("reuse-port", "false")]).workers(3).start();
        assert_eq!((sockets(ringress.http), sockets(ringress.https)), (1, 1));
    });
}

fn connections(ringress: &Ringress) -> Vec<u64> {
    let status = ringress.status();
    let all = status["connections"].as_array().expect("a list").iter();
    all.map(|number| number.as_u64().expect("a number")).collect()
}

#[test]
fn as_many_workers_accept_as_worker_processes_says_and_the_others_finish_what_they_have() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[]).workers(3).start();
        let visitors = Visitors::of(ringress.http);
        let open = |count: usize| -> Vec<Connection> {
            (0..count).map(|_| Connection::plain(ringress.http).expect("connect")).collect()
        };
        let mut before = open(30);
        eventually("every worker has some", || connections(&ringress).iter().all(|count| *count > 5));
        set(&ringress, &[("worker-processes", "1")]);
        let rest = |all: &[u64]| all[1] + all[2];
        // Visitors come and go on the first one only.
        eventually("what the others had from visitors is over", || rest(&connections(&ringress)) <= 30);
        // One may be among them yet, until answers come from the first worker.
        let answered = || visitors.answered.load(Ordering::SeqCst);
        let before_that = answered();
        eventually("visitors are on the first one", || answered() > before_that + 10);
        let resting = rest(&connections(&ringress));
        let mut after = open(30);
        assert!(after.iter_mut().all(|own| own.get("a.test", "/").is_ok_and(|answer| answer.status == 200)));
        assert_eq!(rest(&connections(&ringress)), resting, "nothing new");
        assert!(before.iter_mut().all(|own| own.get("a.test", "/").is_ok_and(|answer| answer.status == 200)));
        before.clear();
        eventually("nothing is left on the others", || rest(&connections(&ringress)) == 0);
        set(&ringress, &[("worker-processes", "auto")]);
        let again = open(60);
        eventually("all accept again", || connections(&ringress).iter().all(|count| *count > 5));
        drop(again);
        assert!(said(&ringress, "worker-processes").is_empty());
        set(&ringress, &[("worker-processes", "4")]);
        assert!(said(&ringress, "worker-processes").contains("more than the 3 workers"));
        assert!(visitors.stop() > 20, "no load");
    });
}

#[test]
fn an_upgrade_takes_the_addresses_of_the_config_map_over() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = site(driver, &origin, &[]).start();
        let (first, second) = (ringress.http, at(own_address(), ringress.http));
        set(&ringress, &[("bind-address", &second.ip().to_string())]);
        let visitors = Visitors::of(second);
        for keys in [&[][..], &[("reuse-port", "false")], &[("worker-processes", "1")]] {
            let bind = second.ip().to_string();
            set(&ringress, &[&[("bind-address", &*bind)], keys].concat());
            ringress.upgrade().expect("an upgrade");
            serves(second);
            assert!(connects(first).is_err(), "nobody listens on the address of the flags");
        }
        // None of these can be had: the next process stays where the one before was.
        set(&ringress, &[("bind-address", "192.0.2.1")]);
        ringress.upgrade().expect("an upgrade");
        serves(second);
        assert!(said(&ringress, "bind-address").contains("the addresses before stay"));
        set(&ringress, &[]);
        serves(first);
        assert!(connects(second).is_err());
        assert!(visitors.stop() > 20, "no load");
    });
}

#[test]
fn tcp_services_are_on_the_same_addresses() {
    on_each_driver(|driver| {
        let (origin, port) = (Origin::named("origin"), own_port());
        let mut objects = services::service("echo", "TCP", &[tcp_echo(b"")]);
        objects.push(config_map("tcp", &[(port, "default/echo:7")]));
        let builder = site(driver, &origin, &[]).flag("--tcp-services-configmap=default/tcp");
        let ringress = builder.manifest("services.json", file(objects)).start();
        let (first, second) = (SocketAddr::new(ringress.http.ip(), port), SocketAddr::new(own_address().into(), port));
        let echo = |stream: &mut TcpStream| {
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            stream.write_all(b"hello").expect("send");
            let mut echoed = [0; 5];
            stream.read_exact(&mut echoed).expect("an echo");
            assert_eq!(&echoed, b"hello");
        };
        let mut lasting = connects(first).expect("connect");
        echo(&mut lasting);
        set(&ringress, &[("bind-address", &second.ip().to_string())]);
        echo(&mut connects(second).expect("connect"));
        assert!(connects(first).is_err());
        echo(&mut lasting);
        assert_eq!(ringress.status()["streams"][0]["listening"], json!(true));
    });
}
