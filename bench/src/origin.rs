//! The origin behind the proxies: keep-alive, a fixed body, next to no work per request.

mod websocket;

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use monoio::io::Splitable;
use monoio::io::sink::SinkExt;
use monoio::io::stream::Stream;
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio_http::common::error::HttpError;
use monoio_http::common::request::Request;
use monoio_http::h1::codec::decoder::{FillPayload, RequestDecoder};
use monoio_http::h1::codec::encoder::GenericEncoder;
use monoio_http::h1::payload::{FixedPayload, Payload};
use socket2::{Domain, Socket, Type};

use crate::error::{Context, Error};
use crate::runtime;

/// Largest body that `/bytes/N` may ask for.
const BODY_BYTES_MAX: usize = 64 << 20;
const BACKLOG: i32 = 4096;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one, printed on the first line.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Listen on every address of 127.0.0.0/8, and on no other interface, at the port of --listen.
    #[arg(long)]
    all_of_loopback: bool,
    /// Speak WebSocket: send every message back.
    #[arg(long)]
    websocket: bool,
    /// Bytes of the body of every answer.
    #[arg(long, default_value_t = 128)]
    body_size: usize,
    /// Run on this CPU only.
    #[arg(long)]
    cpu: Option<usize>,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    if let Some(cpu) = options.cpu {
        crate::usage::pin(&[cpu])?;
    }
    let body = Bytes::from(vec![b'x'; options.body_size]);
    let listener = if options.all_of_loopback { Some(listen_everywhere(options.listen.port())?) } else { None };
    let body = (!options.websocket).then_some(body);
    runtime::block_on(serve(options.listen, listener, body)).context(|| "start the runtime".into())?
}

/// A listener on all addresses, of the loopback interface only.
fn listen_everywhere(port: u16) -> Result<std::net::TcpListener, Error> {
    let listen = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind_device(Some(b"lo"))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().context(|| format!("listen on port {port} of the loopback interface"))
}

async fn serve(address: SocketAddr, listener: Option<std::net::TcpListener>, body: Option<Bytes>) -> Result<(), Error> {
    let listener = match listener {
        Some(listener) => TcpListener::from_std(listener),
        None => {
            let listening = ListenerOpts::new().backlog(BACKLOG).reuse_port(false);
            TcpListener::bind_with_config(address, &listening)
        }
    };
    let listener = listener.context(|| format!("listen on {address}"))?;
    let address = listener.local_addr().context(|| "ask for the own address".into())?;
    println!("listening on {address}");
    loop {
        // Descriptors may run out for a moment under a storm of new connections; the next accept tries again.
        if let Ok((stream, _)) = listener.accept().await {
            drop(monoio::spawn(connection(stream, body.clone())));
        }
    }
}

/// Without a body it is a connection of WebSocket.
async fn connection(stream: TcpStream, body: Option<Bytes>) {
    // The peer is the proxy under test; how its connection ends is for the load side to judge.
    if stream.set_nodelay(true).is_ok() {
        match body {
            Some(body) => drop(exchanges(stream, body).await),
            None => drop(websocket::connection(stream).await),
        }
    }
}

async fn exchanges(stream: TcpStream, body: Bytes) -> Result<(), HttpError> {
    let (reader, writer) = stream.into_split();
    let mut requests = RequestDecoder::new(reader);
    let mut answers = GenericEncoder::new(writer);
    while let Some(request) = requests.next().await {
        let request = request?;
        requests.fill_payload().await?;
        let close = closes(&request);
        answers.send_and_flush(answer(&request, &body, close)).await?;
        if close {
            break;
        }
    }
    Ok(())
}

fn closes(request: &Request) -> bool {
    let connection = request.headers().get(header::CONNECTION).map(HeaderValue::as_bytes);
    match request.version() {
        Version::HTTP_11 => connection.is_some_and(|value| value.eq_ignore_ascii_case(b"close")),
        _ => !connection.is_some_and(|value| value.eq_ignore_ascii_case(b"keep-alive")),
    }
}

fn answer(request: &Request, body: &Bytes, close: bool) -> Response<Payload> {
    let body = match request.uri().path().strip_prefix("/bytes/") {
        None => body.clone(),
        Some(count) => match count.parse() {
            Ok(count) if count == body.len() => body.clone(),
            Ok(count) if count <= BODY_BYTES_MAX => Bytes::from(vec![b'x'; count]),
            _ => Bytes::new(),
        },
    };
    let mut response = Response::new(Payload::Fixed(FixedPayload::new(body)));
    *response.status_mut() = StatusCode::OK;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
