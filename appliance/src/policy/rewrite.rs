//! A replaced target (reference 3.5): the whole path becomes the template's text, the query stays.

use ringress_config::snapshot::{Rewrite, Route};

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
    template::render(&rewrite.target, request, route, Some(&groups), &mut target);
    if let Some(prefix) = &rewrite.prefix {
        let render = |out: &mut Vec<u8>| template::render(prefix, request, route, Some(&groups), out);
        shaping.request.set_with(b"X-Forwarded-Prefix", render);
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
