//! From a write to the API server until every one of some kept connections, hence every core, is answered by the new
//! state. Counted from before the write is sent, so what the server itself needs is in it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::api::{Api, INGRESSES, SERVICES, SLICES, ingress, service, slice};
use crate::error::{Context, Error};
use crate::load::Target;
use crate::probe::Client;

/// Connections that must all see a change: enough that two workers hold some each (all on one: once in 30,000).
const WATCHERS: usize = 16;
const CHANGE_WAIT: Duration = Duration::from_secs(30);
/// Between two questions: short at first, as most changes are served within milliseconds…
const PAUSE: Duration = Duration::from_micros(100);
/// …then longer, so that a slow one is not made slower by the questions.
const PAUSE_LATE: Duration = Duration::from_millis(5);
const SOON: Duration = Duration::from_millis(50);
/// Between two changes, about: longer than the control thread rests after a build.
const APART_MS: u64 = 20;

const PROBED: &str = "probed";
const PROBED_HOST: &str = "probed.test";

/// How long changes took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Delay {
    pub(super) changes: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Delay {
    pub(super) fn of(mut values: Vec<f64>) -> Result<Self, Error> {
        values.sort_by(f64::total_cmp);
        let Some(&max_ms) = values.last() else { return Err(Error::program("--changes", "at least one")) };
        // The smallest value that the share of all does not exceed.
        let at = |share: f64| values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1];
        Ok(Self { changes: values.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms })
    }
}

/// Connections to the proxy, asked all at once.
struct Watchers {
    target: Target,
    clients: Vec<Client>,
}

impl Watchers {
    fn open(http: SocketAddr, host: &str) -> Result<Self, Error> {
        let target = Target::plain(http, host);
        let clients = (0..WATCHERS).map(|_| Client::open(&target, None)).collect::<io::Result<_>>();
        Ok(Self { clients: clients.context(|| "open a connection".into())?, target })
    }

    /// Asks on every connection; true when all have this status.
    fn all_say(&mut self, wanted: u16) -> io::Result<bool> {
        for client in &mut self.clients {
            client.send("GET", "/", &[])?;
        }
        let mut all = true;
        for client in &mut self.clients {
            let answer = client.receive()?;
            all &= answer.status == wanted;
            if answer.closes {
                *client = Client::open(&self.target, None)?;
            }
        }
        Ok(all)
    }

    /// Waits for this status everywhere; returns the milliseconds since `start`.
    fn wait(&mut self, wanted: u16, start: Instant) -> Result<f64, Error> {
        loop {
            let all = self.all_say(wanted).context(|| format!("ask {}", self.target.host))?;
            let past = start.elapsed();
            if all {
                return Ok(past.as_secs_f64() * 1e3);
            }
            if past > CHANGE_WAIT {
                let problem = format!("{} not answered by {wanted} in {CHANGE_WAIT:?}", self.target.host);
                return Err(Error::program("ringress", problem));
            }
            std::thread::sleep(if past < SOON { PAUSE } else { PAUSE_LATE });
        }
    }
}

/// Makes changes and waits for them.
pub(super) struct Prober {
    http: SocketAddr,
    origin_port: u16,
    made: usize,
}

impl Prober {
    /// Creates the Service whose endpoints come and go.
    pub(super) fn new(api: &mut Api, http: SocketAddr, origin_port: u16) -> Result<Self, Error> {
        api.create(SERVICES, &service(PROBED))?;
        api.create(SLICES, &slice(PROBED, origin_port, true))?;
        api.create(INGRESSES, &ingress(PROBED, PROBED_HOST, PROBED))?;
        Watchers::open(http, PROBED_HOST)?.wait(200, Instant::now())?;
        Ok(Self { http, origin_port, made: 0 })
    }

    /// An Ingress that comes and goes, endpoints that go and come: four changes.
    pub(super) fn change(&mut self, api: &mut Api, delays: &mut Vec<f64>) -> Result<(), Error> {
        self.made += 1;
        let (name, host) = (format!("change-{}", self.made), format!("change-{}.test", self.made));
        let mut watchers = Watchers::open(self.http, &host)?;
        watchers.wait(404, Instant::now())?;
        self.rest();
        let start = Instant::now();
        api.create(INGRESSES, &ingress(&name, &host, PROBED))?;
        delays.push(watchers.wait(200, start)?);
        self.rest();
        let start = Instant::now();
        api.delete(INGRESSES, &name)?;
        delays.push(watchers.wait(404, start)?);

        let mut watchers = Watchers::open(self.http, PROBED_HOST)?;
        for (ready, status) in [(false, 503), (true, 200)] {
            self.rest();
            let start = Instant::now();
            api.replace(SLICES, &format!("{PROBED}-1"), &slice(PROBED, self.origin_port, ready))?;
            delays.push(watchers.wait(status, start)?);
        }
        Ok(())
    }

    /// Never in step with anything.
    fn rest(&self) {
        std::thread::sleep(Duration::from_millis(APART_MS + (self.made as u64 * 7) % 13));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let delay = Delay::of((1..=100).rev().map(f64::from).collect()).expect("values");
        assert_eq!((delay.p50_ms, delay.p99_ms, delay.max_ms), (50.0, 99.0, 100.0));
        let delay = Delay::of(vec![3.0]).expect("a value");
        assert_eq!((delay.p50_ms, delay.p99_ms, delay.max_ms), (3.0, 3.0, 3.0));
        assert!(Delay::of(Vec::new()).is_err());
    }
}
