#![expect(clippy::disallowed_methods, reason = "tests")]

use std::io::{Read as _, Write as _};

use ringress_config::manifest;
use ringress_config::model::Kind;

use super::*;
use crate::cli::{Command, Surroundings};

fn prepare(arguments: &str) -> Demo {
    let line = format!("ringress demo {arguments}");
    let arguments = line.split_whitespace().map(std::ffi::OsString::from);
    match cli::parse(arguments, &Surroundings::default()) {
        Ok(Command::Demo(demo)) => Demo::prepare(demo).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_folder_holds_everything_that_the_ingresses_name() {
    for arguments in ["", "--v1"] {
        let demo = prepare(arguments);
        let mut objects = Vec::new();
        for entry in std::fs::read_dir(demo.folder()).unwrap() {
            let path = entry.unwrap().path();
            let content = manifest::parse(path.to_str().unwrap(), &std::fs::read(&path).unwrap());
            assert!(content.readable && content.rejected.is_empty(), "{path:?}: {:?}", content.findings);
            objects.extend(content.objects.iter().map(|object| (object.kind(), object.meta().key.to_string())));
        }
        for service in ["default/apiserver", "default/fileserver", "default/feserver", "shop/web", "shop/docs"] {
            assert_eq!(objects.iter().filter(|o| **o == (Kind::Service, service.into())).count(), 1, "{service}");
        }
        let slices =
            |prefix: &str| objects.iter().filter(|(k, n)| *k == Kind::EndpointSlice && n.starts_with(prefix)).count();
        assert_eq!((slices("default/"), slices("shop/web-")), (3, 4));
        let secrets: Vec<_> = objects.iter().filter(|(kind, _)| *kind == Kind::Secret).map(|(_, name)| name).collect();
        assert_eq!(secrets, ["default/abc-tls", "shop/shop-tls"]);
    }
}

#[test]
fn everything_is_on_loopback_and_taken_ports_are_moved_with_a_message() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let demo = prepare(&format!("--http-port={port} --https-port=0 --healthz-port=0 --admin-address=127.0.0.1:{port}"));
    let settings = &demo.settings;
    assert_eq!(settings.listeners.addresses, [std::net::IpAddr::from(Ipv4Addr::LOCALHOST)]);
    let http = settings.listeners.http_port.unwrap();
    assert_ne!(http, port);
    assert_eq!(demo.moved[0], format!("port {port} is taken: http moves to port {http}"));
    assert!(demo.moved[1].contains("the dashboard moves to port"), "{:?}", demo.moved);
    assert!(settings.health.host.unwrap().is_loopback());
    assert!(
        matches!(settings.admin, AdminAddress::Tcp(address) if address.ip().is_loopback() && address.port() != port)
    );
}

#[test]
fn backends_say_their_name_and_what_they_received() {
    let demo = prepare("");
    let port = demo._backends.ports()[3][0];
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream
        .write_all(b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Y: z\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    for part in ["\r\n\r\nweb v1\n\nPOST /a?b=c HTTP/1.1\n", "x-y: z\n", "\n2 bytes of body\n", "x-backend: web v1"] {
        assert!(answer.contains(part), "{part:?} in {answer}");
    }
}

#[test]
fn the_instructions_name_ports_and_hosts() {
    let demo = prepare("--v1");
    let (http, https) = (([127, 0, 0, 1], 8080).into(), ([127, 0, 0, 1], 8443).into());
    let text = demo.instructions(Reached { http, https, admin: Some("127.0.0.1:10280") });
    for part in [
        "Serving abc-ingress-v1.yaml",
        "curl -k --connect-to ::127.0.0.1:8443 https://api.abc.com/x",
        "curl --connect-to ::127.0.0.1:8080 http://www.abc.com/IMAGE/x",
        "http://127.0.0.1:10280/",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn nothing_is_left_behind() {
    let demo = prepare("");
    let folder = demo.folder();
    assert!(folder.exists());
    drop(demo);
    assert!(!folder.exists());
}
