//! The workers as a whole: real sockets, both drivers, a snapshot made by hand.

#![expect(clippy::disallowed_types, reason = "tests wait with a bound")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::model::{Kind, ObjectKey, ObjectRef, Transport};
use ringress_config::snapshot::{
    Backend, Balancing, BodyPolicy, Certificate, Certificates, Cluster, ClusterId, ClusterKey, Clusters, Endpoint,
    HostRoutes, Hosts, HttpsRedirect, Limits, Literal, LiteralTable, PathKind, PathTable, Policies, PortKey,
    RetryPolicy, Route, RouteId, RouteLabels, Settings, Snapshot, Timeouts,
};

use super::*;
use crate::io::{Driver, DriverChoice};
use crate::metrics::{RequestMetrics, RequestMetricsSettings};

/// Time after which a test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both drivers; where io_uring is refused, as in many containers, the test says so and runs on the other one.
fn drivers() -> Vec<Driver> {
    match Driver::choose(DriverChoice::IoUring) {
        Ok((ring, _)) => vec![ring, Driver::Epoll],
        Err(error) => {
            eprintln!("only on epoll: {error}");
            vec![Driver::Epoll]
        }
    }
}

/// An origin that answers every request with its number, and echoes bodies.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve_origin(stream));
        }
    });
    address
}

fn serve_origin(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut chunked, mut line) = (0, false, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(n) = lower.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
            chunked |= lower.starts_with("transfer-encoding: chunked");
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        while chunked {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut piece = vec![0; size + 2];
            reader.read_exact(&mut piece).unwrap();
            body.extend_from_slice(&piece[..size]);
            chunked = size > 0;
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}

fn snapshot(generation: u64, endpoints: &[SocketAddr], policies: Option<Policies>) -> Arc<Snapshot> {
    let key =
        ClusterKey { service: ObjectKey::new("default", "web"), port: PortKey::Number(80), transport: Transport::Tcp };
    let endpoints = endpoints.iter().map(|address| Endpoint { address: *address }).collect();
    let cluster = Cluster::new(ClusterId(0), 1, key, endpoints, Balancing::default());
    let mut clusters = Clusters::default();
    clusters.set(ClusterId(0), Some(Arc::new(cluster)));
    let text = |s: &str| Arc::<str>::from(s);
    let route = Arc::new(Route {
        id: RouteId(0),
        source: ObjectRef { kind: Kind::Ingress, key: ObjectKey::new("default", "web") },
        field: "spec.rules[0].http.paths[0]".into(),
        kind: PathKind::Prefix,
        path: text("/"),
        labels: Arc::new(RouteLabels {
            namespace: text("default"),
            ingress: text("web"),
            service: text("web"),
            service_port: text("80"),
            host: text("_"),
            path: text("/"),
        }),
        https_redirect: HttpsRedirect::Never,
        backend: Backend::Cluster(ClusterId(0)),
        redirect_keeps_slash: false,
        empty_status: 503,
        protocol: None,
        upstream_tls: None,
        timeouts: Timeouts::default(),
        body: BodyPolicy { bytes_max: None, ..BodyPolicy::default() },
        retry: RetryPolicy::default(),
        policies: policies.map(Arc::new),
    });
    let paths = PathTable::Literal(LiteralTable::new([(Literal::Below("/"), route)]));
    let generated = rcgen::generate_simple_self_signed(["default.test".to_owned()]).unwrap();
    let (cert, key) = (generated.cert.pem(), generated.signing_key.serialize_pem());
    let default = Certificate::from_pem(cert.as_bytes(), key.as_bytes(), None).unwrap();
    Arc::new(Snapshot {
        tickets: None,
        generation,
        hosts: Hosts {
            exact: Default::default(),
            wildcard: Default::default(),
            aliases: Default::default(),
            catch_all: Arc::new(HostRoutes { paths, ..HostRoutes::empty(text("_")) }),
            with_tls: 0,
        },
        certificates: Certificates {
            exact: Default::default(),
            wildcard: Default::default(),
            default: Arc::new(default),
        },
        clusters,
        streams: Default::default(),
        settings: Arc::new(Settings::default()),
    })
}

/// Nothing is served.
pub(super) fn empty_snapshot(generation: u64) -> Snapshot {
    Arc::into_inner(snapshot(generation, &[], None)).expect("nobody else has it")
}

fn metrics_settings() -> RequestMetricsSettings {
    RequestMetricsSettings {
        recorded: RequestMetrics::all(),
        per_host: true,
        undefined_hosts: false,
        status_classes: false,
        time_buckets: vec![0.1],
        length_buckets: vec![100.0],
        size_buckets: vec![1000.0],
        controller_class: String::new(),
        controller_namespace: String::new(),
        controller_pod: String::new(),
    }
}

struct Running {
    workers: Workers,
    address: SocketAddr,
    generation: u64,
}

impl Running {
    fn start(driver: Driver, cores: usize, endpoints: &[SocketAddr]) -> Self {
        let (metrics, _reader) = crate::metrics::channel(&metrics_settings(), cores);
        let settings = WorkerSettings {
            placement: Placement::choose(NonZeroUsize::new(cores), &[]).unwrap(),
            driver,
            listen: ListenPlan { ips: vec!["127.0.0.1".parse().unwrap()], http_port: Some(0), ..ListenPlan::default() },
            metrics,
            access_log: None,
            staples: Default::default(),
            spans: crate::trace::channel(cores).0,
            gate: Gate::new(true),
        };
        let workers = start(settings, crate::handover::Inherited::default()).unwrap();
        let address = workers.control().listeners()[0].address;
        let mut running = Self { workers, address, generation: 0 };
        running.publish(endpoints);
        running
    }

    fn publish(&mut self, endpoints: &[SocketAddr]) {
        self.publish_with(endpoints, Settings::default(), None);
    }

    fn publish_with(&mut self, endpoints: &[SocketAddr], settings: Settings, policies: Option<Policies>) {
        self.generation += 1;
        let mut snapshot = snapshot(self.generation, endpoints, policies);
        Arc::get_mut(&mut snapshot).unwrap().settings = Arc::new(settings);
        self.workers.current.store(Some(Arc::clone(&snapshot)));
        for link in &self.workers.links {
            link.snapshots.send(Arc::clone(&snapshot)).unwrap();
            (link.wake)();
        }
        let acked = |w: &WorkerStatus| w.counters.generation.get() >= self.generation;
        until("every worker adopts", || self.workers.control().workers().iter().all(acked));
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.workers.control().drain();
        assert!(self.workers.wait(PATIENCE), "the workers end");
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::yield_now();
    }
}

fn request(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
    stream.write_all(&[head.as_bytes(), body].concat())?;
    response(stream)
}

fn get(stream: &mut TcpStream, target: &str) -> std::io::Result<(u16, Vec<u8>)> {
    request(stream, &format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"), b"")
}

/// Waits for the end of the stream; a signal does not end the wait.
fn is_closed(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 1]) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.unwrap() == 0,
        }
    }
}

fn response(stream: &mut TcpStream) -> std::io::Result<(u16, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((head[9..12].parse().unwrap(), body))
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    for driver in drivers() {
        let running = Running::start(driver, 1, &[origin()]);
        let mut client = running.connect();
        for _ in 0..100 {
            assert_eq!(get(&mut client, "/").unwrap().0, 200);
        }
        let workers = running.workers.control().workers();
        assert_eq!(workers[0].counters.upstream_connects.get(), 1, "one upstream connection serves them all");
    }
}

#[test]
fn an_old_client_without_host_is_served() {
    for driver in drivers() {
        let running = Running::start(driver, 1, &[origin()]);
        let mut client = running.connect();
        assert_eq!(request(&mut client, "GET / HTTP/1.0\r\n\r\n", b"").unwrap().0, 200);
        assert!(is_closed(&mut client), "HTTP/1.0 does not keep the connection unasked");
    }
}

#[test]
fn bodies_of_every_size_and_framing_arrive_whole() {
    for driver in drivers() {
        let running = Running::start(driver, 1, &[origin()]);
        for size in [0, 1, 4000, 40_000, 1_000_000, 3_000_000] {
            let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n");
            assert_eq!(request(&mut running.connect(), &head, &body).unwrap(), (200, body.clone()), "{size}");
            let mut chunks = Vec::new();
            for piece in body.chunks(70_001) {
                chunks.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                chunks.extend_from_slice(piece);
                chunks.extend_from_slice(b"\r\n");
            }
            chunks.extend_from_slice(b"0\r\n\r\n");
            let head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
            assert_eq!(request(&mut running.connect(), head, &chunks).unwrap(), (200, body), "{size} in chunks");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for driver in drivers() {
        let running = Running::start(driver, 1, &[origin()]);
        let mut client = running.connect();
        let one = |n| format!("POST /{n} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\n{n}");
        client.write_all((0..9).map(one).collect::<String>().as_bytes()).unwrap();
        for n in 0..9 {
            assert_eq!(response(&mut client).unwrap(), (200, n.to_string().into_bytes()));
        }
    }
}

#[test]
fn an_idle_connection_outlives_snapshots_and_its_buffers() {
    for driver in drivers() {
        let (first, second) = (origin(), origin());
        let mut running = Running::start(driver, 1, &[first]);
        let mut client = running.connect();
        assert_eq!(get(&mut client, "/").unwrap().0, 200);
        let idle = |r: &Running| r.workers.control().workers()[0].counters.connections_idle.get() == 1;
        until("the connection is parked", || idle(&running));
        running.publish(&[second]);
        assert_eq!(get(&mut client, "/").unwrap().0, 200);
        running.publish(&[]);
        assert_eq!(get(&mut client, "/").unwrap().0, 503);
    }
}

#[test]
fn a_refused_connection_moves_on_to_the_next_endpoint() {
    for driver in drivers() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let running = Running::start(driver, 1, &[dead, origin()]);
        let mut client = running.connect();
        for _ in 0..20 {
            let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\n";
            assert_eq!(request(&mut client, head, b"x").unwrap().0, 200);
        }
    }
}

#[test]
fn a_panic_in_one_connection_ends_only_that_connection() {
    for driver in drivers() {
        let running = Running::start(driver, 1, &[origin()]);
        let mut other = running.connect();
        assert_eq!(get(&mut other, "/").unwrap().0, 200);
        assert!(get(&mut running.connect(), crate::faults::PANIC).is_err(), "the faulty connection is closed");
        assert_eq!(get(&mut other, "/").unwrap().0, 200);
        assert_eq!(get(&mut running.connect(), "/").unwrap().0, 200);
        let control = running.workers.control();
        assert_eq!((control.workers()[0].counters.panics.get(), control.restarts()), (1, 0));
    }
}

#[test]
fn a_dead_worker_is_replaced_within_a_tenth_of_a_second() {
    for driver in drivers() {
        let running = Running::start(driver, 1, &[origin()]);
        let mut faulty = running.connect();
        let asked = get(&mut faulty, crate::faults::KILL_WORKER);
        assert!(asked.is_err() || is_closed(&mut faulty), "its connections are closed");
        let died = Instant::now();
        // No listener is lost: the connection waits in the queue that the next worker takes over.
        assert_eq!(get(&mut running.connect(), "/").unwrap().0, 200);
        assert!(died.elapsed() < Duration::from_millis(100), "{:?}", died.elapsed());
        assert_eq!(running.workers.control().restarts(), 1);
    }
}

#[test]
fn a_dead_worker_gives_back_what_its_clients_had_of_their_bound() {
    for driver in drivers() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut running = Running::start(driver, 1, &[]);
        let mut settings = Settings::default();
        settings.client.connections_per_client_max = std::num::NonZeroU32::new(2);
        running.publish_with(&[silent.local_addr().unwrap()], settings.clone(), None);
        let mut waiting = running.connect();
        waiting.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (_upstream, _) = silent.accept().unwrap();
        assert!(get(&mut running.connect(), crate::faults::KILL_WORKER).is_err());
        assert!(is_closed(&mut waiting));
        running.publish_with(&[origin()], settings, None);
        let mut again = [running.connect(), running.connect()];
        assert!(again.iter_mut().all(|client| get(client, "/").is_ok_and(|(status, _)| status == 200)));
        assert_ne!(get(&mut running.connect(), "/").ok().map(|(status, _)| status), Some(200), "there is a bound");
    }
}

#[test]
fn a_dead_worker_gives_back_what_its_clients_had_in_flight() {
    for driver in drivers() {
        let limits = Limits {
            key: "default/web".into(),
            in_flight: Some(1),
            rates: Box::default(),
            exempt: Box::default(),
            rate_status: 503,
            in_flight_status: 503,
        };
        let policies = Some(Policies { limits: Some(Arc::new(limits)), ..Policies::default() });
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut running = Running::start(driver, 1, &[]);
        running.publish_with(&[silent.local_addr().unwrap()], Settings::default(), policies.clone());
        let mut waiting = running.connect();
        waiting.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (_upstream, _) = silent.accept().unwrap();
        assert_eq!(get(&mut running.connect(), "/").unwrap().0, 503, "one at a time");
        // Refused or cut off, it does what it says.
        let _either = get(&mut running.connect(), crate::faults::KILL_WORKER);
        assert!(is_closed(&mut waiting));
        running.publish_with(&[origin()], Settings::default(), policies);
        assert_eq!(get(&mut running.connect(), "/").unwrap().0, 200);
    }
}

#[test]
fn connections_are_evened_out_between_cores() {
    for driver in drivers() {
        let running = Running::start(driver, 2, &[origin()]);
        let clients: Vec<_> = (0..64).map(|_| running.connect()).collect();
        let counts =
            || running.workers.control().workers().iter().map(|w| w.counters.connections.get()).collect::<Vec<_>>();
        until("all connections are served", || counts().iter().sum::<u64>() == 64);
        let counts = counts();
        assert!(counts.iter().max() <= counts.iter().min().map(|n| n + n / 5).as_ref(), "{counts:?}");
        drop(clients);
    }
}

#[test]
fn a_worker_that_rests_finishes_what_it_has_and_gets_nothing_more() {
    for driver in drivers() {
        let mut running = Running::start(driver, 2, &[origin()]);
        let mut clients: Vec<_> = (0..16).map(|_| running.connect()).collect();
        let counts =
            |running: &Running| [0, 1].map(|n| running.workers.control().workers()[n].counters.connections.get());
        until("all are placed", || counts(&running).iter().sum::<u64>() == 16);
        let resting = counts(&running)[1];
        let mut settings = Settings::default();
        settings.listen.workers = NonZeroUsize::new(1);
        running.publish_with(&[origin()], settings, None);
        clients.extend((0..16).map(|_| running.connect()));
        assert!(clients.iter_mut().all(|client| get(client, "/").is_ok_and(|(status, _)| status == 200)));
        assert_eq!(counts(&running)[1], resting);
        running.publish(&[origin()]);
        clients.extend((0..32).map(|_| running.connect()));
        assert!(clients.iter_mut().all(|client| get(client, "/").is_ok_and(|(status, _)| status == 200)));
        assert!(counts(&running)[1] > resting, "{:?}", counts(&running));
    }
}

#[test]
fn a_drain_lets_the_running_request_finish() {
    for driver in drivers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = Running::start(driver, 1, &[listener.local_addr().unwrap()]);
        let (mut client, mut idle) = (running.connect(), running.connect());
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (mut upstream, _) = listener.accept().unwrap();
        running.workers.control().drain();
        assert!(is_closed(&mut idle), "an idle connection is closed");
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.to_ascii_lowercase().contains("connection: close"),
            "{answer}"
        );
    }
}
