//! One look-up: under which names, of which servers, by which transport.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{self, RecordType, Reply};
use super::resolv_conf::ResolvConf;
use crate::ResolverSettings;

/// How long one server may take for one question; as in ingress-nginx.
const SERVER_WAIT: Duration = Duration::from_secs(2);

/// How often the servers are asked in turn.
const ROUNDS: usize = 2;

/// Bytes of a datagram (RFC 1035 4.2.1, as none is offered that are larger).
const DATAGRAM_BYTES_MAX: usize = 512;

/// What a name has.
#[derive(Debug)]
pub(super) struct Answer {
    /// Some.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) valid_for: Duration,
}

/// Why a name has nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// A server says so.
    Nothing(&'static str),
    /// Nobody could say.
    Unanswered(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing(what) => f.write_str(what),
            Self::Unanswered(why) => f.write_str(why),
        }
    }
}

/// Looks a name up as the system's file says: its IPv4 addresses, without any its IPv6 ones.
pub(super) async fn look_up(name: &str, settings: &ResolverSettings) -> Result<Answer, Failure> {
    let path = &settings.resolv_conf;
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|cause| Failure::Unanswered(format!("{} cannot be read: {cause}", path.display())))?;
    let conf = ResolvConf::parse(&text);
    let servers: Vec<_> = conf.servers.iter().map(|server| SocketAddr::new(*server, settings.port)).collect();
    let mut failure = Failure::Nothing("there is no such name");
    for candidate in conf.candidates(name) {
        for record in [RecordType::A, RecordType::Aaaa] {
            match ask_all(&candidate, record, &servers).await? {
                Reply::Addresses(addresses, valid_for) if !addresses.is_empty() => {
                    return Ok(Answer { addresses, valid_for });
                }
                // Under one name only there may be a server that cannot say.
                Reply::Refused(code) => {
                    failure = Failure::Unanswered(format!("the name server answers with error {code} for {candidate}"));
                }
                Reply::Addresses(..) if !matches!(failure, Failure::Unanswered(_)) => {
                    failure = Failure::Nothing("the name has no address");
                }
                Reply::NoName => break,
                Reply::Addresses(..) | Reply::Truncated => {}
            }
        }
    }
    Err(failure)
}

/// The first answer of a server that can say.
async fn ask_all(name: &str, record: RecordType, servers: &[SocketAddr]) -> Result<Reply, Failure> {
    // Not to be guessed by who would like to answer in a server's place; the port of the socket is the system's choice.
    let [high, low, ..] = RandomState::new().hash_one(name).to_be_bytes();
    let Some(question) = message::question(u16::from_be_bytes([high, low]), name, record) else {
        return Ok(Reply::NoName);
    };
    let (mut refused, mut silent) = (None, String::new());
    for server in servers.iter().cycle().take(servers.len() * ROUNDS) {
        match timeout(SERVER_WAIT, ask(&question, *server)).await {
            Ok(Ok(Reply::Refused(code))) => refused = Some(Reply::Refused(code)),
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(cause)) => silent = format!("the name server {server} cannot be asked: {cause}"),
            Err(_) => silent = format!("the name server {server} does not answer"),
        }
    }
    refused.ok_or(Failure::Unanswered(silent))
}

/// By a datagram; over a connection when the answer does not fit.
async fn ask(question: &[u8], server: SocketAddr) -> io::Result<Reply> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut datagram).await?;
        match message::reply(question, &datagram[..length]) {
            Some(Reply::Truncated) => return ask_at_length(question, server).await,
            Some(reply) => return Ok(reply),
            // Somebody else's: the right one may still come.
            None => {}
        }
    }
}

async fn ask_at_length(question: &[u8], server: SocketAddr) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    message::reply(question, &answer).ok_or_else(|| io::Error::other("it answers something else"))
}
