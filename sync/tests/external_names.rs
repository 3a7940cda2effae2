//! Services of type ExternalName: names are looked up by ourselves and followed as their records change.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringress_config::options::Options;
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::{eventually, within};
use ringress_sync::{ResolverSettings, SourceSettings, SyncSettings};
use tempfile::TempDir;

/// Records that say so are asked for again after a second.
const SHORT: u32 = 0;

/// Type A.
const A: u8 = 1;

/// Type CNAME.
const CNAME: u8 = 5;

/// A name server for as long as the test runs.
#[derive(Clone)]
struct NameServer {
    port: u16,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    records: HashMap<String, (Vec<IpAddr>, u32)>,
    /// Each of them stands for another name.
    aliases: HashMap<String, (String, u32)>,
    /// Nothing is answered.
    silent: bool,
    /// Connections are taken, and nothing is answered on them.
    mute: bool,
    /// Every question is refused.
    refusing: bool,
    /// What has been asked for.
    asked: Vec<String>,
}

impl NameServer {
    fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, 0)
    }

    fn start_at(address: Ipv4Addr, port: u16) -> Self {
        let stream = TcpListener::bind((address, port)).unwrap();
        let port = stream.local_addr().unwrap().port();
        let socket = UdpSocket::bind((address, port)).unwrap();
        let server = Self { port, zone: Arc::default() };
        let (datagrams, connections) = (server.clone(), server.clone());
        std::thread::spawn(move || datagrams.serve_datagrams(&socket));
        std::thread::spawn(move || connections.serve_connections(&stream));
        server
    }

    fn set(&self, name: &str, addresses: &[&str], ttl: u32) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.zone.lock().unwrap().records.insert(name.to_owned(), (addresses, ttl));
    }

    fn remove(&self, name: &str) {
        self.zone.lock().unwrap().records.remove(name);
    }

    fn set_silent(&self, silent: bool) {
        self.zone.lock().unwrap().silent = silent;
    }

    fn asked(&self, name: &str) -> usize {
        self.zone.lock().unwrap().asked.iter().filter(|asked| *asked == name).count()
    }

    fn serve_datagrams(&self, socket: &UdpSocket) {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            if let Some(answer) = self.answer(&question[..length]) {
                // As a real one: what is too long is cut off and marked.
                let mut answer = answer;
                if answer.len() > 512 {
                    answer.truncate(length);
                    answer[2] |= 2;
                    answer[7] = 0;
                }
                let _gone = socket.send_to(&answer, from);
            }
        }
    }

    fn serve_connections(&self, listener: &TcpListener) {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            if self.zone.lock().unwrap().mute {
                kept.push(stream);
                continue;
            }
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).unwrap();
            let answer = self.answer(&question).unwrap();
            stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (mut at, mut labels) = (12, Vec::new());
        while question[at] != 0 {
            let end = at + 1 + usize::from(question[at]);
            labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
            at = end;
        }
        let (name, record) = (labels.join("."), question[at + 2]);
        let mut zone = self.zone.lock().unwrap();
        zone.asked.push(name.clone());
        if zone.silent {
            return None;
        }
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        if zone.refusing {
            answer[3] = 5;
            return Some(answer);
        }
        // Where the name stands of which the addresses are.
        let (mut name, mut at) = (&name, 12);
        if let Some((target, ttl)) = zone.aliases.get(name) {
            let data: Vec<u8> = target
                .split('.')
                .chain([""])
                .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
                .collect();
            push_record(&mut answer, 12, CNAME, *ttl, &data);
            (name, at) = (target, u8::try_from(answer.len() - data.len()).unwrap());
        }
        let Some((addresses, ttl)) = zone.records.get(name) else {
            answer[3] = 3;
            return Some(answer);
        };
        for address in addresses.iter().filter(|address| address.is_ipv4() == (record == A)) {
            let data = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            push_record(&mut answer, at, record, *ttl, &data);
        }
        Some(answer)
    }
}

/// Adds a record of the name that stands at this byte.
fn push_record(answer: &mut Vec<u8>, name_at: u8, record: u8, ttl: u32, data: &[u8]) {
    answer[7] += 1;
    answer.extend_from_slice(&[0xc0, name_at, 0, record, 0, 1]);
    answer.extend_from_slice(&ttl.to_be_bytes());
    answer.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    answer.extend_from_slice(data);
}

struct Setup {
    server: NameServer,
    folder: TempDir,
    rig: Rig,
}

impl Setup {
    fn start(server: NameServer, external_name: &str) -> Self {
        Self::start_with("nameserver 127.0.0.1", server, external_name)
    }

    fn start_with(servers: &str, server: NameServer, external_name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a.yaml"), manifests(external_name)).unwrap();
        let conf = folder.path().join("resolv.conf");
        fs::write(&conf, format!("search shop.svc.test\n{servers}\noptions ndots:2\n")).unwrap();
        let rig = Rig::start(SyncSettings {
            source: SourceSettings::Dir(folder.path().to_owned()),
            options: Options { assume_class: true, ..Options::default() },
            state_dir: None,
            webhook: None,
            resolver: ResolverSettings { resolv_conf: conf, port: server.port },
        });
        Self { server, folder, rig: rig.unwrap() }
    }

    /// The endpoints of the Service on every worker; `None` before the first snapshot.
    fn endpoints(&self) -> Option<Vec<SocketAddr>> {
        let snapshot = self.rig.workers.serving(0)?;
        let cluster = snapshot.clusters.iter().find(|cluster| &*cluster.key.service.name == "away")?;
        Some(cluster.endpoints.iter().map(|endpoint| endpoint.address).collect())
    }

    fn has(&self, wanted: &[&str]) -> bool {
        self.endpoints() == Some(wanted.iter().map(|address| address.parse().unwrap()).collect())
    }

    fn says(&self, text: &str) -> bool {
        self.rig.handle.status().rejected.iter().any(|finding| finding.message.contains(text))
    }
}

fn manifests(external_name: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web}}\nspec:\n  ingressClassName: nginx\n  rules:\n\
         \x20 - host: a.test\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend: {{service: \
         {{name: away, port: {{number: 80}}}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: away}}\nspec: {{type: \
         ExternalName, externalName: {external_name}, ports: [{{port: 80, targetPort: 8080}}]}}\n"
    )
}

#[test]
fn the_first_snapshot_has_the_addresses_and_they_follow_the_records() {
    let server = NameServer::start();
    server.set("away.test", &["192.0.2.2", "192.0.2.1"], SHORT);
    let setup = Setup::start(server, "away.test");
    eventually("a snapshot", || setup.endpoints().is_some());
    assert!(setup.has(&["192.0.2.1:8080", "192.0.2.2:8080"]), "{:?}", setup.endpoints());
    assert_eq!(setup.rig.handle.status().builds.published, 1);

    setup.server.set("away.test", &["192.0.2.3"], SHORT);
    eventually("the new record", || setup.has(&["192.0.2.3:8080"]));
    setup.server.remove("away.test");
    eventually("no record", || setup.has(&[]) && setup.says("there is no such name"));
    setup.server.set("away.test", &["fd00::7"], SHORT);
    eventually("an address of the other family", || setup.has(&["[fd00::7]:8080"]) && !setup.says("no such name"));
}

#[test]
fn servers_that_are_silent_take_nothing_away() {
    let server = NameServer::start();
    server.set("away.test", &["192.0.2.1"], SHORT);
    let setup = Setup::start(server, "away.test");
    eventually("addresses", || setup.has(&["192.0.2.1:8080"]));
    setup.server.set_silent(true);
    let first = "away.test.shop.svc.test";
    let asked = setup.server.asked(first);
    within(Duration::from_secs(30), "more questions", || setup.server.asked(first) > asked + 2);
    assert!(setup.has(&["192.0.2.1:8080"]) && !setup.says("away.test"));
    setup.server.set("away.test", &["192.0.2.9"], SHORT);
    setup.server.set_silent(false);
    within(Duration::from_secs(30), "the answer after the outage", || setup.has(&["192.0.2.9:8080"]));
}

#[test]
fn a_name_that_nobody_answers_for_holds_the_start_up_for_a_while_only() {
    let server = NameServer::start();
    server.set_silent(true);
    let setup = Setup::start(server, "away.test");
    within(Duration::from_secs(8), "a snapshot", || setup.endpoints().is_some());
    assert!(setup.has(&[]));
    within(Duration::from_secs(15), "the reason", || setup.says("does not answer"));
}

#[test]
fn short_names_are_searched_and_absolute_ones_are_not() {
    let server = NameServer::start();
    server.set("away.test", &["192.0.2.1"], 60);
    server.set("away.test.shop.svc.test", &["192.0.2.2"], 60);
    let setup = Setup::start(server.clone(), "away.test");
    eventually("the searched one", || setup.has(&["192.0.2.2:8080"]));
    let setup = Setup::start(server, "away.test.");
    eventually("the absolute one", || setup.has(&["192.0.2.1:8080"]));
}

#[test]
fn many_addresses_come_over_a_connection() {
    let server = NameServer::start();
    let addresses: Vec<_> = (1..=100).map(|n| format!("192.0.2.{n}")).collect();
    server.set("away.test", &addresses.iter().map(String::as_str).collect::<Vec<_>>(), 60);
    let setup = Setup::start(server, "away.test");
    eventually("all of them", || setup.endpoints().is_some_and(|endpoints| endpoints.len() == 100));
}

#[test]
fn a_server_that_is_silent_over_connections_alone_costs_a_bounded_time_and_takes_nothing_away() {
    let many = |server: &NameServer, last: u8| {
        let addresses: Vec<_> = (1..=last).map(|n| format!("192.0.2.{n}")).collect();
        server.set("away.test", &addresses.iter().map(String::as_str).collect::<Vec<_>>(), SHORT);
    };
    let server = NameServer::start();
    many(&server, 100);
    let setup = Setup::start(server.clone(), "away.test.");
    let count = || setup.endpoints().map_or(0, |endpoints| endpoints.len());
    eventually("all of them", || count() == 100);
    server.zone.lock().unwrap().mute = true;
    many(&server, 90);
    let asked = server.asked("away.test");
    // Two rounds of one server with 2 s each by datagrams and over a connection, and the pauses between.
    within(Duration::from_secs(30), "more look-ups", || server.asked("away.test") > asked + 6);
    assert!(count() == 100 && !setup.says("away.test"));

    // At the start, too.
    let fresh = Setup::start(server.clone(), "away.test.");
    within(Duration::from_secs(8), "a snapshot", || fresh.endpoints().is_some());
    within(Duration::from_secs(15), "the reason", || fresh.says("does not answer"));
    assert!(fresh.has(&[]));
    server.zone.lock().unwrap().mute = false;
    within(Duration::from_secs(30), "those of the server", || count() == 90);
    within(Duration::from_secs(60), "those of the other", || fresh.endpoints().is_some_and(|all| all.len() == 90));
}

#[test]
fn an_alias_is_followed_and_its_time_counts() {
    let server = NameServer::start();
    server.set("real.test", &["192.0.2.1"], 60);
    server.zone.lock().unwrap().aliases.insert("away.test".to_owned(), ("real.test".to_owned(), SHORT));
    let setup = Setup::start(server, "away.test.");
    eventually("the address behind it", || setup.has(&["192.0.2.1:8080"]));
    setup.server.set("real.test", &["192.0.2.2"], 60);
    eventually("the next one", || setup.has(&["192.0.2.2:8080"]));
}

#[test]
fn a_server_that_refuses_is_passed_over_and_takes_nothing_away() {
    let server = NameServer::start();
    server.zone.lock().unwrap().refusing = true;
    let other = NameServer::start_at(Ipv4Addr::new(127, 0, 0, 2), server.port);
    other.set("away.test", &["192.0.2.1"], SHORT);
    let setup = Setup::start_with("nameserver 127.0.0.1\nnameserver 127.0.0.2", server, "away.test.");
    eventually("the answer of the other", || setup.has(&["192.0.2.1:8080"]));
    other.zone.lock().unwrap().refusing = true;
    let asked = other.asked("away.test");
    within(Duration::from_secs(30), "more questions", || other.asked("away.test") > asked + 4);
    assert!(setup.has(&["192.0.2.1:8080"]) && !setup.says("away.test"));
}

#[test]
fn the_file_is_read_again() {
    let server = NameServer::start();
    let other = NameServer::start_at(Ipv4Addr::new(127, 0, 0, 2), server.port);
    server.set("away.test", &["192.0.2.1"], SHORT);
    other.set("away.test", &["192.0.2.2"], SHORT);
    let setup = Setup::start(server, "away.test.");
    eventually("the address of the first server", || setup.has(&["192.0.2.1:8080"]));
    fs::write(setup.folder.path().join("resolv.conf"), "nameserver 127.0.0.2\n").unwrap();
    eventually("that of the other", || setup.has(&["192.0.2.2:8080"]));
}

#[test]
fn this_machine_is_no_target_by_whatever_name() {
    let server = NameServer::start();
    server.set("away.test", &["127.0.0.1", "127.8.8.8"], SHORT);
    let setup = Setup::start(server, "away.test");
    eventually("a refusal", || setup.has(&[]) && setup.says("points to this machine"));
    setup.server.set("away.test", &["127.0.0.1", "192.0.2.1"], SHORT);
    eventually("the other address", || setup.has(&["192.0.2.1:8080"]));

    let server = NameServer::start();
    for (name, says) in [("localhost", "points to this machine"), ("a_b.test", "neither an address nor a name")] {
        let setup = Setup::start(server.clone(), name);
        eventually("a refusal", || setup.has(&[]) && setup.says(says));
        assert_eq!(server.asked(name), 0);
    }
}

#[test]
fn names_are_looked_up_only_while_an_ingress_needs_them() {
    let server = NameServer::start();
    server.set("away.test", &["192.0.2.1"], SHORT);
    server.set("other.test", &["192.0.2.2"], SHORT);
    let setup = Setup::start(server, "away.test");
    eventually("addresses", || setup.has(&["192.0.2.1:8080"]));
    fs::write(setup.folder.path().join("a.yaml"), manifests("other.test")).unwrap();
    eventually("those of the other name", || setup.has(&["192.0.2.2:8080"]));
    let asked = setup.server.asked("away.test");
    let other = setup.server.asked("other.test");
    eventually("more questions", || setup.server.asked("other.test") > other + 1);
    assert_eq!(setup.server.asked("away.test"), asked);
}
