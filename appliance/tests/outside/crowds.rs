//! Many hostile connections at a time: floods of HTTP/2 on 1,000 of them, 9,000 heads that never end, and no descriptor
//! left. A client that behaves keeps half of its rate, memory stays within bounds, and all is well afterwards.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::bystander::{self, Bounds, paced_rate, serving};
use crate::http2_floods::{Flood, of_many, untaken};
use crate::support::client::{self, Connection};
use crate::support::frames::{DATA, Frames, RST_STREAM, is_silence, window_update};
use crate::support::process::{Ringress, on_each_driver};
use crate::support::{PATIENCE, eventually, within};

/// Connections of a flood.
const FLOODING: usize = 1000;
/// Connections whose heads never end, where there are descriptors for them on both sides.
const SLOW_MAX: u64 = 9000;
/// Descriptors that a process needs for all else.
const SPARE: u64 = 500;
/// Bytes of memory that one of them may cost.
const SLOW_BYTES_MAX: u64 = 10 << 10;
/// The same of one whose body never ends: it has an exchange, and what came of the body.
const SLOW_BODY_BYTES_MAX: u64 = 24 << 10;
/// Between two bytes of what never ends.
const DRIP: Duration = Duration::from_millis(500);
/// Gone connections are let go within this: some are noticed by a timeout only.
const GONE: Duration = Duration::from_secs(20);

/// Lets this process have as many descriptors as the system grants it; how many that is. The proxy does the same.
pub(crate) fn take_descriptors() -> u64 {
    let bound = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: bound.maximum, maximum: bound.maximum }).expect("the own bound");
    bound.maximum.unwrap_or(u64::MAX)
}

fn connections(ringress: &Ringress) -> u64 {
    let page = ringress.metrics();
    let lines = page.lines().filter(|line| line.starts_with("ringress_connections{"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// Waits until nearly no connection is open and a new client is served.
pub(crate) fn assert_recovered(ringress: &mut Ringress) {
    assert!(within(GONE, || connections(ringress) < 10), "{} connections are left", connections(ringress));
    let (http, https) = (ringress.http, ringress.https);
    eventually("new clients are served", || {
        let plain = client::try_once(http, "GET", "a.test", "/").is_ok_and(|answer| answer.status == 200);
        plain && Connection::tls(https, Some("a.test")).and_then(|mut c| c.get("a.test", "/")).is_ok()
    });
    ringress.assert_alive();
}

/// One connection of a flood.
struct Flooding {
    frames: Frames,
    pending: Vec<u8>,
    rounds: u32,
}

impl Flooding {
    fn begin(address: SocketAddr, flood: &Flood) -> io::Result<Self> {
        let frames = Frames::with(address, flood.settings)?;
        frames.socket().set_nonblocking(true)?;
        Ok(Self { frames, pending: (flood.first)(), rounds: 0 })
    }

    /// Sends what is taken at once; whether the connection still stands.
    fn step(&mut self, flood: &Flood) -> bool {
        if self.pending.is_empty() {
            self.pending = (flood.round)(self.rounds);
            self.rounds += 1;
        }
        match self.frames.offer(&self.pending) {
            Ok(taken) => drop(self.pending.drain(..taken)),
            Err(error) if is_silence(&error) => {}
            Err(_) => return false,
        }
        if !flood.reads {
            return true;
        }
        loop {
            match self.frames.next() {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => return is_silence(&error) || error.kind() == ErrorKind::Interrupted,
            }
        }
    }
}

/// So many connections in turns, until it is told to stop or none is left: how many began, and those that still stand. A
/// step says whether its connection does. `all_begun` is set in between.
pub(crate) fn in_turns<C>(
    count: usize,
    (stop, all_begun): (&AtomicBool, &AtomicBool),
    begin: impl Fn() -> io::Result<C>,
    mut step: impl FnMut(&mut C) -> bool,
) -> (usize, Vec<C>) {
    let mut open = Vec::with_capacity(count);
    while open.len() < count && !stop.load(Ordering::SeqCst) {
        // One that is turned away is an attacker less.
        open.extend(begin());
    }
    let begun = open.len();
    all_begun.store(true, Ordering::SeqCst);
    while !stop.load(Ordering::SeqCst) && !open.is_empty() {
        open.retain_mut(&mut step);
    }
    (begun, open)
}

fn flood_from_many(address: SocketAddr, flood: &Flood, (stop, all_begun): (&AtomicBool, &AtomicBool)) -> String {
    let mut rounds = 0;
    let step = |one: &mut Flooding| {
        let stands = one.step(flood);
        rounds += u32::from(one.pending.is_empty());
        stands
    };
    let (begun, left) = in_turns(FLOODING, (stop, all_begun), || Flooding::begin(address, flood), step);
    format!("{begun} connections, {rounds} rounds, {} were left", left.len())
}

#[test]
fn floods_on_a_thousand_connections_cost_little_and_harm_nobody_else() {
    take_descriptors();
    on_each_driver(|driver| {
        let (_origin, mut ringress) = serving(driver);
        for flood in of_many() {
            let (address, name) = (ringress.https, format!("{} on {FLOODING}", flood.name));
            bystander::endures(|| {
                let bounds = Bounds { begun: Arc::default(), ..Bounds::of(bystander::time()) };
                let all_begun = Arc::clone(&bounds.begun);
                let attack = move |stop: &AtomicBool| flood_from_many(address, flood, (stop, &all_begun));
                let outcome = bystander::within_bounds(&bounds, &ringress, &name, paced_rate, attack);
                assert_recovered_soon(&ringress);
                outcome
            });
            assert_recovered(&mut ringress);
        }
    });
}

/// So that an attempt does not begin among what is left of the one before.
pub(crate) fn assert_recovered_soon(ringress: &Ringress) {
    within(GONE, || connections(ringress) < 10);
}

/// What never ends.
struct Slow {
    name: &'static str,
    begin: &'static [u8],
    /// Bytes of memory that one may cost.
    bytes_max: u64,
}

const SLOW: [Slow; 2] = [
    Slow { name: "heads", begin: b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ", bytes_max: SLOW_BYTES_MAX },
    Slow {
        name: "bodies",
        begin: b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n",
        bytes_max: SLOW_BODY_BYTES_MAX,
    },
];

#[test]
fn nine_thousand_heads_or_bodies_that_never_end_cost_little_and_service_goes_on() {
    let count = SLOW_MAX.min(take_descriptors().saturating_sub(SPARE));
    on_each_driver(|driver| {
        for Slow { name, begin, bytes_max } in SLOW {
            let (_origin, mut ringress) = serving(driver);
            let before_rate = paced_rate(&ringress, Duration::from_millis(500));
            let before = ringress.resident_bytes();
            let begin = |_| {
                let mut stream = TcpStream::connect(ringress.http).expect("connect");
                stream.write_all(begin).expect("send");
                stream
            };
            let mut slow: Vec<TcpStream> = (0..count).map(begin).collect();
            eventually("all are accepted", || connections(&ringress) >= count);
            let (started, mut most, mut rates) = (Instant::now(), 0, Vec::new());
            while started.elapsed() < bystander::time() {
                slow.iter_mut().for_each(|stream| drop(stream.write_all(b"x")));
                rates.push(paced_rate(&ringress, DRIP));
                most = most.max(ringress.resident_bytes());
            }
            let each = most.saturating_sub(before) / count;
            let rate = rates.iter().sum::<f64>() / rates.len() as f64;
            println!("{count} {name} that never end: {each} bytes each; {before_rate:.0}/s, {rate:.0}/s beside them");
            assert!(each < bytes_max, "{name}: {each} bytes each");
            assert!(rate >= before_rate / 2.0, "{name}: {rate} of {before_rate}");
            drop(slow);
            assert_recovered(&mut ringress);
        }
    });
}

/// CPU time used so far.
fn cpu(ringress: &Ringress) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", ringress.pid())).expect("its /proc entry");
    let (_, rest) = stat.rsplit_once(')').expect("fields behind the name");
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Bounds the descriptors of the running process, below what it has open if need be; what bounded them before.
fn bound_descriptors(ringress: &Ringress, most: Option<u64>) -> Rlimit {
    let pid = i32::try_from(ringress.pid()).ok().and_then(Pid::from_raw).expect("a process");
    // What it inherited, which it must not be raised above.
    let bound = Rlimit { current: most, maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(Some(pid), Resource::Nofile, bound).expect("the bound of a child")
}

#[test]
fn without_a_descriptor_left_service_goes_on_and_nothing_spins() {
    on_each_driver(|driver| {
        let (_origin, mut ringress) = serving(driver);
        let mut kept = Connection::plain(ringress.http).expect("connect");
        assert_eq!(kept.get("a.test", "/").expect("an answer").status, 200);
        // What no bound of the process itself foresaw: not one more.
        let before = bound_descriptors(&ringress, Some(16));
        let mut waiting: Vec<TcpStream> =
            (0..200).map(|_| TcpStream::connect(ringress.http).expect("the system's queue takes it")).collect();
        let (used, window) = (cpu(&ringress), Duration::from_secs(1));
        let started = Instant::now();
        let mut answered = 0;
        while started.elapsed() < window {
            assert_eq!(kept.get("a.test", "/").expect("an answer").status, 200);
            answered += 1;
            within(Duration::from_millis(20), || false);
        }
        let used = cpu(&ringress) - used;
        println!("without descriptors: {answered} requests and {used:?} of CPU in {window:?}");
        assert!(used < window / 2, "it does not spin: {used:?} in {window:?}");
        ringress.assert_alive();
        bound_descriptors(&ringress, before.current);
        // Those that waited are served as well.
        let last = waiting.last_mut().expect("many");
        last.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        last.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("send");
        let mut answer = [0; 12];
        last.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
        drop((waiting, kept));
        assert_recovered(&mut ringress);
    });
}

/// Clients that ask for answers and leave them.
struct Leaving {
    name: &'static str,
    answers: u32,
    /// What each stream may send at first.
    window: u32,
    /// What the connection may send beyond the 64 KiB that it always may.
    more: u32,
    /// Bytes that are read before they stop.
    takes: usize,
}

const MUCH: u32 = 1 << 30;
/// More than HTTP/2 grants unasked: a client with such a window has said something.
const ASKED: u32 = 66_000;
const LEAVING: [Leaving; 5] = [
    Leaving { name: "no window", answers: 4, window: 0, more: 0, takes: 0 },
    Leaving { name: "a window of one byte", answers: 4, window: 1, more: 0, takes: 0 },
    Leaving { name: "a window and nobody who reads", answers: 4, window: 65_535, more: 0, takes: 0 },
    Leaving { name: "wide windows and nobody who reads", answers: 8, window: MUCH, more: MUCH, takes: 0 },
    Leaving { name: "a part is taken", answers: 4, window: ASKED, more: MUCH, takes: 4 * ASKED as usize },
];

impl Leaving {
    fn begin(&self, address: SocketAddr) -> io::Result<Frames> {
        let mut frames = Frames::with(address, &[(4, self.window)])?;
        if self.more > 0 {
            frames.send(&window_update(0, self.more))?;
        }
        frames.send(&untaken(self.answers))?;
        let mut taken = 0;
        while taken < self.takes {
            let frame = frames.wait(|frame| [DATA, RST_STREAM].contains(&frame.kind))?;
            if frame.kind == RST_STREAM {
                // Its part does not come.
                break;
            }
            taken += frame.payload.len();
        }
        Ok(frames)
    }
}

#[test]
fn answers_that_a_thousand_connections_leave_hold_little_memory_while_they_come() {
    take_descriptors();
    on_each_driver(|driver| {
        for leaving in &LEAVING {
            let (_origin, mut ringress) = serving(driver);
            paced_rate(&ringress, Duration::from_millis(500));
            let before = ringress.resident_bytes();
            let (mut clients, mut most) = (Vec::with_capacity(FLOODING), 0);
            for _ in 0..FLOODING {
                // One that is refused or reset leaves nothing.
                clients.extend(leaving.begin(ringress.https));
                most = most.max(ringress.resident_bytes());
            }
            let rate = paced_rate(&ringress, bystander::time());
            let growth = most.max(ringress.resident_bytes()).saturating_sub(before);
            let name = leaving.name;
            println!("{} connections, {name}: {} KiB more, {rate:.0}/s beside them", clients.len(), growth >> 10);
            assert!(growth < bystander::GROWTH_BYTES_MAX, "{name}: {growth}");
            drop(clients);
            assert_recovered(&mut ringress);
        }
    });
}
