//! The proxies under test as programs: each is configured for one worker, started on one CPU, found ready, measured
//! by its processes, and ended when dropped.

mod caddy;
mod envoy;
mod haproxy;
mod nginx;
mod pingora;
mod ringress;
mod traefik;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, RsaKeySize};
use tempfile::TempDir;

use crate::error::{Context, Error};
use crate::load::Target;
use crate::{probe, usage};

pub(crate) use self::ringress::{Instance, Settings, Source, ingress, service, write_manifest};

/// The Host of every request, and the name in the certificate.
pub(crate) const HOST: &str = "bench.test";
const START_WAIT: Duration = Duration::from_secs(20);
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Ringress,
    /// With two workers, the second on the CPU of load and origin: for what sharing costs, not for a rate.
    #[value(name = "ringress-2-workers")]
    RingressTwo,
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
    Caddy,
    Pingora,
}

impl Kind {
    /// All of them, in the order of tables.
    pub(crate) const ALL: [Self; 8] = [
        Self::Ringress,
        Self::RingressTwo,
        Self::Nginx,
        Self::Haproxy,
        Self::Envoy,
        Self::Traefik,
        Self::Caddy,
        Self::Pingora,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ringress => "ringress",
            Self::RingressTwo => "ringress-2-workers",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::Pingora => "pingora",
        }
    }

    /// The program: where `make peers` lays it, else wherever the system finds it.
    pub(crate) fn program(self, ringress: &Path) -> PathBuf {
        match self {
            Self::Ringress | Self::RingressTwo => ringress.to_owned(),
            Self::Pingora => PathBuf::from("bench/peers/pingora/target/release/pingora-peer"),
            other => {
                let laid = Path::new(PEERS).join(other.name());
                if laid.exists() { laid } else { PathBuf::from(other.name()) }
            }
        }
    }

    /// Whether the program can be started here.
    pub(crate) fn installed(self, ringress: &Path) -> bool {
        let program = self.program(ringress);
        match self {
            Self::Ringress | Self::RingressTwo | Self::Pingora => program.exists(),
            Self::Nginx | Self::Haproxy => runs(&program, "-v"),
            Self::Envoy => runs(&program, "--version"),
            Self::Traefik | Self::Caddy => runs(&program, "version"),
        }
    }

    /// What the program says that it is, on one line.
    pub(crate) fn version(self, ringress: &Path) -> String {
        let flag = match self {
            Self::Nginx | Self::Haproxy => "-v",
            Self::Traefik | Self::Caddy => "version",
            _ => "--version",
        };
        let Ok(output) = Command::new(self.program(ringress)).arg(flag).output() else { return String::new() };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let line = line.replace("nginx version: ", "").replace("Version:", "Traefik");
        // HAProxy and Envoy go on with where and how it was built.
        let words: Vec<&str> = line.split_whitespace().collect();
        match self {
            Self::Haproxy => words[..words.len().min(3)].join(" "),
            Self::Envoy => {
                let build = line.rsplit(' ').next().unwrap_or_default();
                format!("Envoy {}", build.split('/').nth(1).unwrap_or(build))
            }
            Self::Caddy => format!("Caddy {}", words.first().unwrap_or(&"")),
            _ => words.join(" "),
        }
    }
}

/// Where `make peers` lays programs.
const PEERS: &str = "target/tools/peers";

fn runs(program: &Path, flag: &str) -> bool {
    Command::new(program).arg(flag).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What the proxies of a comparison have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) ringress: &'a Path,
    pub(crate) origin: SocketAddr,
    pub(crate) setup: Setup,
    /// The CPU of the proxies, and that of a second worker.
    pub(crate) cpus: [usize; 2],
}

impl<'a> Ground<'a> {
    /// In front of HTTP, with an ECDSA key.
    pub(crate) fn new(ringress: &'a Path, origin: SocketAddr, cpus: [usize; 2]) -> Self {
        Self { ringress, origin, setup: Setup::default(), cpus }
    }
}

/// What a scenario wants of the proxies' configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// A certificate with an RSA-2048 key instead of ECDSA P-256.
    pub(crate) rsa: bool,
    /// The origin speaks WebSocket.
    pub(crate) websocket: bool,
}

/// A running proxy.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// The processes whose CPU time and memory are counted.
    pub(crate) pids: Vec<u32>,
    process: Process,
}

impl Peer {
    /// Starts the program on its CPU and waits for its first good answer.
    pub(crate) fn start(kind: Kind, ground: &Ground<'_>) -> Result<Self, Error> {
        let folder = tempfile::tempdir().context(|| "make a folder".into())?;
        let (http, https) = (free_address()?, free_address()?);
        let cpus = if kind == Kind::RingressTwo { &ground.cpus[..] } else { &ground.cpus[..1] };
        let identity = Identity::new(ground.setup.rsa)?;
        let Ground { origin, setup, .. } = *ground;
        let program = kind.program(ground.ringress);
        let site = Site { folder: folder.path(), program: &program, origin, http, https, cpus, identity, setup };
        let command = match kind {
            Kind::Ringress | Kind::RingressTwo => ringress::command(&site)?,
            Kind::Nginx => nginx::command(&site)?,
            Kind::Haproxy => haproxy::command(&site)?,
            Kind::Envoy => envoy::command(&site)?,
            Kind::Traefik => traefik::command(&site)?,
            Kind::Caddy => caddy::command(&site)?,
            Kind::Pingora => pingora::command(&site)?,
        };
        let process = Process::start(kind.name(), command, folder, cpus)?;
        let target = Target::plain(http, HOST);
        process.wait_until("answer", || probe::answers_200(&target, "/"))?;
        let mut pids = vec![process.id()];
        pids.extend(usage::children(process.id())?);
        Ok(Self { kind, http, https, pids, process })
    }

    /// Fails when the program has ended meanwhile.
    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        self.process.check_alive()
    }
}

/// What a configuration needs to know.
struct Site<'a> {
    folder: &'a Path,
    program: &'a Path,
    origin: SocketAddr,
    http: SocketAddr,
    https: SocketAddr,
    /// One for each worker.
    cpus: &'a [usize],
    identity: Identity,
    setup: Setup,
}

impl Site<'_> {
    fn write(&self, name: &str, content: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        fs::write(&path, content).context(|| path.display().to_string())?;
        Ok(path)
    }

    /// The files of certificate and key.
    fn identity(&self) -> Result<(PathBuf, PathBuf), Error> {
        Ok((self.write("tls.crt", &self.identity.certificate)?, self.write("tls.key", &self.identity.key)?))
    }
}

/// A path as YAML and the like take it.
fn in_quotes(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// A certificate for [`HOST`] and its key, PEM; the same kind for all peers.
struct Identity {
    certificate: String,
    key: String,
}

impl Identity {
    fn new(rsa: bool) -> Result<Self, Error> {
        let make = || {
            let key = match rsa {
                true => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?,
                false => KeyPair::generate()?,
            };
            let certificate = CertificateParams::new([HOST.to_owned()])?.self_signed(&key)?;
            Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
        };
        make().map_err(|error: rcgen::Error| Error::program("certificate", error.to_string()))
    }
}

/// A started program with its folder and its output; ended, and the folder removed, when dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts `command` on these CPUs, on any when there are none; its output goes to `log` in `folder`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        folder: TempDir,
        cpus: &[usize],
    ) -> Result<Self, Error> {
        let cpus = cpus.to_owned();
        let log = File::create(folder.path().join("log")).context(|| "make a log file".into())?;
        let errors = log.try_clone().context(|| "make a log file".into())?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let spawn = move || {
            if !cpus.is_empty() {
                usage::pin(&cpus)?;
            }
            command.spawn().context(|| format!("start {name}"))
        };
        // From a thread of its own, as a child takes over the CPUs of the thread that starts it.
        let child = std::thread::spawn(spawn).join().map_err(|_| Error::program(name, "start panicked"))??;
        Ok(Self { name, child, folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Polls until `condition` holds; fails with the program's last words when it does not in time.
    pub(crate) fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) -> Result<(), Error> {
        if probe::poll(START_WAIT, condition) {
            return Ok(());
        }
        Err(Error::program(self.name, format!("did not {what} within {START_WAIT:?}; its log ends:\n{}", self.log())))
    }

    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        match self.child.try_wait().context(|| format!("look at {}", self.name))? {
            None => Ok(()),
            Some(status) => Err(Error::program(self.name, format!("ended: {status}; its log ends:\n{}", self.log()))),
        }
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) else { return };
        // Twice: to ringress the second one means "at once"; a program that has ended takes neither.
        for _ in 0..2 {
            let _already_ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            if probe::poll(STOP_WAIT / 20, || matches!(self.child.try_wait(), Ok(Some(_)))) {
                return;
            }
        }
        if !probe::poll(STOP_WAIT, || matches!(self.child.try_wait(), Ok(Some(_)))) {
            let _already_ended = self.child.kill();
            let _already_ended = self.child.wait();
        }
    }
}

/// An address of this process with a port that nobody listens on just now.
///
/// On 127.0.0.1, where every client's own end is, the port could be taken by a connection before its listener starts.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 192 | (high & 0x3f), low, 1);
    let listener = TcpListener::bind((own, 0)).context(|| "find a free port".into())?;
    listener.local_addr().context(|| "find a free port".into())
}

/// The own origin as a process on `cpu`; returns it with its address.
pub(crate) fn start_origin(cpu: usize) -> Result<(Process, SocketAddr), Error> {
    let address = free_address()?;
    Ok((start_origin_at(address, &[cpu], None)?, address))
}

/// An origin that speaks WebSocket: it sends every message back.
pub(crate) fn start_websocket_origin(cpu: usize) -> Result<(Process, SocketAddr), Error> {
    let address = free_address()?;
    Ok((start_origin_at(address, &[cpu], Some("--websocket"))?, address))
}

/// The own origin on all addresses of 127.0.0.0/8; returns it with its port.
pub(crate) fn start_origin_everywhere(cpus: &[usize]) -> Result<(Process, u16), Error> {
    let address = free_address()?;
    Ok((start_origin_at(address, cpus, Some("--all-of-loopback"))?, address.port()))
}

fn start_origin_at(address: SocketAddr, cpus: &[usize], flag: Option<&str>) -> Result<Process, Error> {
    let folder = tempfile::tempdir().context(|| "make a folder".into())?;
    let own = std::env::current_exe().context(|| "find the own binary".into())?;
    let mut command = Command::new(own);
    command.args(["origin", "--listen", &address.to_string()]).args(flag);
    let process = Process::start("origin", command, folder, cpus)?;
    let target = Target::plain(address, HOST);
    process.wait_until("answer", || probe::answers_200(&target, "/"))?;
    Ok(process)
}
