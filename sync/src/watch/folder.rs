//! A folder of manifests as source (`--source=dir:PATH`).
//!
//! The kernel tells which names have changed and only those are looked at; a complete look at all names (no file is
//! read whose times, size and inode are as before) follows whatever cannot be told from one name: a folder that comes
//! or goes, a swapped link, a lost message, a call of `POST /api/sync`. A complete look now and then is also what
//! serves file systems that tell nothing, so the kernel's messages only make things faster.
//!
//! Not being able to read is never taken for being empty: what is known stays, and the reason is reported.

mod claims;
mod files;
mod notices;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::Metadata;
use std::hash::RandomState;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use ringress_config::diagnostics::Finding;
use ringress_config::manifest;
use ringress_config::model::{Kind, Object, ObjectKey, ObjectRef};
use tracing::{debug, warn};

use crate::SyncError;
use crate::state::Filed;
use crate::watch::Change;
use claims::Claims;
use files::{Known, Stamp, Walk};
use notices::{Notices, Taken, name_starts_with};

/// The shortest time between two complete looks that nothing has asked for…
const SCAN_INTERVAL_MIN: Duration = Duration::from_secs(2);

/// …and how many times the duration of the last one it is at least, which bounds their cost to 0.5 % of a core.
const SCAN_REST_FACTOR: u32 = 200;

/// How long a call of `POST /api/sync` waits for a file that somebody is just writing.
const WRITER_PATIENCE: Duration = Duration::from_millis(25);

/// Start of the names by which a mounted ConfigMap is swapped (`..data`).
const SWAPPED_NAME: &str = "..";

/// The folder and what has been read from it.
pub(crate) struct Folder {
    root: PathBuf,
    notices: Arc<Notices>,
    /// `None` where the kernel offers none; complete looks remain.
    watcher: Option<RecommendedWatcher>,
    /// Folders with a watch, with device and inode.
    watched: HashMap<PathBuf, (u64, u64)>,
    files: BTreeMap<Arc<str>, Known>,
    /// Secrets that are not kept for the next start.
    private: BTreeSet<ObjectKey>,
    claims: Claims,
    /// Findings of files that were read, by file.
    read_findings: BTreeMap<Arc<str>, Vec<Finding>>,
    /// Files and folders that could not be read at the last attempt, by name.
    unreadable: BTreeMap<Arc<str>, Finding>,
    /// All findings; `None` after a change.
    findings: Option<Arc<[Finding]>>,
    hasher: RandomState,
    next_scan: Instant,
    /// Whether a complete look has ended.
    listed: bool,
    reachable: bool,
}

/// Whether files that may still be written to are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fresh {
    /// Later: a message or a later look comes back to them.
    Defer,
    /// Now.
    Read,
}

impl Folder {
    /// Opens the folder; its content comes with the first [`take`](Self::take).
    pub(crate) fn open(root: &Path) -> Result<Self, SyncError> {
        let failed = |cause| SyncError::Folder { path: root.to_owned(), cause };
        let absolute = std::path::absolute(root).map_err(failed)?;
        std::fs::read_dir(&absolute).map_err(failed)?;
        let notices = Arc::new(Notices::default());
        let noting = Arc::clone(&notices);
        let watcher = notify::recommended_watcher(move |message| noting.note(message, Instant::now()))
            .inspect_err(|cause| warn!(%cause, "the kernel offers no watch on files; changes are found by looking"))
            .ok();
        let mut folder = Self {
            root: absolute,
            notices,
            watcher,
            watched: HashMap::new(),
            files: BTreeMap::new(),
            private: BTreeSet::new(),
            claims: Claims::default(),
            read_findings: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            findings: None,
            hasher: RandomState::new(),
            next_scan: Instant::now(),
            listed: false,
            reachable: true,
        };
        folder.watch_link();
        Ok(folder)
    }

    /// Takes in what the files defined when this was last run, before the first look. That stays only of a file that
    /// cannot be read or does not parse, and of an object that is not of the right form, as if it had been read here.
    pub(crate) fn seed(&mut self, filed: &[Filed]) {
        let mut files: BTreeMap<&Arc<str>, Vec<Object>> = BTreeMap::new();
        for Filed { file, object, .. } in filed {
            files.entry(file).or_default().push(object.clone());
        }
        for (file, objects) in files {
            self.files.insert(Arc::clone(file), Known::before());
            // They are told with the first look, if they are still there then.
            self.claims.replace(file, objects, &mut Vec::new());
        }
    }

    /// Keeps a Secret out of [`kept`](Self::kept).
    pub(crate) fn keep_private(&mut self, key: &ObjectKey) {
        self.private.insert(key.clone());
    }

    /// Whether an object is on no other disk than that of the folder.
    pub(crate) fn is_private(&self, object: &Object) -> bool {
        matches!(object, Object::Secret(secret) if self.private.contains(&secret.meta.key))
    }

    /// What the files define and may be kept, the first of several that are of one object first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&Arc<str>, &Object)> {
        self.claims.all().into_iter().filter(|(_, object)| !self.is_private(object))
    }

    /// The folder, as the state names it.
    pub(crate) fn identity(&self) -> String {
        format!("dir:{}", self.root.display())
    }

    /// Waits until there is something to look at.
    pub(crate) async fn changed(&self) {
        tokio::select! {
            () = self.notices.due() => {}
            () = tokio::time::sleep_until(self.next_scan.into()) => {}
        }
    }

    /// Looks at what has changed.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        let now = Instant::now();
        let taken = self.notices.take(now);
        let mut changes = Vec::new();
        if now >= self.next_scan || self.needs_complete_look(&taken) {
            self.scan(&taken.writing, Fresh::Defer, &mut changes);
        } else {
            for path in &taken.changed {
                self.look_at(path, &mut changes);
            }
        }
        changes
    }

    /// Looks at everything, whether or not the kernel has told of it already.
    pub(crate) async fn catch_up(&mut self) -> Vec<Change> {
        self.notices.written(WRITER_PATIENCE).await;
        self.notices.take(Instant::now());
        let mut changes = Vec::new();
        self.scan(&HashSet::new(), Fresh::Read, &mut changes);
        changes
    }

    /// The folder has been looked at since [`open`](Self::open).
    pub(crate) fn listed(&self) -> bool {
        self.listed
    }

    /// Whether the root could be read at the last complete look.
    pub(crate) fn reachable(&self) -> bool {
        self.reachable
    }

    /// What is wrong with the files.
    pub(crate) fn findings(&mut self) -> Arc<[Finding]> {
        let Self { findings, unreadable, read_findings, claims, .. } = self;
        Arc::clone(findings.get_or_insert_with(|| {
            let read = read_findings.values().flatten().cloned();
            unreadable.values().cloned().chain(read).chain(claims.findings()).collect()
        }))
    }

    /// Whether more may have changed than the files that are named.
    fn needs_complete_look(&self, taken: &Taken) -> bool {
        taken.rescan
            || taken.changed.iter().any(|path| {
                name_starts_with(path, SWAPPED_NAME)
                    || self.watched.contains_key(path)
                    || (!files::is_hidden(path) && path.is_dir())
            })
    }

    /// Looks at one name.
    fn look_at(&mut self, path: &Path, changes: &mut Vec<Change>) {
        if files::is_hidden(path) || !files::is_manifest(path) {
            return;
        }
        let Some(name) = files::below(&self.root, path) else { return };
        let name: Arc<str> = name.into();
        match files::stamp(path) {
            Ok(stamp) => {
                if self.files.get(&name).is_none_or(|known| known.may_differ(&stamp)) {
                    self.read(&name, changes);
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => self.forget(&name, changes),
            Err(cause) => self.note_unreadable(&name, &cause),
        }
    }

    /// Looks at all names.
    fn scan(&mut self, writing: &HashSet<PathBuf>, fresh: Fresh, changes: &mut Vec<Change>) {
        let started = Instant::now();
        let mut entered = HashSet::new();
        let walk = files::walk(&self.root.clone(), &mut |folder, metadata| {
            self.watch(folder, metadata);
            entered.insert(folder.to_owned());
        });
        self.unwatch_others(&walk, &entered);
        self.note_all_unreadable(&walk);
        for (name, stamp) in &walk.files {
            self.look_at_found(name, stamp, writing, fresh, changes);
        }
        let names = walk.names();
        let gone: Vec<Arc<str>> =
            self.files.keys().filter(|name| !names.contains(&***name) && !walk.is_blind_to(name)).cloned().collect();
        for name in gone {
            self.forget(&name, changes);
        }
        if !self.listed {
            // Some of it may be from the state, and is no difference to that.
            *changes = self.claims.served().into_iter().cloned().map(Change::Upsert).collect();
        }
        self.listed = true;
        let ended = Instant::now();
        self.next_scan = ended + ((ended - started) * SCAN_REST_FACTOR).max(SCAN_INTERVAL_MIN);
        debug!(files = walk.files.len(), changes = changes.len(), took = ?(ended - started), "looked at the folder");
    }

    fn look_at_found(
        &mut self,
        name: &str,
        stamp: &Stamp,
        writing: &HashSet<PathBuf>,
        fresh: Fresh,
        changes: &mut Vec<Change>,
    ) {
        if self.files.get(name).is_some_and(|known| !known.may_differ(stamp)) {
            return;
        }
        let path = files::full(&self.root, name);
        if writing.contains(&path) {
            return;
        }
        // Files of the first look are read at once: nothing is served yet that could suffer from half a file.
        if fresh == Fresh::Defer && self.listed && stamp.is_fresh(SystemTime::now()) {
            return self.notices.defer(path, Instant::now());
        }
        self.read(&Arc::from(name), changes);
    }

    fn read(&mut self, name: &Arc<str>, changes: &mut Vec<Change>) {
        let (known, content) = match files::read(&files::full(&self.root, name), &self.hasher) {
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return self.forget(name, changes),
            Err(cause) => return self.note_unreadable(name, &cause),
        };
        self.findings_changed(self.unreadable.contains_key(name));
        self.unreadable.remove(name);
        let before = self.files.insert(Arc::clone(name), known);
        if before.is_some_and(|before| before.same_content(&known)) {
            return;
        }
        let mut parsed = manifest::parse(name, &content);
        if parsed.readable {
            let last_good =
                parsed.rejected.iter().filter_map(|reference| self.claims.of_file(name, reference).cloned());
            parsed.objects.extend(last_good);
            self.claims.replace(name, parsed.objects, changes);
        }
        self.findings = None;
        if parsed.findings.is_empty() {
            self.read_findings.remove(name);
        } else {
            self.read_findings.insert(Arc::clone(name), parsed.findings);
        }
    }

    fn forget(&mut self, name: &Arc<str>, changes: &mut Vec<Change>) {
        self.unreadable.remove(name);
        if self.files.remove(name).is_some() {
            self.read_findings.remove(name);
            self.claims.replace(name, Vec::new(), changes);
        }
        self.findings = None;
    }

    fn note_unreadable(&mut self, name: &Arc<str>, cause: &io::Error) {
        let shown = if name.is_empty() { "." } else { name };
        let object = ObjectRef { kind: Kind::File, key: ObjectKey::new("", shown) };
        let message = format!("cannot be read ({cause}); what was read before is kept");
        self.unreadable.insert(Arc::clone(name), Finding::error(&object, "", message));
        self.findings = None;
    }

    fn note_all_unreadable(&mut self, walk: &Walk) {
        self.reachable = !walk.unreadable.iter().any(|(name, _)| name.is_empty());
        self.findings_changed(!self.unreadable.is_empty());
        self.unreadable.clear();
        for (name, cause) in &walk.unreadable {
            self.note_unreadable(&Arc::from(name.as_str()), cause);
        }
    }

    fn findings_changed(&mut self, changed: bool) {
        if changed {
            self.findings = None;
        }
    }

    /// Sets a watch on a folder unless this very folder has one.
    fn watch(&mut self, folder: &Path, metadata: &Metadata) {
        let id = (metadata.dev(), metadata.ino());
        if self.watched.get(folder) == Some(&id) {
            return;
        }
        if let Some(watcher) = &mut self.watcher {
            if self.watched.contains_key(folder) {
                // Another folder of that name; the watch on it has usually gone with it.
                drop(watcher.unwatch(folder));
            }
            if let Err(cause) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                warn!(folder = %folder.display(), %cause, "no watch on this folder; its changes are found by looking");
            }
        }
        self.watched.insert(folder.to_owned(), id);
    }

    /// A root that is a link may be swapped, which only the folder around it is told of.
    fn watch_link(&mut self) {
        let is_link = std::fs::symlink_metadata(&self.root).is_ok_and(|metadata| metadata.is_symlink());
        if let (true, Some(watcher), Some(around)) = (is_link, &mut self.watcher, self.root.parent())
            && let Err(cause) = watcher.watch(around, RecursiveMode::NonRecursive)
        {
            warn!(folder = %around.display(), %cause, "no watch here; a swap of the source folder is found by looking");
        }
    }

    /// Takes the watches off folders that are no longer there.
    fn unwatch_others(&mut self, walk: &Walk, entered: &HashSet<PathBuf>) {
        let Self { root, watcher, watched, .. } = self;
        watched.retain(|folder, _| {
            let keep = entered.contains(folder) || files::below(root, folder).is_none_or(|name| walk.is_blind_to(name));
            if !keep && let Some(watcher) = watcher {
                drop(watcher.unwatch(folder));
            }
            keep
        });
    }
}
