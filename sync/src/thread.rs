//! The control thread: gather → settle → compile → publish, one after the other, nothing in parallel.

mod open;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use open::Opened;
use ringress_config::compile::Compiler;
use ringress_config::diagnostics::{Finding, Severity};
use ringress_config::model::{Kind, Object, ObjectRef};
use ringress_config::options::FileCertificate;
use ringress_config::snapshot::Snapshot;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::handle::{Command, Ends, Shared};
use crate::names::{Addresses, Names};
use crate::pace::Pace;
use crate::publish::Publishing;
use crate::reading::{Question, Reading};
use crate::state::{Good, Saver};
use crate::status::{Changed, Propagation};
use crate::watch::disk::Disk;
use crate::watch::{Change, Source};
use crate::webhook::Webhook;
use crate::write::Writing;
use crate::{
    Publisher, ResolverSettings, SourceSettings, SyncError, SyncHandle, SyncSettings, SyncStatus, default_certificate,
};

/// Name of the thread as tools show it.
const THREAD_NAME: &str = "ringress-sync";

/// A sign of life at least this often; also how soon a snapshot that came back is freed.
const TICK: Duration = Duration::from_millis(250);

/// While a worker has not acknowledged, its channel is looked at this often: at first…
const ACK_POLL: Duration = Duration::from_millis(1);

/// …and after [`ACK_SOON`] this often, so that a stuck worker costs no CPU.
const ACK_POLL_LATE: Duration = Duration::from_millis(20);

/// How soon a live worker acknowledges.
const ACK_SOON: Duration = Duration::from_millis(200);

/// Findings written to the log per build; all are in the status.
const FINDINGS_LOGGED_MAX: usize = 50;

/// Starts the control thread. Returns at once; the first snapshot comes when the source has been read completely.
///
/// # Errors
/// When the source can never work with these settings, or the operating system refuses the thread.
pub fn spawn(settings: SyncSettings, publisher: Publisher) -> Result<SyncHandle, SyncError> {
    let name = match &settings.source {
        SourceSettings::Dir(path) => format!("dir:{}", path.display()),
        SourceSettings::Kube(_) => "kube".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SyncError::Thread)?;
    let Opened { source, disk, saver, held, writing } = runtime.block_on(open::open(&settings))?;
    let compiler = Compiler::new(settings.options.clone(), default_certificate::make()?);
    let publishing = Publishing::new(publisher);
    let adopted = publishing.adopted().to_vec();
    let shared = Arc::new(Shared::new(SyncStatus { source: name, adopted, ..SyncStatus::default() }));
    let (handle, ends) = SyncHandle::new(Arc::clone(&shared));
    let mut control = Control::new(source, saver, compiler, publishing, shared);
    (control.held, control.writing) = (held, writing);
    control.disk = disk;
    control.names = Names::new(settings.resolver.clone());
    if let Some(webhook) = &settings.webhook {
        let offered = Arc::clone(&control.shared.webhook);
        control.webhook = Some(Webhook::start(webhook, handle.commands.clone(), offered)?);
    }
    std::thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .spawn(move || runtime.block_on(control.run(ends)))
        .map_err(SyncError::Thread)?;
    Ok(handle)
}

/// Everything that the thread owns.
struct Control {
    source: Source,
    disk: Disk,
    names: Names,
    saver: Option<Saver>,
    /// To be handed to the compiler before its first build.
    held: Vec<Object>,
    writing: Option<Writing>,
    /// The lead being given back before the end.
    resigning: Option<JoinHandle<()>>,
    /// Ends with the thread.
    webhook: Option<Webhook>,
    /// For the webhook.
    reading: Reading,
    /// The first snapshot waits for names.
    held_up: bool,
    /// Since the last build.
    changed: Changed,
    compiler: Compiler,
    publishing: Publishing,
    shared: Arc<Shared>,
    pace: Pace,
    published_at: Instant,
    waiting: Vec<Waiting>,
    source_findings: Arc<[Finding]>,
    disk_findings: Arc<[Finding]>,
    compile_findings: Arc<[Finding]>,
    /// What cannot be written.
    notes: Vec<Finding>,
    status: SyncStatus,
}

/// A call of `POST /api/sync`.
struct Waiting {
    /// The generation to wait for; `None` while the source has not been read completely.
    generation: Option<u64>,
    reply: oneshot::Sender<u64>,
}

/// Why the thread has woken up.
enum Woken {
    Command(Option<Command>),
    Source,
    /// What a name outside of the cluster has; nothing when the first snapshot has waited long enough for one.
    Name(Option<(Arc<str>, Addresses)>),
    /// What the webhook is asked, and what was read for it.
    Read(Question, Vec<Object>),
    Due,
    Tick,
}

impl Control {
    fn new(
        source: Source,
        saver: Option<Saver>,
        compiler: Compiler,
        publishing: Publishing,
        shared: Arc<Shared>,
    ) -> Self {
        let status = SyncStatus::clone(&shared.status.load());
        Self {
            source,
            disk: Disk::new(&[]),
            names: Names::new(ResolverSettings::default()),
            saver,
            held: Vec::new(),
            writing: None,
            resigning: None,
            webhook: None,
            reading: Reading::default(),
            held_up: false,
            changed: Changed::default(),
            compiler,
            publishing,
            shared,
            pace: Pace::default(),
            published_at: Instant::now(),
            waiting: Vec::new(),
            source_findings: Arc::default(),
            disk_findings: Arc::default(),
            compile_findings: Arc::default(),
            notes: Vec::new(),
            status,
        }
    }

    async fn run(mut self, ends: Ends) {
        let Ends { mut commands, ended } = ends;
        loop {
            self.shared.beat();
            match self.next(&mut commands).await {
                Woken::Command(Some(Command::Sync(reply))) => self.sync(reply).await,
                Woken::Command(Some(Command::Review(question))) => self.review(question),
                Woken::Read(question, objects) => self.answer(question, &objects),
                Woken::Command(Some(Command::Reread(certificates))) => self.reread(&certificates),
                Woken::Command(Some(Command::Save(reply))) => self.save(reply).await,
                Woken::Command(Some(Command::Resign)) => self.resign(),
                Woken::Command(Some(Command::Stop)) => break,
                // All handles are gone; nobody can ask for anything, but the workers still want snapshots.
                Woken::Command(None) => commands.close(),
                Woken::Source => self.take_in(),
                Woken::Name(found) => self.take_name(found),
                Woken::Due => {
                    // What came in while the thread rested goes into the same build.
                    self.take_in();
                    self.build();
                }
                Woken::Tick if self.disk.due() => self.take_in(),
                Woken::Tick => {}
            }
            self.collect();
            if self.writing.as_ref().map(Writing::leads) != self.status.leads {
                self.show();
            }
            if let Some(notes) = self.writing.as_ref().and_then(Writing::take_notes) {
                self.notes = notes;
                self.join_findings();
                self.show();
            }
            // What a change leads to is written with it, not ten seconds later once more: all objects are.
            if let Some(saver) = self.saver.as_mut().filter(|_| self.pace.due().is_none()) {
                saver.look(|| good(&self.source, &self.disk, &self.compiler)).await;
            }
        }
        if let Some(webhook) = self.webhook.take() {
            self.finish(webhook, &mut commands).await;
        }
        if self.shared.resigned() {
            // The command for it may have found no place.
            self.resign();
        }
        if let Some(writing) = self.writing.take() {
            writing.finish().await;
        }
        if let Some(resigning) = self.resigning.take() {
            // It has limits of its own.
            let _ended = resigning.await;
        }
        if let Some(mut saver) = self.saver.take() {
            saver.flush(|| good(&self.source, &self.disk, &self.compiler)).await;
        }
        // Closes every channel before `stop` returns.
        drop(self);
        drop(ended);
    }

    /// Answers the webhook, at once unless something has to be read for it.
    fn review(&mut self, question: Question) {
        if let Some(link) = self.source.link().filter(|_| self.publishing.generation() > 0 && self.reading.has_room()) {
            let unread = self.compiler.unread(&question.ingress);
            if !unread.is_empty() {
                return self.reading.start(link, unread, question);
            }
        }
        self.answer(question, &[]);
    }

    /// Answers with what is known and what was read for the question.
    fn answer(&mut self, Question { ingress, reply }: Question, read: &[Object]) {
        let started = Instant::now();
        let review = (self.publishing.generation() > 0).then(|| self.compiler.review(&ingress, read));
        if let Some(review) = &review {
            let reviews = &mut self.status.reviews;
            *(if review.refused.is_empty() { &mut reviews.accepted } else { &mut reviews.refused }) += 1;
            reviews.took = started.elapsed();
            self.show();
        }
        // Who asked may have given up.
        let _gone = reply.send(review);
    }

    /// Ends the webhook, and answers what it still asks.
    async fn finish(&mut self, webhook: Webhook, commands: &mut mpsc::Receiver<Command>) {
        let mut finishing = pin!(webhook.finish());
        loop {
            tokio::select! {
                () = &mut finishing => return,
                (question, objects) = self.reading.next() => self.answer(question, &objects),
                Some(command) = commands.recv() => {
                    if let Command::Review(question) = command {
                        self.review(question);
                    }
                }
            }
        }
    }

    /// Writes the state that a successor is to find.
    async fn save(&mut self, reply: oneshot::Sender<()>) {
        if self.pace.due().is_some() && self.source.complete() {
            // Whether what has just come is accepted is a part of it.
            self.build();
        }
        if let Some(saver) = &mut self.saver {
            saver.flush(|| good(&self.source, &self.disk, &self.compiler)).await;
        }
        // Who asked may have given up.
        let _gone = reply.send(());
    }

    /// The state folder is the other process's from now on, too.
    fn resign(&mut self) {
        self.saver = None;
        if let Some(writing) = self.writing.take() {
            self.notes.clear();
            self.join_findings();
            self.resigning = Some(tokio::spawn(writing.resign()));
        }
    }

    async fn next(&mut self, commands: &mut mpsc::Receiver<Command>) -> Woken {
        let due = self.pace.due().filter(|_| self.source.complete());
        let tick = self.tick();
        tokio::select! {
            biased;
            command = commands.recv(), if !commands.is_closed() => Woken::Command(command),
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => Woken::Due,
            () = self.source.changed() => Woken::Source,
            found = self.names.changed(self.held_up) => Woken::Name(found),
            (question, objects) = self.reading.next() => Woken::Read(question, objects),
            () = tokio::time::sleep(tick) => Woken::Tick,
        }
    }

    fn tick(&self) -> Duration {
        if !self.publishing.outstanding() {
            TICK
        } else if self.published_at.elapsed() < ACK_SOON {
            ACK_POLL
        } else {
            ACK_POLL_LATE
        }
    }

    fn take_in(&mut self) {
        let noticed = Instant::now();
        let mut changes = self.source.take();
        if self.disk.due() {
            changes.extend(self.disk.take());
        }
        self.apply(changes, noticed);
    }

    /// Takes in which certificates are on disk, and what their files hold now.
    fn reread(&mut self, named: &[FileCertificate]) {
        let noticed = Instant::now();
        self.webhook.iter().for_each(Webhook::reread);
        let mut changes = self.disk.set(named);
        self.compiler.set_certificates(named);
        changes.extend(self.disk.take());
        self.pace.note_change(noticed);
        self.apply(changes, noticed);
    }

    fn take_name(&mut self, found: Option<(Arc<str>, Addresses)>) {
        self.pace.note_change(Instant::now());
        if let Some((name, addresses)) = found {
            self.compiler.set_addresses(&name, addresses);
        }
    }

    /// Tells the compiler what has changed. The build follows when the pace allows it. Reading and parsing count to the
    /// change's way, so `noticed` is from before them.
    fn apply(&mut self, changes: Vec<Change>, noticed: Instant) {
        // The first snapshot is built even from nothing at all.
        let first = self.publishing.generation() == 0 && self.source.complete();
        let differs = first || !changes.is_empty();
        if differs {
            self.pace.note_change(noticed);
        }
        // The state has what was there before, which may be gone, and comes back with nothing.
        if let Some(saver) = self.saver.as_mut().filter(|_| differs && self.source.listed()) {
            saver.note_change();
            let is_kept = |object: &ObjectRef| matches!(object.kind, Kind::Ingress | Kind::Secret);
            if changes.iter().any(|change| matches!(change, Change::Remove(object) if is_kept(object))) {
                saver.note_removal();
            }
        }
        for change in changes {
            let reference = change.reference();
            if let Some(writing) = &self.writing {
                writing.changed(&reference);
            }
            self.changed.note(&reference);
            if self.webhook.as_ref().is_some_and(|webhook| webhook.take(&change)) {
                continue;
            }
            match change {
                Change::Upsert(object) => self.compiler.upsert(object),
                Change::Remove(reference) => self.compiler.remove(&reference),
            }
        }
        if let Some(writing) = &self.writing {
            writing.seen(self.source.take_seen());
        }
        let findings = self.source.findings();
        if !Arc::ptr_eq(&findings, &self.source_findings) {
            let known = std::mem::replace(&mut self.source_findings, findings);
            log_new(&known, &self.source_findings);
            self.join_findings();
        }
        let findings = self.disk.findings();
        if !Arc::ptr_eq(&findings, &self.disk_findings) {
            let known = std::mem::replace(&mut self.disk_findings, findings);
            log_new(&known, &self.disk_findings);
            self.join_findings();
        }
        self.show();
    }

    fn build(&mut self) {
        let started = Instant::now();
        self.compiler.restore(std::mem::take(&mut self.held));
        let compiled = self.compiler.compile();
        let ended = Instant::now();
        let noticed = self.pace.note_build(started, ended).unwrap_or(started);
        self.status.builds.busy += ended - started;
        self.status.objects = compiled.objects.iter().map(|(kind, &count)| (kind.as_str(), count)).collect();
        if !Arc::ptr_eq(&compiled.findings, &self.compile_findings) {
            let known = std::mem::replace(&mut self.compile_findings, compiled.findings);
            log_new(&known, &self.compile_findings);
            self.join_findings();
            // What is held back shows only now.
            if let Some(saver) = self.saver.as_mut().filter(|_| self.source.listed()) {
                saver.note_change();
            }
        }
        if let Some(writing) = &self.writing {
            writing.served(&compiled.served);
        }
        self.names.want(self.compiler.external_names());
        let first = self.publishing.generation() == 0;
        self.held_up = first && self.names.hold_up();
        if !self.held_up && (compiled.changed || first) {
            self.publish(&compiled.snapshot, noticed);
            info!(generation = compiled.snapshot.generation, took = ?(ended - started), "published");
        } else if !self.held_up {
            self.status.builds.unchanged += 1;
        }
        self.show();
        if self.source.settle(&self.compiler) {
            self.take_in();
        }
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, noticed: Instant) {
        self.status.changed = std::mem::take(&mut self.changed);
        self.publishing.publish(snapshot, noticed);
        self.published_at = Instant::now();
        self.status.last_change = Some(SystemTime::now());
        self.status.propagation = Propagation { published: self.published_at - noticed, adopted: None };
        self.status.builds.published += 1;
    }

    /// Takes in what the workers say and answers who waits for it.
    fn collect(&mut self) {
        let was_ready = self.status.ready;
        // Before this process counts as ready, whereupon the one that it replaces goes.
        if let Some(webhook) = self.webhook.as_mut().filter(|_| self.publishing.generation() > 0) {
            webhook.open();
        }
        if self.publishing.collect() {
            if let Some(took) = self.publishing.take_settled(Instant::now()) {
                self.status.propagation.adopted = Some(took);
            }
            self.show();
        }
        if self.status.ready && !was_ready {
            info!(generation = self.publishing.generation(), "every worker serves");
        }
        let newest = self.publishing.generation();
        for waiting in std::mem::take(&mut self.waiting) {
            let wanted = waiting.generation.or((newest > 0).then_some(newest));
            match wanted {
                // The caller may have given up.
                Some(wanted) if self.publishing.served(wanted) => drop(waiting.reply.send(wanted)),
                _ if waiting.reply.is_closed() => {}
                _ => self.waiting.push(Waiting { generation: wanted, ..waiting }),
            }
        }
    }

    async fn sync(&mut self, reply: oneshot::Sender<u64>) {
        let noticed = Instant::now();
        let mut changes = self.source.catch_up().await;
        changes.extend(self.disk.take());
        self.apply(changes, noticed);
        if self.source.complete() && self.pace.due().is_some() {
            self.build();
        }
        let newest = self.publishing.generation();
        self.waiting.push(Waiting { generation: (newest > 0).then_some(newest), reply });
    }

    fn join_findings(&mut self) {
        let read = self.source_findings.iter().chain(self.disk_findings.iter());
        let findings = read.chain(self.compile_findings.iter()).chain(&self.notes);
        self.status.rejected = findings.cloned().collect();
        if let Some(writing) = self.writing.as_ref().filter(|_| self.source.listed()) {
            writing.findings(&self.status.rejected);
        }
    }

    /// Shows the status to the other threads.
    fn show(&mut self) {
        let publishing = &self.publishing;
        self.status.last_known_good = self.source.serves_last_good();
        self.status.source_reachable = self.source.reachable();
        self.status.leads = self.writing.as_ref().map(Writing::leads);
        self.status.ready = publishing.ready();
        self.status.generation = publishing.generation();
        self.status.adopted.clear();
        self.status.adopted.extend_from_slice(publishing.adopted());
        self.shared.status.store(Arc::new(self.status.clone()));
    }
}

/// What is worth keeping for the next start.
fn good(source: &Source, disk: &Disk, compiler: &Compiler) -> Good {
    Good { certificates: disk.good().cloned().collect(), ..source.good(compiler) }
}

/// Writes the findings to the log that were not there before.
fn log_new(before: &[Finding], now: &[Finding]) {
    let before: HashSet<&Finding> = before.iter().collect();
    let new: Vec<&Finding> = now.iter().filter(|finding| !before.contains(finding)).collect();
    for finding in new.iter().take(FINDINGS_LOGGED_MAX) {
        let Finding { object, field, message, .. } = finding;
        match finding.severity {
            Severity::Error => error!(%object, field = &**field, "{message}"),
            Severity::Warning => warn!(%object, field = &**field, "{message}"),
            Severity::Info => info!(%object, field = &**field, "{message}"),
        }
    }
    if let Some(more) = new.len().checked_sub(FINDINGS_LOGGED_MAX).filter(|&more| more > 0) {
        warn!(more, "findings that are not written here; GET /api/status has all");
    }
}

#[cfg(test)]
mod hour;
