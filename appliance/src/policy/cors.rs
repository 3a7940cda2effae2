//! Cross-origin resource sharing (reference 3.16): preflights answered here, fields on every answer.

use ringress_config::snapshot::{Cors, OriginPattern, Origins};

use super::{Answer, Request, Shaping};
use crate::http::field::FieldId;
use crate::http::framing::write_decimal;
use crate::http::request::Method;

/// Adds the fields of an allowed origin to whatever is answered; a preflight of one is answered at once.
pub(super) fn run(cors: &Cors, request: &Request<'_>, shaping: &mut Shaping<'_>) -> Option<Answer> {
    let origin = request.head.find(request.bytes, FieldId::Origin);
    let allowed = match (&cors.origins, origin) {
        (Origins::Any, _) => &b"*"[..],
        (Origins::List(list), Some(origin)) if list.iter().any(|pattern| allows(pattern, origin)) => {
            // What is answered depends on the origin: caches must know (nginx does not say so).
            shaping.response.add(b"Vary", b"Origin");
            origin
        }
        (Origins::List(_), _) => return None,
    };
    // Nothing else has set fields of the response yet.
    let response = &mut shaping.response;
    let mut set = |name, value: &[u8]| response.set_new_token_with(name, |out| out.extend_from_slice(value));
    set(b"Access-Control-Allow-Origin", allowed);
    if cors.credentials {
        set(b"Access-Control-Allow-Credentials", b"true");
    }
    set(b"Access-Control-Allow-Methods", cors.methods.as_bytes());
    set(b"Access-Control-Allow-Headers", cors.headers.as_bytes());
    if !cors.expose.is_empty() {
        set(b"Access-Control-Expose-Headers", cors.expose.as_bytes());
    }
    response.set_new_token_with(b"Access-Control-Max-Age", |out| {
        if cors.max_age < 0 {
            out.push(b'-');
        }
        write_decimal(out, cors.max_age.unsigned_abs().into());
    });
    (request.head.method == Method::Options).then(|| Answer::status(204))
}

fn allows(pattern: &OriginPattern, origin: &[u8]) -> bool {
    match pattern {
        OriginPattern::Exact(exact) => origin.eq_ignore_ascii_case(exact.as_bytes()),
        OriginPattern::OneLabel { before, after } => {
            let (before, after) = (before.as_bytes(), after.as_bytes());
            let Some(label) = origin.len().checked_sub(before.len() + after.len()) else { return false };
            let (start, rest) = origin.split_at(before.len());
            let (label, end) = rest.split_at(label);
            start.eq_ignore_ascii_case(before)
                && end.eq_ignore_ascii_case(after)
                && !label.is_empty()
                && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        let pattern = OriginPattern::OneLabel { before: "https://".into(), after: ".two.test:8443".into() };
        assert!(allows(&pattern, b"https://x.two.test:8443"));
        for origin in
            ["https://x.y.two.test:8443", "https://x.two.test", "https://.two.test:8443", "http://x.two.test:8443", ""]
        {
            assert!(!allows(&pattern, origin.as_bytes()), "{origin}");
        }
    }

    #[test]
    fn an_exact_origin_has_no_open_end() {
        let pattern = OriginPattern::Exact("https://one.test".into());
        assert!(allows(&pattern, b"https://ONE.test") && !allows(&pattern, b"https://one.test.evil.test"));
    }
}
