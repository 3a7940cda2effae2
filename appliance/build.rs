//! Tells the binary which commit it is built from: `RINGRESS_COMMIT` if set, else what git says, in release builds only
//! (others would be compiled anew after every commit).

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RINGRESS_COMMIT");
    if std::env::var_os("RINGRESS_COMMIT").is_some() || std::env::var("PROFILE").is_ok_and(|p| p != "release") {
        return;
    }
    println!("cargo::rerun-if-changed=../.git/HEAD");
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    let Ok(output) = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output() else { return };
    if let (true, Ok(commit)) = (output.status.success(), String::from_utf8(output.stdout)) {
        println!("cargo::rustc-env=RINGRESS_COMMIT={}", commit.trim());
    }
}
