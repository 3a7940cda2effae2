//! When the state is written: soon after a change, not more often than every ten seconds, off the control thread, and
//! at once before a successor reads it and at the end.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::{Good, StateFile};

/// The shortest time between two writes.
const INTERVAL: Duration = Duration::from_secs(10);

/// Writes the state.
pub(crate) struct Saver {
    file: StateFile,
    changed: bool,
    not_before: Instant,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// The last failure, to log it once.
    failed: Option<String>,
}

impl Saver {
    pub(crate) fn new(file: StateFile) -> Self {
        Self { file, changed: false, not_before: Instant::now(), writing: None, failed: None }
    }

    /// The objects have changed.
    pub(crate) fn note_change(&mut self) {
        self.changed = true;
    }

    /// Starts a write if one is due. `good` is what is to be written.
    pub(crate) async fn look(&mut self, good: impl FnOnce() -> Good) {
        if let Some(writing) = self.writing.take_if(|writing| writing.is_finished()) {
            self.ended(writing.await.map_err(io::Error::other).flatten());
        }
        if !self.changed || self.writing.is_some() || Instant::now() < self.not_before {
            return;
        }
        self.changed = false;
        self.not_before = Instant::now() + INTERVAL;
        let (file, good) = (self.file.clone(), good());
        self.writing = Some(tokio::task::spawn_blocking(move || file.save(&good)));
    }

    /// Writes what is not written yet, and waits for it.
    pub(crate) async fn flush(&mut self, good: impl FnOnce() -> Good) {
        if let Some(writing) = self.writing.take() {
            self.ended(writing.await.map_err(io::Error::other).flatten());
        }
        if std::mem::take(&mut self.changed) {
            self.not_before = Instant::now() + INTERVAL;
            let result = self.file.save(&good());
            self.ended(result);
        }
    }

    fn ended(&mut self, result: io::Result<()>) {
        let folder = self.file.folder().display();
        match result {
            Ok(()) => {
                debug!(%folder, "the last known good objects are saved");
                self.failed = None;
            }
            Err(cause) => {
                let message = cause.to_string();
                if self.failed.as_ref() != Some(&message) {
                    warn!(%folder, "the last known good objects cannot be saved: {message}");
                }
                self.failed = Some(message);
                self.changed = true;
            }
        }
    }
}
