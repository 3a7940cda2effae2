//! A replaced target (reference 3.5): the whole path becomes the template's text, the query stays.

use std::borrow::Cow;
use std::io::Write as _;

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
    // The groups are of the decoded path: what would end a path or begin an escape there is written as an escape again, and
    // in a redirect whatever is none of a URL. All of them lie in the first, which nearly always is clean.
    let is_redirect = rewrite.target.is_url();
    let fits = if is_redirect { fits_url } else { fits_path };
    let is_clean = match is_redirect {
        true => groups[0].iter().all(|byte| fits_url(*byte)),
        false => memchr::memchr3(b'?', b'#', b'%', groups[0]).is_none(),
    };
    if is_clean {
        template::render(&rewrite.target, request, route, Some(&groups), &mut target);
    } else {
        let escaped = groups.map(|text| escape(text, fits));
        let fitting: Groups<'_> = std::array::from_fn(|n| &*escaped[n]);
        template::render(&rewrite.target, request, route, Some(&fitting), &mut target);
    }
    if let Some(prefix) = &rewrite.prefix {
        let render = |out: &mut Vec<u8>| template::render(prefix, request, route, Some(&groups), out);
        shaping.request.set_token_with(b"X-Forwarded-Prefix", render);
    }
    if let Some(query) = request.head.query(request.bytes) {
        target.push(if memchr::memchr(b'?', &target).is_some() { b'&' } else { b'?' });
        target.extend_from_slice(query);
    }
    if is_redirect {
        return Err(Answer::redirect(302, target));
    }
    if !target.starts_with(b"/") {
        target.insert(0, b'/');
    }
    shaping.target = Some(target);
    Ok(())
}

/// Whether a byte of a decoded path is written as it stands in another path.
fn fits_path(byte: u8) -> bool {
    !matches!(byte, b'?' | b'#' | b'%')
}

/// Whether it is in a URL that a client is sent to.
fn fits_url(byte: u8) -> bool {
    fits_path(byte) && byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
}

/// A part of a decoded path, with what does not fit as escapes.
fn escape(text: &[u8], fits: fn(u8) -> bool) -> Cow<'_, [u8]> {
    if text.iter().all(|byte| fits(*byte)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        match fits(byte) {
            true => escaped.push(byte),
            false => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    Cow::Owned(escaped)
}
