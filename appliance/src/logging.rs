//! The process' own log: one line an event on stderr, text on a terminal, else JSON.
//!
//! Lines are written by a thread of their own, as a terminal or pipe that is not read from must not stop a worker. When
//! that thread is behind, lines are dropped and counted.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use ringress_config::snapshot::OwnLogLevel;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, reload};

use crate::cli::{LogFormat, LogLevel, LogSettings};

/// Lines that may wait.
const LINES_MAX: usize = 4096;

/// How long the end of the process waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static LINES_DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines dropped since the start.
pub fn lines_dropped() -> u64 {
    LINES_DROPPED.load(Relaxed)
}

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No thread for it.
    #[error("the log cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// It was set up before.
    #[error("the log was set up already")]
    Twice,
}

/// Writes what is left when it is dropped.
pub struct LogGuard {
    lines: Sender<Line>,
    /// Changes its level.
    pub follower: Follower,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (written, all_written) = crossbeam_channel::bounded(1);
        if self.lines.send_timeout(Line::Flush(written), FLUSH_TIMEOUT).is_ok() {
            // A log that nobody reads is given up.
            let _ = all_written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Sets the log up for the whole process.
pub fn start(settings: LogSettings) -> Result<LogGuard, LogError> {
    let terminal = std::io::stderr().is_terminal();
    let (lines, waiting) = crossbeam_channel::bounded(LINES_MAX);
    std::thread::Builder::new().name("log".into()).spawn(move || write_lines(&waiting, std::io::stderr()))?;
    let most = level(settings.level);
    let (filter, handle) = reload::Layer::new(targets(most));
    let told = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(LineWriter { lines: lines.clone() })
        .with_target(false)
        .with_ansi(terminal && settings.format != LogFormat::Json);
    let text = match settings.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let result = if text {
        tracing::subscriber::set_global_default(told.with(layer))
    } else {
        tracing::subscriber::set_global_default(told.with(layer.json().flatten_event(true)))
    };
    result.map_err(|_| LogError::Twice)?;
    let filter = (!settings.fixed).then_some(handle);
    Ok(LogGuard { lines, follower: Follower { filter, said: Arc::new(AtomicU8::new(settings.level as u8)) } })
}

/// Lets the level of the log follow what the ConfigMap says, unless a flag has fixed it.
#[derive(Clone)]
pub struct Follower {
    filter: Option<reload::Handle<Targets, Registry>>,
    /// The level that acts.
    said: Arc<AtomicU8>,
}

impl Follower {
    /// The level is this from now on.
    pub fn follow(&self, wanted: OwnLogLevel) {
        let wanted = match wanted {
            OwnLogLevel::Error => LogLevel::Error,
            OwnLogLevel::Warn => LogLevel::Warn,
            OwnLogLevel::Info => LogLevel::Info,
            OwnLogLevel::Debug => LogLevel::Debug,
        };
        let Some(filter) = &self.filter else { return };
        if self.said.swap(wanted as u8, Relaxed) != wanted as u8 && filter.reload(targets(level(wanted))).is_ok() {
            tracing::info!(level = ?wanted, "the level of this log has changed");
        }
    }
}

/// What a peer does wrong on HTTP/2 is worth a line only to who looks for it: by warnings of the library, which comes with
/// every reset of a flood, strangers would fill the log.
fn targets(most: LevelFilter) -> Targets {
    let library = if most <= LevelFilter::INFO { LevelFilter::ERROR } else { most };
    // Every failed request of an outage is a line of kube's; ours says once what is wrong.
    let kube = if most <= LevelFilter::INFO { LevelFilter::OFF } else { most };
    Targets::new().with_default(most).with_target("h2", library).with_target("kube_client", kube)
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

enum Line {
    Text(Vec<u8>),
    Flush(Sender<()>),
}

fn write_lines(lines: &Receiver<Line>, mut out: impl Write) {
    for line in lines {
        match line {
            // Where should a failure of the log be logged?
            Line::Text(text) => drop(out.write_all(&text)),
            Line::Flush(written) => {
                drop(out.flush());
                let _ = written.try_send(());
            }
        }
    }
}

/// Gathers the parts of one event and passes it on as one line.
#[derive(Clone)]
struct LineWriter {
    lines: Sender<Line>,
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = OneLine<'a>;

    fn make_writer(&'a self) -> OneLine<'a> {
        OneLine { lines: &self.lines, text: Vec::new() }
    }
}

struct OneLine<'a> {
    lines: &'a Sender<Line>,
    text: Vec<u8>,
}

impl Write for OneLine<'_> {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for OneLine<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() && self.lines.try_send(Line::Text(std::mem::take(&mut self.text))).is_err() {
            LINES_DROPPED.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_even_when_it_is_written_in_parts() {
        let (lines, waiting) = crossbeam_channel::bounded(2);
        let maker = LineWriter { lines };
        write!(maker.make_writer(), "a{}b", 1).unwrap();
        drop(maker);
        let mut out = Vec::new();
        write_lines(&waiting, &mut out);
        assert_eq!(out, b"a1b");
    }

    #[test]
    fn what_kube_says_of_every_failed_request_is_for_who_looks_for_it() {
        let is_told = |most| targets(most).would_enable("kube_client::client::builder", &tracing::Level::ERROR);
        assert!(!is_told(LevelFilter::INFO) && is_told(LevelFilter::DEBUG));
        assert!(targets(LevelFilter::INFO).would_enable("ringress_sync::watch", &tracing::Level::WARN));
    }

    #[test]
    fn a_log_that_is_not_read_from_drops_lines_and_counts_them() {
        let (lines, _waiting) = crossbeam_channel::bounded(1);
        let maker = LineWriter { lines };
        let before = lines_dropped();
        for _ in 0..3 {
            maker.make_writer().write_all(b"x\n").unwrap();
        }
        assert_eq!(lines_dropped() - before, 2);
    }

    #[test]
    fn the_guard_waits_until_what_came_before_is_written() {
        let (lines, waiting) = crossbeam_channel::bounded(8);
        let writer = std::thread::spawn(move || {
            let mut out = Vec::new();
            write_lines(&waiting, &mut out);
            out
        });
        LineWriter { lines: lines.clone() }.make_writer().write_all(b"last\n").unwrap();
        drop(LogGuard { lines, follower: Follower { filter: None, said: Arc::default() } });
        assert_eq!(writer.join().unwrap(), b"last\n");
    }
}
