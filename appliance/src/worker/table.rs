//! Who listens where: sockets that appear and go with snapshots.
//!
//! The sockets of a door, one for each core, are in a table that all workers share, as a worker that dies must not take a
//! queue with it. The first worker that adopts a snapshot brings the table up to it; each one then runs the loops of its
//! own sockets (`doors.rs`). What is new is opened before what is old goes, and what neither has changed stays as it is.
//!
//! A TCP door that goes leaves in two steps: first no connection begins any more, and once the queue is empty it is shut
//! down, which ends the loops. So no connection that the kernel has accepted is reset, and those that were accepted live
//! on. Where none of the addresses that are wanted can be had, the ones before stay.

#![expect(clippy::disallowed_types, reason = "a lock per adopted snapshot, never on the way of a byte")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ringress_config::model::Transport;
use ringress_config::snapshot::Snapshot;
use socket2::Socket;

use super::Gate;
use super::listeners::{BindError, Group};
use super::plan::{Door, ListenPlan, ListenerKind, Purpose};
use crate::handover::{Given, Inherited, Keeper};
use crate::limits::{LISTEN_AGAIN, LISTEN_AT_START, LISTENER_LEAVES, LISTENER_LEAVES_MAX};

/// The sockets of all doors, shared by the workers.
pub(super) struct ListenTable {
    plan: ListenPlan,
    cores: usize,
    gate: Gate,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the snapshot that the table follows.
    generation: u64,
    doors: BTreeMap<Door, Result<Arc<Group>, BindError>>,
    /// When all that could not be had was last tried: one worker a second is enough.
    tried: Option<Instant>,
    /// What it wants and is listened on nowhere.
    unserved: BTreeSet<(Purpose, u16)>,
    /// What is no longer wanted and has a queue.
    leaving: Vec<Leaving>,
    /// Nothing is opened any more.
    closed: bool,
    /// A successor has been given what is open: it stays as it is until there is one, or none.
    lent: bool,
    /// What the process before listened on.
    inherited: Inherited,
}

struct Leaving {
    group: Arc<Group>,
    since: Instant,
}

/// An address of http or https and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// What is spoken there.
    pub kind: ListenerKind,
    /// Where, with the port that was found.
    pub address: SocketAddr,
    /// Why it is not listened on, if it is not.
    pub error: Option<String>,
}

/// A port of a TCP or UDP service and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// What is spoken there.
    pub transport: Transport,
    /// The port.
    pub port: u16,
    /// Why it is not listened on, on the first address where it is not.
    pub error: Option<String>,
}

impl ListenTable {
    /// A table without doors, unless no ConfigMap can say where they are.
    ///
    /// # Errors
    /// When one of these cannot be had.
    pub(super) fn new(
        plan: ListenPlan,
        cores: usize,
        gate: Gate,
        inherited: Inherited,
    ) -> Result<Arc<Self>, BindError> {
        let mut state = State { inherited, ..State::default() };
        if !plan.awaits_config_map {
            for door in plan.http(&Default::default()) {
                let group = state.open_at_start(door, cores)?;
                told("listening", &group);
                state.doors.insert(door, Ok(Arc::new(group)));
            }
        }
        Ok(Arc::new(Self { plan, cores, gate, state: Mutex::new(state) }))
    }

    /// Brings the table up to a snapshot. What could not be opened before is tried again. Whether something leaves:
    /// [`ListenTable::close_left`] is to be called in a while.
    pub(super) fn follow(&self, snapshot: &Snapshot) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.closed || state.lent || snapshot.generation < state.generation {
            return !state.leaving.is_empty();
        }
        let is_new = snapshot.generation > state.generation;
        let tries = is_new || state.tried.is_none_or(|tried| tried.elapsed() >= LISTEN_AGAIN);
        state.tried = if tries { Some(Instant::now()) } else { state.tried };
        state.generation = snapshot.generation;
        let settings = &snapshot.settings.listen;
        let (mut wanted, serves) = (self.plan.http(settings), self.gate.is_open());
        if serves {
            wanted.extend(self.plan.streams(snapshot));
        }
        let per_door = if settings.socket_per_worker { self.cores } else { 1 };
        let untried = |door: &&Door| tries || !state.doors.contains_key(*door);
        for door in wanted.iter().filter(untried).copied().collect::<Vec<_>>() {
            state.want(door, if door.purpose.transport() == Transport::Tcp { per_door } else { self.cores });
        }
        state.unserved = state.unserved(&wanted);
        state.take_what_was(&wanted, serves);
        state.retire(&wanted);
        if serves {
            state.resize(per_door);
            // Services and listeners that were there before and are no longer wanted.
            state.inherited.close_rest();
        }
        !state.leaving.is_empty()
    }

    /// Closes what leaves and has nobody waiting, or has been given time enough.
    pub(super) fn close_left(&self) {
        self.lock().leaving.retain(|leaving| {
            let age = leaving.since.elapsed();
            let stays = age < LISTENER_LEAVES || (age < LISTENER_LEAVES_MAX && !leaving.group.is_drained());
            if !stays {
                leaving.group.close();
                told("no longer listening", &leaving.group);
            }
            stays
        });
    }

    /// The sockets of a core as `snapshot` has it, with the address that they are bound to.
    pub(super) fn of_core(&self, core: usize, snapshot: &Snapshot) -> Vec<(Purpose, SocketAddr, Arc<Socket>)> {
        let accepting = snapshot.settings.listen.accepting(self.cores);
        let state = self.lock();
        let groups = state.groups().filter(|group| match group.door.purpose {
            Purpose::Http(_) => true,
            // Another core may be ahead: what this core's snapshot does not know could not be served yet.
            Purpose::Stream(transport) => snapshot.streams.find(transport, group.address.port()).is_some(),
        });
        let sockets = groups.flat_map(|group| {
            let own = group.of_core(core, accepting, self.cores);
            own.map(|socket| (group.door.purpose, group.address, Arc::clone(socket)))
        });
        sockets.collect()
    }

    /// Everything that is open, for a successor; it stays as it is until [`ListenTable::keep`] or the end.
    pub(super) fn give(&self) -> io::Result<Vec<Given>> {
        let mut state = self.lock();
        state.lent = true;
        state.doors.values().flatten().flat_map(|group| group.give()).collect()
    }

    /// There is no successor: snapshots are followed again.
    pub(super) fn keep(&self) {
        self.lock().lent = false;
    }

    /// Leaves everything to a successor: nothing is opened or closed any more, but for what it was not given.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.doors.clear();
        state.leaving.drain(..).for_each(|leaving| leaving.group.close());
    }

    /// Closes everything for good: the drain.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.groups().for_each(|group| group.close());
        state.doors.clear();
        state.leaving.clear();
    }

    /// The addresses of http and https.
    pub(super) fn listeners(&self) -> Vec<ListenerStatus> {
        let state = self.lock();
        let status = |(door, group): (&Door, &Result<Arc<Group>, BindError>)| {
            let Purpose::Http(kind) = door.purpose else { return None };
            let address = group.as_ref().map_or(door.address, |group| group.address);
            let error = group.as_ref().err().map(|error| format!("{error}{}", state.consequence(*door)));
            Some(ListenerStatus { kind, address, error })
        };
        state.doors.iter().filter_map(status).collect()
    }

    /// The ports of services.
    pub(super) fn streams(&self) -> Vec<StreamStatus> {
        let mut ports = BTreeMap::new();
        for (door, group) in &self.lock().doors {
            if let Purpose::Stream(transport) = door.purpose {
                let error: &mut Option<String> = ports.entry((transport, door.address.port())).or_default();
                *error = error.take().or_else(|| group.as_ref().err().map(ToString::to_string));
            }
        }
        ports.into_iter().map(|((transport, port), error)| StreamStatus { transport, port, error }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is open, and what leaves and is still accepted from.
    fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.doors.values().flatten().chain(self.leaving.iter().map(|leaving| &leaving.group))
    }

    /// Opens a door that is not open.
    fn want(&mut self, door: Door, count: usize) {
        if matches!(self.doors.get(&door), Some(Ok(_))) {
            return;
        }
        let opened = self.open(door, count).map(Arc::new);
        let before = self.doors.get(&door).and_then(|group| group.as_ref().err()).map(ToString::to_string);
        match &opened {
            Ok(group) => told("listening", group),
            // It was said; it is tried again all the same.
            Err(error) if before == Some(error.to_string()) => {}
            Err(error) => tracing::error!(%error, "an address is not listened on; it is tried again"),
        }
        self.doors.insert(door, opened);
    }

    /// The same before anybody is served. The kernel ends the rings of a process that was killed some milliseconds behind it, and
    /// what that one listened on is free then: a restart at once must not fail by it.
    #[expect(clippy::disallowed_methods, reason = "no core runs yet")]
    fn open_at_start(&mut self, door: Door, count: usize) -> Result<Group, BindError> {
        let began = Instant::now();
        loop {
            match self.open(door, count) {
                Err(error) if error.is_in_use() && began.elapsed() < LISTEN_AT_START => {
                    std::thread::sleep(LISTEN_AT_START / 50);
                }
                outcome => return outcome,
            }
        }
    }

    fn open(&mut self, door: Door, count: usize) -> Result<Group, BindError> {
        if let Some(at) = self.leaving.iter().position(|leaving| leaving.group.door == door) {
            let group = self.leaving.swap_remove(at).group;
            group.welcome();
            return Ok(Group { sockets: group.sockets.clone(), ..*group });
        }
        if let Some(group) = Group::inherit(door, &mut self.inherited) {
            return Ok(group);
        }
        let (transport, address) = (door.purpose.transport(), door.address);
        let own = self.groups().filter(|group| group.door.purpose.transport() == transport);
        let own = own.map(|group| group.address).chain(self.inherited.addresses(transport));
        let alone = !own.into_iter().any(|other| overlap(other, address));
        Group::bind(door, count, alone)
    }

    /// What is wanted and listened on nowhere.
    fn unserved(&self, wanted: &BTreeSet<Door>) -> BTreeSet<(Purpose, u16)> {
        let is_open = |door: &&Door| matches!(self.doors.get(door), Some(Ok(_)));
        let served: BTreeSet<_> = wanted.iter().filter(is_open).map(|door| door.site()).collect();
        wanted.iter().map(|door| door.site()).filter(|site| !served.contains(site)).collect()
    }

    /// What becomes of clients of a door that is not open.
    fn consequence(&self, door: Door) -> &'static str {
        let others = self.doors.iter().any(|(other, group)| other.site() == door.site() && group.is_ok());
        match (self.unserved.contains(&door.site()), others) {
            (true, true) => "; the addresses before stay until one of these can be had",
            (true, false) => "; nothing is listened on for it",
            (false, _) => "; the others are listened on",
        }
    }

    /// Takes what the process before listened on for what is wanted elsewhere now: it stays while that is unserved, and
    /// else leaves once this process serves.
    fn take_what_was(&mut self, wanted: &BTreeSet<Door>, serves: bool) {
        let sites: BTreeSet<_> = wanted.iter().map(|door| door.site()).collect();
        for (purpose, port) in sites {
            let stays = self.unserved.contains(&(purpose, port));
            let leaves = serves && purpose.transport() == Transport::Tcp;
            let addresses: BTreeSet<_> = self.inherited.addresses(purpose.transport()).collect();
            for address in addresses.into_iter().filter(|address| address.port() == port && (stays || leaves)) {
                let door = Door { purpose, address };
                match Group::inherit(door, &mut self.inherited).map(Arc::new) {
                    Some(group) if stays => drop(self.doors.insert(door, Ok(group))),
                    Some(group) => self.leave(group),
                    None => {}
                }
            }
        }
    }

    /// Lets go what is not wanted, unless nothing else serves what it does.
    fn retire(&mut self, wanted: &BTreeSet<Door>) {
        let served: BTreeSet<_> = wanted.iter().map(|door| door.site()).collect();
        let goes = |door: &Door, group: &mut Result<_, _>| {
            !wanted.contains(door) && (group.is_err() || !self.unserved.contains(&door.site()))
        };
        let gone: Vec<_> = self.doors.extract_if(.., goes).collect();
        for (door, group) in gone {
            let Ok(group) = group else { continue };
            // Connections of a service that is gone have nowhere to go.
            if door.purpose.transport() == Transport::Tcp && served.contains(&door.site()) {
                self.leave(group);
            } else {
                group.close();
                told("no longer listening", &group);
            }
        }
    }

    fn leave(&mut self, group: Arc<Group>) {
        group.turn_away();
        self.leaving.push(Leaving { group, since: Instant::now() });
    }

    /// Gives each TCP door of this process as many sockets as it should have.
    fn resize(&mut self, count: usize) {
        let mut going = Vec::new();
        for group in self.doors.values_mut().flatten() {
            let is_own = group.keeper == Keeper::Process && group.door.purpose.transport() == Transport::Tcp;
            // More than there are cores is what a larger process before had.
            let is_right = group.sockets.len() == count || (group.sockets.len() > count && count > 1);
            if !is_own || is_right {
                continue;
            }
            match group.resized(count) {
                Ok((resized, rest)) => {
                    *group = Arc::new(resized);
                    going.extend(rest.map(Arc::new));
                }
                Err(error) => tracing::warn!(address = %group.address, %error, "no further sockets for an address"),
            }
        }
        going.into_iter().for_each(|group| self.leave(group));
    }
}

fn told(what: &str, group: &Group) {
    match group.door.purpose {
        Purpose::Http(kind) => tracing::info!(%kind, address = %group.address, "{what}"),
        Purpose::Stream(protocol) => tracing::info!(%protocol, address = %group.address, "{what}"),
    }
}

/// Whether a socket at one address may get what is meant for the other one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |ip: IpAddr| ip.is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || all(one.ip()) || all(other.ip()))
}

#[cfg(test)]
mod tests;
