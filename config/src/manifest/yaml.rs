//! YAML files: split into documents first, each checked, then parsed on its own.

use serde_json::Value;

use super::{FLOW_DEPTH_MAX, Reader, YAML_DOCUMENT_BYTES_MAX};

pub(super) fn read(text: &[u8], to: &mut Reader<'_>) {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut number = 0;
    for document in documents(text) {
        if document.is_blank() {
            continue;
        }
        match document.parse() {
            Ok(Value::Null) => {}
            Ok(value) => {
                to.value(value, number);
                number += 1;
            }
            Err(message) => to.unreadable(format!("line {}: {message}", document.line)),
        }
    }
}

/// One document of a file.
struct Document<'a> {
    text: &'a [u8],
    /// Line of the file on which it starts, from 1.
    line: usize,
}

impl Document<'_> {
    /// Nothing but comments, directives and blanks.
    fn is_blank(&self) -> bool {
        let empty = |line: &[u8]| matches!(line.trim_ascii().first(), None | Some(b'#' | b'%'));
        self.text.split(|b| *b == b'\n').all(empty)
    }

    fn parse(&self) -> Result<Value, String> {
        if self.text.len() > YAML_DOCUMENT_BYTES_MAX {
            let limit = YAML_DOCUMENT_BYTES_MAX;
            return Err(format!("a document of {} bytes, more than the {limit} of a YAML document", self.text.len()));
        }
        if flow_depth(self.text) > FLOW_DEPTH_MAX {
            return Err(format!("[ and {{ are nested more than {FLOW_DEPTH_MAX} deep"));
        }
        serde_yaml::from_slice(self.text).map_err(|error| {
            // The parser counts lines from the start of the document and says so at the end of its message.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            match error.location() {
                Some(at) => format!("is no YAML: {message} (line {} of the file)", self.line + at.line() - 1),
                None => format!("is no YAML: {message}"),
            }
        })
    }
}

/// Splits at lines that start with `---`; what follows on that line belongs to the document. `...` ends one.
/// A line may start so nowhere else in YAML, block and quoted texts included.
fn documents(text: &[u8]) -> Vec<Document<'_>> {
    let (mut documents, mut start, mut start_line, mut at) = (Vec::new(), 0, 1, 0);
    for (number, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        if is_marker(line, b"---") {
            documents.push(Document { text: &text[start..at], line: start_line });
            (start, start_line) = (at + 3, number + 1);
        } else if is_marker(line, b"...") {
            documents.push(Document { text: &text[start..at], line: start_line });
            (start, start_line) = (at + line.len(), number + 2);
        }
        at += line.len();
    }
    documents.push(Document { text: &text[start..], line: start_line });
    documents
}

fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// How deep `[` and `{` nest: the larger of two readings, one that skips quoted texts and comments, and one that
/// counts every bracket. Manifests that people write stay in single digits.
fn flow_depth(text: &[u8]) -> usize {
    let (mut plain, mut lexed) = (Depth::default(), Depth::default());
    let mut state = Lexer::Start;
    let mut previous = b'\n';
    for &byte in text {
        plain.count(byte);
        state = match state {
            Lexer::Double { escaped: true } => Lexer::Double { escaped: false },
            Lexer::Double { .. } if byte == b'\\' => Lexer::Double { escaped: true },
            Lexer::Double { .. } if byte == b'"' => Lexer::Token,
            Lexer::Single if byte == b'\'' => Lexer::Token,
            Lexer::Comment if byte == b'\n' => Lexer::Start,
            Lexer::Double { .. } | Lexer::Single | Lexer::Comment => state,
            Lexer::Start | Lexer::Token => match byte {
                b'"' if matches!(state, Lexer::Start) => Lexer::Double { escaped: false },
                b'\'' if matches!(state, Lexer::Start) => Lexer::Single,
                b'#' if previous.is_ascii_whitespace() => Lexer::Comment,
                b'[' | b'{' | b']' | b'}' => {
                    lexed.count(byte);
                    Lexer::Start
                }
                b',' | b'\n' => Lexer::Start,
                b' ' | b'\t' | b'\r' if matches!(previous, b':' | b'-' | b'?') => Lexer::Start,
                b' ' | b'\t' | b'\r' => state,
                _ => Lexer::Token,
            },
        };
        previous = byte;
    }
    plain.max.max(lexed.max)
}

/// Where in the text we are.
#[derive(Clone, Copy)]
enum Lexer {
    /// A token may begin here.
    Start,
    /// Inside or just after a token.
    Token,
    Double {
        escaped: bool,
    },
    Single,
    Comment,
}

#[derive(Default)]
struct Depth {
    now: usize,
    max: usize,
}

impl Depth {
    fn count(&mut self, byte: u8) {
        match byte {
            b'[' | b'{' => self.now += 1,
            b']' | b'}' => self.now = self.now.saturating_sub(1),
            _ => return,
        }
        self.max = self.max.max(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(String, usize)> {
        let documents = documents(text.as_bytes());
        documents.iter().map(|d| (String::from_utf8_lossy(d.text).into_owned(), d.line)).collect()
    }

    #[test]
    fn documents_end_at_markers_only() {
        let text = "a: 1\n---\nb: ---\n--- {c: 1}\n----\n...\nd: 1";
        let expected = [("a: 1\n", 1), ("\nb: ---\n", 2), (" {c: 1}\n----\n", 4), ("d: 1", 7)];
        assert_eq!(split(text), expected.map(|(t, l)| (t.to_owned(), l)));
    }

    #[test]
    fn depth_counts_open_brackets_and_skips_quoted_text() {
        assert_eq!(flow_depth(b"a: {b: [1, 2], c: {}}"), 2);
        let hidden = "{a: {\"]\": ".repeat(40);
        assert!(flow_depth(hidden.as_bytes()) >= 80, "closing brackets in quotes must not hide the depth");
        assert!(flow_depth("{a: {b: #]]\n".repeat(40).as_bytes()) >= 80);
        assert_eq!(flow_depth(b"text: it's [here] and isn't"), 1);
    }

    #[test]
    fn deep_nesting_is_refused_at_once() {
        for open in ["{a: ", "[", "{\"]\": [\"}\", "] {
            let text = format!("a: {}", open.repeat(100_000));
            let document = Document { text: text.as_bytes(), line: 1 };
            assert!(document.parse().is_err_and(|m| m.contains("nested") || m.contains("more than")), "{open}");
        }
    }
}
