//! Floods on one HTTP/2 connection: each costs little memory, leaves the other clients of the same core half of their
//! rate at least, and is over when it ends. The attacker sends as fast as it is let; 2 s each, 10 s with
//! `RINGRESS_LONG`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bystander::{self, rate, serving};
use crate::support::eventually;
use crate::support::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, SETTINGS, frame, get,
    headers, is_silence, post, pseudo, reset, settings, window_update,
};
use crate::support::hpack;
use crate::support::process::{Ringress, on_each_driver};

pub(crate) struct Flood {
    pub(crate) name: &'static str,
    pub(crate) settings: &'static [(u16, u32)],
    /// Sent once.
    pub(crate) first: fn() -> Vec<u8>,
    /// Sent again and again; numbered from 0.
    pub(crate) round: fn(u32) -> Vec<u8>,
    /// The attacker takes what it is sent.
    pub(crate) reads: bool,
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

/// Requests, and those of the round before taken back: by then they are at work.
fn late_resets(round: u32) -> Vec<u8> {
    let before = round.checked_sub(1).into_iter().flat_map(|before| ids(before, 2));
    before.flat_map(|id| reset(id, CANCEL)).chain(ids(round, 2).flat_map(get)).collect()
}

/// Requests for answers that are never taken.
pub(crate) fn untaken(streams: u32) -> Vec<u8> {
    ids(0, streams).flat_map(|id| headers(id, END_STREAM, &pseudo("GET", "/large"))).collect()
}

/// So many answers that fill the socket, and as many others that wait for a window.
fn blocked(streams: u32) -> Vec<u8> {
    let wide = ids(0, streams).chain([0]).flat_map(|id| window_update(id, 1 << 30));
    untaken(2 * streams).into_iter().chain(wide).collect()
}

/// 200 times a byte for those that wait.
fn bytes(streams: u32) -> Vec<u8> {
    (0..200 / streams).flat_map(|_| ids(1, streams)).flat_map(|id| window_update(id, 1)).collect()
}

/// To keep the connection busy.
fn priority(_: u32) -> Vec<u8> {
    frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 15])
}

const BYTES: &str = "windows of a byte each time";
const STALLED: &str = "stalled windows";

static FLOODS: [Flood; 13] = [
    Flood {
        name: "rapid reset",
        settings: &[],
        first: nothing,
        round: |round| ids(round, 50).flat_map(|id| [get(id), reset(id, CANCEL)].concat()).collect(),
        reads: true,
    },
    Flood { name: "late resets", settings: &[], first: nothing, round: late_resets, reads: true },
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
    Flood { name: BYTES, settings: &[(4, 0)], first: || blocked(20), round: |_| bytes(20), reads: false },
    Flood { name: STALLED, settings: &[(4, 0)], first: || untaken(120), round: priority, reads: true },
];

/// Those that are not tried on a thousand connections: the answers that begin there at once hold more than the bound (docs/plan.md).
const OF_ONE: [&str; 2] = [BYTES, STALLED];

/// One that does no more than each connection may, and is therefore of a thousand only.
static OF_MANY: [Flood; 1] =
    [Flood { name: "PRIORITY one at a time", settings: &[(4, 0)], first: nothing, round: priority, reads: true }];

/// Every kind that is tried on a thousand connections.
pub(crate) fn of_many() -> impl Iterator<Item = &'static Flood> {
    FLOODS.iter().filter(|flood| !OF_ONE.contains(&flood.name)).chain(&OF_MANY)
}

#[test]
fn a_flood_costs_little_and_harms_nobody_else() {
    on_each_driver(|driver| {
        let (origin, mut ringress) = serving(driver);
        for flood in &FLOODS {
            bystander::endures(|| outcome(&ringress, flood, bystander::time()));
            ringress.assert_alive();
        }
        drop(origin);
    });
}

/// A flood beside a client that behaves: what it did to that one and to the memory.
fn outcome(ringress: &Ringress, flood: &'static Flood, time: Duration) -> Result<(), String> {
    let address = ringress.https;
    bystander::beside(ringress, flood.name, time, rate, move |stop| {
        let mut frames = Frames::with(address, flood.settings).expect("a connection");
        let (rounds, ended) = attack(&mut frames, (flood.first)(), flood.round, flood.reads, stop);
        format!("{rounds} rounds, {}", if ended { "then the connection was ended" } else { "endured" })
    })
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

#[test]
fn answers_that_nobody_takes_hold_a_part_of_the_memory_and_the_oldest_of_them_end() {
    const STREAMS: u32 = 100;
    on_each_driver(|driver| {
        let (_origin, ringress) = serving(driver);
        assert_eq!(ringress.get("a.test", "/").status, 200);
        let before = ringress.resident_bytes();
        let ended = || ringress.metric("ringress_refused_total{reason=\"stalled_stream\"}");
        let mut clients: Vec<Frames> = Vec::new();
        for _ in 0..12 {
            let mut frames = Frames::with(ringress.https, &[(4, 0)]).expect("a connection");
            frames.send(&untaken(STREAMS)).expect("requests");
            assert!(frames.is_alive());
            clients.push(frames);
        }
        eventually("what is too much is ended", || ended() >= f64::from(3 * STREAMS));
        let growth = ringress.resident_bytes().saturating_sub(before);
        println!("12 times 100 answers that are not taken: {} KiB more, {} were ended", growth >> 10, ended());
        assert!(growth < bystander::GROWTH_BYTES_MAX, "{growth}");
        assert_eq!(ringress.get("a.test", "/").status, 200);
        // Those that wait are there for whoever comes to take them.
        let newest = clients.last_mut().expect("many");
        newest.send(&settings(&[(4, 1 << 20)])).expect("a window");
        newest.wait(|frame| frame.kind == DATA).expect("a body");
    });
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
