//! What the kernel says about the folder, gathered until the control thread takes it.
//!
//! A file that somebody still writes is left alone until it is closed, so that half of it is never served; a writer
//! that keeps the file open is waited for only so long. Bounded: too many names become one complete scan.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, Event, EventKind, ModifyKind};
use tokio::sync::Notify;

/// More changed names than this are answered by one complete scan.
const PATHS_MAX: usize = 1024;

/// A file that was written to and not closed is read when nobody has written to it for this long…
const WRITE_QUIET: Duration = Duration::from_millis(50);

/// …or when writing has gone on for this long.
const WRITE_MAX: Duration = Duration::from_secs(1);

/// A file without a byte that was not closed is read after this long: most often a shell has just emptied it for a command
/// that has yet to write (`kubectl get … >a.yaml`), and what it held is served until then.
const EMPTY_MAX: Duration = Duration::from_secs(30);

/// The notices so far.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    pending: Mutex<Pending>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    rescan: bool,
    changed: HashSet<PathBuf>,
    writing: HashMap<PathBuf, Writing>,
}

#[derive(Clone, Copy, Debug)]
struct Writing {
    first: Instant,
    last: Instant,
    /// Held nothing when it was looked at after the last write.
    empty: bool,
}

impl Writing {
    fn begun(now: Instant) -> Self {
        Self { first: now, last: now, empty: false }
    }

    fn due(self) -> Instant {
        if self.empty { self.first + EMPTY_MAX } else { (self.last + WRITE_QUIET).min(self.first + WRITE_MAX) }
    }

    /// Whether it is to be read now.
    fn is_due(&mut self, path: &Path, now: Instant) -> bool {
        if now < self.due() {
            return false;
        }
        self.empty = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
        now >= self.due()
    }
}

/// What is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Look at everything.
    pub(crate) rescan: bool,
    /// Look at these.
    pub(crate) changed: HashSet<PathBuf>,
    /// Leave these alone for now.
    pub(crate) writing: HashSet<PathBuf>,
}

impl Notices {
    /// Takes in one message of the watcher, on the watcher's thread.
    pub(crate) fn note(&self, message: notify::Result<Event>, now: Instant) {
        let news = {
            let mut pending = self.lock();
            match message {
                Ok(event) if event.need_rescan() => {
                    pending.rescan = true;
                    true
                }
                Ok(event) => pending.note(&event, now),
                Err(_) => {
                    pending.rescan = true;
                    true
                }
            }
        };
        if news {
            self.arrived.notify_one();
        }
    }

    /// Waits until [`take`](Self::take) has something to look at.
    pub(crate) async fn due(&self) {
        loop {
            let arrived = self.arrived.notified();
            let due = self.lock().due();
            match due {
                Some(due) if due <= Instant::now() => return,
                Some(due) => {
                    tokio::select! {
                        () = arrived => {}
                        () = tokio::time::sleep_until(due.into()) => {}
                    }
                }
                None => arrived.await,
            }
        }
    }

    /// Waits until nobody writes to a file of the folder, but no longer than `bound`.
    pub(crate) async fn written(&self, bound: Duration) {
        let deadline = Instant::now() + bound;
        while !self.lock().writing.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The file changed so recently that somebody may still be writing to it: looked at later.
    pub(crate) fn defer(&self, path: PathBuf, now: Instant) {
        self.lock().writing.entry(path).or_insert(Writing::begun(now));
    }

    /// Takes what is due.
    pub(crate) fn take(&self, now: Instant) -> Taken {
        let mut pending = self.lock();
        let Pending { rescan, changed, writing } = &mut *pending;
        writing.retain(|path, written| {
            let due = written.is_due(path, now);
            if due {
                changed.insert(path.clone());
            }
            !due
        });
        Taken {
            rescan: std::mem::take(rescan),
            changed: std::mem::take(changed),
            writing: writing.keys().cloned().collect(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        // Nothing in here panics half way through a change.
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pending {
    fn due(&self) -> Option<Instant> {
        if self.rescan || !self.changed.is_empty() {
            return Some(Instant::now());
        }
        self.writing.values().map(|writing| writing.due()).min()
    }

    /// True when the control thread has to look up.
    fn note(&mut self, event: &Event, now: Instant) -> bool {
        match event.kind {
            // Our own reading.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.changed(&event.paths),
            EventKind::Access(_) => false,
            // Also how a symbolic or hard link appears, for which no end of writing follows.
            EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => {
                self.being_written(&event.paths, now)
            }
            _ => self.changed(&event.paths),
        }
    }

    fn changed(&mut self, paths: &[PathBuf]) -> bool {
        for path in paths {
            self.writing.remove(path);
            if self.changed.len() < PATHS_MAX {
                self.changed.insert(path.clone());
            } else {
                self.rescan = true;
            }
        }
        true
    }

    fn being_written(&mut self, paths: &[PathBuf], now: Instant) -> bool {
        for path in paths {
            if let Some(writing) = self.writing.get_mut(path) {
                *writing = Writing { first: writing.first, ..Writing::begun(now) };
            } else if self.writing.len() < PATHS_MAX {
                self.writing.insert(path.clone(), Writing::begun(now));
            } else {
                self.rescan = true;
            }
        }
        true
    }
}

/// Whether the path's last part begins with this.
pub(crate) fn name_starts_with(path: &Path, start: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    #[test]
    fn a_file_is_looked_at_when_it_is_closed_and_not_while_it_is_written() {
        let (notices, now) = (Notices::default(), Instant::now());
        notices.note(event(WRITE, "/m/a.yaml"), now);
        let taken = notices.take(now);
        assert!(taken.changed.is_empty());
        assert!(taken.writing.contains(Path::new("/m/a.yaml")));
        notices.note(event(CLOSE, "/m/a.yaml"), now);
        let taken = notices.take(now);
        assert!(taken.changed.contains(Path::new("/m/a.yaml")));
        assert!(taken.writing.is_empty());
    }

    #[test]
    fn a_writer_that_never_closes_is_waited_for_only_so_long() {
        let (notices, start) = (Notices::default(), Instant::now());
        let mut now = start;
        while now < start + WRITE_MAX {
            notices.note(event(WRITE, "/m/a.yaml"), now);
            assert!(notices.take(now).changed.is_empty());
            now += WRITE_QUIET / 2;
        }
        assert!(notices.take(start + WRITE_MAX).changed.contains(Path::new("/m/a.yaml")));
    }

    #[test]
    fn an_emptied_file_is_left_alone_until_it_holds_something_or_is_closed_or_long_empty() {
        let (notices, now) = (Notices::default(), Instant::now());
        let file = tempfile::NamedTempFile::new().expect("a file");
        let name = file.path().to_str().expect("a name");
        let read_at = |at: Duration| notices.take(now + at).changed.contains(file.path());
        notices.note(event(WRITE, name), now);
        assert!(!read_at(WRITE_QUIET) && !read_at(EMPTY_MAX - WRITE_QUIET) && read_at(EMPTY_MAX));
        notices.note(event(WRITE, name), now);
        assert!(!read_at(WRITE_MAX));
        notices.note(event(CLOSE, name), now);
        assert!(read_at(WRITE_MAX));
        notices.note(event(WRITE, name), now);
        assert!(!read_at(WRITE_MAX));
        std::fs::write(file.path(), "a").expect("a write");
        notices.note(event(WRITE, name), now + WRITE_MAX);
        assert!(read_at(WRITE_MAX + WRITE_QUIET));
    }

    #[test]
    fn more_names_than_the_bound_become_one_scan() {
        let (notices, now) = (Notices::default(), Instant::now());
        for number in 0..=PATHS_MAX {
            assert!(!notices.lock().rescan, "at the bound the names are still kept");
            notices.note(event(CLOSE, &format!("/m/{number}.yaml")), now);
        }
        let taken = notices.take(now);
        assert!(taken.rescan);
        assert_eq!(taken.changed.len(), PATHS_MAX);
    }

    #[test]
    fn a_lost_message_leads_to_a_scan() {
        let (notices, now) = (Notices::default(), Instant::now());
        notices.note(Err(notify::Error::generic("gone")), now);
        assert!(notices.take(now).rescan);
        notices.note(Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)), now);
        assert!(notices.take(now).rescan);
    }

    #[test]
    fn our_own_reading_wakes_nobody() {
        let (notices, now) = (Notices::default(), Instant::now());
        notices.note(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/m/a.yaml"), now);
        let taken = notices.take(now);
        assert!(!taken.rescan && taken.changed.is_empty() && taken.writing.is_empty());
    }
}
