//! Memory of an idle keep-alive connection: open many, let each serve one request, let the process settle, and divide
//! the growth of its resident memory by their number. Kernel memory of the sockets is not in it, for any proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Context, Error};
use crate::load::Target;
use crate::peer::{self, Ground, HOST, Kind, Peer};
use crate::probe::Client;
use crate::report::table;
use crate::usage;

/// So that neither runs out of ports towards one proxy.
const CLIENTS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
/// Opened and closed before the first reading, so that start-up costs are not counted as connections.
const WARM_CONNECTIONS: usize = 64;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The ringress binary.
    #[arg(long, default_value = "target/release/ringress")]
    ringress: PathBuf,
    /// HAProxy, too, can be named: it needs two descriptors a connection, so 9,500 connections at 20,000 descriptors.
    #[arg(long, value_delimiter = ',', default_value = "ringress,nginx")]
    peers: Vec<Kind>,
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Only plain HTTP.
    #[arg(long)]
    no_tls: bool,
    /// Fail when a plain connection of ringress costs more bytes than this.
    #[arg(long)]
    bytes_max: Option<f64>,
    /// The same of a connection with TLS.
    #[arg(long)]
    tls_bytes_max: Option<f64>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    peer: &'static str,
    tls: bool,
    connections: usize,
    bytes_per_connection: f64,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let (_origin_process, origin) = peer::start_origin(1)?;
    let ground = Ground::new(&options.ringress, origin, [0, 1]);
    let mut rows = Vec::new();
    for &kind in &options.peers {
        if !kind.installed(&options.ringress) {
            eprintln!("{}: not here, left out", kind.name());
            continue;
        }
        for tls in [false, true] {
            if tls && options.no_tls {
                continue;
            }
            // A fresh process each time: what one kind of connection left in the heap is not the other's.
            let mut peer = Peer::start(kind, &ground)?;
            let bytes_per_connection = measure(&mut peer, tls, options.connections)?;
            rows.push(Row { peer: kind.name(), tls, connections: options.connections, bytes_per_connection });
        }
    }
    if options.json {
        println!("{}", serde_json::json!(rows));
    } else {
        println!("{}", show(&rows));
    }
    check(options, &rows)
}

fn measure(peer: &mut Peer, tls: bool, connections: usize) -> Result<f64, Error> {
    let target = target(peer, tls)?;
    drop(open(&target, WARM_CONNECTIONS)?);
    let before = usage::settled_bytes(&peer.pids)?;
    let held = open(&target, connections)?;
    let after = usage::settled_bytes(&peer.pids)?;
    peer.check_alive()?;
    for mut client in held {
        let status = client.get("/").context(|| "use a connection after it was idle".into())?;
        if status != 200 {
            return Err(Error::program(peer.kind.name(), format!("answered {} after idling", status)));
        }
    }
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}

fn target(peer: &Peer, tls: bool) -> Result<Target, Error> {
    let address: SocketAddr = if tls { peer.https } else { peer.http };
    if tls { Target::tls(address, HOST) } else { Ok(Target::plain(address, HOST)) }
}

fn open(target: &Target, count: usize) -> Result<Vec<Client>, Error> {
    (0..count)
        .map(|index| {
            let mut client = Client::open(target, Some(CLIENTS[index % CLIENTS.len()]))
                .context(|| format!("open connection {index}"))?;
            client.get("/").context(|| format!("request on connection {index}"))?;
            Ok(client)
        })
        .collect()
}

fn show(rows: &[Row]) -> String {
    let mut cells = vec![["", "connections", "KiB each"].map(str::to_owned).to_vec()];
    for row in rows {
        let name = format!("{} {}", row.peer, if row.tls { "TLS" } else { "plain" });
        cells.push(vec![name, row.connections.to_string(), format!("{:.2}", row.bytes_per_connection / 1024.0)]);
    }
    table(&cells)
}

fn check(options: &Options, rows: &[Row]) -> Result<(), Error> {
    for (tls, bound) in [(false, options.bytes_max), (true, options.tls_bytes_max)] {
        let Some(bound) = bound else { continue };
        match rows.iter().find(|row| row.peer == Kind::Ringress.name() && row.tls == tls) {
            None => return Err(Error::Bound("ringress was not measured".into())),
            Some(Row { bytes_per_connection: bytes, .. }) if *bytes > bound => {
                let kind = if tls { "TLS" } else { "plain" };
                return Err(Error::Bound(format!("{bytes:.0} bytes per idle {kind} connection, bound {bound}")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
