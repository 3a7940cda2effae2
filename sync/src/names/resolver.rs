//! One look-up: under which names, and of which servers. What goes over the network is hickory's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tracing::debug;

use super::LOOKUPS_MAX;
use crate::ResolverSettings;

/// How long one server may take for one question, by datagrams and again over a connection; as in ingress-nginx.
const SERVER_WAIT: Duration = Duration::from_secs(2);

/// How often the servers are asked in turn.
const ROUNDS: usize = 2;

/// Servers that count, as in the system's own resolver.
const SERVERS_MAX: usize = 3;

/// Domains that are searched.
const SEARCH_MAX: usize = 32;

/// The highest `ndots`.
const NDOTS_MAX: usize = 15;

/// Addresses that are taken from one answer.
const ADDRESSES_MAX: usize = 256;

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

/// Looks names up as the system's file says.
pub(super) struct Resolver {
    settings: ResolverSettings,
    /// By what the file said last.
    conf: ArcSwapOption<Conf>,
}

impl Resolver {
    pub(super) fn new(settings: ResolverSettings) -> Self {
        Self { settings, conf: ArcSwapOption::empty() }
    }

    /// The IPv4 addresses of a name, without any its IPv6 ones.
    pub(super) async fn look_up(&self, name: &str) -> Result<Answer, Failure> {
        let conf = self.conf().await?;
        let mut failure = Failure::Nothing("there is no such name");
        for candidate in conf.candidates(name) {
            for record in [RecordType::A, RecordType::AAAA] {
                match conf.ask_all(&candidate, record).await? {
                    Reply::Addresses(answer) => return Ok(answer),
                    // Under one name only there may be a server that cannot say.
                    Reply::Refused(code) => {
                        let candidate = candidate.to_ascii();
                        failure = Failure::Unanswered(format!("the name server says \"{code}\" to {candidate}"));
                    }
                    Reply::NoAddress if !matches!(failure, Failure::Unanswered(_)) => {
                        failure = Failure::Nothing("the name has no address");
                    }
                    Reply::NoAddress => {}
                    Reply::NoName => break,
                }
            }
        }
        Err(failure)
    }

    /// What the file says now; it is small, and read each time.
    async fn conf(&self) -> Result<Arc<Conf>, Failure> {
        let path = &self.settings.resolv_conf;
        let text = tokio::fs::read(path).await;
        let text = text.map_err(|cause| Failure::Unanswered(format!("{} cannot be read: {cause}", path.display())))?;
        if let Some(conf) = self.conf.load_full().filter(|conf| conf.text == text) {
            return Ok(conf);
        }
        let conf = Conf::new(text, self.settings.port);
        let conf =
            Arc::new(conf.map_err(|cause| Failure::Unanswered(format!("no name server can be asked: {cause}")))?);
        self.conf.store(Some(Arc::clone(&conf)));
        Ok(conf)
    }
}

/// What a server says.
enum Reply {
    Addresses(Answer),
    /// The name has none of the type.
    NoAddress,
    /// There is no such name.
    NoName,
    /// The server cannot say.
    Refused(ResponseCode),
}

/// Whom to ask, and under which names (resolv.conf(5)).
struct Conf {
    /// Of the file.
    text: Vec<u8>,
    /// One resolver for each: hickory takes the first answer of any as the answer of all, also when it is a refusal.
    servers: Vec<(IpAddr, TokioResolver)>,
    search: Vec<Name>,
    /// A name with fewer dots is searched first.
    ndots: usize,
}

impl Conf {
    /// Lines that say nothing to us are passed over. Without a server this machine is asked.
    fn new(text: Vec<u8>, port: u16) -> Result<Self, NetError> {
        let (conf, errors) = resolv_conf::Config::parse_with_errors(&text);
        for error in errors {
            debug!("resolv.conf: {error}");
        }
        let mut servers: Vec<_> = conf.nameservers.iter().take(SERVERS_MAX).map(IpAddr::from).collect();
        if servers.is_empty() {
            servers.push(Ipv4Addr::LOCALHOST.into());
        }
        let servers = servers.into_iter().map(|address| Ok((address, resolver_of(address, port, conf.edns0)?)));
        let search = conf.get_last_search_or_domain().take(SEARCH_MAX);
        Ok(Self {
            servers: servers.collect::<Result<_, NetError>>()?,
            search: search
                .filter_map(|domain| Name::from_ascii(domain).ok())
                .filter(|domain| !domain.is_root())
                .collect(),
            ndots: usize::try_from(conf.ndots).unwrap_or(NDOTS_MAX).min(NDOTS_MAX),
            text,
        })
    }

    /// The full names under which one is looked for, in this order; none for what fits in no message.
    fn candidates(&self, name: &str) -> Vec<Name> {
        let Ok(mut full) = Name::from_ascii(name) else { return Vec::new() };
        if full.is_fqdn() {
            return vec![full];
        }
        let mut all: Vec<_> = self.search.iter().filter_map(|domain| full.clone().append_domain(domain).ok()).collect();
        full.set_fqdn(true);
        let has_dots = name.matches('.').count() >= self.ndots;
        all.insert(if has_dots { 0 } else { all.len() }, full);
        all
    }

    /// The first answer of a server that can say.
    async fn ask_all(&self, name: &Name, record: RecordType) -> Result<Reply, Failure> {
        let (mut refused, mut silent) = (None, String::new());
        for (address, resolver) in self.servers.iter().cycle().take(self.servers.len() * ROUNDS) {
            match ask(resolver, name, record).await {
                Ok(Reply::Refused(code)) => refused = Some(Reply::Refused(code)),
                Ok(reply) => return Ok(reply),
                Err(NetError::Timeout) => silent = format!("the name server {address} does not answer"),
                Err(cause) => silent = format!("the name server {address} cannot be asked: {cause}"),
            }
        }
        refused.ok_or(Failure::Unanswered(silent))
    }
}

/// Asks one server, once. Addresses are kept by whoever asks, and for the time that the records say.
fn resolver_of(address: IpAddr, port: u16, edns0: bool) -> Result<TokioResolver, NetError> {
    let mut server = NameServerConfig::udp_and_tcp(address);
    for connection in &mut server.connections {
        connection.port = port;
    }
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = SERVER_WAIT;
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = edns0;
    // Hickory's choice would include the ports of other services of this machine.
    options.os_port_selection = true;
    options.max_active_requests = LOOKUPS_MAX;
    builder.build()
}

async fn ask(resolver: &TokioResolver, name: &Name, record: RecordType) -> Result<Reply, NetError> {
    let found = match resolver.lookup(name.clone(), record).await {
        Ok(found) => found,
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            return Ok(match none.response_code {
                ResponseCode::NoError => Reply::NoAddress,
                ResponseCode::NXDomain => Reply::NoName,
                code => Reply::Refused(code),
            });
        }
        Err(NetError::Dns(DnsError::ResponseCode(code))) => return Ok(Reply::Refused(code)),
        Err(cause) => return Err(cause),
    };
    let records = found.answers().iter();
    // Of all records: aliases lead to the addresses.
    let seconds = records.clone().map(|record| record.ttl).min().unwrap_or(0);
    let addresses = records.filter_map(|record| match record.data {
        RData::A(address) => Some(IpAddr::from(*address)),
        RData::AAAA(address) => Some(IpAddr::from(*address)),
        _ => None,
    });
    let addresses: Vec<_> = addresses.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Ok(Reply::NoAddress);
    }
    Ok(Reply::Addresses(Answer { addresses, valid_for: Duration::from_secs(seconds.into()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> Conf {
        Conf::new(text.as_bytes().to_vec(), 53).unwrap()
    }

    fn servers(conf: &Conf) -> Vec<String> {
        conf.servers.iter().map(|(address, _)| address.to_string()).collect()
    }

    fn candidates(conf: &Conf, name: &str) -> Vec<String> {
        conf.candidates(name).iter().map(Name::to_ascii).collect()
    }

    #[test]
    fn the_file_of_a_pod_is_read() {
        let conf = conf(
            "# made by kubelet\nsearch shop.svc.cluster.local svc.cluster.local bad..domain\nnameserver 10.96.0.10\n\
             nameserver fd00::a\nnameserver nonsense\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions timeout:1 ndots:5 x\n",
        );
        assert_eq!(servers(&conf), ["10.96.0.10", "fd00::a", "10.0.0.1"]);
        let searched = ["db.test.shop.svc.cluster.local.", "db.test.svc.cluster.local.", "db.test."];
        assert_eq!(candidates(&conf, "db.test"), searched);
        assert_eq!(candidates(&conf, "db.test."), ["db.test."]);
    }

    #[test]
    fn a_name_with_enough_dots_is_asked_for_as_it_is_first() {
        let conf = conf("domain example.com\n");
        assert_eq!(servers(&conf), ["127.0.0.1"]);
        assert_eq!(candidates(&conf, "db.test"), ["db.test.", "db.test.example.com."]);
        assert_eq!(candidates(&conf, "db"), ["db.example.com.", "db."]);
        assert_eq!(candidates(&conf, "xn--bcher-kva.test."), ["xn--bcher-kva.test."]);
    }

    #[test]
    fn names_that_fit_in_no_message_are_not_asked_for() {
        let conf = conf("search .\n");
        for name in ["a..b", &"a".repeat(64), &vec!["abcdefg"; 40].join(".")] {
            assert_eq!(candidates(&conf, name), [""; 0], "{name}");
        }
    }
}
