//! The Secret with the keys of session tickets that all replicas share: the leader makes it, adds a key before the
//! newest one is old, and takes out those that no ticket can need any more.
//!
//! A new key is in the Secret a while before its time to seal comes, and stays for as long as a ticket lives after the
//! next one has taken over: a replica that sees a change late loses no session. A Secret that holds something else is
//! somebody else's, and is left alone.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_config::compile::{TICKET_KEY_PREFIX, read_ticket_keys};
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, Object, ObjectKey, ObjectRef, Secret, decode};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};
use tracing::info;

use super::api::{Api, Failure, Resource};
use super::leader::Lead;
use super::notes::Notes;
use crate::watch::kube::Backoff;

/// How long a key seals.
const PERIOD_SECONDS: u64 = 6 * 3600;

/// A new key is in the Secret for so long before it seals.
const AHEAD_SECONDS: u64 = 600;

/// A key that no longer seals opens tickets for so long: their longest life, and the time until a late replica seals
/// with the next key.
const AFTER_SECONDS: u64 = 12 * 3600 + AHEAD_SECONDS;

/// Bytes of a key that is made here.
const KEY_BYTES: usize = 32;

/// The longest time until the next look; a Secret that changes is looked at at once.
const LOOK_MAX: Duration = Duration::from_secs(3600);

/// Pause after the server said that this account may not, and where the Secret is somebody else's.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Pause after a first write. It doubles with each that follows soon, so that somebody who keeps undoing them is not
/// fought, 64-fold at most…
const WRITE_PAUSE: Duration = Duration::from_millis(500);
const WRITE_PAUSE_DOUBLINGS: u32 = 6;

/// …and is as short as before after a time without one.
const CALM: Duration = Duration::from_secs(3600);

/// What has to be done to a Secret.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Nothing for so long.
    Rest(Duration),
    /// Take out these values, and add a key that seals from this second on.
    Write { remove: Vec<Arc<str>>, add: Option<u64> },
    /// It is not for ticket keys.
    Foreign,
}

/// Decides by the second of the Unix epoch.
fn plan(secret: &Secret, now: u64) -> Plan {
    if secret.data.keys().any(|name| !name.starts_with(TICKET_KEY_PREFIX)) {
        return Plan::Foreign;
    }
    let usable = read_ticket_keys(secret).keys;
    let times: Vec<u64> = usable.iter().map(|key| key.from).collect();
    let Some(&newest) = times.last() else {
        return Plan::Write { remove: secret.data.keys().cloned().collect(), add: Some(now) };
    };
    // Of a clock far ahead of this one: until then nothing new would ever seal.
    let is_astray = newest > now + PERIOD_SECONDS + AHEAD_SECONDS;
    let next = newest.saturating_add(PERIOD_SECONDS);
    let is_due = is_astray || now + AHEAD_SECONDS >= next;
    let ended = |pair: &[u64]| pair[1].saturating_add(AFTER_SECONDS) <= now;
    let kept = |time: u64| !(is_astray && time > now + PERIOD_SECONDS + AHEAD_SECONDS);
    let old = times.windows(2).filter(|pair| ended(pair)).map(|pair| pair[0]).collect::<Vec<_>>();
    let is_unwanted = |name: &&Arc<str>| {
        let from = name.strip_prefix(TICKET_KEY_PREFIX).and_then(|from| from.parse().ok());
        from.is_none_or(|from| !times.contains(&from) || old.contains(&from) || !kept(from))
    };
    let remove: Vec<_> = secret.data.keys().filter(is_unwanted).cloned().collect();
    match (is_due, remove.is_empty()) {
        (false, true) => Plan::Rest(Duration::from_secs(next - AHEAD_SECONDS - now)),
        (is_due, _) => {
            // After a pause without a leader the time of the next key has passed: it seals once all can have it.
            let add = is_due.then(|| if is_astray { now } else { next.max(now + AHEAD_SECONDS) });
            Plan::Write { remove, add }
        }
    }
}

/// Keeps the Secret while this process leads, until the lead's sender is gone.
pub(crate) async fn run(
    api: Api,
    secret: ObjectKey,
    mut lead: watch::Receiver<Lead>,
    changed: Arc<Notify>,
    notes: Notes,
) {
    let mut keeper = Keeper {
        api,
        object: ObjectRef { kind: Kind::Secret, key: secret },
        notes,
        backoff: Backoff::default(),
        writes: 0,
        written: None,
    };
    loop {
        if lead.wait_for(|lead| lead.is_some_and(|until| Instant::now() < until)).await.is_err() {
            return;
        }
        let Some(until) = *lead.borrow() else { continue };
        let turn = tokio::time::timeout_at(until.into(), keeper.turn()).await;
        let Pause { least, most } = turn.unwrap_or(Pause { least: Duration::ZERO, most: Duration::ZERO });
        tokio::time::sleep(least).await;
        tokio::select! {
            () = tokio::time::sleep(most) => {}
            () = changed.notified() => {}
        }
    }
}

/// How long to wait for the next look: at most, and at least, whatever changes.
struct Pause {
    least: Duration,
    most: Duration,
}

struct Keeper {
    api: Api,
    object: ObjectRef,
    notes: Notes,
    backoff: Backoff,
    /// Writes that followed each other soon, and when the last one was.
    writes: u32,
    written: Option<Instant>,
}

impl Keeper {
    /// Looks once and does what there is to do.
    async fn turn(&mut self) -> Pause {
        let at_most = |most| Pause { least: Duration::ZERO, most };
        match self.look().await {
            Ok(Plan::Rest(time)) => {
                self.done(None);
                at_most(time.min(LOOK_MAX))
            }
            Ok(Plan::Write { .. }) => {
                self.done(None);
                let now = Instant::now();
                self.writes = match self.written.replace(now) {
                    Some(last) if now.duration_since(last) < CALM => self.writes.saturating_add(1),
                    Some(_) | None => 0,
                };
                // What was written is looked at, but not at once: the own write wakes this as any other does.
                let least = WRITE_PAUSE * (1 << self.writes.min(WRITE_PAUSE_DOUBLINGS));
                Pause { least, most: Duration::ZERO }
            }
            Ok(Plan::Foreign) => {
                self.done(Some("holds values that are no keys of session tickets; it is left alone".to_owned()));
                at_most(REFUSED_PAUSE)
            }
            Err(Failure::Conflict) => at_most(self.backoff.next(fastrand::f64())),
            Err(failure) => {
                let is_refused = matches!(failure, Failure::Refused(_));
                self.note(Some(format!("the keys of session tickets cannot be kept in it: {failure}")));
                let pause = self.backoff.next(fastrand::f64());
                at_most(if is_refused { REFUSED_PAUSE } else { pause })
            }
        }
    }

    fn done(&mut self, fault: Option<String>) {
        self.backoff.reset();
        self.note(fault);
    }

    fn note(&self, fault: Option<String>) {
        self.notes.set("tickets", fault.map(|fault| Finding::warning(&self.object, "", fault)));
    }

    async fn look(&self) -> Result<Plan, Failure> {
        let ObjectKey { namespace, name } = &self.object.key;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let mut object = match self.api.get(Resource::Secret, namespace, name).await {
            Ok(object) => object,
            Err(Failure::NotFound) => {
                let data = json!({format!("{TICKET_KEY_PREFIX}{now}"): fresh()?});
                let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                    "metadata": {"name": &**name, "namespace": &**namespace}, "data": data});
                self.api.create(Resource::Secret, namespace, &object).await?;
                info!(secret = %self.object.key, "the Secret with the keys of session tickets is made");
                return Ok(Plan::Write { remove: Vec::new(), add: Some(now) });
            }
            Err(failure) => return Err(failure),
        };
        let Some(Object::Secret(secret)) = decode(named(object.clone()), None).object else { return Ok(Plan::Foreign) };
        let plan = plan(&secret, now);
        if let Plan::Write { remove, add } = &plan {
            apply(&mut object["data"], remove, *add)?;
            self.api.replace(Resource::Secret, namespace, name, &object).await?;
            info!(secret = %self.object.key, removed = remove.len(), new = add, "the keys of session tickets are rotated");
        }
        Ok(plan)
    }
}

/// An answer to a request for one object may leave out what it is.
fn named(mut object: Value) -> Value {
    (object["apiVersion"], object["kind"]) = (json!("v1"), json!("Secret"));
    object
}

fn apply(data: &mut Value, remove: &[Arc<str>], add: Option<u64>) -> Result<(), Failure> {
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    if let Some(values) = data.as_object_mut() {
        values.retain(|name, _| !remove.iter().any(|removed| **removed == **name));
    }
    if let Some(from) = add {
        data[format!("{TICKET_KEY_PREFIX}{from}")] = json!(fresh()?);
    }
    Ok(())
}

/// A new key in base64.
fn fresh() -> Result<String, Failure> {
    let mut key = zeroize::Zeroizing::new([0; KEY_BYTES]);
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut key[..]).map_err(|_| Failure::Other("the system gives no randomness".to_owned()))?;
    Ok(STANDARD.encode(&key[..]))
}

#[cfg(test)]
mod tests;
