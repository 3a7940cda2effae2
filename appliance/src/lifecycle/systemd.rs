//! What systemd is told (`Type=notify`), when it listens.
#![expect(clippy::disallowed_types, reason = "the main thread")]

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The process serves.
pub(super) fn ready() {
    notify(NotifyState::Ready);
}

/// The process is on its way out.
pub(super) fn stopping() {
    notify(NotifyState::Stopping);
}

/// Does nothing when nobody listens.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
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
            notify(NotifyState::Watchdog);
        }
    }
}
