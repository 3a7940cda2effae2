//! The URL of a service that a policy names: made of what the client sent, so it is checked whole.

use ringress_config::snapshot::UpstreamProtocol;

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) protocol: UpstreamProtocol,
    /// Host and port as written.
    pub(crate) authority: String,
    /// Name or address, without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
}

impl Url {
    /// `None` for anything but a plain http or https URL with a host.
    pub(crate) fn parse(url: &[u8]) -> Option<Self> {
        let url = std::str::from_utf8(url).ok()?;
        let (protocol, rest, port) = if let Some(rest) = url.strip_prefix("http://") {
            (UpstreamProtocol::Http, rest, 80)
        } else {
            (UpstreamProtocol::Https, url.strip_prefix("https://")?, 443)
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let clean = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !clean(authority) || !clean(target) {
            return None;
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => (host, digits.parse().ok()?),
            _ => (authority, port),
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { protocol, authority: authority.to_owned(), host, port, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_or_refused() {
        let url = Url::parse(b"https://[2001:db8::1]:8443?x").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.target.as_str()), ("2001:db8::1", 8443, "/?x"));
        let url = Url::parse(b"http://a.test/x").unwrap();
        assert_eq!((url.authority.as_str(), url.port, url.target.as_str()), ("a.test", 80, "/x"));
        for bad in ["a.test", "ftp://a.test", "http://", "http://u@a.test", "http://a b", "http://a:x", "http://a/\r\n"]
        {
            assert!(Url::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
