//! One client connection, plain or TLS: a request out, an answer in, decoded by monoio-http.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderValue, Version, header};
use monoio::BufResult;
use monoio::buf::{IoBufMut, IoVecBufMut};
use monoio::io::stream::Stream;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;
use monoio_http::common::body::Body;
use monoio_http::h1::codec::decoder::ClientResponseDecoder;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::tls::{self, Session, TlsReader};
use super::websocket;

/// A complete answer.
pub(super) struct Answer {
    /// Status 2xx or 3xx.
    pub(super) success: bool,
    pub(super) body_bytes: u64,
    /// The peer said that it closes the connection now.
    pub(super) closes: bool,
}

/// Why there was none.
#[derive(Debug)]
pub(super) enum Failure {
    /// TCP or TLS did not come up.
    Connect,
    /// The connection ended first.
    Closed,
    /// What came was no HTTP answer; the decoder's reason.
    Malformed(#[expect(dead_code, reason = "shown by Debug")] String),
    /// The time for one request was over.
    Timeout,
}

/// An open connection.
pub(super) struct Connection {
    writer: OwnedWriteHalf<TcpStream>,
    session: Option<Session>,
    answers: Answers,
}

/// What comes back.
enum Answers {
    Http(ClientResponseDecoder<Reader>),
    /// After an upgrade to WebSocket.
    Messages(Reader),
}

impl Connection {
    pub(super) async fn open(
        target: SocketAddr,
        tls: Option<&(tls::Config, ServerName<'static>)>,
    ) -> Result<Self, Failure> {
        let stream = TcpStream::connect_addr(target).await.map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (mut reader, mut writer) = stream.into_split();
        let (reader, session) = match tls {
            None => (Reader::Plain(reader), None),
            Some((config, name)) => {
                let session = ClientConnection::new(config.clone(), name.clone()).map_err(|_| Failure::Connect)?;
                let session = Rc::new(RefCell::new(session));
                tls::handshake(&session, &mut reader, &mut writer).await.map_err(|_| Failure::Connect)?;
                (Reader::Tls(TlsReader::new(reader, Rc::clone(&session))), Some(session))
            }
        };
        Ok(Self { writer, session, answers: Answers::Http(ClientResponseDecoder::new(reader)) })
    }

    /// Opens one and makes it one of WebSocket.
    pub(super) async fn open_websocket(target: SocketAddr, upgrade: Bytes) -> Result<Self, Failure> {
        let stream = TcpStream::connect_addr(target).await.map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (reader, mut writer) = stream.into_split();
        writer.write_all(upgrade).await.0.map_err(|_| Failure::Connect)?;
        let mut reader = Reader::Plain(reader);
        match websocket::accepted(&mut reader).await {
            Ok(true) => Ok(Self { writer, session: None, answers: Answers::Messages(reader) }),
            Ok(false) => Err(Failure::Malformed("no upgrade".to_owned())),
            Err(_) => Err(Failure::Connect),
        }
    }

    /// Sends `request` and reads the whole answer.
    pub(super) async fn exchange(&mut self, request: Bytes) -> Result<Answer, Failure> {
        let sent = match &self.session {
            None => self.writer.write_all(request).await.0,
            Some(session) => {
                let records = tls::seal(session, &request).map_err(|_| Failure::Closed)?;
                self.writer.write_all(records).await.0
            }
        };
        sent.map_err(|_| Failure::Closed)?;
        let answers = match &mut self.answers {
            Answers::Http(answers) => answers,
            Answers::Messages(reader) => {
                let body_bytes = websocket::returned(reader).await.map_err(|_| Failure::Closed)?;
                return Ok(Answer { success: true, body_bytes, closes: false });
            }
        };
        let Some(head) = answers.next().await else { return Err(Failure::Closed) };
        let head = head.map_err(|error| failure(&error))?;
        let closes = closes(&head);
        let success = head.status().is_success() || head.status().is_redirection();
        let mut body = head.into_body().with_io(answers);
        let mut body_bytes = 0;
        while let Some(data) = body.next_data().await {
            body_bytes += data.map_err(|error| failure(&error))?.len() as u64;
        }
        Ok(Answer { success, body_bytes, closes })
    }
}

fn failure(error: &monoio_http::common::error::HttpError) -> Failure {
    use monoio_http::common::error::HttpError;
    use monoio_http::h1::codec::decoder::DecodeError;
    match error {
        HttpError::IOError(_) | HttpError::H1DecodeError(DecodeError::Io(_) | DecodeError::UnexpectedEof) => {
            Failure::Closed
        }
        other => Failure::Malformed(other.to_string()),
    }
}

fn closes<B>(answer: &http::Response<B>) -> bool {
    let connection = answer.headers().get(header::CONNECTION).map(HeaderValue::as_bytes);
    match answer.version() {
        Version::HTTP_11 => connection.is_some_and(|value| value.eq_ignore_ascii_case(b"close")),
        _ => !connection.is_some_and(|value| value.eq_ignore_ascii_case(b"keep-alive")),
    }
}

/// The side that the decoder reads from.
enum Reader {
    Plain(OwnedReadHalf<TcpStream>),
    Tls(TlsReader),
}

impl AsyncReadRent for Reader {
    async fn read<T: IoBufMut>(&mut self, buffer: T) -> BufResult<usize, T> {
        match self {
            Self::Plain(reader) => reader.read(buffer).await,
            Self::Tls(reader) => reader.read(buffer).await,
        }
    }

    async fn readv<T: IoVecBufMut>(&mut self, buffers: T) -> BufResult<usize, T> {
        match self {
            Self::Plain(reader) => reader.readv(buffers).await,
            Self::Tls(reader) => reader.readv(buffers).await,
        }
    }
}
