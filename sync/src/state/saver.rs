//! When the state is written: soon after a change, off the control thread, with a rest after each write, and at once
//! before a successor reads it and at the end.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinHandle};
use tracing::{debug, warn};

use super::{Good, StateFile};

/// The longest rest after a write; also that of a cluster, which tells all of it anew.
const REST_MAX: Duration = Duration::from_secs(10);

/// The shortest one for a folder: what it said before a file broke is nowhere else, and after a crash it is that much
/// older at most…
const REST_MIN: Duration = Duration::from_millis(100);

/// …unless writing takes its time: to a twentieth of a core at most.
const REST_FACTOR: u32 = 20;

/// Writes the state.
pub(crate) struct Saver {
    file: StateFile,
    changed: bool,
    /// After a write.
    rest_min: Duration,
    not_before: Instant,
    writing: Option<JoinHandle<(Duration, io::Result<()>)>>,
    /// The last failure, to log it once.
    failed: Option<String>,
}

impl Saver {
    pub(crate) fn of_cluster(file: StateFile) -> Self {
        Self { file, changed: false, rest_min: REST_MAX, not_before: Instant::now(), writing: None, failed: None }
    }

    pub(crate) fn of_folder(file: StateFile) -> Self {
        Self { rest_min: REST_MIN, ..Self::of_cluster(file) }
    }

    /// The objects have changed.
    pub(crate) fn note_change(&mut self) {
        self.changed = true;
    }

    /// An object was removed, which must not come back: a folder's state is written without a rest.
    pub(crate) fn note_removal(&mut self) {
        if self.rest_min < REST_MAX {
            self.not_before = Instant::now();
        }
    }

    /// Starts a write if one is due. `good` is what is to be written.
    pub(crate) async fn look(&mut self, good: impl FnOnce() -> Good) {
        if let Some(writing) = self.writing.take_if(|writing| writing.is_finished()) {
            self.ended(writing.await);
        }
        if !self.changed || self.writing.is_some() || Instant::now() < self.not_before {
            return;
        }
        self.changed = false;
        let (file, good) = (self.file.clone(), good());
        self.writing = Some(tokio::task::spawn_blocking(move || timed(&file, &good)));
    }

    /// Writes what is not written yet, and waits for it.
    pub(crate) async fn flush(&mut self, good: impl FnOnce() -> Good) {
        if let Some(writing) = self.writing.take() {
            self.ended(writing.await);
        }
        if std::mem::take(&mut self.changed) {
            self.ended(Ok(timed(&self.file, &good())));
        }
    }

    fn ended(&mut self, written: Result<(Duration, io::Result<()>), JoinError>) {
        let (took, result) = written.unwrap_or_else(|cause| (REST_MAX, Err(io::Error::other(cause))));
        self.not_before = Instant::now() + (took * REST_FACTOR).clamp(self.rest_min, REST_MAX);
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

fn timed(file: &StateFile, good: &Good) -> (Duration, io::Result<()>) {
    let started = Instant::now();
    let result = file.save(good);
    (started.elapsed(), result)
}
