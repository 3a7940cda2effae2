//! Text to objects, guarded: sizes and nesting are bounded before a parser sees the text, so that no file can stall or
//! fill the control thread.

mod json;
mod yaml;

use std::sync::Arc;

use serde_json::Value;

use crate::diagnostics::Finding;
use crate::model::{Kind, Object, ObjectKey, ObjectRef, Origin, decode};

/// Largest YAML document, bytes.
pub const YAML_DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Largest JSON file, bytes.
pub const JSON_FILE_BYTES_MAX: usize = 64 << 20;
/// Deepest nesting of `[` and `{` in a YAML document. The scanner's time grows with the square of it.
pub const FLOW_DEPTH_MAX: usize = 64;
/// Deepest nesting of `kind: List` in `kind: List`.
const LIST_DEPTH_MAX: usize = 4;

/// What one file holds.
#[derive(Debug, Default)]
pub struct FileContent {
    /// The objects, in the order of the file.
    pub objects: Vec<Object>,
    /// Remarks on the file and its objects.
    pub findings: Vec<Finding>,
    /// Whether the whole file could be read as YAML or JSON within the limits. If not, a source keeps the objects that
    /// it had from this file before.
    pub readable: bool,
    /// Objects that were refused one by one, such as for a field of the wrong type; see
    /// [`crate::model::Decoded::rejected`].
    pub rejected: Vec<ObjectRef>,
}

/// Reads a file by the ending of its name: `.json`, else YAML. `path` is the path below the source folder.
pub fn parse(path: &str, text: &[u8]) -> FileContent {
    let mut reader = Reader { path, content: FileContent { readable: true, ..FileContent::default() } };
    if path.ends_with(".json") {
        json::read(text, &mut reader);
    } else {
        yaml::read(text, &mut reader);
    }
    reader.content
}

/// Whether a file of this name is a manifest.
pub fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending))
}

struct Reader<'a> {
    path: &'a str,
    content: FileContent,
}

impl Reader<'_> {
    fn unreadable(&mut self, message: impl Into<Arc<str>>) {
        let file = ObjectRef { kind: Kind::File, key: ObjectKey::new("", self.path) };
        self.content.findings.push(Finding::error(&file, "", message));
        self.content.readable = false;
    }

    fn value(&mut self, value: Value, document: u32) {
        let mut item = 0;
        self.items(value, document, &mut item, 0);
    }

    fn items(&mut self, mut value: Value, document: u32, item: &mut u32, depth: usize) {
        let is_list = value["kind"].as_str().is_some_and(|k| k == "List") && value["apiVersion"] == "v1";
        if is_list && depth < LIST_DEPTH_MAX {
            match value["items"].take() {
                Value::Array(items) => items.into_iter().for_each(|i| self.items(i, document, item, depth + 1)),
                Value::Null => {}
                _ => self.unreadable(format!("document {}: items of the List is not a list", document + 1)),
            }
            return;
        }
        let origin = Origin { path: self.path.into(), document, item: *item };
        *item += 1;
        let decoded = decode(value, Some(origin));
        self.content.objects.extend(decoded.object);
        self.content.findings.extend(decoded.findings);
        self.content.rejected.extend(decoded.rejected);
    }
}

#[cfg(test)]
mod tests;
