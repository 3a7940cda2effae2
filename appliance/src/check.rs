//! `ringress check`: manifests in, findings out, by the router's own code.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a command of its own, without workers")]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ringress_config::compile::Compiler;
use ringress_config::diagnostics::{Finding, Severity};
use ringress_config::manifest;
use ringress_config::model::{Object, ObjectRef};
use ringress_config::options::Options;
use ringress_config::snapshot::{Certificate, Snapshot};
use serde_json::json;

use crate::admin::Rejected;
use crate::cli::{Check, Output};
use crate::demo::self_signed;

/// Largest file that is read; the limits of what is in it are stricter.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Folders below each other; a loop of links ends here.
const FOLDER_DEPTH_MAX: usize = 32;

/// Runs the command.
pub fn run(check: &Check) -> ExitCode {
    let read = read(&check.paths, check.options.clone());
    let out = io::stdout().lock();
    let printed = match check.output {
        Output::Text => print_text(out, &read),
        Output::Json => print_json(out, &read),
    };
    // A reader that has gone, such as `head`, has seen what it wanted.
    let _ = printed;
    for (path, error) in &read.unreadable {
        let _ = writeln!(io::stderr(), "ringress: {}: {error}", path.display());
    }
    match read.worst() {
        _ if !read.unreadable.is_empty() => ExitCode::from(2),
        Some(Severity::Error) => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

/// What was read and what it compiles to.
pub(crate) struct Checked {
    /// All findings: those of the files, then those of the compiler.
    pub(crate) findings: Vec<Finding>,
    /// What could not be read at all.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
    /// What would be served.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
}

impl Checked {
    fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Reads files, folders and standard input, and compiles them.
pub(crate) fn read(paths: &[PathBuf], options: Options) -> Checked {
    let Manifests { mut findings, mut unreadable, objects } = manifests(paths);
    let snapshot = match compiler(options, objects) {
        Ok(mut compiler) => {
            let compiled = compiler.compile();
            findings.extend(compiled.findings.iter().cloned());
            Some(compiled.snapshot)
        }
        Err(error) => {
            unreadable.push(("the default certificate".into(), error));
            None
        }
    };
    Checked { findings, unreadable, snapshot }
}

/// What files hold.
pub(crate) struct Manifests {
    /// Findings of the text.
    pub(crate) findings: Vec<Finding>,
    /// What could not be read at all.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
    /// Each object once.
    pub(crate) objects: Vec<Object>,
}

/// Reads files, folders and standard input.
pub(crate) fn manifests(paths: &[PathBuf]) -> Manifests {
    let mut reader = Reader::default();
    for path in paths {
        reader.path(path);
    }
    let Reader { findings, unreadable, first: _, objects } = reader;
    Manifests { findings, unreadable, objects }
}

/// A compiler that knows these objects.
pub(crate) fn compiler(options: Options, objects: Vec<Object>) -> io::Result<Compiler> {
    let mut compiler = Compiler::new(options, default_certificate()?);
    for object in objects {
        compiler.upsert(object);
    }
    Ok(compiler)
}

/// Stands in for the one that a running instance makes.
fn default_certificate() -> io::Result<Arc<Certificate>> {
    let pair = self_signed(&["ingress.local"]).map_err(io::Error::other)?;
    let certificate = Certificate::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes(), None);
    certificate.map(Arc::new).map_err(io::Error::other)
}

#[derive(Default)]
struct Reader {
    findings: Vec<Finding>,
    unreadable: Vec<(PathBuf, io::Error)>,
    /// Which file defined an object first.
    first: BTreeMap<ObjectRef, String>,
    objects: Vec<Object>,
}

impl Reader {
    fn path(&mut self, path: &Path) {
        let result = if path == Path::new("-") {
            bounded(io::stdin().lock()).map(|text| self.text("-", &text))
        } else if path.is_dir() {
            self.folder(path, path, 0)
        } else {
            self.file(path, &path.display().to_string())
        };
        if let Err(error) = result {
            self.unreadable.push((path.to_path_buf(), error));
        }
    }

    /// In the order of names, as the folder source has it; hidden files and other endings are left out.
    fn folder(&mut self, root: &Path, folder: &Path, depth: usize) -> io::Result<()> {
        if depth > FOLDER_DEPTH_MAX {
            return Err(io::Error::other("too many folders below each other"));
        }
        let mut entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        for path in entries {
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let result = if path.is_dir() {
                self.folder(root, &path, depth + 1)
            } else if manifest::is_manifest(&name) {
                self.file(&path, &name)
            } else {
                Ok(())
            };
            if let Err(error) = result {
                self.unreadable.push((path, error));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let text = bounded(std::fs::File::open(path)?)?;
        self.text(name, &text);
        Ok(())
    }

    fn text(&mut self, name: &str, text: &[u8]) {
        let content = manifest::parse(name, text);
        self.findings.extend(content.findings);
        for object in content.objects {
            let reference = object.reference();
            match self.first.get(&reference) {
                Some(first) => {
                    let message =
                        format!("defined again in {name}; the definition in {first} comes first and is served");
                    self.findings.push(Finding::error(&reference, "", message));
                }
                None => {
                    self.first.insert(reference, name.to_owned());
                    self.objects.push(object);
                }
            }
        }
    }
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(text)
}

fn print_text(mut out: impl Write, read: &Checked) -> io::Result<()> {
    read.findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))
}

fn print_json(mut out: impl Write, read: &Checked) -> io::Result<()> {
    let findings: Vec<Rejected<'_>> = read.findings.iter().map(Rejected::new).collect();
    let unreadable = read.unreadable.iter();
    let unreadable: Vec<_> = unreadable
        .map(|(path, error)| json!({ "path": path.display().to_string(), "message": error.to_string() }))
        .collect();
    writeln!(out, "{:#}", json!({ "findings": findings, "unreadable": unreadable }))
}

#[cfg(test)]
mod tests;
