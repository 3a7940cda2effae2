//! The last known good objects on disk, for a start while the API server is away.
//!
//! One file of JSON lines: a head that says what it is of, a manifest a line, an end that proves that nothing is
//! missing. It holds certificates' keys, so only its owner may read it, from the first byte on; it is replaced as a
//! whole, so there is never a half of one. A file that anybody else could have written is not believed.

mod encode;
mod saver;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringress_config::model::{Ingress, Object, decode};
use serde::{Deserialize, Serialize};

pub(crate) use saver::Saver;

const FILE: &str = "last-known-good.jsonl";
const FILE_NEW: &str = ".last-known-good.jsonl.new";

/// Rises when an older version could not read the file.
const FORMAT: u32 = 2;

/// Largest file that is read, bytes.
const BYTES_MAX: u64 = 1 << 30;

/// Group and others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Where the state is and what it is of.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    folder: PathBuf,
    /// The API server and the scope; a state of another source is not used.
    source: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Head {
    ringress: String,
    format: u32,
    source: String,
    /// When it was true, RFC 3339.
    saved: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct End {
    /// Number of objects.
    end: usize,
}

/// An accepted version of an Ingress that goes on serving because its newest version, which is among the objects, is
/// refused.
#[derive(Debug, Deserialize, Serialize)]
struct Held {
    held: serde_json::Value,
}

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Good {
    /// The newest versions of all objects.
    pub(crate) objects: Vec<Object>,
    /// Accepted versions of those whose newest ones are refused.
    pub(crate) held: Vec<Arc<Ingress>>,
}

/// What was loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) objects: Vec<Object>,
    pub(crate) held: Vec<Arc<Ingress>>,
    /// When it was true.
    pub(crate) saved: String,
}

impl StateFile {
    pub(crate) fn new(folder: PathBuf, source: String) -> Self {
        Self { folder, source }
    }

    /// Replaces the file.
    pub(crate) fn save(&self, good: &Good) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let new = self.folder.join(FILE_NEW);
        match fs::remove_file(&new) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let mut out = BufWriter::new(file);
        let saved = jiff::Timestamp::now().to_string();
        let head = Head { ringress: "last known good".to_owned(), format: FORMAT, source: self.source.clone(), saved };
        write_line(&mut out, &head)?;
        for object in &good.objects {
            write_line(&mut out, &encode::manifest(object))?;
        }
        for ingress in &good.held {
            write_line(&mut out, &Held { held: encode::manifest(&Object::Ingress(Arc::clone(ingress))) })?;
        }
        write_line(&mut out, &End { end: good.objects.len() + good.held.len() })?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&new, self.folder.join(FILE))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Reads the file; `None` when there is none.
    pub(crate) fn load(&self) -> io::Result<Option<Loaded>> {
        let file = match File::open(self.folder.join(FILE)) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(cause),
        };
        if file.metadata()?.permissions().mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(bad("others than its owner could have written it"));
        }
        self.read(BufReader::new(file.take(BYTES_MAX))).map(Some)
    }

    fn read(&self, file: impl BufRead) -> io::Result<Loaded> {
        let mut lines = file.lines();
        let head = lines.next().ok_or_else(|| bad("it is empty"))??;
        let head: Head = serde_json::from_str(&head).map_err(|_| bad("its first line is not that of a state"))?;
        if head.format != FORMAT {
            return Err(bad(&format!("its format is {}, not {FORMAT}", head.format)));
        }
        if head.source != self.source {
            return Err(bad(&format!("it is of {}, not of {}", head.source, self.source)));
        }
        let (mut objects, mut held) = (Vec::new(), Vec::new());
        for line in lines {
            let value: serde_json::Value = serde_json::from_str(&line?).map_err(|_| bad("a line is not JSON"))?;
            if let Ok(End { end }) = End::deserialize(&value) {
                if end != objects.len() + held.len() {
                    return Err(bad("objects are missing"));
                }
                return Ok(Loaded { objects, held, saved: head.saved });
            }
            if let Ok(Held { held: value }) = Held::deserialize(&value) {
                match decode(value, None).object {
                    Some(Object::Ingress(ingress)) => held.push(ingress),
                    _ => return Err(bad("a held line is not an Ingress")),
                }
                continue;
            }
            objects.push(decode(value, None).object.ok_or_else(|| bad("a line is not an object"))?);
        }
        Err(bad("its end is missing"))
    }

    /// The folder, for messages.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tempfile::TempDir;

    fn objects() -> Vec<Object> {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "djI="}});
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "c"}});
        [secret, class].map(|value| decode(value, None).object.expect("an object")).into()
    }

    fn good(objects: Vec<Object>) -> Good {
        Good { objects, ..Good::default() }
    }

    fn saved() -> (TempDir, StateFile) {
        let folder = TempDir::new().expect("a folder");
        let state = StateFile::new(folder.path().join("deep/state"), "here".to_owned());
        state.save(&good(objects())).expect("it is saved");
        (folder, state)
    }

    fn refusal(state: &StateFile) -> String {
        state.load().expect_err("it is not believed").to_string()
    }

    #[test]
    fn what_is_saved_is_loaded_and_a_second_save_replaces_it() {
        let (_folder, state) = saved();
        assert_eq!(state.load().expect("readable").expect("there").objects, objects());
        state.save(&good(objects()[..1].to_vec())).expect("it is saved");
        assert_eq!(state.load().expect("readable").expect("there").objects, objects()[..1]);
    }

    #[test]
    fn nobody_else_may_read_it() {
        let (_folder, state) = saved();
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&state.folder().join(FILE)), 0o600);
        assert_eq!(mode(state.folder()), 0o700);
        assert!(!state.folder().join(FILE_NEW).exists());
    }

    #[test]
    fn a_missing_file_is_no_error() {
        let folder = TempDir::new().expect("a folder");
        assert!(StateFile::new(folder.path().to_owned(), String::new()).load().expect("no error").is_none());
    }

    #[test]
    fn a_file_that_others_may_write_is_not_believed() {
        let (_folder, state) = saved();
        let file = state.folder().join(FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).expect("ours");
        assert!(refusal(&state).contains("others"));
    }

    #[test]
    fn a_state_of_another_source_is_not_used() {
        let (_folder, state) = saved();
        let other = StateFile { source: "there".to_owned(), ..state };
        assert!(refusal(&other).contains("it is of here, not of there"));
    }

    #[test]
    fn a_cut_or_damaged_file_is_not_used() {
        let (_folder, state) = saved();
        let file = state.folder().join(FILE);
        let text = fs::read_to_string(&file).expect("readable");
        let lines: Vec<&str> = text.lines().collect();
        for damaged in [
            String::new(),
            lines[..3].join("\n"),
            [lines[0], lines[1], lines[3]].join("\n"),
            text[..text.len() / 2].to_owned(),
            text.replacen("\"Secret\"", "7", 1),
            text.replacen("\"format\":2", "\"format\":3", 1),
        ] {
            fs::write(&file, &damaged).expect("ours");
            refusal(&state);
        }
    }
}
