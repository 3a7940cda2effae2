//! From readiness to the end of the process: signals, systemd, drain.
//!
//! Runs on the main thread, which has nothing else to do; workers and the other threads never handle signals.

mod systemd;

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{interval, sleep, timeout};

use crate::admin::Sources;
use crate::cli::Shutdown;

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

    /// Whether all workers have ended.
    fn ended(&self) -> bool;

    /// The process is ready for the first time.
    fn ready(&self);
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that ran has finished.
    Drained,
    /// Time ran out; what still ran was cut.
    DrainTimeout,
    /// A second signal, of this number.
    Interrupted(i32),
    /// The workers ended without being asked.
    WorkersDied,
}

/// The signals of the contract.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    reopen: Signal,
    upgrade: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for a signal that ends the process; the others are dealt with on the way.
    async fn stop(&mut self, process: &impl Process) -> i32 {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalKind::terminate().as_raw_value(),
                _ = self.interrupt.recv() => return SignalKind::interrupt().as_raw_value(),
                _ = self.hangup.recv() => {
                    tracing::info!("SIGHUP: sources update by themselves, options are read at the start only");
                }
                _ = self.reopen.recv() => process.reopen_logs(),
                _ = self.upgrade.recv() => {
                    tracing::warn!("SIGUSR2: this version cannot upgrade in place, restart it instead");
                }
            }
        }
    }
}

/// Runs until the process may end.
pub async fn run(process: &impl Process, sources: &Sources, shutdown: Shutdown) -> std::io::Result<End> {
    let mut signals = Signals::new()?;
    let stopped = tokio::select! {
        signal = signals.stop(process) => Some(signal),
        () = serve(process, sources) => None,
    };
    let Some(signal) = stopped else { return Ok(End::WorkersDied) };
    sources.phase.begin_drain();
    systemd::stopping();
    let bound = drain_timeout(sources, shutdown);
    tracing::info!(signal, timeout = ?bound, "draining");
    let end = tokio::select! {
        end = drain(process, shutdown, bound) => end,
        signal = signals.stop(process) => End::Interrupted(signal),
    };
    match end {
        End::Drained => tracing::info!("drained"),
        _ => tracing::warn!(?end, connections = connections(sources), "not drained completely"),
    }
    Ok(end)
}

fn drain_timeout(sources: &Sources, shutdown: Shutdown) -> Duration {
    let configured = || sources.control.snapshot()?.settings.drain_timeout;
    shutdown.drain_timeout.or_else(configured).unwrap_or(DRAIN_TIMEOUT)
}

fn connections(sources: &Sources) -> u64 {
    sources.metrics.counters().iter().map(|core| core.connections.get()).sum()
}

/// Tells that the process is ready, then that it is alive; returns only when the workers are gone.
async fn serve(process: &impl Process, sources: &Sources) {
    let mut poll = interval(POLL_INTERVAL);
    while sources.unready().is_some() {
        poll.tick().await;
        if process.ended() {
            return;
        }
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
    let ended = async {
        let mut poll = interval(POLL_INTERVAL);
        while !process.ended() {
            poll.tick().await;
        }
    };
    let end = if timeout(bound, ended).await.is_ok() { End::Drained } else { End::DrainTimeout };
    sleep(shutdown.grace_after).await;
    end
}

#[cfg(test)]
mod tests;
