//! The end of HTTP on a connection: the upstream opens a tunnel that its client asked for.

use super::super::client::Client;
use super::super::connection::{proves_handshake, switches_as_asked};
use super::super::field::FieldId;
use super::super::head::HeadError;
use super::forward::Target;
use super::{After, Ended, Exchange};
use crate::error::Failure;
use crate::relay::tunnel;
use crate::upstream::Connection;
use crate::worker::Scratch;

impl<'s> Exchange<'s> {
    /// Whether a tunnel's handshake is proved: here for a client of HTTP/2, who sent no key and sees no answer to it
    /// (RFC 8441 5), else by the client.
    fn proves_handshake(&self, scratch: &Scratch, inbox: &[u8], received: &[u8]) -> bool {
        let key = || scratch.request.find_named(inbox, "sec-websocket-key").next();
        let accept = || scratch.response.find_named(received, "sec-websocket-accept").next();
        !self.from.is_http2() || key().zip(accept()).is_some_and(|(key, accept)| proves_handshake(key, accept))
    }

    /// Carries the bytes of a tunnel that the upstream opened, if it is the one that was asked for. `to_client` is the head.
    pub(super) async fn switch(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        (connection, received, mut to_client): (Box<Connection>, Vec<u8>, Vec<u8>),
    ) -> After {
        let asked = scratch.request.upgrade(inbox).unwrap_or_default();
        let switched = scratch.response.find(&received, FieldId::Upgrade).unwrap_or_default();
        if !switches_as_asked(asked, switched) || !self.proves_handshake(scratch, inbox, &received) {
            // The client may have gone on in the protocol that it asked for.
            self.keep_alive = false;
            let failure = Failure::BadResponse(HeadError::UpgradeUnasked);
            return self.fail(client, scratch, inbox, cluster, &failure).await;
        }
        let head_bytes = to_client.len() as u64;
        to_client.extend_from_slice(&received[scratch.response.consumed..]);
        self.core.buffers.put(received);
        let to_upstream = inbox.split_off(scratch.request.consumed);
        let (down, up) = (client.stream.take(), connection.stream);
        let bytes = tunnel::run(&self.core, down, up, to_client, to_upstream, route.timeouts.read).await.down;
        let body_bytes = bytes.saturating_sub(head_bytes);
        self.record(&scratch.request, inbox, Ended { status: 101, bytes, body_bytes });
        After::Closed
    }
}
