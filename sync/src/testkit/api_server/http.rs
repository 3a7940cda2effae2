//! The requests.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::access::Asked;
use super::faults::{Fault, Verb};
use super::store::{Refused, resource};
use super::{Inner, State, rolling};

type Params = HashMap<String, String>;

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(serve).with_state(state)
}

/// What a path names.
#[derive(Clone, Debug)]
struct Target {
    api_version: String,
    resource: &'static str,
    kind: &'static str,
    namespace: String,
    name: Option<String>,
    /// `status`, or empty.
    part: String,
}

impl Target {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (api_version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
            [plural, rest @ ..] => ("", *plural, rest),
            [] => return None,
        };
        let (resource, kind) = resource(&api_version, plural)?;
        let text = |at: usize| rest.get(at).map(|text| (*text).to_owned());
        let (namespace, name, part) = (namespace.to_owned(), text(0), text(1).unwrap_or_default());
        Some(Self { api_version, resource, kind, namespace, name, part })
    }
}

/// Which objects of a collection are asked for.
#[derive(Clone, Debug)]
struct Filter {
    namespace: String,
    fields: Vec<(String, String)>,
    labels: Vec<(String, String)>,
}

impl Filter {
    fn new(target: &Target, params: &Params) -> Self {
        let terms = |selector: &str| -> Vec<(String, String)> {
            let text = params.get(selector).map_or("", String::as_str);
            let terms = text.split(',').filter_map(|term| term.split_once('='));
            terms.map(|(name, value)| (name.to_owned(), value.trim_start_matches('=').to_owned())).collect()
        };
        let (fields, labels) = (terms("fieldSelector"), terms("labelSelector"));
        Self { namespace: target.namespace.clone(), fields, labels }
    }

    fn fits(&self, object: &Value) -> bool {
        let in_namespace = self.namespace.is_empty() || object["metadata"]["namespace"] == *self.namespace;
        in_namespace
            && self.labels.iter().all(|(name, wanted)| object["metadata"]["labels"][name] == **wanted)
            && self.fields.iter().all(|(name, wanted)| {
                let field = name.split('.').fold(object, |value, part| &value[part]);
                field.as_str().unwrap_or_default() == wanted
            })
    }
}

async fn serve(
    Shared(state): Shared<Arc<State>>,
    method: Method,
    uri: Uri,
    Query(params): Query<Params>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(command) = uri.path().strip_prefix("/testkit/") {
        return command_from_outside(&state, command, &params);
    }
    let Some(target) = Target::parse(uri.path()) else { return failure(StatusCode::NOT_FOUND, "no such path") };
    let is_watch = params.get("watch").is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    let verb = match (&method, &target.name) {
        (&Method::GET, None) if is_watch => Verb::Watch,
        (&Method::GET, None) => Verb::List,
        (&Method::GET, Some(_)) => Verb::Get,
        _ => Verb::Write,
    };
    *state.lock().requests.entry((verb, target.resource.to_owned())).or_default() += 1;
    if !state.lock().knows(headers.get(header::AUTHORIZATION)) {
        return failure(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let request = asked(&method, verb, &target, &params);
    if !state.lock().allows(request) {
        return failure(StatusCode::FORBIDDEN, "no rule allows it");
    }
    if let Some(answer) = misbehave(&state, verb, target.resource).await {
        return answer;
    }
    match verb {
        Verb::Watch => watch(&state, &target, &params),
        Verb::List => list(&state.lock(), &target, &params),
        Verb::Get => {
            let key = (target.namespace, target.name.unwrap_or_default());
            let found = state.lock().store.find(target.resource, &key).cloned().ok_or(Refused::NotFound);
            answer(found)
        }
        Verb::Write => answer(state.change(|inner| write(inner, &method, &target, &body))),
    }
}

/// What is asked for, in the words of RBAC.
fn asked(method: &Method, verb: Verb, target: &Target, params: &Params) -> Asked {
    let word = match verb {
        Verb::List => "list",
        Verb::Watch => "watch",
        Verb::Get => "get",
        Verb::Write if *method == Method::POST => "create",
        Verb::Write if *method == Method::PUT => "update",
        Verb::Write if *method == Method::PATCH => "patch",
        Verb::Write => "delete",
    };
    let selected = params.get("fieldSelector").and_then(|text| text.strip_prefix("metadata.name="));
    let resource = match target.part.as_str() {
        "" => target.resource.to_owned(),
        part => format!("{}/{part}", target.resource),
    };
    Asked {
        verb: word,
        group: target.api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
        resource,
        namespace: target.namespace.clone(),
        name: target.name.clone().or_else(|| selected.map(str::to_owned)),
    }
}

/// What a test in another process may ask for.
fn command_from_outside(state: &Arc<State>, command: &str, params: &Params) -> Response {
    match command {
        "figures" => return axum::Json(rolling::figures(&state.lock())).into_response(),
        "roll" => {
            let number = |name: &str, default| params.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
            let (services, rate) = (number("services", 1), number("rate", 100));
            return match rolling::start(state, services, rate, number("writes", 100)) {
                true => StatusCode::NO_CONTENT.into_response(),
                false => failure(StatusCode::UNPROCESSABLE_ENTITY, "there is nothing to roll"),
            };
        }
        _ => {}
    }
    state.change(|inner| match command {
        "cut" => inner.epoch += 1,
        "compact" => inner.store.compact(),
        "bookmark" => inner.bookmarks += 1,
        _ => {}
    });
    StatusCode::NO_CONTENT.into_response()
}

/// The answer of a request that has a fault.
async fn misbehave(state: &State, verb: Verb, resource: &str) -> Option<Response> {
    let fault = state.lock().fault(verb, resource).cloned()?;
    match fault {
        Fault::Status(code) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Some(failure(code, "as the test wants it"))
        }
        Fault::Busy(seconds) => {
            let mut status = status(StatusCode::TOO_MANY_REQUESTS, "too many requests");
            status["details"] = json!({"retryAfterSeconds": seconds});
            let headers = [(header::RETRY_AFTER, seconds.to_string())];
            Some((StatusCode::TOO_MANY_REQUESTS, headers, axum::Json(status)).into_response())
        }
        Fault::Garbage => Some("<html>not what you asked for".into_response()),
        Fault::CloseAtOnce => Some(Body::empty().into_response()),
        Fault::Hang => std::future::pending().await,
        Fault::Slow(time) => {
            tokio::time::sleep(time).await;
            None
        }
    }
}

impl Inner {
    fn fault(&self, verb: Verb, resource: &str) -> Option<&Fault> {
        self.rules.iter().find(|rule| rule.fits(verb, resource)).map(|rule| &rule.fault)
    }
}

fn list(inner: &Inner, target: &Target, params: &Params) -> Response {
    let filter = Filter::new(target, params);
    let limit = params.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let (version, start) = match params.get("continue").and_then(|token| token.split_once(':')) {
        Some((version, start)) => (version.parse().unwrap_or(0), start.parse().unwrap_or(0)),
        None => (inner.store.version(), 0),
    };
    if version < inner.store.compacted() {
        return failure(StatusCode::GONE, "the continue token is too old");
    }
    let mut items = inner.store.list(target.resource).filter(|object| filter.fits(object)).skip(start);
    let page: Vec<Value> = items.by_ref().take(limit).map(as_item).collect();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if items.next().is_some() {
        metadata["continue"] = json!(format!("{version}:{}", start + limit));
    }
    let kind = format!("{}List", target.kind);
    axum::Json(json!({"kind": kind, "apiVersion": target.api_version, "metadata": metadata, "items": page}))
        .into_response()
}

/// Items of a list do not say what they are.
fn as_item(object: &Value) -> Value {
    let mut item = object.clone();
    if let Some(fields) = item.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    item
}

fn write(inner: &mut Inner, method: &Method, target: &Target, body: &[u8]) -> Result<Value, Refused> {
    let parsed: Result<Value, _> = serde_json::from_slice(body);
    let key = (target.namespace.clone(), target.name.clone().unwrap_or_default());
    if *method == Method::DELETE {
        return inner.store.remove(target.resource, &key);
    }
    let mut object = parsed.map_err(|_| Refused::Invalid)?;
    if *method == Method::PATCH {
        // The status is written by its own path and by no other.
        if let Some(fields) = object.as_object_mut().filter(|_| target.resource == "ingresses") {
            fields.retain(|name, _| (name == "status") == (target.part == "status") || name == "metadata");
        }
        return inner.store.patch(target.resource, &key, &object);
    }
    if !target.namespace.is_empty() {
        object["metadata"]["namespace"] = json!(target.namespace);
    }
    let namespace = inner.store.get("Namespace", "", &target.namespace);
    if namespace.is_some_and(|namespace| namespace["metadata"]["deletionTimestamp"].is_string()) {
        return Err(Refused::Terminating);
    }
    match &target.name {
        None => inner.store.create(target.resource, object),
        Some(_) => inner.store.update(target.resource, &key, object),
    }
}

fn answer(result: Result<Value, Refused>) -> Response {
    match result {
        Ok(object) => axum::Json(object).into_response(),
        Err(Refused::NotFound) => failure(StatusCode::NOT_FOUND, "not found"),
        Err(Refused::Conflict) => failure(StatusCode::CONFLICT, "the object has been modified"),
        Err(Refused::AlreadyExists) => failure(StatusCode::CONFLICT, "already exists"),
        Err(Refused::Terminating) => {
            let mut status = status(StatusCode::FORBIDDEN, "the namespace is being terminated");
            status["details"] = json!({"causes": [{"reason": "NamespaceTerminating"}]});
            (StatusCode::FORBIDDEN, axum::Json(status)).into_response()
        }
        Err(Refused::Invalid) => failure(StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
    }
}

fn status(code: StatusCode, message: &str) -> Value {
    let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code.as_u16()})
}

fn failure(code: StatusCode, message: &str) -> Response {
    (code, axum::Json(status(code, message))).into_response()
}

/// A running watch.
struct Watch {
    state: Arc<State>,
    changed: watch::Receiver<u64>,
    target: Target,
    filter: Filter,
    version: u64,
    epoch: u64,
    bookmarks: u64,
    wants_bookmarks: bool,
    /// Bookmarks that were handed over and not yet counted.
    unsent: usize,
    /// Lines to be sent.
    lines: VecDeque<Bytes>,
    gone: bool,
    ends: tokio::time::Instant,
}

fn watch(state: &Arc<State>, target: &Target, params: &Params) -> Response {
    let inner = state.lock();
    let number = |name: &str| params.get(name).and_then(|value| value.parse::<u64>().ok());
    let wanted = number("resourceVersion").filter(|&version| version > 0);
    let version = wanted.unwrap_or_else(|| inner.store.version());
    if version < inner.store.compacted() && inner.gone_as_status {
        return failure(StatusCode::GONE, "the version is too old");
    }
    let filter = Filter::new(target, params);
    // A watch from no version begins with what there is.
    let present = inner.store.list(target.resource).filter(|object| wanted.is_none() && filter.fits(object));
    let lines = present.map(|object| line("ADDED", object)).collect();
    let watch = Watch {
        state: Arc::clone(state),
        changed: state.changed.subscribe(),
        target: target.clone(),
        filter,
        version,
        epoch: inner.epoch,
        bookmarks: inner.bookmarks,
        wants_bookmarks: params.get("allowWatchBookmarks").is_some_and(|value| value == "true"),
        unsent: 0,
        lines,
        gone: false,
        ends: tokio::time::Instant::now() + Duration::from_secs(number("timeoutSeconds").unwrap_or(300)),
    };
    drop(inner);
    let lines = futures_util::stream::unfold(watch, |mut watch| async {
        let line = watch.next().await?;
        Some((line, watch))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response()
}

impl Watch {
    /// The next line; an error breaks the connection off, `None` ends the answer.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.gone {
                return None;
            }
            if self.look() {
                return Some(Err(io::Error::other("cut")));
            }
            if self.lines.is_empty() {
                self.note_sent();
                tokio::select! {
                    changed = self.changed.changed() => changed.ok()?,
                    () = tokio::time::sleep_until(self.ends) => return None,
                }
            }
        }
    }

    /// Makes lines of what is new; true when the watch has been cut.
    fn look(&mut self) -> bool {
        let state = Arc::clone(&self.state);
        let inner = state.lock();
        if inner.epoch != self.epoch {
            return true;
        }
        if inner.fault(Verb::Watch, self.target.resource) == Some(&Fault::Hang) {
            return false;
        }
        if self.version < inner.store.compacted() {
            self.gone = true;
            self.line("ERROR", &status(StatusCode::GONE, "the version is too old"));
            return false;
        }
        for event in inner.store.since(self.version, self.target.resource) {
            if self.filter.fits(&event.object) {
                self.lines.push_back(line(event.kind, &event.object));
            }
        }
        self.version = inner.store.version();
        if inner.bookmarks != self.bookmarks {
            self.bookmarks = inner.bookmarks;
            if self.wants_bookmarks {
                let version = self.version.to_string();
                let bookmark = json!({"kind": self.target.kind, "apiVersion": self.target.api_version,
                    "metadata": {"resourceVersion": version}});
                self.line("BOOKMARK", &bookmark);
                self.unsent += 1;
            }
        }
        false
    }

    /// Asked for more: what was handed over before is on its way.
    fn note_sent(&mut self) {
        let sent = std::mem::take(&mut self.unsent);
        if sent > 0 {
            *self.state.lock().bookmarked.entry(self.target.resource).or_default() += sent;
        }
    }

    fn line(&mut self, kind: &str, object: &Value) {
        self.lines.push_back(line(kind, object));
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}
