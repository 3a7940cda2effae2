//! What an upstream says about where it is, in words that a client can use: `Location`, `Refresh`, `Set-Cookie`.

use std::borrow::Cow;

use ringress_config::snapshot::{Replacement, Template, UpstreamWords};

use crate::http::field::{Changes, FieldId};
use crate::http::response::ResponseHead;

/// What is replaced by what, for one request.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    redirect: Option<Pair<'a>>,
    cookie_domain: Option<Pair<'a>>,
    cookie_path: Option<Pair<'a>>,
}

/// From, to.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Words<'a> {
    /// `render` says what texts with variables come to.
    pub(crate) fn of(words: &'a UpstreamWords, render: impl Fn(&Template, &mut Vec<u8>)) -> Self {
        let text = |template: &'a Template| match template.as_literal() {
            Some(literal) => Cow::Borrowed(literal.as_bytes()),
            None => {
                let mut text = Vec::new();
                render(template, &mut text);
                Cow::Owned(text)
            }
        };
        let pair = |pair: &'a Option<Replacement>| {
            let Replacement { from, to } = pair.as_ref()?;
            Some((text(from), text(to)))
        };
        Self {
            redirect: pair(&words.redirect),
            cookie_domain: pair(&words.cookie_domain),
            cookie_path: pair(&words.cookie_path),
        }
    }
}

/// The fields that differ from the upstream's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewritten {
    location: Option<Vec<u8>>,
    refresh: Option<Vec<u8>>,
    /// All cookies, once one of them differs.
    cookies: Vec<Vec<u8>>,
}

impl Rewritten {
    /// Whether a response has any of these fields; most have not.
    pub(crate) fn is_of(head: &ResponseHead) -> bool {
        [FieldId::Location, FieldId::Refresh, FieldId::SetCookie].iter().any(|id| head.has(*id))
    }

    /// What is to be written in place of the upstream's fields.
    pub(crate) fn of(words: &Words<'_>, head: &ResponseHead, bytes: &[u8]) -> Self {
        let mut rewritten = Self::default();
        if let Some((from, to)) = &words.redirect {
            let replaced = |text: &[u8]| Some([&to[..], text.strip_prefix(&from[..])?].concat());
            rewritten.location = head.find(bytes, FieldId::Location).and_then(replaced);
            rewritten.refresh = head.find(bytes, FieldId::Refresh).and_then(|text| {
                let at = text.to_ascii_lowercase().windows(4).position(|window| window == b"url=")? + 4;
                Some([&text[..at], &replaced(&text[at..])?].concat())
            });
        }
        if words.cookie_domain.is_some() || words.cookie_path.is_some() {
            let of_cookies = head.fields().iter().filter(|field| field.id == FieldId::SetCookie);
            let sent = || of_cookies.clone().map(|field| field.value.of(bytes));
            let cookies: Vec<_> = sent().map(|text| cookie(words, text)).collect();
            if sent().ne(cookies.iter().map(Vec::as_slice)) {
                rewritten.cookies = cookies;
            }
        }
        rewritten
    }

    /// Adds itself to what is changed; what the operator says of a field is not the upstream's word any more.
    pub(crate) fn join(&self, operator: &Changes<'_>, changes: &mut Changes<'_>) {
        for (name, value) in [(&b"Location"[..], &self.location), (b"Refresh", &self.refresh)] {
            if let Some(value) = value.as_ref().filter(|_| !operator.stop(name)) {
                changes.set(name, value);
            }
        }
        if !self.cookies.is_empty() {
            changes.remove(b"Set-Cookie");
            self.cookies.iter().for_each(|cookie| changes.add(b"Set-Cookie", cookie));
        }
    }
}

/// A cookie with its attributes rewritten. Name and value stay as they are.
fn cookie(words: &Words<'_>, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for (at, part) in text.split(|byte| *byte == b';').enumerate() {
        if at > 0 {
            out.push(b';');
        }
        match attribute(words, part).filter(|_| at > 0) {
            Some(replaced) => out.extend_from_slice(&replaced),
            None => out.extend_from_slice(part),
        }
    }
    out
}

fn attribute(words: &Words<'_>, part: &[u8]) -> Option<Vec<u8>> {
    let equals = part.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (part[..equals].trim_ascii(), part[equals + 1..].trim_ascii());
    let value = match (&words.cookie_domain, &words.cookie_path) {
        (Some((from, to)), _) if name.eq_ignore_ascii_case(b"domain") => {
            // A leading dot has no meaning (RFC 6265 5.2.3).
            let domain = value.strip_prefix(b".").unwrap_or(value);
            let from = from.strip_prefix(b".").unwrap_or(from);
            domain.eq_ignore_ascii_case(from).then(|| to.to_vec())?
        }
        (_, Some((from, to))) if name.eq_ignore_ascii_case(b"path") => {
            [&to[..], value.strip_prefix(&from[..])?].concat()
        }
        _ => return None,
    };
    Some([&part[..=equals], &value].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words<'static> {
        let pair = |from: &'static str, to: &'static str| Some((from.as_bytes().into(), to.as_bytes().into()));
        Words {
            redirect: pair("http://in.test/", "https://out.test/app/"),
            cookie_domain: pair("in.test", "out.test"),
            cookie_path: pair("/", "/app/"),
        }
    }

    #[test]
    fn attributes_of_cookies_are_replaced_and_values_are_not() {
        let of = |text: &str| String::from_utf8(cookie(&words(), text.as_bytes())).unwrap();
        assert_eq!(of("a=path=/; Path=/x; Domain=.IN.test; Secure"), "a=path=/; Path=/app/x; Domain=out.test; Secure");
        assert_eq!(of("path=/; domain=other.test"), "path=/; domain=other.test");
        let only_domain = Words { cookie_path: None, ..words() };
        assert_eq!(cookie(&only_domain, b"a=b; path=/"), b"a=b; path=/");
    }
}
