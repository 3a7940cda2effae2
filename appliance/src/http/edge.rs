//! What the edge says about the client: address, scheme, host and port, believed or seen.

use std::io::Write;
use std::net::IpAddr;

use super::field::FieldId;
use super::framing::write_decimal;
use super::host;
use super::request::RequestHead;
use super::scan::{elements, trim};

/// Scheme the client used, as far as the proxy believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    #[default]
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// As written in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Fields that stay the same for all requests of a connection (unless the client is believed), rendered once:
/// X-Real-IP, X-Forwarded-For, X-Forwarded-Port, X-Forwarded-Proto, X-Forwarded-Scheme, X-Scheme.
#[derive(Clone, Debug, Default)]
pub struct EdgeFields {
    lines: Vec<u8>,
    /// Where the value of X-Forwarded-For is.
    forwarded_for: std::ops::Range<usize>,
}

impl EdgeFields {
    /// Renders them anew into the kept buffer.
    pub fn render(&mut self, client: IpAddr, scheme: Scheme, port: u16) {
        self.render_with_chain(client, ([].into_iter(), client), scheme, port);
    }

    /// As [`EdgeFields::render`]; X-Forwarded-For is what the hops before said, and behind it the peer.
    pub fn render_with_chain<'c>(
        &mut self,
        client: IpAddr,
        (before, peer): (impl Iterator<Item = &'c [u8]>, IpAddr),
        scheme: Scheme,
        port: u16,
    ) {
        let (scheme, lines) = (scheme.as_str().as_bytes(), &mut self.lines);
        lines.clear();
        lines.extend_from_slice(b"X-Real-IP: ");
        write_address(lines, client);
        lines.extend_from_slice(b"\r\nX-Forwarded-For: ");
        let start = lines.len();
        for hop in before.filter(|hop| !hop.is_empty()) {
            lines.extend_from_slice(hop);
            lines.extend_from_slice(b", ");
        }
        write_address(lines, peer);
        self.forwarded_for = start..lines.len();
        lines.extend_from_slice(b"\r\nX-Forwarded-Port: ");
        write_decimal(lines, u64::from(port));
        for name in [&b"\r\nX-Forwarded-Proto: "[..], b"\r\nX-Forwarded-Scheme: ", b"\r\nX-Scheme: "] {
            lines.extend_from_slice(name);
            lines.extend_from_slice(scheme);
        }
        lines.extend_from_slice(b"\r\n");
    }

    /// The value of X-Forwarded-For.
    pub(crate) fn forwarded_for(&self) -> &[u8] {
        &self.lines[self.forwarded_for.clone()]
    }

    /// Whole lines.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

/// An address, once per connection: formatting by `core::fmt` is most of what the other lines cost together.
fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (at, byte) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                write_decimal(out, u64::from(byte));
            }
        }
        // Writing to a Vec does not fail.
        IpAddr::V6(_) => drop(write!(out, "{address}")),
    }
}

/// What a believed client says of the hop before this proxy (`use-forwarded-headers`); invalid values are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Believed<'b> {
    /// X-Forwarded-Proto.
    pub scheme: Option<Scheme>,
    /// X-Forwarded-Port.
    pub port: Option<u16>,
    /// X-Forwarded-Host, first element, with its port.
    pub host: Option<&'b [u8]>,
}

impl<'b> Believed<'b> {
    /// Reads the client's forwarding fields: the first element of the first line of each.
    pub fn read(head: &RequestHead, buf: &'b [u8]) -> Self {
        let first = |id| first_element(head, buf, id);
        Self {
            scheme: first(FieldId::XForwardedProto).and_then(|value| match value {
                _ if value.eq_ignore_ascii_case(b"http") => Some(Scheme::Http),
                // The handshake of a WebSocket over TLS, by the name that some proxies give it.
                _ if value.eq_ignore_ascii_case(b"https") || value.eq_ignore_ascii_case(b"wss") => Some(Scheme::Https),
                _ => None,
            }),
            port: first(FieldId::XForwardedPort)
                .and_then(|value| std::str::from_utf8(value).ok())
                .and_then(host::parse_port),
            host: Self::host(head, buf),
        }
    }

    /// [`Believed::host`] alone.
    pub fn host(head: &RequestHead, buf: &'b [u8]) -> Option<&'b [u8]> {
        first_element(head, buf, FieldId::XForwardedHost).filter(|value| host::split(value).is_some())
    }
}

fn first_element<'b>(head: &RequestHead, buf: &'b [u8], id: FieldId) -> Option<&'b [u8]> {
    head.find(buf, id).and_then(|value| elements(value).next())
}

/// The client's address by the addresses that hops told (lines of X-Forwarded-For or its like), read from the right:
/// the first one that is not `trusted`, or the left-most one when all are. An element that is no address ends the search.
pub fn client_address<'b>(
    told: impl Iterator<Item = &'b [u8]>,
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer;
    let lines: Vec<&[u8]> = told.collect();
    for element in lines.iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b',')) {
        if !trusted(client) {
            break;
        }
        let Some(address) = parse_address(trim(element)) else { break };
        client = address;
    }
    client
}

/// An address as it stands in X-Forwarded-For: bare, in brackets, or with a port.
fn parse_address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let literal = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    literal.or_else(|| text.split_once(':').map(|(address, _)| address))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::HeadLimits;

    fn request(fields: &str) -> (RequestHead, Vec<u8>) {
        let buf = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
        let mut head = RequestHead::default();
        head.parse(&buf, &HeadLimits::default()).unwrap();
        (head, buf)
    }

    fn told<'b>(head: &RequestHead, buf: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        head.find_all(buf, FieldId::XForwardedFor)
    }

    #[test]
    fn believed_values_are_checked() {
        let (head, buf) = request(
            "X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Port: 1234\r\nX-Forwarded-Host: one.test:8 , two.test\r\n",
        );
        let expected = Believed { scheme: Some(Scheme::Https), port: Some(1234), host: Some(b"one.test:8") };
        assert_eq!(Believed::read(&head, &buf), expected);
        let (head, buf) = request("X-Forwarded-Proto: ftp\r\nX-Forwarded-Port: 0\r\nX-Forwarded-Host: a b\r\n");
        assert_eq!(Believed::read(&head, &buf), Believed::default());
    }

    #[test]
    fn a_chain_ends_with_the_peer_and_the_client_stands_alone() {
        let (client, peer) = ("1.2.3.4".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let (head, buf) = request("X-Forwarded-For: 1.2.3.4, 10.0.0.7\r\nX-Forwarded-For:\r\n");
        let mut edge = EdgeFields::default();
        edge.render_with_chain(client, (told(&head, &buf), peer), Scheme::Http, 80);
        assert_eq!(edge.forwarded_for(), b"1.2.3.4, 10.0.0.7, 10.0.0.1");
        assert!(edge.lines().starts_with(b"X-Real-IP: 1.2.3.4\r\nX-Forwarded-For: 1.2.3.4, 10.0.0.7, 10.0.0.1\r\n"));
        edge.render(client, Scheme::Http, 80);
        assert_eq!(edge.forwarded_for(), b"1.2.3.4");
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (head, buf) = request("X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-For: 10.0.0.2\r\n");
        let inner = |address: IpAddr| address.to_string().starts_with("10.");
        assert_eq!(client_address(told(&head, &buf), ip("10.0.0.1"), inner), ip("1.2.3.4"));
        assert_eq!(client_address(told(&head, &buf), ip("9.9.9.9"), inner), ip("9.9.9.9"));
        assert_eq!(client_address(told(&head, &buf), ip("10.0.0.1"), |_| true), ip("6.6.6.6"));
        let (head, buf) = request("X-Forwarded-For: 1.1.1.1, junk, [2001:db8::1]:80\r\n");
        assert_eq!(client_address(told(&head, &buf), ip("10.0.0.1"), |_| true), ip("2001:db8::1"));
    }
}
