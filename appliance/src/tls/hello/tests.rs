use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::ConnectionState;
use rustls::{ClientConfig, RootCertStore};

use super::*;

/// A ClientHello as the engine's own client writes it.
fn hello(name: &str, sni: bool) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.enable_sni = sni;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = UnbufferedClientConnection::new(Arc::new(config), name).unwrap();
    let mut out = vec![0; 8192];
    match client.process_tls_records(&mut []).state.unwrap() {
        ConnectionState::EncodeTlsData(mut data) => {
            let length = data.encode(&mut out).unwrap();
            out.truncate(length);
        }
        other => panic!("{other:?}"),
    }
    out
}

/// The same message in records of `size` bytes.
fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let content = &hello[5..];
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1, length[0], length[1]], part].concat()
    };
    content.chunks(size).flat_map(record).collect()
}

fn named(name: &str) -> Hello {
    Hello::Whole { name: Some(name.into()) }
}

#[test]
fn the_name_is_found_however_the_message_is_cut() {
    let whole = hello("A.Test", true);
    assert_eq!(look(&whole), named("a.test"));
    assert_eq!(look(&hello("a.test", false)), Hello::Whole { name: None });
    for size in [1, 7, 100, 16 << 10] {
        let cut = in_records(&whole, size);
        assert_eq!(look(&cut), named("a.test"), "records of {size}");
        for end in [0, 1, 4, 5, 6, cut.len() / 2, cut.len() - 1] {
            assert_eq!(look(&cut[..end]), Hello::Partial, "{end} bytes of records of {size}");
        }
    }
    assert_eq!(look(&[&whole[..], &[20, 3, 3, 0, 1, 1, 23, 3, 3]].concat()), named("a.test"), "early data");
}

#[test]
fn what_is_no_hello_is_said_at_once() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n"[..], &[0xff; 600], &[22, 2, 1, 0, 1], &[22, 3, 1, 0, 0], &[22, 3, 1, 0xff, 0xff]]
    {
        assert_eq!(look(bytes), Hello::Unreadable, "{bytes:?}");
    }
    // Another handshake message, and one that claims 16 MiB.
    assert_eq!(look(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Hello::Unreadable);
    assert_eq!(look(&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]), Hello::Unreadable);
}

#[test]
fn a_client_that_never_comes_to_an_end_is_not_waited_for() {
    let record = [22, 3, 1, 0, 1, 0];
    let trickle: Vec<u8> = [[22, 3, 1, 0, 4, 1, 0, 0x3f, 0xff].to_vec(), record.repeat(HELLO_BYTES_MAX)].concat();
    assert!(trickle.len() > HELLO_BYTES_MAX);
    assert_eq!(look(&trickle[..HELLO_BYTES_MAX - 1]), Hello::Partial);
    assert_eq!(look(&trickle[..HELLO_BYTES_MAX]), Hello::Unreadable);
}

/// Whatever is done to a hello: no panic, and a prefix of what is not refused is not refused.
#[test]
fn random_bytes_are_survived() {
    let mut random = fastrand::Rng::with_seed(11);
    let whole = hello("a.test", true);
    for round in 0..20_000 {
        let mut bytes = in_records(&whole, random.usize(1..2000));
        for _ in 0..random.usize(..8) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        let seen = look(&bytes);
        if let Hello::Whole { name: Some(name) } = &seen {
            assert!(name.is_ascii() && name.bytes().all(|b| !b.is_ascii_uppercase()), "round {round}");
        }
        if seen != Hello::Unreadable {
            let part = &bytes[..random.usize(..=bytes.len())];
            assert_ne!(look(part), Hello::Unreadable, "round {round}");
        }
    }
}
