//! A plain blocking HTTP/1.1 client for single requests: is it up, has the change arrived, hold this connection open.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::load::Target;

const REPLY_WAIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// One connection, kept open between requests.
pub(crate) struct Client {
    stream: BufReader<Stream>,
    host: String,
}

/// An answer that has been read in full.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The server closes the connection now.
    pub(crate) closes: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    /// Connects; `from` binds the client's address, so that one machine has more ports to one target.
    pub(crate) fn open(target: &Target, from: Option<Ipv4Addr>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target.address), Type::STREAM, None)?;
        if let Some(from) = from {
            socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into())?;
        }
        socket.connect_timeout(&target.address.into(), REPLY_WAIT)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT))?;
        let stream = match &target.tls {
            None => Stream::Plain(stream),
            Some(config) => {
                let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
                let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        // Small: ten thousand of these are held at once.
        Ok(Self { stream: BufReader::with_capacity(1024, stream), host: target.host.clone() })
    }

    /// A GET; returns the status once the whole answer has been read.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<u16> {
        self.send("GET", path, &[])?;
        Ok(self.receive()?.status)
    }

    /// Sends a request, with a body in JSON unless it is empty.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if !body.is_empty() {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        self.stream.get_mut().flush()
    }

    /// The answer to a request that was sent, once the whole of it has been read.
    pub(crate) fn receive(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no status line: {status_line:?}")))?;
        let mut length = 0;
        let (mut chunked, mut closes) = (false, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            chunked |= line.starts_with("transfer-encoding:") && line.ends_with("chunked");
            closes |= line.starts_with("connection:") && line.ends_with("close");
        }
        let mut body = Vec::new();
        if chunked {
            self.take_chunks(&mut body)?;
        } else {
            self.take(length, &mut body)?;
        }
        Ok(Answer { status, body, closes })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn take(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let taken = io::copy(&mut (&mut self.stream).take(length), body)?;
        if taken < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn take_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let size = u64::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            self.take(size, body)?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Whether a GET on a connection of its own is answered 200.
pub(crate) fn answers_200(target: &Target, path: &str) -> bool {
    Client::open(target, None).and_then(|mut client| client.get(path)).is_ok_and(|status| status == 200)
}

/// Asks `condition` again and again until it holds or `limit` is over; says whether it held.
pub(crate) fn poll(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
