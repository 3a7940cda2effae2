//! Serving HTTP on the admin thread, with bounds on heads, times and connections.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore, watch};

use super::guard;
use super::listen::AdminListener;

/// Connections of one listener; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of one request head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Time for a request head, idle time before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

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

/// Places of connections, of both listeners.
pub(super) struct Places {
    health: Arc<Semaphore>,
    admin: Arc<Semaphore>,
}

impl Places {
    /// All of them, free.
    pub(super) fn new() -> Self {
        let all = || Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { health: all(), admin: all() }
    }

    /// Waits until no connection is left, but not for long.
    pub(super) async fn emptied(&self) {
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let free = async { tokio::join!(self.health.acquire_many(all), self.admin.acquire_many(all)) };
        // Who has not asked anything by then gets no answer.
        let _ = tokio::time::timeout(FAREWELL, free).await;
    }
}

/// Serves the health listener until another process does.
pub(super) async fn health(listener: Option<std::net::TcpListener>, router: Router, places: &Places, leaving: Leaving) {
    let Some(listener) = listener else { return };
    match TcpListener::from_std(listener) {
        Ok(listener) => accept(async || listener.accept().await, router, &places.health, leaving).await,
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
                accept(async || listener.accept().await, router, &places.admin, leaving).await;
            }
            AdminListener::Unix(socket) => {
                let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                accept(async || listener.accept().await, router, &places.admin, leaving).await;
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

async fn accept<S, A>(
    next: impl AsyncFn() -> io::Result<(S, A)>,
    router: Router,
    places: &Arc<Semaphore>,
    mut leaving: Leaving,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            // Nothing more is accepted here once another process serves.
            biased;
            () = left(&mut leaving) => return,
            accepted = next() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, router.clone(), leaving.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin thread could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
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
fn serve<S>(stream: S, router: Router, mut leaving: Leaving) -> impl Future<Output = ()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let heard = Arc::new(Notify::new());
    let hearing = Arc::clone(&heard);
    let router = router.layer(axum::middleware::map_request(move |request: axum::extract::Request| {
        hearing.notify_one();
        async move { request }
    }));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
