//! The proxies under test as programs: each is configured for one worker, started on one CPU, found ready, measured
//! by its processes, and ended when dropped.

mod haproxy;
mod nginx;
mod ringress;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    Nginx,
    Haproxy,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ringress => "ringress",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Whether the program can be started here.
    pub(crate) fn installed(self, ringress: &Path) -> bool {
        match self {
            Self::Ringress => ringress.exists(),
            Self::Nginx => runs("nginx", "-v"),
            Self::Haproxy => runs("haproxy", "-v"),
        }
    }
}

fn runs(program: &str, flag: &str) -> bool {
    Command::new(program).arg(flag).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
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
    /// Starts the program in front of `origin` on `cpu` and waits for its first good answer.
    pub(crate) fn start(kind: Kind, origin: SocketAddr, cpu: usize, ringress: &Path) -> Result<Self, Error> {
        let folder = tempfile::tempdir().context(|| "make a folder".into())?;
        let (http, https) = (free_address()?, free_address()?);
        let site = Site { folder: folder.path(), origin, http, https, cpu };
        let command = match kind {
            Kind::Ringress => ringress::command(ringress, &site)?,
            Kind::Nginx => nginx::command(&site)?,
            Kind::Haproxy => haproxy::command(&site)?,
        };
        let process = Process::start(kind.name(), command, folder, Some(cpu))?;
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
    origin: SocketAddr,
    http: SocketAddr,
    https: SocketAddr,
    cpu: usize,
}

impl Site<'_> {
    fn write(&self, name: &str, content: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        fs::write(&path, content).context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// A certificate for [`HOST`] and its key, PEM, ECDSA P-256; the same kind for all peers.
struct Identity {
    certificate: String,
    key: String,
}

impl Identity {
    fn new() -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()])
            .map_err(|error| Error::program("certificate", error.to_string()))?;
        Ok(Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }
}

/// A started program with its folder and its output; ended, and the folder removed, when dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts `command`, on `cpu` only when one is given; its output goes to `log` in `folder`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        folder: TempDir,
        cpu: Option<usize>,
    ) -> Result<Self, Error> {
        let log = File::create(folder.path().join("log")).context(|| "make a log file".into())?;
        let errors = log.try_clone().context(|| "make a log file".into())?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let spawn = move || {
            cpu.map_or(Ok(()), usage::pin)?;
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
    Ok((start_origin_at(address, Some(cpu), false)?, address))
}

/// The own origin on all addresses of 127.0.0.0/8; returns it with its port.
pub(crate) fn start_origin_everywhere(cpu: Option<usize>) -> Result<(Process, u16), Error> {
    let address = free_address()?;
    Ok((start_origin_at(address, cpu, true)?, address.port()))
}

fn start_origin_at(address: SocketAddr, cpu: Option<usize>, everywhere: bool) -> Result<Process, Error> {
    let folder = tempfile::tempdir().context(|| "make a folder".into())?;
    let own = std::env::current_exe().context(|| "find the own binary".into())?;
    let mut command = Command::new(own);
    command.args(["origin", "--listen", &address.to_string()]);
    if everywhere {
        command.arg("--all-of-loopback");
    }
    let process = Process::start("origin", command, folder, cpu)?;
    let target = Target::plain(address, HOST);
    process.wait_until("answer", || probe::answers_200(&target, "/"))?;
    Ok(process)
}
