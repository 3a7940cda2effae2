//! Host and authority: validated once, kept in the form that routing compares (RFC 9112 3.2).

use std::net::Ipv6Addr;

use super::head::HeadError;

/// Longest host name that is taken (DNS has 253 octets).
const NAME_BYTES_MAX: usize = 255;

/// Host part of an authority in lower case without its final dot; one small buffer per connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
    /// The authority that `name` and `port` were made of: most connections ask for the same host again.
    authority: Vec<u8>,
}

impl Host {
    /// The name or address (`[::1]` with its brackets); empty when an HTTP/1.0 request had none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, when the authority named one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Takes on the host of `authority`.
    #[inline]
    pub(super) fn set(&mut self, authority: &[u8]) -> Result<(), HeadError> {
        if authority == self.authority.as_slice() && !authority.is_empty() {
            return Ok(());
        }
        self.set_other(authority)
    }

    fn set_other(&mut self, authority: &[u8]) -> Result<(), HeadError> {
        self.clear();
        let (name, port) = split(authority).ok_or(HeadError::HostInvalid)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        self.name.push_str(name);
        self.name.make_ascii_lowercase();
        self.port = port;
        self.authority.extend_from_slice(authority);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.name.clear();
        self.port = None;
        self.authority.clear();
    }
}

/// Splits a valid authority without user information into name and port.
pub(crate) fn split(authority: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(authority).ok()?;
    if let Some(literal) = text.strip_prefix('[') {
        let (address, rest) = literal.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((&text[..address.len() + 2], port));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, digits)) => (name, Some(parse_port(digits)?)),
        None => (text, None),
    };
    is_name(name).then_some((name, port))
}

/// Whether [`split`] takes an authority. Most are plain names, which are told in one go.
pub(crate) fn is_authority(authority: &[u8]) -> bool {
    let mut in_label = false;
    for byte in authority {
        in_label = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => true,
            b'.' if in_label => false,
            _ => return split(authority).is_some(),
        };
    }
    (1..=NAME_BYTES_MAX).contains(&authority.len())
}

/// Letters, digits, `-` and `_` in labels that are not empty, with at most one final dot.
fn is_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= NAME_BYTES_MAX && labels.split('.').all(is_label)
}

/// One to five digits, 1 to 65535.
pub(super) fn parse_port(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().filter(|&port| port != 0) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_plain_name_is_told_as_by_splitting(authority in r"[aZ0_.:\[\]-]{0,6}(\.|:80)?") {
            prop_assert_eq!(is_authority(authority.as_bytes()), split(authority.as_bytes()).is_some());
        }
    }

    fn host(authority: &str) -> Option<(String, Option<u16>)> {
        let mut host = Host::default();
        host.set(authority.as_bytes()).ok()?;
        Some((host.name, host.port))
    }

    #[test]
    fn names_are_lower_case_without_port_and_final_dot() {
        let some = |name: &str, port| Some((name.to_string(), port));
        assert_eq!(host("Example.COM"), some("example.com", None));
        assert_eq!(host("example.com.:8080"), some("example.com", Some(8080)));
        assert_eq!(host("127.0.0.1:80"), some("127.0.0.1", Some(80)));
        assert_eq!(host("a_b.test"), some("a_b.test", None));
        assert_eq!(host("[::1]"), some("[::1]", None));
        assert_eq!(host("[FE80::1]:443"), some("[fe80::1]", Some(443)));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "a..b",
            "a..",
            "a b",
            " a",
            "a/b",
            "a/",
            "user@a",
            "u:p@a",
            "a:",
            "a:x",
            "a:0",
            "a:65536",
            "a:123456",
            "a:80:80",
            "a:-1",
            "a:+1",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[a]",
            "[]",
            "[::1%25eth0]",
            "a,b",
            "a\\b",
            "a?b",
            "a#b",
            "a%2eb",
            "ä",
            "a\0",
            "a\t",
            "a;b",
            "'a'",
            "\"a\"",
            "*.a",
        ] {
            assert_eq!(host(bad), None, "{bad:?}");
        }
        assert_eq!(host(&"a".repeat(256)), None);
    }

    #[test]
    fn a_refused_host_leaves_nothing_behind() {
        let mut host = Host::default();
        host.set(b"a.test").unwrap();
        assert!(host.set(b"a b").is_err());
        assert_eq!(host.name(), "");
        host.set(b"a.test").unwrap();
        assert_eq!(host.name(), "a.test");
    }
}
