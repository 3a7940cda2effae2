//! What one core runs for the doors: an accept loop for each TCP socket that is its own, a session table for each UDP one.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use ringress_config::model::Transport;
use socket2::Socket;

use super::plan::Purpose;
use super::table::ListenTable;
use super::{Core, Gate};
use crate::accept::{self, Acceptor, Peer, Service};
use crate::io::{Datagrams, Listener, Stopper};
use crate::l4::udp;
use crate::limits::LISTENER_LEAVES;

/// The loops of a core.
pub(super) struct Doors {
    table: Arc<ListenTable>,
    peers: Arc<[Peer]>,
    gate: Gate,
    running: RefCell<Vec<Running>>,
    /// Accept loops that have not ended.
    accepting: Rc<Cell<usize>>,
    /// Clients have been let in.
    has_begun: Cell<bool>,
    /// Nothing is started any more.
    has_stopped: Cell<bool>,
    /// Somebody will see to what leaves.
    closes_soon: Rc<Cell<bool>>,
}

/// A socket that is served, by identity.
struct Running {
    socket: Arc<Socket>,
    /// Ends an accept loop; one of datagrams ends with its socket.
    stopper: Stopper,
}

impl Doors {
    pub(super) fn new(table: Arc<ListenTable>, peers: Arc<[Peer]>, gate: Gate) -> Rc<Self> {
        Rc::new(Self {
            table,
            peers,
            gate,
            running: RefCell::default(),
            accepting: Rc::default(),
            has_begun: Cell::new(false),
            has_stopped: Cell::new(false),
            closes_soon: Rc::default(),
        })
    }

    /// Whether clients may be let in and have not been.
    pub(super) fn should_begin(&self) -> bool {
        !self.has_begun.get() && self.gate.is_open()
    }

    /// Starts what the core's snapshot wants and does not run yet, and ends what is no longer this core's: whoever waits
    /// there is taken by another one.
    pub(super) fn follow(&self, core: &Rc<Core>) {
        if self.has_stopped.get() {
            return;
        }
        if self.table.follow(&core.pin()) {
            self.close_soon(core);
        }
        if !self.gate.is_open() {
            return;
        }
        self.has_begun.set(true);
        let wanted = self.table.of_core(core.index, &core.pin());
        let mut running = self.running.borrow_mut();
        let is_over = |now: &mut Running| !wanted.iter().any(|(_, _, socket)| Arc::ptr_eq(socket, &now.socket));
        running.extract_if(.., is_over).for_each(|now| now.stopper.stop());
        for (purpose, address, socket) in wanted {
            if running.iter().any(|now| Arc::ptr_eq(&socket, &now.socket)) {
                continue;
            }
            match self.start(core, purpose, address, &socket) {
                Ok(stopper) => running.push(Running { socket, stopper }),
                // It is tried again with the next look.
                Err(error) => {
                    tracing::error!(%address, %error, worker = core.index, "a worker cannot serve an address")
                }
            }
        }
    }

    fn start(&self, core: &Rc<Core>, purpose: Purpose, address: SocketAddr, socket: &Socket) -> io::Result<Stopper> {
        let (stopper, socket, port) = (Stopper::default(), socket.try_clone()?, address.port());
        let service = match purpose {
            Purpose::Http(kind) => Service::Http { kind, port },
            Purpose::Stream(Transport::Tcp) => Service::Tcp { port },
            Purpose::Stream(Transport::Udp) => {
                let socket = Datagrams::new(UdpSocket::from(socket), &core.timers)?;
                core.spawn(udp::serve(Rc::clone(core), socket, port));
                return Ok(stopper);
            }
        };
        let listener = Listener::new(TcpListener::from(socket), &stopper)?;
        let acceptor = Acceptor { core: Rc::clone(core), service, peers: Arc::clone(&self.peers) };
        let accepting = Rc::clone(&self.accepting);
        accepting.set(accepting.get() + 1);
        core.spawn(async move {
            accept::accept_loop(listener, acceptor).await;
            accepting.set(accepting.get() - 1);
        });
        Ok(stopper)
    }

    /// Has what leaves closed as soon as its queue may be empty; what is not by then is looked at every second.
    fn close_soon(&self, core: &Rc<Core>) {
        if self.closes_soon.replace(true) {
            return;
        }
        let (table, soon) = (Arc::clone(&self.table), Rc::clone(&self.closes_soon));
        core.spawn(async move {
            crate::io::sleep(LISTENER_LEAVES).await;
            soon.set(false);
            table.close_left();
        });
    }

    /// Ends pending and future accepts.
    pub(super) fn stop(&self) {
        self.has_stopped.set(true);
        self.running.borrow_mut().drain(..).for_each(|now| now.stopper.stop());
    }

    /// Whether every accept has ended.
    pub(super) fn stopped(&self) -> bool {
        self.accepting.get() == 0
    }
}
