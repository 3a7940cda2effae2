//! What an attack does to a client that behaves, and to the memory: the latter grows by less than 64 MiB, and the client
//! keeps half of its rate at least and has it again afterwards. 2 s each, 10 s with `RINGRESS_LONG`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress, resident_bytes};

pub(crate) const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// A slow answer among many is the machine's; an attack is measured again before it counts.
const ATTEMPTS: usize = 5;
/// From one look at the memory to the next.
const SAMPLE: Duration = Duration::from_millis(20);
/// How long a client is looked at while an attack is being prepared.
const PIECE: Duration = Duration::from_millis(200);
/// From one request of a paced client to the next.
const PACE: Duration = Duration::from_millis(5);

/// How long an attack lasts.
pub(crate) fn time() -> Duration {
    Duration::from_secs(if crate::long() { 10 } else { 2 })
}

/// An origin, and one core in front of it.
pub(crate) fn serving(driver: Driver) -> (Origin, Ringress) {
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

/// How the client behaves: requests a second of one that lasts so long.
type Behaviour = fn(&Ringress, Duration) -> f64;

/// When the memory of an attack is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// At its worst.
    AtMost,
    /// When the time is over.
    AtTheEnd,
}

/// What an attack is held to.
pub(crate) struct Bounds {
    pub(crate) growth_bytes: u64,
    pub(crate) judged: Judged,
    /// How long it lasts.
    pub(crate) time: Duration,
    /// Until this is set what it needs is being prepared, beside its time.
    pub(crate) begun: Arc<AtomicBool>,
}

impl Bounds {
    pub(crate) fn of(time: Duration) -> Self {
        Self { growth_bytes: GROWTH_BYTES_MAX, judged: Judged::AtMost, time, begun: Arc::new(AtomicBool::new(true)) }
    }
}

/// One attack on the ports of `ringress`; `attack` runs until it is told to stop and says what it did.
pub(crate) fn beside(
    ringress: &Ringress,
    name: &str,
    time: Duration,
    behaviour: Behaviour,
    attack: impl FnOnce(&AtomicBool) -> String + Send + 'static,
) -> Result<(), String> {
    within_bounds(&Bounds::of(time), ringress, name, behaviour, attack)
}

/// The same with bounds of its own.
pub(crate) fn within_bounds(
    bounds: &Bounds,
    ringress: &Ringress,
    name: &str,
    behaviour: Behaviour,
    attack: impl FnOnce(&AtomicBool) -> String + Send + 'static,
) -> Result<(), String> {
    let (before, memory) = (behaviour(ringress, Duration::from_millis(500)), ringress.resident_bytes());
    let stop = Arc::<AtomicBool>::default();
    let told = Arc::clone(&stop);
    let watching = watch(ringress.pid(), Arc::clone(&stop));
    let attacker = std::thread::spawn(move || attack(&told));
    let prepared = while_preparing(ringress, behaviour, &bounds.begun);
    let during = behaviour(ringress, bounds.time);
    let end = ringress.resident_bytes().saturating_sub(memory);
    stop.store(true, Ordering::SeqCst);
    let did = attacker.join().expect("the attacker");
    let most = watching.join().expect("a figure").saturating_sub(memory);
    let after = behaviour(ringress, Duration::from_millis(300));
    let told = format!(
        "{name}: {before:.0}/s, {during:.0}/s in the flood, {after:.0}/s after; {} KiB more at most, {} at the end; {did}",
        most >> 10,
        end >> 10,
    );
    println!("{told}");
    // Not to be tried again: what was taken once is there the next time.
    let growth = if bounds.judged == Judged::AtMost { most } else { end };
    assert!(growth < bounds.growth_bytes, "{told}");
    let held = prepared.is_none_or(|rate| rate >= before / 2.0) && during >= before / 2.0 && after >= before / 2.0;
    if held { Ok(()) } else { Err(told) }
}

/// How a client fares until an attack has what it needs; nothing if it has.
fn while_preparing(ringress: &Ringress, behaviour: Behaviour, begun: &AtomicBool) -> Option<f64> {
    let mut rates = Vec::new();
    while !begun.load(Ordering::SeqCst) {
        rates.push(behaviour(ringress, PIECE));
    }
    (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
}

/// The most memory that a process has until it is told to stop.
fn watch(pid: u32, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut most = 0;
        while !stop.load(Ordering::SeqCst) {
            most = most.max(resident_bytes(pid));
            std::thread::sleep(SAMPLE);
        }
        most
    })
}

/// Fails the test when every attempt does.
pub(crate) fn endures(attempt: impl Fn() -> Result<(), String>) {
    let failed: Vec<String> = (0..ATTEMPTS).map_while(|_| attempt().err()).collect();
    assert!(failed.len() < ATTEMPTS, "{}", failed.join("\n"));
}

/// Requests a second of one client after the other's answer.
pub(crate) fn rate(ringress: &Ringress, time: Duration) -> f64 {
    rate_at(ringress, time, Duration::ZERO)
}

/// Requests a second of a client that keeps its connection and a pace of 200 a second.
pub(crate) fn paced_rate(ringress: &Ringress, time: Duration) -> f64 {
    rate_at(ringress, time, PACE)
}

fn rate_at(ringress: &Ringress, time: Duration, pace: Duration) -> f64 {
    let started = Instant::now();
    let mut answered = 0;
    let mut connection = Connection::plain(ringress.http).expect("connect");
    while started.elapsed() < time {
        let answer = connection.get("a.test", "/").expect("an answer");
        assert_eq!(answer.status, 200);
        answered += 1;
        if answer.closes() {
            connection = Connection::plain(ringress.http).expect("connect");
        }
        std::thread::sleep((started + pace * answered).saturating_duration_since(Instant::now()));
    }
    f64::from(answered) / started.elapsed().as_secs_f64()
}
