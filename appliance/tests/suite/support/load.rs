//! Clients that go on asking `a.test` until they are stopped. None of their requests may fail.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::client::Connection;
use super::eventually;
use super::frames::{Frames, Seen, pseudo};
use super::process::Ringress;

/// How a client uses its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One connection for as long as it lasts.
    KeepAlive,
    /// A connection for each request.
    Fresh,
    /// As [`Kind::KeepAlive`], over TLS.
    Tls,
    /// Streams of one connection for as long as it lasts.
    Http2,
}

/// Where it asks.
#[derive(Clone, Copy)]
struct Target {
    http: SocketAddr,
    https: SocketAddr,
}

/// Running clients.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<(Kind, Arc<AtomicUsize>, JoinHandle<Vec<String>>)>,
}

impl Load {
    pub(crate) fn start(ringress: &Ringress, kinds: &[Kind]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let target = Target { http: ringress.http, https: ringress.https };
        let client = |kind: &Kind| {
            let (kind, stop, count) = (*kind, Arc::clone(&stop), Arc::new(AtomicUsize::new(0)));
            let counted = Arc::clone(&count);
            let thread = std::thread::spawn(move || match kind {
                Kind::Http2 => http2(target, &stop, &counted),
                _ => http1(target, kind, &stop, &counted),
            });
            (kind, count, thread)
        };
        let clients = kinds.iter().map(client).collect();
        Self { stop, clients }
    }

    /// Waits until every client has been answered `requests` times more.
    pub(crate) fn wait(&self, requests: usize) {
        for (kind, count, _) in &self.clients {
            let goal = count.load(Ordering::SeqCst) + requests;
            eventually(&format!("{kind:?} goes on"), || count.load(Ordering::SeqCst) >= goal);
        }
    }

    /// Ends the clients, of which none may have failed; how many requests of each were answered.
    pub(crate) fn stop(self) -> Vec<(Kind, usize)> {
        self.stop.store(true, Ordering::SeqCst);
        let end = |(kind, count, thread): (Kind, Arc<AtomicUsize>, JoinHandle<Vec<String>>)| {
            let (failures, count) = (thread.join().expect("a client"), count.load(Ordering::SeqCst));
            assert!(failures.is_empty(), "{kind:?}, {count} requests: {failures:?}");
            (kind, count)
        };
        self.clients.into_iter().map(end).collect()
    }
}

fn http1(target: Target, kind: Kind, stop: &AtomicBool, count: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    let mut connection = None;
    while !stop.load(Ordering::SeqCst) {
        match ask(connection.take(), target, kind) {
            Ok((status, next)) => {
                if status != 200 {
                    failures.push(status.to_string());
                }
                connection = next;
            }
            Err(error) => failures.push(error.to_string()),
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
    failures
}

/// One request; its status, and the connection if it may be used again.
fn ask(connection: Option<Connection>, target: Target, kind: Kind) -> io::Result<(u16, Option<Connection>)> {
    let open = || match kind {
        Kind::Tls => Connection::tls(target.https, Some("a.test")),
        _ => Connection::plain(target.http),
    };
    let mut connection = connection.map_or_else(open, Ok)?;
    let fields: &[(&str, &str)] = if kind == Kind::Fresh { &[("Connection", "close")] } else { &[] };
    let answer = connection.request("GET", "a.test", "/", fields, b"")?;
    Ok((answer.status, (!answer.closes()).then_some(connection)))
}

fn http2(target: Target, stop: &AtomicBool, count: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let mut frames = match Frames::with(target.https, &[]) {
            Ok(frames) => frames,
            Err(error) => {
                failures.push(format!("no connection: {error}"));
                continue;
            }
        };
        for stream in (1..u32::MAX).step_by(2) {
            // After a goodbye, new streams are for another connection.
            if stop.load(Ordering::SeqCst) || frames.said_goodbye() {
                break;
            }
            match frames.request(stream, &pseudo("GET", "/")) {
                Seen::Answer(answer) if answer.status == 200 => {}
                other => {
                    failures.push(format!("stream {stream}: {other:?}"));
                    break;
                }
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
    failures
}
