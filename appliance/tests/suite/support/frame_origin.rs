//! An origin that speaks HTTP/2 in the clear, frame by frame.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::Stream;
use super::frames::{ACK, Frames, HEADERS, PREFACE, SETTINGS, frame, settings};
use super::manifests::{file, ingress, options, service};
use super::process::{Driver, Ringress, own_address};

/// What is said to a request: the connection, and the stream that it came on.
type Handler = dyn Fn(&mut Frames, u32) -> io::Result<()> + Send + Sync;

pub(crate) struct FrameOrigin {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl FrameOrigin {
    /// Answers each request as `handler` does.
    pub(crate) fn with(handler: impl Fn(&mut Frames, u32) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((own_address(), 0)).expect("listen");
        let address = listener.local_addr().expect("own address");
        let (connections, handler) = (Arc::<AtomicUsize>::default(), Arc::<Handler>::from(Box::new(handler) as Box<_>));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let handler = Arc::clone(&handler);
                std::thread::spawn(move || serve(stream, &*handler));
            }
        });
        Self { address, connections }
    }

    /// A proxy whose `a.test` is this origin, with these keys of the ConfigMap.
    pub(crate) fn behind(&self, driver: Driver, keys: &[(&str, &str)]) -> Ringress {
        let mut objects = service("origin", &[self.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").annotation("backend-protocol", "GRPC").build());
        objects.push(options(keys));
        let builder = Ringress::on(driver).workers(1).flag("--configmap=default/options");
        builder.manifest("all.json", file(objects)).start()
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, handler: &Handler) -> io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface)?;
    if preface != PREFACE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frames = Frames::over(Stream::Plain(stream));
    frames.send(&settings(&[]))?;
    while let Some(seen) = frames.next()? {
        match seen.kind {
            SETTINGS if !seen.has(ACK) => frames.send(&frame(SETTINGS, ACK, 0, &[]))?,
            HEADERS => handler(&mut frames, seen.stream)?,
            _ => {}
        }
    }
    Ok(())
}
