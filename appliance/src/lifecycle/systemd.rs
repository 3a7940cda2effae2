//! What systemd is told (`Type=notify`, `NotifyAccess=all`), when it listens.
#![expect(clippy::disallowed_types, reason = "the main thread")]

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The process serves.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// This process is the service from now on. The one before ends by itself, and its end is not the service's.
pub(super) fn is_main() {
    notify(&[NotifyState::MainPid(std::process::id())]);
}

/// A successor is started: `READY=1` follows, from it or from this process again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd is not told of the upgrade"),
    }
}

/// The process is on its way out.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Does nothing when nobody listens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told how this service is");
    }
}

/// Tells systemd that the process is alive, if it wants to be told.
pub(super) struct Watchdog {
    interval: Option<Duration>,
    next: Instant,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        // Twice as often as asked for, as sd_watchdog_enabled(3) recommends.
        Self { interval: sd_notify::watchdog_enabled().map(|limit| limit / 2), next: Instant::now() }
    }

    /// To be called often; asks `is_alive` when it is time.
    pub(super) fn feed(&mut self, is_alive: impl FnOnce() -> bool) {
        let Some(interval) = self.interval else { return };
        let now = Instant::now();
        if now >= self.next && is_alive() {
            self.next = now + interval;
            notify(&[NotifyState::Watchdog]);
        }
    }
}
