//! From readiness to the end of the process: signals, systemd, upgrade, drain.
//!
//! Runs on the main thread, which has nothing else to do; workers and the other threads never handle signals.

mod control;
mod reread;
mod systemd;
mod upgrade;

use std::io;
use std::time::Duration;

use ringress_config::options::FileCertificate;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{interval, sleep, timeout};

use crate::admin::Sources;
use crate::cli::Shutdown;
use crate::handover::{Given, Predecessor, Program};
use crate::worker::Gate;

pub use control::{ControlError, ControlSocket};
pub(crate) use control::{REQUEST_UPGRADE, Reply};
pub use reread::Configuration;
pub(crate) use reread::rereads;
pub(crate) use upgrade::failed as upgrades_failed;

/// Bound of a drain when neither flag nor ConfigMap has one.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How often readiness and the end of a drain are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How often a ready process is looked at: for workers that ended, and for systemd's watchdog.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What a lifecycle moves through its phases.
pub trait Process {
    /// Accept nothing more, finish what runs.
    fn drain(&self);

    /// Log files were moved away: open them anew.
    fn reopen_logs(&self);

    /// Certificates on disk are these from now on; read the files of all. Whether that will be done.
    fn reread(&self, certificates: &[FileCertificate]) -> bool;

    /// Whether all workers have ended.
    fn ended(&self) -> bool;

    /// Clients may be taken from now on.
    fn open(&self);

    /// The process is ready for the first time.
    fn ready(&self);

    /// Writes down what a successor cannot find out by itself.
    fn save(&self) -> impl Future<Output = ()>;

    /// Copies of every listening socket, for a successor.
    ///
    /// # Errors
    /// When there is no descriptor left.
    fn give(&self) -> io::Result<Vec<Given>>;

    /// There will be no successor.
    fn keep(&self);

    /// A successor serves on the same sockets: accept nothing more, finish what runs, leave the sockets as they are.
    fn hand_over(&self);
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that ran has finished.
    Drained,
    /// Time ran out; what still ran was cut.
    DrainTimeout,
    /// Another process has taken over.
    Replaced,
    /// A second signal, of this number.
    Interrupted(i32),
    /// The workers ended without being asked.
    WorkersDied,
}

/// What a process has to do with the ones before and after it.
pub struct Succession {
    /// The process that is relieved by this one.
    pub predecessor: Option<Predecessor>,
    /// Open from the start when there is none.
    pub gate: Gate,
    /// What is started by an upgrade.
    pub program: Program,
    /// Where an upgrade is asked for, besides SIGUSR2.
    pub control: Option<ControlSocket>,
}

/// What a signal means.
enum Order {
    /// End; the number of the signal.
    Stop(i32),
    /// Open log files anew.
    Reopen,
    /// Read the configuration anew.
    Reread,
    /// Start a successor.
    Upgrade,
}

/// Why the process leaves.
enum Leave {
    /// By a signal of this number.
    Stopped(i32),
    /// The process of this number serves.
    Replaced(u32),
}

/// The signals that ask something of a process which goes on. What comes from its beginning on is done once it serves; without
/// this, one that meets it while it starts, as `logrotate` may, would end it.
pub struct Asked {
    hangup: Signal,
    reopen: Signal,
    upgrade: Signal,
}

impl Asked {
    /// Notes them from now on; within the runtime that [`run`] will be on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn note() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }
}

/// The signals of the contract.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    asked: Asked,
}

impl Signals {
    fn new(asked: Asked) -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, asked })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop(SignalKind::terminate().as_raw_value()),
            _ = self.interrupt.recv() => Order::Stop(SignalKind::interrupt().as_raw_value()),
            _ = self.asked.reopen.recv() => Order::Reopen,
            _ = self.asked.upgrade.recv() => Order::Upgrade,
            _ = self.asked.hangup.recv() => Order::Reread,
        }
    }

    /// Waits for a signal that ends a process which is on its way out.
    async fn stop(&mut self, process: &impl Process) -> i32 {
        loop {
            match self.next().await {
                Order::Stop(signal) => return signal,
                Order::Reopen => process.reopen_logs(),
                Order::Reread => tracing::warn!("SIGHUP: this process is on its way out and reads nothing anew"),
                Order::Upgrade => tracing::warn!("SIGUSR2: this process is on its way out and starts no other"),
            }
        }
    }
}

/// Runs until the process may end.
pub async fn run(
    process: &impl Process,
    sources: &Sources,
    configuration: &Configuration,
    succession: &Succession,
    asked: Asked,
) -> io::Result<End> {
    let mut signals = Signals::new(asked)?;
    let left = tokio::select! {
        leave = upgrade::orders(&mut signals, process, sources, (succession, configuration)) => Some(leave),
        () = serve(process, sources, succession) => None,
    };
    let shutdown = configuration.shutdown();
    let bound = drain_timeout(sources, shutdown);
    match left {
        None => Ok(End::WorkersDied),
        Some(Leave::Stopped(signal)) => {
            systemd::stopping();
            tracing::info!(signal, timeout = ?bound, "draining");
            sources.phase.begin_drain();
            Ok(stop(&mut signals, process, sources, shutdown, bound).await)
        }
        Some(Leave::Replaced(successor)) => {
            tracing::info!(successor, timeout = ?bound, "another process serves; draining");
            sources.phase.begin_drain();
            Ok(leave(&mut signals, process, sources, bound).await)
        }
    }
}

/// The end by a signal; a second one cuts it short.
async fn stop(
    signals: &mut Signals,
    process: &impl Process,
    sources: &Sources,
    shutdown: Shutdown,
    bound: Duration,
) -> End {
    let end = tokio::select! {
        end = drain(process, shutdown, bound) => end,
        signal = signals.stop(process) => End::Interrupted(signal),
    };
    tell(end, sources);
    end
}

/// The end after an upgrade. The service manager stops old and new process by one signal each: only the second one is
/// meant for a process that drains already.
async fn leave(signals: &mut Signals, process: &impl Process, sources: &Sources, bound: Duration) -> End {
    let twice = async {
        signals.stop(process).await;
        signals.stop(process).await
    };
    let end = tokio::select! {
        ended = timeout(bound, all_ended(process)) => ended.map_or(End::DrainTimeout, |()| End::Drained),
        signal = twice => End::Interrupted(signal),
    };
    tell(end, sources);
    End::Replaced
}

fn tell(end: End, sources: &Sources) {
    match end {
        End::Drained => tracing::info!("drained"),
        _ => tracing::warn!(?end, connections = connections(sources), "not drained completely"),
    }
}

fn drain_timeout(sources: &Sources, shutdown: Shutdown) -> Duration {
    let configured = || sources.control.snapshot()?.settings.drain_timeout;
    shutdown.drain_timeout.or_else(configured).unwrap_or(DRAIN_TIMEOUT)
}

fn connections(sources: &Sources) -> u64 {
    sources.metrics.counters().iter().map(|core| core.connections.get()).sum()
}

/// Relieves the process before, tells that this one is ready, then that it is alive; returns only when the workers are
/// gone.
async fn serve(process: &impl Process, sources: &Sources, succession: &Succession) {
    let mut poll = interval(POLL_INTERVAL);
    while sources.unready().is_some() {
        poll.tick().await;
        if process.ended() {
            return;
        }
    }
    if let Some(predecessor) = &succession.predecessor {
        predecessor.relieve().await;
        process.open();
        systemd::is_main();
        predecessor.serving();
    }
    process.ready();
    systemd::ready();
    let mut watchdog = systemd::Watchdog::new();
    let mut look = interval(LOOK_INTERVAL);
    while !process.ended() {
        look.tick().await;
        watchdog.feed(|| sources.failures().is_empty());
    }
}

async fn drain(process: &impl Process, shutdown: Shutdown, bound: Duration) -> End {
    sleep(shutdown.grace_before).await;
    process.drain();
    let end = if timeout(bound, all_ended(process)).await.is_ok() { End::Drained } else { End::DrainTimeout };
    sleep(shutdown.grace_after).await;
    end
}

async fn all_ended(process: &impl Process) {
    let mut poll = interval(POLL_INTERVAL);
    while !process.ended() {
        poll.tick().await;
    }
}

#[cfg(test)]
mod tests;
