//! Raw bytes in, raw bytes out: for what no proper client would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// Longer than a worker needs to answer, shorter than any time limit of the product.
const SILENCE: Duration = Duration::from_secs(3);

/// All that came back.
pub(crate) struct Outcome {
    pub(crate) bytes: Vec<u8>,
    /// The product ended the connection; otherwise it went silent and kept it open.
    pub(crate) closed: bool,
}

impl Outcome {
    /// Status codes of all answers, in order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.split("\r\n").filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()).collect()
    }
}

/// Sends `bytes` on a connection of its own and reads until it ends or falls silent.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Outcome {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
    stream.set_read_timeout(Some(SILENCE)).expect("set a time limit");
    // The product may refuse before it has read all: then the rest of the sending fails, and the answer counts.
    let _refused_early = stream.write_all(bytes);
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Outcome { bytes: received, closed: true },
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let _closing = stream.shutdown(Shutdown::Both);
                return Outcome { bytes: received, closed: false };
            }
            Err(_) => return Outcome { bytes: received, closed: true },
        }
    }
}
