//! What a TLS handshake told of a client.

use std::rc::Rc;

use ringress_config::snapshot::{AuthContext, ClientCertificate, SUITES};
use rustls::CipherSuite;

/// Whether TLS was ended here, and what is known of the client by it.
#[derive(Clone, Default)]
pub(crate) enum Secured {
    /// The connection is in the clear.
    #[default]
    Not,
    /// TLS, for a name whose host asks for no certificate.
    Anonymously,
    /// TLS, and what it told matters.
    As(Rc<Identity>),
}

/// A client of which something is known, be it that it named no host.
#[derive(Debug)]
pub(crate) struct Identity {
    /// By what the handshake was made and the certificate judged; `None` without either.
    pub(crate) context: Option<AuthContext>,
    /// The server name that was asked for.
    pub(crate) name: Option<Box<str>>,
    pub(crate) certificate: ClientCertificate,
}

/// Suites of TLS 1.3 by OpenSSL's names, in front of those of 1.2.
const TLS13: [(&str, CipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
];

/// The cipher suite of a connection, in one byte, as every parked connection has one: 0 in the clear, else its place in
/// the lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suite(u8);

impl Suite {
    pub(super) fn of(suite: CipherSuite) -> Self {
        let place = TLS13.iter().chain(&SUITES).position(|(_, known)| *known == suite);
        Self(place.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(u8::MAX))
    }

    /// As OpenSSL has it; empty in the clear.
    pub(crate) fn name(self) -> &'static str {
        let place = usize::from(self.0).checked_sub(1);
        place.and_then(|at| TLS13.iter().chain(&SUITES).nth(at)).map_or("", |(name, _)| name)
    }

    /// The version of TLS that it is of, as OpenSSL has it; empty in the clear.
    pub(crate) fn protocol(self) -> &'static str {
        match usize::from(self.0) {
            0 => "",
            at if at <= TLS13.len() => "TLSv1.3",
            _ => "TLSv1.2",
        }
    }
}

impl Secured {
    /// Whether TLS was ended here.
    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self, Self::Not)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_of_the_engine_has_a_name_and_a_version() {
        for known in rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES {
            let suite = Suite::of(known.suite());
            assert!(!suite.name().is_empty(), "{known:?}");
            let version = if known.tls13().is_some() { "TLSv1.3" } else { "TLSv1.2" };
            assert_eq!(suite.protocol(), version, "{known:?}");
        }
        assert_eq!((Suite::default().name(), Suite::default().protocol()), ("", ""));
        assert_eq!(Suite::of(CipherSuite::TLS13_AES_128_GCM_SHA256).name(), "TLS_AES_128_GCM_SHA256");
    }
}
