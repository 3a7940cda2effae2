//! Serving HTTP on the admin thread, with bounds on heads, times and connections.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ringress_config::places::{Bounds, Place, Places as Table, Refused};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, oneshot, watch};

use super::guard;
use super::listen::AdminListener;

/// Connections of one listener. A newcomer beyond them has the place of who has been longest without a request.
const BOUNDS: Bounds = Bounds { all: 64, of_client: 16 };

/// How often a place is looked for while requests are in work on all of them, and the end of the last one.
const PLACE_POLL: Duration = Duration::from_millis(10);

/// Bytes of one request head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Time for a request head, idle time before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Age of one connection: a client that reads slowly must not hold its place for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);

/// Longest wait at the end for requests that were accepted.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a connection that was accepted may take for its first request once another process serves.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// Pause after a failed accept, which mostly means that descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Turns true when another process serves the same listeners, or this one ends.
pub(super) type Leaving = watch::Receiver<bool>;

/// Connections that were closed by [`BOUNDS`].
static HEALTH_CLOSED: AtomicU64 = AtomicU64::new(0);
static ADMIN_CLOSED: AtomicU64 = AtomicU64::new(0);

/// Connections that gave way to others since the start, by listener.
pub(super) fn closed() -> [(&'static str, u64); 2] {
    [("health", &HEALTH_CLOSED), ("admin", &ADMIN_CLOSED)].map(|(name, closed)| (name, closed.load(Ordering::Relaxed)))
}

/// What a connection leaves at its place: dropped when it shall close.
type Close = oneshot::Sender<()>;

/// Places of connections, of both listeners.
pub(super) struct Places {
    health: Table<Close>,
    admin: Table<Close>,
}

impl Places {
    /// All of them, free.
    pub(super) fn new() -> Self {
        Self { health: Table::new(BOUNDS, &HEALTH_CLOSED), admin: Table::new(BOUNDS, &ADMIN_CLOSED) }
    }

    /// Waits until no connection is left, but not for long.
    pub(super) async fn emptied(&self) {
        let free = async {
            while !(self.health.is_empty() && self.admin.is_empty()) {
                tokio::time::sleep(PLACE_POLL).await;
            }
        };
        // Who has not asked anything by then gets no answer.
        let _ = tokio::time::timeout(FAREWELL, free).await;
    }
}

/// Serves the health listener until another process does.
pub(super) async fn health(listener: Option<std::net::TcpListener>, router: Router, places: &Places, leaving: Leaving) {
    let Some(listener) = listener else { return };
    match TcpListener::from_std(listener) {
        Ok(listener) => accept(async || tcp(&listener).await, router, &places.health, leaving).await,
        Err(error) => tracing::error!(%error, "the health listener does not work"),
    }
}

/// Serves the admin listener until another process does. Web pages can reach a TCP listener, so that is guarded.
pub(super) async fn admin(listener: Option<AdminListener>, router: Router, places: &Places, leaving: Leaving) {
    let Some(listener) = listener else { return };
    let served = async {
        match listener {
            AdminListener::Tcp(listener) => {
                let listener = TcpListener::from_std(listener)?;
                let router = router.layer(axum::middleware::from_fn(guard::check));
                accept(async || tcp(&listener).await, router, &places.admin, leaving).await;
            }
            AdminListener::Unix(socket) => {
                let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                let next = async || listener.accept().await.map(|(stream, _)| (stream, None));
                accept(next, router, &places.admin, leaving).await;
                // Not before: it may remove the file.
                drop(socket);
            }
        }
        io::Result::Ok(())
    };
    if let Err(error) = served.await {
        tracing::error!(%error, "the admin listener does not work");
    }
}

async fn tcp(listener: &TcpListener) -> io::Result<(tokio::net::TcpStream, Option<IpAddr>)> {
    listener.accept().await.map(|(stream, peer)| (stream, Some(peer.ip())))
}

async fn accept<S>(
    next: impl AsyncFn() -> io::Result<(S, Option<IpAddr>)>,
    router: Router,
    places: &Table<Close>,
    mut leaving: Leaving,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            // Nothing more is accepted here once another process serves.
            biased;
            () = left(&mut leaving) => return,
            accepted = next() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                if let Some((place, closed)) = take_place(places, client).await {
                    let connection = serve(stream, router.clone(), leaving.clone(), place);
                    tokio::spawn(async move {
                        tokio::select! {
                            () = connection => {}
                            _ = closed => {}
                        }
                    });
                }
                // What has just come is read before others can take its place.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "the admin thread could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A place, and what ends when it is wanted back; none for a client that has enough. Requests in work are bounded.
async fn take_place(places: &Table<Close>, client: Option<IpAddr>) -> Option<(Place<Close>, oneshot::Receiver<()>)> {
    loop {
        let (close, closed) = oneshot::channel();
        match places.take(client, close) {
            Ok(place) => return Some((place, closed)),
            Err(Refused::Client) => return None,
            Err(Refused::AllInWork) => tokio::time::sleep(PLACE_POLL).await,
        }
    }
}

/// Returns when another process serves.
async fn left(leaving: &mut Leaving) {
    if leaving.wait_for(|left| *left).await.is_err() {
        // The admin thread is about to end.
        std::future::pending().await
    }
}

/// Errors of a connection are its client's business: it has gone or does not speak HTTP.
fn serve<S>(
    stream: S,
    router: Router,
    mut leaving: Leaving,
    place: Place<Close>,
) -> impl Future<Output = ()> + Send + 'static
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (heard, place) = (Arc::new(Notify::new()), Arc::new(place));
    let (hearing, router) = (Arc::clone(&heard), TowerToHyperService::new(router));
    let service = service_fn(move |request| {
        hearing.notify_one();
        place.works();
        let (answer, place) = (router.call(request), Arc::clone(&place));
        async move {
            let answer = answer.await;
            place.waits();
            answer
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = async move {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            served = &mut connection => return served,
            () = left(&mut leaving) => {}
        }
        // A connection of which nothing was read is closed without a word, and its first request may be on its way.
        tokio::select! {
            biased;
            served = &mut connection => return served,
            () = heard.notified() => {}
            () = tokio::time::sleep(FIRST_REQUEST) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    async move {
        if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_AGE_MAX, connection).await {
            tracing::debug!(%error, "a connection to the admin thread ended early");
        }
    }
}
