//! Handshakes without an end, at no cost for who begins them: the same first message again and again.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::bystander::{self, paced_rate, serving};
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::process::on_each_driver;

/// Handshakes that the attacker leaves open.
const OPEN: usize = 512;

fn client_hello() -> Vec<u8> {
    let config = client::tls_config_that_resumes(rustls::ALL_VERSIONS);
    let name = ServerName::try_from("a.test").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).expect("a message");
    hello
}

#[test]
fn a_flood_of_handshakes_leaves_established_connections_their_rate() {
    on_each_driver(|driver| {
        let (_origin, mut ringress) = serving(driver);
        let address = ringress.https;
        let attack = move |stop: &AtomicBool| {
            let (hello, mut open, mut begun) = (client_hello(), VecDeque::with_capacity(OPEN), 0);
            while !stop.load(Ordering::SeqCst) {
                let connected = TcpStream::connect_timeout(&address, Duration::from_millis(100));
                let Ok(mut stream) = connected else { continue };
                begun += usize::from(stream.write_all(&hello).is_ok());
                if open.len() == OPEN {
                    open.pop_front();
                }
                open.push_back(stream);
            }
            format!("{begun} handshakes begun")
        };
        let time = bystander::time();
        bystander::endures(|| bystander::beside(&ringress, "handshakes", time, paced_rate, attack));
        ringress.assert_alive();
        let served = || Connection::tls(ringress.https, Some("a.test"))?.get("a.test", "/");
        eventually("new clients are served", || served().is_ok_and(|answer| answer.text() == "small"));
    });
}
