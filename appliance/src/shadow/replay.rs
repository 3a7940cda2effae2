//! Requests sent to both controllers, and their answers compared.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::outcome::{Difference, Outcome};
use super::read::{Input, Line};
use super::record::Recorded;
use super::send::{Reply, Sender};
use crate::cli::Peers;

/// Fields that tell of routing, access and safety, and are the same for every answer of one route.
const FIELDS: [&str; 7] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "content-encoding",
    "content-type",
    "strict-transport-security",
    "www-authenticate",
    "x-frame-options",
];

/// Methods that change nothing (RFC 9110 section 9.2.1); TRACE is answered by no sane server.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Requests that are remembered, to be sent once.
const REMEMBERED_MAX: usize = 1 << 20;

/// What became of one request.
enum Done {
    Compared { request: String, differences: Vec<Difference>, unsteady: bool },
    Unanswered,
}

/// Sends what the input holds, until its end or the deadline.
pub(super) async fn run(peers: &Peers, mut input: Input, deadline: Instant) -> Result<Outcome, String> {
    let pair = Arc::new(Pair {
        sender: Sender::new(peers.timeout)?,
        old: peers.old.clone(),
        new: peers.new.clone(),
        fields: FIELDS.iter().map(ToString::to_string).chain(peers.fields.iter().cloned()).collect(),
        backend_field: peers.backend_field.clone(),
    });
    let (mut outcome, mut tasks, mut seen) = (Outcome::default(), JoinSet::new(), Seen::default());
    let pause = Duration::from_secs(1) / peers.rate;
    let mut next = Instant::now();
    loop {
        while tasks.len() >= peers.in_flight_max {
            take(&mut outcome, tasks.join_next().await);
        }
        let Some(line) = input.next_before(deadline, &mut outcome).await else { break };
        let Some((recorded, host)) = choose(line, &input, peers.all_methods, &mut seen, &mut outcome) else { continue };
        // Never faster than the rate, and no burst after a pause.
        sleep_until(next).await;
        next = next.max(Instant::now()) + pause;
        let pair = Arc::clone(&pair);
        tasks.spawn(async move { pair.compare(&host, &recorded).await });
        while let Some(done) = tasks.try_join_next() {
            take(&mut outcome, Some(done));
        }
    }
    while let Some(done) = tasks.join_next().await {
        take(&mut outcome, Some(done));
    }
    Ok(outcome)
}

fn take(outcome: &mut Outcome, done: Option<Result<Done, tokio::task::JoinError>>) {
    match done {
        Some(Ok(Done::Compared { request, differences, unsteady })) => {
            outcome.unsteady += u64::from(unsteady);
            outcome.add(request, differences);
        }
        Some(Ok(Done::Unanswered) | Err(_)) => outcome.unanswered += 1,
        None => {}
    }
}

/// The request of a line with its host, if it is to be sent.
fn choose(
    line: Line,
    input: &Input,
    all_methods: bool,
    seen: &mut Seen,
    outcome: &mut Outcome,
) -> Option<(Recorded, String)> {
    let Line::Request(recorded) = line else {
        outcome.unread += 1;
        return None;
    };
    let Some(host) = recorded.host.clone().or_else(|| input.host.clone()) else {
        outcome.unread += 1;
        return None;
    };
    if !all_methods && !SAFE.contains(&recorded.method.as_str()) {
        outcome.unsafe_methods += 1;
        return None;
    }
    if !seen.is_new(&recorded, &host) {
        outcome.repeated += 1;
        return None;
    }
    Some((recorded, host))
}

/// What was sent before, by a hash: that two requests meet in one costs a comparison, not a wrong answer.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    fn is_new(&mut self, recorded: &Recorded, host: &str) -> bool {
        let hash = self.hasher.hash_one((&recorded.method, host, &recorded.target, &recorded.fields));
        match self.hashes.len() < REMEMBERED_MAX {
            true => self.hashes.insert(hash),
            false => !self.hashes.contains(&hash),
        }
    }
}

struct Pair {
    sender: Sender,
    old: crate::cli::Peer,
    new: crate::cli::Peer,
    fields: Vec<String>,
    backend_field: Option<String>,
}

impl Pair {
    /// A difference counts when it is there a second time: applications have moods.
    async fn compare(&self, host: &str, recorded: &Recorded) -> Done {
        let request = format!("{} {host}{}", recorded.method, recorded.target);
        let Some(first) = self.once(host, recorded).await else { return Done::Unanswered };
        if first.is_empty() || !SAFE.contains(&recorded.method.as_str()) {
            return Done::Compared { request, differences: first, unsteady: false };
        }
        let Some(second) = self.once(host, recorded).await else { return Done::Unanswered };
        let is_again = |difference: &Difference| second.iter().any(|other| other.what == difference.what);
        let differences: Vec<_> = first.into_iter().filter(is_again).collect();
        let unsteady = differences.is_empty();
        Done::Compared { request, differences, unsteady }
    }

    async fn once(&self, host: &str, recorded: &Recorded) -> Option<Vec<Difference>> {
        let (old, new) =
            tokio::join!(self.sender.send(&self.old, host, recorded), self.sender.send(&self.new, host, recorded));
        match (old, new) {
            (Ok(old), Ok(new)) => Some(self.differences(&old, &new)),
            (Ok(old), Err(error)) => Some(vec![Difference::new("status", old.status.to_string(), error)]),
            (Err(error), Ok(new)) => Some(vec![Difference::new("status", error, new.status.to_string())]),
            (Err(_), Err(_)) => None,
        }
    }

    fn differences(&self, old: &Reply, new: &Reply) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut add = |what: &str, old: String, new: String| {
            if old != new {
                found.push(Difference::new(what, shown(old), shown(new)));
            }
        };
        add("status", old.status.to_string(), new.status.to_string());
        add("location", value(&old.fields, "location"), value(&new.fields, "location"));
        if let Some(field) = &self.backend_field {
            add("backend", value(&old.fields, field), value(&new.fields, field));
        }
        add("cookies", cookies(&old.fields), cookies(&new.fields));
        for field in &self.fields {
            add(field, value(&old.fields, field), value(&new.fields, field));
        }
        found
    }
}

/// All values of a field.
fn value(fields: &HeaderMap, name: &str) -> String {
    let values = fields.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    values.collect::<Vec<_>>().join(", ")
}

/// The names of the cookies that are set; their values are new each time.
fn cookies(fields: &HeaderMap) -> String {
    let names = fields.get_all("set-cookie").iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split('=').next().unwrap_or_default().trim().to_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.join(", ")
}

fn shown(value: String) -> String {
    if value.is_empty() { "none".to_owned() } else { value }
}
