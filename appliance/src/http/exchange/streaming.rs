//! A request body that is too large to be kept: it goes up while the response comes down, in one attempt.

#![expect(clippy::disallowed_types, reason = "durations for the metrics, as in forward.rs")]

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use ringress_config::snapshot::{Cluster, Route};

use super::super::body::BodyDecoder;
use super::super::client::Client;
use super::super::framing::BodyFraming;
use super::super::head::Version;
use super::super::request::Method;
use super::super::response::Asked;
use super::ahead::bytes_ahead;
use super::attempts::Attempts;
use super::forward::{Target, cut, left_of_try};
use super::head::Head;
use super::{After, Ended, Exchange};
use crate::error::Failure;
use crate::policy::Answer;
use crate::relay;
use crate::relay::request::{self, Gathered};
use crate::relay::response::{self, Ahead, BodyProgress, Relayed};
use crate::stream::{Reader, Sink, Source, Stream, Writer};
use crate::upstream::{Connection, Lease};
use crate::worker::Scratch;

/// Wait for a response while the request body is still going up, which has bounds of its own.
pub(super) const WHILE_UPLOADING: Duration = Duration::from_secs(24 * 3600);

/// Where a streamed exchange failed.
enum Streaming {
    /// The client can still be answered.
    BeforeHead(Failure),
    /// The client has seen the head: the response must look cut.
    AfterHead(Failure),
    /// An error backend answers in place of this status.
    Replaced(u16),
}

/// What an attempt came to.
struct Streamed {
    result: Result<Relayed, Streaming>,
    lease: Option<Lease>,
    began: Instant,
}

/// A request on its way up.
struct Upload<'a> {
    /// The head as the upstream gets it.
    head: Vec<u8>,
    /// What was gathered of the body.
    first: Gathered,
    /// The rest.
    decoder: &'a mut BodyDecoder,
}

impl<'s> Exchange<'s> {
    /// Streams the body to an endpoint of the cluster and its response back.
    pub(super) async fn forward_streaming(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        body: Gathered,
        mut decoder: BodyDecoder,
    ) -> After {
        if self.hop().http_1_0 && scratch.request.framing == BodyFraming::Chunked {
            // HTTP/1.0 has no way to say where it ends.
            return self.fail(client, scratch, inbox, cluster, &Failure::BodyTooLarge).await;
        }
        // The rest of the body is never parsed as a request: whatever happens, the connection ends with this response.
        self.keep_alive = false;
        let (target, mut attempts) = ((route, cluster), Attempts::new(self.ready));
        let once = self.stream_once(client, (scratch, inbox), target, (body, &mut decoder), &mut attempts);
        let streamed = match once.await {
            // Nothing of the body has left, so nothing is missing.
            Ok(Streamed { result: Err(Streaming::BeforeHead(failure @ Failure::Unprocessed(_))), lease, .. })
                if decoder.taken() == 0 && matches!(client.stream, Stream::Lane(_)) =>
            {
                attempts.moves(&self.core, lease.as_ref(), &failure);
                drop(lease);
                let body = Gathered::new(&self.core);
                self.stream_once(client, (scratch, inbox), target, (body, &mut decoder), &mut attempts).await
            }
            streamed => streamed,
        };
        let Streamed { result, lease, began } = match streamed {
            Ok(streamed) => streamed,
            Err(failure) => return self.fail(client, scratch, inbox, cluster, &failure).await,
        };
        match (&result, &lease) {
            (Err(Streaming::BeforeHead(failure)), Some(lease)) => lease.failed(&self.core, failure),
            (Ok(_) | Err(Streaming::AfterHead(_) | Streaming::Replaced(_)), Some(lease)) => lease.answered(),
            (_, None) => {}
        }
        match result {
            Ok(Relayed { bytes, body_bytes, .. }) => {
                let status = scratch.response.status;
                self.record(&scratch.request, inbox, Ended { status, bytes, body_bytes });
                After::Linger
            }
            Err(Streaming::BeforeHead(failure)) => self.fail(client, scratch, inbox, cluster, &failure).await,
            Err(Streaming::Replaced(status)) => {
                self.trail.fail(status, began.elapsed());
                self.answer_now(client, scratch, inbox, Answer::status(status)).await
            }
            Err(Streaming::AfterHead(failure)) => {
                self.log(cluster, &failure);
                let status = scratch.response.status;
                self.record(&scratch.request, inbox, Ended { status, bytes: 0, body_bytes: 0 });
                cut(client, &scratch.request, &failure)
            }
        }
    }

    /// One attempt.
    ///
    /// # Errors
    /// When there is no connection.
    async fn stream_once(
        &mut self,
        client: &mut Client,
        (scratch, inbox): (&mut Scratch, &[u8]),
        (route, cluster): Target<'s>,
        (body, decoder): (Gathered, &mut BodyDecoder),
        attempts: &mut Attempts,
    ) -> Result<Streamed, Failure> {
        let idempotent = scratch.request.method.is_idempotent();
        let mut connection = self.connect_fresh(route, cluster, idempotent, attempts).await?;
        let mut head = self.core.waiting_buffer();
        self.outbound(scratch, inbox, scratch.request.framing).write(&mut head, connection.address);
        let began = Instant::now();
        let lease = connection.lease.take();
        let is_http_1_0 = scratch.request.version == Version::Http10;
        if is_http_1_0 {
            client.stream.reset_on_close(true);
        }
        let (mut reader, mut writer) = client.stream.take().split();
        let gathered = body.bytes.len() as u64;
        let upload = Upload { head, first: body, decoder };
        let sides = (&mut reader, &mut writer, connection);
        let result = self.both_ways((scratch, inbox), client.facts.secured.is_tls(), route, upload, sides).await;
        // What was gathered is counted already.
        self.bytes_received += decoder.taken() - gathered;
        self.times.response = Some(began.elapsed());
        client.stream = Stream::reunite(reader, writer);
        if is_http_1_0 {
            client.stream.reset_on_close(false);
        }
        Ok(Streamed { result, lease, began })
    }

    /// A fresh connection: a pooled one that proves stale could not be made good once the body is on its way.
    async fn connect_fresh(
        &mut self,
        route: &Route,
        cluster: &std::sync::Arc<Cluster>,
        idempotent: bool,
        attempts: &mut Attempts,
    ) -> Result<Box<Connection>, Failure> {
        loop {
            attempts.fresh = true;
            match self.connect(route, cluster, attempts).await {
                Ok(connected) => {
                    self.times.connect = Some(connected.took);
                    self.trail = std::mem::take(&mut attempts.trail);
                    return Ok(connected.connection);
                }
                Err(failure) if attempts.again(&self.core, &failure, route, idempotent) => {}
                Err(failure) => {
                    self.trail = std::mem::take(&mut attempts.trail);
                    return Err(failure);
                }
            }
        }
    }

    /// Runs upload and download side by side; the end of the download is the end.
    async fn both_ways(
        &self,
        (scratch, inbox): (&mut Scratch, &[u8]),
        over_tls: bool,
        route: &Route,
        upload: Upload<'_>,
        (reader, writer, connection): (&mut Reader, &mut Writer, Box<Connection>),
    ) -> Result<Relayed, Streaming> {
        let Upload { head, first, decoder } = upload;
        let framing = scratch.request.framing;
        let (mut from_upstream, mut to_upstream) = connection.stream.split();
        let receiving = from_upstream.aborter();
        let (gap, timeouts) = (self.snapshot.settings.client.body_timeout, route.timeouts);
        // The time to answer begins when the body is up.
        let (sent_ms, head_sent) = (Cell::new(None), Cell::new(false));
        let patience = || sent_ms.get().map_or(WHILE_UPLOADING, |at| left_of_try(&self.core, route, at));
        let upload = async {
            let (sent, head) = relay::send(&mut to_upstream, head, timeouts.send).await;
            self.core.buffers.put(head);
            sent.map_err(|error| Failure::sending(&error))?;
            let to = (&mut to_upstream, timeouts.send);
            request::upload(&self.core, decoder, first, (reader, gap), to, framing).await?;
            sent_ms.set(Some(self.core.timers.now_ms()));
            receiving.move_deadline(if head_sent.get() { timeouts.read } else { patience() });
            Ok(())
        };
        let from = (&mut from_upstream, timeouts.read, &patience);
        let download = self.download((scratch, inbox), over_tls, from, (writer, &head_sent));
        match select(pin!(upload), pin!(download)).await {
            Either::Right((result, _)) => result,
            // An upstream that closes its ears may have answered already.
            Either::Left((Ok(()) | Err(Failure::NoResponse), download)) => download.await,
            // The download is not waited for: an upstream that is cut off here must not look like one that ended.
            Either::Left((Err(failure), _)) => {
                receiving.abort();
                Err(if head_sent.get() { Streaming::AfterHead(failure) } else { Streaming::BeforeHead(failure) })
            }
        }
    }

    /// Reads the response and relays it, while the body is still going up.
    async fn download(
        &self,
        (scratch, inbox): (&mut Scratch, &[u8]),
        over_tls: bool,
        (upstream, timeout, patience): (&mut impl Source, Duration, &impl Fn() -> Duration),
        (client, head_sent): (&mut impl Sink, &Cell<bool>),
    ) -> Result<Relayed, Streaming> {
        let asked = Asked { head: scratch.request.method == Method::Head, upgrade: false };
        let version = scratch.request.version;
        let limits = self.route.map(response::limits).unwrap_or_default();
        let received = response::read_head(
            &self.core,
            (upstream, patience),
            client,
            (version, asked, limits),
            &mut scratch.response,
        )
        .await
        .map_err(Streaming::BeforeHead)?;
        if self.error_backend(scratch.response.status, true).is_some() {
            return Err(Streaming::Replaced(scratch.response.status));
        }
        head_sent.set(true);
        let Head { out, written, treatment } = self.write_head(over_tls, scratch, inbox, &received);
        let received = (received, scratch.response.consumed);
        let framings = (scratch.response.body, written, treatment);
        let target = self.route.zip(self.cluster);
        let ahead = target.map_or(0, |(route, cluster)| bytes_ahead(route, cluster, &scratch.response, &received.0));
        let relayed = if ahead == 0 {
            response::relay(&self.core, (upstream, timeout), client, framings, received, out).await
        } else {
            let ahead = Ahead::new(&self.core, ahead);
            let progress = BodyProgress::begin(framings.0, &received.0[received.1..]);
            let aborter = upstream.aborter();
            // The connection is not kept, so what reading it comes to does not matter.
            let reading = async { _ = ahead.read((upstream, timeout), progress).await };
            Box::pin(ahead.relay((reading, aborter), (client, timeout), framings, received, out)).await
        };
        relayed.map_err(|failure| match failure {
            Failure::BadResponseBody => Streaming::BeforeHead(failure),
            failure => Streaming::AfterHead(failure),
        })
    }
}
