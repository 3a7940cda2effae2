//! SIGHUP: the `--config` file and the files of certificates, read anew. What can change while the process serves takes
//! effect, the rest is named; a file with a fault changes nothing.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Process;
use crate::cli::{self, CliError, Command, RunSettings, Said, Shutdown, Surroundings};

/// The keys that take effect while the process serves.
const AT_RUN_TIME: [&str; 5] =
    ["certificates", "drain-timeout", "post-shutdown-grace-period", "shutdown-grace-period", "upgrade-timeout"];

/// Files that were read anew, and those that were refused.
static READ: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Configurations read anew since the start, by outcome.
pub(crate) fn rereads() -> [(&'static str, u64); 2] {
    [("read", &READ), ("refused", &REFUSED)].map(|(result, count)| (result, count.load(Ordering::Relaxed)))
}

/// What the process was told, as far as it may change.
pub struct Configuration {
    said: RefCell<Said>,
    shutdown: Cell<Shutdown>,
    upgrade_timeout: Cell<Duration>,
}

impl Configuration {
    /// That of the start.
    pub fn of(settings: &RunSettings) -> Self {
        Self {
            said: RefCell::new(settings.said.clone()),
            shutdown: Cell::new(settings.shutdown),
            upgrade_timeout: Cell::new(settings.upgrade.timeout),
        }
    }

    pub(super) fn shutdown(&self) -> Shutdown {
        self.shutdown.get()
    }

    pub(super) fn upgrade_timeout(&self) -> Duration {
        self.upgrade_timeout.get()
    }

    /// Reads all of it anew.
    pub(super) fn reread(&self, process: &impl Process) {
        match read() {
            Ok(settings) => {
                READ.fetch_add(1, Ordering::Relaxed);
                self.apply(&settings, process);
            }
            Err(error) => {
                REFUSED.fetch_add(1, Ordering::Relaxed);
                let said = self.said.borrow();
                let file = said.file().map(|path| path.display().to_string()).unwrap_or_default();
                tracing::error!(file, %error, "SIGHUP: the configuration is refused, and nothing changes");
            }
        }
    }

    fn apply(&self, new: &RunSettings, process: &impl Process) {
        let mut said = self.said.borrow_mut();
        let changes = said.changes(&new.said);
        let (applied, left): (Vec<_>, Vec<_>) = changes.into_iter().partition(|key| AT_RUN_TIME.contains(key));
        if !process.reread(&new.options.certificates) {
            return tracing::error!("SIGHUP: the control thread is stuck, and nothing changes");
        }
        self.shutdown.set(new.shutdown);
        self.upgrade_timeout.set(new.upgrade.timeout);
        said.adopt(&applied, &new.said);
        tracing::info!(changed = applied.join(", "), "SIGHUP: the configuration and all certificates are read anew");
        if !left.is_empty() {
            let keys = left.join(", ");
            tracing::warn!(keys, "SIGHUP: what has changed here needs `ringress upgrade`");
        }
    }
}

fn read() -> Result<RunSettings, CliError> {
    // A demo is told everything on its command line.
    match cli::parse(std::env::args_os(), &Surroundings::of_process())? {
        Command::Run(settings) => Ok(*settings),
        Command::Demo(demo) => Ok(*demo.settings),
        _ => unreachable!("this process serves, so that is what its command line says"),
    }
}
