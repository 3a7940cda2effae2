//! The validating webhook: the API server asks before an Ingress is written, and is answered by the compiler that
//! serves. A thread and a runtime of its own, so that whoever floods it floods nobody else; only the question itself
//! goes to the control thread, over a bounded channel.

mod certificate;
mod review;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ringress_config::model::{Kind, Object, ObjectKey};
use ringress_config::places::{Bounds, Place, Places, Refused};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use crate::SyncError;
use crate::handle::Command;
use crate::reading::Question;
use crate::watch::Change;
use certificate::{Files, Shown};

/// Name of the thread as tools show it.
const THREAD_NAME: &str = "ringress-hook";

/// Connections at the same time. A newcomer beyond them has the place of who has been longest without a question. An API
/// server opens one for each question that it has at a time, and all of them may come from one address.
const BOUNDS: Bounds = Bounds { all: 192, of_client: 128 };

/// How often a place is looked for while questions are in work on all of them, and the end of the last one.
const PLACE_POLL: Duration = Duration::from_millis(10);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// Time for a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time from the handshake to the end of the first request head, and for a question once its head is there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a further request head, idle time before it included: an API server keeps its connections, and does not
/// repeat a question that meets the end of one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Age of one connection.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);

/// Bytes of one request head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Bytes of one request: two objects as large as the API server takes them, and what is around them.
const BODY_BYTES_MAX: usize = 8 << 20;

/// How long the control thread may take to answer; the API server waits 10 s by default.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);

/// How long its thread may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after a failed accept, which mostly means that descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that were closed by [`BOUNDS`].
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Connections to the webhook that gave way to others since the start.
pub fn webhook_connections_closed() -> u64 {
    CLOSED.load(Ordering::Relaxed)
}

/// Where the webhook listens and what it shows.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// `--validating-webhook`.
    pub address: SocketAddr,
    /// The socket there.
    pub socket: WebhookSocket,
    /// What it shows.
    pub certificate: WebhookCertificate,
}

/// Which socket the webhook listens on. A process that this one replaces gets all calls until this one can answer.
#[derive(Clone, Debug)]
pub enum WebhookSocket {
    /// One of its own.
    Own,
    /// One beside that of the process before, which did not hand it over.
    Beside,
    /// That of the process before, with the calls that wait in its queue.
    Inherited(Arc<StdListener>),
}

/// The socket that is listened on, for a successor; nothing before and after.
pub(crate) type Offered = ArcSwapOption<StdListener>;

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookCertificate {
    /// PEM files, read again when they change.
    Files {
        /// `--validating-webhook-certificate`: the chain.
        chain: PathBuf,
        /// `--validating-webhook-key`.
        key: PathBuf,
    },
    /// A Secret that the leader keeps (`--webhook-secret`). Until it holds a certificate there are no handshakes.
    Secret(ObjectKey),
}

/// A running webhook; it ends when this is dropped.
pub(crate) struct Webhook {
    /// The Secret that the certificate comes from, and where it goes.
    secret: Option<(ObjectKey, Arc<Shown>)>,
    /// Has the files of the certificate looked at.
    look: Arc<Notify>,
    /// Until it listens.
    bound: Option<Bound>,
    offered: Arc<Offered>,
    /// Dropped at the end.
    end: watch::Sender<()>,
    /// Closed when nothing listens any more.
    ended: oneshot::Receiver<()>,
}

/// The address is this process's, or this one's too, and no call comes yet.
struct Bound {
    socket: Socket,
    runtime: Handle,
    listener: oneshot::Sender<TcpListener>,
}

enum Socket {
    New(TcpSocket),
    Inherited(Arc<StdListener>),
}

impl Bound {
    fn listen(self, offered: &Offered) -> io::Result<()> {
        let _inside = self.runtime.enter();
        let listener = match self.socket {
            Socket::New(socket) => socket.listen(BACKLOG)?,
            Socket::Inherited(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener.try_clone()?)?
            }
        };
        offered.store(Some(Arc::new(listener.as_fd().try_clone_to_owned()?.into())));
        info!(address = %listener.local_addr()?, "the validating webhook listens");
        // Its thread is there for as long as the webhook is.
        let _ended = self.listener.send(listener);
        Ok(())
    }
}

impl Webhook {
    /// Binds and starts, and listens unless it takes over. Questions go to `commands`.
    pub(crate) fn start(
        settings: &WebhookSettings,
        commands: mpsc::Sender<Command>,
        offered: Arc<Offered>,
    ) -> Result<Self, SyncError> {
        let failed = |cause: io::Error| SyncError::Webhook { address: settings.address, cause };
        let (shown, files, secret) = match &settings.certificate {
            WebhookCertificate::Files { chain, key } => {
                let files = Files::read(chain, key).map_err(failed)?;
                (files.shown(), Some(files), None)
            }
            WebhookCertificate::Secret(key) => {
                let shown = Arc::new(Shown::default());
                (Arc::clone(&shown), None, Some((key.clone(), shown)))
            }
        };
        let acceptor = TlsAcceptor::from(shown.server_config().map_err(failed)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let beside = !matches!(settings.socket, WebhookSocket::Own);
        let socket = match &settings.socket {
            WebhookSocket::Inherited(listener) => Socket::Inherited(Arc::clone(listener)),
            WebhookSocket::Own | WebhookSocket::Beside => Socket::New(bind(settings.address, beside).map_err(failed)?),
        };
        let (listener, listening) = oneshot::channel();
        let mut bound = Some(Bound { socket, runtime: runtime.handle().clone(), listener });
        if !beside {
            // A taken address is told at once.
            bound.take().map_or(Ok(()), |bound| bound.listen(&offered)).map_err(failed)?;
        }
        let (end, ending) = watch::channel(());
        let look = Arc::<Notify>::default();
        let looking = Arc::clone(&look);
        let (at_end, ended) = oneshot::channel::<()>();
        let router =
            Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(Asking { commands });
        let serving = async move {
            tokio::select! {
                () = accept(listening, acceptor, router, ending) => {}
                () = follow(files, looking) => {}
            }
        };
        std::thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || {
                runtime.block_on(serving);
                drop(at_end);
            })
            .map_err(failed)?;
        Ok(Self { secret, look, bound, offered, end, ended })
    }

    /// Takes no further calls, which go to who listens there, too, and ends once those that were taken are answered; who waits
    /// answers questions meanwhile.
    pub(crate) async fn finish(self) {
        self.offered.store(None);
        drop(self.end);
        // Nothing is ever sent. A thread that is stuck is left behind.
        let _ended = tokio::time::timeout(END_TIMEOUT, self.ended).await;
    }

    /// Listens if it does not yet and has a certificate. To be called once questions can be answered.
    pub(crate) fn open(&mut self) {
        if self.secret.as_ref().is_some_and(|(_, shown)| !shown.is_some()) {
            return;
        }
        if let Some(Err(cause)) = self.bound.take().map(|bound| bound.listen(&self.offered)) {
            error!("the validating webhook cannot listen: {cause}");
        }
    }

    /// Looks at the files of the certificate at once.
    pub(crate) fn reread(&self) {
        self.look.notify_one();
    }

    /// Takes in a change if it is one of the Secret that the certificate comes from; true when it is.
    pub(crate) fn take(&self, change: &Change) -> bool {
        let Some((key, shown)) = &self.secret else { return false };
        match change {
            Change::Upsert(Object::Secret(secret)) if secret.meta.key == *key => shown.take(secret),
            // What is shown is shown until there is another.
            Change::Remove(object) if object.kind == Kind::Secret && object.key == *key => {}
            Change::Upsert(_) | Change::Remove(_) => return false,
        }
        true
    }
}

async fn follow(files: Option<Files>, at_once: Arc<Notify>) {
    match files {
        Some(files) => files.follow(&at_once).await,
        None => std::future::pending().await,
    }
}

/// Beside another process where this one replaces it, else alone; and so that another can come beside this one.
fn bind(address: SocketAddr, beside: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(beside)?;
    socket.bind(address)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

/// What a connection leaves at its place: dropped when it shall close.
type Close = oneshot::Sender<()>;

/// What every connection needs.
struct Serving {
    acceptor: TlsAcceptor,
    router: Router,
    ending: watch::Receiver<()>,
    places: Places<Close>,
}

impl Serving {
    /// Serves a connection, perhaps in the place of another one.
    async fn begin(&self, stream: TcpStream, client: IpAddr) {
        let Some((place, closed)) = self.take_place(client).await else { return };
        let serving = serve(stream, self.acceptor.clone(), self.router.clone(), self.ending.clone(), place);
        tokio::spawn(async move {
            tokio::select! {
                served = tokio::time::timeout(CONNECTION_AGE_MAX, serving) => if let Ok(Err(cause)) = served {
                    debug!("a connection to the webhook ended early: {cause}");
                },
                _ = closed => {}
            }
        });
    }

    /// None for a client that has enough. Questions in work are bounded in time.
    async fn take_place(&self, client: IpAddr) -> Option<(Place<Close>, oneshot::Receiver<()>)> {
        loop {
            let (close, closed) = oneshot::channel();
            match self.places.take(Some(client), close) {
                Ok(place) => return Some((place, closed)),
                Err(Refused::Client) => return None,
                Err(Refused::AllInWork) => tokio::time::sleep(PLACE_POLL).await,
            }
        }
    }
}

/// Takes connections until `ending` is closed, and returns when the last one is over.
async fn accept(
    listening: oneshot::Receiver<TcpListener>,
    acceptor: TlsAcceptor,
    router: Router,
    mut ending: watch::Receiver<()>,
) {
    let serving = Serving { acceptor, router, ending: ending.clone(), places: Places::new(BOUNDS, &CLOSED) };
    let listener = tokio::select! {
        Ok(listener) = listening => listener,
        _ = ending.changed() => return,
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.changed() => break,
        };
        match accepted {
            Ok((stream, client)) => {
                serving.begin(stream, client.ip()).await;
                // What has just come is read before others can take its place.
                tokio::task::yield_now().await;
            }
            Err(cause) => {
                warn!("the webhook could not accept a connection: {cause}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Those that wait to be accepted would be reset with the socket, and another process may never hear of them.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, client)) = listener.accept() {
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                serving.begin(stream, client.ip()).await;
            }
        }
    }
    while !serving.places.is_empty() {
        tokio::time::sleep(PLACE_POLL).await;
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    mut ending: watch::Receiver<()>,
    place: Place<Close>,
) -> io::Result<()> {
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    let (asked, first, place) = (Notify::new(), Notify::new(), Arc::new(place));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        asked.notify_one();
        first.notify_one();
        place.works();
        let (answer, place) = (tokio::time::timeout(REQUEST_TIMEOUT, router.call(request)), Arc::clone(&place));
        async move {
            let answer = answer.await;
            place.waits();
            answer.map_err(io::Error::from).map(|Ok(answer)| answer)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let silent = async {
        if tokio::time::timeout(REQUEST_TIMEOUT, first.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = &mut connection => return ended.map_err(io::Error::other),
        () = silent => return Err(io::ErrorKind::TimedOut.into()),
        _ = ending.changed() => {}
    }
    // On a new connection the question is on its way, and hyper would end it at once.
    tokio::select! {
        ended = &mut connection => return ended.map_err(io::Error::other),
        () = asked.notified() => {}
    }
    // What was asked is answered, and an idle connection ends.
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(io::Error::other)
}

/// The way to the control thread.
#[derive(Clone)]
struct Asking {
    commands: mpsc::Sender<Command>,
}

/// Any path: which one the API server calls is said in its configuration. A question that cannot be answered now is an
/// error of the server, so that the `failurePolicy` decides.
async fn answer(State(asking): State<Asking>, method: Method, body: Bytes) -> Response {
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let question = match review::Question::read(&body) {
        Ok(question) => question,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let Some(ingress) = question.ingress() else { return axum::Json(question.answer_alone()).into_response() };
    let (reply, answer) = oneshot::channel();
    let asked = async {
        asking.commands.send(Command::Review(Question { ingress, reply })).await.ok()?;
        answer.await.ok().flatten()
    };
    match tokio::time::timeout(REVIEW_TIMEOUT, asked).await {
        Ok(Some(found)) => axum::Json(question.answer(&found)).into_response(),
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "the cluster has not been read completely yet").into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the control thread is busy").into_response(),
    }
}
