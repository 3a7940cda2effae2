//! The built binary as a process: started on a folder of manifests, found ready, ended with the test.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::client::{self, Response};
use super::{PATIENCE, within};

/// Files in the folder of an instance.
const CONTROL: &str = "control.sock";
const CONFIG: &str = "ringress.yaml";

/// Start-up in an unoptimised build on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test: `RINGRESS_BIN`, else the one built with the tests.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("RINGRESS_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ringress").into(), PathBuf::from)
}

/// How the workers wait for sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    IoUring,
    Epoll,
}

impl Driver {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Runs a test on the driver that `RINGRESS_DRIVER` names, else on every driver that this kernel allows.
pub(crate) fn on_each_driver(test: impl Fn(Driver)) {
    let named = std::env::var("RINGRESS_DRIVER").ok();
    for driver in [Driver::IoUring, Driver::Epoll] {
        if named.as_deref().is_some_and(|named| named != driver.name()) {
            continue;
        }
        if driver == Driver::IoUring && named.is_none() && !monoio::utils::detect_uring() {
            println!("this kernel or sandbox refuses io_uring: tested on epoll only");
            continue;
        }
        println!("driver {}", driver.name());
        test(driver);
    }
}

/// A loopback address that nobody else in any test uses, so that ports cannot meet.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // Test programs run side by side; the process id keeps them apart.
    let [_, _, _, process] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + (process & 0x7f), low, 1 + high)
}

/// A port that the system gives to nobody else while this lives. Connections to it are refused, until somebody listens
/// there who allows for addresses in use (`SO_REUSEADDR`), as every server does.
///
/// It is never listened on here: a child that another test starts just then has a copy of every socket until it runs its
/// own program, and a copy that listens keeps the port from whom it is for.
pub(crate) struct HeldPort {
    pub(crate) address: SocketAddr,
    _socket: Socket,
}

impl HeldPort {
    pub(crate) fn of(address: Ipv4Addr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option");
        socket.bind(&SocketAddr::from((address, 0)).into()).expect("a free port");
        let address = socket.local_addr().expect("its address").as_socket().expect("an IP address");
        Self { address, _socket: socket }
    }
}

/// Flags, environment and manifests of an instance to be started.
pub(crate) struct Builder {
    driver: &'static str,
    workers: usize,
    flags: Vec<String>,
    manifests: Vec<(String, String)>,
    launcher: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    listener: Option<TcpListener>,
    own_copy: bool,
    config: Option<String>,
    kube: Option<String>,
}

impl Builder {
    pub(crate) fn driver(mut self, driver: &'static str) -> Self {
        self.driver = driver;
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub(crate) fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Started by these words, followed by the binary and its arguments.
    pub(crate) fn through(mut self, launcher: &[&str]) -> Self {
        self.launcher = launcher.iter().map(OsString::from).collect();
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Passes a listening socket by a name, as a service manager does.
    pub(crate) fn passing(mut self, listener: &TcpListener, name: &str) -> Self {
        const PASS: &str = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@""#;
        self.listener = Some(listener.try_clone().expect("a copy of the socket"));
        self.through(&["sh", "-c", PASS, "sh"]).env("LISTEN_FDNAMES", name)
    }

    /// Runs a copy of the binary, which may be replaced: see [`Ringress::install`].
    pub(crate) fn own_copy(mut self) -> Self {
        self.own_copy = true;
        self
    }

    /// A `--config` file, in place of the flags for workers and port of https: see [`Ringress::configure`].
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Objects come from an API server, not from manifests.
    pub(crate) fn kube(mut self, url: &str) -> Self {
        self.kube = Some(url.to_owned());
        self
    }

    /// A file that is there before the start.
    pub(crate) fn manifest(mut self, name: &str, content: impl Into<String>) -> Self {
        self.manifests.push((name.to_owned(), content.into()));
        self
    }

    /// Starts the instance and waits until it is ready.
    pub(crate) fn start(self) -> Ringress {
        let instance = self.launch();
        instance.wait_ready();
        instance
    }

    /// Starts the instance without waiting.
    pub(crate) fn launch(self) -> Ringress {
        let folder = tempfile::tempdir().expect("a folder");
        let manifests = folder.path().join("manifests");
        fs::create_dir(&manifests).expect("a folder for manifests");
        for (name, content) in &self.manifests {
            fs::write(manifests.join(name), content).expect("a manifest");
        }
        let address = own_address();
        let ports = [(); 4].map(|()| HeldPort::of(address));
        let [http, https, health, admin] = ports.each_ref().map(|port| port.address);
        let mut words = self.launcher;
        let mut program = binary();
        if self.own_copy {
            program = folder.path().join("ringress");
            let copied = fs::hard_link(binary(), &program).or_else(|_| fs::copy(binary(), &program).map(drop));
            copied.expect("a copy of the binary");
        }
        words.push(program.into());
        let mut command = Command::new(words.remove(0));
        command.args(words);
        command
            .arg("run")
            .args(source(&manifests, self.kube.as_deref()))
            .arg(format!("--listen-address={address}"))
            .arg(format!("--http-port={}", http.port()))
            .arg(format!("--healthz-host={address}"))
            .arg(format!("--healthz-port={}", health.port()))
            .arg(format!("--admin-address={admin}"))
            .arg(format!("--state-dir={}", folder.path().join("state").display()))
            .arg(format!("--control-socket={}", folder.path().join(CONTROL).display()))
            .arg(format!("--driver={}", self.driver))
            .args(&self.flags)
            .envs(self.environment);
        match self.config {
            None => {
                command.arg(format!("--workers={}", self.workers)).arg(format!("--https-port={}", https.port()));
            }
            Some(text) => {
                configure(&folder, https, &text);
                command.arg(format!("--config={}", folder.path().join(CONFIG).display()));
            }
        }
        let input = self.listener.map_or_else(Stdio::null, |listener| Stdio::from(OwnedFd::from(listener)));
        let child = spawn_with(&mut command, input, &folder.path().join("log"));
        Ringress {
            command,
            child,
            successor: Cell::new(None),
            folder,
            manifests,
            http,
            https,
            health,
            admin,
            _ports: ports,
        }
    }
}

/// Where objects come from.
fn source(manifests: &Path, kube: Option<&str>) -> Vec<String> {
    match kube {
        // The server is named by other flags.
        Some("") => vec!["--source=kube".to_owned()],
        Some(url) => vec!["--source=kube".to_owned(), format!("--apiserver-host={url}")],
        None => vec![format!("--source=dir:{}", manifests.display())],
    }
}

/// Starts a command with its output in `log`.
pub(crate) fn spawn(mut command: Command, log: &Path) -> Child {
    spawn_with(&mut command, Stdio::null(), log)
}

fn spawn_with(command: &mut Command, input: Stdio, log: &Path) -> Child {
    let output = File::create(log).expect("a log file");
    let errors = output.try_clone().expect("a log file");
    command.stdin(input).stdout(output).stderr(errors).spawn().expect("start ringress")
}

/// A running ringress.
pub(crate) struct Ringress {
    /// How it was started.
    command: Command,
    child: Child,
    /// The process that serves, after an upgrade.
    successor: Cell<Option<Pid>>,
    folder: TempDir,
    manifests: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) health: SocketAddr,
    pub(crate) admin: SocketAddr,
    _ports: [HeldPort; 4],
}

impl Ringress {
    pub(crate) fn on(driver: Driver) -> Builder {
        Builder {
            driver: driver.name(),
            workers: 2,
            flags: Vec::new(),
            manifests: Vec::new(),
            launcher: Vec::new(),
            environment: Vec::new(),
            listener: None,
            own_copy: false,
            config: None,
            kube: None,
        }
    }

    /// The process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.process().as_raw_nonzero().get().unsigned_abs()
    }

    /// Where its manifests are.
    pub(crate) fn manifests(&self) -> &Path {
        &self.manifests
    }

    /// Writes a manifest in one step, as a careful tool would.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let part = self.folder.path().join("part");
        fs::write(&part, content).expect("write a manifest");
        fs::rename(&part, self.manifests.join(name)).expect("put a manifest in place");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.manifests.join(name)).expect("remove a manifest");
    }

    /// [`Self::write`], then [`Self::sync`].
    pub(crate) fn apply(&self, name: &str, content: impl AsRef<[u8]>) {
        self.write(name, content);
        self.sync();
    }

    /// Returns when all that is in the folder now is served by every worker.
    pub(crate) fn sync(&self) {
        let answer = client::once(self.admin, "POST", "localhost", "/api/sync");
        assert_eq!(answer.status, 200, "POST /api/sync: {}", answer.text());
    }

    pub(crate) fn status(&self) -> Value {
        self.api("/api/status")
    }

    /// A GET on the admin address that must answer JSON.
    pub(crate) fn api(&self, path: &str) -> Value {
        let answer = client::once(self.admin, "GET", "localhost", path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.text()))
    }

    /// A GET on a connection of its own to the http listener.
    pub(crate) fn get(&self, host: &str, target: &str) -> Response {
        client::once(self.http, "GET", host, target)
    }

    /// The page of metrics.
    pub(crate) fn metrics(&self) -> String {
        client::once(self.health, "GET", "localhost", "/metrics").text()
    }

    /// The sum of a metric over all its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.metrics();
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let value = |line: &str| line.rsplit_once(' ').map_or(0.0, |(_, value)| value.parse().expect("a number"));
        page.lines().filter(of_it).map(value).sum()
    }

    /// Its output so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }

    /// Waits for a line with this text: what a counter says already may still be on its way to the log.
    pub(crate) fn wait_logged(&self, text: &str) {
        assert!(within(PATIENCE, || self.log().contains(text)), "no line with {text:?}; its log:\n{}", self.log());
    }

    pub(crate) fn wait_ready(&self) {
        let ready = || client::try_once(self.health, "GET", "localhost", "/readyz").is_ok_and(|r| r.status == 200);
        assert!(within(START_PATIENCE, ready), "not ready within {START_PATIENCE:?}; its log:\n{}", self.log());
    }

    /// `ringress upgrade`; what it says when there is no upgrade.
    pub(crate) fn upgrade(&self) -> Result<(), String> {
        // What an upgrade leaves behind is a process of the test then, which can be waited for.
        set_child_subreaper(Some(rustix::process::getpid())).expect("become a reaper");
        let (code, output, errors) = ask_for_upgrade(&self.control_socket());
        if code != Some(0) {
            return Err(errors);
        }
        let number = output.strip_prefix("process ").and_then(|rest| rest.split(' ').next());
        self.succeeded_by(number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{output}")));
        Ok(())
    }

    /// Ends the process that serves without a last word.
    pub(crate) fn kill(&mut self) {
        let successor = self.successor.take();
        successor.iter().for_each(|successor| kill_process(*successor, Signal::KILL).expect("it ran"));
        let _may_have_ended = self.child.kill();
        self.child.wait().expect("it is a child");
        // It is a child of this process only now that its own parent is gone.
        let gone = |successor| !matches!(waitpid(Some(successor), WaitOptions::NOHANG), Ok(None));
        assert!(successor.is_none_or(|successor| within(PATIENCE, || gone(successor))), "it is gone");
    }

    /// Starts it again as it was started, after [`kill`](Self::kill).
    pub(crate) fn start_again(&mut self) {
        self.child = spawn_with(&mut self.command, Stdio::null(), &self.folder.path().join("log"));
        self.wait_ready();
    }

    /// Another process serves now.
    pub(crate) fn succeeded_by(&self, number: i32) {
        self.successor.set(Pid::from_raw(number));
    }

    /// Puts another program in the place of the running one; for one with [`Builder::own_copy`].
    pub(crate) fn install(&self, program: Option<&str>) {
        let (new, path) = (self.folder.path().join("new"), self.folder.path().join("ringress"));
        match program {
            Some(script) => {
                fs::write(&new, script).expect("a program");
                fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("make it one");
            }
            None => fs::hard_link(binary(), &new).or_else(|_| fs::copy(binary(), &new).map(drop)).expect("a copy"),
        }
        fs::rename(new, path).expect("put it in place");
    }

    /// Writes the `--config` file; for one with [`Builder::config`].
    pub(crate) fn configure(&self, text: &str) {
        configure(&self.folder, self.https, text);
    }

    /// What is kept for a start without the API server.
    pub(crate) fn saved_state(&self) -> Option<String> {
        fs::read_to_string(self.folder.path().join("state/last-known-good.jsonl")).ok()
    }

    /// The control socket.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.folder.path().join(CONTROL)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).expect("send a signal");
    }

    /// How the first process ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("look at the process")
    }

    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("ringress ended: {status}; its log:\n{}", self.log());
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }

    fn process(&self) -> Pid {
        self.successor.get().unwrap_or_else(|| Pid::from_child(&self.child))
    }

    /// Ends a successor; it is waited for where it is a child of this process by now.
    fn stop_successor(&self) {
        let Some(successor) = self.successor.take() else { return };
        for signal in [Signal::TERM, Signal::TERM, Signal::KILL] {
            let gone = || {
                kill_process(successor, signal).is_err()
                    || matches!(waitpid(Some(successor), WaitOptions::NOHANG), Ok(Some(_)))
            };
            if within(Duration::from_secs(1), gone) {
                return;
            }
        }
    }
}

impl Drop for Ringress {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log of {}\n{}", self.http, self.log());
        }
        self.stop_successor();
        stop(&mut self.child);
    }
}

/// `ringress upgrade`: exit code, standard output and standard error.
pub(crate) fn ask_for_upgrade(socket: &Path) -> (Option<i32>, String, String) {
    run(["upgrade".to_owned(), format!("--control-socket={}", socket.display())])
}

/// Writes a `--config` file, with the port of https unless it names one.
fn configure(folder: &TempDir, https: SocketAddr, text: &str) {
    let port = if text.contains("https-port") { String::new() } else { format!("https-port: {}\n", https.port()) };
    fs::write(folder.path().join(CONFIG), format!("{port}{text}")).expect("a configuration");
}

/// Ends a process: SIGTERM twice (the second one skips the drain), then by force.
pub(crate) fn stop(child: &mut Child) {
    let pid = Pid::from_child(child);
    for patience in [Duration::from_millis(20), PATIENCE] {
        if matches!(child.try_wait(), Ok(Some(_))) || kill_process(pid, Signal::TERM).is_err() {
            break;
        }
        if within(patience, || matches!(child.try_wait(), Ok(Some(_)))) {
            return;
        }
    }
    let _already_ended = child.kill();
    let _already_ended = child.wait();
}

/// One run of the binary to its end: exit code, standard output and standard error.
pub(crate) fn run<I: Into<OsString>>(arguments: impl IntoIterator<Item = I>) -> (Option<i32>, String, String) {
    let output = Command::new(binary())
        .args(arguments.into_iter().map(Into::into))
        .stdin(Stdio::null())
        .output()
        .expect("run ringress");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 output");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_held_port_refuses_connections_until_somebody_listens_there() {
    let port = HeldPort::of(own_address());
    assert!(std::net::TcpStream::connect(port.address).is_err(), "nobody listens");
    let _listener = TcpListener::bind(port.address).expect("it may be listened on while it is held");
    std::net::TcpStream::connect(port.address).expect("somebody listens");
}

/// Memory of a process.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its /proc entry");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}
