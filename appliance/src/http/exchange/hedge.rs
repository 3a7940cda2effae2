//! A second try beside the first (`ringress.io/hedge-after`): when an endpoint has not begun to answer after that time,
//! another one is asked as well. Who answers first is relayed; the connection of the other is closed, its stream reset.
//!
//! Only methods that change nothing and have no body, as both endpoints may carry the request out, and only requests
//! that no cookie holds on one endpoint. A second try is paid like a further attempt, by the cluster's retry budget, so
//! that an outage, in which every request is late, does not double the load. The first to fail leaves the request to
//! the other; when both have failed, or the first before the second began, the route's retries go on as without this.
//! Interim responses of hedged requests are dropped, as two endpoints may send them. The access log names the endpoint
//! that was answered for, and those that failed before; not the one that was outrun.

#![expect(clippy::disallowed_types, reason = "durations for the metrics, as in forward.rs")]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringress_config::snapshot::{Cluster, Route};

use super::super::client::Client;
use super::super::framing::BodyFraming;
use super::super::response::ResponseHead;
use super::attempts::Attempts;
use super::forward::{Connected, Target, asked};
use super::sending::send_and_read_head;
use super::{After, Exchange};
use crate::error::Failure;
use crate::io::{self, Deadline};
use crate::relay::request::Gathered;
use crate::stream::{Nobody, Sink as _};
use crate::upstream::{Connection, Lease, Outrun, RetryAccount, Tried};
use crate::worker::Scratch;

/// A try that was answered.
struct Answered {
    connection: Box<Connection>,
    received: Vec<u8>,
    head: Box<ResponseHead>,
    began: Instant,
    took: Duration,
}

/// One that was not.
struct Lost {
    failure: Failure,
    address: Option<SocketAddr>,
    /// It was connected.
    connection: Option<Box<Connection>>,
    reused: bool,
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        Self { failure, address: None, connection: None, reused: false }
    }
}

type Try<'a> = Pin<Box<dyn Future<Output = Result<Answered, Lost>> + 'a>>;

/// A try that is under way.
struct Running<'a> {
    address: SocketAddr,
    began: Instant,
    outrun: Outrun,
    future: Try<'a>,
}

/// What happens next.
enum Event {
    Done(usize, Box<Result<Answered, Lost>>),
    /// It is time for the second try.
    Late,
    ClientGone,
}

impl<'s> Exchange<'s> {
    /// Whether and when a second try is made.
    pub(super) fn hedge_after(&self, route: &Route, scratch: &Scratch, inbox: &[u8]) -> Option<Duration> {
        let request = &scratch.request;
        let may_be_two = || request.method.is_safe() && request.framing == BodyFraming::None;
        let after = route.retry.hedge_after?;
        (may_be_two() && request.upgrade(inbox).is_none() && self.hint.session().is_none()).then_some(after)
    }

    /// As [`Exchange::forward_whole`], with a second try after this time.
    pub(super) async fn forward_hedged(
        &mut self,
        client: &mut Client,
        scratch: &mut Scratch,
        inbox: &mut Vec<u8>,
        (route, cluster): Target<'s>,
        (body, after): (&Gathered, Duration),
    ) -> After {
        let mut attempts = Attempts::new(self.ready);
        let lost = match self.race(client, (scratch, inbox), (route, cluster), &mut attempts, after).await {
            Ok(Answered { connection, received, head, began, took }) => {
                if attempts.again_after(&self.core, head.status, route, true) {
                    attempts.tried.add(connection.address);
                    self.discard((route, cluster), connection, &head, received);
                    return self.forward_on(client, scratch, inbox, (route, cluster), body, &mut attempts).await;
                }
                scratch.response = *head;
                self.times.connect = Some(took);
                self.times.header = Some(began.elapsed());
                self.trail = attempts.trail;
                return self.respond(client, scratch, inbox, (route, cluster), connection, received, began).await;
            }
            Err(lost) => lost,
        };
        let is_stale = attempts.lost(self, &lost);
        // The connection ends here, with what it holds of the cluster's limits: not with the relay of the next try.
        let Lost { failure, connection, .. } = lost;
        drop(connection);
        if is_stale || attempts.again(&self.core, &failure, route, true) {
            self.log(cluster, &failure);
            return self.forward_on(client, scratch, inbox, (route, cluster), body, &mut attempts).await;
        }
        self.trail = attempts.trail;
        self.fail(client, scratch, inbox, cluster, &failure).await
    }

    async fn race(
        &self,
        client: &Client,
        request: (&Scratch, &[u8]),
        (route, cluster): Target<'s>,
        attempts: &mut Attempts,
        after: Duration,
    ) -> Result<Answered, Lost> {
        let lease = self.choose(cluster, attempts)?;
        let (first, account) = (lease.address(), lease.account());
        let mut tries = [Some(self.begin(lease, request, (route, cluster))), None];
        let mut late = Some(Box::pin(io::sleep(after)));
        let gone = Deadline::new(&self.core.timers);
        client.stream.end_when_peer_leaves(gone.aborter());
        let result = loop {
            match next(&mut tries, &mut late, &gone).await {
                Event::ClientGone => break Err(Failure::ClientGone.into()),
                Event::Late => {
                    late = None;
                    let second = self.second((first, &account), cluster);
                    tries[1] = second.map(|lease| self.begin(lease, request, (route, cluster)));
                }
                Event::Done(index, done) => match *done {
                    Ok(answered) => {
                        self.won(index, &answered, &tries[1 - index], attempts);
                        break Ok(answered);
                    }
                    Err(lost) => {
                        (tries[index], late) = (None, None);
                        if tries[1 - index].is_none() {
                            break Err(lost);
                        }
                        attempts.lost(self, &lost);
                        if index == 0 {
                            attempts.gave_way(&lost.failure);
                        }
                    }
                },
            }
        };
        if client.stream.take_left() { Err(Failure::ClientGone.into()) } else { result }
    }

    /// An endpoint for the second try, paid for; `None` when there is no other or the budget is spent.
    fn second(&self, (first, account): (SocketAddr, &RetryAccount), cluster: &Arc<Cluster>) -> Option<Lease> {
        let core = &self.core;
        if cluster.endpoints.len() < 2 {
            return None;
        }
        // First of all: who is chosen may be an ejected endpoint's only try.
        if !account.pay(core) {
            core.metrics.retries_unpaid.increment();
            return None;
        }
        let mut tried = Tried::default();
        tried.add(first);
        let lease = core.upstreams.borrow_mut().choose(core, cluster, &self.hint, &tried)?;
        if lease.address() == first || lease.admit(core).is_err() {
            return None;
        }
        core.metrics.hedges.increment();
        Some(lease)
    }

    fn begin<'a>(&'a self, lease: Lease, request: (&'a Scratch, &'a [u8]), target: Target<'a>) -> Running<'a> {
        let (address, outrun) = (lease.address(), lease.outrun());
        Running { address, began: Instant::now(), outrun, future: Box::pin(self.try_on(lease, request, target)) }
    }

    async fn try_on(
        &self,
        lease: Lease,
        (scratch, inbox): (&Scratch, &[u8]),
        (route, cluster): Target<'_>,
    ) -> Result<Answered, Lost> {
        let (address, began) = (Some(lease.address()), Instant::now());
        let connected = self.connect_to(lease, route, cluster, false).await;
        let connected = connected.map_err(|failure| Lost { address, ..failure.into() })?;
        let Connected { mut connection, took, reused } = connected;
        let mut out = self.core.buffers.body();
        self.outbound(scratch, inbox, BodyFraming::None).write(&mut out, connection.address);
        let asked = asked(&scratch.request, inbox, self.hop());
        let mut head = Box::<ResponseHead>::default();
        let what = (scratch.request.version, asked, &mut *head);
        let answered = send_and_read_head(&self.core, &mut connection, &mut Nobody, (out, route), what).await;
        match answered {
            Ok(received) => Ok(Answered { connection, received, head, began: began + took, took }),
            Err(failure) => Err(Lost { failure, address, connection: Some(connection), reused }),
        }
    }

    /// Takes note of the try that was answered first, and of the other if it is still under way.
    fn won(&self, index: usize, answered: &Answered, other: &Option<Running<'_>>, attempts: &mut Attempts) {
        answered.connection.responded(&self.core, answered.took + answered.began.elapsed());
        if index == 1 {
            self.core.metrics.hedges_won.increment();
            attempts.trail.begin(answered.connection.address);
        }
        if let Some(other) = other {
            other.outrun.by(&self.core, other.began.elapsed());
            if index == 1 {
                other.outrun.late(&self.core);
            }
            tracing::debug!(endpoint = %other.address, "outrun by another endpoint");
        }
    }
}

impl Attempts {
    /// Takes note of a try that failed. Whether it was none: its kept connection was closed.
    fn lost(&mut self, exchange: &Exchange<'_>, lost: &Lost) -> bool {
        lost.address.into_iter().for_each(|address| self.tried.add(address));
        let Some(connection) = &lost.connection else { return false };
        self.failed(&exchange.core, connection, &lost.failure, lost.reused);
        lost.reused && matches!(lost.failure, Failure::NoResponse)
    }
}

/// Waits for the first of these. The other futures stay as they are.
async fn next(
    tries: &mut [Option<Running<'_>>; 2],
    late: &mut Option<Pin<Box<impl Future<Output = ()>>>>,
    gone: &Deadline,
) -> Event {
    poll_fn(|cx| {
        for (index, running) in tries.iter_mut().enumerate() {
            if let Some(running) = running
                && let Poll::Ready(done) = running.future.as_mut().poll(cx)
            {
                return Poll::Ready(Event::Done(index, Box::new(done)));
            }
        }
        if let Some(timer) = late
            && timer.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Event::Late);
        }
        gone.poll_aborted(cx).map(|_| Event::ClientGone)
    })
    .await
}
