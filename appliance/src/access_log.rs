//! The access log: a line for each request and each TCP or UDP session, written by its core into a buffer of its own and handed over in batches to
//! a thread that writes them out. No core ever waits for that thread: what it cannot take is dropped and counted.

mod line;
mod noted;
mod outlet;
mod session;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringress_config::snapshot::{AccessLogSettings, LogShare, StreamLogSettings};

use crate::io;
use crate::worker::Core;
use line::Clock;
pub(crate) use line::{Entry, Trail, msec, time_iso8601};
pub(crate) use noted::Noted;
use outlet::Batch;
pub(crate) use outlet::lines_lost;
pub use outlet::{AccessLog, Outlet};
pub(crate) use session::Session;

/// Bytes of lines after which a core hands its buffer over.
const BATCH_BYTES: usize = 32 << 10;
/// Longest that a line waits in its core.
const BATCH_DELAY: Duration = Duration::from_millis(50);

/// One core's part of the log.
pub(crate) struct CoreLog {
    /// `None` when the log is off whatever the settings say.
    outlet: Option<Outlet>,
    pending: RefCell<Pending>,
    /// A task will hand over what is pending.
    is_scheduled: Cell<bool>,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    count: u64,
    /// Where they belong.
    path: Option<Arc<str>>,
    clock: Clock,
    /// The value at hand.
    value: Vec<u8>,
}

impl CoreLog {
    pub(crate) fn new(outlet: Option<Outlet>) -> Self {
        std::sync::LazyLock::force(&line::ZONE);
        Self { outlet, pending: RefCell::default(), is_scheduled: Cell::new(false) }
    }

    /// Whether requests get a line under these settings.
    #[inline]
    pub(crate) fn is_on(&self, settings: &AccessLogSettings) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.is_fixed() || settings.enabled)
    }

    /// Whether TCP and UDP sessions get a line under these settings.
    pub(crate) fn is_on_for_streams(&self, settings: &StreamLogSettings) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.is_fixed() || settings.enabled)
    }

    /// Writes the line of a request, if it is to have one. `own` is what its route says of how many have.
    pub(crate) fn write(
        &self,
        core: &Rc<Core>,
        settings: &AccessLogSettings,
        own: Option<LogShare>,
        entry: &Entry<'_>,
    ) {
        let Some(outlet) = self.outlet.as_ref().filter(|_| !is_skipped(settings, entry)) else { return };
        let share = own.unwrap_or(settings.share);
        if entry.status < 500 && !share.takes(|below| core.random.borrow_mut().u32(..below)) {
            return core.metrics.access_log_sampled_out.increment();
        }
        self.append(core, outlet, &settings.path, |pending| {
            let format = outlet.format().unwrap_or(&settings.format);
            line::write(&mut pending.lines, &mut pending.value, format, &pending.clock, entry);
        });
    }

    /// Writes the line of a TCP or UDP session.
    pub(crate) fn write_session(&self, core: &Rc<Core>, settings: &StreamLogSettings, ended: &Session<'_>) {
        let Some(outlet) = &self.outlet else { return };
        self.append(core, outlet, &settings.path, |pending| {
            let format = outlet.stream_format().unwrap_or(&settings.format);
            session::write(&mut pending.lines, &mut pending.value, format, &pending.clock, ended);
        });
    }

    /// Appends a line, which belongs to `path` unless a flag names the file.
    fn append(&self, core: &Rc<Core>, outlet: &Outlet, path: &Option<Arc<str>>, line: impl FnOnce(&mut Pending)) {
        let path = if outlet.is_fixed() { &None } else { path };
        if self.pending.borrow().path != *path {
            self.hand_over(core);
            self.pending.borrow_mut().path.clone_from(path);
        }
        let is_full = {
            let pending = &mut *self.pending.borrow_mut();
            pending.clock.advance(outlet.zone());
            line(pending);
            pending.count += 1;
            pending.lines.len() >= BATCH_BYTES
        };
        if is_full {
            self.hand_over(core);
        } else if !self.is_scheduled.replace(true) {
            let core = Rc::clone(core);
            io::spawn(async move {
                io::sleep(BATCH_DELAY).await;
                core.access_log.is_scheduled.set(false);
                core.access_log.hand_over(&core);
            });
        }
    }

    /// Gives what is pending to the thread that writes it.
    pub(crate) fn hand_over(&self, core: &Core) {
        let Some(outlet) = &self.outlet else { return };
        let mut pending = self.pending.borrow_mut();
        let count = std::mem::take(&mut pending.count);
        if count == 0 {
            return;
        }
        let lines = std::mem::take(&mut pending.lines);
        match outlet.send(Batch { lines, count, path: pending.path.clone() }) {
            Ok(spare) => pending.lines = spare,
            Err(mut refused) => {
                core.metrics.access_log_dropped.add(count);
                refused.lines.clear();
                pending.lines = refused.lines;
            }
        }
    }
}

fn is_skipped(settings: &AccessLogSettings, entry: &Entry<'_>) -> bool {
    let Some(request) = entry.request.ok().filter(|_| !settings.skipped.is_empty()) else { return false };
    let target = request.head.path_and_query(request.bytes);
    settings.skipped.iter().any(|skipped| skipped.as_bytes().eq_ignore_ascii_case(target))
}
