//! The start-up story: command line → settings → log → workers → sync → admin → signals.
//!
//! The only file that knows `ringress_sync`; it hands what the other crate offers to this one as plain values.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ringress::access_log::AccessLog;
use ringress::admin::{
    Admin, AdminSettings, AdminSockets, ControlPlane, ControlStatus, Listeners, Phase, Reviews, Sources, SyncFuture,
    WorkerPlane,
};
use ringress::cli::{self, Command, HttpListeners, RunSettings, Source, Surroundings, WriteBack};
use ringress::demo::{Demo, Reached};
use ringress::handover::{Given, Inherited, Predecessor, Program};
use ringress::io::Driver;
use ringress::lifecycle::{self, Configuration, ControlSocket, End, Process, Succession};
use ringress::logging::Follower;
use ringress::ocsp::{self, Staples};
use ringress::trace::{self, SpanExporter};
use ringress::worker::{
    self, Gate, ListenAddress, ListenPlan, ListenerKind, ListenerStatus, Placement, StreamStatus, WorkerSettings,
    Workers,
};
use ringress::{check, explain, logging, memory, metrics, report, shadow, top, upgrade};
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, ObjectKey, ObjectRef};
use ringress_config::options::{FileCertificate, Options};
use ringress_config::snapshot::ListenAddresses;
use ringress_sync::{
    KubeSettings, PodIdentity, Publisher, ResolverSettings, SourceSettings, StatusAddresses, StatusSettings,
    SyncHandle, SyncSettings, WebhookAuthority, WebhookCertificate, WebhookSettings, WebhookSocket, WorkerLink,
    WriteSettings,
};

/// Gives memory back after a crowd of connections.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long `report` waits for a cluster to be read.
const REPORT_PATIENCE: Duration = Duration::from_secs(120);

type BoxError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let start = match Start::of_process() {
        Ok(start) => start,
        Err(error) => return fail(&error),
    };
    let command = match cli::parse(std::env::args_os(), &Surroundings::of_process()) {
        Ok(command) => command,
        Err(error) => {
            start.refuse(&error);
            match error {
                cli::CliError::Usage(message) => message.exit(),
                error => return fail(&error.into()),
            }
        }
    };
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return fail(&"a TLS provider was installed before main".into());
    }
    match command {
        Command::Run(settings) => finish(run(&settings, start, |_| {})),
        Command::Demo(demo) => finish(run_demo(demo, start)),
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Report(options) => report::run(&options, |kube| cluster(kube, &options.options)),
        Command::Shadow(options) => shadow::run(&options),
        Command::Upgrade(how) => match upgrade::run(&how) {
            Ok(process) => {
                println!("process {process} serves");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.into()),
        },
        Command::Top(options) => top::run(&options),
        Command::Version => {
            println!("{}", version());
            ExitCode::SUCCESS
        }
    }
}

/// What was there before this process.
struct Start {
    predecessor: Option<Predecessor>,
    inherited: Inherited,
    program: Program,
}

impl Start {
    fn of_process() -> Result<Self, BoxError> {
        let program = Program::of_process();
        Ok(match Predecessor::of_process()? {
            Some((predecessor, inherited)) => Self { predecessor: Some(predecessor), inherited, program },
            None => Self { predecessor: None, inherited: Inherited::from_service_manager()?, program },
        })
    }

    /// Tells the process before why this one will not take over.
    fn refuse(&self, error: &impl std::fmt::Display) {
        self.predecessor.iter().for_each(|predecessor| predecessor.refuse(&error.to_string()));
    }
}

fn fail(error: &BoxError) -> ExitCode {
    // Standard error may be closed; there is nobody else to tell.
    let _ = writeln!(io::stderr(), "ringress: {error}");
    ExitCode::FAILURE
}

fn finish(result: Result<End, BoxError>) -> ExitCode {
    match result {
        Ok(End::Drained | End::DrainTimeout | End::Replaced) => ExitCode::SUCCESS,
        // As a shell reports a process that the signal ended.
        Ok(End::Interrupted(signal)) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
        Ok(End::WorkersDied) => fail(&"all workers have ended".into()),
        Err(error) => fail(&error),
    }
}

fn version() -> String {
    let driver = match Driver::choose(ringress::io::DriverChoice::Auto) {
        Ok((driver, None)) => driver.to_string(),
        Ok((driver, Some(refused))) => format!("{driver} (io_uring: {refused})"),
        Err(error) => error.to_string(),
    };
    let (version, commit) = (env!("CARGO_PKG_VERSION"), option_env!("RINGRESS_COMMIT").unwrap_or("unknown"));
    format!("ringress {version}\ncommit {commit}\ndriver {driver}\ntls rustls with aws-lc-rs")
}

fn run_demo(demo: cli::Demo, start: Start) -> Result<End, BoxError> {
    let demo = Demo::prepare(demo)?;
    for message in &demo.moved {
        println!("{message}");
    }
    run(&demo.settings, start, |serving| {
        let listeners = serving.workers.listeners();
        let address = |kind| listeners.iter().find(|own| own.kind == kind).map(|own| own.address);
        if let (Some(http), Some(https)) = (address(ListenerKind::Http), address(ListenerKind::Https)) {
            print!("{}", demo.instructions(Reached { http, https, admin: serving.admin.as_deref() }));
        }
    })
}

/// What has been started, for whom it concerns once it is ready.
struct Serving {
    workers: Arc<worker::Control>,
    admin: Option<String>,
    sync: SyncHandle,
}

/// Serves until a signal, or until another process does.
fn run(settings: &RunSettings, start: Start, on_ready: impl Fn(&Serving)) -> Result<End, BoxError> {
    let Start { predecessor, inherited, program } = start;
    let gate = Gate::new(predecessor.is_none());
    let mut succession = Succession { predecessor, gate, program, control: None };
    let result = serve(settings, inherited, &mut succession, on_ready);
    if let (Err(error), Some(predecessor)) = (&result, &succession.predecessor) {
        predecessor.refuse(&error.to_string());
    }
    result
}

fn serve(
    settings: &RunSettings,
    mut inherited: Inherited,
    succession: &mut Succession,
    on_ready: impl Fn(&Serving),
) -> Result<End, BoxError> {
    let (runtime, asked) = own_runtime()?;
    let log = logging::start(settings.log)?;
    memory::without_huge_pages();
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let health = settings.health.port.map(|port| (settings.health.host, port));
    let listeners = Listeners::bind(health, &settings.admin, &mut inherited)?;
    let admin_sockets = listeners.copies()?;
    succession.control = control_socket(settings, &mut inherited)?;
    let admin_address = listeners.admin_address();

    let (driver, refused) = Driver::choose(settings.workers.driver)?;
    if let Some(refused) = refused {
        tracing::warn!(%refused, "io_uring is not available here, so epoll is used");
    }
    let placement = Placement::choose(settings.workers.count, &settings.workers.cpus)?;
    tracing::info!(workers = placement.workers(), placement = placement.reason(), %driver, "starting");
    let (core_metrics, reader) = metrics::channel(&settings.metrics, placement.workers());
    let listen = listen_plan(settings, &inherited);
    let options = Options { workers_started: NonZeroUsize::new(placement.workers()), ..settings.options.clone() };
    let access_log = AccessLog::start(&settings.access_log, settings.access_log_form)?;
    let outlet = access_log.as_ref().map(AccessLog::outlet);
    let staples = Staples::default();
    let (spans, spans_out) = trace::channel(placement.workers());
    let worker_settings = WorkerSettings {
        placement,
        driver,
        listen,
        metrics: core_metrics,
        access_log: outlet,
        staples: staples.clone(),
        spans,
        gate: succession.gate.clone(),
    };
    let webhook = webhook_socket(settings, succession, &mut inherited);
    let mut workers = worker::start(worker_settings, inherited)?;
    let _exporter = SpanExporter::start(spans_out, Arc::clone(&workers.current))?;

    let sync =
        ringress_sync::spawn(sync_settings(settings, options, webhook), publisher(&mut workers, log.follower.clone()))?;
    let sources = Sources {
        control: Arc::new(Control {
            sync: sync.clone(),
            current: Arc::clone(&workers.current),
            lease: lease(settings),
        }),
        workers: Arc::new(Cores::new(driver, &workers, settings.options.configmap.clone())),
        metrics: Arc::new(reader),
        phase: Arc::new(Phase::default()),
        staples: staples.clone(),
    };
    ocsp::start(Arc::clone(&sources.control), staples, settings.ocsp_allow_local)?;
    let admin = Admin::start(listeners, admin_settings(settings, succession), sources.clone())?;

    let serving = Serving { workers: workers.control(), admin: admin_address, sync: sync.clone() };
    let access_log = access_log.as_ref();
    let control = succession.control.as_ref();
    let running = Running { workers: &workers, serving, admin: &admin, admin_sockets, control, access_log, on_ready };
    let configuration = Configuration::of(settings);
    let end = runtime.block_on(lifecycle::run(&running, &sources, &configuration, succession, asked))?;
    // After a resignation nothing is unsaid that the successor says.
    sync.stop();
    drop(admin);
    Ok(end)
}

/// The runtime of the main thread, and what signals ask from its beginning on.
fn own_runtime() -> io::Result<(tokio::runtime::Runtime, lifecycle::Asked)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let within = runtime.enter();
    let asked = lifecycle::Asked::note()?;
    drop(within);
    Ok((runtime, asked))
}

fn admin_settings(settings: &RunSettings, succession: &Succession) -> AdminSettings {
    AdminSettings {
        health_path: settings.health.path.clone(),
        health_timeout: settings.health.timeout,
        gate: succession.gate.clone(),
    }
}

/// The process as the lifecycle sees it.
struct Running<'a, F> {
    workers: &'a Workers,
    serving: Serving,
    admin: &'a Admin,
    admin_sockets: AdminSockets,
    control: Option<&'a ControlSocket>,
    access_log: Option<&'a AccessLog>,
    on_ready: F,
}

impl<F: Fn(&Serving)> Process for Running<'_, F> {
    fn drain(&self) {
        self.serving.workers.drain();
    }

    fn ended(&self) -> bool {
        // The supervisor sends once, then goes.
        !matches!(self.workers.ended().try_recv(), Err(crossbeam_channel::TryRecvError::Empty))
    }

    fn reopen_logs(&self) {
        self.access_log.inspect(|log| log.reopen());
    }

    fn reread(&self, certificates: &[FileCertificate]) -> bool {
        self.serving.sync.reread(certificates)
    }

    fn open(&self) {
        self.serving.workers.open();
        self.set_owned(true);
    }

    async fn save(&self) {
        self.serving.sync.save().await;
    }

    fn give(&self) -> io::Result<Vec<Given>> {
        let mut sockets = self.serving.workers.give()?;
        sockets.extend(self.admin_sockets.give()?);
        sockets.extend(self.serving.sync.webhook_socket()?.map(Given::of_process));
        if let Some(control) = self.control {
            sockets.push(control.give()?);
        }
        Ok(sockets)
    }

    fn keep(&self) {
        self.serving.workers.keep();
    }

    fn hand_over(&self) {
        self.set_owned(false);
        self.admin.leave();
        self.serving.sync.resign();
        self.serving.workers.hand_over();
    }

    fn ready(&self) {
        tracing::info!(admin = self.serving.admin.as_deref().unwrap_or("off"), "ready");
        (self.on_ready)(&self.serving);
    }
}

impl<F> Running<'_, F> {
    fn set_owned(&self, owned: bool) {
        self.admin_sockets.set_owned(owned);
        self.control.iter().for_each(|control| control.set_owned(owned));
    }
}

/// The control socket. One that nobody asked for by name is done without when it cannot be had.
fn control_socket(settings: &RunSettings, inherited: &mut Inherited) -> Result<Option<ControlSocket>, BoxError> {
    let control = &settings.upgrade.control;
    let Some(path) = control.to_bind(settings.state_dir_or_default().as_deref()) else { return Ok(None) };
    match ControlSocket::bind(&path, inherited) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if control.is_demanded() => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "no control socket; SIGUSR2 upgrades all the same");
            Ok(None)
        }
    }
}

/// The addresses that are listened on.
fn listen_ips(listeners: &HttpListeners) -> Vec<IpAddr> {
    if !listeners.addresses.is_empty() {
        return listeners.addresses.clone();
    }
    let v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    let v4 = [IpAddr::from(Ipv4Addr::UNSPECIFIED)];
    v4.into_iter().chain(v6.then_some(IpAddr::from(Ipv6Addr::UNSPECIFIED))).collect()
}

/// Where is listened unless the ConfigMap says otherwise.
fn listen_plan(settings: &RunSettings, inherited: &Inherited) -> ListenPlan {
    let of_kind = |kind| inherited.passed(kind).into_iter().map(move |address| ListenAddress { kind, address });
    ListenPlan {
        ips: listen_ips(&settings.listeners),
        http_port: settings.listeners.http_port,
        https_port: settings.listeners.https_port,
        passed: [ListenerKind::Http, ListenerKind::Https].into_iter().flat_map(of_kind).collect(),
        awaits_config_map: settings.options.configmap.is_some(),
    }
}

/// Taken before the ports of services are: what nobody wants is closed with them.
fn webhook_socket(settings: &RunSettings, succession: &Succession, inherited: &mut Inherited) -> WebhookSocket {
    let listener = settings.webhook.as_ref().and_then(|webhook| inherited.take_listener(webhook.address));
    match listener {
        Some(listener) => WebhookSocket::Inherited(Arc::new(listener)),
        None if succession.predecessor.is_some() => WebhookSocket::Beside,
        None => WebhookSocket::Own,
    }
}

fn sync_settings(settings: &RunSettings, options: Options, socket: WebhookSocket) -> SyncSettings {
    let mut source = match &settings.source {
        Source::Folder(path) => SourceSettings::Dir(path.clone()),
        Source::Kube(kube) => SourceSettings::Kube(kube_settings(kube)),
    };
    let webhook = settings.webhook.as_ref().map(|webhook| WebhookSettings {
        address: webhook.address,
        socket,
        certificate: match webhook.certificate.clone() {
            cli::WebhookCertificate::Files(chain, key) => WebhookCertificate::Files { chain, key },
            cli::WebhookCertificate::Secret(secret, _) => WebhookCertificate::Secret(secret),
        },
    });
    let authority = match settings.webhook.as_ref().map(|webhook| webhook.certificate.clone()) {
        Some(cli::WebhookCertificate::Secret(secret, configuration)) => {
            Some(WebhookAuthority { secret, configuration })
        }
        Some(cli::WebhookCertificate::Files(..)) | None => None,
    };
    if let SourceSettings::Kube(kube) = &mut source
        && let Some(write) = &mut kube.write
    {
        write.webhook = authority;
    }
    let state_dir = settings.state_dir_or_default();
    SyncSettings { source, options, state_dir, webhook, resolver: ResolverSettings::default() }
}

fn kube_settings(kube: &cli::Kube) -> KubeSettings {
    KubeSettings {
        kubeconfig: kube.kubeconfig.clone(),
        apiserver_host: kube.apiserver_host.clone(),
        certificate_authority: kube.certificate_authority.clone(),
        namespace: kube.namespace.clone(),
        write: kube.write.as_deref().map(|write| Box::new(write_settings(write))),
    }
}

/// What a cluster holds, for a report on it.
fn cluster(kube: &cli::Kube, options: &Options) -> Result<report::Read, String> {
    let read = ringress_sync::read_cluster(&kube_settings(kube), options, REPORT_PATIENCE);
    let read = read.map_err(|error| error.to_string())?;
    Ok(report::Read { objects: read.objects, findings: read.findings.to_vec() })
}

fn write_settings(write: &WriteBack) -> WriteSettings {
    let pod = write.pod.clone().map(|(namespace, name)| PodIdentity { namespace, name });
    let status = write.status.as_ref().map(|status| {
        let addresses = match (&status.addresses, &status.service) {
            (addresses, _) if !addresses.is_empty() => StatusAddresses::Fixed(addresses.clone()),
            (_, Some(service)) => StatusAddresses::Service(service.clone()),
            (_, None) => StatusAddresses::Nodes { internal: status.internal },
        };
        StatusSettings { addresses, interval: status.interval, clear_at_end: status.clear_at_end }
    });
    WriteSettings {
        pod,
        lease: write.lease.clone(),
        ttl: write.ttl,
        status,
        webhook: None,
        tickets: write.tickets.clone(),
    }
}

fn publisher(workers: &mut Workers, log: Follower) -> Publisher {
    let links = std::mem::take(&mut workers.links);
    let link = |link: worker::WorkerLink| WorkerLink { snapshots: link.snapshots, stale: link.stale, wake: link.wake };
    Publisher {
        workers: links.into_iter().map(link).collect(),
        adopted: workers.adopted.clone(),
        retired: workers.retired.clone(),
        current: Arc::clone(&workers.current),
        announce: Box::new(move |snapshot| log.follow(snapshot.settings.own_log)),
    }
}

fn lease(settings: &RunSettings) -> Option<Arc<str>> {
    let Source::Kube(kube) = &settings.source else { return None };
    kube.write.as_ref().map(|write| write.lease.as_str().into())
}

/// The control thread as the admin thread sees it.
struct Control {
    sync: SyncHandle,
    current: Arc<arc_swap::ArcSwapOption<ringress_config::snapshot::Snapshot>>,
    /// Name of the Lease of the leader election.
    lease: Option<Arc<str>>,
}

impl ControlPlane for Control {
    fn status(&self) -> ControlStatus {
        let status = self.sync.status();
        ControlStatus {
            source: status.source.clone(),
            source_reachable: status.source_reachable,
            last_known_good: status.last_known_good,
            lease: self.lease.clone().zip(status.leads),
            generation: status.generation,
            objects: status.objects.clone(),
            findings: Arc::clone(&status.rejected),
            last_change: status.last_change,
            changed: status.changed.objects.iter().map(ToString::to_string).collect(),
            changed_more: status.changed.more,
            propagation: status.propagation.adopted,
            builds: status.builds.published,
            build_time: status.builds.busy,
            reviews: Reviews {
                accepted: status.reviews.accepted,
                refused: status.reviews.refused,
                took: status.reviews.took,
                connections_closed: ringress_sync::webhook_connections_closed(),
            },
        }
    }

    fn heartbeat_age(&self) -> Duration {
        self.sync.heartbeat_age()
    }

    fn snapshot(&self) -> Option<Arc<ringress_config::snapshot::Snapshot>> {
        self.current.load_full()
    }

    fn sync(&self) -> SyncFuture {
        let sync = self.sync.clone();
        Box::pin(async move { sync.sync().await.map_err(|error| error.to_string()) })
    }
}

/// The workers as the admin thread sees them.
struct Cores {
    driver: Driver,
    control: Arc<worker::Control>,
    current: Arc<arc_swap::ArcSwapOption<ringress_config::snapshot::Snapshot>>,
    /// Where keys of listeners stand.
    config_map: Option<ObjectKey>,
}

impl Cores {
    fn new(driver: Driver, workers: &Workers, config_map: Option<ObjectKey>) -> Self {
        Self { driver, control: workers.control(), current: Arc::clone(&workers.current), config_map }
    }
}

impl WorkerPlane for Cores {
    fn driver(&self) -> String {
        self.driver.to_string()
    }

    fn failures(&self) -> Vec<String> {
        let failed = self.control.beyond_repair();
        failed.map(|number| format!("worker {number} died and is not replaced any more")).into_iter().collect()
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        self.control.listeners()
    }

    fn findings(&self) -> Vec<Finding> {
        let (Some(key), Some(current)) = (&self.config_map, self.current.load_full()) else { return Vec::new() };
        if !matches!(current.settings.listen.addresses, ListenAddresses::Named(_)) {
            return Vec::new();
        }
        let object = ObjectRef { kind: Kind::ConfigMap, key: key.clone() };
        let errors = self.control.listeners().into_iter().filter_map(|listener| listener.error);
        errors.map(|error| Finding::error(&object, "data.bind-address", error)).collect()
    }

    fn streams(&self) -> Vec<StreamStatus> {
        self.control.streams()
    }
}
