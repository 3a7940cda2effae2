//! TCP and UDP services: ports of this machine that lead to a Service as they are, byte by byte.

use std::sync::Arc;

use super::ClusterId;
use crate::model::Transport;

/// A port and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamService {
    /// What is spoken there.
    pub transport: Transport,
    /// The port that is listened on.
    pub port: u16,
    /// Where it leads.
    pub cluster: ClusterId,
    /// Connections begin with a PROXY header that says who the client is.
    pub receives_proxy: bool,
    /// Upstreams are told who the client is by a PROXY header (version 1).
    pub sends_proxy: bool,
}

/// All of them, each port of a transport once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamServices(Arc<[StreamService]>);

impl StreamServices {
    /// From services in any order, of which no two have the same transport and port.
    pub(crate) fn new(mut services: Vec<StreamService>) -> Self {
        services.sort_by_key(|service| (service.transport, service.port));
        Self(services.into())
    }

    /// The service of a port.
    pub fn find(&self, transport: Transport, port: u16) -> Option<&StreamService> {
        let at = self.0.binary_search_by_key(&(transport, port), |service| (service.transport, service.port));
        at.ok().map(|at| &self.0[at])
    }

    /// By transport and port.
    pub fn iter(&self) -> impl Iterator<Item = &StreamService> {
        self.0.iter()
    }
}
