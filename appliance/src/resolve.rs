//! Names of services that policies name by URL, looked up beside the core and remembered for a while.

#![expect(clippy::disallowed_types, reason = "how long an answer is remembered")]

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::offload;
use crate::worker::Core;

/// How long an answer is used. The system's resolver does not tell the record's own time.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Names remembered per core.
const NAMES_MAX: usize = 1024;

/// What a core has looked up.
#[derive(Default)]
pub(crate) struct Names(HashMap<Box<str>, (IpAddr, Instant)>);

/// The first address of a name, or the address itself.
pub(crate) async fn first(core: &Rc<Core>, host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    if let Some((address, at)) = core.names.borrow().0.get(host)
        && at.elapsed() < REMEMBERED
    {
        return Some(*address);
    }
    let name = host.to_owned();
    let found = offload::run(move || (name.as_str(), 0).to_socket_addrs().ok()?.next()).await??.ip();
    let mut names = core.names.borrow_mut();
    if names.0.len() >= NAMES_MAX {
        names.0.clear();
    }
    names.0.insert(host.into(), (found, Instant::now()));
    Some(found)
}
