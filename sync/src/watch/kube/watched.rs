//! A running feed: what it is of, where that is on the server, what it has told, and how it does.

use std::fmt;
use std::time::{Duration, Instant};

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, ObjectKey, ObjectRef};
use tokio::task::AbortHandle;
use tracing::{info, warn};

use super::TLS_SECRET;
use super::feed::{Failure, Subject};
use super::store::Store;

/// How long the server has to refuse before that is taken for its word: one that starts refuses everybody for a moment,
/// as it has not read its roles yet.
const REFUSED_FOR: Duration = Duration::from_secs(2);

/// A feed's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feed {
    /// All objects of a kind (Secret: those of type TLS).
    All(Kind),
    /// One object.
    Named(ObjectRef),
}

/// A running feed and what it has told.
pub(super) struct Watched {
    pub(super) feed: Feed,
    pub(super) store: Store,
    /// Whether a snapshot is complete without it when the server refuses it.
    pub(super) optional: bool,
    pub(super) listed: bool,
    /// Whether changes may wait for its first list.
    pub(super) is_awaited: bool,
    failing: Option<Failure>,
    /// Since when the server has said nothing but that this account may not.
    refused: Option<Instant>,
    pub(super) task: AbortHandle,
}

impl Watched {
    pub(super) fn new(feed: Feed, store: Store, task: AbortHandle) -> Self {
        let optional = match &feed {
            Feed::All(kind) => matches!(kind, Kind::IngressClass | Kind::Node),
            Feed::Named(_) => true,
        };
        Self { feed, store, optional, listed: false, is_awaited: true, failing: None, refused: None, task }
    }

    /// The object that this is a watch on, if it is on one.
    pub(super) fn named(&self) -> Option<&ObjectRef> {
        match &self.feed {
            Feed::Named(object) => Some(object),
            Feed::All(_) => None,
        }
    }

    /// Whether the last request did not fail.
    pub(super) fn is_reached(&self) -> bool {
        self.failing.is_none()
    }

    /// Whether it is settled that the account may not read this.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some_and(|since| since.elapsed() >= REFUSED_FOR)
    }

    /// Whether the server is too old, or too new, for the kind.
    pub(super) fn is_missing(&self) -> bool {
        self.failing.as_ref().is_some_and(|failure| failure.missing)
    }

    /// True when it had been failing.
    pub(super) fn reached(&mut self) -> bool {
        self.refused = None;
        let failed = self.failing.take();
        if failed.is_some() {
            info!(feed = %self.feed, "the API server answers again");
        }
        failed.is_some()
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        if self.failing.as_ref() != Some(&failure) {
            warn!(feed = %self.feed, verb = failure.verb, "the API server cannot be used: {}", failure.message);
        }
        self.refused = failure.refused.then(|| self.refused.unwrap_or_else(Instant::now));
        self.failing = Some(failure);
    }

    /// A finding when the account may not read this.
    pub(super) fn refusal(&self, namespace: Option<&str>) -> Option<Finding> {
        let failure = self.failing.as_ref().filter(|failure| failure.refused || failure.missing)?;
        let (kind, key) = match &self.feed {
            Feed::All(kind) => (*kind, ObjectKey::new(namespace.unwrap_or_default(), "*")),
            Feed::Named(object) => (object.kind, object.key.clone()),
        };
        let message = match failure.missing {
            true => format!("the API server does not know {}: {}", self.feed, failure.message),
            false => format!("this account may not {} {}: {}", failure.verb, self.feed, failure.message),
        };
        let object = ObjectRef { kind, key };
        Some(if self.optional { Finding::warning(&object, "", message) } else { Finding::error(&object, "", message) })
    }
}

/// For messages.
impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(Kind::Secret) => write!(f, "Secrets of type kubernetes.io/tls"),
            Self::All(kind) => write!(f, "objects of kind {}", kind.as_str()),
            Self::Named(object) => write!(f, "{object}"),
        }
    }
}

/// Where a feed's objects are on the server.
pub(super) fn subject(feed: &Feed, scope: Option<&str>) -> Subject {
    let (kind, scope, fields) = match feed {
        Feed::All(Kind::Secret) => (Kind::Secret, scope, Some(format!("type={TLS_SECRET}"))),
        Feed::All(kind) => (*kind, scope, None),
        Feed::Named(object) => {
            (object.kind, Some(&*object.key.namespace), Some(format!("metadata.name={}", object.key.name)))
        }
    };
    let (api_version, plural, cluster_wide) = match kind {
        Kind::Ingress => ("networking.k8s.io/v1", "ingresses", false),
        Kind::IngressClass => ("networking.k8s.io/v1", "ingressclasses", true),
        Kind::EndpointSlice => ("discovery.k8s.io/v1", "endpointslices", false),
        Kind::Service => ("v1", "services", false),
        Kind::Secret => ("v1", "secrets", false),
        Kind::ConfigMap => ("v1", "configmaps", false),
        Kind::Endpoints => ("v1", "endpoints", false),
        Kind::Node => ("v1", "nodes", true),
        Kind::Namespace | Kind::Flag | Kind::File => ("v1", "namespaces", true),
    };
    let group = if api_version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{api_version}") };
    let path = match scope.filter(|_| !cluster_wide) {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
        None => format!("{group}/{plural}"),
    };
    Subject { kind, api_version, path, fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(feed: &Feed, scope: Option<&str>) -> String {
        let subject = subject(feed, scope);
        format!("{}?{}", subject.path, subject.fields.unwrap_or_default())
    }

    #[test]
    fn a_scope_of_one_namespace_needs_no_rights_beyond_it() {
        let named = |kind| Feed::Named(ObjectRef { kind, key: ObjectKey::new("other", "x") });
        let ingress = Feed::All(Kind::Ingress);
        assert_eq!(path(&ingress, None), "/apis/networking.k8s.io/v1/ingresses?");
        assert_eq!(path(&ingress, Some("n")), "/apis/networking.k8s.io/v1/namespaces/n/ingresses?");
        assert_eq!(path(&Feed::All(Kind::Secret), Some("n")), "/api/v1/namespaces/n/secrets?type=kubernetes.io/tls");
        assert_eq!(path(&Feed::All(Kind::IngressClass), Some("n")), "/apis/networking.k8s.io/v1/ingressclasses?");
        assert_eq!(path(&named(Kind::Secret), Some("n")), "/api/v1/namespaces/other/secrets?metadata.name=x");
        let node = Feed::Named(ObjectRef { kind: Kind::Node, key: ObjectKey::new("", "x") });
        assert_eq!(path(&node, Some("n")), "/api/v1/nodes?metadata.name=x");
        assert_eq!(path(&named(Kind::ConfigMap), None), "/api/v1/namespaces/other/configmaps?metadata.name=x");
    }
}
