//! What a TLS handshake told of a client.

use std::rc::Rc;

use ringress_config::snapshot::{AuthContext, ClientCertificate};

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

impl Secured {
    /// Whether TLS was ended here.
    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self, Self::Not)
    }
}
