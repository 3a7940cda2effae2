use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::ListenerKind;
use super::*;

fn door(purpose: Purpose, address: SocketAddr) -> Door {
    Door { purpose, address }
}

fn http(address: SocketAddr) -> Door {
    door(Purpose::Http(ListenerKind::Http), address)
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn a_port_that_another_process_has_is_refused() {
    let taken = listening(any(), Transport::Tcp).unwrap();
    let address = taken.local_addr().unwrap().as_socket().unwrap();
    let error = Group::bind(http(address), 2, true).unwrap_err();
    assert!(error.to_string().contains("another process listens there"), "{error}");
    let taken = UdpSocket::bind(any()).unwrap();
    let udp = door(Purpose::Stream(Transport::Udp), taken.local_addr().unwrap());
    assert!(Group::bind(udp, 2, true).is_err());
}

#[test]
fn nobody_is_let_in_while_it_is_found_out_whether_a_port_is_free() {
    // Not where the visitor comes from, as a port may be connected to itself.
    let address = TcpListener::bind("127.0.0.7:0").unwrap().local_addr().unwrap();
    let over = AtomicBool::new(false);
    let let_in = std::thread::scope(|scope| {
        let visits = || {
            let comes = || TcpStream::connect(address).is_ok();
            std::iter::from_fn(|| (!over.load(Ordering::SeqCst)).then(comes)).any(|is_in| is_in)
        };
        let visitor = scope.spawn(visits);
        for _ in 0..20_000 {
            probe(http(address)).unwrap();
        }
        over.store(true, Ordering::SeqCst);
        visitor.join().unwrap()
    });
    assert!(!let_in);
}

#[test]
fn an_address_of_another_host_is_named() {
    let error = Group::bind(http("192.0.2.1:0".parse().unwrap()), 1, true).unwrap_err();
    assert!(
        error.to_string().contains("192.0.2.1:0") && error.to_string().contains("no address of this host"),
        "{error}"
    );
}

#[test]
fn port_zero_gives_all_cores_the_same_port() {
    let group = Group::bind(http(any()), 2, true).unwrap();
    assert_ne!(group.address.port(), 0);
    let [first, second] = [0, 1].map(|core| {
        let socket = group.of_core(core, 2, 2).next().unwrap();
        socket.local_addr().unwrap().as_socket().unwrap()
    });
    assert_eq!((first, second), (group.address, group.address));
}

#[test]
fn every_socket_has_a_core_and_every_core_a_socket() {
    for (cores, sockets) in [(1, 1), (2, 2), (1, 4), (3, 4), (4, 1), (4, 3), (2, 5)] {
        let all: Vec<Vec<usize>> = (0..cores).map(|core| shares(core, cores, sockets).collect()).collect();
        assert!(all.iter().all(|own| !own.is_empty()), "{cores} cores, {sockets} sockets: {all:?}");
        assert!((0..sockets).all(|socket| all.iter().flatten().any(|own| *own == socket)), "{all:?}");
    }
}

#[test]
fn cores_that_rest_leave_their_sockets_of_tcp_to_the_others_and_keep_their_sessions() {
    let tcp = Group::bind(http(any()), 4, true).unwrap();
    let counts = |group: &Group| [0, 1, 2, 3].map(|core| group.of_core(core, 3, 4).count());
    assert_eq!(counts(&tcp), [2, 1, 1, 0]);
    let udp = Group::bind(door(Purpose::Stream(Transport::Udp), any()), 4, true).unwrap();
    assert_eq!(counts(&udp), [1, 1, 1, 1]);
}

#[test]
fn a_group_that_is_resized_keeps_the_sockets_that_it_has() {
    let group = Group::bind(http(any()), 1, true).unwrap();
    let (grown, none) = group.resized(3).unwrap();
    assert!(grown.sockets.len() == 3 && none.is_none() && Arc::ptr_eq(&grown.sockets[0], &group.sockets[0]));
    let (one, rest) = grown.resized(1).unwrap();
    assert_eq!((one.sockets.len(), rest.unwrap().sockets.len()), (1, 2));
    assert!(Arc::ptr_eq(&one.sockets[0], &group.sockets[0]));
}

#[test]
fn who_waits_in_a_queue_that_closes_is_not_turned_away_and_who_comes_then_is() {
    let group = Group::bind(http(any()), 1, true).unwrap();
    let waits = TcpStream::connect(group.address).unwrap();
    assert!(!group.is_drained());
    group.turn_away();
    let late = || TcpStream::connect_timeout(&group.address, Duration::from_millis(200));
    assert_eq!(late().unwrap_err().kind(), io::ErrorKind::TimedOut);
    let listener = TcpListener::from(group.sockets[0].try_clone().unwrap());
    assert_eq!(listener.accept().unwrap().1, waits.local_addr().unwrap());
    assert!(group.is_drained());
    group.welcome();
    assert!(late().is_ok());
    group.close();
    assert_eq!(late().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}
