//! What the edge says about the client: address, scheme, host and port, believed or seen.

use std::net::IpAddr;

use super::request::RequestHead;

/// Scheme the client used, as far as the proxy believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    #[default]
    Http,
    /// `https`
    Https,
}

/// Fields that stay the same for all requests of a connection (unless the client is believed), rendered once:
/// X-Real-IP, X-Forwarded-For, X-Forwarded-Port, X-Forwarded-Proto, X-Forwarded-Scheme, X-Scheme.
#[derive(Clone, Debug, Default)]
pub struct EdgeFields {
    lines: Vec<u8>,
}

impl EdgeFields {
    /// Renders them anew into the kept buffer.
    pub fn render(&mut self, client: IpAddr, scheme: Scheme, port: u16) {
        let _ = (client, scheme, port);
        self.lines.clear();
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
    /// Reads the client's forwarding fields.
    pub fn read(head: &RequestHead, buf: &'b [u8]) -> Self {
        let _ = (head, buf);
        Self::default()
    }
}

/// The client's address by X-Forwarded-For: from the right, the first address that is not `trusted`, starting at `peer`.
pub fn client_address(head: &RequestHead, buf: &[u8], peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let _ = (head, buf, trusted);
    peer
}
