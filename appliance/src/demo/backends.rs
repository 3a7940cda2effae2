//! The demo's upstreams: servers on loopback that say who they are and what they received.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

use super::manifests::Backend;

/// Largest request body that a backend reads.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Running backends; end when dropped.
pub(super) struct Backends {
    ports: Vec<Vec<u16>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Backends {
    /// Starts all of them on free ports, on one thread.
    pub(super) fn start(backends: &'static [Backend]) -> std::io::Result<Self> {
        let mut ports = Vec::new();
        let mut listeners = Vec::new();
        for backend in backends {
            let mut servers = Vec::new();
            for _ in 0..backend.servers {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                listener.set_nonblocking(true)?;
                servers.push(listener.local_addr()?.port());
                listeners.push((backend.name, listener));
            }
            ports.push(servers);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("demo".into()).spawn(move || {
            runtime.block_on(async {
                for (name, listener) in listeners {
                    tokio::spawn(serve(name, listener));
                }
                // Dropped or sent, both mean the end.
                drop(stopped.await);
            });
        })?;
        Ok(Self { ports, stop: Some(stop), thread: Some(thread) })
    }

    /// The ports of the servers, by backend.
    pub(super) fn ports(&self) -> &[Vec<u16>] {
        &self.ports
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(name: &'static str, listener: TcpListener) {
    let router = Router::new().fallback(move |request| answer(name, request));
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, backend = name, "a demo backend has ended");
    }
}

/// Its name, then the request as it came.
async fn answer(name: &'static str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off\n").into_response();
    };
    let mut text = format!("{name}\n\n{} {} {:?}\n", head.method, head.uri, head.version);
    for (header, value) in &head.headers {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{header}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if !body.is_empty() {
        let _ = writeln!(text, "\n{} bytes of body", body.len());
    }
    ([("content-type", "text/plain; charset=utf-8"), ("x-backend", name)], text).into_response()
}
