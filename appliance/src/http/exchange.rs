//! One request from its head to its last byte: route, policies, upstream, answer.

mod answer;
mod forward;

use std::rc::Rc;
use std::time::{Duration, Instant};

use ringress_config::snapshot::{Cluster, Route};

use super::client::Client;
use super::request::RequestHead;
use crate::error::Failure;
use crate::metrics::{Method, Outcome, Refused};
use crate::policy::{self, Answer, Verdict};
use crate::route;
use crate::stream::Stream;
use crate::worker::{Core, Pinned, Scratch};
pub(crate) use answer::answer_refusal;

/// What becomes of the connection.
pub(crate) enum After {
    /// The next request.
    Next(Client),
    /// It ends, and the client may still be sending.
    Linger(Stream),
    /// It is over.
    Closed,
}

/// What an exchange knows throughout.
///
/// It borrows from the snapshot that it pinned: counting references to what all cores share would be the only thing
/// that they write in common.
pub(crate) struct Exchange<'s> {
    core: Rc<Core>,
    snapshot: &'s Pinned,
    route: Option<&'s Route>,
    started: Instant,
    times: Times,
    /// The connection may serve another request when this one ends well.
    keep_alive: bool,
    bytes_received: u64,
}

/// Times of the upstream's side, for metrics.
#[derive(Clone, Copy, Default)]
struct Times {
    connect: Option<Duration>,
    header: Option<Duration>,
    response: Option<Duration>,
}

/// Serves the request whose head is in `scratch`, with its bytes at the start of `inbox`. When the connection goes on,
/// `inbox` holds only what belongs to the next request.
pub(crate) async fn run(core: &Rc<Core>, client: Client, scratch: &mut Scratch, inbox: &mut Vec<u8>) -> After {
    let started = Instant::now();
    core.metrics.requests.increment();
    #[cfg(test)]
    crate::faults::inject(core, scratch.request.target(inbox));
    let snapshot = core.pin();
    let settings = &snapshot.settings.client;
    let keep_alive = scratch.request.keep_alive
        && client.requests < settings.keep_alive_requests
        && !settings.keep_alive.is_zero()
        && !core.draining();
    let found = route::find(&snapshot, &scratch.request, inbox, &mut scratch.path);
    let verdict = match &found {
        Ok(found) => {
            let request = policy::Request { head: &scratch.request, bytes: inbox, scheme: client.scheme };
            policy::run(&snapshot, found, &request, &mut core.random.borrow_mut())
        }
        Err(error) => {
            core.metrics.refuse(Refused::BadRequest);
            tracing::debug!(client = %client.peer, %error, "request refused");
            Verdict::Answer(Answer::status(400))
        }
    };
    let route = match &found {
        Ok(route::Found::Route(route) | route::Found::AddSlash(route)) => Some(&***route),
        Ok(route::Found::Nothing) | Err(_) => None,
    };
    let target = match verdict {
        Verdict::Forward(route, id) => match snapshot.clusters.get(id) {
            Some(cluster) => Ok((&**route, cluster)),
            None => Err(Answer::status(503)),
        },
        Verdict::Answer(answer) => Err(answer),
    };
    let exchange = Exchange {
        core: Rc::clone(core),
        snapshot: &snapshot,
        route,
        started,
        times: Times::default(),
        keep_alive,
        bytes_received: scratch.request.consumed as u64,
    };
    match target {
        Ok((route, cluster)) => exchange.forward(client, scratch, inbox, (route, cluster)).await,
        Err(answer) => exchange.answer(client, &scratch.request, inbox, answer).await,
    }
}

impl Exchange<'_> {
    /// The request is over: count it.
    fn record(&self, head: &RequestHead, bytes: &[u8], status: u16, bytes_sent: u64) {
        self.core.metrics.bytes_sent.add(bytes_sent);
        self.core.metrics.bytes_received.add(self.bytes_received);
        self.core.metrics.record(
            self.route,
            &Outcome {
                method: Method::of(head.method_bytes(bytes)),
                status,
                duration: self.started.elapsed(),
                connect: self.times.connect,
                header: self.times.header,
                response: self.times.response,
                bytes_received: self.bytes_received,
                bytes_sent,
            },
        );
    }

    /// Takes note of a failure for the log.
    fn log(&self, cluster: &Cluster, failure: &Failure) {
        let route = self.route;
        tracing::debug!(
            ingress = route.map(|r| r.source.key.to_string()),
            upstream = %cluster.name,
            error = failure as &dyn std::error::Error,
            "request failed"
        );
    }
}
