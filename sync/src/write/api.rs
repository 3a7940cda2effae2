//! Single requests to the API server, each with its own limit, and what their failures mean to who writes.

use std::time::Duration;

use kube::api::{GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::Value;

use crate::watch::kube::{Link, describe};

/// The longest that one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Objects that one list may bring: Pods of one controller, not of a cluster.
const LIST_MAX: u32 = 500;

/// Why a request has not led to what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The object is not there.
    NotFound,
    /// It is another version than was thought, or it exists already.
    Conflict,
    /// The namespace is being deleted: nothing can be made in it any more.
    Ending,
    /// The account may not.
    Refused(String),
    /// The server is away, or cannot; a later attempt may succeed.
    Other(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("the object does not exist"),
            Self::Conflict => f.write_str("the object has been changed meanwhile"),
            Self::Ending => f.write_str("the namespace is being deleted"),
            Self::Refused(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl Failure {
    fn of(cause: &kube::Error) -> Self {
        let kube::Error::Api(status) = cause else { return Self::Other(describe(cause)) };
        let message = format!("status {}: {}", status.code, status.message);
        match status.code {
            404 => Self::NotFound,
            409 => Self::Conflict,
            403 if is_ending(status) => Self::Ending,
            401 | 403 => Self::Refused(message),
            _ => Self::Other(message),
        }
    }
}

/// Whether it is the namespace that stands in the way, not a right.
fn is_ending(status: &kube::core::Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}

/// The resources that are read or written one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Event,
    Ingress,
    IngressClass,
    ConfigMap,
    Lease,
    Node,
    Pod,
    Secret,
    Service,
    WebhookConfiguration,
}

impl Resource {
    /// The path of the collection.
    pub(crate) fn path(self, namespace: &str) -> String {
        let (group, plural) = match self {
            Self::Event => ("/api/v1", "events"),
            Self::Ingress => ("/apis/networking.k8s.io/v1", "ingresses"),
            Self::IngressClass => return "/apis/networking.k8s.io/v1/ingressclasses".to_owned(),
            Self::ConfigMap => ("/api/v1", "configmaps"),
            Self::Lease => ("/apis/coordination.k8s.io/v1", "leases"),
            Self::Node => return "/api/v1/nodes".to_owned(),
            Self::Pod => ("/api/v1", "pods"),
            Self::Secret => ("/api/v1", "secrets"),
            Self::Service => ("/api/v1", "services"),
            Self::WebhookConfiguration => {
                return "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations".to_owned();
            }
        };
        format!("{group}/namespaces/{namespace}/{plural}")
    }
}

/// The API server, asked for one thing at a time.
#[derive(Clone)]
pub(crate) struct Api {
    link: Link,
}

impl Api {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// For a watch.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Value, Failure> {
        self.send(Request::new(resource.path(namespace)).get(name, &GetParams::default())).await
    }

    /// The metadata alone: what else is in the object is nobody's business here.
    pub(crate) async fn metadata(&self, resource: Resource, namespace: &str, name: &str) -> Result<Value, Failure> {
        let request = Request::new(resource.path(namespace)).get_metadata(name, &GetParams::default());
        let mut object = self.send(request).await?;
        Ok(object["metadata"].take())
    }

    pub(crate) async fn list(&self, resource: Resource, namespace: &str, labels: &str) -> Result<Vec<Value>, Failure> {
        let params = ListParams::default().labels(labels).limit(LIST_MAX);
        let mut list = self.send(Request::new(resource.path(namespace)).list(&params)).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// One object by a list that holds nothing else, as a right to get is not given for all kinds; `None` when it is not
    /// there.
    pub(crate) async fn find(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, Failure> {
        let params = ListParams::default().fields(&format!("metadata.name={name}")).limit(1);
        let mut list = self.send(Request::new(resource.path(namespace)).list(&params)).await?;
        Ok(list["items"].get_mut(0).map(Value::take))
    }

    pub(crate) async fn create(&self, resource: Resource, namespace: &str, object: &Value) -> Result<Value, Failure> {
        let request = Request::new(resource.path(namespace)).create(&PostParams::default(), body(object)?);
        self.send(request).await
    }

    /// Replaces the version that `metadata.resourceVersion` names, and no other.
    pub(crate) async fn replace(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value, Failure> {
        let request = Request::new(resource.path(namespace)).replace(name, &PostParams::default(), body(object)?);
        self.send(request).await
    }

    /// A merge patch of the status. With `metadata.resourceVersion` it applies to that version only.
    pub(crate) async fn patch_status(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, Failure> {
        let (request, params) = (Request::new(resource.path(namespace)), PatchParams::default());
        self.send(request.patch_subresource("status", name, &params, &Patch::Merge(patch))).await
    }

    /// A strategic merge patch: lists whose entries have names are merged by them. With `metadata.resourceVersion` it
    /// applies to that version only.
    pub(crate) async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, Failure> {
        let (request, params) = (Request::new(resource.path(namespace)), PatchParams::default());
        self.send(request.patch(name, &params, &Patch::Strategic(patch))).await
    }

    async fn send(&self, request: Built) -> Result<Value, Failure> {
        let request = request.map_err(|cause| Failure::Other(describe(&cause)))?;
        // Not `Client::request`: it logs an answer that it cannot parse.
        match tokio::time::timeout(REQUEST_TIMEOUT, self.link.client().request_text(request)).await {
            Ok(Ok(text)) => serde_json::from_str(&text).map_err(|cause| Failure::Other(cause.to_string())),
            Ok(Err(cause)) => {
                self.link.failed(&cause);
                Err(Failure::of(&cause))
            }
            Err(_) => Err(Failure::Other(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }
}

/// A request as kube builds it.
type Built = Result<hyper::Request<Vec<u8>>, kube::core::request::Error>;

fn body(object: &Value) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(object).map_err(|cause| Failure::Other(cause.to_string()))
}
