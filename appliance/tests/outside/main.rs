//! The release binary among programs of others: nginx upstreams, wrk, h2load, curl, openssl, Python libraries, and the project's own bench beside
//! nginx. A missing program fails the test that needs it. `make e2e` runs this with `RINGRESS_BIN` and
//! `RINGRESS_BENCH_BIN`; `RINGRESS_LONG=1` is the same at full length.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests block, wait and share; the bans are for the worker cores"
)]

mod bounds;
mod bystander;
mod chromium;
mod churn;
mod clients;
mod crowds;
mod grpc;
mod http2_floods;
mod instructions;
mod nginx;
mod python;
mod sandbox;
mod soak;
#[path = "../suite/support.rs"]
#[expect(dead_code, reason = "the suite uses all of it")]
mod support;
mod tls_floods;
mod tls_peers;
mod upgrade;
mod uploads;

use std::process::Command;

/// The long form, before an issue is called done.
fn long() -> bool {
    std::env::var_os("RINGRESS_LONG").is_some()
}

/// Runs a program that must succeed; returns what it printed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}
