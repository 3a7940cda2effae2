//! A regular expression that is searched anywhere in a text and may give its groups.

mod from_start;

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use self::from_start::FromStart;
use super::PatternError;

/// Bytes that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Groups that a target can name.
pub const GROUPS_MAX: usize = 10;

/// A compiled expression; linear time, bounded size, on bytes.
#[derive(Clone, Debug)]
pub struct Search {
    text: Arc<str>,
    regex: Regex,
    /// The same from the start of a text, where it has a form that gives groups quickly.
    from_start: Option<Arc<FromStart>>,
}

/// The groups of a match, group 0 first; those that took no part are empty.
pub type Groups<'t> = [&'t [u8]; GROUPS_MAX];

impl Search {
    /// Compiles an expression; `blind_to_case` as nginx' `~*`.
    ///
    /// # Errors
    /// When it is broken, needs backtracking, or is too large.
    pub fn new(text: &str, blind_to_case: bool) -> Result<Self, PatternError> {
        let mut builder = RegexBuilder::new(text);
        builder.case_insensitive(blind_to_case).unicode(false).size_limit(COMPILED_BYTES_MAX);
        let regex = builder.build().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            other => PatternError::Syntax(other.to_string().lines().last().unwrap_or_default().trim().to_owned()),
        })?;
        Ok(Self { text: text.into(), regex, from_start: FromStart::new(text, blind_to_case).map(Arc::new) })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is found in `subject`.
    pub fn is_found(&self, subject: &[u8]) -> bool {
        self.regex.is_match(subject)
    }

    /// Its groups where it is found first.
    pub fn groups<'t>(&self, subject: &'t [u8]) -> Option<Groups<'t>> {
        // What is found at the start is found there first.
        let from_start = self.from_start.as_ref().and_then(|form| form.groups(subject));
        from_start.or_else(|| self.groups_anywhere(subject))
    }

    fn groups_anywhere<'t>(&self, subject: &'t [u8]) -> Option<Groups<'t>> {
        let captures = self.regex.captures(subject)?;
        let mut groups: Groups<'t> = [&[]; GROUPS_MAX];
        for (group, found) in groups.iter_mut().zip(captures.iter()) {
            *group = found.map_or(&[][..], |m| m.as_bytes());
        }
        Some(groups)
    }
}

/// The text says it all: equal texts compile alike.
impl PartialEq for Search {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Search {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_that_took_no_part_are_empty() {
        let search = Search::new("/app(/|$)(.*)", true).unwrap();
        let groups = search.groups(b"/APP/x/y").unwrap();
        assert_eq!((groups[1], groups[2], groups[3]), (&b"/"[..], &b"x/y"[..], &b""[..]));
        assert!(search.groups(b"/other").is_none());
    }

    proptest! {
        #[test]
        fn groups_are_the_same_from_the_start_and_by_searching(
            pattern in r"/?(a|b|/|\(/\|\$\)|\(\.\*\)|\(\.\+\)|\(\[a-b\]\*\)|\(b\)\?|\(a\|ab\)){1,5}\$?",
            subject in "[/abAB\n]{0,8}",
            blind_to_case: bool,
        ) {
            let search = Search::new(&pattern, blind_to_case).unwrap();
            prop_assert_eq!(search.groups(subject.as_bytes()), search.groups_anywhere(subject.as_bytes()));
        }
    }

    #[test]
    fn what_needs_backtracking_is_refused() {
        assert!(matches!(Search::new(r"(a)\1", false), Err(PatternError::Syntax(_))));
        assert_eq!(Search::new("(a{1000}){1000}", false).unwrap_err(), PatternError::TooLarge);
    }
}
