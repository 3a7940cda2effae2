//! Questions of the webhook that name Secrets and ConfigMaps which nobody has read yet, as they are named for the first
//! time: they are read for the question, which is then answered with them. Nothing that is read here is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::compile::Review;
use ringress_config::model::{Ingress, Kind, Object, ObjectRef, decode};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::debug;

use crate::watch::kube::{Link, can_be};
use crate::write::{Api, Resource};

/// Time for all that one question names; what has not come by then counts as if it were not there.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Objects that are read for one question: an Ingress may have a certificate for each of its hosts.
const READ_MAX: usize = 32;

/// Questions for which something is read at the same time; one more is answered without.
const QUESTIONS_MAX: usize = 16;

/// A question of the webhook.
pub(crate) struct Question {
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) reply: oneshot::Sender<Option<Review>>,
}

/// The questions for which something is being read. All of it ends when this is dropped.
#[derive(Default)]
pub(crate) struct Reading(JoinSet<(Question, Vec<Object>)>);

impl Reading {
    /// Whether there is room for one question more.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < QUESTIONS_MAX
    }

    /// Begins to read for a question.
    pub(crate) fn start(&mut self, link: Link, unread: Vec<ObjectRef>, question: Question) {
        self.0.spawn(async move { (question, read(&Api::new(link), unread).await) });
    }

    /// A question and what was read for it. Cancel-safe; waits for ever while nothing is read.
    pub(crate) async fn next(&mut self) -> (Question, Vec<Object>) {
        loop {
            match self.0.join_next().await {
                Some(Ok(read)) => return read,
                // One that panicked has dropped its question, whose asker is told so.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

async fn read(api: &Api, unread: Vec<ObjectRef>) -> Vec<Object> {
    let end = Instant::now() + READ_TIMEOUT;
    let mut found = Vec::new();
    for object in unread.into_iter().filter(can_be).take(READ_MAX) {
        let resource = match object.kind {
            Kind::Secret => Resource::Secret,
            Kind::ConfigMap => Resource::ConfigMap,
            _ => continue,
        };
        let (namespace, name) = (&object.key.namespace, &object.key.name);
        match tokio::time::timeout_at(end.into(), api.find(resource, namespace, name)).await {
            Ok(Ok(Some(mut value))) => {
                // What comes in a list does not say what it is.
                (value["apiVersion"], value["kind"]) = (json!("v1"), json!(object.kind.as_str()));
                found.extend(decode(value, None).object);
            }
            Ok(Ok(None)) => {}
            Ok(Err(cause)) => debug!(%object, "what the webhook is asked about cannot be read: {cause}"),
            Err(_) => break,
        }
    }
    found
}
