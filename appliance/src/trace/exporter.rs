//! The thread that takes spans to the collector: in batches, each within a time, with pauses between tries. When the
//! collector is away the queues fill, and the cores drop what has no room.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures_util::future::select;
use ringress_config::snapshot::{Snapshot, SpanExport};

use super::collector::{Collector, ExportError};
use super::message;
use super::queue::{Bell, SpanInlet};

/// One try, from the look-up of the collector's name to its answer (the default of OTLP exporters).
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one message: what receivers of gRPC take by default. A larger batch goes in several.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Tries of a message; then its spans are lost.
const TRIES_MAX: u32 = 5;
/// Pause after the first failed try; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// How often a try that takes long looks whether another collector is named.
const MOVED_POLL: Duration = Duration::from_millis(100);
/// How long the end of the process waits for what is left.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static EXPORTED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Spans that the collector has taken since the start.
pub(crate) fn spans_exported() -> u64 {
    EXPORTED.load(Relaxed)
}

/// Spans that it refused, or that could not be brought to it.
pub(crate) fn spans_failed() -> u64 {
    FAILED.load(Relaxed)
}

/// The running exporter; dropped at the end of the process, it exports what waits.
pub struct SpanExporter {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl SpanExporter {
    /// Starts the thread. It takes from `inlet` and looks up in `current` where to.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(inlet: SpanInlet, current: Arc<ArcSwapOption<Snapshot>>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let bell = Arc::clone(inlet.bell());
        let thread = std::thread::Builder::new().name("spans".into()).spawn(move || {
            let mut exporter = Exporter { inlet, current, collector: Collector::default(), is_away: false };
            runtime.block_on(async {
                let bell = Arc::clone(exporter.inlet.bell());
                // Whatever it is doing then: the end of the process does not wait for a collector that hangs.
                let patience = async {
                    poll_fn(|context| bell.poll_end(context)).await;
                    tokio::time::sleep(FLUSH_TIMEOUT).await;
                };
                select(pin!(exporter.run()), pin!(patience)).await;
            });
            // A look-up that hangs is left behind.
            runtime.shutdown_background();
        })?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for SpanExporter {
    fn drop(&mut self) {
        self.bell.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of spans had panicked");
        }
    }
}

struct Exporter {
    inlet: SpanInlet,
    current: Arc<ArcSwapOption<Snapshot>>,
    collector: Collector,
    /// The last batch was lost, and that was told.
    is_away: bool,
}

impl Exporter {
    async fn run(&mut self) {
        let bell = Arc::clone(self.inlet.bell());
        loop {
            {
                let inlet = &self.inlet;
                poll_fn(|context| bell.poll_sleep(context, || inlet.waiting() > 0)).await;
            }
            let Some(export) = self.export() else {
                // Tracing was switched off: nobody is there to take what is left.
                self.lose();
                if bell.is_ending() {
                    return;
                }
                continue;
            };
            self.gather(&bell, &export).await;
            self.export_waiting(&export).await;
            // What came during the last delivery is exported as well; the end waits for so long only.
            if bell.is_ending() && self.inlet.waiting() == 0 {
                return;
            }
        }
    }

    /// Where spans go now.
    fn export(&self) -> Option<Arc<SpanExport>> {
        Self::export_of(&self.current)
    }

    fn export_of(current: &ArcSwapOption<Snapshot>) -> Option<Arc<SpanExport>> {
        current.load().as_ref()?.settings.tracing.as_ref().map(|tracing| Arc::clone(&tracing.export))
    }

    /// Waits until there is a batch, or the first span has waited long enough.
    async fn gather(&self, bell: &Bell, export: &SpanExport) {
        let is_batch = || self.inlet.waiting() >= export.batch_max as usize;
        let full = poll_fn(|context| bell.poll_batch(context, is_batch));
        // Late is as good as full.
        let _ = tokio::time::timeout(export.delay, full).await;
    }

    /// Exports what waits now; what comes meanwhile has a turn of its own.
    async fn export_waiting(&mut self, export: &SpanExport) {
        let mut left = self.inlet.waiting();
        while left > 0 {
            let batch = self.inlet.take(left.min(export.batch_max as usize));
            if batch.is_empty() {
                return;
            }
            left -= batch.len();
            for (number, message) in message::encode(export, &batch, MESSAGE_BYTES_MAX) {
                self.deliver(export, number, message).await;
            }
        }
    }

    fn lose(&mut self) {
        FAILED.fetch_add(self.inlet.take(usize::MAX).len() as u64, Relaxed);
    }

    /// Returns when spans go elsewhere than there, or nowhere.
    async fn moved(current: &ArcSwapOption<Snapshot>, export: &SpanExport) {
        while Self::export_of(current).is_some_and(|now| *now == *export) {
            tokio::time::sleep(MOVED_POLL).await;
        }
    }

    /// One try: cut short when another collector is named, as this one may be named no longer because it hangs.
    async fn send(&mut self, export: &SpanExport, encoded: Bytes) -> Result<Bytes, ExportError> {
        let Self { collector, current, .. } = self;
        let sending = tokio::time::timeout(EXPORT_TIMEOUT, collector.send(export, encoded));
        tokio::select! {
            sent = sending => sent.unwrap_or(Err(ExportError::Timeout)),
            () = Self::moved(current, export) => Err(ExportError::Timeout),
        }
    }

    /// Brings a message with so many spans to the collector that is named when a try begins.
    async fn deliver(&mut self, export: &SpanExport, number: u64, encoded: Bytes) {
        let mut pause = PAUSE_MIN;
        for attempt in 1..=TRIES_MAX {
            let named = self.export();
            let export = named.as_deref().unwrap_or(export);
            let error = match self.send(export, encoded.clone()).await {
                Ok(answer) => {
                    let refused = message::refused(&answer).map_or(0, |(refused, why)| {
                        tracing::debug!(refused, why, "the collector refused spans");
                        refused.min(number)
                    });
                    EXPORTED.fetch_add(number - refused, Relaxed);
                    FAILED.fetch_add(refused, Relaxed);
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!(host = %export.host, port = export.port, "the collector takes spans again");
                    }
                    return;
                }
                Err(error) => error,
            };
            if attempt == TRIES_MAX || !error.may_pass() || self.inlet.bell().is_ending() {
                FAILED.fetch_add(number, Relaxed);
                if !std::mem::replace(&mut self.is_away, true) {
                    let SpanExport { host, port, .. } = export;
                    tracing::warn!(%host, port, %error, spans = number, "spans are lost: the collector does not take them");
                }
                return;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
