//! What must hold for whatever an object or an annotation holds; called by the fuzz targets and the property tests.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ringress_config::compile::Compiler;
use ringress_config::manifest;
use ringress_config::options::Options;
use ringress_config::snapshot::{Certificate, Pattern, Search};

/// What one small file or one expression may take, on a slow machine that checks what it does.
const PATIENCE: Duration = Duration::from_secs(20);
/// Paths that expressions are tried on.
const PATHS: [&[u8]; 7] =
    [b"/", b"/app", b"/APP/x", b"/a/b/c.d", b"/aaaaaaaaaaaaaaaaaaaaaaaa", b"/\xff\xfe/%", b"//x\n"];

static DEFAULT: LazyLock<Arc<Certificate>> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["default.test".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    Arc::new(Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None).expect("a pair"))
});

/// Any text as a file of manifests: it is read within bounds, served as far as it can be, and what is wrong is told of
/// an object. What was compiled does not change by itself, and goes away with its objects.
pub(crate) fn manifests(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let started = Instant::now();
    let content = manifest::parse(if choice & 1 == 0 { "all.yaml" } else { "all.json" }, text);
    let named = |finding: &ringress_config::diagnostics::Finding| !finding.message.is_empty();
    assert!(content.findings.iter().all(named));
    assert!(content.readable || !content.findings.is_empty(), "what cannot be read is told");
    let options = Options { assume_class: true, deep_inspect: choice & 2 == 2, ..Options::default() };
    let mut compiler = Compiler::new(options, Arc::clone(&DEFAULT));
    let references: Vec<_> = content.objects.iter().map(ringress_config::model::Object::reference).collect();
    content.objects.into_iter().for_each(|object| compiler.upsert(object));
    let first = compiler.compile();
    assert!(first.findings.iter().all(named));
    assert!(!compiler.compile().changed, "nothing has changed");
    references.iter().for_each(|reference| compiler.remove(reference));
    let empty = compiler.compile().snapshot;
    assert!(empty.hosts.exact.is_empty() && empty.hosts.wildcard.is_empty() && empty.hosts.with_tls == 0);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

/// Any text as a regular expression: it is refused, or matches what the `regex` crate matches, both in bounded time.
pub(crate) fn patterns(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let started = Instant::now();
    let second = regex::bytes::RegexBuilder::new(&format!("^{text}")).case_insensitive(true).unicode(false).build();
    if let Ok(pattern) = Pattern::new(&text.into()) {
        let second = second.expect("what is served is an expression for others too");
        for path in PATHS {
            assert_eq!(pattern.matches(path), second.is_match(path), "{text:?} on {path:?}");
        }
    }
    let standing_in = Pattern::literal_part(&text.into());
    assert!(PATHS.iter().filter(|path| standing_in.matches(path)).count() <= PATHS.len());
    for blind in [false, true] {
        let Ok(search) = Search::new(text, blind) else { continue };
        for path in PATHS {
            assert_eq!(search.groups(path).is_some(), search.is_found(path), "{text:?} on {path:?}");
        }
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}
