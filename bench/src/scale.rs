//! Many Ingresses in a folder: how long ringress needs to be ready, and how long a change takes until every connection
//! (hence every worker) serves it. Measured by requests, not by what the product says of itself.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Context, Error};
use crate::load::Target;
use crate::peer::{self, Instance, Settings, Source, ingress, service, write_manifest};
use crate::probe::{self, Client};
use crate::report::Spread;

/// Kept connections that must all see a change: enough that each of a few workers holds some.
const WATCHERS: usize = 16;
const READY_WAIT: Duration = Duration::from_secs(120);
const CHANGE_WAIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Layout {
    /// One Ingress a file.
    Files,
    /// All of them in one file.
    Single,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The ringress binary.
    #[arg(long, default_value = "target/release/ringress")]
    ringress: PathBuf,
    #[arg(long, default_value_t = 10_000)]
    ingresses: usize,
    #[arg(long, value_enum, default_value = "files")]
    layout: Layout,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Changes to measure.
    #[arg(long, default_value_t = 10)]
    changes: usize,
    /// Fail when ready takes longer than this, in milliseconds.
    #[arg(long)]
    ready_ms_max: Option<f64>,
    /// Fail when the median change takes longer than this, in milliseconds.
    #[arg(long)]
    change_ms_max: Option<f64>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    ingresses: usize,
    bytes: u64,
    ready_ms: f64,
    change_ms: Spread,
    resident_bytes: u64,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let (_origin_process, origin) = peer::start_origin(1)?;
    let source = tempfile::tempdir().context(|| "make a folder".into())?;
    let folder = source.path();
    write_manifest(folder, "origin.yaml", &service("origin", origin))?;
    let hosts = Hosts { folder, layout: options.layout, count: options.ingresses };
    hosts.write_all()?;
    let bytes = folder_bytes(folder)?;

    let settings = Settings { workers: options.workers, cpus: Vec::new(), http: peer::free_address()?, https: None };
    let started = Instant::now();
    let instance = Instance::start(&options.ringress, &Source::Folder(folder), &settings)?;
    let is_ready = || probe::answers_200(&instance.health, "/readyz");
    if !probe::poll(READY_WAIT, is_ready) {
        return Err(Error::program("ringress", format!("not ready in {READY_WAIT:?}:\n{}", instance.process.log())));
    }
    let ready_ms = milliseconds(started);
    let last = Target::plain(settings.http, &host(options.ingresses - 1));
    instance.process.wait_until("serve the last host", || probe::answers_200(&last, "/"))?;

    let changes: Vec<f64> =
        (0..options.changes).map(|change| measure_change(&hosts, settings.http, change)).collect::<Result<_, _>>()?;
    let figures = Figures {
        ingresses: options.ingresses,
        bytes,
        ready_ms,
        change_ms: Spread::of(changes).ok_or_else(|| Error::program("--changes", "at least one"))?,
        resident_bytes: crate::usage::resident_bytes(&[instance.process.id()])?,
    };
    report(options, &figures)
}

/// The folder's Ingresses: one host each, `h0.bench.test` and so on.
struct Hosts<'a> {
    folder: &'a Path,
    layout: Layout,
    count: usize,
}

impl Hosts<'_> {
    fn write_all(&self) -> Result<(), Error> {
        match self.layout {
            Layout::Single => self.write_single(None),
            Layout::Files => (0..self.count).try_for_each(|index| {
                let name = format!("i{index}");
                let text = ingress(&name, &host(index), "/", "origin");
                fs::write(self.folder.join(format!("{name}.yaml")), text).context(|| name)
            }),
        }
    }

    /// Adds a host of its own for this change: before it the answer is 404, afterwards 200.
    fn add(&self, change: usize) -> Result<(), Error> {
        let name = format!("change-{change}");
        let added = ingress(&name, &changed_host(change), "/", "origin");
        match self.layout {
            Layout::Single => self.write_single(Some(&added)),
            // In place of an existing file's content, so that the number of files stays.
            Layout::Files => {
                let file = format!("i{change}.yaml");
                let kept = ingress(&format!("i{change}"), &host(change), "/", "origin");
                write_manifest(self.folder, &file, &(kept + &added)).map(drop)
            }
        }
    }

    fn write_single(&self, added: Option<&str>) -> Result<(), Error> {
        let mut text = String::new();
        for index in 0..self.count {
            // Padded to some 600 bytes, as manifests are that people keep in one file.
            let one = ingress(&format!("i{index}"), &host(index), "/", "origin");
            writeln!(text, "{one}# {:x<250}", "").expect("writing to a String");
        }
        text.push_str(added.unwrap_or_default());
        write_manifest(self.folder, "all.yaml", &text).map(drop)
    }
}

fn host(index: usize) -> String {
    format!("h{index}.bench.test")
}

fn changed_host(change: usize) -> String {
    format!("changed{change}.bench.test")
}

/// From the rename of the file until the last of the kept connections has been answered by the new state.
fn measure_change(hosts: &Hosts<'_>, http: std::net::SocketAddr, change: usize) -> Result<f64, Error> {
    let target = Target::plain(http, &changed_host(change));
    let mut watchers: Vec<Client> = (0..WATCHERS)
        .map(|_| Client::open(&target, None).context(|| "open a connection".into()))
        .collect::<Result<_, _>>()?;
    for watcher in &mut watchers {
        let status = watcher.get("/").context(|| "ask before the change".into())?;
        if status != 404 {
            return Err(Error::program("ringress", format!("answered {status} before the change")));
        }
    }
    hosts.add(change)?;
    let changed = Instant::now();
    for watcher in &mut watchers {
        let mut failure = None;
        let arrived = probe::poll(CHANGE_WAIT, || match watcher.get("/") {
            Ok(status) => status == 200,
            Err(error) => {
                failure = Some(error);
                true
            }
        });
        if let Some(source) = failure {
            return Err(Error::Io { what: "ask after the change".into(), source });
        }
        if !arrived {
            return Err(Error::program("ringress", format!("change {change} not served in {CHANGE_WAIT:?}")));
        }
    }
    Ok(milliseconds(changed))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn folder_bytes(folder: &Path) -> Result<u64, Error> {
    let entries = fs::read_dir(folder).context(|| folder.display().to_string())?;
    entries
        .map(|entry| entry.and_then(|entry| entry.metadata()).map(|metadata| metadata.len()))
        .sum::<Result<u64, _>>()
        .context(|| folder.display().to_string())
}

fn report(options: &Options, figures: &Figures) -> Result<(), Error> {
    if options.json {
        println!("{}", serde_json::json!(figures));
    } else {
        println!(
            "{} Ingresses ({:?}, {:.1} MB): ready after {:.0} ms; change served after {} ms; {:.0} MB resident",
            figures.ingresses,
            options.layout,
            figures.bytes as f64 / 1e6,
            figures.ready_ms,
            figures.change_ms.show(1),
            figures.resident_bytes as f64 / 1e6
        );
    }
    let over = |figure: f64, bound: Option<f64>| bound.is_some_and(|bound| figure > bound);
    if over(figures.ready_ms, options.ready_ms_max) {
        return Err(Error::Bound(format!("ready after {:.0} ms", figures.ready_ms)));
    }
    if over(figures.change_ms.median, options.change_ms_max) {
        return Err(Error::Bound(format!("a change took {} ms", figures.change_ms.show(1))));
    }
    Ok(())
}
