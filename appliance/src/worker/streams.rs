//! Who listens on the ports of TCP and UDP services: sockets that appear and go with snapshots.
//!
//! The sockets of a port, one for each core and address, are in a table that all workers share, as a worker that dies
//! must not take a queue with it. The first worker that adopts a snapshot brings the table up to it; each one then
//! starts its own loops. A port that goes is shut down, which ends the loops and nothing else: what was accepted lives
//! on.

#![expect(clippy::disallowed_types, reason = "a lock per adopted snapshot, never on the way of a byte")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringress_config::model::Transport;
use ringress_config::snapshot::Snapshot;
use socket2::{SockRef, Socket};

use super::listeners::{bind, shares};
use super::{Core, Gate};
use crate::accept::{self, Acceptor, Peer, Service};
use crate::handover::{Given, Inherited};
use crate::io::{Datagrams, Listener, Stopper};
use crate::l4::udp;

/// A transport's port.
type Port = (Transport, u16);

/// The sockets of all ports, shared by the workers.
pub(crate) struct StreamTable {
    addresses: Vec<IpAddr>,
    cores: usize,
    gate: Gate,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the snapshot that the table follows.
    generation: u64,
    ports: BTreeMap<Port, Result<Arc<Group>, io::Error>>,
    /// Nothing is opened any more.
    closed: bool,
    /// A successor has been given what is open: it stays as it is until there is one, or none.
    lent: bool,
    /// What the process before listened on.
    inherited: Inherited,
}

/// The sockets of a port.
struct Group {
    /// By address; each has one for each core, or as many as there were before.
    sockets: Vec<Vec<Socket>>,
    cores: usize,
}

/// A port of a TCP or UDP service and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// What is spoken there.
    pub transport: Transport,
    /// The port.
    pub port: u16,
    /// Why it is not listened on, if it is not.
    pub error: Option<String>,
}

impl StreamTable {
    pub(super) fn new(addresses: Vec<IpAddr>, cores: usize, gate: Gate, inherited: Inherited) -> Arc<Self> {
        let state = State { inherited, ..State::default() };
        Arc::new(Self { addresses, cores, gate, state: Mutex::new(state) })
    }

    /// Brings the table up to a snapshot. What could not be opened before is tried again.
    fn follow(&self, snapshot: &Snapshot) {
        if !self.gate.is_open() {
            return;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.closed || state.lent || snapshot.generation < state.generation {
            return;
        }
        state.generation = snapshot.generation;
        let has_endpoints = |id| snapshot.clusters.get(id).is_some_and(|cluster| !cluster.endpoints.is_empty());
        let wanted = snapshot.streams.iter().filter(|service| has_endpoints(service.cluster));
        let wanted: Vec<Port> = wanted.map(|service| (service.transport, service.port)).collect();
        state.ports.retain(|port, group| {
            let stays = wanted.contains(port);
            if let (false, Ok(group)) = (stays, group) {
                group.close();
                tracing::info!(protocol = %port.0, port = port.1, "no longer listening");
            }
            stays
        });
        for port in wanted {
            if matches!(state.ports.get(&port), Some(Ok(_))) {
                continue;
            }
            let group = Group::open(port, &self.addresses, self.cores, &mut state.inherited).map(Arc::new);
            let known = state.ports.contains_key(&port);
            match &group {
                Ok(_) => tracing::info!(protocol = %port.0, port = port.1, "listening"),
                Err(error) if !known => {
                    tracing::error!(protocol = %port.0, port = port.1, %error, "a service's port cannot be listened on");
                }
                // It was said once; it is tried again all the same.
                Err(_) => {}
            }
            state.ports.insert(port, group);
        }
        // Services and listeners that were there before and are no longer wanted.
        state.inherited.close_rest();
    }

    /// Everything that is open, for a successor; it stays as it is until [`StreamTable::keep`] or the end.
    pub(super) fn give(&self) -> io::Result<Vec<Given>> {
        let mut state = self.lock();
        state.lent = true;
        let sockets = state.ports.values().flatten().flat_map(|group| group.sockets.iter().flatten());
        sockets.map(|socket| socket.try_clone().map(Given::of_process)).collect()
    }

    /// There is no successor: snapshots are followed again.
    pub(super) fn keep(&self) {
        self.lock().lent = false;
    }

    /// Leaves everything to a successor: nothing is opened or closed any more.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.ports.clear();
    }

    /// What is open now.
    fn open(&self) -> Vec<(Port, Arc<Group>)> {
        let state = self.lock();
        let ports = state.ports.iter().filter_map(|(port, group)| Some((*port, Arc::clone(group.as_ref().ok()?))));
        ports.collect()
    }

    /// Closes everything for good: the drain.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for group in std::mem::take(&mut state.ports).into_values().flatten() {
            group.close();
        }
    }

    /// Every port.
    pub(super) fn status(&self) -> Vec<StreamStatus> {
        let status = |(&(transport, port), group): (&Port, &Result<_, io::Error>)| StreamStatus {
            transport,
            port,
            error: group.as_ref().err().map(ToString::to_string),
        };
        self.lock().ports.iter().map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// Binds a port on every address, once for each core.
    ///
    /// # Errors
    /// When one cannot be bound, also when another process has it: see `listeners::Group::bind`.
    fn open(
        (transport, port): Port,
        addresses: &[IpAddr],
        cores: usize,
        inherited: &mut Inherited,
    ) -> io::Result<Self> {
        let open = |ip: &IpAddr| {
            let address = SocketAddr::new(*ip, port);
            let taken = inherited.take(transport, address);
            if !taken.is_empty() {
                return Ok(taken.into_iter().map(|given| given.socket).collect());
            }
            drop(bind(address, transport, false)?);
            (0..cores).map(|_| bind(address, transport, true)).collect()
        };
        Ok(Self { sockets: addresses.iter().map(open).collect::<io::Result<_>>()?, cores })
    }

    /// Descriptors of a core's sockets; the queues are shared with every other one.
    fn lend(&self, core: usize, transport: Transport) -> io::Result<Vec<Socket>> {
        let of_address = |sockets: &[Socket]| match transport {
            Transport::Tcp => shares(core, self.cores, sockets.len()).collect::<Vec<_>>(),
            // Sessions belong to a core: a socket that two cores read would mix them.
            Transport::Udp => (core..sockets.len()).step_by(self.cores).collect(),
        };
        let own = self.sockets.iter().flat_map(|sockets| of_address(sockets).into_iter().map(|index| &sockets[index]));
        own.map(Socket::try_clone).collect()
    }

    fn close(&self) {
        for socket in self.sockets.iter().flatten() {
            // A UDP socket without peer reports an error and is shut down all the same.
            let _ = SockRef::from(socket).shutdown(std::net::Shutdown::Both);
        }
    }
}

/// What one core runs for the ports.
pub(super) struct Streams {
    table: Arc<StreamTable>,
    peers: Arc<[Peer]>,
    stopper: RefCell<Stopper>,
    running: RefCell<BTreeMap<Port, Arc<Group>>>,
    /// Accept loops.
    accepting: Rc<Cell<usize>>,
}

impl Streams {
    pub(super) fn new(table: Arc<StreamTable>, peers: Arc<[Peer]>) -> Rc<Self> {
        let (stopper, running) = (RefCell::default(), RefCell::default());
        Rc::new(Self { table, peers, stopper, running, accepting: Rc::default() })
    }

    /// Starts what the core's snapshot wants and does not run yet; what it no longer wants ends by itself.
    pub(super) fn follow(&self, core: &Rc<Core>) {
        self.table.follow(&core.pin());
        let mut running = self.running.borrow_mut();
        let open = self.table.open();
        running.retain(|port, group| open.iter().any(|(other, now)| port == other && Arc::ptr_eq(group, now)));
        let snapshot = core.pin();
        for (port, group) in open {
            // Another core may be ahead: what this core's snapshot does not know could not be served yet.
            if running.contains_key(&port) || snapshot.streams.find(port.0, port.1).is_none() {
                continue;
            }
            match self.start(core, port, &group) {
                Ok(()) => drop(running.insert(port, group)),
                // It is tried again with the next look.
                Err(error) => tracing::error!(port = port.1, %error, "a core cannot serve a service's port"),
            }
        }
    }

    fn start(&self, core: &Rc<Core>, (transport, port): Port, group: &Group) -> io::Result<()> {
        for socket in group.lend(core.index, transport)? {
            match transport {
                Transport::Tcp => {
                    let listener = Listener::new(TcpListener::from(socket), &self.stopper.borrow())?;
                    let service = Service::Tcp { port };
                    let acceptor = Acceptor { core: Rc::clone(core), service, peers: Arc::clone(&self.peers) };
                    let accepting = Rc::clone(&self.accepting);
                    accepting.set(accepting.get() + 1);
                    core.spawn(async move {
                        accept::accept_loop(listener, acceptor).await;
                        accepting.set(accepting.get() - 1);
                    });
                }
                Transport::Udp => {
                    let socket = Datagrams::new(UdpSocket::from(socket), &core.timers)?;
                    core.spawn(udp::serve(Rc::clone(core), socket, port));
                }
            }
        }
        Ok(())
    }

    /// Ends pending accepts.
    pub(super) fn stop(&self) {
        self.stopper.take().stop();
    }

    /// Whether every accept has ended.
    pub(super) fn stopped(&self) -> bool {
        self.accepting.get() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];

    #[test]
    fn a_port_that_another_process_has_is_refused_for_both_transports() {
        let tcp = TcpListener::bind((LOCAL[0], 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        assert!(Group::open((Transport::Tcp, port), &LOCAL, 2, &mut Inherited::default()).is_err());
        let udp = UdpSocket::bind((LOCAL[0], 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        assert!(Group::open((Transport::Udp, port), &LOCAL, 2, &mut Inherited::default()).is_err());
    }

    #[test]
    fn a_closed_port_refuses_clients_at_once() {
        let free = TcpListener::bind((LOCAL[0], 0)).unwrap().local_addr().unwrap();
        let group = Group::open((Transport::Tcp, free.port()), &LOCAL, 2, &mut Inherited::default()).unwrap();
        assert!(std::net::TcpStream::connect(free).is_ok());
        group.close();
        assert!(std::net::TcpStream::connect(free).is_err());
    }
}
