//! The generator against the own origin, and against a server that misbehaves in a known way: figures must be right
//! in both cases, or every comparison made with them is worth nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

struct Origin(Child, SocketAddr);

impl Origin {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringress-bench"))
            .args(["origin", "--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the origin");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("read its first line");
        let address = line.trim().strip_prefix("listening on ").expect("its address").parse().expect("an address");
        Self(child, address)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.0.kill().expect("end the origin");
        self.0.wait().expect("end the origin");
    }
}

fn load(target: SocketAddr, flags: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ringress-bench"))
        .args(["load", "--json", "--warmup=0", "--seconds=0.3", "--connections=4", "--target", &target.to_string()])
        .args(flags)
        .output()
        .expect("run the load");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn count(figures: &serde_json::Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name} in {figures}"))
}

#[test]
fn keep_alive_load_closes_nothing_and_reads_whole_bodies() {
    let origin = Origin::start();
    let figures = load(origin.1, &["--path=/bytes/100000"]);
    let requests = count(&figures, "requests");
    assert!(requests > 0);
    assert_eq!(count(&figures, "body_bytes"), requests * 100_000);
    assert_eq!((count(&figures, "closed_announced"), count(&figures, "closed_unannounced")), (0, 0), "{figures}");
}

#[test]
fn messages_of_websocket_come_back_on_one_connection_each() {
    let origin = Origin::start_with(&["--websocket"]);
    let figures = load(origin.1, &["--websocket"]);
    let messages = count(&figures, "requests");
    assert!(messages > 4, "{figures}");
    assert_eq!(count(&figures, "body_bytes"), messages * 100);
    let failed = ["failed_status", "failed_connect", "malformed", "closed_unannounced"];
    assert_eq!(failed.map(|name| count(&figures, name)), [0; 4], "{figures}");
}

#[test]
fn a_refused_upgrade_is_no_message() {
    let origin = Origin::start();
    let figures = load(origin.1, &["--websocket"]);
    assert_eq!(count(&figures, "requests"), 0, "{figures}");
    assert!(count(&figures, "malformed") > 0, "{figures}");
}

#[test]
fn an_origin_on_all_of_loopback_answers_at_each_of_its_addresses() {
    let origin = Origin::start_with(&["--all-of-loopback"]);
    let elsewhere = SocketAddr::from(([127, 33, 7, 1], origin.1.port()));
    assert!(count(&load(elsewhere, &[]), "requests") > 0);
}

#[test]
fn a_new_connection_for_each_request_ends_announced() {
    let origin = Origin::start();
    let figures = load(origin.1, &["--new-connections"]);
    assert_eq!(count(&figures, "closed_announced"), count(&figures, "requests"), "{figures}");
    assert_eq!(count(&figures, "closed_unannounced"), 0, "{figures}");
}

#[test]
fn open_loop_load_keeps_its_rate() {
    let origin = Origin::start();
    let figures = load(origin.1, &["--rate=500"]);
    let requests = count(&figures, "requests");
    assert!((140..=151).contains(&requests), "500/s for 0.3 s: {figures}");
}

#[test]
fn a_connection_closed_without_an_answer_is_counted_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("own address");
    std::thread::spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("accept");
            let _request = stream.read(&mut [0; 4096]).expect("a request");
            if turn % 2 == 0 {
                stream.write_all(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("answer");
            }
        }
    });
    let figures = load(address, &[]);
    let (bad, closed) = (count(&figures, "failed_status"), count(&figures, "closed_unannounced"));
    assert!(bad > 0 && bad.abs_diff(closed) <= 4, "every other one: {figures}");
}
