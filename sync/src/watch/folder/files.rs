//! Files on disk: which there are, and which have changed since they were read.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::regular;

/// Largest file that is read: the contract's limit of one JSON file.
const FILE_MEBIBYTES_MAX: u64 = 64;

/// Folders within folders, at most.
const DEPTH_MAX: usize = 32;

/// A file changed less than this before it was read may change again without showing it in its times, whose grain is
/// that of the kernel's tick.
const TIMES_GRAIN: Duration = Duration::from_millis(50);

/// What tells that a file is still the same without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file was changed within the grain before `now`, or after it.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed.max(self.modified);
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else { return false };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        now.duration_since(changed).map_or(true, |age| age < TIMES_GRAIN)
    }
}

/// What is remembered of a file that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    stamp: Stamp,
    /// Whether an equal stamp proves an equal content.
    trusted: bool,
    hash: u64,
}

impl Known {
    /// Of a file whose objects come from the state: nothing that is read is the same.
    pub(crate) fn before() -> Self {
        let stamp = Stamp { device: 0, inode: 0, size: u64::MAX, modified: (0, 0), changed: (0, 0) };
        Self { stamp, trusted: false, hash: 0 }
    }

    /// Whether the file must be read to know if it has changed.
    pub(crate) fn may_differ(&self, stamp: &Stamp) -> bool {
        !self.trusted || self.stamp != *stamp
    }

    /// Whether the content is that of `other`.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.hash == other.hash && self.stamp.size == other.stamp.size
    }
}

/// Reads a regular file within the size limit.
pub(crate) fn read(path: &Path, hasher: &impl BuildHasher) -> io::Result<(Known, Vec<u8>)> {
    let mut file = regular::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let content = regular::read(&mut file, FILE_MEBIBYTES_MAX)?;
    let unchanged_meanwhile = Stamp::of(&file.metadata()?) == stamp;
    let trusted = unchanged_meanwhile && !stamp.is_fresh(SystemTime::now());
    Ok((Known { stamp, trusted, hash: hasher.hash_one(&content) }, content))
}

/// What a walk through the folder has found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Manifest files by their path below the root, with their stamps.
    pub(crate) files: Vec<(String, Stamp)>,
    /// Files and folders that could not be looked at (below the root, empty for the root itself), and why. What is
    /// known below them is kept.
    pub(crate) unreadable: Vec<(String, io::Error)>,
}

/// Walks through the folder, following links. `enter` is called with each folder before it is read, so that a watch
/// set there misses nothing.
pub(crate) fn walk(root: &Path, enter: &mut dyn FnMut(&Path, &Metadata)) -> Walk {
    let mut walk = Walk::default();
    let mut ancestors = Vec::new();
    match fs::metadata(root) {
        Ok(metadata) => walk.folder(root, "", &metadata, &mut ancestors, enter),
        Err(cause) => walk.unreadable.push((String::new(), cause)),
    }
    walk.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    walk
}

impl Walk {
    fn folder(
        &mut self,
        path: &Path,
        below: &str,
        metadata: &Metadata,
        ancestors: &mut Vec<(u64, u64)>,
        enter: &mut dyn FnMut(&Path, &Metadata),
    ) {
        let id = (metadata.dev(), metadata.ino());
        if ancestors.contains(&id) {
            return self.refuse(below, "it is a link to a folder that holds it");
        }
        if ancestors.len() == DEPTH_MAX {
            return self.refuse(below, &format!("folders are nested more than {DEPTH_MAX} deep"));
        }
        enter(path, metadata);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(cause) => return self.unreadable.push((below.to_owned(), cause)),
        };
        ancestors.push(id);
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry.path(), below, ancestors, enter),
                Err(cause) => self.unreadable.push((below.to_owned(), cause)),
            }
        }
        ancestors.pop();
    }

    fn entry(
        &mut self,
        path: &Path,
        below: &str,
        ancestors: &mut Vec<(u64, u64)>,
        enter: &mut dyn FnMut(&Path, &Metadata),
    ) {
        let Some(name) = path.file_name() else { return };
        if is_hidden(path) {
            return;
        }
        let Some(name) = name.to_str() else {
            if is_manifest(path) {
                self.refuse(&join(below, &name.to_string_lossy()), "its name is not UTF-8");
            }
            return;
        };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                self.folder(path, &join(below, name), &metadata, ancestors, enter);
            }
            Ok(metadata) if metadata.is_file() && is_manifest(path) => {
                self.files.push((join(below, name), Stamp::of(&metadata)));
            }
            Ok(_) => {}
            // Gone meanwhile, or a link to nothing.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => self.unreadable.push((join(below, name), cause)),
        }
    }

    fn refuse(&mut self, below: &str, why: &str) {
        self.unreadable.push((below.to_owned(), io::Error::other(why.to_owned())));
    }

    /// Whether nothing is known of this path because it, or a folder above it, could not be read.
    pub(crate) fn is_blind_to(&self, below: &str) -> bool {
        self.unreadable.iter().any(|(path, _)| {
            path.is_empty()
                || below.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The names of the files.
    pub(crate) fn names(&self) -> HashSet<&str> {
        self.files.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The state of one file, for a look at it alone.
pub(crate) fn stamp(path: &Path) -> io::Result<Stamp> {
    fs::metadata(path).map(|metadata| Stamp::of(&metadata))
}

/// `*.yaml`, `*.yml`, `*.json`.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

/// A name that starts with a dot: editors' swap files, and the real folders behind a mounted ConfigMap's links.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn join(below: &str, name: &str) -> String {
    if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") }
}

/// The path below the root as it is used for names, if it is below it and UTF-8.
pub(crate) fn below<'a>(root: &Path, path: &'a Path) -> Option<&'a str> {
    path.strip_prefix(root).ok()?.to_str()
}

/// The full path of a name.
pub(crate) fn full(root: &Path, name: &str) -> PathBuf {
    root.join(name)
}
