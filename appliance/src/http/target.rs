//! The request target: its form, and the path that is routed.
//!
//! The path goes upstream as it was sent; the route is chosen by the normalised form, as nginx makes it: decoded once,
//! slashes merged, dot segments resolved. Where an upstream that decodes or merges differently would arrive at another
//! place in the tree, the request is refused.

use thiserror::Error;

/// A path that the upstream could understand as another one than the proxy routed. Answered 400.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadTarget {
    /// `%` without two hex digits.
    #[error("malformed percent-encoding in the path")]
    Encoding,
    /// `%00`.
    #[error("encoded NUL in the path")]
    Nul,
    /// `..` above the root.
    #[error("the path climbs above its root")]
    AboveRoot,
    /// A dot segment that shows only when an encoded slash, a backslash or `;` is taken as a separator, or that goes back
    /// over one of these or over an empty segment.
    #[error("ambiguous dot segment")]
    AmbiguousDotSegment,
}

impl BadTarget {
    /// Stable word for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Encoding => "path_encoding",
            Self::Nul => "path_nul",
            Self::AboveRoot => "path_above_root",
            Self::AmbiguousDotSegment => "path_ambiguous",
        }
    }
}

/// Where the parts of a target in origin-form are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Length of the path.
    pub(super) path_bytes: usize,
    /// A `?` follows the path.
    pub(super) has_query: bool,
    /// The path is its own normalised form.
    pub(super) is_normal: bool,
}

const ORDINARY: u8 = 0;
const REFUSED: u8 = 1;
const QUESTION_MARK: u8 = 2;
const ENCODED: u8 = 3;
const DOT_OR_SLASH: u8 = 4;

const PATH_CLASS: [u8; 256] = {
    let mut table = [ORDINARY; 256];
    let mut control_or_blank = 0;
    while control_or_blank <= b' ' as usize {
        table[control_or_blank] = REFUSED;
        control_or_blank += 1;
    }
    table[0x7f] = REFUSED;
    table[b'#' as usize] = REFUSED;
    table[b'?' as usize] = QUESTION_MARK;
    table[b'%' as usize] = ENCODED;
    table[b'\\' as usize] = ENCODED;
    table[b'.' as usize] = DOT_OR_SLASH;
    table[b'/' as usize] = DOT_OR_SLASH;
    table
};

/// Looks over a target that starts with `/` (or is the nothing behind an authority). `None` when a blank or a fragment is in
/// it. The scan for lines lets no control character through but HTAB.
pub(super) fn shape(target: &[u8]) -> Option<Shape> {
    let mut is_normal = true;
    let mut before = 0;
    for (index, &byte) in target.iter().enumerate() {
        match PATH_CLASS[usize::from(byte)] {
            ORDINARY => {}
            // `//`, `/.`: something to merge, or a segment that starts with a dot.
            DOT_OR_SLASH => is_normal &= before != b'/',
            ENCODED => is_normal = false,
            QUESTION_MARK => {
                let query = &target[index + 1..];
                let refused = memchr::memchr3(b' ', b'\t', b'#', query).is_some();
                return (!refused).then_some(Shape { path_bytes: index, has_query: true, is_normal });
            }
            _ => return None,
        }
        before = byte;
    }
    Some(Shape { path_bytes: target.len(), has_query: false, is_normal })
}

/// Decodes `path` once, merges slashes and resolves dot segments. Borrows when nothing is to do.
pub fn normalise<'b>(path: &'b [u8], scratch: &'b mut Vec<u8>) -> Result<&'b [u8], BadTarget> {
    match shape(path) {
        Some(Shape { is_normal: true, has_query: false, .. }) if path.first() == Some(&b'/') => Ok(path),
        _ => rebuild(path, scratch),
    }
}

fn rebuild<'b>(path: &[u8], scratch: &'b mut Vec<u8>) -> Result<&'b [u8], BadTarget> {
    scratch.clear();
    scratch.push(b'/');
    let mut resolver = Resolver { path: scratch, ambiguous_until: 1 };
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let mut after_empty = false;
    let mut segments = relative.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment.is_empty() {
            after_empty = true;
            continue;
        }
        resolver.segment(segment, is_last, after_empty)?;
        after_empty = false;
    }
    Ok(scratch)
}

/// A normalised path in the making; always ends with `/` between segments.
struct Resolver<'s> {
    path: &'s mut Vec<u8>,
    /// `..` may not go back to before this length: a segment ends there that upstreams may split differently.
    ambiguous_until: usize,
}

impl Resolver<'_> {
    fn segment(&mut self, segment: &[u8], is_last: bool, after_empty: bool) -> Result<(), BadTarget> {
        let start = self.path.len();
        let was_split = self.append_decoded(segment)?;
        match &self.path[start..] {
            b"." if !was_split => self.path.truncate(start),
            b".." if !was_split => {
                self.path.truncate(start);
                self.pop(after_empty)?;
            }
            _ => {
                if was_split {
                    self.ambiguous_until = self.path.len();
                }
                if !is_last && self.path.last() != Some(&b'/') {
                    self.path.push(b'/');
                }
            }
        }
        Ok(())
    }

    /// Takes the last segment away.
    fn pop(&mut self, after_empty: bool) -> Result<(), BadTarget> {
        let Some((_, kept)) = self.path.split_last().filter(|(_, kept)| !kept.is_empty()) else {
            return Err(BadTarget::AboveRoot);
        };
        let parent = kept.iter().rposition(|&byte| byte == b'/').map_or(1, |slash| slash + 1);
        if after_empty || parent < self.ambiguous_until {
            return Err(BadTarget::AmbiguousDotSegment);
        }
        self.path.truncate(parent);
        Ok(())
    }

    /// Appends the decoded segment; true when it holds something that others take for a separator.
    fn append_decoded(&mut self, segment: &[u8]) -> Result<bool, BadTarget> {
        let mut was_split = false;
        let mut part = self.path.len();
        let mut rest = segment;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            let mut decoded = byte;
            if byte == b'%' {
                let (&[high, low], behind) = rest.split_first_chunk().ok_or(BadTarget::Encoding)?;
                decoded = hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low).ok_or(BadTarget::Encoding)?;
                rest = behind;
            }
            match decoded {
                0 => return Err(BadTarget::Nul),
                b'/' | b'\\' | b';' => {
                    self.refuse_dots(part)?;
                    was_split |= decoded != b';';
                    // A slash merges with one before it, as nginx does.
                    if decoded != b'/' || self.path.last() != Some(&b'/') {
                        self.path.push(decoded);
                    }
                    part = self.path.len();
                }
                _ => self.path.push(decoded),
            }
        }
        if was_split {
            self.refuse_dots(part)?;
        }
        Ok(was_split)
    }

    fn refuse_dots(&self, part: usize) -> Result<(), BadTarget> {
        match &self.path[part..] {
            b"." | b".." => Err(BadTarget::AmbiguousDotSegment),
            _ => Ok(()),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// Appends a target that was made by a rewrite: what may not stand in a request line is percent-encoded.
pub(super) fn write_escaped(out: &mut Vec<u8>, target: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let is_escaped = |byte: u8| byte <= b' ' || byte >= 0x7f || byte == b'#';
    // Nearly always there is nothing to do: all are looked at, without a branch for each.
    if !target.iter().fold(false, |found, &byte| found | is_escaped(byte)) {
        return out.extend_from_slice(target);
    }
    for &byte in target {
        if is_escaped(byte) {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> Result<String, BadTarget> {
        let mut scratch = Vec::new();
        normalise(path.as_bytes(), &mut scratch).map(|path| String::from_utf8_lossy(path).into_owned())
    }

    #[test]
    fn paths_are_normalised_as_nginx_does() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//x/./y/../z", "/x/z"),
            ("/x/%7Ez", "/x/~z"),
            ("//", "/"),
            ("/a//b///c", "/a/b/c"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/../", "/"),
            ("/./", "/"),
            ("/.", "/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a/..b", "/a/..b"),
            ("/a.b", "/a.b"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a%2Fb", "/a/b"),
            ("/a/%2Fb", "/a/b"),
            ("/a%2F/b", "/a/b"),
            ("/a%5Cb", "/a\\b"),
            ("/a;b/c", "/a;b/c"),
            ("/%252e%252e/x", "/%2e%2e/x"),
            ("/a%3Fb%23c", "/a?b#c"),
            ("/%C3%A4", "/ä"),
            ("/a%0d%0ab", "/a\r\nb"),
            ("/a+b", "/a+b"),
        ] {
            assert_eq!(normal(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn paths_that_another_parser_could_read_differently_are_refused() {
        for (path, error) in [
            ("/..", BadTarget::AboveRoot),
            ("/../a", BadTarget::AboveRoot),
            ("/%2e%2E/", BadTarget::AboveRoot),
            ("/a/../../b", BadTarget::AboveRoot),
            ("/%00", BadTarget::Nul),
            ("/a%00b", BadTarget::Nul),
            ("/%", BadTarget::Encoding),
            ("/%4", BadTarget::Encoding),
            ("/%zz", BadTarget::Encoding),
            ("/%+1", BadTarget::Encoding),
            ("/a/..%2fb", BadTarget::AmbiguousDotSegment),
            ("/a%2F..", BadTarget::AmbiguousDotSegment),
            ("/a%2f../b", BadTarget::AmbiguousDotSegment),
            ("/a%2f.%2fb", BadTarget::AmbiguousDotSegment),
            ("/a/..%5Cb", BadTarget::AmbiguousDotSegment),
            ("/a/%2e%2e%2fb", BadTarget::AmbiguousDotSegment),
            ("/a\\..\\b", BadTarget::AmbiguousDotSegment),
            ("/..\\a", BadTarget::AmbiguousDotSegment),
            ("/a/..;/b", BadTarget::AmbiguousDotSegment),
            ("/a/..;x=1/b", BadTarget::AmbiguousDotSegment),
            ("/a/%2e%2e%3b/b", BadTarget::AmbiguousDotSegment),
            ("/a%2Fb/../c", BadTarget::AmbiguousDotSegment),
            ("/a\\b/..", BadTarget::AmbiguousDotSegment),
            ("/a//../b", BadTarget::AmbiguousDotSegment),
        ] {
            assert_eq!(normal(path), Err(error), "{path}");
        }
    }

    #[test]
    fn dot_segments_beside_ambiguous_segments_pass() {
        assert_eq!(normal("/a%2Fb/c/../d").as_deref(), Ok("/a/b/d"));
        assert_eq!(normal("/a/../b%2Fc").as_deref(), Ok("/b/c"));
    }

    #[test]
    fn control_characters_and_blanks_are_in_no_target() {
        for target in ["/a b", "/a\tb", "/a\0", "/a\x7f", "/a#", "/?a b", "/?a\tb", "/?#"] {
            assert_eq!(shape(target.as_bytes()), None, "{target:?}");
        }
        assert_eq!(normal("/a\0b"), Err(BadTarget::Nul));
    }

    #[test]
    fn nothing_is_copied_when_nothing_is_to_do() {
        let mut scratch = vec![1];
        assert_eq!(normalise(b"/a/b.c", &mut scratch), Ok(b"/a/b.c".as_slice()));
        assert_eq!(scratch, [1]);
    }

    #[test]
    fn rewritten_targets_cannot_leave_the_request_line() {
        let mut out = Vec::new();
        write_escaped(&mut out, b"/a b\r\nc\0#\xc3?x=%20");
        assert_eq!(out, b"/a%20b%0D%0Ac%00%23%C3?x=%20");
    }
}
