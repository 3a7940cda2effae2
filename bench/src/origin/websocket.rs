//! An origin that speaks WebSocket: it sends every message back. Small messages only, as the load sends them.

use std::io;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use crate::load::websocket::{ACCEPTED, unmask};

const READ_BYTES: usize = 16 << 10;
const HEAD_BYTES_MAX: usize = 16 << 10;

/// One connection: plain requests are answered empty, an upgrade begins the echo.
pub(super) async fn connection(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut received = Vec::new();
    let mut upgraded = false;
    loop {
        let (count, returned) = stream.read(buffer).await;
        buffer = returned;
        let count = count?;
        if count == 0 {
            return Ok(());
        }
        received.extend_from_slice(&buffer[..count]);
        let mut reply = Vec::new();
        if !upgraded {
            let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
                if received.len() > HEAD_BYTES_MAX {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                continue;
            };
            let head: Vec<u8> = received.drain(..end + 4).collect();
            upgraded = head.to_ascii_lowercase().windows(19).any(|part| part == b"\nupgrade: websocket");
            reply.extend_from_slice(if upgraded { ACCEPTED } else { b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" });
        }
        if upgraded {
            let taken = unmask(&received, &mut reply)?;
            received.drain(..taken);
        }
        if !reply.is_empty() {
            stream.write_all(reply).await.0?;
        }
    }
}
