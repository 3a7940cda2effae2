//! What is believed of a request's way to this proxy (reference 3.19): the connection's own facts, or what the hop
//! before says when the operator trusts it.

use std::net::IpAddr;

use ringress_config::snapshot::ForwardedSettings;

use super::client::Facts;
use super::edge::{Believed, EdgeFields, Scheme, client_address};
use super::field::FieldId;
use super::request::RequestHead;

/// The facts of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen<'b> {
    /// The client.
    pub(crate) client: IpAddr,
    /// How it came.
    pub(crate) scheme: Scheme,
    /// To which port.
    pub(crate) port: u16,
    /// What it asked for, with port.
    pub(crate) host: &'b [u8],
}

impl<'b> Seen<'b> {
    /// Decides what is believed. `X-Forwarded-Proto`, `-Port` and `-Host` count from anyone once they are trusted at
    /// all; the client's address only along hops of the trusted ranges.
    pub(crate) fn of(settings: &ForwardedSettings, facts: &Facts, head: &RequestHead, bytes: &'b [u8]) -> Self {
        let own = Self {
            client: facts.peer.ip().to_canonical(),
            scheme: facts.scheme,
            port: facts.port,
            host: head.authority(bytes),
        };
        if !settings.trust && !settings.real_ip {
            return own;
        }
        let trusted = |address: IpAddr| settings.is_trusted(address);
        let address = match settings.address_field.as_deref() {
            None => client_address(head.find_all(bytes, FieldId::XForwardedFor), own.client, trusted),
            Some(name) => client_address(head.find_named(bytes, name), own.client, trusted),
        };
        let address = address.to_canonical();
        if !settings.trust {
            return Self { client: address, ..own };
        }
        let believed = Believed::read(head, bytes);
        Self {
            client: address,
            scheme: believed.scheme.unwrap_or(own.scheme),
            port: believed.port.unwrap_or(own.port),
            host: believed.host.unwrap_or(own.host),
        }
    }

    /// What upstreams are told of a client that may be believed.
    pub(crate) fn tell(
        &self,
        settings: &ForwardedSettings,
        (facts, head, bytes): (&Facts, &RequestHead, &[u8]),
        edge: &mut EdgeFields,
    ) {
        if settings.whole_chain {
            let peer = facts.peer.ip().to_canonical();
            let before = head.find_all(bytes, FieldId::XForwardedFor);
            edge.render_with_chain(self.client, (before, peer), self.scheme, self.port);
        } else if settings.trust || settings.real_ip {
            edge.render(self.client, self.scheme, self.port);
        }
    }
}
