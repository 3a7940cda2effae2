//! Bodies that nobody takes: clients of HTTP/2 send all that they are granted, and what their requests wait for, the
//! upstream or the authentication, is silent. A stream that is ended is followed by another.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bystander::{self, Bounds, Judged, paced_rate};
use crate::crowds::{assert_recovered, assert_recovered_soon, in_turns, take_descriptors};
use crate::support::frames::{
    DATA, END_STREAM, Frames, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, headers, is_silence, pseudo,
};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

/// What HTTP/2 grants unasked.
const UNASKED: i64 = 65_535;
/// Bytes of a DATA frame.
const PIECE: i64 = 16 << 10;
/// What a thousand connections with two requests each may cost with their bodies. Without a byte of body it is 56 MiB, so
/// the 64 MiB of the other floods leave little; 64 to 67 were measured where authentication is silent.
const THOUSAND_BYTES_MAX: u64 = 96 << 20;
/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW: u16 = 4;

/// Takes connections and nothing that comes on them.
struct Silent {
    address: SocketAddr,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let held = Arc::<Mutex<Vec<TcpStream>>>::default();
        let holding = Arc::clone(&held);
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| holding.lock().expect("no panic").push(stream));
        });
        Self { address, held }
    }

    /// Lets go of all that came.
    fn release(&self) {
        self.held.lock().expect("no panic").clear();
    }
}

fn serving(driver: Driver, silent: &Silent) -> (Origin, Ringress) {
    let origin = Origin::named("origin");
    let mut objects = [service("origin", &[origin.address]), service("silent", &[silent.address])].concat();
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    objects.push(ingress("silent").prefix("a.test", "/silent", "silent").build());
    let asked = format!("http://{}/", silent.address);
    objects.push(ingress("asked").annotation("auth-url", &asked).prefix("a.test", "/asked", "origin").build());
    let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
    (origin, ringress)
}

/// One connection of the flood, which keeps to its windows.
struct Uploading {
    frames: Frames,
    path: &'static str,
    /// What may be sent on each stream.
    open: BTreeMap<u32, i64>,
    connection: i64,
    initial: i64,
    next: u32,
    pending: Vec<u8>,
    sent: u64,
}

impl Uploading {
    fn begin(address: SocketAddr, path: &'static str) -> io::Result<Self> {
        let frames = Frames::with(address, &[])?;
        frames.socket().set_nonblocking(true)?;
        Ok(Self {
            frames,
            path,
            open: BTreeMap::new(),
            connection: UNASKED,
            initial: UNASKED,
            next: 1,
            pending: Vec::new(),
            sent: 0,
        })
    }

    /// Reads what came and sends what is granted and taken at once; whether the connection still stands.
    fn step(&mut self, streams: usize) -> bool {
        if !self.listen() {
            return false;
        }
        while self.open.len() < streams {
            self.pending.extend(headers(self.next, 0, &pseudo("POST", self.path)));
            self.open.insert(self.next, self.initial);
            self.next += 2;
        }
        if self.pending.is_empty() {
            for (id, window) in &mut self.open {
                let length = PIECE.min(*window).min(self.connection);
                if length > 0 {
                    *window -= length;
                    self.connection -= length;
                    let piece = vec![b'x'; usize::try_from(length).expect("a length")];
                    self.pending.extend(frame(DATA, 0, *id, &piece));
                }
            }
        }
        match self.frames.offer(&self.pending) {
            Ok(taken) => {
                self.pending.drain(..taken);
                self.sent += taken as u64;
                true
            }
            Err(error) => is_silence(&error),
        }
    }

    fn listen(&mut self) -> bool {
        loop {
            let frame = match self.frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return false,
                Err(error) => return is_silence(&error) || error.kind() == ErrorKind::Interrupted,
            };
            let number = |at: usize| frame.payload.get(at..at + 4).map(|bytes| bytes.try_into().expect("four bytes"));
            let granted = i64::from(number(0).map_or(0, u32::from_be_bytes));
            match frame.kind {
                SETTINGS => {
                    let values = frame.payload.chunks_exact(6).filter(|pair| pair[..2] == INITIAL_WINDOW.to_be_bytes());
                    let value = |pair: &[u8]| u32::from_be_bytes(pair[2..].try_into().expect("four bytes"));
                    self.initial = values.map(value).next_back().map_or(self.initial, i64::from);
                }
                WINDOW_UPDATE if frame.stream == 0 => self.connection += granted,
                WINDOW_UPDATE => self.open.get_mut(&frame.stream).into_iter().for_each(|window| *window += granted),
                RST_STREAM => drop(self.open.remove(&frame.stream)),
                HEADERS if frame.has(END_STREAM) => drop(self.open.remove(&frame.stream)),
                _ => {}
            }
        }
    }
}

fn flood(address: SocketAddr, path: &'static str, connections: usize, streams: usize, stop: &AtomicBool) -> String {
    let begin = || {
        let mut one = Uploading::begin(address, path)?;
        // At once: it sends while others begin.
        one.step(streams);
        Ok(one)
    };
    let (begun, left) = in_turns(connections, (stop, &AtomicBool::default()), begin, |one| one.step(streams));
    let (sent, asked) = left.iter().fold((0, 0), |(sent, asked), one| (sent + one.sent, asked + one.next / 2));
    format!("{begun} connections, {} were left; {asked} requests, {} MiB", left.len(), sent >> 20)
}

/// What does not read them.
struct Unread {
    name: &'static str,
    path: &'static str,
    connections: usize,
    streams: usize,
    bytes_max: u64,
}

/// An upstream that is silent for a thousand connections is no part of it yet: `docs/plan.md` has what it costs.
const UNREAD: [Unread; 3] = [
    Unread {
        name: "a silent authentication",
        path: "/asked",
        connections: 1,
        streams: 100,
        bytes_max: bystander::GROWTH_BYTES_MAX,
    },
    Unread {
        name: "a silent upstream",
        path: "/silent",
        connections: 1,
        streams: 100,
        bytes_max: bystander::GROWTH_BYTES_MAX,
    },
    Unread {
        name: "a silent authentication",
        path: "/asked",
        connections: 1000,
        streams: 2,
        bytes_max: THOUSAND_BYTES_MAX,
    },
];

#[test]
fn bodies_that_nobody_takes_hold_little_memory_and_harm_nobody_else() {
    take_descriptors();
    on_each_driver(|driver| {
        for Unread { name, path, connections, streams, bytes_max } in UNREAD {
            let silent = Silent::new();
            let (_origin, mut ringress) = serving(driver, &silent);
            let (address, name) = (ringress.https, format!("{name}, {connections} x {streams} bodies"));
            // The handshakes are a part of it.
            let time = bystander::time() + Duration::from_secs(3);
            bystander::endures(|| {
                let attack = move |stop: &AtomicBool| flood(address, path, connections, streams, stop);
                let bounds = Bounds { growth_bytes: bytes_max, judged: Judged::AtTheEnd, ..Bounds::of(time) };
                let outcome = bystander::within_bounds(&bounds, &ringress, &name, paced_rate, attack);
                silent.release();
                assert_recovered_soon(&ringress);
                outcome
            });
            assert_recovered(&mut ringress);
        }
    });
}
