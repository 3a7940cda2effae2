//! Regex mode of a host: patterns in order, each behind a literal prefix that most requests fail on at once.
//!
//! Patterns become full automata where that stays small. An automaton is immutable and needs no scratch memory, so all
//! cores share it without a lock; only a pattern that is too large for one uses `Regex`, whose pool has locks.

use std::sync::Arc;

use regex_automata::dfa::Automaton as _;
use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::{PathMatch, Route};

/// Bytes that the automaton of one pattern may take.
const DFA_BYTES_MAX: usize = 128 << 10;
/// Bytes that building it may take.
const DETERMINIZE_BYTES_MAX: usize = 512 << 10;
/// Bytes that a compiled pattern of any kind may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Bytes of a pattern's text.
const PATTERN_TEXT_BYTES_MAX: usize = 4 << 10;

/// Why a path is no usable pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Broken, or of a kind that needs backtracking.
    #[error("is no regular expression that can be served (look-around and back-references cannot): {0}")]
    Syntax(String),
    /// Over a limit.
    #[error("is too large as a regular expression")]
    TooLarge,
}

/// One compiled pattern: a rule's path, case-insensitive, anchored at the start, open at the end, on bytes.
#[derive(Debug)]
pub struct Pattern {
    /// The path as written.
    text: Arc<str>,
    /// What every match starts with, in any case.
    prefix: Box<[u8]>,
    rest: Rest,
}

/// What is left to check after the prefix.
#[derive(Debug)]
enum Rest {
    /// Nothing.
    Nothing,
    Automaton(Box<Automaton>),
    /// Too large for an automaton.
    Regex(regex::bytes::Regex),
}

#[derive(Debug)]
struct Automaton {
    dfa: dense::DFA<Vec<u32>>,
    anchored: Anchored,
}

impl Pattern {
    /// Compiles a path.
    pub fn new(text: &Arc<str>) -> Result<Self, PatternError> {
        if text.len() > PATTERN_TEXT_BYTES_MAX {
            return Err(PatternError::TooLarge);
        }
        // As nginx has it: `a|b` is anchored at its first branch only.
        let anchored = format!("^{text}");
        let hir = parse(&anchored).map_err(PatternError::Syntax)?;
        let (prefix, is_whole) = literal_prefix(&hir);
        let rest = if is_whole { Rest::Nothing } else { Rest::new(&anchored, &hir)? };
        Ok(Self { text: Arc::clone(text), prefix, rest })
    }

    /// Stands in for a path that cannot be compiled: matches whatever starts with its literal part.
    pub fn literal_part(text: &Arc<str>) -> Self {
        let literal = text.split(|c: char| r"\.+*?()|[]{}^$".contains(c)).next().unwrap_or_default();
        Self { text: Arc::clone(text), prefix: literal.to_ascii_lowercase().into_bytes().into(), rest: Rest::Nothing }
    }

    /// The path as written.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether a normalised path matches.
    #[inline]
    pub fn matches(&self, path: &[u8]) -> bool {
        let starts = path.get(..self.prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.prefix));
        starts
            && match &self.rest {
                Rest::Nothing => true,
                Rest::Automaton(automaton) => automaton.matches(path),
                Rest::Regex(regex) => regex.is_match(path),
            }
    }
}

impl Rest {
    fn new(anchored: &str, hir: &Hir) -> Result<Self, PatternError> {
        if let Some(automaton) = Automaton::new(anchored, hir) {
            return Ok(Self::Automaton(Box::new(automaton)));
        }
        let mut builder = regex::bytes::RegexBuilder::new(anchored);
        let built = builder.case_insensitive(true).unicode(false).size_limit(PATTERN_BYTES_MAX).build();
        built.map(Self::Regex).map_err(|_| PatternError::TooLarge)
    }
}

impl Automaton {
    /// `None` if it would be too large.
    fn new(anchored: &str, hir: &Hir) -> Option<Self> {
        let (start, anchor) = match hir.properties().look_set_prefix().contains(Look::Start) {
            true => (StartKind::Anchored, Anchored::Yes),
            false => (StartKind::Unanchored, Anchored::No),
        };
        let config = dense::Config::new()
            .start_kind(start)
            .dfa_size_limit(Some(DFA_BYTES_MAX))
            .determinize_size_limit(Some(DETERMINIZE_BYTES_MAX));
        let dfa = dense::Builder::new()
            .configure(config)
            .syntax(syntax_config().case_insensitive(true))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(DETERMINIZE_BYTES_MAX)))
            .build(anchored)
            .ok()?;
        Some(Self { dfa, anchored: anchor })
    }

    #[inline]
    fn matches(&self, path: &[u8]) -> bool {
        let input = Input::new(path).anchored(self.anchored).earliest(true);
        // A search fails only on bytes that a Unicode word border cannot judge, and Unicode is off.
        matches!(self.dfa.try_search_fwd(&input), Ok(Some(_)))
    }
}

fn syntax_config() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

fn parse(anchored: &str) -> Result<Hir, String> {
    // Case is left alone here, so that literals stay literals.
    syntax::parse_with(anchored, &syntax_config()).map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// The bytes that every match starts with, lower case, and whether they are all there is to check: what may follow in a
/// pattern that is open at the end may be nothing, as in `/app/(.*)`.
fn literal_prefix(hir: &Hir) -> (Box<[u8]>, bool) {
    let lower = |bytes: &[u8]| bytes.to_ascii_lowercase().into_boxed_slice();
    let HirKind::Concat(parts) = hir.kind() else {
        return (Box::default(), false);
    };
    let may_be_nothing = |part: &Hir| {
        let properties = part.properties();
        properties.minimum_len() == Some(0) && properties.look_set().is_empty()
    };
    match &parts[..] {
        [start, literal, rest @ ..] if *start.kind() == HirKind::Look(Look::Start) => match literal.kind() {
            HirKind::Literal(literal) => (lower(&literal.0), rest.iter().all(may_be_nothing)),
            _ => (Box::default(), false),
        },
        _ => (Box::default(), false),
    }
}

/// Patterns with their routes, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct PatternTable {
    patterns: Box<[Arc<Pattern>]>,
    routes: Box<[Arc<Route>]>,
}

impl PatternTable {
    /// A table in this order.
    pub fn new(entries: impl IntoIterator<Item = (Arc<Pattern>, Arc<Route>)>) -> Self {
        let (patterns, routes): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        Self { patterns: patterns.into(), routes: routes.into() }
    }

    /// The route of the first pattern that matches a normalised path.
    #[inline]
    pub fn find(&self, path: &[u8]) -> PathMatch<'_> {
        let found = self.patterns.iter().position(|pattern| pattern.matches(path));
        found.map_or(PathMatch::None, |index| PathMatch::Route(&self.routes[index]))
    }

    /// The patterns in order.
    pub fn patterns(&self) -> &[Arc<Pattern>] {
        &self.patterns
    }

    /// The routes in the same order.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(&text.into()).unwrap()
    }

    #[test]
    fn anchored_at_the_start_open_at_the_end_and_blind_to_case() {
        for (text, yes, no) in [
            ("/foo", vec!["/foo", "/FOObar", "/foo/x"], vec!["/fo", "/x/foo", ""]),
            ("/id/[0-9]+$", vec!["/id/7", "/ID/77"], vec!["/id/7a", "/id/"]),
            ("/image/*", vec!["/image/a.png", "/IMAGE/x", "/imageryx"], vec!["/imag", "/x/image/"]),
            ("/app(/|$)(.*)", vec!["/app", "/app/", "/app/x"], vec!["/apple"]),
            (r"/a\.b", vec!["/a.b"], vec!["/axb"]),
            ("/ab?", vec!["/a", "/ab", "/ac"], vec!["/b"]),
            ("/a|b", vec!["/a", "/xb"], vec!["/x"]),
        ] {
            let pattern = pattern(text);
            yes.iter().for_each(|p| assert!(pattern.matches(p.as_bytes()), "{text} {p}"));
            no.iter().for_each(|p| assert!(!pattern.matches(p.as_bytes()), "{text} {p}"));
        }
    }

    #[test]
    fn plain_text_needs_no_automaton_and_the_rest_starts_with_its_prefix() {
        for text in ["/Foo/bar-1_x", "/(.*)", "/app/(.*)", "/image/*", "/a(b|c)?"] {
            assert!(matches!(pattern(text).rest, Rest::Nothing), "{text}");
        }
        for text in ["/app(/|$)(.*)", "/a(.*)$", "/a.+", r"/a\b", "/a[^/]"] {
            assert!(!matches!(pattern(text).rest, Rest::Nothing), "{text}");
        }
        assert_eq!(&*pattern("/Foo/[a-z]").prefix, b"/foo/");
        assert_eq!(&*pattern("/foo*").prefix, b"/fo");
        assert_eq!(&*pattern("/a|/b").prefix, b"");
        assert!(matches!(pattern("/foo/[a-z]{3}").rest, Rest::Automaton(_)));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_matched_as_bytes() {
        assert!(pattern("/a.c$").matches(b"/a\xffc"));
        assert!(pattern("/é").matches("/é".as_bytes()));
    }

    #[test]
    fn a_pattern_too_large_for_an_automaton_still_matches() {
        let large = pattern("/(a|b)*a(a|b){14}$");
        assert!(matches!(large.rest, Rest::Regex(_)));
        assert!(large.matches(b"/abbbbbbbbbbbbbb") && !large.matches(b"/bbbbbbbbbbbbbbb"));
    }

    #[test]
    fn what_needs_backtracking_or_is_broken_or_huge_is_refused() {
        for text in ["/(?!api)", "/(?<=a)b", r"/(a)\1", "/[", "/a(", "/[é]"] {
            let error = Pattern::new(&text.into()).unwrap_err();
            assert!(matches!(&error, PatternError::Syntax(m) if !m.contains('\n')), "{text} {error}");
        }
        assert_eq!(Pattern::new(&"/(a{1000}){1000}".into()).unwrap_err(), PatternError::TooLarge);
        assert_eq!(Pattern::new(&"/a".repeat(2049).into()).unwrap_err(), PatternError::TooLarge);
        assert!(Pattern::new(&"/a".repeat(2048).into()).is_ok());
    }

    #[test]
    fn the_stand_in_matches_the_literal_part() {
        let stand_in = Pattern::literal_part(&"/Api/(?!v1)".into());
        assert!(stand_in.matches(b"/api/v1") && !stand_in.matches(b"/ap"));
    }
}
