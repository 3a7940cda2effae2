//! A WebSocket as the proxy sees one: an upgrade, then bytes both ways.

use std::io;
use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::Connection;
use super::origin::{Next, Origin, Received};

pub(crate) const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// What opens the tunnel of [`UPGRADE`].
pub(crate) const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What opens the tunnel that `request` asks for (RFC 6455 4.2.2).
pub(crate) fn accepted(request: &Received) -> Vec<u8> {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let known = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    String::from_utf8_lossy(ACCEPTED).replace(known, &STANDARD.encode(proof)).into_bytes()
}

/// Accepts upgrades and sends back what comes; answers everything else 200.
pub(crate) fn echo() -> Origin {
    Origin::with(|request, peer| {
        if request.header("upgrade").is_none() {
            peer.answer(200, &[], b"plain")?;
            return Ok(Next::Keep);
        }
        peer.send(&accepted(request))?;
        let mut buffer = [0; 4096];
        loop {
            match peer.receive(&mut buffer)? {
                0 => return Ok(Next::Close),
                count => peer.send(&buffer[..count])?,
            }
        }
    })
}

/// Opens a tunnel to `a.test/ws`.
pub(crate) fn open(address: SocketAddr) -> Connection {
    let mut client = Connection::plain(address).expect("connect");
    client.send(UPGRADE.as_bytes()).expect("send");
    let (status, headers) = client.head().expect("an answer");
    assert_eq!(status, 101, "{headers:?}");
    let has = |name: &str| headers.iter().any(|(known, _)| known == name);
    assert!(has("upgrade") && has("sec-websocket-accept"), "{headers:?}");
    client
}

/// Sends a message through the tunnel and gets it back.
pub(crate) fn round_trip(client: &mut Connection, message: &[u8]) -> io::Result<()> {
    client.send(message)?;
    let mut echoed = vec![0; message.len()];
    client.read_exact(&mut echoed)?;
    if echoed == message { Ok(()) } else { Err(io::Error::other("another message came back")) }
}
