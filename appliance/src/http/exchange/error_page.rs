//! Answers that an error backend gives in place of others (reference 3.6).

#![expect(clippy::disallowed_types, reason = "durations for the metrics, as in forward.rs")]

use std::time::Instant;

use ringress_config::snapshot::{UpstreamHop, UpstreamProtocol};

use super::super::client::Client;
use super::super::edge::Believed;
use super::super::field::Changes;
use super::super::forward::{Forward, write_request};
use super::super::framing::{BodyFraming, ResponseBody, write_decimal};
use super::super::grpc;
use super::super::request::Method;
use super::super::response::{Asked, ResponseHead};
use super::forward::Target;
use super::{After, Exchange};
use crate::error::Failure;
use crate::limits::ERROR_PAGE;
use crate::policy::Answer;
use crate::relay::{self, response};
use crate::trace::Active;
use crate::upstream::{self, Connection, Hint, Tried};
use crate::worker::Scratch;

/// A response whose head was read, with the bytes of it and when it was asked for.
type Page = (Box<Connection>, Vec<u8>, Instant);

impl<'s> Exchange<'s> {
    /// Who answers in place of a status. Never in place of an error backend's own.
    pub(super) fn error_backend(&self, status: u16, by_upstream: bool) -> Option<Target<'s>> {
        let route = self.route?;
        let pages = route.policies.as_ref()?.error_pages.as_ref()?;
        if self.is_page || (by_upstream && pages.own_only) || pages.statuses.binary_search(&status).is_err() {
            return None;
        }
        let own = self.snapshot.clusters.get(pages.cluster);
        let otherwise = || self.snapshot.clusters.get(pages.otherwise?);
        let backend = own.filter(|cluster| !cluster.endpoints.is_empty()).or_else(otherwise)?;
        self.cluster.is_none_or(|cluster| cluster.id != backend.id).then_some((route, backend))
    }

    /// Sends what the error backend says; when it says nothing, the answer that it was asked in place of.
    pub(super) async fn error_page(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        target: Target<'s>,
        answer: Answer,
    ) -> After {
        self.is_page = true;
        if grpc::is_grpc(&scratch.request, inbox) {
            return self.answer_now(client, scratch, inbox, answer).await;
        }
        let began = Instant::now();
        match self.ask_error_backend(client, scratch, inbox, target, answer.status).await {
            Ok((connection, received, began)) => {
                // A challenge is needed whatever the page looks like.
                if let Some((name, value)) = &answer.field {
                    self.shaping.response.add(name, value);
                }
                self.respond(client, scratch, inbox, target, connection, received, began).await
            }
            Err(failure) => {
                self.log(target.1, &failure);
                self.trail.fail_by(&failure, began.elapsed());
                self.answer_now(client, scratch, inbox, answer).await
            }
        }
    }

    /// Asks for the page, on a fresh connection if a kept one turns out closed.
    async fn ask_error_backend(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &[u8],
        (route, cluster): Target<'s>,
        status: u16,
    ) -> Result<Page, Failure> {
        let core = std::rc::Rc::clone(&self.core);
        let began = Instant::now();
        let left = || ERROR_PAGE.saturating_sub(began.elapsed());
        let mut is_kept = true;
        loop {
            let lease = core.upstreams.borrow_mut().choose(&core, cluster, &Hint::default(), &Tried::default());
            let lease = lease.ok_or(Failure::NoEndpoint)?;
            lease.admit(&core)?;
            let address = lease.address();
            let kept = core.upstreams.borrow_mut().take(&core, cluster, address, UpstreamProtocol::Http.into());
            is_kept &= kept.is_some();
            self.trail.begin(address);
            let mut connection = match kept.filter(|_| is_kept) {
                Some(connection) => connection,
                None => {
                    let speech = UpstreamProtocol::Http.into();
                    Box::pin(upstream::connect_for(&core, (&lease, cluster), speech, &route.timeouts)).await?
                }
            };
            connection.requests += 1;
            connection.lease = Some(lease);
            let mut out = core.buffers.body();
            self.write_question(&mut out, scratch, inbox, status);
            let (sent, out) = relay::send(&mut connection.stream, out, left()).await;
            core.buffers.put(out);
            let asked = Asked { head: scratch.request.method == Method::Head, upgrade: false };
            let version = scratch.request.version;
            let source = (&mut connection.stream, left);
            let read = response::read_head(
                &core,
                source,
                &mut client.stream,
                (version, asked, response::limits(route)),
                &mut scratch.response,
            );
            let failure = match sent {
                Err(error) => Failure::sending(&error),
                Ok(()) => match read.await {
                    Ok(received) => return Ok((connection, received, began)),
                    Err(failure) => failure,
                },
            };
            if !is_kept || !matches!(failure, Failure::NoResponse) {
                return Err(failure);
            }
            is_kept = false;
        }
    }

    /// The client's head without its body, for `/` and the client's query, with what is told about the error.
    fn write_question(&self, out: &mut Vec<u8>, scratch: &Scratch, inbox: &[u8], status: u16) {
        let head = &scratch.request;
        let policy = self.field_policy();
        let believed = if policy.trust_forwarded { Believed::host(head, inbox) } else { None };
        let host = believed.unwrap_or_else(|| head.authority(inbox));
        let mut target = b"/".to_vec();
        if let Some(query) = head.query(inbox) {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        let accept = head.fields().iter().find(|field| field.name.of(inbox).eq_ignore_ascii_case(b"accept"));
        let labels = self.route.map(|route| &*route.labels);
        let label = |of: fn(&ringress_config::snapshot::RouteLabels) -> &str| labels.map_or("", of).as_bytes();
        let mut changes = Changes::default();
        changes.set_with(b"X-Code", |out| write_decimal(out, u64::from(status)));
        changes.set(b"X-Format", accept.map_or(b"", |field| field.value.of(inbox)));
        changes.set(b"X-Original-URI", head.path_and_query(inbox));
        changes.set(b"X-Namespace", label(|labels| &labels.namespace));
        changes.set(b"X-Ingress-Name", label(|labels| &labels.ingress));
        changes.set(b"X-Service-Name", label(|labels| &labels.service));
        changes.set(b"X-Service-Port", label(|labels| &labels.service_port));
        write_request(
            out,
            head,
            inbox,
            &Forward {
                host: if host.is_empty() { b"_" } else { host },
                forwarded_host: host,
                target: Some(&target),
                request_id: &self.request_id,
                edge: &scratch.edge,
                framing: if head.framing == BodyFraming::None { BodyFraming::None } else { BodyFraming::Length(0) },
                policy,
                changes: &changes,
                hop: UpstreamHop::default(),
                trace: self.trace.as_deref().map(Active::fields),
                address_field: self.snapshot.settings.forwarded.address_field.as_deref(),
                host_field: self.snapshot.settings.forwarded.host_field.as_deref(),
            },
        );
    }

    /// Lets go of a connection whose response is not wanted; it is kept only when all of it has arrived.
    pub(super) fn discard(
        &self,
        target: Target<'s>,
        connection: Box<Connection>,
        head: &ResponseHead,
        received: Vec<u8>,
    ) {
        let arrived = (received.len() - head.consumed) as u64;
        let is_whole = match head.body {
            ResponseBody::None => arrived == 0,
            ResponseBody::Length(length) => arrived == length,
            ResponseBody::Chunked | ResponseBody::UntilClose => false,
        };
        if is_whole && head.keep_alive {
            self.core.upstreams.borrow_mut().put(&self.core, target.1, connection);
        }
        self.core.buffers.put(received);
    }
}
