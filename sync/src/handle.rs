//! The control thread seen from other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ringress_config::options::FileCertificate;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::reading::Question;
use crate::webhook::Offered;
use crate::{SyncError, SyncStatus};

/// The longest that [`SyncHandle::sync`] waits.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest that [`SyncHandle::save`] waits.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls that may wait for the control thread at the same time; more wait for their place.
const COMMANDS_MAX: usize = 64;

/// How long [`SyncHandle::stop`] waits for the thread to say its farewells to the API server.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What other threads ask of the control thread.
pub(crate) enum Command {
    /// Answer with the generation that has everything visible at the source, once every worker serves it.
    Sync(oneshot::Sender<u64>),
    /// Answer what would become of an Ingress; nothing before the source has been read completely.
    Review(Question),
    /// Read files again, with these certificates on disk.
    Reread(Box<[FileCertificate]>),
    /// Write the state that is not written yet, then answer.
    Save(oneshot::Sender<()>),
    /// Write nothing any more, and let another process lead.
    Resign,
    /// End.
    Stop,
}

/// What the control thread shows to others.
pub(crate) struct Shared {
    pub(crate) status: ArcSwap<SyncStatus>,
    /// Milliseconds from `started` to the last sign of life.
    heartbeat: AtomicU64,
    started: Instant,
    /// Another process takes this one's place, whether or not [`Command::Resign`] got through.
    resigned: AtomicBool,
    /// What the webhook listens on.
    pub(crate) webhook: Arc<Offered>,
}

impl Shared {
    pub(crate) fn new(status: SyncStatus) -> Self {
        Self {
            status: ArcSwap::from_pointee(status),
            heartbeat: AtomicU64::new(0),
            started: Instant::now(),
            resigned: AtomicBool::new(false),
            webhook: Arc::default(),
        }
    }

    /// Whether [`SyncHandle::resign`] was called.
    pub(crate) fn resigned(&self) -> bool {
        self.resigned.load(Ordering::SeqCst)
    }

    /// A sign of life.
    pub(crate) fn beat(&self) {
        self.heartbeat.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A handle to the control thread. Cheap to clone; the thread goes on when all handles are gone.
#[derive(Clone)]
pub struct SyncHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Sender<Command>,
    /// Closed when the thread has ended.
    ended: crossbeam_channel::Receiver<()>,
}

/// The thread's ends of what a handle holds.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<Command>,
    /// Dropped at the end of the thread.
    pub(crate) ended: crossbeam_channel::Sender<()>,
}

impl SyncHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, Ends) {
        let (commands, commands_end) = mpsc::channel(COMMANDS_MAX);
        let (ended_end, ended) = crossbeam_channel::bounded(0);
        (Self { shared, commands, ended }, Ends { commands: commands_end, ended: ended_end })
    }

    /// The newest status. Never waits.
    pub fn status(&self) -> Arc<SyncStatus> {
        self.shared.status.load_full()
    }

    /// Waits until everything that is visible at the source now is served by every worker; answers the generation.
    /// For a folder that is its content, for an API server the events received so far.
    ///
    /// Bounded by 30 s. May be called from any Tokio runtime with a timer.
    pub async fn sync(&self) -> Result<u64, SyncError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.commands.send(Command::Sync(reply)).await.map_err(|_| SyncError::Ended)?;
            answer.await.map_err(|_| SyncError::Ended)
        };
        match tokio::time::timeout(SYNC_TIMEOUT, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(SyncError::Timeout { waited: SYNC_TIMEOUT, waiting_for: self.status().missing() }),
        }
    }

    /// Time since the thread's last sign of life, which comes at least every 250 ms.
    pub fn heartbeat_age(&self) -> Duration {
        let last = Duration::from_millis(self.shared.heartbeat.load(Ordering::Relaxed));
        self.shared.started.elapsed().saturating_sub(last)
    }

    /// Writes the last known good objects that are not written yet, for a successor that reads them. Bounded by 5 s:
    /// then the successor finds those of before.
    ///
    /// May be called from any Tokio runtime with a timer.
    pub async fn save(&self) {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            if self.commands.send(Command::Save(reply)).await.is_ok() {
                // An end without an answer is the thread's, which has written at its end.
                let _ended = answer.await;
            }
        };
        if tokio::time::timeout(SAVE_TIMEOUT, asked).await.is_err() {
            warn!("the last known good objects were not saved within {} s", SAVE_TIMEOUT.as_secs());
        }
    }

    /// Another process takes this one's place: nothing is written any more, nothing is unsaid, and the lead is given
    /// back, so that the other has it at its next look. Watching and publishing go on. Never waits.
    pub fn resign(&self) {
        self.shared.resigned.store(true, Ordering::SeqCst);
        // A full channel means that the thread is stuck; then it resigns at its end, or the lead runs out by itself.
        let _full = self.commands.try_send(Command::Resign);
    }

    /// Certificates on disk are these from now on, and every file of a certificate is read at once. Never waits; says whether
    /// the thread will do so.
    pub fn reread(&self, certificates: &[FileCertificate]) -> bool {
        // A full channel means that the thread is stuck.
        self.commands.try_send(Command::Reread(certificates.into())).is_ok()
    }

    /// The socket that the webhook listens on, for a successor; none while there is none.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn webhook_socket(&self) -> std::io::Result<Option<std::net::TcpListener>> {
        self.shared.webhook.load().as_ref().map(|listener| listener.try_clone()).transpose()
    }

    /// Ends the thread and waits for it, for 20 s at most. Workers go on with what they have.
    pub fn stop(&self) {
        // A full channel means that the thread is stuck; then there is nothing to wait for.
        if self.commands.try_send(Command::Stop).is_ok() {
            // Nothing is ever sent: this returns when the thread drops its end.
            let _ended = self.ended.recv_timeout(STOP_TIMEOUT);
        }
    }
}

impl SyncStatus {
    /// What a complete, adopted snapshot still waits for, in words.
    fn missing(&self) -> String {
        if self.generation == 0 {
            return format!("the source {} has not been read completely yet", self.source);
        }
        let late: Vec<String> = (self.adopted.iter().enumerate())
            .filter(|&(_, &adopted)| adopted < self.generation)
            .map(|(worker, _)| worker.to_string())
            .collect();
        if late.is_empty() {
            return "the control thread is busy".to_owned();
        }
        format!("generation {} is not adopted by worker {}", self.generation, late.join(", "))
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testkit::api_server::ApiServer;
    use crate::testkit::fixtures::{ingress, ingress_class, service};
    use crate::testkit::rig::Rig;
    use crate::testkit::workers::eventually;
    use crate::{PodIdentity, SourceSettings, StatusAddresses, StatusSettings, WriteSettings};

    #[test]
    fn a_resignation_whose_command_found_no_place_counts_at_the_end() {
        let server = ApiServer::start();
        server.put_all([ingress_class(), service("n", "web"), ingress("n", "a", "a.test")]);
        // The only one, so that its end would empty the status.
        server.put(json!({"kind": "Pod", "metadata": {"namespace": "ingress", "name": "p", "labels": {"app": "r"}},
            "status": {"phase": "Running"}}));
        let mut settings = Rig::server_settings(&server);
        let addresses = StatusAddresses::Fixed(vec!["1.1.1.1".to_owned()]);
        if let SourceSettings::Kube(kube) = &mut settings.source {
            kube.write = Some(Box::new(WriteSettings {
                pod: Some(PodIdentity { namespace: "ingress".to_owned(), name: "p".to_owned() }),
                lease: "lease".to_owned(),
                ttl: Duration::from_secs(12),
                status: Some(StatusSettings { addresses, interval: Duration::from_secs(60), clear_at_end: true }),
                webhook: None,
                tickets: None,
            }));
        }
        let rig = Rig::start(settings).expect("the settings are right").ready();
        let status = || server.get("Ingress", "n", "a").expect("it is there")["status"]["loadBalancer"].clone();
        eventually("the status is written", || status()["ingress"][0]["ip"] == "1.1.1.1");
        rig.handle.shared.resigned.store(true, Ordering::SeqCst);
        drop(rig);
        assert_eq!(status()["ingress"][0]["ip"], "1.1.1.1");
        let lease = server.get("Lease", "ingress", "lease").expect("it was held");
        assert_eq!(lease["spec"]["holderIdentity"].as_str().unwrap_or_default(), "", "the lead is given back");
    }
}
