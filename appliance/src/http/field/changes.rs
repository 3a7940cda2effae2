//! What configuration, policies and other services change in the fields of a head.

use std::ops::Range;

use super::{is_listed, is_token, write_mended};

const SEPARATOR: &[u8] = b": ";
const LINE_END: &[u8] = b"\r\n";

/// Bytes of lines that a head gets without growing; most need less.
const LINES_BYTES: usize = 256;
/// Names likewise.
const NAMES: usize = 8;

/// Lines to write, and the names of fields that do not pass.
///
/// Lines are whole once the change is made, so that a head that is written again, for the next attempt, copies them as
/// they stand. A name that is no token makes no line, and control characters in values become blanks: nothing that is
/// said here can end its line. Free of allocations while there is nothing to change.
#[derive(Clone, Debug, Default)]
pub struct Changes<'a> {
    lines: Vec<u8>,
    names: Vec<&'a [u8]>,
    /// One bit for each of `names`, by [`bit`]: most fields of a head are told apart from all of them by it.
    bits: u64,
}

/// How far changes had come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    names: usize,
    bits: u64,
}

/// The bit of a name: its length and its first letter.
#[inline]
fn bit(name: &[u8]) -> u64 {
    let first = name.first().map_or(0, |byte| usize::from(byte | 0x20));
    1 << ((name.len() ^ first) & 63)
}

impl Changes<'_> {
    /// Nothing is changed.
    pub const NONE: &'static Changes<'static> = &Changes { lines: Vec::new(), names: Vec::new(), bits: 0 };
}

impl<'a> Changes<'a> {
    /// Writes a field in place of those of the same name.
    pub fn set(&mut self, name: &'a [u8], value: &[u8]) {
        self.set_with(name, |out| out.extend_from_slice(value));
    }

    /// The same, with a value that is appended where it belongs. As with nginx, a field whose value comes to nothing is
    /// not written at all.
    pub(crate) fn set_with(&mut self, name: &'a [u8], value: impl FnOnce(&mut Vec<u8>)) {
        if is_token(name) {
            self.set_token_with(name, value);
        } else {
            self.remove(name);
        }
    }

    /// The same for a name that is known to be a token, as those of rules are, which were checked when they were read.
    pub(crate) fn set_token_with(&mut self, name: &'a [u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.take_back(name);
        self.set_new_token_with(name, value);
    }

    /// The same for a name that was not set before.
    pub(crate) fn set_new_token_with(&mut self, name: &'a [u8], value: impl FnOnce(&mut Vec<u8>)) {
        let before = self.lines.len();
        self.add_token_with(name, value);
        if self.lines.len() - before == name.len() + SEPARATOR.len() + LINE_END.len() {
            self.lines.truncate(before);
        }
        self.remove(name);
    }

    /// Writes a field beside those of the same name.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.add_with(name, |out| out.extend_from_slice(value));
    }

    /// The same, with a value that is appended where it belongs.
    pub(crate) fn add_with(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        if is_token(name) {
            self.add_token_with(name, value);
        }
    }

    /// The same for a name that is known to be a token.
    pub(crate) fn add_token_with(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(is_token(name), "a name that was checked");
        if self.lines.capacity() == 0 {
            self.lines = Vec::with_capacity(LINES_BYTES);
        }
        self.lines.extend_from_slice(name);
        self.lines.extend_from_slice(SEPARATOR);
        write_mended(&mut self.lines, value);
        self.lines.extend_from_slice(LINE_END);
    }

    /// Whether a field of this name is written in place of others.
    #[inline]
    pub(crate) fn sets(&self, name: &[u8]) -> bool {
        self.had_set(self.mark(), name)
    }

    /// What has been set and removed so far.
    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark { names: self.names.len(), bits: self.bits }
    }

    /// Whether a field of this name was written in place of others before `mark`.
    #[inline]
    pub(crate) fn had_set(&self, mark: Mark, name: &[u8]) -> bool {
        self.had_stopped(mark, name) && self.line_of(name).is_some()
    }

    /// Lines of this name that were set are not written after all.
    fn take_back(&mut self, name: &[u8]) {
        while self.stop(name)
            && let Some(line) = self.line_of(name)
        {
            self.lines.drain(line);
        }
    }

    /// Where the first line of this name stands.
    #[cold]
    fn line_of(&self, name: &[u8]) -> Option<Range<usize>> {
        let mut from = 0;
        while let Some(end) = memchr::memmem::find(&self.lines[from..], LINE_END) {
            let line = from..from + end + LINE_END.len();
            let parts = self.lines[line.clone()].split_at_checked(name.len());
            if parts.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name) && rest.starts_with(SEPARATOR)) {
                return Some(line);
            }
            from = line.end;
        }
        None
    }

    /// Fields of this name do not pass.
    pub fn remove(&mut self, name: &'a [u8]) {
        if self.names.capacity() == 0 {
            self.names = Vec::with_capacity(NAMES);
        }
        self.names.push(name);
        self.bits |= bit(name);
    }

    /// Whether every field passes.
    #[inline]
    pub fn let_all_pass(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether fields of this name do not pass, be it that another is written in their place.
    #[inline]
    pub fn stop(&self, name: &[u8]) -> bool {
        self.had_stopped(self.mark(), name)
    }

    #[inline]
    fn had_stopped(&self, mark: Mark, name: &[u8]) -> bool {
        mark.bits & bit(name) != 0 && is_listed(self.names[..mark.names].iter().copied(), name)
    }

    /// The lines to write, each with its end.
    #[inline]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_stops_its_name_and_what_is_added_does_not() {
        let mut changes = Changes::default();
        assert!(changes.let_all_pass() && changes.lines().is_empty());
        changes.add(b"Vary", b"Origin");
        assert!(changes.let_all_pass());
        changes.set(b"X-One", b"1");
        changes.remove(b"X-Two");
        assert_eq!(changes.lines(), b"Vary: Origin\r\nX-One: 1\r\n");
        for (name, stops) in [("x-one", true), ("X-TWO", true), ("Vary", false), ("X-Six", false), ("", false)] {
            assert_eq!(changes.stop(name.as_bytes()), stops, "{name}");
        }
    }

    #[test]
    fn what_is_set_last_is_set_and_what_is_only_removed_is_not() {
        let mut changes = Changes::default();
        changes.add(b"Vary", b"Origin");
        changes.set(b"X-One", b"1");
        changes.set(b"A", b"a");
        changes.set(b"x-one", b"2");
        changes.remove(b"X-Two");
        assert_eq!(changes.lines(), b"Vary: Origin\r\nA: a\r\nx-one: 2\r\n");
        for (name, sets) in [("X-One", true), ("a", true), ("X-Two", false), ("Vary", false), ("X", false)] {
            assert_eq!(changes.sets(name.as_bytes()), sets, "{name}");
        }
        let mark = changes.mark();
        changes.set(b"B", b"b");
        assert_eq!(
            [&b"a"[..], b"x-one", b"b", b"x-two"].map(|name| changes.had_set(mark, name)),
            [true, true, false, false]
        );
        changes.set(b"X-One", b"");
        assert!(!changes.sets(b"X-One") && changes.stop(b"X-One"));
    }

    #[test]
    fn nothing_that_is_said_can_end_its_line() {
        let mut changes = Changes::default();
        changes.set(b"A", b"b\r\nEvil: 1\0");
        changes.set(b"B\r\nC", b"d");
        changes.add(b"", b"e");
        changes.add_with(b"F", |out| out.extend_from_slice(b"g\n"));
        assert_eq!(changes.lines(), b"A: b  Evil: 1 \r\nF: g \r\n");
    }
}
