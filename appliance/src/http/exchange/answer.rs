//! Answers that the proxy makes itself.

use std::rc::Rc;

use super::super::body::BodyDecoder;
use super::super::client::{self, Client};
use super::super::field::{Changes, FieldId};
use super::super::grpc;
use super::super::head::Version;
use super::super::request::{Method, RequestHead};
use super::super::synthetic::{Synthetic, write_synthetic};
use super::{After, Ended, Exchange, end, ended};
use crate::limits::CLIENT_SEND;
use crate::policy::Answer;
use crate::relay;
use crate::worker::{Core, Scratch};

/// `server-tokens`.
const SERVER: (&[u8], &[u8]) = (b"Server", concat!("ringress/", env!("CARGO_PKG_VERSION")).as_bytes());

impl<'s> Exchange<'s> {
    /// Adds this proxy's Server, where it is to be told and neither the upstream's passes nor a route says another.
    pub(super) fn tell_server(&self, changes: &mut Changes<'_>, upstream_has: bool) {
        let fields = &self.snapshot.settings.fields;
        let (name, value) = SERVER;
        if fields.own_server && !(fields.server && upstream_has) && !self.shaping.response.stop(name) {
            changes.add(name, value);
        }
    }

    /// Answers without asking an upstream.
    pub(super) async fn answer(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        answer: Answer,
    ) -> After {
        let skipped = skip_body(&scratch.request, inbox);
        self.keep_alive &= skipped && !answer.closes;
        self.answer_now(client, scratch, inbox, answer).await
    }

    /// Answers; the connection goes on if `keep_alive` still says so.
    pub(super) async fn answer_now(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        answer: Answer,
    ) -> After {
        if let Some(target) = self.error_backend(answer.status, false) {
            // Boxed, as it may come back here, and is rare.
            return Box::pin(self.error_page(client, scratch, inbox, target, answer)).await;
        }
        let head = &scratch.request;
        let mut out = self.core.buffers.head();
        let mut own = Changes::default();
        self.tell_server(&mut own, false);
        let field = answer.field.iter().filter(|(name, _)| !self.shaping.response.sets(name));
        field.for_each(|(name, value)| own.add(name, value));
        self.shaping.add_cookies(answer.status, &mut own);
        let hsts = self.snapshot.settings.tls.hsts.as_deref().filter(|_| client.facts.secured.is_tls());
        let to_grpc = answer.status >= 400 && grpc::is_grpc(head, inbox);
        let page = self.core.with_date(|date| {
            let synthetic = Synthetic {
                status: answer.status,
                location: answer.location.as_deref(),
                version: head.version,
                keep_alive: self.keep_alive,
                head: head.method == Method::Head,
                date,
                hsts: hsts.map(str::as_bytes),
                changes: [&self.shaping.response, &own],
            };
            if to_grpc {
                grpc::write_error(&mut out, &synthetic, head.find(inbox, FieldId::ContentType).unwrap_or_default());
                0
            } else {
                write_synthetic(&mut out, &synthetic)
            }
        });
        self.noted.iter().for_each(|noted| noted.sends(&out));
        let bytes = out.len() as u64;
        let (sent, out) = relay::send(&mut client.stream, out, CLIENT_SEND).await;
        self.core.buffers.put(out);
        self.record(head, inbox, Ended { status: answer.status, bytes, body_bytes: page as u64 });
        match sent {
            Err(_) => After::Closed,
            Ok(()) if self.keep_alive => {
                inbox.drain(..head.consumed);
                After::Next
            }
            Ok(()) => end(client, head, inbox),
        }
    }
}

/// Drops a request body that nobody wants, when all of it is here; else the connection has to end.
fn skip_body(head: &RequestHead, inbox: &mut Vec<u8>) -> bool {
    let Ok(mut decoder) = BodyDecoder::new(head.framing, None) else { return false };
    let mut dropped = Vec::new();
    match decoder.decode(&inbox[head.consumed..], &mut dropped) {
        Ok(used) if decoder.is_complete() => {
            inbox.drain(head.consumed..head.consumed + used);
            true
        }
        _ => false,
    }
}

/// Answers a head that could not be parsed, of which so much was received, and ends the connection.
pub(crate) async fn answer_refusal(core: &Rc<Core>, client: &mut Client, received: &[u8], status: u16) {
    let mut out = core.buffers.head();
    let mut own = Changes::default();
    if core.pin().settings.fields.own_server {
        own.add(SERVER.0, SERVER.1);
    }
    let page = core.with_date(|date| {
        write_synthetic(
            &mut out,
            &Synthetic {
                status,
                location: None,
                version: Version::Http11,
                keep_alive: false,
                head: false,
                date,
                hsts: None,
                changes: [Changes::NONE, &own],
            },
        )
    });
    let ended = Ended { status, bytes: out.len() as u64, body_bytes: page as u64 };
    let (sent, out) = relay::send(&mut client.stream, out, CLIENT_SEND).await;
    core.buffers.put(out);
    ended::log_refusal(core, client, received, ended);
    if sent.is_ok() {
        client::linger(core, &mut client.stream).await;
    }
}
