//! Style and layering of the whole workspace, as tests: what a reviewer would otherwise have to say each time.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code (no blanks, no comments, no unit tests) of one file.
const FILE_LINES_MAX: usize = 500;
/// Lines of one function, from `fn` to its closing brace, without blanks and comments.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are longer and wait to be split. The list can only become shorter: a function that no longer needs
/// its place here fails the test too.
const LONG_FUNCTIONS: [&str; 0] = [];

/// Texts that go over the wire as ingress-nginx sends them, because services compare them: the file and the text.
const WIRE_TEXTS: [(&str, &str); 1] = [("appliance/src/policy/access/external.rs", "nginx-ingress-controller")];

/// A source file of the workspace.
struct Source {
    /// Below the workspace.
    path: String,
    text: String,
}

impl Source {
    /// The text with the contents of literals and comments blanked out: what is left is code.
    fn code(&self) -> String {
        blank(&self.text)
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources() -> Vec<Source> {
    let root = workspace();
    let mut sources = Vec::new();
    for member in ["appliance", "sync", "config", "bench"] {
        collect(&root, &root.join(member), &mut sources);
    }
    assert!(sources.len() > 30, "the sources are not where they are looked for");
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            sources.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Replaces comments and the contents of text and character literals by blanks, line by line.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

/// Where a comment or literal that starts here ends; `at` when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let find = |from: usize, what: &[u8]| {
        let found = rest[from..].windows(what.len()).position(|window| window == what);
        at + found.map_or(rest.len(), |found| from + found + what.len())
    };
    let before = at.checked_sub(1).map(|before| bytes[before]);
    let in_word = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    match rest {
        [b'/', b'/', ..] => find(0, b"\n").saturating_sub(1).max(at + 1),
        [b'/', b'*', ..] => find(2, b"*/"),
        [b'r', b'"' | b'#', ..] if !in_word => {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return at;
            }
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            find(2 + hashes, &close)
        }
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'\'', b'\\', ..] => at + quoted(rest, b'\''),
        [b'\'', _, b'\'', ..] => at + 3,
        _ => at,
    }
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Number of lines with code on them.
fn lines(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Name and number of lines of each function.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut functions = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_word = at == 0 || !code.as_bytes()[at - 1].is_ascii_alphanumeric() && code.as_bytes()[at - 1] != b'_';
        let end = code[at..].find(['{', ';']).map(|end| at + end);
        let Some(open) = end.filter(|end| is_word && code.as_bytes()[*end] == b'{') else { continue };
        let mut depth = 0;
        let close = code[open..].bytes().position(|byte| {
            depth += match byte {
                b'{' => 1,
                b'}' => -1,
                _ => 0,
            };
            depth == 0
        });
        let name = code[at + 3..].split(['(', '<']).next().unwrap_or_default();
        functions.push((name.to_owned(), lines(&code[at..open + close.unwrap_or_default()])));
    }
    functions
}

/// The text without its unit tests.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |at| &code[..at])
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn complain(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short() {
    let long = |source: &Source| {
        let number = lines(without_tests(&source.code()));
        (number > FILE_LINES_MAX).then(|| format!("{}: {number} lines of code", source.path))
    };
    complain(sources().iter().filter_map(long).collect());
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for source in sources().iter().filter(|source| !is_test(&source.path)) {
        let functions = functions(&source.code()).into_iter().filter(|(_, number)| *number > FUNCTION_LINES_MAX);
        long.extend(functions.map(|(name, _)| format!("{}: fn {name}", source.path)));
    }
    let new = long.iter().filter(|name| !LONG_FUNCTIONS.contains(&name.as_str()));
    let split = LONG_FUNCTIONS.iter().filter(|name| !long.iter().any(|long| long == **name));
    let new = new.map(|name| format!("{name} has more than {FUNCTION_LINES_MAX} lines"));
    complain(new.chain(split.map(|name| format!("{name} is short now: take it off the list"))).collect());
}

#[test]
fn modules_are_files_named_after_them() {
    complain(sources().into_iter().map(|s| s.path).filter(|path| path.ends_with("/mod.rs")).collect());
}

#[test]
fn every_file_says_what_it_is() {
    let silent = |source: &Source| !source.text.starts_with("//!") && !is_test(&source.path);
    complain(sources().into_iter().filter(silent).map(|source| source.path).collect());
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TODO", "FIXME", "XXX", "HACK"];
    let me = |source: &Source| source.path == "config/tests/tidy.rs";
    let left = |source: &Source| {
        let word = words.iter().find(|word| source.text.contains(**word))?;
        Some(format!("{}: {word}", source.path))
    };
    complain(sources().iter().filter(|s| !me(s)).filter_map(left).collect());
}

#[test]
fn no_test_is_switched_off() {
    let off = |source: &Source| source.code().contains("#[ignore");
    complain(sources().into_iter().filter(off).map(|source| source.path).collect());
}

#[test]
fn only_the_main_program_knows_the_control_thread() {
    let knows = |s: &Source| s.path.starts_with("appliance/src/") && s.code().contains("ringress_sync");
    let others = sources().into_iter().filter(knows).map(|s| s.path).filter(|path| path != "appliance/src/main.rs");
    complain(others.collect());
}

#[test]
fn config_does_no_io_and_knows_no_clock() {
    let words =
        ["std::fs", "std::io", "std::thread", "std::time::Instant", "SystemTime", "tokio", "monoio", "async fn"];
    let net = ["TcpStream", "TcpListener", "UdpSocket"];
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("config/src/")) {
        let code = source.code();
        let found = words.iter().chain(&net).filter(|word| code.contains(**word));
        faults.extend(found.map(|word| format!("{}: {word}", source.path)));
    }
    complain(faults);
}

#[test]
fn worker_code_knows_no_annotation_and_no_nginx() {
    let stages = ["worker", "http", "route", "policy", "upstream", "pool", "relay"];
    let is_worker = |path: &str| {
        let file = path.strip_prefix("appliance/src/").unwrap_or_default();
        stages.iter().any(|stage| file.strip_prefix(stage).is_some_and(|rest| rest.starts_with(['.', '/'])))
    };
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| is_worker(&source.path) && !is_test(&source.path)) {
        let text = without_tests(&source.text);
        let mut code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for (_, wire) in WIRE_TEXTS.iter().filter(|(file, _)| *file == source.path) {
            code = code.replace(wire, "");
        }
        for word in ["nginx", "annotation"] {
            if code.to_lowercase().contains(word) {
                faults.push(format!("{}: {word}", source.path));
            }
        }
    }
    complain(faults);
}

/// A reason that nobody counts would say forever that nothing is refused for it.
#[test]
fn every_reason_of_a_refusal_is_counted_somewhere() {
    let (counters, others): (Vec<_>, Vec<_>) =
        sources().into_iter().partition(|source| source.path == "appliance/src/metrics/counters.rs");
    let (_, reasons) = counters[0].text.split_once("pub enum Refused {").unwrap();
    let (reasons, _) = reasons.split_once("\n}").unwrap();
    let reasons: Vec<_> = reasons.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    assert!(reasons.len() > 10, "{reasons:?}");
    let others: Vec<_> = others.iter().filter(|source| !is_test(&source.path)).map(Source::code).collect();
    let is_counted =
        |reason: &&str| others.iter().any(|code| without_tests(code).contains(&format!("Refused::{reason}")));
    complain(
        reasons.into_iter().filter(|reason| !is_counted(reason)).map(|reason| format!("Refused::{reason}")).collect(),
    );
}

#[test]
fn this_test_reads_code_as_it_is() {
    let code =
        blank("let a = \"fn {\"; // fn {\nlet b = '{'; let c = r#\"\"{\"#; /* { */ let d: &'static str = '\\'';\n");
    assert!(!code.contains('{') && code.contains("&'static str"), "{code}");
    let found =
        functions("fn a() {\n    1\n}\n\ntrait T {\n    fn b();\n    fn c() {\n        2;\n        3\n    }\n}\n");
    assert_eq!(found, [("a".to_owned(), 2), ("c".to_owned(), 3)]);
}
