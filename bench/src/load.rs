//! Puts load on one address. Closed loop: every connection sends its next request when the answer is there. Open loop:
//! requests are due at a constant rate and latency counts from when a request was due, so that a stalled server
//! cannot hide the requests it kept from being sent (coordinated omission).

mod connection;
mod schedule;
mod tally;
mod tls;
pub(crate) mod websocket;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::pki_types::ServerName;

pub(crate) use self::tally::Summary;

use self::connection::{Connection, Failure};
use self::schedule::Schedule;
use self::tally::Tally;
use crate::error::{Context, Error};
use crate::runtime;

/// After a failed connect, so that a refused address does not spin.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    /// The proxy's address.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// Host header, and server name with --tls.
    #[arg(long, default_value = "bench.test")]
    pub(crate) host: String,
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Seconds that count.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Seconds before them that do not.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Requests per second, open loop; without it closed loop.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// TLS to the target; any certificate is taken.
    #[arg(long)]
    pub(crate) tls: bool,
    /// A new connection for every request.
    #[arg(long)]
    pub(crate) new_connections: bool,
    /// Messages of WebSocket on each connection instead of requests, each when the one before has come back; plain only.
    #[arg(long, conflicts_with_all = ["tls", "new_connections"])]
    pub(crate) websocket: bool,
    /// Seconds after which a request counts as failed and its connection is closed.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) timeout: f64,
    /// Run on this CPU only.
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    if let Some(cpu) = options.cpu {
        crate::usage::pin(&[cpu])?;
    }
    let summary = measure(options)?;
    if options.json {
        println!("{}", serde_json::json!(summary));
    } else {
        println!("{summary}");
    }
    Ok(())
}

/// Runs the load on this thread and returns what was seen.
pub(crate) fn measure(options: &Options) -> Result<Summary, Error> {
    let plan = Rc::new(Plan::new(options)?);
    let tally = runtime::block_on(drive(plan)).context(|| "start the runtime".into())?;
    Ok(tally.summary(Duration::from_secs_f64(options.seconds)))
}

/// Where one-off requests go.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Host header and server name.
    pub(crate) host: String,
    pub(crate) tls: Option<tls::Config>,
}

impl Target {
    pub(crate) fn plain(address: SocketAddr, host: &str) -> Self {
        Self { address, host: host.to_owned(), tls: None }
    }

    pub(crate) fn tls(address: SocketAddr, host: &str) -> Result<Self, Error> {
        Ok(Self { address, host: host.to_owned(), tls: Some(tls::any_certificate()?) })
    }
}

/// What all connections share: where to, what to send, until when.
struct Plan {
    target: SocketAddr,
    request: Bytes,
    /// What makes a connection one of WebSocket.
    upgrade: Option<Bytes>,
    tls: Option<(tls::Config, ServerName<'static>)>,
    connections: usize,
    one_request_each: bool,
    timeout: Duration,
    rate: Option<f64>,
    /// Answers to requests due before this do not count.
    counts_from: Instant,
    ends: Instant,
    tally: RefCell<Tally>,
}

impl Plan {
    fn new(options: &Options) -> Result<Self, Error> {
        let close = if options.new_connections { "Connection: close\r\n" } else { "" };
        let request = match options.websocket {
            false => format!("GET {} HTTP/1.1\r\nHost: {}\r\n{close}\r\n", options.path, options.host).into_bytes(),
            true => websocket::message(),
        };
        let upgrade = options.websocket.then(|| Bytes::from(websocket::upgrade(&options.path, &options.host)));
        let tls = match options.tls {
            false => None,
            true => {
                let name = ServerName::try_from(options.host.clone())
                    .map_err(|_| Error::program("--host", "not a server name"))?;
                Some((tls::any_certificate()?, name))
            }
        };
        let counts_from = Instant::now() + Duration::from_secs_f64(options.warmup);
        Ok(Self {
            target: options.target,
            request: Bytes::from(request),
            upgrade,
            tls,
            connections: options.connections.max(1),
            one_request_each: options.new_connections,
            timeout: Duration::from_secs_f64(options.timeout),
            rate: options.rate,
            counts_from,
            ends: counts_from + Duration::from_secs_f64(options.seconds),
            tally: RefCell::new(Tally::new()),
        })
    }

    /// Books the outcome of one request that was due at `due`.
    fn book(&self, due: Instant, outcome: &Result<connection::Answer, Failure>) {
        if due >= self.counts_from {
            self.tally.borrow_mut().book(due.elapsed(), outcome);
        }
    }
}

async fn drive(plan: Rc<Plan>) -> Tally {
    let start = Instant::now();
    let clients: Vec<_> = (0..plan.connections)
        .map(|index| {
            let schedule = Schedule::new(start, plan.rate, plan.connections, index);
            monoio::spawn(client(Rc::clone(&plan), schedule))
        })
        .collect();
    for client in clients {
        client.await;
    }
    plan.tally.replace(Tally::new())
}

/// One connection's life: request after request, reconnecting whenever the connection has ended.
async fn client(plan: Rc<Plan>, mut schedule: Schedule) {
    let mut connection: Option<Connection> = None;
    loop {
        let mut due = schedule.next();
        if due >= plan.ends {
            break;
        }
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            monoio::time::sleep(wait).await;
            // The connection was free in time: that the own timer woke late (it has steps of 1 ms) is not the server's.
            due = Instant::now();
        }
        // The deadline drops the connection with the request: an owned read must not be cancelled and reused.
        let attempt = monoio::time::timeout(plan.timeout, exchange(&plan, connection.take())).await;
        let (kept, outcome) = attempt.unwrap_or((None, Err(Failure::Timeout)));
        plan.book(due, &outcome);
        connection = kept;
        if matches!(outcome, Err(Failure::Connect)) {
            monoio::time::sleep(RECONNECT_PAUSE).await;
        }
    }
}

async fn exchange(
    plan: &Plan,
    connection: Option<Connection>,
) -> (Option<Connection>, Result<connection::Answer, Failure>) {
    let opened = match (connection, &plan.upgrade) {
        (Some(connection), _) => Ok(connection),
        (None, None) => Connection::open(plan.target, plan.tls.as_ref()).await,
        (None, Some(upgrade)) => Connection::open_websocket(plan.target, upgrade.clone()).await,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(failure) => return (None, Err(failure)),
    };
    let outcome = connection.exchange(plan.request.clone()).await;
    let keep = !plan.one_request_each && matches!(&outcome, Ok(answer) if !answer.closes);
    (keep.then_some(connection), outcome)
}
