//! A Kubernetes API server as far as the control thread can tell, which can also lie, hang, refuse and forget.
//!
//! It keeps objects in memory, gives every change a resource version, and answers list (with pages), get, watch (with
//! bookmarks), create, update, patch and delete of any resource it knows by name. Whatever is wrong with it at the
//! moment is a [`Fault`] that a test has set.

mod access;
mod faults;
mod http;
mod rolling;
mod secure;
mod store;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::http::HeaderValue;
use axum::serve::ListenerExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

pub use access::{Asked, Grant};
pub use faults::{Fault, Rule, Verb};
pub use secure::Authority;
use secure::SecureListener;
use store::Store;

use super::rollout::Addresses;

/// A running server on loopback. It ends when this is dropped.
pub struct ApiServer {
    state: Arc<State>,
    address: SocketAddr,
    /// `None` is plain HTTP.
    tls: Option<Arc<rustls::ServerConfig>>,
    running: Option<Running>,
}

struct Running {
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What the requests share with the test.
struct State {
    inner: Mutex<Inner>,
    /// Rises with everything that a watch may want to know.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    store: Store,
    rules: Vec<Rule>,
    /// Whether a version that is too old is answered by status 410 or by an event in the stream.
    gone_as_status: bool,
    /// Watches of an older epoch break off.
    epoch: u64,
    /// Bookmarks asked for so far.
    bookmarks: u64,
    /// Bookmarks that have been sent, by resource.
    bookmarked: BTreeMap<&'static str, usize>,
    /// Requests by verb and resource.
    requests: BTreeMap<(Verb, String), usize>,
    /// The one bearer token that is known; `None` is who comes without, too.
    token: Option<String>,
    /// What the account may do; `None` is everything.
    grants: Option<Vec<Grant>>,
    /// Every kind of request there was, and whether it was allowed.
    asked: BTreeMap<Asked, bool>,
    /// Writes of rolling updates so far, by number of the Service.
    rolled: Vec<u64>,
    /// Endpoints of each Service that can be rolled, and where they are.
    rollout: Option<(usize, Addresses)>,
    /// Rolling updates that go on.
    rolling: usize,
}

impl Inner {
    fn knows(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some(token) = &self.token else { return true };
        authorization.is_some_and(|value| value.as_bytes() == format!("Bearer {token}").as_bytes())
    }

    fn allows(&mut self, asked: Asked) -> bool {
        let allowed = self.grants.as_ref().is_none_or(|grants| grants.iter().any(|grant| grant.allows(&asked)));
        self.asked.insert(asked, allowed);
        allowed
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        result
    }
}

impl ApiServer {
    /// Starts a server without objects on a free port.
    pub fn start() -> Self {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a server without objects.
    pub fn start_on(address: SocketAddr) -> Self {
        Self::start_with(address, None)
    }

    /// Starts a server that speaks TLS, without objects on a free port.
    pub fn start_secure(authority: &Authority) -> Self {
        Self::start_with(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(authority.certify()))
    }

    fn start_with(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let state = Arc::new(State { inner: Mutex::default(), changed: watch::channel(0).0 });
        let mut server = Self { state, address, tls, running: None };
        server.up();
        server
    }

    /// `http://127.0.0.1:port`, or `https`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// From its next start on, the server has a new certificate, of this authority.
    pub fn certify(&mut self, authority: &Authority) {
        self.tls = Some(authority.certify());
    }

    /// From now on, requests with another bearer token, or without one, are answered by 401.
    pub fn require_token(&self, token: &str) {
        self.state.lock().token = Some(token.to_owned());
    }

    /// Creates or replaces an object, whatever is in it, as long as it has a kind and a name.
    pub fn put(&self, object: Value) {
        self.state.change(|inner| inner.store.put(object));
    }

    /// Creates or replaces every object of a YAML or JSON text.
    pub fn put_all(&self, objects: impl IntoIterator<Item = Value>) {
        self.state.change(|inner| objects.into_iter().for_each(|object| inner.store.put(object)));
    }

    /// Removes an object; true when it was there. An empty namespace is that of a cluster-wide object.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.state.change(|inner| inner.store.delete(kind, namespace, name))
    }

    /// All objects of a resource such as `events`.
    pub fn all(&self, resource: &str) -> Vec<Value> {
        self.state.lock().store.list(resource).cloned().collect()
    }

    /// An object as it is now.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state.lock().store.get(kind, namespace, name).cloned()
    }

    /// Forgets how the current version came about: a watch from an earlier one is answered by 410.
    pub fn forget_history(&self) {
        self.state.change(|inner| inner.store.forget_history());
    }

    /// Forgets all versions, the current one too: every watch is answered by 410.
    pub fn compact(&self) {
        self.state.change(|inner| inner.store.compact());
    }

    /// Whether a version that is too old is answered by the status 410 rather than by an event in a stream.
    pub fn set_gone_as_status(&self, as_status: bool) {
        self.state.lock().gone_as_status = as_status;
    }

    /// Sends a bookmark to every watch.
    pub fn bookmark(&self) {
        self.state.change(|inner| inner.bookmarks += 1);
    }

    /// How many bookmarks have been sent to watches of a resource.
    pub fn bookmarks(&self, resource: &str) -> usize {
        self.state.lock().bookmarked.get(resource).copied().unwrap_or(0)
    }

    /// Breaks off every watch in the middle of its answer.
    pub fn cut(&self) {
        self.state.change(|inner| inner.epoch += 1);
    }

    /// From now on, requests that the rule is for have its fault. The first rule that fits counts.
    pub fn fault(&self, rule: Rule) {
        self.state.change(|inner| inner.rules.push(rule));
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state.change(|inner| inner.rules.clear());
    }

    /// From now on, only what these rules allow is answered; the rest is forbidden.
    pub fn allow_only(&self, grants: Vec<Grant>) {
        self.state.lock().grants = Some(grants);
    }

    /// Every kind of request there has been, and whether it was allowed.
    pub fn asked(&self) -> BTreeMap<Asked, bool> {
        self.state.lock().asked.clone()
    }

    /// What `POST /testkit/roll` replaces: endpoints of Services whose slices are those of
    /// [`slice`](super::rollout::slice).
    pub fn set_rollout(&self, endpoints: usize, addresses: Addresses) {
        self.state.lock().rollout = Some((endpoints, addresses));
    }

    /// How many requests of a verb there were for a resource (`ingresses`), answered or not.
    pub fn requests(&self, verb: Verb, resource: &str) -> usize {
        self.state.lock().requests.get(&(verb, resource.to_owned())).copied().unwrap_or(0)
    }

    /// Ends the server as a crash would: connections break, new ones are refused. The objects stay.
    pub fn down(&mut self) {
        if let Some(running) = self.running.take() {
            // The thread may have ended by itself.
            let _ended = running.end.send(());
            let _panicked = running.thread.join();
        }
    }

    /// Starts the server again, at the same address.
    ///
    /// # Panics
    /// When the address cannot be had: a test cannot go on without its server.
    pub fn up(&mut self) {
        assert!(self.running.is_none(), "the server is running already");
        let (end, ending) = oneshot::channel();
        let (started, has_started) = std::sync::mpsc::channel();
        let (state, address, tls) = (Arc::clone(&self.state), self.address, self.tls.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.expect("the address is free");
                started.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
                tokio::select! {
                    served = serve(listener, tls, http::router(state)) => served.expect("it serves"),
                    _ = ending => {}
                }
            });
            // Dropping the runtime breaks every connection.
        });
        self.address = has_started.recv().expect("the server has started");
        self.running = Some(Running { end, thread });
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.down();
    }
}

async fn serve(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, router: Router) -> std::io::Result<()> {
    match tls {
        // As a real server: of two events in a row, the second must not wait for the acknowledgement of the first, 40 ms.
        None => axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), router).await,
        Some(tls) => axum::serve(SecureListener::new(listener, tls), router).await,
    }
}
