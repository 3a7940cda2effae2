//! Origins: a thread per connection, a handler per request, and a record of what was received.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::process::{HeldPort, own_address};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    /// In the order sent, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Filled by [`Peer::read_body`], in the record too.
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The proxy's side of a connection, as the handler sees it.
pub(crate) struct Peer {
    stream: BufReader<TcpStream>,
    shared: Arc<Shared>,
    /// Place of the request in the record.
    index: usize,
}

impl Peer {
    /// Reads the whole body of `request` into it, and into the record: who has the answer finds it there.
    pub(crate) fn read_body(&mut self, request: &mut Received) -> io::Result<()> {
        let read = self.read_rest(request);
        self.shared.record()[self.index].body.clone_from(&request.body);
        read
    }

    fn read_rest(&mut self, request: &mut Received) -> io::Result<()> {
        if request.header("transfer-encoding").is_some() {
            return self.read_chunks(&mut request.body);
        }
        let Some(length) = request.header("content-length") else { return Ok(()) };
        request.body = vec![0; length.parse().map_err(io::Error::other)?];
        self.stream.read_exact(&mut request.body)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    /// Raw bytes to the proxy.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// A complete answer of known length.
    pub(crate) fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut message = format!("HTTP/1.1 {status} Test\r\nContent-Length: {}\r\n", body.len()).into_bytes();
        for (name, value) in headers {
            write!(message, "{name}: {value}\r\n")?;
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(body);
        self.send(&message)
    }

    /// Whether the proxy ends the connection within this time, of which it makes use if not.
    pub(crate) fn is_closed_within(&mut self, time: Duration) -> io::Result<bool> {
        let socket = self.stream.get_ref();
        socket.set_read_timeout(Some(time))?;
        let seen = socket.peek(&mut [0]);
        socket.set_read_timeout(None)?;
        Ok(match seen {
            Ok(bytes) => bytes == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        })
    }

    /// The connection ends with a reset when it ends.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        socket2::SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO))
    }

    /// Some bytes from the proxy; none when it has ended the connection.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

/// Answers one request; an error or [`Next::Close`] ends the connection.
type Handler = dyn Fn(&mut Received, &mut Peer) -> io::Result<Next> + Send + Sync;

/// What happens to the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Keep,
    Close,
}

/// A listening origin; stops listening when dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    stopping: AtomicBool,
    handler: Box<Handler>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().expect("no handler panics while it holds this")
    }
}

impl Origin {
    /// Answers 200 with its name as body, whatever it is asked.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::named_on(name, 0)
    }

    /// The same on a port of its own address, as the port of a Node is the same on each; 0 is any.
    pub(crate) fn named_on(name: &'static str, port: u16) -> Self {
        Self::listening(port, move |request, peer| {
            peer.read_body(request)?;
            let body: &[u8] = if request.method == "HEAD" { b"" } else { name.as_bytes() };
            peer.answer(200, &[], body)?;
            Ok(Next::Keep)
        })
    }

    /// Answers until it is told to be dead; then it ends every connection without a word.
    pub(crate) fn mortal() -> (Self, Arc<AtomicBool>) {
        let dead = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&dead);
        let origin = Self::with(move |request, peer| {
            peer.read_body(request)?;
            if flag.load(Ordering::SeqCst) {
                return Ok(Next::Close);
            }
            peer.answer(200, &[], b"alive")?;
            Ok(Next::Keep)
        });
        (origin, dead)
    }

    /// Sends `first` as an event, and `last` once it is told to go on.
    pub(crate) fn of_two_events() -> (Self, SyncSender<()>) {
        let (go_on, wait) = sync_channel(0);
        let wait = Mutex::new(wait);
        let origin = Self::with(move |_, peer| {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            peer.send(b"5\r\nfirst\r\n")?;
            wait.lock().expect("one request at a time").recv().map_err(io::Error::other)?;
            peer.send(b"4\r\nlast\r\n0\r\n\r\n")?;
            Ok(Next::Keep)
        });
        (origin, go_on)
    }

    pub(crate) fn with(handler: impl Fn(&mut Received, &mut Peer) -> io::Result<Next> + Send + Sync + 'static) -> Self {
        Self::listening(0, handler)
    }

    fn listening(
        port: u16,
        handler: impl Fn(&mut Received, &mut Peer) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((own_address(), port)).expect("listen");
        let address = listener.local_addr().expect("own address");
        let shared = Arc::new(Shared {
            received: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            handler: Box::new(handler),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// All requests so far; their bodies once they are read.
    pub(crate) fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.shared.record()
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept loop; when even that fails the thread ends with the test program.
        let _woken = TcpStream::connect_timeout(&self.address, PATIENCE);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // How a connection ends is what tests look at from the client's side.
            let _ended = serve(stream, shared);
        });
    }
}

fn serve(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut peer = Peer { stream: BufReader::new(stream), shared: Arc::clone(&shared), index: 0 };
    while let Some(mut request) = read_head(&mut peer)? {
        // Recorded before it is answered, so that who has the answer finds the record.
        peer.index = {
            let mut all = shared.record();
            all.push(request.clone());
            all.len() - 1
        };
        let next = (shared.handler)(&mut request, &mut peer);
        // A handler may have dropped a large body.
        shared.record()[peer.index] = request;
        if next? == Next::Close {
            break;
        }
    }
    Ok(())
}

fn read_head(peer: &mut Peer) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if peer.stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.trim_end().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(io::Error::other(format!("not a request line: {line:?}")));
    };
    let mut headers = Vec::new();
    loop {
        let line = peer.line()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other(format!("not a header: {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some(Received { method, target, headers, body: Vec::new() }))
}

/// An address that refuses connections: nobody listens on any port of it.
pub(crate) fn refusing_address() -> SocketAddr {
    HeldPort::of(own_address()).address
}

/// An address where packets vanish: its queue is full and nobody accepts.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&SocketAddr::from((own_address(), 0)).into()).expect("an address");
        listener.listen(0).expect("listen");
        let address = listener.local_addr().expect("its address").as_socket().expect("an IP address");
        let mut queued = Vec::new();
        let is_full = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err();
        loop {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("a mode");
            // It is under way; whether it ends is what is looked at.
            let _under_way = filler.connect(&address.into());
            queued.push(filler);
            if is_full() {
                return Self { address, _listener: listener, _queued: queued };
            }
            assert!(queued.len() < 64, "the queue of {address} does not fill");
        }
    }
}
