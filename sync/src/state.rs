//! The last known good objects on disk: for a start while the API server is away, and for what a folder's files, refused
//! versions and broken certificates do not say themselves any more.
//!
//! One file of JSON lines: a head that says what it is of, a manifest a line, an end that proves that nothing is
//! missing. It holds certificates' keys, so only its owner may read it, from the first byte on; it is replaced as a
//! whole, so there is never a half of one. A file that anybody else could have written is not believed.

mod encode;
mod line;
mod saver;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use line::Line;
use ringress_config::model::{Object, Secret};
use serde::{Deserialize, Serialize};

pub(crate) use saver::Saver;

const FILE: &str = "last-known-good.jsonl";
const FILE_NEW: &str = ".last-known-good.jsonl.new";

/// Rises when an older version could not read the file.
const FORMAT: u32 = 3;

/// The oldest that is read: what has been added since is only not there.
const FORMAT_OLDEST: u32 = 2;

/// Largest file that is read, bytes.
const BYTES_MAX: u64 = 1 << 30;

/// Group and others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Where the state is and what it is of.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    folder: PathBuf,
    /// The API server and the scope, or the folder; a state of another source is not used.
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

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Good {
    /// The newest versions of all objects of an API server.
    pub(crate) objects: Vec<Object>,
    /// What the files of a folder define, in the order of who wins.
    pub(crate) filed: Vec<Filed>,
    /// Earlier versions of Ingresses and Secrets that act because the newest ones are refused or broken.
    pub(crate) held: Vec<Object>,
    /// Certificates on disk as they were presented last.
    pub(crate) certificates: Vec<Arc<Secret>>,
}

/// What a file of a folder defines.
#[derive(Debug)]
pub(crate) struct Filed {
    pub(crate) file: Arc<str>,
    pub(crate) object: Object,
    /// Whether this version may act where the next one is refused: it was not refused itself.
    pub(crate) accepted: bool,
}

/// What was loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) good: Good,
    /// When it was true.
    pub(crate) saved: String,
}

impl Good {
    fn lines(&self) -> impl Iterator<Item = Line> {
        let objects = self.objects.iter().map(|object| Line::Object(encode::manifest(object)));
        let filed = self.filed.iter().map(|filed| Line::filed(&filed.file, &filed.object, filed.accepted));
        let held = self.held.iter().map(Line::held);
        let certificates = self.certificates.iter().map(|secret| Object::Secret(Arc::clone(secret)));
        let certificates = certificates.map(|object| Line::Disk { disk: encode::manifest(&object) });
        objects.chain(filed).chain(held).chain(certificates)
    }

    fn len(&self) -> usize {
        self.objects.len() + self.filed.len() + self.held.len() + self.certificates.len()
    }

    /// Takes in a line that is no end; why it cannot be.
    fn take(&mut self, line: Line) -> io::Result<()> {
        match line {
            Line::Object(value) => {
                self.objects.push(line::object(value, None).ok_or_else(|| bad("a line is not an object"))?);
            }
            Line::Filed { filed, place, accepted } => {
                let object = line::object(filed, Some(&place)).ok_or_else(|| bad("a file's line is not an object"))?;
                self.filed.push(Filed { file: Arc::clone(place.file()), object, accepted });
            }
            Line::Held { held, place } => match line::object(held, place.as_ref()) {
                Some(object @ (Object::Ingress(_) | Object::Secret(_))) => self.held.push(object),
                _ => return Err(bad("a held line is neither an Ingress nor a Secret")),
            },
            Line::Disk { disk } => match line::object(disk, None) {
                Some(Object::Secret(secret)) => self.certificates.push(secret),
                _ => return Err(bad("a certificate's line is not a Secret")),
            },
            Line::End { .. } => return Err(bad("it ends twice")),
        }
        Ok(())
    }
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
        good.lines().try_for_each(|line| write_line(&mut out, &line))?;
        write_line(&mut out, &Line::End { end: good.len() })?;
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
        if !(FORMAT_OLDEST..=FORMAT).contains(&head.format) {
            return Err(bad(&format!("its format is {}, not {FORMAT}", head.format)));
        }
        if head.source != self.source {
            return Err(bad(&format!("it is of {}, not of {}", head.source, self.source)));
        }
        let mut good = Good::default();
        for line in lines {
            match serde_json::from_str(&line?).map_err(|_| bad("a line is not JSON"))? {
                Line::End { end } if end == good.len() => return Ok(Loaded { good, saved: head.saved }),
                Line::End { .. } => return Err(bad("objects are missing")),
                line => good.take(line)?,
            }
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
    use ringress_config::model::decode;
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
        assert_eq!(state.load().expect("readable").expect("there").good.objects, objects());
        state.save(&good(objects()[..1].to_vec())).expect("it is saved");
        assert_eq!(state.load().expect("readable").expect("there").good.objects, objects()[..1]);
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
    fn a_state_of_the_form_before_is_read() {
        let (_folder, state) = saved();
        let file = state.folder().join(FILE);
        let text = fs::read_to_string(&file).expect("readable").replacen("\"format\":3", "\"format\":2", 1);
        fs::write(&file, text).expect("ours");
        assert_eq!(state.load().expect("readable").expect("there").good.objects, objects());
    }

    #[test]
    fn what_files_define_and_what_acts_in_its_place_is_loaded_as_it_was() {
        let folder = TempDir::new().expect("a folder");
        let state = StateFile::new(folder.path().to_owned(), "here".to_owned());
        let read = ringress_config::manifest::parse(
            "a.yaml",
            b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: first}\n---\napiVersion: networking.k8s.io/v1\nkind: \
              Ingress\nmetadata: {name: second}\n",
        );
        let filed =
            |accepted: bool| move |object: &Object| Filed { file: "a.yaml".into(), object: object.clone(), accepted };
        let Object::Secret(secret) = &objects()[0] else { panic!("it is one") };
        let good = Good {
            filed: read.objects[..1]
                .iter()
                .map(filed(true))
                .chain(read.objects[1..].iter().map(filed(false)))
                .collect(),
            held: read.objects[1..].to_vec(),
            certificates: vec![Arc::clone(secret)],
            ..Good::default()
        };
        state.save(&good).expect("it is saved");
        let loaded = state.load().expect("readable").expect("there").good;
        let of = |good: &Good| -> Vec<_> {
            good.filed.iter().map(|f| (f.file.clone(), f.object.clone(), f.accepted)).collect()
        };
        assert_eq!(of(&loaded), of(&good));
        assert_eq!((loaded.held, loaded.certificates), (good.held, good.certificates));
        assert!(loaded.objects.is_empty());
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
            text.replacen("\"format\":3", "\"format\":4", 1),
            text.replacen("\"format\":3", "\"format\":1", 1),
        ] {
            fs::write(&file, &damaged).expect("ours");
            refusal(&state);
        }
    }
}
