//! The command line of `ringress shadow`.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderName, Uri};
use clap::{Arg, ArgAction, ArgMatches};

use super::explain_from;
use super::nginx_flags::NGINX_FLAGS;
use super::value::{Value, ValueType};
use super::{CliError, ExplainFrom, Output, arguments, output};

/// `ringress shadow`.
#[derive(Debug)]
pub struct Shadow {
    /// The file with the requests, or `-` for standard input.
    pub requests: PathBuf,
    /// With what they are compared.
    pub against: Against,
    /// Host of requests that do not say theirs.
    pub host: Option<String>,
    /// Requests that do not say their scheme came over https.
    pub https: bool,
    /// Most requests of the input that are looked at.
    pub requests_max: u64,
    /// The whole takes no longer.
    pub time_max: Duration,
    /// How to print.
    pub output: Output,
}

/// With what recorded requests are compared.
#[derive(Debug)]
pub enum Against {
    /// They are sent to two controllers.
    Peers(Box<Peers>),
    /// What is recorded of their fate is held against what the router says.
    Explanations(ExplainFrom),
}

/// Two controllers that are asked the same.
#[derive(Debug)]
pub struct Peers {
    /// The old one.
    pub old: Peer,
    /// The new one.
    pub new: Peer,
    /// Requests that may change something are sent too.
    pub all_methods: bool,
    /// Fields of answers that are compared beside the usual ones, in lower case.
    pub fields: Vec<String>,
    /// Field in which the backends say who they are.
    pub backend_field: Option<String>,
    /// Most pairs of requests a second.
    pub rate: u32,
    /// Most pairs in flight.
    pub in_flight_max: usize,
    /// Longest wait for one answer.
    pub timeout: Duration,
}

/// Where a controller listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// It speaks TLS there.
    pub https: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Peer {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected http://ADDRESS[:PORT] or https://ADDRESS[:PORT]".to_owned();
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(expected()),
        };
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(expected());
        }
        Ok(Self { https, host, port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }) })
    }
}

pub(super) fn shadow(matches: &ArgMatches) -> Result<Shadow, CliError> {
    let one = |name: &str| matches.get_one::<String>(name).cloned();
    let peer = |name| matches.get_one::<Peer>(name).cloned();
    let against = match (peer("old"), peer("new")) {
        (Some(old), Some(new)) => Against::Peers(Box::new(Peers {
            old,
            new,
            all_methods: matches.get_flag("all-methods"),
            fields: matches.get_many::<String>("header").into_iter().flatten().cloned().collect(),
            backend_field: one("backend-header"),
            rate: number(matches, "rate"),
            in_flight_max: number(matches, "concurrency"),
            timeout: duration(matches, "timeout"),
        })),
        _ if matches.contains_id("source") || matches.contains_id("admin") => {
            Against::Explanations(explain_from(matches)?)
        }
        _ => return Err(CliError::setting("old", "expected --old and --new, or --source or --admin to compare with")),
    };
    Ok(Shadow {
        requests: matches.get_one::<PathBuf>("requests").cloned().unwrap_or_default(),
        against,
        host: one("host"),
        https: one("scheme").as_deref() != Some("http"),
        requests_max: number(matches, "limit"),
        time_max: duration(matches, "time-limit"),
        output: output(matches),
    })
}

fn number<T: Clone + Default + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).cloned().unwrap_or_default()
}

fn duration(matches: &ArgMatches, name: &str) -> Duration {
    match matches.get_one::<Value>(name) {
        Some(Value::Duration(duration)) => *duration,
        _ => Duration::ZERO,
    }
}

pub(super) fn shadow_command() -> clap::Command {
    clap::Command::new("shadow")
        .about("Hold recorded requests against an old controller and this one, and say what differs")
        .long_about(
            "Hold recorded requests against an old controller and this one, and say what differs.\n\
             With --old and --new each request is sent to both and the answers are compared: status, Location, names of \
             cookies, the usual fields and those of --header, and the backend by --backend-header. A difference counts when \
             it is there a second time. Only GET, HEAD and OPTIONS are sent, without body. Certificates of the two are not \
             verified.\n\
             With --source or --admin nothing is sent: what the log says of status and upstream is held against what \
             explain says.\n\
             The input is an access log of ingress-nginx in its default form, one JSON object a line with nginx' names of \
             variables, or lines such as GET https://host/path, each followed by indented header lines if there are any. \
             A log without hosts needs --host.\n\
             Exit code: 0 no difference, 1 differences, 2 nothing could be compared.",
        )
        .args_override_self(true)
        .arg(
            Arg::new("requests")
                .value_name("REQUESTS")
                .required(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Access log or list of requests; - for standard input"),
        )
        .args(peer_arguments())
        .arg(Arg::new("source").long("source").value_name("dir:PATH").help("Compare with the manifests of a folder"))
        .arg(
            Arg::new("admin")
                .long("admin")
                .value_name("ADDRESS")
                .conflicts_with("source")
                .help("Compare with the routes of a running instance"),
        )
        .arg(Arg::new("host").long("host").value_name("NAME").help("Host of requests that do not say theirs"))
        .arg(
            Arg::new("scheme")
                .long("scheme")
                .value_parser(["http", "https"])
                .default_value("https")
                .help("Scheme of requests that do not say theirs, for --source and --admin"),
        )
        .arg(bounded("limit", "N", "100000", "Most requests that are read").value_parser(clap::value_parser!(u64)))
        .arg(seconds("time-limit", "10m", "Longest time for the whole"))
        .arg(super::output_argument())
        .args(arguments(NGINX_FLAGS.iter(), "Flags of ingress-nginx").map(|arg| arg.hide(true)))
}

/// The arguments of the mode that sends.
fn peer_arguments() -> [Arg; 8] {
    let peer = |name: &'static str, other: &'static str, help: &'static str| {
        let argument = Arg::new(name).long(name).value_name("URL").value_parser(Peer::parse).help(help);
        argument.requires(other).conflicts_with_all(["source", "admin"])
    };
    let field = |name: &'static str| {
        let parse = |text: &str| match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) => Ok(name.as_str().to_owned()),
            Err(_) => Err("expected the name of a header".to_owned()),
        };
        Arg::new(name).long(name).value_name("NAME").value_parser(parse)
    };
    [
        peer("old", "new", "Where the old controller listens"),
        peer("new", "old", "Where the new one listens"),
        Arg::new("all-methods")
            .long("all-methods")
            .action(ArgAction::SetTrue)
            .help("Send methods other than GET, HEAD and OPTIONS too; they may change something, twice"),
        field("header").action(ArgAction::Append).help("A header of answers to compare, repeatable"),
        field("backend-header").help("Header in which backends say who they are"),
        bounded("rate", "N", "50", "Most requests a second").value_parser(clap::value_parser!(u32).range(1..=100_000)),
        bounded("concurrency", "N", "4", "Most requests in flight").value_parser(in_flight),
        seconds("timeout", "10s", "Longest wait for an answer"),
    ]
}

fn in_flight(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| (1..=1000).contains(number)).ok_or_else(|| "expected 1 to 1000".to_owned())
}

fn bounded(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).default_value(default).help(help)
}

fn seconds(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    bounded(name, "DURATION", default, help).value_parser(|text: &str| match ValueType::Duration.parse(text)? {
        Value::Duration(Duration::ZERO) => Err("expected more than nothing".to_owned()),
        value => Ok(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, Surroundings, parse};

    fn shadow(arguments: &[&str]) -> Result<Shadow, CliError> {
        let line = ["ringress", "shadow"].iter().chain(arguments).map(std::ffi::OsString::from);
        match parse(line, &Surroundings::default())? {
            Command::Shadow(shadow) => Ok(*shadow),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_bounds_have_defaults_and_safe_methods_are_the_default() {
        let found = shadow(&["log", "--old=http://10.0.0.1", "--new", "https://[::1]:8443"]).unwrap();
        let Against::Peers(peers) = &found.against else { panic!("{found:?}") };
        assert_eq!(peers.old, Peer { https: false, host: "10.0.0.1".into(), port: 80 });
        assert_eq!(peers.new, Peer { https: true, host: "::1".into(), port: 8443 });
        assert_eq!((peers.all_methods, peers.rate, peers.in_flight_max), (false, 50, 4));
        assert_eq!((peers.timeout, found.time_max), (Duration::from_secs(10), Duration::from_secs(600)));
    }

    #[test]
    fn there_is_one_way_to_compare_and_a_wrong_value_names_its_flag() {
        assert!(matches!(shadow(&["log", "--source=dir:x"]).unwrap().against, Against::Explanations(_)));
        let error = shadow(&["log"]).unwrap_err().to_string();
        assert_eq!(error, "--old: expected --old and --new, or --source or --admin to compare with");
        for (arguments, named) in [
            (&["log", "--old=http://a"] as &[&str], "--new"),
            (&["log", "--old=http://a", "--new=ftp://a"], "--new"),
            (&["log", "--old=http://a/x", "--new=http://a"], "--old"),
            (&["log", "--old=http://a", "--new=http://b", "--source=dir:x"], "--source"),
            (&["log", "--old=http://a", "--new=http://b", "--rate=0"], "--rate"),
            (&["log", "--old=http://a", "--new=http://b", "--concurrency=0"], "--concurrency"),
            (&["log", "--old=http://a", "--new=http://b", "--timeout=0s"], "--timeout"),
            (&["log", "--old=http://a", "--new=http://b", "--header=a b"], "--header"),
            (&[], "REQUESTS"),
        ] {
            let error = shadow(arguments).unwrap_err().to_string();
            assert!(error.contains(named), "{arguments:?}: {error}");
        }
    }
}
