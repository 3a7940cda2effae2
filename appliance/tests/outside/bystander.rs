//! What an attack does to a client that behaves, and to the memory: the latter grows by less than 64 MiB, and the client
//! keeps half of its rate at least and has it again afterwards. 2 s each, 10 s with `RINGRESS_LONG`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress};

pub(crate) const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// A slow answer among many is the machine's; an attack is measured again before it counts.
const ATTEMPTS: usize = 5;
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

/// One attack on the ports of `ringress`; `attack` runs until it is told to stop and says what it did.
pub(crate) fn beside(
    ringress: &Ringress,
    name: &str,
    time: Duration,
    behaviour: Behaviour,
    attack: impl FnOnce(&AtomicBool) -> String + Send + 'static,
) -> Result<(), String> {
    beside_up_to(GROWTH_BYTES_MAX, ringress, name, time, behaviour, attack)
}

/// The same with a bound of its own on the memory.
pub(crate) fn beside_up_to(
    growth_bytes_max: u64,
    ringress: &Ringress,
    name: &str,
    time: Duration,
    behaviour: Behaviour,
    attack: impl FnOnce(&AtomicBool) -> String + Send + 'static,
) -> Result<(), String> {
    let (before, memory) = (behaviour(ringress, Duration::from_millis(500)), ringress.resident_bytes());
    let stop = Arc::<AtomicBool>::default();
    let told = Arc::clone(&stop);
    let attacker = std::thread::spawn(move || attack(&told));
    let during = behaviour(ringress, time);
    let growth = ringress.resident_bytes().saturating_sub(memory);
    stop.store(true, Ordering::SeqCst);
    let did = attacker.join().expect("the attacker");
    let after = behaviour(ringress, Duration::from_millis(300));
    let told = format!(
        "{name}: {before:.0}/s, {during:.0}/s in the flood, {after:.0}/s after; {} KiB more; {did}",
        growth >> 10,
    );
    println!("{told}");
    // Not to be tried again: what was taken once is there the next time.
    assert!(growth < growth_bytes_max, "{told}");
    let held = during >= before / 2.0 && after >= before / 2.0;
    if held { Ok(()) } else { Err(told) }
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
