//! What must hold for whatever bytes a connection begins with; called by the fuzz targets and the property tests.

use std::net::SocketAddr;

use ringress::opening::{HELLO_BYTES_MAX, Hello, look_at_hello, proxy_header, write_proxy_header};
use rustls::server::Acceptor;

/// Starts that are looked at one by one.
const STARTS_MAX: usize = 600;

/// Any bytes as a PROXY header: the first word on them is the last, and a client that it names can be named again.
pub(crate) fn proxy(data: &[u8]) {
    let whole = proxy_header(data);
    for end in 0..=data.len().min(STARTS_MAX) {
        let start = proxy_header(&data[..end]);
        if start.is_some() {
            assert_eq!(start, whole, "{end}");
            break;
        }
    }
    let Some(Ok((proxied, length))) = whole else { return };
    assert!(length > 0 && length <= data.len());
    let Some((client, port)) = proxied.addresses else { return };
    let to = SocketAddr::new(client.ip(), port);
    let mut line = Vec::new();
    write_proxy_header(&mut line, client, to);
    let again = proxy_header(&line).expect("a whole line").expect("a header");
    assert_eq!(again.1, line.len());
    let (canonical, port_again) = again.0.addresses.expect("a client");
    assert_eq!((canonical.ip(), canonical.port(), port_again), (client.ip().to_canonical(), client.port(), port));
}

/// Any bytes as the start of TLS: the first word is the last, and no name differs from the engine's.
pub(crate) fn hello(data: &[u8]) {
    let whole = look_at_hello(data);
    if data.len() < HELLO_BYTES_MAX {
        for end in 0..=data.len().min(STARTS_MAX) {
            let start = look_at_hello(&data[..end]);
            if start != Hello::Partial {
                assert_eq!(start, whole, "{end}");
                break;
            }
        }
    }
    if let Hello::Whole { name: Some(name) } = &whole {
        assert!(name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
    }
    let (mut acceptor, mut left) = (Acceptor::default(), data);
    while !left.is_empty() && acceptor.read_tls(&mut left).is_ok_and(|count| count > 0) {
        match acceptor.accept() {
            Ok(None) => {}
            Err(_) => return,
            Ok(Some(accepted)) => {
                let theirs = accepted.client_hello().server_name().map(|name| name.trim_end_matches('.').to_owned());
                // Names that are none are left to the engine, which lets some of them pass as no name at all.
                if let Some(theirs) = theirs {
                    assert_eq!(whole, Hello::Whole { name: Some(theirs.to_ascii_lowercase().into()) });
                }
                return;
            }
        }
    }
}
