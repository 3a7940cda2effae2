//! Rolling updates that the server makes by itself, so that a thousand writes a second cost no requests; and what was
//! asked of it meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::super::rollout::{Addresses, Plan, slice};
use super::{Inner, State};

/// Writes are made in portions, so often.
const PORTION: Duration = Duration::from_millis(2);

/// Events kept while rolling: a watch that is further behind lists again, as with a real server.
const EVENTS_MAX: usize = 100_000;

/// Starts a rolling update in the background; false when the server has no Services of its own.
pub(super) fn start(state: &Arc<State>, services: u64, rate: u64, writes: u64) -> bool {
    let mut inner = state.lock();
    let Some((endpoints, addresses)) = inner.rollout else { return false };
    let services = usize::try_from(services).unwrap_or(usize::MAX).clamp(1, Addresses::MAX / endpoints.max(1));
    if inner.rolled.len() < services {
        inner.rolled.resize(services, 0);
    }
    inner.rolling += 1;
    drop(inner);
    let plan = Plan { services, endpoints, addresses, rate: rate.max(1), writes };
    tokio::spawn(roll(Arc::clone(state), plan));
    true
}

async fn roll(state: Arc<State>, plan: Plan) {
    let started = Instant::now();
    let mut portions = tokio::time::interval(PORTION);
    portions.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut done = 0;
    while done < plan.writes {
        portions.tick().await;
        let due = (started.elapsed().as_secs_f64() * plan.rate as f64) as u64;
        let due = due.min(plan.writes);
        if due > done {
            state.change(|inner| (done..due).for_each(|number| write(inner, &plan, number)));
            done = due;
        }
    }
    state.change(|inner| inner.rolling -= 1);
}

fn write(inner: &mut Inner, plan: &Plan, number: u64) {
    let service = (number % plan.services as u64) as usize;
    inner.rolled[service] += 1;
    inner.store.put(slice(service, plan.endpoints, plan.addresses, inner.rolled[service]));
    inner.store.forget_before(EVENTS_MAX);
}

/// Requests by verb and resource, the writes of rolling updates, and whether one goes on.
pub(super) fn figures(inner: &Inner) -> Value {
    let requests: BTreeMap<String, usize> = inner
        .requests
        .iter()
        .map(|((verb, resource), &count)| (format!("{verb:?} {resource}").to_lowercase(), count))
        .collect();
    json!({"requests": requests, "rolled": inner.rolled.iter().sum::<u64>(), "rolling": inner.rolling > 0})
}
