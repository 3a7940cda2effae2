//! Groups of an expression that is found at the start of a text, for the forms in which rewrites are written: without the
//! cost of a search, and without the locked pool inside `Regex`.

use regex_automata::dfa::onepass;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Class, Dot, Hir, HirKind, Look};

use super::{GROUPS_MAX, Groups};

/// Bytes that a one-pass automaton may take.
const ONE_PASS_BYTES_MAX: usize = 64 << 10;

/// An expression in a form that gives its groups quickly.
#[derive(Debug)]
pub(super) enum FromStart {
    /// `/app/(.*)`, `/app(/|$)(.*)`.
    Tail(Tail),
    /// Each byte leaves one way to go on: `/v1/([0-9]+)/(.*)`.
    OnePass(Box<onepass::DFA>),
}

/// A literal, then all the rest, with `(/|$)` between or without.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    literal: Box<[u8]>,
    blind_to_case: bool,
    has_border: bool,
}

impl FromStart {
    /// `None` where there is no such form of it.
    pub(super) fn new(text: &str, blind_to_case: bool) -> Option<Self> {
        let tail = Tail::new(text, blind_to_case).map(Self::Tail);
        tail.or_else(|| one_pass(text, blind_to_case).map(Box::new).map(Self::OnePass))
    }

    /// The groups; `None` when it is not found at the start.
    pub(super) fn groups<'t>(&self, subject: &'t [u8]) -> Option<Groups<'t>> {
        match self {
            Self::Tail(tail) => tail.groups(subject),
            Self::OnePass(dfa) => groups_by(dfa, subject),
        }
    }
}

impl Tail {
    fn new(text: &str, blind_to_case: bool) -> Option<Self> {
        // Case is left alone here, so that literals stay literals.
        let hir = syntax::parse_with(text, &syntax_config()).ok()?;
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let (literal, has_border) = match &**parts {
            [literal, tail] if is_tail(tail) => (literal, false),
            [literal, border, tail] if is_border(border) && is_tail(tail) => (literal, true),
            _ => return None,
        };
        let HirKind::Literal(literal) = literal.kind() else { return None };
        Some(Self { literal: literal.0.clone(), blind_to_case, has_border })
    }

    fn groups<'t>(&self, subject: &'t [u8]) -> Option<Groups<'t>> {
        let (start, rest) = subject.split_at_checked(self.literal.len())?;
        let is_same = *start == *self.literal || (self.blind_to_case && start.eq_ignore_ascii_case(&self.literal));
        if !is_same {
            return None;
        }
        let (border, rest) = match (self.has_border, rest) {
            (false, rest) => (&rest[..0], rest),
            (true, [b'/', tail @ ..]) => (&rest[..1], tail),
            (true, []) => (rest, rest),
            (true, _) => return None,
        };
        // A dot is no line feed.
        let tail = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        let mut groups: Groups<'t> = [&[]; GROUPS_MAX];
        groups[0] = &subject[..start.len() + border.len() + tail.len()];
        let at = if self.has_border { 2 } else { 1 };
        groups[1] = border;
        groups[at] = tail;
        Some(groups)
    }
}

/// `(.*)`
fn is_tail(hir: &Hir) -> bool {
    let HirKind::Capture(capture) = hir.kind() else { return false };
    let HirKind::Repetition(repetition) = capture.sub.kind() else { return false };
    let is_all = repetition.min == 0 && repetition.max.is_none() && repetition.greedy;
    is_all
        && matches!(repetition.sub.kind(), HirKind::Class(Class::Bytes(_)))
        && *repetition.sub == Hir::dot(Dot::AnyByteExceptLF)
}

/// `(/|$)`
fn is_border(hir: &Hir) -> bool {
    let HirKind::Capture(capture) = hir.kind() else { return false };
    let HirKind::Alternation(branches) = capture.sub.kind() else { return false };
    match &branches[..] {
        [slash, end] => *slash == Hir::literal(*b"/") && *end == Hir::look(Look::End),
        _ => false,
    }
}

fn one_pass(text: &str, blind_to_case: bool) -> Option<onepass::DFA> {
    onepass::Builder::new()
        .configure(onepass::Config::new().size_limit(Some(ONE_PASS_BYTES_MAX)))
        .syntax(syntax_config().case_insensitive(blind_to_case))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(ONE_PASS_BYTES_MAX)))
        .build(text)
        .ok()
}

fn groups_by<'t>(dfa: &onepass::DFA, subject: &'t [u8]) -> Option<Groups<'t>> {
    let mut slots = [None; 2 * GROUPS_MAX];
    let input = Input::new(subject).anchored(Anchored::Yes);
    // A search fails only when it is not anchored.
    dfa.try_search_slots(&mut dfa.create_cache(), &input, &mut slots).ok()??;
    let mut groups: Groups<'t> = [&[]; GROUPS_MAX];
    for (group, ends) in groups.iter_mut().zip(slots.as_chunks::<2>().0) {
        if let [Some(start), Some(end)] = ends {
            *group = &subject[start.get()..end.get()];
        }
    }
    Some(groups)
}

fn syntax_config() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_rewrites_have_a_quick_form() {
        let form = |text: &str| FromStart::new(text, true);
        for (text, literal, has_border) in
            [("/(.*)", "/", false), ("/app/(.*)", "/app/", false), ("/App(/|$)(.*)", "/App", true)]
        {
            let tail = Tail { literal: literal.as_bytes().into(), blind_to_case: true, has_border };
            assert!(matches!(form(text), Some(FromStart::Tail(found)) if found == tail), "{text}");
        }
        for text in ["/v1/([0-9]+)/(.*)", "/app/(.+)", "/((?:a|b)c)", "/a(/|b)(.*)", "/app/(.*)$"] {
            assert!(matches!(form(text), Some(FromStart::OnePass(_))), "{text}");
        }
        for text in ["(.*)b(.*)", "/a($|/)(.*)"] {
            assert!(form(text).is_none(), "{text}");
        }
    }
}
