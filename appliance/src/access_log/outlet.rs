//! The thread that writes the lines of all cores, to standard output or a file that is opened anew on demand.

#![expect(clippy::disallowed_types, reason = "files are written by a thread of their own, not by a core")]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use jiff::tz::TimeZone;
use ringress_config::snapshot::{LogFormat, RequestValue, StreamVariable};

use super::BATCH_BYTES;
use super::line::ZONE;
use crate::cli::{AccessLogForm, AccessLogTarget};

/// Batches of all cores that may wait for the disk or the terminal: 8 MiB.
const BATCHES_MAX: usize = 256;
/// Emptied buffers that wait for a core.
const SPARES_MAX: usize = 64;
/// Files that are open at the same time: while a changed path reaches the cores, lines come for the old one too.
const FILES_MAX: usize = 4;
/// How long the end of the process waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// Lines that could not be written since the start.
pub(crate) fn lines_lost() -> u64 {
    LINES_LOST.load(Relaxed)
}

/// Lines of one core.
pub(crate) struct Batch {
    pub(super) lines: Vec<u8>,
    pub(super) count: u64,
    /// The file; `None` is the fixed one, else standard output.
    pub(super) path: Option<Arc<str>>,
}

enum Order {
    Reopen,
    Flush(Sender<()>),
}

/// The running log; dropped at the end of the process, it waits for what was handed over.
pub struct AccessLog {
    orders: Sender<Order>,
    outlet: Outlet,
}

/// A core's way to the thread.
#[derive(Clone)]
pub struct Outlet {
    batches: Sender<Batch>,
    spares: Receiver<Vec<u8>>,
    is_fixed: bool,
    /// Of requests and of sessions.
    form: Option<Arc<(LogFormat<RequestValue>, LogFormat<StreamVariable>)>>,
    zone: TimeZone,
}

impl AccessLog {
    /// Starts the thread; `None` when no line will ever be written.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(target: &AccessLogTarget, form: AccessLogForm) -> std::io::Result<Option<Self>> {
        let fixed: Option<Arc<str>> = match target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::Auto => None,
            AccessLogTarget::File(path) => Some(path.to_string_lossy().into()),
        };
        let is_fixed = fixed.is_some();
        let fixed = fixed.filter(|path| &**path != "/dev/stdout");
        let (batches, batches_out) = bounded(BATCHES_MAX);
        let (spares_in, spares) = bounded(SPARES_MAX);
        let (orders, orders_out) = bounded(1);
        let mut writer = Writer { fixed, files: Vec::new(), spares: spares_in };
        let run = move || writer.run(&batches_out, &orders_out);
        std::thread::Builder::new().name("access-log".into()).spawn(run)?;
        let form = match form {
            AccessLogForm::ConfigMap => None,
            AccessLogForm::Json => Some(Arc::new((LogFormat::json(), LogFormat::json()))),
        };
        // Read here, once: looking for the time zone reads files.
        let outlet = Outlet { batches, spares, is_fixed, form, zone: ZONE.clone() };
        Ok(Some(Self { orders, outlet }))
    }

    /// For the cores.
    pub fn outlet(&self) -> Outlet {
        self.outlet.clone()
    }

    /// Opens the files anew, for those who have moved them away.
    pub fn reopen(&self) {
        // One order that waits is as good as two.
        let _ = self.orders.try_send(Order::Reopen);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let (written, all_written) = bounded(1);
        if self.orders.send_timeout(Order::Flush(written), FLUSH_TIMEOUT).is_ok() {
            // A log that nobody reads is given up.
            let _ = all_written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

impl Outlet {
    /// Where lines go, and that they are written, is decided by a flag.
    pub(super) fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// The form that a flag demands.
    pub(super) fn format(&self) -> Option<&LogFormat<RequestValue>> {
        self.form.as_deref().map(|(requests, _)| requests)
    }

    /// The same for sessions.
    pub(super) fn stream_format(&self) -> Option<&LogFormat<StreamVariable>> {
        self.form.as_deref().map(|(_, sessions)| sessions)
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Hands lines over and returns an empty buffer, or the lines when too many wait.
    pub(super) fn send(&self, batch: Batch) -> Result<Vec<u8>, Batch> {
        match self.batches.try_send(batch) {
            Ok(()) => Ok(self.spares.try_recv().unwrap_or_default()),
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => Err(batch),
        }
    }
}

struct Writer {
    /// The file of a flag.
    fixed: Option<Arc<str>>,
    files: Vec<Named>,
    spares: Sender<Vec<u8>>,
}

struct Named {
    path: Arc<str>,
    /// `None` when it could not be opened or written; it is tried again with the next lines.
    file: Option<File>,
    /// The failure was told.
    is_reported: bool,
}

impl Writer {
    fn run(&mut self, batches: &Receiver<Batch>, orders: &Receiver<Order>) {
        loop {
            select! {
                recv(batches) -> batch => match batch {
                    Ok(batch) => self.write(batch),
                    Err(_) => return,
                },
                recv(orders) -> order => match order {
                    Ok(Order::Reopen) => {
                        // What was handed over before the order belongs to the old file.
                        batches.try_iter().take(BATCHES_MAX).for_each(|batch| self.write(batch));
                        self.files.clear();
                        tracing::info!("access log files are opened anew");
                    }
                    Ok(Order::Flush(written)) => {
                        batches.try_iter().take(BATCHES_MAX).for_each(|batch| self.write(batch));
                        let _ = written.try_send(());
                    }
                    Err(_) => return,
                },
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        let Batch { mut lines, count, path } = batch;
        let written = match path.or_else(|| self.fixed.clone()) {
            None => std::io::stdout().write_all(&lines).is_ok(),
            Some(path) => self.named(&path).write(&lines),
        };
        if !written {
            LINES_LOST.fetch_add(count, Relaxed);
        }
        // One that grew with a huge line is not kept.
        if lines.capacity() <= 2 * BATCH_BYTES {
            lines.clear();
            let _ = self.spares.try_send(lines);
        }
    }

    fn named(&mut self, path: &Arc<str>) -> &mut Named {
        let at = match self.files.iter().position(|named| named.path == *path) {
            Some(at) => at,
            None => {
                if self.files.len() >= FILES_MAX {
                    self.files.remove(0);
                }
                self.files.push(Named { path: Arc::clone(path), file: None, is_reported: false });
                self.files.len() - 1
            }
        };
        &mut self.files[at]
    }
}

impl Named {
    /// Appends lines; false when they are lost.
    fn write(&mut self, lines: &[u8]) -> bool {
        let opened = match self.file.take() {
            Some(file) => Ok(file),
            None => OpenOptions::new().create(true).append(true).open(&*self.path),
        };
        let result = opened.and_then(|mut file| file.write_all(lines).map(|()| file));
        match result {
            Ok(file) => (self.file, self.is_reported) = (Some(file), false),
            Err(error) if !self.is_reported => {
                tracing::error!(path = %self.path, %error, "the access log cannot be written");
                self.is_reported = true;
            }
            Err(_) => {}
        }
        self.file.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Batch {
        Batch { lines: text.into(), count: 1, path: None }
    }

    #[test]
    fn a_log_that_takes_nothing_gives_the_lines_back() {
        let (batches, _kept) = bounded(1);
        let (_spares, spares) = bounded(1);
        let outlet = Outlet { batches, spares, is_fixed: true, form: None, zone: TimeZone::UTC };
        assert!(outlet.send(batch("a\n")).is_ok());
        assert_eq!(outlet.send(batch("b\n")).err().map(|batch| batch.lines), Some(b"b\n".to_vec()));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "no core is held up by a test")]
    fn a_file_that_was_moved_away_is_made_anew_on_demand_and_the_end_waits_for_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("moved"));
        let target = AccessLogTarget::File(path.clone());
        let log = AccessLog::start(&target, AccessLogForm::ConfigMap).unwrap().unwrap();
        let outlet = log.outlet();
        assert!(outlet.send(batch("one\n")).is_ok());
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
        let begun = std::time::Instant::now();
        while read(&path) != "one\n" {
            assert!(begun.elapsed() < Duration::from_secs(10), "{path:?} is not written");
            std::thread::yield_now();
        }
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        while !path.exists() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{path:?} is not made anew");
            let _ = outlet.send(batch("two\n"));
            std::thread::yield_now();
        }
        // Those before it may fill the queue.
        while outlet.send(batch("three\n")).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody takes the last line");
            std::thread::yield_now();
        }
        drop(log);
        assert!(read(&moved).starts_with("one\n"));
        assert!(read(&path).ends_with("three\n"));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (spares, _kept) = bounded(1);
        let mut writer = Writer { fixed: Some("/nowhere/at/all".into()), files: Vec::new(), spares };
        let before = lines_lost();
        writer.write(batch("x\n"));
        writer.write(batch("y\n"));
        assert_eq!(lines_lost() - before, 2);
    }
}
