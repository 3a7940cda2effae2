#![expect(clippy::disallowed_methods, reason = "no core runs here")]

use std::net::{TcpListener, TcpStream};

use ringress_config::snapshot::{ListenAddresses, ListenSettings};

use super::*;

/// A table of two cores on free ports of loopback, with the address of http.
struct Rig {
    table: Arc<ListenTable>,
    port: u16,
    generation: u64,
}

impl Rig {
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ips = vec!["127.0.0.1".parse().unwrap()];
        let plan = ListenPlan { ips, http_port: Some(free), ..ListenPlan::default() };
        let table = ListenTable::new(plan, 2, Gate::new(true), Inherited::default()).unwrap();
        Self { table, port: free, generation: 0 }
    }

    fn follow(&mut self, listen: ListenSettings) -> Snapshot {
        self.generation += 1;
        let mut snapshot = super::super::tests::empty_snapshot(self.generation);
        Arc::make_mut(&mut snapshot.settings).listen = listen;
        self.table.follow(&snapshot);
        snapshot
    }

    fn bind(&mut self, ips: &[&str]) -> Snapshot {
        let addresses = ListenAddresses::Named(ips.iter().map(|ip| ip.parse().unwrap()).collect());
        self.follow(ListenSettings { addresses, ..ListenSettings::default() })
    }

    fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), self.port)
    }

    /// What is open, and what is not.
    fn listeners(&self) -> (Vec<String>, Vec<String>) {
        let (bad, good): (Vec<_>, Vec<_>) = self.table.listeners().into_iter().partition(|own| own.error.is_some());
        let shown = |all: Vec<ListenerStatus>| all.into_iter().map(|own| own.address.ip().to_string()).collect();
        (shown(good), bad.into_iter().filter_map(|own| own.error).collect())
    }

    /// Takes one that waits from each queue.
    fn accept(&self, snapshot: &Snapshot) {
        for (_, _, socket) in [0, 1].into_iter().flat_map(|core| self.table.of_core(core, snapshot)) {
            socket.set_nonblocking(true).unwrap();
            let _is_for_another = TcpListener::from(socket.try_clone().unwrap()).accept();
        }
    }

    fn sockets(&self, snapshot: &Snapshot) -> [usize; 2] {
        [0, 1].map(|core| self.table.of_core(core, snapshot).len())
    }
}

#[test]
fn new_addresses_are_open_and_old_ones_leave_with_their_queue() {
    let mut rig = Rig::new();
    let waits = TcpStream::connect(rig.at("127.0.0.1")).unwrap();
    let snapshot = rig.bind(&["127.0.0.2", "127.0.0.3"]);
    assert_eq!(rig.listeners(), (vec!["127.0.0.2".into(), "127.0.0.3".into()], vec![]));
    assert!(TcpStream::connect(rig.at("127.0.0.2")).is_ok());
    assert_eq!(rig.sockets(&snapshot), [3, 3], "what leaves is still accepted from");
    std::thread::sleep(LISTENER_LEAVES);
    rig.table.close_left();
    assert_eq!(rig.sockets(&snapshot), [3, 3], "somebody waits");
    rig.accept(&snapshot);
    rig.table.close_left();
    assert_eq!(rig.sockets(&snapshot), [2, 2]);
    assert!(TcpStream::connect(rig.at("127.0.0.1")).is_err());
    drop(waits);
}

#[test]
fn an_address_that_comes_back_while_it_leaves_is_as_it_was() {
    let mut rig = Rig::new();
    let before = rig.bind(&["127.0.0.1"]);
    let sockets = |snapshot: &Snapshot| rig.table.of_core(0, snapshot).pop().unwrap().2;
    let socket = sockets(&before);
    rig.bind(&["127.0.0.2"]);
    let after = rig.bind(&["127.0.0.1"]);
    assert!(rig.table.of_core(0, &after).iter().any(|(_, _, own)| Arc::ptr_eq(own, &socket)));
    assert!(TcpStream::connect(rig.at("127.0.0.1")).is_ok());
}

#[test]
fn a_wider_address_is_opened_beside_a_narrower_one_and_the_other_way_around() {
    let mut rig = Rig::new();
    for ips in [["0.0.0.0"], ["127.0.0.2"], ["0.0.0.0"]] {
        let snapshot = rig.bind(&ips);
        assert_eq!(rig.listeners(), (vec![ips[0].into()], vec![]));
        // Until the narrower one is gone, who asks there has to ask again.
        std::thread::sleep(LISTENER_LEAVES);
        rig.table.close_left();
        assert!(TcpStream::connect(rig.at("127.0.0.2")).is_ok());
        rig.accept(&snapshot);
    }
}

#[test]
fn an_address_that_cannot_be_had_harms_no_other_and_is_tried_again() {
    let mut rig = Rig::new();
    let taken = TcpListener::bind(rig.at("127.0.0.2")).unwrap();
    rig.bind(&["127.0.0.2", "127.0.0.3"]);
    let (open, errors) = rig.listeners();
    assert_eq!(open, ["127.0.0.3"]);
    assert!(errors[0].contains(&rig.at("127.0.0.2").to_string()) && errors[0].contains("others are listened on"));
    drop(taken);
    rig.bind(&["127.0.0.2", "127.0.0.3"]);
    assert_eq!(rig.listeners(), (vec!["127.0.0.2".into(), "127.0.0.3".into()], vec![]));
}

#[test]
fn where_none_can_be_had_the_ones_before_stay() {
    let mut rig = Rig::new();
    rig.bind(&["192.0.2.1"]);
    let (open, errors) = rig.listeners();
    assert_eq!(open, ["127.0.0.1"]);
    assert!(errors[0].contains("192.0.2.1") && errors[0].contains("the addresses before stay"), "{errors:?}");
    assert!(TcpStream::connect(rig.at("127.0.0.1")).is_ok());
    rig.bind(&["127.0.0.2"]);
    assert_eq!(rig.listeners(), (vec!["127.0.0.2".into()], vec![]));
}

#[test]
fn one_socket_for_all_and_one_for_each_are_made_of_each_other() {
    let mut rig = Rig::new();
    let of = |socket_per_worker| ListenSettings { socket_per_worker, ..ListenSettings::default() };
    let before = rig.follow(of(true));
    let first = rig.table.of_core(0, &before).pop().unwrap().2;
    let one = rig.follow(of(false));
    std::thread::sleep(LISTENER_LEAVES);
    rig.table.close_left();
    for core in [0, 1] {
        let own = rig.table.of_core(core, &one);
        assert!(own.len() == 1 && Arc::ptr_eq(&own[0].2, &first));
    }
    let both = rig.follow(of(true));
    let [own, other] = [0, 1].map(|core| rig.table.of_core(core, &both).pop().unwrap().2);
    assert!(Arc::ptr_eq(&own, &first) && !Arc::ptr_eq(&own, &other));
}

#[test]
fn a_successor_takes_what_is_wanted_and_what_was_there_where_nothing_else_can_be_had() {
    let mut rig = Rig::new();
    rig.bind(&["127.0.0.2"]);
    let all = [("127.0.0.2", "127.0.0.2", 1), ("127.0.0.3", "127.0.0.3", 2), ("192.0.2.1", "127.0.0.2", 1)];
    for (ip, expected, sockets) in all {
        let mut inherited = Inherited::default();
        rig.table.give().unwrap().into_iter().for_each(|given| inherited.add(given));
        let plan = ListenPlan { awaits_config_map: true, ..rig.table.plan.clone() };
        let gate = Gate::new(false);
        let table = ListenTable::new(plan, 2, gate.clone(), inherited).unwrap();
        let mut next = Rig { table, port: rig.port, generation: 0 };
        assert_eq!(next.listeners().0, [""; 0], "nothing before the first snapshot");
        next.bind(&[ip]);
        assert_eq!(next.listeners().0, [expected], "{ip}");
        gate.open();
        let snapshot = next.bind(&[ip]);
        assert_eq!(next.sockets(&snapshot), [sockets; 2], "{ip}: what is not wanted leaves with its queue");
    }
}

#[test]
fn an_address_that_a_process_leaves_behind_for_a_moment_is_had_at_the_start_and_one_that_stays_taken_is_not() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ips = vec!["127.0.0.1".parse().unwrap()];
    let port = Some(taken.local_addr().unwrap().port());
    let plan = ListenPlan { ips, http_port: port, ..ListenPlan::default() };
    let open = |plan| ListenTable::new(plan, 1, Gate::new(true), Inherited::default());
    assert!(open(plan.clone()).is_err_and(|error| error.is_in_use()));
    let leaver = std::thread::spawn(move || {
        std::thread::sleep(LISTEN_AT_START / 10);
        drop(taken);
    });
    assert!(open(plan).is_ok());
    leaver.join().unwrap();
}
