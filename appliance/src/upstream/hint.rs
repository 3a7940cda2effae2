//! What a request asks of the balancer: a key that it is hashed by, and the session that its cookie names.

use ringress_config::snapshot::Ring;

use super::session::Session;

/// Empty for most requests.
#[derive(Debug, Default)]
pub(crate) struct Hint<'s> {
    /// Hash of the key of a cluster with a ring.
    pub(super) key: Option<u32>,
    pub(super) session: Option<Session<'s>>,
}

impl<'s> Hint<'s> {
    /// A request with this key and session.
    pub(crate) fn new(key: Option<&[u8]>, session: Option<Session<'s>>) -> Self {
        Self { key: key.map(Ring::hash), session }
    }

    /// The session, if the request is one of one.
    pub(crate) fn session(&self) -> Option<&Session<'s>> {
        self.session.as_ref()
    }
}
