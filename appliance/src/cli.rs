//! The commands of `ringress` and their flags, parsed into typed settings. Nothing is started here.

mod cluster;
mod control;
mod file;
mod flag;
mod layers;
#[cfg(test)]
mod manual;
mod migration;
mod nginx_flags;
mod own_flags;
#[cfg(test)]
mod reference;
mod settings;
mod shadow;
mod top;
mod upstreams;
mod value;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};

pub use cluster::{IngressStatus, Webhook, WebhookCertificate, WriteBack};
pub use control::{ControlAddress, Upgrade, UpgradeSettings};
pub use layers::{Said, Surroundings};
pub use migration::{FlagUse, Report, ReportOutput, ReportSource};
pub use settings::{
    AccessLogForm, AccessLogTarget, AdminAddress, Health, HttpListeners, Kube, LogFormat, LogLevel, LogSettings,
    RunSettings, Shutdown, Source, WorkerCores,
};
pub use shadow::{Against, Peer, Peers, Shadow};
pub use top::Top;

use flag::Flag;
use layers::{Layers, Values};
use nginx_flags::{KLOG_FLAGS, NGINX_FLAGS};
use own_flags::OWN_FLAGS;
use value::{Value, ValueType};

/// What the process was asked to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<RunSettings>),
    /// Serve the embedded example.
    Demo(Demo),
    /// Read manifests and print findings.
    Check(Box<Check>),
    /// Say where a request would go.
    Explain(Explain),
    /// Compare with ingress-nginx.
    Report(Box<Report>),
    /// Hold recorded requests against two controllers.
    Shadow(Box<Shadow>),
    /// Have the running process replaced by what is installed now.
    Upgrade(Upgrade),
    /// Show the traffic of a running instance.
    Top(Top),
    /// Print version and make.
    Version,
}

/// `ringress demo`.
#[derive(Debug)]
pub struct Demo {
    /// Serve the `networking.k8s.io/v1` form of the manifests.
    pub v1: bool,
    /// How to run; source and ports are filled in by the demo.
    pub settings: Box<RunSettings>,
}

/// Where the demo listens unless told otherwise: ports that need no root.
const DEMO_HTTP_PORT: u16 = 8080;
/// See [`DEMO_HTTP_PORT`].
const DEMO_HTTPS_PORT: u16 = 8443;

/// How a command prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// `ringress check`.
#[derive(Debug)]
pub struct Check {
    /// Files, folders, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// How to print.
    pub output: Output,
    /// The options under which the manifests are read.
    pub options: ringress_config::options::Options,
}

/// `ringress explain`.
#[derive(Debug)]
pub struct Explain {
    /// `http://host/path` or `https://host/path`.
    pub url: String,
    /// Request method.
    pub method: String,
    /// `Name: value`.
    pub headers: Vec<String>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// Where the routes come from.
    pub from: ExplainFrom,
    /// How to print.
    pub output: Output,
}

/// Where `explain` gets the routes from.
#[derive(Debug)]
pub enum ExplainFrom {
    /// A folder, read now, under these options.
    Folder(PathBuf, Box<ringress_config::options::Options>),
    /// A running instance.
    Admin(AdminAddress),
}

/// Why a command line is refused.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Unknown or malformed arguments, or a request for help; prints itself.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A bad environment variable.
    #[error("{name}: {message}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A `--config` file that cannot be used.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where there is one.
        message: String,
    },
    /// A value that parses but cannot be meant.
    #[error("--{flag}: {message}")]
    Setting {
        /// The flag at fault.
        flag: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl CliError {
    fn setting(flag: &'static str, message: impl Into<String>) -> Self {
        Self::Setting { flag, message: message.into() }
    }
}

/// Parses a command line (with the program's name first).
pub fn parse(arguments: impl IntoIterator<Item = OsString>, surroundings: &Surroundings) -> Result<Command, CliError> {
    let matches = command().try_get_matches_from(arguments)?;
    match matches.subcommand() {
        Some(("run", m)) if m.get_one("version") == Some(&Value::Bool(true)) => Ok(Command::Version),
        Some(("run", m)) => {
            let layers = Layers::merge(values(m, layers::all_flags()), surroundings)?;
            RunSettings::resolve(layers, surroundings).map(|s| Command::Run(Box::new(s)))
        }
        Some(("demo", m)) => demo(m, surroundings).map(Command::Demo),
        Some(("check", m)) => check(m).map(|check| Command::Check(Box::new(check))),
        Some(("explain", m)) => explain(m).map(Command::Explain),
        Some(("report", m)) => migration::report(m, surroundings).map(|report| Command::Report(Box::new(report))),
        Some(("shadow", m)) => shadow::shadow(m).map(|shadow| Command::Shadow(Box::new(shadow))),
        Some(("upgrade", m)) => control::upgrade(m, surroundings).map(Command::Upgrade),
        Some(("top", m)) => top::top(m).map(Command::Top),
        Some(("version", _)) => Ok(Command::Version),
        _ => unreachable!("clap demands one of the commands above"),
    }
}

fn demo(matches: &ArgMatches, surroundings: &Surroundings) -> Result<Demo, CliError> {
    // The demo reads no file of the machine it runs on.
    let surroundings = Surroundings { env: surroundings.env.clone(), default_config: None };
    let mut values = values(matches, demo_flags());
    values.entry("http-port").or_insert(Value::Port(DEMO_HTTP_PORT));
    values.entry("https-port").or_insert(Value::Port(DEMO_HTTPS_PORT));
    let layers = Layers::merge(values, &surroundings)?;
    let settings = RunSettings::resolve(layers, &surroundings)?;
    Ok(Demo { v1: matches.get_flag("v1"), settings: Box::new(settings) })
}

fn check(matches: &ArgMatches) -> Result<Check, CliError> {
    let paths = matches.get_many::<PathBuf>("path").into_iter().flatten().cloned().collect();
    Ok(Check { paths, output: output(matches), options: offline_options(matches)? })
}

fn explain(matches: &ArgMatches) -> Result<Explain, CliError> {
    let one = |name: &str| matches.get_one::<String>(name).cloned();
    Ok(Explain {
        url: one("url").unwrap_or_default(),
        method: one("method").unwrap_or_default(),
        headers: matches.get_many::<String>("header").into_iter().flatten().cloned().collect(),
        client_ip: matches.get_one::<IpAddr>("client-ip").copied(),
        from: explain_from(matches)?,
        output: output(matches),
    })
}

fn explain_from(matches: &ArgMatches) -> Result<ExplainFrom, CliError> {
    let one = |name: &str| matches.get_one::<String>(name).cloned();
    match (one("source"), one("admin")) {
        (Some(source), _) => match settings::source_folder(&source) {
            Some(path) => Ok(ExplainFrom::Folder(path, Box::new(offline_options(matches)?))),
            None => Err(CliError::setting("source", "expected dir:PATH; a cluster is asked through --admin")),
        },
        (None, admin) => {
            let address = admin.unwrap_or_else(|| settings::ADMIN_ADDRESS.to_owned());
            Ok(ExplainFrom::Admin(settings::admin_address("admin", &address)?))
        }
    }
}

/// The compile options of commands that read manifests without serving them: flags only, so that the result does not
/// depend on where it is run.
fn offline_options(matches: &ArgMatches) -> Result<ringress_config::options::Options, CliError> {
    let layers = Layers::merge(values(matches, NGINX_FLAGS.iter()), &Surroundings::default())?;
    // Files are read as a folder source reads them.
    Ok(ringress_config::options::Options { assume_class: true, ..settings::options(&layers)? })
}

fn output(matches: &ArgMatches) -> Output {
    match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => Output::Json,
        _ => Output::Text,
    }
}

/// What was given on the command line, by flag name.
fn values(matches: &ArgMatches, flags: impl Iterator<Item = &'static Flag>) -> Values {
    let mut values = Values::new();
    for flag in flags {
        let Some(mut given) = matches.get_many::<Value>(flag.name) else { continue };
        let value = match flag.value {
            ValueType::Repeated => Value::List(given.flat_map(items).cloned().collect()),
            _ => match given.next_back() {
                Some(value) => value.clone(),
                None => continue,
            },
        };
        values.insert(flag.name, value);
    }
    values
}

fn items(value: &Value) -> &[String] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn command() -> clap::Command {
    clap::Command::new("ringress")
        .about("A Kubernetes Ingress proxy: thread-per-core, io_uring, no reloads")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run_command())
        .subcommand(demo_command())
        .subcommand(check_command())
        .subcommand(explain_command())
        .subcommand(migration::report_command())
        .subcommand(shadow::shadow_command())
        .subcommand(control::upgrade_command())
        .subcommand(top::top_command())
        .subcommand(clap::Command::new("version").about("Print version, commit, driver and TLS provider"))
}

/// What signals do, for the manual.
const SIGNALS: &str = "\
Signals: SIGTERM and SIGINT drain, a second one ends at once. SIGHUP reads the --config file and all files of certificates anew: \
certificates, drain-timeout, shutdown-grace-period, post-shutdown-grace-period and upgrade-timeout take effect, other \
changed keys are named in the log and take `ringress upgrade`; a file with a fault changes nothing. SIGUSR1 opens log files \
anew. SIGUSR2 is `ringress upgrade`.";

fn run_command() -> clap::Command {
    clap::Command::new("run")
        .about("Serve the Ingresses of a cluster or of a folder")
        .after_help(SIGNALS)
        .args_override_self(true)
        .args(arguments(OWN_FLAGS.iter(), "Flags of ringress (each also as RINGRESS_… in the environment)"))
        .args(arguments(NGINX_FLAGS.iter(), "Flags of ingress-nginx"))
        .args(arguments(KLOG_FLAGS.iter(), "Flags of ingress-nginx' logger"))
}

/// The flags that make sense for a demo.
fn demo_flags() -> impl Iterator<Item = &'static Flag> {
    const NAMES: [&str; 9] = [
        "admin-address",
        "cpus",
        "driver",
        "healthz-port",
        "http-port",
        "https-port",
        "log-format",
        "log-level",
        "workers",
    ];
    layers::all_flags().filter(|flag| NAMES.contains(&flag.name))
}

fn demo_command() -> clap::Command {
    clap::Command::new("demo")
        .about("Serve an embedded example on loopback, with its own backends, and print what to try")
        .args_override_self(true)
        .arg(Arg::new("v1").long("v1").action(ArgAction::SetTrue).help("Serve the networking.k8s.io/v1 form"))
        .args(arguments(demo_flags(), "Flags of run"))
}

fn check_command() -> clap::Command {
    clap::Command::new("check")
        .about("Read manifests and print what would not be served as written")
        .long_about(
            "Read manifests and print what would not be served as written, one finding a line.\n\
             Exit code: 0 clean, 1 findings of severity error, 2 something could not be read.",
        )
        .args_override_self(true)
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .num_args(1..)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Files, folders, or - for standard input"),
        )
        .arg(output_argument())
        .args(arguments(NGINX_FLAGS.iter(), "Flags of ingress-nginx").map(|arg| arg.hide(true)))
}

fn explain_command() -> clap::Command {
    clap::Command::new("explain")
        .about("Say which Ingress, rule and backend serve a request, and why the others do not")
        .args_override_self(true)
        .arg(Arg::new("url").value_name("URL").required(true).help("http://host/path or https://host/path"))
        .arg(Arg::new("method").long("method").short('X').default_value("GET").help("Request method"))
        .arg(
            Arg::new("header")
                .long("header")
                .short('H')
                .action(ArgAction::Append)
                .value_name("NAME: VALUE")
                .help("A request header, repeatable"),
        )
        .arg(
            Arg::new("client-ip")
                .long("client-ip")
                .value_name("ADDRESS")
                .value_parser(clap::value_parser!(IpAddr))
                .help("The client's address"),
        )
        .arg(Arg::new("source").long("source").value_name("dir:PATH").help("Read the manifests of a folder"))
        .arg(
            Arg::new("admin")
                .long("admin")
                .value_name("ADDRESS")
                .conflicts_with("source")
                .help(format!("Ask a running instance [default: {}]", settings::ADMIN_ADDRESS)),
        )
        .arg(output_argument())
        .args(arguments(NGINX_FLAGS.iter(), "Flags of ingress-nginx").map(|arg| arg.hide(true)))
}

fn output_argument() -> Arg {
    Arg::new("output").long("output").value_parser(["text", "json"]).default_value("text").help("Form of the result")
}

fn arguments(flags: impl Iterator<Item = &'static Flag>, heading: &'static str) -> impl Iterator<Item = Arg> {
    flags.map(move |flag| argument(flag).help_heading(heading))
}

/// `--flag=value` and `--flag value`; booleans as in Go: `--flag` or `--flag=false`.
fn argument(flag: &'static Flag) -> Arg {
    let kind = flag.value;
    let default = if flag.default.is_empty() { String::new() } else { format!(" [default: {}]", flag.default) };
    let argument = Arg::new(flag.name)
        .long(flag.name)
        .help(format!("{}{default}", flag.doc))
        .value_name(kind.name())
        .value_parser(move |text: &str| kind.parse(text));
    match kind {
        ValueType::Bool => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        ValueType::Repeated => argument.action(ArgAction::Append),
        _ if flag.name == "v" => argument.short('v'),
        _ => argument,
    }
}

#[cfg(test)]
mod tests;
