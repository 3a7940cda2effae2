//! What goes back to the API server: the Lease, the status of Ingresses, events. Traffic depends on none of it.
//!
//! One replica leads ([`election`]) and only that one writes, each request bounded by the end of its lead. Nothing is
//! written when nothing differs ([`book`]).

mod addresses;
mod api;
mod authority;
mod book;
mod election;
mod events;
mod hint;
mod leader;
mod notes;
mod status;
mod tickets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::compile::Tenure;
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, ObjectKey, ObjectRef};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) use api::{Api, Resource};
pub(crate) use book::Published;
pub(crate) use status::{Seen, published};

use crate::settings::{PodIdentity, StatusAddresses, StatusSettings, WriteSettings};
use crate::watch::kube::Link;
use addresses::{Address, Finder};
use leader::{Lead, LeaseSettings};
use notes::Notes;
use status::Writer;

/// How long the statuses may take to be emptied when the last replica ends.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what is being written is waited for at the end.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// The tasks that write. They run on the control thread.
pub(crate) struct Writing {
    lead: watch::Receiver<Lead>,
    statuses: status::Desk,
    events: events::Desk,
    /// Ends the status writer in order; `None` when none runs.
    status: Option<Status>,
    telling: JoinHandle<()>,
    /// The writers of Secrets.
    keepers: Vec<Keeper>,
    notes: Notes,
    leading: (oneshot::Sender<()>, JoinHandle<()>),
}

/// Who keeps one Secret.
struct Keeper {
    secret: ObjectKey,
    /// It looks at its Secret at once.
    look: Arc<Notify>,
    task: JoinHandle<()>,
}

struct Status {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Writing {
    /// Starts the tasks. To be called inside the runtime.
    pub(crate) fn start(link: Link, settings: WriteSettings) -> Self {
        let pod = settings.pod;
        let namespace =
            pod.as_ref().map_or_else(|| link.client().default_namespace().to_owned(), |pod| pod.namespace.clone());
        let me = format!("{}_{:016x}", pod.as_ref().map_or("ringress", |pod| &pod.name), fastrand::u64(..));
        let api = Api::new(link);
        let (lead_in, lead) = watch::channel(None);
        let lease = LeaseSettings { namespace, name: settings.lease, ttl: settings.ttl };
        let (end, ending) = oneshot::channel();
        let leading = tokio::spawn(leader::run(api.clone(), lease, me.clone(), lead_in, ending));
        let (statuses, events) = (status::Desk::default(), events::Desk::default());
        let telling = tokio::spawn(events::run(api.clone(), events.clone(), lead.clone(), me));
        let notes = Notes::default();
        let mut keepers = Vec::new();
        if let Some(secret) = settings.tickets {
            let look = Arc::new(Notify::new());
            let keeping = tickets::run(api.clone(), secret.clone(), lead.clone(), Arc::clone(&look), notes.clone());
            keepers.push(Keeper { secret, look, task: tokio::spawn(keeping) });
        }
        if let Some(webhook) = settings.webhook {
            let (secret, look) = (webhook.secret.clone(), Arc::new(Notify::new()));
            let keeping = authority::run(api.clone(), webhook, lead.clone(), Arc::clone(&look), notes.clone());
            keepers.push(Keeper { secret, look, task: tokio::spawn(keeping) });
        }
        let status = settings.status.map(|settings| {
            let (end, ending) = oneshot::channel();
            let task = tokio::spawn(keep_status(api, settings, pod, statuses.clone(), lead.clone(), ending));
            Status { end, task }
        });
        Self { lead, statuses, events, status, telling, keepers, notes, leading: (end, leading) }
    }

    /// Whether this process leads.
    pub(crate) fn leads(&self) -> bool {
        self.lead.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Statuses that were seen at the source.
    pub(crate) fn seen(&self, seen: Seen) {
        if !seen.is_empty() && self.status.is_some() {
            self.statuses.tell(|book| seen.into_iter().for_each(|(key, published)| book.note(key, published)));
        }
    }

    /// Ingresses that have begun or ceased to be served.
    pub(crate) fn served(&self, served: &[(ObjectKey, Tenure)]) {
        if !served.is_empty() && self.status.is_some() {
            self.statuses.tell(|book| served.iter().for_each(|(key, tenure)| book.serve(key, *tenure)));
        }
    }

    /// An object has changed at the source, or is gone.
    pub(crate) fn changed(&self, object: &ObjectRef) {
        if object.kind == Kind::Secret {
            self.keepers
                .iter()
                .filter(|keeper| keeper.secret == object.key)
                .for_each(|keeper| keeper.look.notify_one());
        }
    }

    /// What cannot be written, if that has changed since the last call.
    pub(crate) fn take_notes(&self) -> Option<Vec<Finding>> {
        self.notes.take()
    }

    /// All findings as they are now.
    pub(crate) fn findings(&self, findings: &Arc<[Finding]>) {
        self.events.findings(findings);
    }

    /// Ends in order: nothing is written any more, then the statuses are emptied if that is wanted, then the lead is
    /// given back.
    pub(crate) async fn finish(self) {
        self.telling.abort();
        self.keepers.iter().for_each(|keeper| keeper.task.abort());
        if let Some(Status { end, mut task }) = self.status {
            // Either may have ended by itself.
            let _ended = end.send(());
            if tokio::time::timeout(CLEAR_TIMEOUT + END_TIMEOUT, &mut task).await.is_err() {
                task.abort();
            }
        }
        give_back(self.leading).await;
    }

    /// Ends because another process says from now on what there is to say: nothing is emptied, the lead is given back.
    pub(crate) async fn resign(self) {
        self.telling.abort();
        self.keepers.iter().for_each(|keeper| keeper.task.abort());
        if let Some(status) = &self.status {
            status.task.abort();
        }
        give_back(self.leading).await;
    }
}

async fn give_back((end, mut leading): (oneshot::Sender<()>, JoinHandle<()>)) {
    // It may have ended by itself.
    let _ended = end.send(());
    if tokio::time::timeout(END_TIMEOUT, &mut leading).await.is_err() {
        leading.abort();
    }
}

/// Keeps the statuses right until `ending`, then empties them if nobody else is there to do so.
async fn keep_status(
    api: Api,
    settings: StatusSettings,
    pod: Option<PodIdentity>,
    desk: status::Desk,
    lead: watch::Receiver<Lead>,
    ending: oneshot::Receiver<()>,
) {
    let (found_in, found) = watch::channel(None::<Arc<[Address]>>);
    let finder = Finder::new(api.clone(), settings.clone(), pod.clone());
    let finding = tokio::spawn(finder.run(lead.clone(), found_in));
    let mut writer = Writer::new(api.clone(), desk, lead.clone());
    tokio::select! {
        () = writer.run(found.clone()) => {}
        _ = ending => {}
    }
    finding.abort();
    let is_one = found.borrow().as_ref().is_some_and(|addresses| addresses.len() <= 1);
    if settings.clear_at_end && is_one {
        let limit = Instant::now() + CLEAR_TIMEOUT;
        let mut finder = Finder::new(api, settings, pod);
        let is_last = tokio::time::timeout_at(limit.into(), finder.is_last());
        if is_last.await.unwrap_or(false) {
            writer.clear(limit).await;
        }
    }
}
