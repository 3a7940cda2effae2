//! The fake API server as a program, for scale and fault runs from outside.
//!
//! `fake_api_server [--listen ADDRESS] [--ingresses N] [--endpoints N] [FILE.json…]`
//!
//! Starts with N Ingresses of one host each (`h0.test`, …), each with its Service and a slice of that many endpoints,
//! and the objects of the files (one JSON object or List a file). Objects are then written with the API's own
//! requests. `POST /testkit/cut`, `/testkit/compact` and `/testkit/bookmark` do what those methods of `ApiServer` do.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use serde_json::Value;

/// What the command line says.
struct Arguments {
    listen: SocketAddr,
    ingresses: usize,
    endpoints: usize,
    files: Vec<String>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| serve(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fake_api_server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut arguments = Arguments { listen, ingresses: 0, endpoints: 1, files: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--listen" => arguments.listen = parse(&value()?)?,
            "--ingresses" => arguments.ingresses = parse(&value()?)?,
            "--endpoints" => arguments.endpoints = parse(&value()?)?,
            _ if word.starts_with('-') => return Err(format!("unknown flag {word}")),
            _ => arguments.files.push(word),
        }
    }
    Ok(arguments)
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not what is expected here"))
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let server = ApiServer::start_on(arguments.listen);
    server.put(fixtures::ingress_class());
    for number in 0..arguments.ingresses {
        server.put_all(application(number, arguments.endpoints));
    }
    for file in &arguments.files {
        let text = std::fs::read(file).map_err(|cause| format!("{file}: {cause}"))?;
        let value: Value = serde_json::from_slice(&text).map_err(|cause| format!("{file}: {cause}"))?;
        match value {
            Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                server.put_all(list.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default());
            }
            object => server.put(object),
        }
    }
    println!("{}", server.url());
    loop {
        std::thread::park();
    }
}

/// An Ingress, its Service and its endpoints.
fn application(number: usize, endpoints: usize) -> [Value; 3] {
    let (name, service) = (format!("i{number}"), format!("s{number}"));
    let mut ingress = fixtures::ingress("scale", &name, &format!("h{number}.test"));
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = service.as_str().into();
    let addresses: Vec<String> = (0..endpoints)
        .map(|endpoint| {
            let address = number * endpoints + endpoint;
            format!("10.{}.{}.{}", address >> 16 & 255, address >> 8 & 255, address & 255)
        })
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let slice = fixtures::endpoint_slice("scale", &service, &format!("{service}-1"), &addresses, 8080);
    [ingress, fixtures::service("scale", &service), slice]
}
