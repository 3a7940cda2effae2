//! Starting the workers, replacing one that dies, draining all of them.

#![expect(clippy::disallowed_types, reason = "the supervisor is no core")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, bounded};
use ringress_config::snapshot::{Adopted, Snapshot};

use super::adopt::Inlet;
use super::core::Shared;
use super::table::{ListenTable, ListenerStatus, StreamStatus};
use super::{BindError, Gate, Share, WorkerSettings};
use crate::accept::{Handed, Peer};
use crate::handover::{Given, Inherited};
use crate::io::{Wake, WakeReceiver};
use crate::limits::HANDED_OVER_MAX;
use crate::metrics::{CoreCounters, CoreMetricsSource};
use crate::tls::SharedTls;

mod thread_main;

/// Deaths of worker threads within [`RESTARTS_WINDOW`] that are made good; more and the process is not healthy.
const RESTARTS_MAX: usize = 3;
/// See [`RESTARTS_MAX`].
const RESTARTS_WINDOW: Duration = Duration::from_secs(60);

/// The workers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The TLS engine could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The system refused a descriptor or a thread.
    #[error("a worker cannot be started: {0}")]
    System(#[from] std::io::Error),
}

/// The publishing side's end toward one worker.
pub struct WorkerLink {
    /// Bounded to one: only the newest matters.
    pub snapshots: Sender<Arc<Snapshot>>,
    /// The worker's own receiver, to drop an older snapshot when the channel is full.
    pub stale: Receiver<Arc<Snapshot>>,
    /// Wakes the worker.
    pub wake: Box<dyn Fn() + Send>,
}

/// Everything a worker thread needs; kept by the supervisor, so that a replacement gets the same.
struct Seat {
    index: usize,
    settings: Arc<WorkerSettings>,
    table: Arc<ListenTable>,
    inlet: Inlet,
    current: Arc<ArcSwapOption<Snapshot>>,
    retired: Sender<Arc<Snapshot>>,
    handed: Receiver<Handed>,
    orders: Arc<Orders>,
    wake: WakeReceiver,
    peers: Arc<[Peer]>,
    tls: SharedTls,
    shared: Shared,
    share: Share,
}

/// What all workers and their replacements are told.
#[derive(Debug, Default)]
struct Orders {
    /// 0, or the [`Leave`] plus one; set once.
    leave: AtomicU8,
    /// Workers that accept nothing any more.
    stopped: AtomicUsize,
}

/// Why workers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// The process ends.
    Drain,
    /// Another process serves on the same sockets.
    Replaced,
}

impl Orders {
    fn give(&self, leave: Leave) {
        self.leave.store(leave as u8 + 1, Ordering::Release);
    }

    fn leave(&self) -> Option<Leave> {
        match self.leave.load(Ordering::Acquire) {
            0 => None,
            given if given == Leave::Drain as u8 + 1 => Some(Leave::Drain),
            _ => Some(Leave::Replaced),
        }
    }
}

/// How a worker thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// As ordered.
    Drained,
    /// By a panic outside of a connection's task, or an error of its runtime.
    Died,
}

/// What the outside may know of one worker.
#[derive(Clone, Debug)]
pub struct WorkerStatus {
    /// Its counters: heartbeat, generation, connections.
    pub counters: Arc<CoreCounters>,
}

/// The running workers.
pub struct Workers {
    /// For the publisher, taken once.
    pub links: Vec<WorkerLink>,
    /// What the workers adopted.
    pub adopted: Receiver<Adopted>,
    /// Old snapshots, to be dropped off the workers.
    pub retired: Receiver<Arc<Snapshot>>,
    /// The snapshot that a replaced worker starts from; the publisher stores into it.
    pub current: Arc<ArcSwapOption<Snapshot>>,
    control: Arc<Control>,
    ended: Receiver<()>,
}

/// What can be asked of running workers from any thread.
pub struct Control {
    orders: Arc<Orders>,
    gate: Gate,
    wakes: Vec<Wake>,
    metrics: CoreMetricsSource,
    table: Arc<ListenTable>,
    restarts: AtomicUsize,
    beyond_repair: AtomicUsize,
}

impl Workers {
    /// The handle for other threads.
    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Waits until every worker has ended after [`Control::drain`], at most `timeout`. False when time ran out.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.ended.recv_timeout(timeout).is_ok()
    }

    /// Whether every worker has ended.
    pub fn ended(&self) -> &Receiver<()> {
        &self.ended
    }
}

impl Control {
    /// Begins the drain: no new connections, running requests finish, workers end.
    pub fn drain(&self) {
        self.orders.give(Leave::Drain);
        // Before the gate is open another process serves on these sockets.
        if self.gate.is_open() {
            self.table.close();
        }
        self.wakes.iter().for_each(Wake::wake);
    }

    /// Takes clients from now on.
    pub fn open(&self) {
        self.gate.open();
        self.wakes.iter().for_each(Wake::wake);
    }

    /// Copies of every listening socket for a successor. They stay as they are until [`Control::keep`] or
    /// [`Control::hand_over`].
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn give(&self) -> std::io::Result<Vec<Given>> {
        self.table.give()
    }

    /// There will be no successor.
    pub fn keep(&self) {
        self.table.keep();
    }

    /// A successor serves on the same sockets: as [`Control::drain`], but they stay open, and a client that is silent
    /// has a while to send the request that it may be sending just now.
    pub fn hand_over(&self) {
        self.orders.give(Leave::Replaced);
        self.table.release();
        self.wakes.iter().for_each(Wake::wake);
    }

    /// Every worker.
    pub fn workers(&self) -> Vec<WorkerStatus> {
        (0..self.wakes.len()).map(|i| WorkerStatus { counters: self.metrics.counters(i) }).collect()
    }

    /// The addresses of http and https, ports found by the system included.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        self.table.listeners()
    }

    /// The ports of TCP and UDP services.
    pub fn streams(&self) -> Vec<StreamStatus> {
        self.table.streams()
    }

    /// Worker threads that died and were replaced since the start.
    pub fn restarts(&self) -> usize {
        self.restarts.load(Ordering::Relaxed)
    }

    /// A worker that died and could not, or should no longer, be replaced.
    pub fn beyond_repair(&self) -> Option<usize> {
        self.beyond_repair.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// Binds the listeners, or takes them from `inherited`, unless a ConfigMap may say where they are, and starts a thread for
/// each worker. They accept from their first snapshot on, once the gate is open.
///
/// # Errors
/// When a listener cannot be bound or the system refuses a thread.
pub fn start(settings: WorkerSettings, inherited: Inherited) -> Result<Workers, StartError> {
    let cores = settings.placement.workers();
    let table = ListenTable::new(settings.listen.clone(), cores, settings.gate.clone(), inherited)?;
    let settings = Arc::new(settings);
    let (adopted, adopted_out) = bounded(cores * 8);
    let (retired, retired_out) = bounded(1024);
    let current = Arc::new(ArcSwapOption::empty());
    let tls = SharedTls::new(settings.staples.clone())?;
    let shared = Shared::default();
    let share = Share::of_process(cores);

    let orders = Arc::<Orders>::default();
    let (mut links, mut for_control, mut seats) = (Vec::new(), Vec::new(), Vec::new());
    let wakes = (0..cores).map(|_| Wake::pair()).collect::<std::io::Result<Vec<_>>>()?;
    let hand_overs: Vec<_> = (0..cores).map(|_| bounded::<Handed>(HANDED_OVER_MAX)).collect();
    let peer = |(i, ((handed, _), (wake, _))): (usize, (&(Sender<Handed>, _), &(Wake, _)))| {
        Ok(Peer { counters: settings.metrics.counters(i), handed: handed.clone(), wake: wake.try_clone()? })
    };
    let peers: Arc<[Peer]> = hand_overs.iter().zip(&wakes).enumerate().map(peer).collect::<std::io::Result<_>>()?;
    for (index, (wake, wake_receiver)) in wakes.iter().enumerate() {
        let (snapshots, snapshots_in) = bounded(1);
        let for_publisher = wake.try_clone()?;
        links.push(WorkerLink { snapshots, stale: snapshots_in.clone(), wake: Box::new(move || for_publisher.wake()) });
        for_control.push(wake.try_clone()?);
        seats.push(Seat {
            index,
            settings: Arc::clone(&settings),
            table: Arc::clone(&table),
            inlet: Inlet { snapshots: snapshots_in, adopted: adopted.clone() },
            current: Arc::clone(&current),
            retired: retired.clone(),
            handed: hand_overs[index].1.clone(),
            orders: Arc::clone(&orders),
            wake: wake_receiver.try_clone()?,
            peers: Arc::clone(&peers),
            tls: tls.clone(),
            shared: shared.clone(),
            share,
        });
    }
    let control = Arc::new(Control {
        orders,
        gate: settings.gate.clone(),
        wakes: for_control,
        metrics: settings.metrics.clone(),
        table,
        restarts: AtomicUsize::new(0),
        beyond_repair: AtomicUsize::new(0),
    });
    let ended = supervise(seats, Arc::clone(&control))?;
    Ok(Workers { links, adopted: adopted_out, retired: retired_out, current, control, ended })
}

/// Starts all workers and the thread that replaces those that die.
fn supervise(seats: Vec<Seat>, control: Arc<Control>) -> std::io::Result<Receiver<()>> {
    let (ends, ends_out) = bounded(seats.len());
    let seats: Vec<Arc<Seat>> = seats.into_iter().map(Arc::new).collect();
    for seat in &seats {
        thread_main::spawn(Arc::clone(seat), ends.clone())?;
    }
    let (all_ended, all_ended_out) = bounded(1);
    thread::Builder::new().name("supervisor".into()).spawn(move || {
        let mut running = seats.len();
        let mut deaths = Vec::new();
        while running > 0
            && let Ok((index, end)) = ends_out.recv()
        {
            if end == Ended::Drained || !replace(&seats[index], &ends, &mut deaths, &control) {
                running -= 1;
            }
        }
        // Nobody waits any more when the process is on its way out already.
        let _ = all_ended.try_send(());
    })?;
    Ok(all_ended_out)
}

/// Replaces a dead worker on the same sockets and channels. False when that is not possible or no longer sensible.
fn replace(seat: &Arc<Seat>, ends: &Sender<(usize, Ended)>, deaths: &mut Vec<Instant>, control: &Control) -> bool {
    let now = Instant::now();
    deaths.retain(|death| now.duration_since(*death) < RESTARTS_WINDOW);
    deaths.push(now);
    let replaced = thread_main::spawn(Arc::clone(seat), ends.clone());
    control.restarts.fetch_add(1, Ordering::Relaxed);
    match &replaced {
        Ok(()) => tracing::error!(worker = seat.index, deaths = deaths.len(), "a worker died and was replaced"),
        Err(error) => tracing::error!(worker = seat.index, %error, "a worker died and cannot be replaced"),
    }
    if replaced.is_err() || deaths.len() >= RESTARTS_MAX {
        control.beyond_repair.store(seat.index + 1, Ordering::Relaxed);
    }
    replaced.is_ok()
}
