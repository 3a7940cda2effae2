//! The election carried out: one Lease, asked for and renewed; everybody else hears by when the lead ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use super::api::{Api, Failure, Resource};
use super::election::{Election, Lease, Step};
use crate::watch::kube::Backoff;

/// Until when this process leads; `None` when it does not. A moment in the past means the same.
pub(crate) type Lead = Option<Instant>;

/// Where the Lease is and how long it lasts.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSettings {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) ttl: Duration,
}

/// Takes part until `end` is sent or dropped; then gives the lead back.
pub(crate) async fn run(
    api: Api,
    settings: LeaseSettings,
    me: String,
    lead: watch::Sender<Lead>,
    end: oneshot::Receiver<()>,
) {
    let election = Election::new(me, settings.ttl);
    let mut candidate = Candidate { api, settings, election, lead, backoff: Backoff::default(), failed: None };
    tokio::select! {
        () = candidate.take_part() => {}
        _ = end => {}
    }
    candidate.give_back().await;
}

struct Candidate {
    api: Api,
    settings: LeaseSettings,
    election: Election,
    lead: watch::Sender<Lead>,
    backoff: Backoff,
    /// The last failure, to log it once.
    failed: Option<Failure>,
}

impl Candidate {
    async fn take_part(&mut self) {
        loop {
            let pause = match self.turn().await {
                Ok(()) => {
                    self.backoff.reset();
                    self.failed = None;
                    let period = self.election.period();
                    // Replicas that wait do not come in step; the holder must not be late.
                    let is_leader = self.election.leads(Instant::now()).is_some();
                    if is_leader { period } else { period.mul_f64(1.0 + 0.2 * fastrand::f64()) }
                }
                Err(Failure::Conflict | Failure::NotFound) => {
                    self.election.lost();
                    self.backoff.next(fastrand::f64())
                }
                Err(failure) => {
                    if self.failed.as_ref() != Some(&failure) {
                        warn!(lease = %self.name(), "the leader election cannot go on: {failure}");
                    }
                    let refused = matches!(failure, Failure::Refused(_));
                    self.failed = Some(failure);
                    let pause = self.backoff.next(fastrand::f64());
                    if refused { pause.max(self.election.period()) } else { pause }
                }
            };
            self.show();
            self.rest(pause).await;
        }
    }

    /// One turn: look if need be, then write if it is our turn to.
    async fn turn(&mut self) -> Result<(), Failure> {
        if self.election.leads(Instant::now()).is_none() {
            let read = match self.api.get(Resource::Lease, &self.settings.namespace, &self.settings.name).await {
                Ok(object) => Some(Lease::read(&object)),
                Err(Failure::NotFound) => None,
                Err(failure) => return Err(failure),
            };
            self.election.saw(read, Instant::now());
        }
        let asked = Instant::now();
        let answer = match self.election.step(asked, &wall()) {
            Step::Look | Step::Wait => return Ok(()),
            Step::Create(spec) => {
                self.api.create(Resource::Lease, &self.settings.namespace, &self.object(spec, None)).await?
            }
            Step::Replace(spec, version) => self.replace(spec, version).await?,
        };
        self.election.won(Lease::read(&answer), asked, Instant::now());
        Ok(())
    }

    async fn replace(&self, spec: Value, version: String) -> Result<Value, Failure> {
        let object = self.object(spec, Some(version));
        self.api.replace(Resource::Lease, &self.settings.namespace, &self.settings.name, &object).await
    }

    fn object(&self, spec: Value, version: Option<String>) -> Value {
        let mut metadata = json!({"name": self.settings.name, "namespace": self.settings.namespace});
        if let Some(version) = version {
            metadata["resourceVersion"] = json!(version);
        }
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec})
    }

    /// Waits, and tells at once when the lead ends meanwhile.
    async fn rest(&mut self, pause: Duration) {
        let wake = Instant::now() + pause;
        if let Some(ends) = self.election.leads(Instant::now()).filter(|&ends| ends < wake) {
            tokio::time::sleep_until(ends.into()).await;
            self.show();
        }
        tokio::time::sleep_until(wake.into()).await;
    }

    fn show(&self) {
        let now = self.election.leads(Instant::now());
        self.lead.send_if_modified(|lead| {
            let led = lead.is_some();
            *lead = now;
            match (led, now.is_some()) {
                (false, true) => info!(lease = %self.name(), "this process leads"),
                (true, false) => info!(lease = %self.name(), "this process no longer leads"),
                (true, true) => debug!(lease = %self.name(), "the lead is renewed"),
                (false, false) => return false,
            }
            true
        });
    }

    async fn give_back(&mut self) {
        self.lead.send_replace(None);
        if let Some((spec, version)) = self.election.give_back(&wall())
            && let Err(failure) = self.replace(spec, version).await
        {
            debug!(lease = %self.name(), "the lead is not given back, it will run out: {failure}");
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }
}

/// The time of day as a Lease has it.
fn wall() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}
