//! The PROXY protocol in front of a connection, versions 1 and 2: who the client is according to the hop before.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::{HeaderResult, PartialResult, v1, v2};

use crate::io::Socket;

/// Bytes of a header, TLVs included; more is refused.
const HEADER_BYTES_MAX: usize = 4 << 10;
/// How a header of version 1 starts.
const V1_PREFIX: &[u8] = b"PROXY ";
/// Bytes of a header of version 1, its CRLF included (haproxy's proxy-protocol.txt 2.1).
const V1_BYTES_MAX: usize = 107;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The client, and the port that it connected to; `None` for connections that the hop makes on its own behalf.
    pub addresses: Option<(SocketAddr, u16)>,
}

/// Reads the header; what was received behind it comes back as well. The caller has set a deadline.
///
/// # Errors
/// When the connection begins with anything else: nothing is served on it then.
pub(crate) async fn read(socket: &mut Socket) -> io::Result<(Proxied, Vec<u8>)> {
    let mut received = Vec::with_capacity(HEADER_BYTES_MAX);
    loop {
        let (result, returned) = socket.recv(received).await;
        received = returned;
        if result? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match parse(&received) {
            Some(Ok((proxied, len))) => {
                received.drain(..len);
                return Ok((proxied, received));
            }
            None if received.len() < HEADER_BYTES_MAX => {}
            Some(Err(())) | None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Appends a header of version 1 that says who the client is and where it connected to.
pub fn write(out: &mut Vec<u8>, client: SocketAddr, to: SocketAddr) {
    let (client_ip, to_ip) = (client.ip().to_canonical(), to.ip().to_canonical());
    let line = match (client_ip, to_ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => format!("PROXY TCP4 {a} {b} {} {}\r\n", client.port(), to.port()),
        (IpAddr::V6(a), IpAddr::V6(b)) => format!("PROXY TCP6 {a} {b} {} {}\r\n", client.port(), to.port()),
        // A hop before spoke another family; the format has no line for that.
        _ => "PROXY UNKNOWN\r\n".to_owned(),
    };
    out.extend_from_slice(line.as_bytes());
}

/// The header at the start of `bytes` and its length; `None` while it is incomplete.
///
/// # Errors
/// When the bytes begin with anything else.
pub fn parse(bytes: &[u8]) -> Option<Result<(Proxied, usize), ()>> {
    let starts = |prefix: &[u8]| bytes.starts_with(prefix) || prefix.starts_with(bytes);
    if starts(V1_PREFIX) {
        // The parser judges an unfinished line by what it has so far: it is asked about whole lines only.
        let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
        if memchr::memmem::find(line, b"\r\n").is_none() {
            return if line.len() < V1_BYTES_MAX { None } else { Some(Err(())) };
        }
    } else if !starts(v2::PROTOCOL_PREFIX) {
        return Some(Err(()));
    }
    let result = HeaderResult::parse(bytes);
    if result.is_incomplete() {
        return None;
    }
    Some(match result {
        HeaderResult::V1(Ok(header)) => Ok((from_v1(&header), header.header.len())),
        HeaderResult::V2(Ok(header)) => Ok((from_v2(&header), header.len())),
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(()),
    })
}

/// An IPv4 client of a hop that listens for both families is one of IPv4, to everybody behind.
fn client(ip: IpAddr, port: u16, to: u16) -> Option<(SocketAddr, u16)> {
    Some((SocketAddr::new(ip.to_canonical(), port), to))
}

fn from_v1(header: &v1::Header<'_>) -> Proxied {
    let addresses = match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(a) => client(a.source_address.into(), a.source_port, a.destination_port),
        v1::Addresses::Tcp6(a) => client(a.source_address.into(), a.source_port, a.destination_port),
    };
    Proxied { addresses }
}

fn from_v2(header: &v2::Header<'_>) -> Proxied {
    let addresses = match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(a)) => {
            client(a.source_address.into(), a.source_port, a.destination_port)
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(a)) => {
            client(a.source_address.into(), a.source_port, a.destination_port)
        }
        // A health check of the hop itself, or addresses that are none of the network's.
        _ => None,
    };
    Proxied { addresses }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(client: &str, port: u16) -> Proxied {
        Proxied { addresses: Some((client.parse().unwrap(), port)) }
    }

    #[test]
    fn both_versions_are_read_and_what_follows_is_left() {
        let line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
        let request = [line, &b"GET / HTTP/1.1\r\n"[..]].concat();
        assert_eq!(parse(&request), Some(Ok((proxied("192.168.0.1:56324", 443), line.len()))));
        let mut v2 = v2::PROTOCOL_PREFIX.to_vec();
        v2.extend_from_slice(b"\x21\x11\x00\x0c\x0a\x09\x08\x07\xc0\xa8\x00\x0b\x9c\x40\x00\x50GET");
        assert_eq!(parse(&v2), Some(Ok((proxied("10.9.8.7:40000", 80), 28))));
    }

    #[test]
    fn an_ipv4_address_within_ipv6_is_one_of_ipv4() {
        let line = b"PROXY TCP6 ::ffff:9.9.9.9 ::ffff:10.0.0.1 1000 443\r\n";
        assert_eq!(parse(line), Some(Ok((proxied("9.9.9.9:1000", 443), line.len()))));
        let mut v2 = v2::PROTOCOL_PREFIX.to_vec();
        v2.extend_from_slice(b"\x21\x21\x00\x24");
        for mapped in [b"\x09\x09\x09\x09", b"\x0a\x00\x00\x01"] {
            v2.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0\xff\xff");
            v2.extend_from_slice(mapped);
        }
        v2.extend_from_slice(b"\x03\xe8\x01\xbb");
        assert_eq!(parse(&v2), Some(Ok((proxied("9.9.9.9:1000", 443), v2.len()))));
    }

    #[test]
    fn every_cut_of_a_header_waits_for_more() {
        let line = b"PROXY TCP6 ::1 ::1 1 2\r\n";
        for n in 1..line.len() {
            assert_eq!(parse(&line[..n]), None, "{n}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (client, to) in [("10.0.0.1:5", "10.0.0.2:80"), ("[fd00::1]:5", "[fd00::2]:80")] {
            let mut line = Vec::new();
            write(&mut line, client.parse().unwrap(), to.parse().unwrap());
            assert_eq!(parse(&line), Some(Ok((proxied(client, 80), line.len()))));
        }
        let mut line = Vec::new();
        write(&mut line, "10.0.0.1:5".parse().unwrap(), "[fd00::2]:80".parse().unwrap());
        assert_eq!(parse(&line), Some(Ok((Proxied { addresses: None }, line.len()))));
    }

    #[test]
    fn anything_else_is_refused_at_once() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00", b"PROXY TCP4 1.2.3.4 x 1 2\r\n", b"PROXYTCP4 "]
        {
            assert_eq!(parse(bytes), Some(Err(())), "{bytes:?}");
        }
    }

    #[test]
    fn an_unknown_client_is_the_hop_itself() {
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Some(Ok((Proxied { addresses: None }, 15))));
    }
}
