//! Names outside of the cluster (Services of type ExternalName): looked up, and looked up again when their time is over.
//!
//! A task for each name that the compiler asks for. What a name server says decides; while none answers, the addresses
//! from before serve on.

mod resolver;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::ResolverSettings;
use resolver::{Answer, Failure, Resolver};

/// Names that are looked up; more have no addresses.
const NAMES_MAX: usize = 10_000;

/// Look-ups at the same time.
const LOOKUPS_MAX: usize = 64;

/// Answers that may wait for the control thread; the tasks wait with more.
const FOUND_MAX: usize = 64;

/// A name is looked up again no sooner than this, whatever its records say…
const AGAIN_MIN: Duration = Duration::from_secs(1);

/// …and no later.
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// After a failure at first, doubled with every further one up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);

const RETRY_MAX: Duration = Duration::from_secs(30);

/// The longest that the first snapshot waits for names.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// What a name has, for the compiler.
pub(crate) type Addresses = Result<Arc<[IpAddr]>, Arc<str>>;

/// All names that are wanted.
pub(crate) struct Names {
    resolver: Arc<Resolver>,
    turns: Arc<Semaphore>,
    followed: HashMap<Arc<str>, Following>,
    /// Names of which nothing has been said yet.
    open: HashSet<Arc<str>>,
    /// Until when the first snapshot may wait; set with the first names.
    patience: Option<Instant>,
    found: mpsc::Sender<(Arc<str>, Result<Answer, Failure>)>,
    found_out: mpsc::Receiver<(Arc<str>, Result<Answer, Failure>)>,
}

/// A name that is looked up again and again, until this is dropped.
struct Following {
    task: JoinHandle<()>,
    has_addresses: bool,
    /// No server has answered since the addresses came.
    is_old: bool,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    pub(crate) fn new(settings: ResolverSettings) -> Self {
        let (found, found_out) = mpsc::channel(FOUND_MAX);
        Self {
            resolver: Arc::new(Resolver::new(settings)),
            turns: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            followed: HashMap::new(),
            open: HashSet::new(),
            patience: None,
            found,
            found_out,
        }
    }

    /// Looks these names up from now on, and no others.
    pub(crate) fn want<'a>(&mut self, wanted: impl Iterator<Item = &'a Arc<str>>) {
        let wanted: HashSet<&Arc<str>> = wanted.take(NAMES_MAX).collect();
        self.followed.retain(|name, _| wanted.contains(name));
        self.open.retain(|name| wanted.contains(name));
        for name in wanted {
            if self.followed.contains_key(name) {
                continue;
            }
            let (resolver, turns, found) = (Arc::clone(&self.resolver), Arc::clone(&self.turns), self.found.clone());
            let task = tokio::spawn(follow(Arc::clone(name), resolver, turns, found));
            self.followed.insert(Arc::clone(name), Following { task, has_addresses: false, is_old: false });
            self.open.insert(Arc::clone(name));
            self.patience.get_or_insert_with(|| Instant::now() + START_PATIENCE);
        }
    }

    /// Whether the first snapshot should wait for what has been asked.
    pub(crate) fn hold_up(&self) -> bool {
        !self.open.is_empty() && self.patience.is_some_and(|until| Instant::now() < until)
    }

    /// Waits for something to tell of a name; `None` when the time to wait for the first snapshot is over. Cancel-safe.
    pub(crate) async fn changed(&mut self, held_up: bool) -> Option<(Arc<str>, Addresses)> {
        let until = self.patience.filter(|_| held_up);
        loop {
            let (name, answer) = tokio::select! {
                // One sender is kept here.
                Some(found) = self.found_out.recv() => found,
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now).into()), if until.is_some() => return None,
            };
            if let Some(addresses) = self.take(&name, answer) {
                return Some((name, addresses));
            }
        }
    }

    /// What there is to tell; nothing of a name that nobody wants any more, or whose addresses serve on.
    fn take(&mut self, name: &Arc<str>, answer: Result<Answer, Failure>) -> Option<Addresses> {
        let followed = self.followed.get_mut(name)?;
        self.open.remove(name);
        match answer {
            Ok(answer) => {
                (followed.has_addresses, followed.is_old) = (true, false);
                Some(Ok(answer.addresses.into()))
            }
            Err(Failure::Unanswered(why)) if followed.has_addresses => {
                if !std::mem::replace(&mut followed.is_old, true) {
                    warn!(%name, "cannot be looked up again, the addresses from before serve on: {why}");
                }
                None
            }
            Err(failure) => {
                (followed.has_addresses, followed.is_old) = (false, false);
                Some(Err(failure.to_string().into()))
            }
        }
    }
}

/// Looks a name up for ever.
async fn follow(
    name: Arc<str>,
    resolver: Arc<Resolver>,
    turns: Arc<Semaphore>,
    found: mpsc::Sender<(Arc<str>, Result<Answer, Failure>)>,
) {
    let mut retry = RETRY_MIN;
    loop {
        let answer = {
            // Never closed.
            let Ok(_turn) = turns.acquire().await else { return };
            resolver.look_up(&name).await
        };
        let pause = match &answer {
            Ok(answer) => {
                retry = RETRY_MIN;
                answer.valid_for.clamp(AGAIN_MIN, AGAIN_MAX)
            }
            Err(_) => {
                let pause = retry;
                retry = (retry * 2).min(RETRY_MAX);
                pause
            }
        };
        if found.send((Arc::clone(&name), answer)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
    }
}
