//! The load of WebSocket: an upgrade, then messages of 100 bytes, each sent when the one before has come back. Both
//! ends are ours, so the key is the one of RFC 6455's example, and so is the answer to it.

use std::io;

use monoio::io::{AsyncReadRent, AsyncReadRentExt};

/// Shorter than 126, so that every length is one byte.
const MESSAGE_BYTES: usize = 100;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const BINARY: u8 = 0x82;
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The server's answer to the upgrade.
pub(crate) const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The request that asks for it.
pub(super) fn upgrade(path: &str, host: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// One masked message.
pub(super) fn message() -> Vec<u8> {
    let mut frame = vec![BINARY, 0x80 | MESSAGE_BYTES as u8];
    frame.extend_from_slice(&MASK);
    frame.extend((0..MESSAGE_BYTES).map(|index| b'x' ^ MASK[index % 4]));
    frame
}

/// Reads the answer to the upgrade; false when it is another than 101.
pub(super) async fn accepted(reader: &mut impl AsyncReadRent) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // A byte at a time, once for each connection: what follows is not to be taken.
        let (count, byte) = reader.read(vec![0; 1]).await;
        if count? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&byte);
    }
    Ok(head.starts_with(b"HTTP/1.1 101 "))
}

/// Reads the message that comes back; its bytes.
pub(super) async fn returned(reader: &mut impl AsyncReadRent) -> io::Result<u64> {
    let (read, frame) = reader.read_exact(vec![0; 2 + MESSAGE_BYTES]).await;
    read?;
    if frame[..2] != [BINARY, MESSAGE_BYTES as u8] || frame[2..].iter().any(|&byte| byte != b'x') {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(MESSAGE_BYTES as u64)
}

/// Turns whole masked frames at the front of `received` into unmasked ones at the end of `reply`; says how many bytes
/// they were.
///
/// # Errors
/// On a frame that the load does not send.
pub(crate) fn unmask(received: &[u8], reply: &mut Vec<u8>) -> io::Result<usize> {
    let mut taken = 0;
    while let [kind, length, rest @ ..] = &received[taken..] {
        let length = usize::from(length ^ 0x80);
        if length > MESSAGE_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { break };
        let Some(masked) = rest.get(..length) else { break };
        reply.extend([*kind, length as u8]);
        reply.extend(masked.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
        taken += 2 + 4 + length;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_come_back_unmasked_and_half_ones_wait() {
        let mut received = message();
        received.extend(message());
        let mut reply = Vec::new();
        let taken = unmask(&received[..received.len() - 1], &mut reply).expect("frames");
        assert_eq!((taken, reply.len()), (106, 102));
        assert!(reply[2..].iter().all(|&byte| byte == b'x'), "{reply:?}");
        assert!(unmask(&[BINARY, 100], &mut reply).is_err(), "not masked");
    }
}
