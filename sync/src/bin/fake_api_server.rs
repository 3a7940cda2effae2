//! The fake API server as a program, for scale and fault runs from outside.
//!
//! `fake_api_server [--listen ADDRESS] [--ingresses N] [--endpoints N] [--secrets N] [--origin PORT] [FILE.json…]`
//!
//! Starts with N Ingresses of one host each (`h0.test`, …), each with its Service and a slice of that many endpoints,
//! the first ones with a certificate of their own each, and the objects of the files (one JSON object or List a file).
//! The endpoints are addresses of 10.0.0.0/8 where nobody answers, with `--origin` such of 127.0.0.0/8 at that port.
//!
//! Objects are then written with the API's own requests. `POST /testkit/cut`, `/testkit/compact` and
//! `/testkit/bookmark` do what those methods of `ApiServer` do; `POST /testkit/roll?services=N&rate=N&writes=N` replaces
//! the endpoints of the first Services one after the other, so many writes a second, and `GET /testkit/figures` says
//! whether that goes on and what has been asked of the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::rollout::Addresses;
use ringress_sync::testkit::{fixtures, rollout};
use serde_json::{Value, json};

/// What the command line says.
struct Arguments {
    listen: SocketAddr,
    ingresses: usize,
    endpoints: usize,
    secrets: usize,
    addresses: Addresses,
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
    let mut arguments =
        Arguments { listen, ingresses: 0, endpoints: 1, secrets: 0, addresses: Addresses::Silent, files: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--listen" => arguments.listen = parse(&value()?)?,
            "--ingresses" => arguments.ingresses = parse(&value()?)?,
            "--endpoints" => arguments.endpoints = parse(&value()?)?,
            "--secrets" => arguments.secrets = parse(&value()?)?,
            "--origin" => arguments.addresses = Addresses::Loopback(parse(&value()?)?),
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
    if arguments.ingresses.saturating_mul(arguments.endpoints) > Addresses::MAX {
        return Err(format!("at most {} endpoints", Addresses::MAX));
    }
    for number in 0..arguments.ingresses {
        server.put_all(application(number, arguments));
    }
    server.set_rollout(arguments.endpoints, arguments.addresses);
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
    // Nobody has watched yet.
    server.forget_history();
    println!("{}", server.url());
    loop {
        std::thread::park();
    }
}

/// An Ingress, its Service, its endpoints and its certificate.
fn application(number: usize, arguments: &Arguments) -> Vec<Value> {
    let (name, service, host) = (format!("i{number}"), format!("s{number}"), format!("h{number}.test"));
    let secret = (number < arguments.secrets).then(|| format!("t{number}"));
    let mut ingress = match &secret {
        None => fixtures::ingress(rollout::NAMESPACE, &name, &host),
        Some(secret) => fixtures::ingress_tls(rollout::NAMESPACE, &name, &host, secret),
    };
    ingress["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/ssl-redirect": "false"});
    ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = service.as_str().into();
    let slice = rollout::slice(number, arguments.endpoints, arguments.addresses, 0);
    let certificate =
        secret.map(|secret| fixtures::certificate_secret(rollout::NAMESPACE, &secret, "kubernetes.io/tls", &host));
    [ingress, fixtures::service(rollout::NAMESPACE, &service), slice].into_iter().chain(certificate).collect()
}
