//! What is compared: the loads that decide whether a proxy is cheap in front of real services.

use serde::Serialize;

use crate::peer::Setup;

/// Who makes the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Generator {
    /// wrk, as users run it.
    Wrk,
    /// The own closed-loop generator.
    Own,
    /// h2load, for HTTP/2.
    #[value(skip)]
    H2load,
}

/// One load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) tls: bool,
    /// Every request on a connection of its own.
    pub(crate) new_connections: bool,
    /// Streams of HTTP/2 on each connection at a time; zero is HTTP/1.1.
    pub(crate) streams: usize,
    /// Bytes of every answer's body.
    pub(crate) body_bytes: usize,
    /// An RSA-2048 key instead of ECDSA P-256.
    pub(crate) rsa: bool,
    /// Messages of WebSocket instead of requests.
    pub(crate) websocket: bool,
}

impl Scenario {
    pub(crate) fn path(&self) -> String {
        format!("/bytes/{}", self.body_bytes)
    }

    /// What the proxies must be set up for.
    pub(crate) fn setup(&self) -> Setup {
        Setup { rsa: self.rsa, websocket: self.websocket }
    }

    /// wrk where it does the same; it cannot open a connection for each request without trusting the server to close.
    pub(crate) fn generator(&self, wanted: Generator) -> Generator {
        match self {
            Self { streams: 1.., .. } => Generator::H2load,
            Self { new_connections: true, .. } | Self { websocket: true, .. } => Generator::Own,
            _ => wanted,
        }
    }
}

pub(crate) const SMALL: Scenario = Scenario {
    name: "keepalive-64",
    connections: 64,
    tls: false,
    new_connections: false,
    streams: 0,
    body_bytes: 128,
    rsa: false,
    websocket: false,
};

const HANDSHAKES: Scenario =
    Scenario { name: "tls-new-connections-16", connections: 16, tls: true, new_connections: true, ..SMALL };

/// All scenarios, in the order they are run and reported; those of one setup together, as the proxies start anew for each.
pub(crate) const SCENARIOS: [Scenario; 9] = [
    SMALL,
    Scenario { name: "keepalive-256", connections: 256, ..SMALL },
    Scenario { name: "tls-keepalive-64", tls: true, ..SMALL },
    Scenario { name: "h2-16x32", connections: 16, tls: true, streams: 32, ..SMALL },
    Scenario { name: "new-connections-16", connections: 16, new_connections: true, ..SMALL },
    HANDSHAKES,
    Scenario { name: "body-1m-16", connections: 16, body_bytes: 1 << 20, ..SMALL },
    Scenario { name: "tls-rsa-new-connections-16", rsa: true, ..HANDSHAKES },
    Scenario { name: "websocket-64", websocket: true, ..SMALL },
];
