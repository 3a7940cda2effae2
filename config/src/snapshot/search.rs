//! A regular expression that is searched anywhere in a text and may give its groups.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

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
        Ok(Self { text: text.into(), regex })
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
    use super::*;

    #[test]
    fn groups_that_took_no_part_are_empty() {
        let search = Search::new("/app(/|$)(.*)", true).unwrap();
        let groups = search.groups(b"/APP/x/y").unwrap();
        assert_eq!((groups[1], groups[2], groups[3]), (&b"/"[..], &b"x/y"[..], &b""[..]));
        assert!(search.groups(b"/other").is_none());
    }

    #[test]
    fn what_needs_backtracking_is_refused() {
        assert!(matches!(Search::new(r"(a)\1", false), Err(PatternError::Syntax(_))));
        assert_eq!(Search::new("(a{1000}){1000}", false).unwrap_err(), PatternError::TooLarge);
    }
}
