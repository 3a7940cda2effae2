//! A replaced target (reference 3.5): the whole path becomes the template's text, the query stays.

use std::borrow::Cow;

use ringress_config::snapshot::{Groups, Rewrite, Route};

use super::{Answer, Request, Shaping, template};

/// Bytes that most targets do with.
const TARGET_BYTES: usize = 128;

/// Puts the new target into `shaping`.
///
/// # Errors
/// A target with a scheme is a redirect.
pub(super) fn run<'s>(
    rewrite: &Rewrite,
    request: &Request<'_>,
    route: &'s Route,
    shaping: &mut Shaping<'s>,
) -> Result<(), Answer> {
    let Some(groups) = rewrite.pattern.groups(request.path) else { return Ok(()) };
    let mut target = Vec::with_capacity(TARGET_BYTES);
    // The groups are of the decoded path: what would end a path or begin an escape there is written as an escape again.
    // All of them lie in the first, which nearly always is clean.
    if is_clean(groups[0]) {
        template::render(&rewrite.target, request, route, Some(&groups), &mut target);
    } else {
        let escaped = groups.map(escape_in_path);
        let in_path: Groups<'_> = std::array::from_fn(|n| &*escaped[n]);
        template::render(&rewrite.target, request, route, Some(&in_path), &mut target);
    }
    if let Some(prefix) = &rewrite.prefix {
        let render = |out: &mut Vec<u8>| template::render(prefix, request, route, Some(&groups), out);
        shaping.request.set_token_with(b"X-Forwarded-Prefix", render);
    }
    if let Some(query) = request.head.query(request.bytes) {
        target.push(if memchr::memchr(b'?', &target).is_some() { b'&' } else { b'?' });
        target.extend_from_slice(query);
    }
    if target.starts_with(b"http://") || target.starts_with(b"https://") {
        return Err(Answer::redirect(302, target));
    }
    if !target.starts_with(b"/") {
        target.insert(0, b'/');
    }
    shaping.target = Some(target);
    Ok(())
}

/// Whether a part of a decoded path is written as it stands.
fn is_clean(text: &[u8]) -> bool {
    memchr::memchr3(b'?', b'#', b'%', text).is_none()
}

/// `?`, `#` and `%` of a decoded path as escapes.
fn escape_in_path(text: &[u8]) -> Cow<'_, [u8]> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        match byte {
            b'?' => escaped.extend_from_slice(b"%3F"),
            b'#' => escaped.extend_from_slice(b"%23"),
            b'%' => escaped.extend_from_slice(b"%25"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}
