//! Group session-affinity: the cookie that holds a client on one endpoint (reference 3.17).
//!
//! A cookie says `KEY|CLUSTER`. In the balanced mode KEY is any text, and its place on the ring of the endpoints is
//! the endpoint; in the persistent mode it names the endpoint. CLUSTER tells a canary's clients from the others.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use ringress_config::snapshot::{Affinity, Cluster, EndpointKey, Ring, Sessions};

/// What a request says about its session, and what the client is told about it.
#[derive(Debug)]
pub(crate) struct Session<'s> {
    pub(super) affinity: &'s Affinity,
    /// What the client's cookie says.
    pub(super) place: Option<Place>,
    /// Where the client is sent from now on.
    pub(super) issued: Cell<Option<Issued>>,
    issues: Option<Issuing<'s>>,
}

/// How a route issues cookies.
#[derive(Debug)]
struct Issuing<'s> {
    path: &'s str,
    token: &'s str,
    same_site: Option<&'s str>,
    is_secure: bool,
}

/// Where a cookie leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A hash on the ring.
    Ring(u32),
    Endpoint(EndpointKey),
}

/// A key of a new cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issued {
    /// By chance; its text has a place on the ring.
    Ring(u64),
    Endpoint(EndpointKey),
}

impl<'s> Session<'s> {
    /// The session of a request whose cookie has this value.
    pub(crate) fn new(affinity: &'s Affinity, cookie: Option<&[u8]>) -> Self {
        let key = cookie.map(|value| split(value).0).filter(|key| !key.is_empty());
        let place = key.and_then(|key| match affinity.persistent {
            true => endpoint_key(key).map(Place::Endpoint),
            false => Some(Place::Ring(Ring::hash(key))),
        });
        Self { affinity, place, issued: Cell::new(None), issues: None }
    }

    /// The same, where clients without a usable cookie get one of a cluster.
    pub(crate) fn issuing(mut self, cluster: &'s Cluster, path: &'s str, is_https: bool, agent: Option<&[u8]>) -> Self {
        let affinity = self.affinity;
        let dropped = affinity.conditional_same_site_none && agent.is_some_and(mishandles_same_site_none);
        let is_none = |same_site: &&str| same_site.eq_ignore_ascii_case("none");
        self.issues = cluster.places().sessions.as_ref().map(|sessions| Issuing {
            path: affinity.path.as_deref().unwrap_or(path),
            token: sessions.token(),
            same_site: affinity.same_site.as_deref().filter(|same_site| !(dropped && is_none(same_site))),
            is_secure: affinity.secure || is_https,
        });
        self
    }

    /// The value of a `Set-Cookie` field, when the client is to get a cookie.
    pub(crate) fn set_cookie(&self) -> Option<String> {
        let (issued, issuing) = (self.issued.get()?, self.issues.as_ref()?);
        let affinity = self.affinity;
        let mut text = format!("{}={}|{}", affinity.cookie, issued.text(), issuing.token);
        if let Some(seconds) = affinity.expires {
            let _ = write!(text, "; Expires={}", httpdate::fmt_http_date(from_now(seconds)));
        }
        if let Some(seconds) = affinity.max_age {
            let _ = write!(text, "; Max-Age={seconds}");
        }
        if let Some(domain) = &affinity.domain {
            let _ = write!(text, "; Domain={domain}");
        }
        let _ = write!(text, "; Path={}", if is_attribute(issuing.path) { issuing.path } else { "/" });
        if issuing.is_secure {
            text.push_str("; Secure");
        }
        text.push_str("; HttpOnly");
        if let Some(same_site) = issuing.same_site {
            let _ = write!(text, "; SameSite={same_site}");
        }
        Some(text)
    }
}

impl Issued {
    /// A new place on the ring.
    pub(super) fn draw(random: &mut fastrand::Rng) -> Self {
        Self::Ring(random.u64(..))
    }

    /// Its text in a cookie.
    pub(super) fn text(self) -> String {
        match self {
            Self::Ring(key) => format!("{key:016x}"),
            Self::Endpoint(key) => format!("{:032x}", u128::from_be_bytes(key)),
        }
    }
}

/// Whether a cookie was issued by a cluster.
pub(crate) fn is_of(cookie: &[u8], sessions: &Sessions) -> bool {
    split(cookie).1.is_some_and(|token| token == sessions.token().as_bytes())
}

/// The key and the cluster that a cookie names. Some clients put the value in quotes.
fn split(cookie: &[u8]) -> (&[u8], Option<&[u8]>) {
    let bare = cookie.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(cookie);
    let mut parts = bare.split(|byte| *byte == b'|');
    (parts.next().unwrap_or_default(), parts.next())
}

fn endpoint_key(text: &[u8]) -> Option<EndpointKey> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 32 && !text.starts_with('+'))?;
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// A moment so many seconds from now; what no clock can say is now.
fn from_now(seconds: i64) -> SystemTime {
    let (now, distance) = (SystemTime::now(), Duration::from_secs(seconds.unsigned_abs()));
    let moment = if seconds < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
    // The format ends with the year 9999.
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    moment.filter(|moment| (SystemTime::UNIX_EPOCH..=end).contains(moment)).unwrap_or(now)
}

/// A rule's path may be a pattern; what would end the attribute is no path for a cookie.
fn is_attribute(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}

/// Browsers that take `SameSite=None` for `Strict`, or drop the cookie: Chrome before 67 by the list that ingress-nginx
/// has, iOS 12, Safari on macOS 10.14.
fn mishandles_same_site_none(agent: &[u8]) -> bool {
    let has = |text: &str| memchr::memmem::find(agent, text.as_bytes()).is_some();
    ["Chrome/4", "Chrome/5", "Chrome/6", "CPU iPhone OS 12", "iPad; CPU OS 12"].into_iter().any(has)
        || (has("Macintosh") && has("Intel Mac OS X 10_14") && has("Safari") && !has("Chrome"))
}

#[cfg(test)]
mod tests;
