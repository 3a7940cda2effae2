//! Floods on one HTTP/2 connection: each costs little memory, leaves the other clients of the same core half of their
//! rate at least, and is over when it ends. The attacker sends as fast as it is let; 2 s each, 10 s with
//! `RINGRESS_LONG`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, SETTINGS, frame, get,
    headers, is_silence, post, pseudo, reset, window_update,
};
use crate::support::hpack;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, on_each_driver};

const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// A slow answer among many is the machine's; a flood is measured again before it counts.
const ATTEMPTS: u32 = 3;

struct Flood {
    name: &'static str,
    settings: &'static [(u16, u32)],
    /// Sent once.
    first: fn() -> Vec<u8>,
    /// Sent again and again; numbered from 0.
    round: fn(u32) -> Vec<u8>,
    /// The attacker takes what it is sent.
    reads: bool,
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

/// The ids of a round with so many new streams.
fn ids(round: u32, streams: u32) -> impl Iterator<Item = u32> {
    (0..streams).map(move |n| 2 * (round * streams + n) + 1)
}

/// A block that is one field of 4,000 bytes in the dynamic table, then as many references to it as a frame holds: a
/// thousandfold of what is sent.
fn bomb(round: u32) -> Vec<u8> {
    let mut block = hpack::encode(pseudo("GET", "/"));
    block.extend([0x40, 1, b'x']);
    hpack::integer(&mut block, 0x7f, 4000);
    block.extend([b'x'; 4000]);
    block.resize(16 << 10, 0xbe);
    ids(round, 1).flat_map(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &block)).collect()
}

const FLOODS: [Flood; 11] = [
    Flood {
        name: "rapid reset",
        settings: &[],
        first: nothing,
        round: |round| ids(round, 50).flat_map(|id| [get(id), reset(id, CANCEL)].concat()).collect(),
        reads: true,
    },
    Flood {
        name: "the server made to reset by WINDOW_UPDATE",
        settings: &[],
        first: nothing,
        round: |round| ids(round, 50).flat_map(|id| [post(id), window_update(id, 0)].concat()).collect(),
        reads: true,
    },
    Flood {
        name: "the server made to reset by DATA behind the end",
        settings: &[],
        first: nothing,
        round: |round| ids(round, 50).flat_map(|id| [get(id), frame(DATA, 0, id, b"x")].concat()).collect(),
        reads: true,
    },
    Flood {
        name: "CONTINUATION",
        settings: &[],
        first: || frame(HEADERS, END_STREAM, 1, &hpack::encode(pseudo("GET", "/"))),
        round: |_| (0..50).flat_map(|_| frame(CONTINUATION, 0, 1, &hpack::encode([("x", "1")]))).collect(),
        reads: false,
    },
    Flood { name: "HPACK bomb", settings: &[], first: nothing, round: bomb, reads: true },
    Flood {
        name: "SETTINGS",
        settings: &[],
        first: nothing,
        round: |_| (0..100).flat_map(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 9])).collect(),
        reads: false,
    },
    Flood {
        name: "PING",
        settings: &[],
        first: nothing,
        round: |_| (0..100).flat_map(|_| frame(PING, 0, 0, &[0; 8])).collect(),
        reads: false,
    },
    Flood {
        name: "PING, answers read",
        settings: &[],
        first: nothing,
        round: |_| (0..100).flat_map(|_| frame(PING, 0, 0, &[0; 8])).collect(),
        reads: true,
    },
    Flood {
        name: "empty DATA",
        settings: &[],
        first: || post(1),
        round: |_| (0..100).flat_map(|_| frame(DATA, 0, 1, &[])).collect(),
        reads: true,
    },
    Flood {
        name: "PRIORITY",
        settings: &[],
        first: nothing,
        round: |_| (0..100).flat_map(|_| frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 15])).collect(),
        reads: true,
    },
    Flood {
        name: "stalled windows",
        settings: &[(4, 0)],
        first: || ids(0, 120).flat_map(|id| headers(id, END_STREAM, &pseudo("GET", "/large"))).collect(),
        round: |_| frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 15]),
        reads: true,
    },
];

#[test]
fn a_flood_costs_little_and_harms_nobody_else() {
    on_each_driver(|driver| {
        let (origin, mut ringress) = serving(driver);
        let time = if crate::long() { 10 } else { 2 };
        let time = Duration::from_secs(time);
        for flood in &FLOODS {
            let attempt = || outcome(&ringress, flood, time);
            let failed: Vec<String> = (0..ATTEMPTS).map_while(|_| attempt().err()).collect();
            assert!(failed.len() < ATTEMPTS as usize, "{}:\n{}", flood.name, failed.join("\n"));
            ringress.assert_alive();
        }
        drop(origin);
    });
}

fn serving(driver: Driver) -> (Origin, Ringress) {
    let large = vec![b'x'; 1 << 20];
    let origin = Origin::with(move |request, peer| {
        peer.read_body(request)?;
        let body = if request.target == "/large" { &large[..] } else { b"small" };
        peer.answer(200, &[], body)?;
        Ok(Next::Keep)
    });
    let mut objects = service("origin", &[origin.address]);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
    (origin, ringress)
}

/// A flood beside a client that behaves: what it did to that one and to the memory.
fn outcome(ringress: &Ringress, flood: &Flood, time: Duration) -> Result<(), String> {
    let (before, memory) = (rate(ringress, Duration::from_millis(500)), ringress.resident_bytes());
    let stop = Arc::new(AtomicBool::new(false));
    let (address, told, connection) = (ringress.https, Arc::clone(&stop), (flood.settings, flood.reads));
    let (first, round) = (flood.first, flood.round);
    let attacker = std::thread::spawn(move || {
        let mut frames = Frames::with(address, connection.0).expect("a connection");
        attack(&mut frames, first(), round, connection.1, &told)
    });
    let during = rate(ringress, time);
    let growth = ringress.resident_bytes().saturating_sub(memory);
    stop.store(true, Ordering::SeqCst);
    let (rounds, ended) = attacker.join().expect("the attacker");
    let after = rate(ringress, Duration::from_millis(300));
    let told = format!(
        "{}: {before:.0}/s, {during:.0}/s in the flood, {after:.0}/s after; {} KiB more; {rounds} rounds, {}",
        flood.name,
        growth >> 10,
        if ended { "then the connection was ended" } else { "endured" }
    );
    println!("{told}");
    let held = growth < GROWTH_BYTES_MAX && during >= before / 2.0 && after >= before / 2.0;
    if held { Ok(()) } else { Err(told) }
}

/// Requests a second of one client after the other's answer.
fn rate(ringress: &Ringress, time: Duration) -> f64 {
    let started = Instant::now();
    let mut answered = 0.0;
    let mut connection = Connection::plain(ringress.http).expect("connect");
    while started.elapsed() < time {
        let answer = connection.get("a.test", "/").expect("an answer");
        assert_eq!(answer.status, 200);
        answered += 1.0;
        if answer.closes() {
            connection = Connection::plain(ringress.http).expect("connect");
        }
    }
    answered / started.elapsed().as_secs_f64()
}

/// Sends until it is told to stop or the connection ends: how many rounds, and whether it ended.
fn attack(
    frames: &mut Frames,
    mut pending: Vec<u8>,
    round: fn(u32) -> Vec<u8>,
    reads: bool,
    stop: &AtomicBool,
) -> (u32, bool) {
    frames.socket().set_write_timeout(Some(Duration::from_millis(50))).expect("a time limit");
    frames.socket().set_read_timeout(Some(Duration::from_millis(1))).expect("a time limit");
    let mut rounds = 0;
    while !stop.load(Ordering::SeqCst) {
        if pending.is_empty() {
            // Ids are bounded, and the longest flood stays below.
            pending = round(rounds);
            rounds += 1;
        }
        match frames.offer(&pending) {
            Ok(taken) => drop(pending.drain(..taken)),
            Err(error) if is_silence(&error) => {}
            Err(_) => return (rounds, true),
        }
        if reads && rounds % 8 == 0 && !drained(frames) {
            return (rounds, true);
        }
    }
    (rounds, false)
}

/// Takes what has come; whether the connection still stands.
fn drained(frames: &mut Frames) -> bool {
    loop {
        match frames.next() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => return is_silence(&error) || error.kind() == io::ErrorKind::Interrupted,
        }
    }
}
